#include "agent/runner/runner.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <utility>

#include "agent/artifacts/retry.h"
#include "agent/runner/build_attempt.h"
#include "agent/runner/failures.h"
#include "agent/runner/publish_attempt.h"
#include "common/git/trash.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

using namespace std::chrono_literals;

constexpr auto kRemovePause = 2s;
// Between tries to take up a publish whose client may run, and how long they go on: far longer than
// a client is given.
constexpr artifacts::RetryOptions kTakeUpRetry = {.first_wait = 500ms, .longest_wait = 30s};
constexpr Duration kTakeUpPatience = 1h;
// For the log of one that has finished: after it the result goes without the rest.
constexpr Duration kOpenPatience = 1min;

// For this account alone: work directories may lie where everybody may look.
absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoError(error.value(), path);
  return chmod(path.c_str(), 0700) == 0 ? absl::OkStatus() : ErrnoError(errno, path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Runner>> Runner::Create(RunnerOptions options, RunnerParts parts) {
  SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(options.data_dir + "/attempts"));
  SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(options.work_dir + "/run"));
  SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(options.work_dir + "/lent"));
  return std::unique_ptr<Runner>(new Runner(std::move(options), std::move(parts)));
}

Runner::Runner(RunnerOptions options, RunnerParts parts)
    : options_(std::move(options)), parts_(std::move(parts)) {}

Runner::~Runner() {
  (void)Stop(Duration::zero());
  for (auto& [key, attempt] : attempts_) {
    if (attempt.deleter.joinable()) attempt.deleter.join();
    if (attempt.worker.joinable()) attempt.worker.join();
  }
}

Runner::Attempt& Runner::Get(const AttemptKey& key) {
  const std::lock_guard lock(mu_);
  return attempts_[key];
}

void Runner::Start(const agent::StartAttempt& order) {
  Launch({.key = order.key,
          .kind = order.kind,
          .spec = order.spec,
          .phase = protocol::AttemptPhase::kRunning,
          .publish_started = false},
         false);
}

void Runner::Adopt(const agent::AdoptAttempt& order) { Launch(order, true); }

void Runner::Launch(const agent::AdoptAttempt& order, bool adopt) {
  Attempt& attempt = Get(order.key);
  if (attempt.deleting) return;
  // Started again after it vanished: its first thread is at its end.
  if (attempt.worker.joinable()) attempt.worker.join();
  {
    const std::lock_guard lock(mu_);
    ++threads_;
  }
  attempt.worker = std::thread([this, &attempt, order, adopt] {
    Work(attempt, order, adopt);
    const std::lock_guard lock(mu_);
    --threads_;
    changed_.notify_all();
  });
}

void Runner::Cancel(const AttemptKey& key) { Get(key).control.RequestCancel(); }

void Runner::GivePermit(agent::GivePermit& order) {
  ClientPermit permit{.nonce = order.nonce,
                      .secret = crypto::SecretBytes::CopyOf(order.secret),
                      .valid_until = order.valid_until,
                      .deadline = order.deadline};
  crypto::Wipe(order.secret.data(), order.secret.size());
  order.secret.clear();
  Get(order.key).control.Answer(std::move(permit));
}

void Runner::DenyPermit(const agent::DenyPermit& order) {
  Get(order.key).control.Answer(order.failure);
}

void Runner::FreeSpool(const AttemptKey& key, std::uint64_t below) {
  if (const auto log = LogOf(key)) log->SetDurable(below);
}

std::shared_ptr<AttemptLog> Runner::LogOf(const AttemptKey& key) {
  const std::lock_guard lock(mu_);
  const auto it = attempts_.find(key);
  return it == attempts_.end() ? nullptr : it->second.log;
}

std::set<AttemptKey> Runner::Held() {
  const std::lock_guard lock(mu_);
  std::set<AttemptKey> held;
  for (const auto& [key, attempt] : attempts_) held.insert(key);
  return held;
}

