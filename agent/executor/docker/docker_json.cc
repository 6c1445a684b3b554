#include "agent/executor/docker/docker_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <utility>

#include "absl/time/time.h"
#include "agent/executor/engine_errors.h"
#include "agent/executor/labels.h"
#include "common/status/status.h"

namespace slipway::docker {
namespace {

namespace json = boost::json;
using executor::ContainerSpec;
using executor::ContainerStatus;
using executor::NetworkKind;

constexpr char kOptionIcc[] = "com.docker.network.bridge.enable_icc";

json::object ToJson(const executor::Labels& labels) {
  json::object object;
  for (const auto& [key, value] : labels) object[key] = value;
  return object;
}

json::array ToJson(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

std::string NetworkMode(const executor::Network& network) {
  switch (network.kind) {
    case NetworkKind::kNone: return "none";
    case NetworkKind::kBridge: return network.name;
    case NetworkKind::kContainer: return "container:" + network.name;
    case NetworkKind::kHost: return "host";
  }
  return "none";
}

// Not as a "mount": that form cannot say noexec.
json::object TmpfsOptions(const std::vector<executor::TmpfsMount>& mounts) {
  json::object object;
  for (const executor::TmpfsMount& mount : mounts) {
    std::string options =
        fmt::format("rw,{},{},{},mode={:o},uid={},gid={}", mount.nosuid ? "nosuid" : "suid",
                    mount.nodev ? "nodev" : "dev", mount.noexec ? "noexec" : "exec", mount.mode,
                    mount.uid, mount.gid);
    if (mount.size_bytes > 0) options += fmt::format(",size={}", mount.size_bytes);
    object[mount.container_path] = options;
  }
  return object;
}

// As "mounts": the shorter "binds" would make a missing host directory, owned by root.
json::array Mounts(const std::vector<executor::BindMount>& binds,
                   const std::vector<executor::PathMapping>& path_map) {
  json::array mounts;
  for (const executor::BindMount& bind : binds) {
    mounts.push_back({{"Type", "bind"},
                      {"Source", executor::ToEnginePath(path_map, bind.host_path)},
                      {"Target", bind.container_path},
                      {"ReadOnly", bind.read_only},
                      {"BindOptions", {{"Propagation", "rprivate"}}}});
  }
  return mounts;
}

json::array Ulimits(const ContainerSpec& spec) {
  json::array limits = {{{"Name", "core"}, {"Soft", 0}, {"Hard", 0}}};
  if (spec.nofile > 0)
    limits.push_back({{"Name", "nofile"}, {"Soft", spec.nofile}, {"Hard", spec.nofile}});
  return limits;
}

json::object HostConfig(const ContainerSpec& spec,
                        const std::vector<executor::PathMapping>& path_map) {
  json::array hosts;
  for (const auto& [name, address] : spec.extra_hosts)
    hosts.push_back(json::string(fmt::format("{}:{}", name, address)));
  json::object config = {
      {"NetworkMode", NetworkMode(spec.network)},
      {"ExtraHosts", hosts},
      {"Mounts", Mounts(spec.binds, path_map)},
      {"Tmpfs", TmpfsOptions(spec.tmpfs)},
      {"ReadonlyRootfs", spec.read_only_rootfs},
      {"CapDrop", json::array{"ALL"}},
      {"CapAdd", ToJson(spec.cap_add)},
      {"SecurityOpt", json::array{"no-new-privileges:true"}},
      {"Privileged", false},
      {"IpcMode", "private"},
      {"Ulimits", Ulimits(spec)},
      {"OomScoreAdj", spec.oom_score_adj},
      {"RestartPolicy", {{"Name", "no"}}},
      {"AutoRemove", false},
      {"LogConfig", {{"Type", "json-file"}, {"Config", {{"max-size", "64k"}, {"max-file", "1"}}}}},
  };
  // Zero would not always mean "no limit" to the Engine. Swappiness and kernel memory are left out
  // because cgroup v2 knows neither.
  if (spec.cpus > 0) config["NanoCpus"] = std::llround(spec.cpus * 1e9);
  if (spec.memory_bytes > 0) {
    config["Memory"] = spec.memory_bytes;
    config["MemorySwap"] = spec.memory_bytes;
  }
  if (spec.pids_limit > 0) config["PidsLimit"] = spec.pids_limit;
  if (spec.shm_bytes > 0) config["ShmSize"] = spec.shm_bytes;
  return config;
}

absl::Status Invalid(std::string_view what, std::string_view cause) {
  return executor::EngineAnswerInvalidError(what, cause);
}

// Reading: a null pointer stands for whatever is not there or of another type.
absl::StatusOr<json::value> ParseDocument(std::string_view what, std::string_view body) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(body.data(), body.size()), error);
  if (error) return Invalid(what, error.message());
  return value;
}

const json::value* At(const json::value* value, std::string_view key) {
  const json::object* object = value ? value->if_object() : nullptr;
  return object ? object->if_contains(json::string_view(key.data(), key.size())) : nullptr;
}

std::string Text(const json::value* value) {
  const json::string* text = value ? value->if_string() : nullptr;
  return text ? std::string(text->data(), text->size()) : std::string();
}

std::int64_t Number(const json::value* value) {
  boost::system::error_code error;
  const std::int64_t number = value ? value->to_number<std::int64_t>(error) : 0;
  return error ? 0 : number;
}

bool Flag(const json::value* value) {
  const bool* flag = value ? value->if_bool() : nullptr;
  return flag && *flag;
}

const json::array& Array(const json::value* value) {
  static const json::array kEmpty;
  const json::array* array = value ? value->if_array() : nullptr;
  return array ? *array : kEmpty;
}

std::vector<std::string> Texts(const json::value* value) {
  std::vector<std::string> texts;
  for (const json::value& element : Array(value)) texts.push_back(Text(&element));
  return texts;
}

executor::Labels ToLabels(const json::value* value) {
  executor::Labels labels;
  if (const json::object* object = value ? value->if_object() : nullptr) {
    for (const auto& member : *object) labels[std::string(member.key())] = Text(&member.value());
  }
  return labels;
}

// The Engine writes year 1 for "never".
std::optional<WallTime> ToWallTime(const json::value* value) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, Text(value), &time, &error) || time <= absl::UnixEpoch())
    return std::nullopt;
  return WallTime(Duration(absl::ToUnixNanos(time)));
}

