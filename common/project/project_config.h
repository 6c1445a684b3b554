#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/project/caches.h"
#include "common/project/parameters.h"

// slipway.yaml: what a repository says about its own build. Hostile input; what an operator decides
// (proxies, hosts, certificates, mounts) cannot be said here.
namespace slipway::project {

enum class NetworkAccess {
  kNone,
  // Slipway's own bridge: out, but not to other containers.
  kBridge,
};

// What is put into an image of the application's own, made from the builder image once for all
// builds for which this and the files' contents are the same. At least one of `apt` and `run` is
// not empty.
struct Preparation {
  // Debian packages, with "=version" or without.
  std::vector<std::string> apt;
  // Normalised paths in the repository: what `run` reads.
  std::vector<std::string> files;
  // Text of a shell script.
  std::string run;
  Duration timeout = std::chrono::minutes(10);

  friend bool operator==(const Preparation&, const Preparation&) = default;
};

struct ResourceLimits {
  double cpus = 2;
  // Bytes of memory, without any swap on top.
  std::int64_t memory = std::int64_t{2} << 30;
  std::int64_t pids = 512;
  // Bytes the work tree may grow to.
  std::int64_t disk = std::int64_t{4} << 30;

  friend bool operator==(const ResourceLimits&, const ResourceLimits&) = default;
};

// One build, complete: what `build:` says with what the platform's own `build:` changes.
// Exactly one of `script` and `run` is not empty.
struct BuildConfig {
  std::string image;
  std::optional<Preparation> prepare;
  // Normalised path in the repository, run as [/bin/sh, script].
  std::string script;
  // Text of a shell script.
  std::string run;
  Duration timeout = std::chrono::minutes(20);
  Duration no_output_timeout = std::chrono::minutes(5);
  NetworkAccess network = NetworkAccess::kNone;
  // Names [A-Za-z_][A-Za-z0-9_]*, never SLIPWAY_….
  std::map<std::string, std::string> env;
  ResourceLimits limits;
};

struct PlatformConfig {
  // [a-z][a-z0-9-]{0,31}
  std::string name;
  // Empty when the platform needs none.
  std::string app_id;
  // Normalised directory relative to the work tree; "." is the work tree itself.
  std::string output;
  // Normalised path in the repository; empty when there is none.
  std::string credential;
  // With the environment of the platform merged in.
  BuildConfig build;
  // What is kept for the next build, with the platform's own merged in; sorted by name.
  std::vector<CacheConfig> caches = {};
  // Handed to the platform's adapter as it is.
  std::map<std::string, std::string> publish;
};

struct ProjectConfig {
  // In the order of the file; at least one.
  std::vector<PlatformConfig> platforms;
  // What builds can be told, in the order of the file; may be empty.
  std::vector<Parameter> parameters;

  // nullptr: no such platform.
  [[nodiscard]] const PlatformConfig* Find(std::string_view platform) const;
  // "weixin, alipay": for messages.
  [[nodiscard]] std::string PlatformNames() const;
};

inline constexpr std::string_view kProjectConfigFile = "slipway.yaml";
// All of them are read into memory.
inline constexpr std::size_t kMaxPrepareFileBytes = 4 << 20;
inline constexpr std::size_t kMaxProjectConfigBytes = 256 * 1024;

// kInvalidArgument, reason CONFIG_INVALID: one line per mistake, each "file:line:column: key.path:
// what is wrong and what is allowed". Its failure class is build. Pure function.
[[nodiscard]] absl::StatusOr<ProjectConfig> ParseProjectConfig(
    std::string_view text, std::string_view file_name = kProjectConfigFile);

}  // namespace slipway::project
