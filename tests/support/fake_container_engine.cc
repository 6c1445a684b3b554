#include "tests/support/fake_container_engine.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <utility>

#include "agent/executor/engine_errors.h"
#include "common/base/check.h"
#include "common/base/ids.h"
#include "common/status/status.h"

namespace slipway::testing {

using executor::ContainerId;
using executor::ContainerSpec;
using executor::ContainerState;
using executor::ContainerStatus;
using executor::CreatedContainer;
using executor::NetworkKind;

void FakeContainerEngine::AddImage(const std::string& name, executor::ImageInfo info) {
  const std::lock_guard lock(mu_);
  if (info.id.empty()) info.id = "sha256:" + name;
  images_[name] = std::move(info);
}

void FakeContainerEngine::AddRemoteImage(const std::string& name, executor::ImageInfo info) {
  const std::lock_guard lock(mu_);
  if (info.id.empty()) info.id = "sha256:" + name;
  info.repo_digests = {name + "@" + info.id};
  remote_images_[name] = std::move(info);
}

void FakeContainerEngine::AddReplacedImage(const std::string& id, const std::string& label_key) {
  const std::lock_guard lock(mu_);
  replaced_images_[id] = label_key;
}

bool FakeContainerEngine::HasImage(const std::string& name) const {
  const std::lock_guard lock(mu_);
  return images_.contains(name) || replaced_images_.contains(name);
}

void FakeContainerEngine::AddForeignNetwork(const std::string& name) {
  const std::lock_guard lock(mu_);
  networks_[name] = "";
}

ContainerId FakeContainerEngine::AddContainer(const std::string& name, executor::Labels labels) {
  const std::lock_guard lock(mu_);
  const ContainerId id = NextId();
  Container& container = containers_[id];
  container.spec.name = name;
  container.spec.labels = std::move(labels);
  container.state.status = ContainerStatus::kRunning;
  return id;
}

void FakeContainerEngine::AllowHostNetwork() {
  const std::lock_guard lock(mu_);
  host_network_ = true;
}

void FakeContainerEngine::FailNext(Op op, absl::Status status) {
  SLIPWAY_CHECK(!status.ok());
  const std::lock_guard lock(mu_);
  faults_.emplace(op, Fault{std::move(status)});
}

void FakeContainerEngine::LoseNextAnswer(Op op) {
  const std::lock_guard lock(mu_);
  faults_.emplace(op, Fault{absl::OkStatus()});
}

void FakeContainerEngine::SetDown(bool down) {
  const std::lock_guard lock(mu_);
  if (down && !down_) ++times_lost_;
  down_ = down;
}

void FakeContainerEngine::OnStart(StartHook hook) {
  const std::lock_guard lock(mu_);
  on_start_ = std::move(hook);
}

void FakeContainerEngine::OnKill(KillHook hook) {
  const std::lock_guard lock(mu_);
  on_kill_ = std::move(hook);
}

void FakeContainerEngine::Exit(const ContainerId& id, int exit_code, bool oom_killed) {
  const std::lock_guard lock(mu_);
  Stop(containers_.at(id), exit_code, oom_killed);
}

void FakeContainerEngine::Print(const ContainerId& id, const std::string& text) {
  const std::lock_guard lock(mu_);
  containers_.at(id).log += text;
}

void FakeContainerEngine::Disappear(const ContainerId& id) {
  const std::lock_guard lock(mu_);
  containers_.erase(id);
  changed_.notify_all();
}

std::vector<FakeContainerEngine::Call> FakeContainerEngine::calls() const {
  const std::lock_guard lock(mu_);
  return calls_;
}

std::vector<ContainerId> FakeContainerEngine::containers() const {
  const std::lock_guard lock(mu_);
  std::vector<ContainerId> ids;
  for (const auto& [id, container] : containers_) ids.push_back(id);
  return ids;
}

ContainerSpec FakeContainerEngine::spec(const ContainerId& id) const {
  const std::lock_guard lock(mu_);
  return containers_.at(id).spec;
}

absl::StatusOr<executor::EngineInfo> FakeContainerEngine::Ping(Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kPing, .subject = ""}));
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kPing));
  return executor::EngineInfo{.version = "20.10.24",
                              .api_version = "1.41",
                              .cgroup_version = 2,
                              .storage_driver = "memory",
                              .cpus = 2,
                              .memory_bytes = std::int64_t{8} << 30,
                              .root_dir = ""};
}