std::optional<ContainerStatus> ToStatus(const std::string& word) {
  if (word == "created") return ContainerStatus::kCreated;
  if (word == "running" || word == "restarting") return ContainerStatus::kRunning;
  if (word == "paused") return ContainerStatus::kPaused;
  if (word == "exited") return ContainerStatus::kExited;
  if (word == "dead" || word == "removing") return ContainerStatus::kDead;
  return std::nullopt;
}

}  // namespace

std::string CreateContainerBody(const ContainerSpec& spec,
                                const std::vector<executor::PathMapping>& path_map) {
  json::object body = {
      {"Image", spec.image},
      {"Labels", ToJson(spec.labels)},
      // All of it as the entrypoint, which makes the Engine forget the image's command as well.
      {"Entrypoint", ToJson(spec.argv)},
      {"Cmd", json::array()},
      {"Env", ToJson(spec.env)},
      {"User", spec.user},
      {"WorkingDir", spec.working_dir},
      {"Hostname", spec.hostname},
      {"StopSignal", "SIGTERM"},
      {"StopTimeout", spec.stop_timeout_seconds},
      {"Healthcheck", {{"Test", json::array{"NONE"}}}},
      {"HostConfig", HostConfig(spec, path_map)},
  };
  return json::serialize(body);
}

std::string CommitBody(const executor::Labels& labels) {
  json::object values;
  for (const auto& [key, value] : labels) values[key] = value;
  return json::serialize(json::object{{"Labels", values}, {"Cmd", json::array{"/bin/sh"}}});
}