absl::StatusOr<std::set<executor::ContainerId>> Runner::HeldContainers() {
  std::set<executor::ContainerId> containers;
  for (const AttemptKey& key : Held()) {
    const absl::StatusOr<Progress> progress = LoadProgress(PathsOf(options_, key).dir);
    if (absl::IsNotFound(progress.status())) continue;
    SLIPWAY_RETURN_IF_ERROR(progress.status());
    if (!progress->container.empty()) {
      containers.insert(executor::ContainerId(progress->container));
    }
  }
  return containers;
}

absl::Status Runner::RemoveContainers(const AttemptKey& key, Duration timeout) {
  SLIPWAY_RETURN_IF_ERROR(parts_.engine.Remove(
      executor::ContainerId(ContainerName(options_.owner, key)), true, timeout));
  // One of the pool gets the attempt's name a moment after it was taken.
  const absl::StatusOr<Progress> progress = LoadProgress(PathsOf(options_, key).dir);
  if (!progress.ok() || progress->container.empty()) return absl::OkStatus();
  const executor::ContainerId container(progress->container);
  SLIPWAY_RETURN_IF_ERROR(parts_.engine.Remove(container, true, timeout));
  parts_.pool.Gone(container);
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> Runner::ReadLog(const AttemptKey& key, std::uint64_t offset,
                                            char* buffer, std::size_t size) {
  const auto log = LogOf(key);
  if (log == nullptr) return absl::NotFoundError("no such attempt");
  return log->Read(offset, buffer, size);
}

std::vector<initlink::TimeMark> Runner::LogMarks(const AttemptKey& key, std::uint64_t begin,
                                                 std::uint64_t end) {
  const auto log = LogOf(key);
  if (log == nullptr) return {};
  return log->Marks(begin, end);
}

void Runner::Work(Attempt& attempt, const agent::AdoptAttempt& order, bool adopt) {
  {
    const std::lock_guard lock(mu_);
    attempt.log = nullptr;  // of a first life: one at a time follows the spool
  }
  const bool finished = order.phase == protocol::AttemptPhase::kFinished;
  const MonoTime give_up = clock_.Mono() + (finished ? kOpenPatience : kTakeUpPatience);
  artifacts::Backoff backoff(kTakeUpRetry);
  for (;;) {
    const absl::StatusOr<std::unique_ptr<AttemptContext>> context = Begin(attempt, order, adopt);
    if (context.ok()) {
      if (*context != nullptr) Finish(attempt, **context, order, adopt);
      return;
    }
    log::Error("attempt_not_taken_up",
               {{"task", order.key.task.value()}, {"why", Describe(context.status())}});
    // To end its container would be to kill what may be in the middle of an upload.
    const bool shorter = absl::IsDataLoss(context.status());
    const bool worth = (finished && !shorter) || (order.publish_started && HasContainer(order.key));
    if (!worth || clock_.Mono() >= give_up || !attempt.control.Wait(backoff.Next())) {
      return GiveUp(attempt, order.key, context.status());
    }
  }
}

absl::StatusOr<std::unique_ptr<AttemptContext>> Runner::Begin(Attempt& attempt,
                                                              const agent::AdoptAttempt& order,
                                                              bool adopt) {
  const AttemptKey& key = order.key;
  const AttemptPaths paths = PathsOf(options_, key);
  SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(paths.dir));
  std::shared_ptr<AttemptLog> spool = LogOf(key);
  if (spool == nullptr) {
    SLIPWAY_ASSIGN_OR_RETURN(
        spool, AttemptLog::Open(paths.dir, [this, key](std::uint64_t begin, std::uint64_t end) {
          parts_.post(agent::LogGrew{.key = key, .begin = begin, .end = end});
        }));
    const std::lock_guard lock(mu_);
    attempt.log = spool;
  }
  if (order.phase == protocol::AttemptPhase::kFinished) {
    // Its end was reported; a container that a crash left behind has nothing more to say.
    (void)RemoveContainers(key, options_.engine_timeout);
    if (spool->Size() < order.log_end) {
      return absl::DataLossError(
          fmt::format("the log has {} of the {} bytes that it had", spool->Size(), order.log_end));
    }
    return nullptr;
  }
  SLIPWAY_ASSIGN_OR_RETURN(TaskSpec task, parts_.parse_spec(order.spec));
  const auto* publish = std::get_if<PublishWork>(&task.work);
  const auto* build = std::get_if<BuildWork>(&task.work);
  const protocol::TaskKind ordered =
      publish == nullptr ? build->script ? protocol::TaskKind::kScript : protocol::TaskKind::kBuild
      : publish->probe   ? protocol::TaskKind::kProbe
      : publish->preview() ? protocol::TaskKind::kPreview
                           : protocol::TaskKind::kPublish;
  if (ordered != order.kind) {
    return absl::InvalidArgumentError("task and order differ in kind");
  }
  absl::StatusOr<Progress> saved = LoadProgress(paths.dir);
  const bool known = adopt && saved.ok();
  // Without it a container that lives would be taken for lost.
  if (adopt && !saved.ok() && saved.status().code() != absl::StatusCode::kNotFound) {
    return saved.status();
  }
  Progress progress;
  if (saved.ok()) progress = *std::move(saved);
  // Also when the machine went down before what was saved had reached the disk.
  if (progress.started_at == WallTime()) progress.started_at = clock_.Wall();
  if (!adopt) progress.container.clear();
  auto context = std::make_unique<AttemptContext>(options_, parts_, key, std::move(task),
                                                  attempt.control, *spool, std::move(progress));
  // What is known is not written again: a disk may be full, and a container waits to be taken up.
  if (!known) SLIPWAY_RETURN_IF_ERROR(context->Save());
  return context;
}

