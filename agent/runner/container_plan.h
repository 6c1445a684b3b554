#pragma once

#include <string>
#include <vector>

#include "agent/executor/container_spec.h"
#include "agent/pool/warm_pool.h"
#include "agent/runner/runner_options.h"
#include "agent/runner/task_spec.h"
#include "common/base/ids.h"
#include "common/project/project_config.h"

// What containers of builds and publishes look like: docs/init.md's needs, limits, mounts and
// environment. Pure.
namespace slipway::runner {

// Where things are inside a container.
namespace inside {
inline constexpr char kInit[] = "/slipway/init";
inline constexpr char kControl[] = "/slipway/control";
inline constexpr char kWorkspace[] = "/workspace";
inline constexpr char kOut[] = "/slipway/out";       // what the step hands over besides its product
inline constexpr char kHome[] = "/slipway/home";     // of the build's user
inline constexpr char kCaches[] = "/slipway/cache";  // of tools, a folder each
inline constexpr char kIn[] = "/slipway/in";         // a publish's orders
inline constexpr char kProduct[] = "/slipway/product";
inline constexpr char kSecrets[] = "/slipway/secrets";  // tmpfs
inline constexpr char kCaBundle[] = "/slipway/ca.pem";
inline constexpr char kPrepared[] = "/prepared";  // of an image that build.prepare made
}  // namespace inside

// Where an attempt's things are on the agent's machine.
struct AttemptPaths {
  std::string dir;      // <data_dir>/attempts/<task>-<n>
  std::string control;  // made by ControlDir
  std::string out;
  std::string home;
  std::string in;
  std::string tree;    // <work_dir>/run/<task>-<n>: work tree or product
  std::string caches;  // <work_dir>/lent/<task>-<n>: of a build's tools
};
// "<task>-<n>", of `dir`, `tree` and `caches`.
[[nodiscard]] std::string DirectoryName(const AttemptKey& key);
[[nodiscard]] AttemptPaths PathsOf(const RunnerOptions& options, const AttemptKey& key);

// Unique on the machine, the same after a restart.
[[nodiscard]] std::string ContainerName(const executor::Owner& owner, const AttemptKey& key);
[[nodiscard]] executor::Labels AttemptLabels(const executor::Owner& owner, const AttemptKey& key);

// `wanted` with each part at most `max`; `engine_cpus`: of the Engine's machine.
[[nodiscard]] project::ResourceLimits CapLimits(const project::ResourceLimits& wanted,
                                                const project::ResourceLimits& max,
                                                int engine_cpus);

// `limits`: as CapLimits gave them.
[[nodiscard]] executor::ContainerSpec BuildContainer(const RunnerOptions& options,
                                                     const AttemptKey& key,
                                                     const project::BuildConfig& build,
                                                     const project::ResourceLimits& limits);

// The kind of container that BuildContainer would make of the image.
[[nodiscard]] pool::Kind BuildKind(const std::string& image_id, const project::BuildConfig& build,
                                   const project::ResourceLimits& limits);
// One of that kind that is made before its build is known; name and labels are the pool's.
[[nodiscard]] executor::ContainerSpec WarmContainer(const RunnerOptions& options,
                                                    const pool::Kind& kind,
                                                    const pool::StallPaths& paths);

// The container shares the network namespace of the running container `lender`.
void JoinNetwork(executor::ContainerSpec& spec, const std::string& lender);

[[nodiscard]] executor::ContainerSpec PublishContainer(const RunnerOptions& options,
                                                       const AttemptKey& key,
                                                       const PublishWork& work);

struct BuildFacts {
  std::string commit;
  std::string version;
  std::string app_id;
  std::string output;  // relative to the workspace
  // Every declared one with its value.
  project::ParameterValues parameters{};
  // Tools that have a cache in the container.
  std::vector<std::string> tool_caches{};
};
// "NAME=value", sorted by name; the farm's own names win over the project's.
[[nodiscard]] std::vector<std::string> BuildEnvironment(const RunnerOptions& options,
                                                        const TaskSpec& task,
                                                        const project::BuildConfig& build,
                                                        const BuildFacts& facts);

// The variables by which common tools find the CA bundle at `path`.
[[nodiscard]] std::vector<std::string> CaEnvironment(const std::string& path);

inline constexpr char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace slipway::runner
