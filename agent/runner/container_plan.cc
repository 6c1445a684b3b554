#include "agent/runner/container_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/executor/labels.h"

namespace slipway::runner {
namespace {

constexpr std::int64_t kSecretsBytes = std::int64_t{1} << 20;
// Of a publish: the client compiles the product.
constexpr std::int64_t kPublishMemory = std::int64_t{2} << 30;
constexpr std::int64_t kPublishPids = 512;

// What all share.
executor::ContainerSpec Base(const RunnerOptions& options, const std::string& control,
                             const std::string& out) {
  executor::ContainerSpec spec;
  spec.argv = {inside::kInit};
  spec.user = "0:0";
  spec.working_dir = "/";
  spec.cap_add = {"KILL", "SETUID", "SETGID", "SETPCAP"};
  spec.hostname = "slipway";
  // Steps have no right to write anywhere else in it; this also keeps what they write countable.
  spec.read_only_rootfs = true;
  spec.binds = {
      {.host_path = options.init_binary, .container_path = inside::kInit, .read_only = true},
      {.host_path = control, .container_path = inside::kControl, .read_only = false},
      {.host_path = out, .container_path = inside::kOut, .read_only = false},
  };
  if (!options.host_ca_bundle.empty()) {
    spec.binds.push_back({.host_path = options.host_ca_bundle,
                          .container_path = inside::kCaBundle,
                          .read_only = true});
  }
  for (const char* path : {"/tmp", "/var/tmp"}) {
    spec.tmpfs.push_back({.container_path = path,
                          .size_bytes = 0,
                          .mode = 01777,
                          .uid = 0,
                          .gid = 0,
                          .nosuid = true,
                          .nodev = true,
                          .noexec = false});
  }
  return spec;
}

}  // namespace

std::string DirectoryName(const AttemptKey& key) {
  return fmt::format("{}-{}", key.task.value(), key.attempt.value());
}

AttemptPaths PathsOf(const RunnerOptions& options, const AttemptKey& key) {
  const std::string dir = fmt::format("{}/attempts/{}", options.data_dir, DirectoryName(key));
  return {.dir = dir,
          .control = dir + "/control",
          .out = dir + "/out",
          .home = dir + "/home",
          .in = dir + "/in",
          .tree = fmt::format("{}/run/{}", options.work_dir, DirectoryName(key)),
          .caches = fmt::format("{}/lent/{}", options.work_dir, DirectoryName(key))};
}

std::string ContainerName(const executor::Owner& owner, const AttemptKey& key) {
  return fmt::format("slipway-{}-{}", owner.agent.value(), DirectoryName(key));
}

executor::Labels AttemptLabels(const executor::Owner& owner, const AttemptKey& key) {
  return {{executor::kLabelFarm, owner.farm.value()},
          {executor::kLabelAgent, owner.agent.value()},
          {executor::kLabelTask, key.task.value()},
          {executor::kLabelAttempt, std::to_string(key.attempt.value())}};
}

project::ResourceLimits CapLimits(const project::ResourceLimits& wanted,
                                  const project::ResourceLimits& max, int engine_cpus) {
  project::ResourceLimits limits;
  limits.cpus = std::min(wanted.cpus, max.cpus);
  if (engine_cpus > 0) limits.cpus = std::min(limits.cpus, static_cast<double>(engine_cpus));
  limits.memory = std::min(wanted.memory, max.memory);
  limits.pids = std::min(wanted.pids, max.pids);
  limits.disk = std::min(wanted.disk, max.disk);
  return limits;
}

executor::ContainerSpec BuildContainer(const RunnerOptions& options, const AttemptKey& key,
                                       const project::BuildConfig& build,
                                       const project::ResourceLimits& limits) {
  const AttemptPaths paths = PathsOf(options, key);
  executor::ContainerSpec spec = WarmContainer(options, BuildKind(build.image, build, limits),
                                               {.dir = paths.dir,
                                                .control = paths.control,
                                                .out = paths.out,
                                                .home = paths.home,
                                                .tree = paths.tree,
                                                .caches = paths.caches});
  spec.name = ContainerName(options.owner, key);
  spec.labels = AttemptLabels(options.owner, key);
  spec.labels[executor::kLabelKind] = "build";
  spec.argv = {inside::kInit};
  return spec;
}

pool::Kind BuildKind(const std::string& image_id, const project::BuildConfig& build,
                     const project::ResourceLimits& limits) {
  return {.image_id = image_id,
          .cpus = limits.cpus,
          .memory_bytes = limits.memory,
          .pids = limits.pids,
          .network = build.network == project::NetworkAccess::kBridge
                         ? executor::NetworkKind::kBridge
                         : executor::NetworkKind::kNone};
}

executor::ContainerSpec WarmContainer(const RunnerOptions& options, const pool::Kind& kind,
                                      const pool::StallPaths& paths) {
  executor::ContainerSpec spec = Base(options, paths.control, paths.out);
  spec.image = kind.image_id;
  spec.argv = {inside::kInit, "--wait"};
  spec.binds.push_back({.host_path = paths.tree, .container_path = inside::kWorkspace});
  spec.binds.push_back({.host_path = paths.home, .container_path = inside::kHome});
  spec.binds.push_back({.host_path = paths.caches, .container_path = inside::kCaches});
  spec.network.kind = kind.network;
  if (kind.network == executor::NetworkKind::kBridge) spec.network.name = options.network;
  spec.cpus = kind.cpus;
  spec.memory_bytes = kind.memory_bytes;
  // One for slipway-init itself.
  spec.pids_limit = kind.pids + 1;
  return spec;
}

void JoinNetwork(executor::ContainerSpec& spec, const std::string& lender) {
  spec.network = {.kind = executor::NetworkKind::kContainer, .name = lender};
  // It has the lender's.
  spec.hostname.clear();
  spec.labels[executor::kLabelNetwork] = lender;
}

executor::ContainerSpec PublishContainer(const RunnerOptions& options, const AttemptKey& key,
                                         const PublishWork& work) {
  const AttemptPaths paths = PathsOf(options, key);
  executor::ContainerSpec spec = Base(options, paths.control, paths.out);
  spec.name = ContainerName(options.owner, key);
  spec.labels = AttemptLabels(options.owner, key);
  spec.image = work.image;
  spec.labels[executor::kLabelKind] = work.probe ? "probe" : work.preview() ? "preview" : "publish";
  if (!work.probe) {
    spec.binds.push_back(
        {.host_path = paths.tree, .container_path = inside::kProduct, .read_only = true});
  }
  spec.binds.push_back({.host_path = paths.in, .container_path = inside::kIn, .read_only = true});
  spec.tmpfs.push_back({.container_path = inside::kSecrets,
                        .size_bytes = kSecretsBytes,
                        .mode = 0700,
                        .uid = options.step_uid,
                        .gid = options.step_gid,
                        .nosuid = true,
                        .nodev = true,
                        .noexec = true});
  if (work.network == "host") {
    spec.network.kind = executor::NetworkKind::kHost;
    spec.hostname.clear();
  } else {
    spec.network = {.kind = executor::NetworkKind::kBridge, .name = options.network};
  }
  spec.memory_bytes = std::min(kPublishMemory, options.max_limits.memory);
  spec.pids_limit = kPublishPids;
  return spec;
}

std::vector<std::string> CaEnvironment(const std::string& path) {
  std::vector<std::string> env;
  for (const char* name :
       {"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE", "PIP_CERT", "npm_config_cafile"}) {
    env.push_back(fmt::format("{}={}", name, path));
  }
  return env;
}

std::vector<std::string> BuildEnvironment(const RunnerOptions& options, const TaskSpec& task,
                                          const project::BuildConfig& build,
                                          const BuildFacts& facts) {
  std::map<std::string, std::string> env = {
      {"PATH", kDefaultPath}, {"LANG", "C.UTF-8"}, {"CI", "true"}};
  if (!options.host_ca_bundle.empty()) {
    for (const std::string& one : CaEnvironment(inside::kCaBundle)) {
      const std::size_t equals = one.find('=');
      env.insert_or_assign(one.substr(0, equals), one.substr(equals + 1));
    }
  }
  for (const auto& [name, value] : build.env) env.insert_or_assign(name, value);
  env.insert_or_assign("HOME", inside::kHome);
  const bool root = facts.output == ".";
  const std::map<std::string, std::string> ours = {
      {"SLIPWAY", "true"},
      {"SLIPWAY_APPLICATION", task.application_name},
      {"SLIPWAY_PLATFORM", task.platform},
      {"SLIPWAY_APP_ID", facts.app_id},
      {"SLIPWAY_VERSION", facts.version},
      {"SLIPWAY_DESCRIPTION", task.description},
      {"SLIPWAY_COMMIT", facts.commit},
      {"SLIPWAY_OUTPUT", root ? std::string(inside::kWorkspace)
                              : fmt::format("{}/{}", inside::kWorkspace, facts.output)},
      {"SLIPWAY_RESULT", fmt::format("{}/result.json", inside::kOut)},
  };
  for (const auto& [name, value] : ours) env.insert_or_assign(name, value);
  if (!facts.tool_caches.empty()) env.insert_or_assign("SLIPWAY_CACHE", inside::kCaches);
  // Images made at different times may hold different compilers of one size and time.
  if (!facts.tool_caches.empty()) env.emplace("CCACHE_COMPILERCHECK", "content");
  for (const std::string& tool : facts.tool_caches) {
    env.insert_or_assign(std::string(project::ToolCacheVariable(tool)),
                         fmt::format("{}/{}", inside::kCaches, tool));
  }
  if (build.prepare) env.insert_or_assign("SLIPWAY_PREPARED", inside::kPrepared);
  for (const auto& [name, value] : facts.parameters) {
    env.insert_or_assign(project::ParameterVariable(name), value);
  }
  std::vector<std::string> list;
  list.reserve(env.size());
  for (const auto& [name, value] : env) list.push_back(fmt::format("{}={}", name, value));
  return list;
}

}  // namespace slipway::runner