bool Runner::HasContainer(const AttemptKey& key) {
  const auto state = parts_.engine.Inspect(
      executor::ContainerId(ContainerName(options_.owner, key)), options_.engine_timeout);
  return state.status().code() != absl::StatusCode::kNotFound;
}

void Runner::GiveUp(Attempt& attempt, const AttemptKey& key, const absl::Status& why) {
  if (attempt.control.leaving()) return;
  // What is left of it must not write into a log that is sealed.
  const absl::Status removed = RemoveContainers(key, options_.engine_timeout);
  const std::shared_ptr<AttemptLog> spool = LogOf(key);
  if (attempt.control.leaving()) return;
  parts_.post(agent::AttemptNotTakenUp{
      .key = key,
      .failure = FailureOf(why),
      .log = spool == nullptr ? AttemptLog::Unreadable(PathsOf(options_, key).dir)
                              : spool->Seal([&] { return attempt.control.leaving(); }),
      .client_ended = removed.ok()});
}

void Runner::Finish(Attempt& attempt, AttemptContext& context, const agent::AdoptAttempt& order,
                    bool adopt) {
  const AttemptKey& key = order.key;
  AttemptEnd end = RunTask(context, order, adopt);
  attempt.settled = context.settled.has_value();
  if (std::holds_alternative<Left>(end)) return;
  const protocol::LogSummary summary = context.log.Seal([&] { return context.control.leaving(); });
  if (auto* result = std::get_if<protocol::AttemptResult>(&end)) {
    result->log = summary;
    log::Info("attempt_ended", {{"task", key.task.value()},
                                {"attempt", std::to_string(key.attempt.value())},
                                {"result", result->ok() ? "ok" : result->failure->reason}});
    parts_.post(agent::AttemptEnded{.key = key, .result = std::move(*result)});
  } else {
    log::Warn("attempt_vanished", {{"task", key.task.value()}});
    parts_.post(agent::AttemptVanished{
        .key = key, .log = summary, .client_ended = std::get<Vanished>(end).ended});
  }
  if (!context.settled) return;
  // The controller may be away for long. What the Engine does not remove now goes with the attempt.
  (void)attempt.control.Wait(*context.settled + options_.linger - clock_.Mono());
  if (!attempt.control.leaving()) (void)RemoveContainers(key, options_.linger_timeout);
}