absl::StatusOr<executor::ImageInfo> FakeContainerEngine::InspectImage(const std::string& name,
                                                                      Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kInspectImage, .subject = name}));
  SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
  const auto image = images_.find(name);
  if (image == images_.end()) return executor::ImageMissingError(name, "No such image: " + name);
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kInspectImage));
  return image->second;
}

absl::Status FakeContainerEngine::PullImage(const std::string& name, Duration,
                                            const std::stop_token& stop) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kPullImage, .subject = name}));
  SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
  if (stop.stop_requested()) return absl::CancelledError("canceled");
  const auto image = remote_images_.find(name);
  if (image == remote_images_.end()) return executor::ImageMissingError(name, "manifest unknown");
  images_[name] = image->second;
  return Leave(Op::kPullImage);
}

absl::Status FakeContainerEngine::RemoveImage(const std::string& name, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kRemoveImage, .subject = name}));
  SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
  for (const auto& [id, container] : containers_) {
    if (container.spec.image == name) return executor::ImageInUseError(name, id.value());
  }
  images_.erase(name);
  replaced_images_.erase(name);
  return Leave(Op::kRemoveImage);
}

absl::Status FakeContainerEngine::CommitImage(const ContainerId& id, const std::string& name,
                                              const executor::Labels& labels, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kCommitImage, .subject = id.value()}));
  SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
  const auto container = std::find_if(containers_.begin(), containers_.end(), [&](const auto& c) {
    return c.first == id || c.second.spec.name == id.value();
  });
  if (container == containers_.end()) return absl::NotFoundError("no such container");
  executor::ImageInfo image{.id = NewId("sha256:"),
                            .repo_digests = {},
                            .labels = container->second.spec.labels,
                            .size_bytes = 1};
  for (const auto& [key, value] : labels) image.labels.insert_or_assign(key, value);
  images_.insert_or_assign(name, std::move(image));
  return Leave(Op::kCommitImage);
}

absl::Status FakeContainerEngine::SaveLayer(const std::string& name, const std::string& dir,
                                            Duration, const std::stop_token&) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kSaveLayer, .subject = name}));
  const auto image = images_.find(name);
  if (image == images_.end()) return executor::ImageMissingError(name, "No such image: " + name);
  const std::string token = NewId("saved-");
  saved_images_[token] = image->second;
  if (mkdir(dir.c_str(), 0700) != 0) return absl::AlreadyExistsError(dir);
  std::ofstream(dir + "/token") << token;
  return Leave(Op::kSaveLayer);
}

absl::Status FakeContainerEngine::LoadLayer(const std::string& dir, const std::string& name,
                                            Duration, const std::stop_token&) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kLoadLayer, .subject = dir}));
  std::string token;
  std::ifstream(dir + "/token") >> token;
  const auto saved = saved_images_.find(token);
  if (saved == saved_images_.end()) return absl::InvalidArgumentError("not a saved image");
  images_.insert_or_assign(name, saved->second);
  return Leave(Op::kLoadLayer);
}

absl::StatusOr<std::vector<std::string>> FakeContainerEngine::ListReplacedImages(
    const std::string& key, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kListReplacedImages, .subject = key}));
  std::vector<std::string> ids;
  for (const auto& [id, label] : replaced_images_) {
    if (label == key) ids.push_back(id);
  }
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kListReplacedImages));
  return ids;
}

std::uint64_t FakeContainerEngine::TimesLost() const {
  const std::lock_guard lock(mu_);
  return times_lost_;
}

