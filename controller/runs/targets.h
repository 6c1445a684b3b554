#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace slipway::runs {

// A place to publish: a platform and how to reach it. All of it is the operator's word; nothing in
// a repository can change it.
struct Target {
  std::string name;      // "weixin", "weixin-staging"
  std::string platform;  // "weixin"
  // "production", "test"; grants of publishes may name it. Empty: none.
  std::string environment{};
  // Farm-owned image with the platform's client and adapter.
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
};

// The configured targets; constant after construction. Thread-safe.
class Targets {
 public:
  explicit Targets(std::vector<Target> targets) : targets_(std::move(targets)) {}

  // By name; with an empty name the platform's first one. nullptr: none.
  [[nodiscard]] const Target* Find(const std::string& platform, const std::string& name) const {
    for (const Target& target : targets_) {
      if (target.platform == platform && (name.empty() || target.name == name)) return &target;
    }
    return nullptr;
  }
  // In the operator's order.
  [[nodiscard]] const std::vector<Target>& all() const { return targets_; }

 private:
  const std::vector<Target> targets_;
};

}  // namespace slipway::runs