AttemptEnd Runner::RunTask(AttemptContext& context, const agent::AdoptAttempt& order, bool adopt) {
  log::Info(adopt ? "attempt_adopted" : "attempt_started",
            {{"task", order.key.task.value()},
             {"attempt", std::to_string(order.key.attempt.value())},
             {"kind", order.kind == protocol::TaskKind::kBuild     ? "build"
                      : order.kind == protocol::TaskKind::kScript  ? "script"
                      : order.kind == protocol::TaskKind::kPublish ? "publish"
                      : order.kind == protocol::TaskKind::kPreview ? "preview"
                                                                   : "probe"}});
  if (protocol::RunsScript(order.kind)) {
    if (adopt && context.progress.container.empty()) {
      context.Say("the agent was restarted before the script began; beginning anew");
    }
    return BuildAttempt(context).Run();
  }
  PublishAttempt publish(context);
  return adopt ? publish.Adopt(order.publish_started) : publish.Run();
}

void Runner::Delete(const AttemptKey& key) {
  Attempt& attempt = Get(key);
  if (attempt.deleting) return;
  attempt.deleting = true;
  attempt.control.RequestAbandon();
  {
    const std::lock_guard lock(mu_);
    ++threads_;
  }
  attempt.deleter = std::thread([this, &attempt, key] {
    if (attempt.worker.joinable()) attempt.worker.join();
    RemoveEverything(attempt, key);
    const std::lock_guard lock(mu_);
    --threads_;
    changed_.notify_all();
  });
}

absl::Status Runner::GiveBack(const AttemptKey& key) {
  const AttemptPaths paths = PathsOf(options_, key);
  std::string network;
  if (const absl::StatusOr<Progress> progress = LoadProgress(paths.dir); progress.ok()) {
    network = progress->network;
  }
  for (const AttemptKey& other : Held()) {
    if (network.empty() || other == key) continue;
    const absl::StatusOr<Progress> theirs = LoadProgress(PathsOf(options_, other).dir);
    if (theirs.ok() && theirs->network == network) network.clear();
  }
  parts_.networks.Return(key, network);
  return parts_.trees.Return(paths.tree);
}

void Runner::RemoveEverything(Attempt& attempt, const AttemptKey& key) {
  const AttemptPaths paths = PathsOf(options_, key);
  absl::Status cleared;
  // Somebody may be waiting for a build that can use them.
  if (attempt.settled) cleared = GiveBack(key);
  for (;;) {
    const absl::Status removed = RemoveContainers(key, options_.engine_timeout);
    if (removed.ok()) break;
    log::Warn("container_not_removed", {{"task", key.task.value()}, {"why", Describe(removed)}});
    std::unique_lock lock(mu_);
    if (changed_.wait_for(lock, kRemovePause, [this] { return stopping_; })) return;
  }
  if (!attempt.settled) cleared = GiveBack(key);
  std::shared_ptr<AttemptLog> spool;
  {
    const std::lock_guard lock(mu_);
    if (stopping_) return;
    spool = std::move(attempt.log);
  }
  spool.reset();
  if (cleared.ok()) cleared = parts_.mirrors.trash().Put(paths.tree);
  if (cleared.ok()) cleared = parts_.mirrors.trash().Put(paths.caches);
  // Another file system than that of the trash: then it takes the time that it takes.
  if (cleared.ok() && !parts_.mirrors.trash().Put(paths.dir).ok()) {
    std::error_code error;
    std::filesystem::remove_all(paths.dir, error);
    if (error) cleared = ErrnoError(error.value(), paths.dir);
  }
  if (!cleared.ok()) {
    log::Warn("attempt_not_cleared", {{"task", key.task.value()}, {"why", Describe(cleared)}});
  }
  parts_.post(agent::AttemptDeleted{.key = key});
}

void Runner::Forget(const AttemptKey& key) {
  std::map<AttemptKey, Attempt>::node_type gone;
  {
    const std::lock_guard lock(mu_);
    const auto it = attempts_.find(key);
    if (it == attempts_.end() || !it->second.deleting) return;
    gone = attempts_.extract(it);
  }
  if (gone.mapped().deleter.joinable()) gone.mapped().deleter.join();
}

bool Runner::Stop(Duration patience) {
  std::unique_lock lock(mu_);
  stopping_ = true;
  for (auto& [key, attempt] : attempts_) attempt.control.RequestShutdown();
  changed_.notify_all();
  return changed_.wait_for(lock, patience, [this] { return threads_ == 0; });
}

}  // namespace slipway::runner