absl::StatusOr<executor::NetworkInfo> FakeContainerEngine::EnsureNetwork(
    const executor::NetworkSpec& spec, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kEnsureNetwork, .subject = spec.name}));
  SLIPWAY_RETURN_IF_ERROR(executor::ValidateResourceName(spec.name));
  const auto [network, created] = networks_.try_emplace(spec.name, spec.farm);
  if (network->second != spec.farm) return executor::NetworkNotOursError(spec.name);
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kEnsureNetwork));
  return executor::NetworkInfo{.id = "net-" + spec.name, .gateway = "10.90.0.1"};
}

absl::StatusOr<CreatedContainer> FakeContainerEngine::Create(const ContainerSpec& spec, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kCreate, .subject = spec.name}));
  SLIPWAY_RETURN_IF_ERROR(executor::Validate(spec));
  if (spec.network.kind == NetworkKind::kHost && !host_network_)
    return executor::HostNetworkRefusedError(spec.name);
  if (!images_.contains(spec.image))
    return executor::ImageMissingError(spec.image, "No such image: " + spec.image);
  if (Lookup(ContainerId(spec.name)) != containers_.end()) {
    return executor::NameTakenError(fmt::format("container name \"{}\" is in use", spec.name));
  }
  const ContainerId id = NextId();
  containers_[id].spec = spec;
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kCreate));
  return CreatedContainer{.id = id, .warnings = {}};
}

absl::Status FakeContainerEngine::Start(const ContainerId& id, Duration) {
  StartHook hook;
  ContainerSpec spec;
  {
    const std::lock_guard lock(mu_);
    SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kStart, .subject = id.value()}));
    SLIPWAY_ASSIGN_OR_RETURN(Container* const container, Find(id));
    if (container->state.status == ContainerStatus::kRunning) return Leave(Op::kStart);
    container->state = {.status = ContainerStatus::kRunning,
                        .pid = 1000,
                        .exit_code = 0,
                        .oom_killed = false,
                        .error = "",
                        .started = SystemClock().Wall(),
                        .finished = {}};
    hook = on_start_;
    spec = container->spec;
  }
  if (hook) hook(id, spec);
  const std::lock_guard lock(mu_);
  return Leave(Op::kStart);
}

absl::StatusOr<ContainerState> FakeContainerEngine::Inspect(const ContainerId& id, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kInspect, .subject = id.value()}));
  SLIPWAY_ASSIGN_OR_RETURN(Container* const container, Find(id));
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kInspect));
  return container->state;
}

absl::StatusOr<ContainerState> FakeContainerEngine::Wait(const ContainerId& id, Duration timeout) {
  std::unique_lock lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kWait, .subject = id.value()}));
  SLIPWAY_RETURN_IF_ERROR(Find(id).status());
  const auto stopped = [&] {
    const auto found = containers_.find(id);
    return found == containers_.end() || found->second.state.status != ContainerStatus::kRunning;
  };
  if (!changed_.wait_for(lock, timeout, stopped))
    return MakeError(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT", "it runs still");
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kWait));
  SLIPWAY_ASSIGN_OR_RETURN(Container* const container, Find(id));
  return container->state;
}

absl::Status FakeContainerEngine::Rename(const ContainerId& id, const std::string& name, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(executor::ValidateResourceName(name));
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kRename, .subject = id.value()}));
  SLIPWAY_ASSIGN_OR_RETURN(Container* const container, Find(id));
  if (Lookup(ContainerId(name)) != containers_.end()) {
    return executor::NameTakenError(fmt::format("container name \"{}\" is in use", name));
  }
  container->spec.name = name;
  return Leave(Op::kRename);
}

absl::Status FakeContainerEngine::Kill(const ContainerId& id, int signal, Duration) {
  KillHook hook;
  {
    const std::lock_guard lock(mu_);
    SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kKill, .subject = id.value(), .signal = signal}));
    SLIPWAY_ASSIGN_OR_RETURN(Container* const container, Find(id));
    if (container->state.status != ContainerStatus::kRunning)
      return MakeError(absl::StatusCode::kAborted, "CONTAINER_NOT_RUNNING",
                       fmt::format("container {} is not running", id.value()));
    if (signal == SIGKILL) Stop(*container, 128 + SIGKILL, false);
    hook = on_kill_;
  }
  if (hook) hook(id, signal);
  const std::lock_guard lock(mu_);
  return Leave(Op::kKill);
}