std::string CreateNetworkBody(const executor::NetworkSpec& spec) {
  json::object body = {
      {"Name", spec.name},
      {"CheckDuplicate", true},
      {"Driver", "bridge"},
      {"Labels", {{executor::kLabelFarm, spec.farm}}},
      {"Options", {{kOptionIcc, "false"}}},
  };
  if (!spec.subnet.empty())
    body["IPAM"] = {{"Driver", "default"}, {"Config", json::array{{{"Subnet", spec.subnet}}}}};
  return json::serialize(body);
}

std::string LabelFilter(const executor::Labels& labels) {
  json::array filters;
  for (const auto& [key, value] : labels)
    filters.push_back(json::string(fmt::format("{}={}", key, value)));
  return json::serialize(json::object{{"label", filters}});
}

std::string ReplacedImagesFilter(const std::string& key) {
  return json::serialize(
      json::object{{"dangling", json::array{"true"}}, {"label", json::array{key}}});
}

void PullProgress::Add(std::string_view piece) {
  constexpr std::size_t kMaxLine = 64 * 1024;
  rest_ += piece;
  for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
    if (const absl::StatusOr<json::value> line = ParseDocument("", rest_.substr(0, end));
        line.ok()) {
      std::string error = Text(At(&*line, "error"));
      // A pull that did not even begin.
      if (error.empty()) error = Text(At(&*line, "message"));
      if (!error.empty()) error_ = error.substr(0, 2000);
    }
    rest_.erase(0, end + 1);
  }
  if (rest_.size() > kMaxLine) rest_.clear();
}

std::string PullProgress::TakeError() {
  Add("\n");
  return std::move(error_);
}

absl::StatusOr<executor::EngineInfo> ParseEngineInfo(std::string_view body) {
  SLIPWAY_ASSIGN_OR_RETURN(const json::value info, ParseDocument("info", body));
  executor::EngineInfo result;
  result.version = Text(At(&info, "ServerVersion"));
  if (result.version.empty()) return Invalid("info", "no ServerVersion");
  // Engines on cgroup v1 need not say so.
  result.cgroup_version = Text(At(&info, "CgroupVersion")) == "2" ? 2 : 1;
  result.storage_driver = Text(At(&info, "Driver"));
  result.cpus = static_cast<int>(Number(At(&info, "NCPU")));
  result.memory_bytes = Number(At(&info, "MemTotal"));
  result.root_dir = Text(At(&info, "DockerRootDir"));
  return result;
}

absl::StatusOr<executor::ImageInfo> ParseImage(std::string_view body) {
  SLIPWAY_ASSIGN_OR_RETURN(const json::value image, ParseDocument("image inspect", body));
  executor::ImageInfo result;
  result.id = Text(At(&image, "Id"));
  if (result.id.empty()) return Invalid("image inspect", "no Id");
  result.repo_digests = Texts(At(&image, "RepoDigests"));
  result.labels = ToLabels(At(At(&image, "Config"), "Labels"));
  result.size_bytes = Number(At(&image, "Size"));
  return result;
}

absl::StatusOr<NetworkDescription> ParseNetwork(std::string_view body) {
  SLIPWAY_ASSIGN_OR_RETURN(const json::value network, ParseDocument("network inspect", body));
  NetworkDescription result;
  result.info.id = Text(At(&network, "Id"));
  result.name = Text(At(&network, "Name"));
  if (result.info.id.empty() || result.name.empty())
    return Invalid("network inspect", "no Id or Name");
  for (const json::value& pool : Array(At(At(&network, "IPAM"), "Config"))) {
    if (result.info.gateway.empty()) result.info.gateway = Text(At(&pool, "Gateway"));
  }
  result.driver = Text(At(&network, "Driver"));
  result.labels = ToLabels(At(&network, "Labels"));
  result.containers_may_talk = Text(At(At(&network, "Options"), kOptionIcc)) != "false";
  return result;
}

