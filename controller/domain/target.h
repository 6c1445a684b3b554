#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "controller/domain/channel.h"

namespace slipway::domain {

// Where users meet what was published. `name` is unique: [a-z0-9][a-z0-9-]{0,62}.
struct Environment {
  std::string name;
  std::string description{};
  // Lists show lower ones first.
  std::int32_t order = 0;
  // Another one after each change; never one that any object had before.
  std::int64_t revision = 0;
  WallTime created_at{};
  std::string created_by{};
};

// A place to publish: a platform and how to reach it. All of it is the operator's word; nothing in
// a repository can change it. Unique by platform and name.
struct Target {
  std::string name;      // "weixin", "weixin-staging"
  std::string platform;  // "weixin"
  // Name of an environment; grants may be for it alone. Empty: none.
  std::string environment{};
  // Farm-owned image with the platform's client and adapter; empty for channels.
  std::string image;
  // HTTP proxy URL on the way to the platform; empty: direct.
  std::string proxy;
  // Extra CA certificates the client trusts, PEM; empty: none.
  std::string ca_pem;
  // "bridge" or "host".
  std::string network = "bridge";
  // The client is killed after this long, and the outcome is then unknown.
  Duration deadline = std::chrono::minutes(10);
  // Labels that an agent needs to publish there (key → value).
  std::map<std::string, std::string> requirements{};
  // Present exactly when IsChannelPlatform(platform).
  std::optional<Channel> channel{};
  // Of a channel: it has something to prove itself with. The stores' word; no wish changes it.
  bool has_secret = false;
  std::int64_t revision = 0;  // as of Environment
  WallTime created_at{};
  std::string created_by{};
};

// What a submit took a target for: its rights were asked for this environment.
struct TargetUse {
  std::string platform;
  std::string name;
  std::string environment;
  friend bool operator==(const TargetUse&, const TargetUse&) = default;
};

// All targets at one moment. Constant after construction; thread-safe.
class Targets {
 public:
  // By platform and name.
  explicit Targets(std::vector<Target> targets) : targets_(std::move(targets)) {}

  // By name; with an empty name the one that is named like the platform, else the platform's
  // first. nullptr: none.
  [[nodiscard]] const Target* Find(const std::string& platform, const std::string& name) const {
    const Target* first = nullptr;
    for (const Target& target : targets_) {
      if (target.platform != platform) continue;
      if (target.name == (name.empty() ? platform : name)) return &target;
      if (first == nullptr) first = &target;
    }
    return name.empty() ? first : nullptr;
  }
  [[nodiscard]] const std::vector<Target>& all() const { return targets_; }

 private:
  const std::vector<Target> targets_;
};

}  // namespace slipway::domain