absl::Status FakeContainerEngine::Remove(const ContainerId& id, bool force, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kRemove, .subject = id.value(), .force = force}));
  SLIPWAY_RETURN_IF_ERROR(executor::ValidateResourceName(id.value()));
  const auto found = Lookup(id);
  if (found != containers_.end()) {
    if (found->second.state.status == ContainerStatus::kRunning && !force)
      return absl::AbortedError(fmt::format("container {} is running", id.value()));
    containers_.erase(found);
    changed_.notify_all();
  }
  return Leave(Op::kRemove);
}

absl::StatusOr<std::vector<executor::ContainerSummary>> FakeContainerEngine::List(
    const executor::Labels& labels, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kList, .subject = ""}));
  std::vector<executor::ContainerSummary> found;
  for (const auto& [id, container] : containers_) {
    const executor::Labels& own = container.spec.labels;
    bool all = true;
    for (const auto& [key, value] : labels) {
      const auto label = own.find(key);
      all = all && label != own.end() && label->second == value;
    }
    if (all)
      found.push_back(
          {.id = id, .name = container.spec.name, .labels = own, .status = container.state.status});
  }
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kList));
  return found;
}

absl::StatusOr<std::string> FakeContainerEngine::LogTail(const ContainerId& id, Duration) {
  const std::lock_guard lock(mu_);
  SLIPWAY_RETURN_IF_ERROR(Enter({.op = Op::kLogTail, .subject = id.value()}));
  SLIPWAY_ASSIGN_OR_RETURN(Container* const container, Find(id));
  SLIPWAY_RETURN_IF_ERROR(Leave(Op::kLogTail));
  const std::string& log = container->log;
  return log.size() <= kMaxLogBytes ? log : log.substr(log.size() - kMaxLogBytes);
}

absl::Status FakeContainerEngine::Enter(Call call) {
  const Op op = call.op;
  calls_.push_back(std::move(call));
  if (down_) return executor::NoDockerEngineError("/var/run/docker.sock", "Connection refused");
  const auto fault = faults_.find(op);
  if (fault == faults_.end() || fault->second.status.ok()) return absl::OkStatus();
  absl::Status status = std::move(fault->second.status);
  faults_.erase(fault);
  return status;
}

absl::Status FakeContainerEngine::Leave(Op op) {
  const auto fault = faults_.find(op);
  if (fault == faults_.end() || !fault->second.status.ok()) return absl::OkStatus();
  faults_.erase(fault);
  return MakeError(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT",
                   "the Docker Engine gave no answer in time");
}

std::map<ContainerId, FakeContainerEngine::Container>::iterator FakeContainerEngine::Lookup(
    const ContainerId& id) {
  const auto found = containers_.find(id);
  if (found != containers_.end()) return found;
  return std::find_if(containers_.begin(), containers_.end(),
                      [&](const auto& one) { return one.second.spec.name == id.value(); });
}

absl::StatusOr<FakeContainerEngine::Container*> FakeContainerEngine::Find(const ContainerId& id) {
  SLIPWAY_RETURN_IF_ERROR(executor::ValidateResourceName(id.value()));
  const auto found = Lookup(id);
  if (found == containers_.end())
    return absl::NotFoundError(fmt::format("No such container: {}", id.value()));
  return &found->second;
}

ContainerId FakeContainerEngine::NextId() {
  return ContainerId(fmt::format("{:064x}", next_number_++));
}

void FakeContainerEngine::Stop(Container& container, int exit_code, bool oom_killed) {
  container.state.status = ContainerStatus::kExited;
  container.state.pid = 0;
  container.state.exit_code = exit_code;
  container.state.oom_killed = oom_killed;
  container.state.finished = SystemClock().Wall();
  changed_.notify_all();
}

}  // namespace slipway::testing