absl::StatusOr<executor::CreatedContainer> ParseCreated(std::string_view body) {
  SLIPWAY_ASSIGN_OR_RETURN(const json::value created, ParseDocument("container create", body));
  executor::CreatedContainer result{.id = executor::ContainerId(Text(At(&created, "Id"))),
                                    .warnings = Texts(At(&created, "Warnings"))};
  if (result.id.value().empty()) return Invalid("container create", "no Id");
  return result;
}

absl::StatusOr<executor::ContainerState> ParseContainerState(std::string_view body) {
  SLIPWAY_ASSIGN_OR_RETURN(const json::value container, ParseDocument("container inspect", body));
  const json::value* const state = At(&container, "State");
  const std::optional<ContainerStatus> status = ToStatus(Text(At(state, "Status")));
  if (!status) return Invalid("container inspect", "no State.Status that is known");
  executor::ContainerState result;
  result.status = *status;
  result.pid = static_cast<int>(Number(At(state, "Pid")));
  result.exit_code = static_cast<int>(Number(At(state, "ExitCode")));
  result.oom_killed = Flag(At(state, "OOMKilled"));
  result.error = Text(At(state, "Error"));
  result.started = ToWallTime(At(state, "StartedAt"));
  result.finished = ToWallTime(At(state, "FinishedAt"));
  // The Engine may note the start of a short program only after it saw its end.
  if (result.status == ContainerStatus::kExited && result.started && result.finished)
    result.started = std::min(*result.started, *result.finished);
  return result;
}

absl::StatusOr<std::vector<executor::ContainerSummary>> ParseContainerList(std::string_view body) {
  SLIPWAY_ASSIGN_OR_RETURN(const json::value list, ParseDocument("container list", body));
  if (!list.is_array()) return Invalid("container list", "not an array");
  std::vector<executor::ContainerSummary> result;
  for (const json::value& container : list.get_array()) {
    executor::ContainerSummary summary;
    summary.id = executor::ContainerId(Text(At(&container, "Id")));
    const std::optional<ContainerStatus> status = ToStatus(Text(At(&container, "State")));
    if (summary.id.value().empty() || !status)
      return Invalid("container list", "a container without Id or State");
    summary.status = *status;
    summary.labels = ToLabels(At(&container, "Labels"));
    const std::vector<std::string> names = Texts(At(&container, "Names"));
    if (!names.empty()) summary.name = names.front().substr(names.front().starts_with('/') ? 1 : 0);
    result.push_back(std::move(summary));
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> ParseImageIds(std::string_view body) {
  SLIPWAY_ASSIGN_OR_RETURN(const json::value list, ParseDocument("image list", body));
  if (!list.is_array()) return Invalid("image list", "not an array");
  std::vector<std::string> ids;
  for (const json::value& image : list.get_array()) {
    ids.push_back(Text(At(&image, "Id")));
    if (ids.back().empty()) return Invalid("image list", "an image without Id");
  }
  return ids;
}

std::string ErrorWords(std::string_view body) {
  constexpr std::size_t kMaxWords = 2000;
  std::string words(body.substr(0, kMaxWords));
  if (const absl::StatusOr<json::value> answer = ParseDocument("", body); answer.ok()) {
    const std::string message = Text(At(&*answer, "message"));
    if (!message.empty()) words = message.substr(0, kMaxWords);
  }
  while (words.ends_with('\n')) words.pop_back();
  return words;
}

std::string DemultiplexLog(std::string_view body, std::size_t max_bytes) {
  constexpr std::size_t kHeader = 8;  // stream, three zeros, big-endian length
  std::string text;
  while (body.size() >= kHeader && body.substr(1, 3) == std::string_view("\0\0\0", 3)) {
    std::size_t length = 0;
    for (std::size_t i = 4; i < kHeader; ++i)
      length = length << 8 | static_cast<unsigned char>(body[i]);
    text += body.substr(kHeader, length);
    body.remove_prefix(std::min(body.size(), kHeader + length));
  }
  if (text.size() > max_bytes) text.erase(0, text.size() - max_bytes);
  return text;
}

}  // namespace slipway::docker
