#include "agent/runner/runner.h"

#include <errno.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <utility>

#include "agent/runner/build_attempt.h"
#include "agent/runner/failures.h"
#include "agent/runner/publish_attempt.h"
#include "agent/workspace/trash.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

using namespace std::chrono_literals;

constexpr auto kRemovePause = 2s;

// For this account alone: work directories may lie where everybody may look.
absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoError(error.value(), path);
  return chmod(path.c_str(), 0700) == 0 ? absl::OkStatus() : ErrnoError(errno, path);
}

protocol::AttemptResult FailedResult(const absl::Status& why, WallTime now) {
  protocol::AttemptResult result;
  result.failure = FailureOf(why);
  result.started_at = now;
  result.finished_at = now;
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Runner>> Runner::Create(RunnerOptions options, RunnerParts parts) {
  SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(options.data_dir + "/attempts"));
  SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(options.work_dir + "/run"));
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
  const AttemptKey& key = order.key;
  const AttemptPaths paths = PathsOf(options_, key);
  const auto fail = [&](const absl::Status& why) {
    log::Error("attempt_failed", {{"task", key.task.value()}, {"why", Describe(why)}});
    parts_.post(agent::AttemptEnded{.key = key, .result = FailedResult(why, clock_.Wall())});
  };
  if (const absl::Status made = MakePrivateDirectory(paths.dir); !made.ok()) return fail(made);
  {
    const std::lock_guard lock(mu_);
    attempt.log = nullptr;  // of a first life: one at a time follows the spool
  }
  absl::StatusOr<std::shared_ptr<AttemptLog>> opened =
      AttemptLog::Open(paths.dir, [this, key](std::uint64_t begin, std::uint64_t end) {
        parts_.post(agent::LogGrew{.key = key, .begin = begin, .end = end});
      });
  if (!opened.ok()) return fail(opened.status());
  {
    const std::lock_guard lock(mu_);
    attempt.log = *opened;
  }
  AttemptLog& spool = **opened;
  if (order.phase == protocol::AttemptPhase::kFinished) {
    // Its end was reported; a container that a crash left behind has nothing more to say.
    (void)parts_.engine.Remove(executor::ContainerId(ContainerName(options_.owner, key)), true,
                               options_.engine_timeout);
    return;
  }
  absl::StatusOr<TaskSpec> task = parts_.parse_spec(order.spec);
  if (!task.ok()) return fail(task.status());
  const auto* publish = std::get_if<PublishWork>(&task->work);
  const protocol::TaskKind ordered = publish == nullptr ? protocol::TaskKind::kBuild
                                     : publish->probe   ? protocol::TaskKind::kProbe
                                                        : protocol::TaskKind::kPublish;
  const bool kinds_agree = ordered == order.kind;
  if (!kinds_agree) return fail(absl::InvalidArgumentError("task and order differ in kind"));

  Progress progress;
  if (absl::StatusOr<Progress> saved = LoadProgress(paths.dir); saved.ok()) {
    progress = *std::move(saved);
  } else {
    progress.started_at = clock_.Wall();
  }
  if (!adopt) progress.container.clear();
  AttemptContext context(options_, parts_, key, *std::move(task), attempt.control, spool,
                         std::move(progress));
  if (const absl::Status saved = context.Save(); !saved.ok()) return fail(saved);
  AttemptEnd end = RunTask(context, order, adopt);
  if (std::holds_alternative<Left>(end)) return;
  const protocol::LogSummary summary = spool.Seal();
  if (auto* result = std::get_if<protocol::AttemptResult>(&end)) {
    result->log = summary;
    log::Info("attempt_ended", {{"task", key.task.value()},
                                {"attempt", std::to_string(key.attempt.value())},
                                {"result", result->ok() ? "ok" : result->failure->reason}});
    parts_.post(agent::AttemptEnded{.key = key, .result = *std::move(result)});
  } else {
    log::Warn("attempt_vanished", {{"task", key.task.value()}});
    parts_.post(agent::AttemptVanished{
        .key = key, .log = summary, .client_ended = std::get<Vanished>(end).ended});
  }
}

AttemptEnd Runner::RunTask(AttemptContext& context, const agent::AdoptAttempt& order, bool adopt) {
  log::Info(adopt ? "attempt_adopted" : "attempt_started",
            {{"task", order.key.task.value()},
             {"attempt", std::to_string(order.key.attempt.value())},
             {"kind", order.kind == protocol::TaskKind::kBuild     ? "build"
                      : order.kind == protocol::TaskKind::kPublish ? "publish"
                                                                   : "probe"}});
  if (order.kind == protocol::TaskKind::kBuild) {
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

void Runner::RemoveEverything(Attempt& attempt, const AttemptKey& key) {
  const AttemptPaths paths = PathsOf(options_, key);
  const executor::ContainerId name(ContainerName(options_.owner, key));
  for (;;) {
    const absl::Status removed = parts_.engine.Remove(name, true, options_.engine_timeout);
    if (removed.ok()) break;
    log::Warn("container_not_removed", {{"name", name.value()}, {"why", Describe(removed)}});
    std::unique_lock lock(mu_);
    if (changed_.wait_for(lock, kRemovePause, [this] { return stopping_; })) return;
  }
  std::shared_ptr<AttemptLog> spool;
  {
    const std::lock_guard lock(mu_);
    if (stopping_) return;
    spool = std::move(attempt.log);
  }
  spool.reset();
  absl::Status cleared = parts_.trees.Return(paths.tree);
  if (cleared.ok()) cleared = parts_.mirrors.trash().Put(paths.tree);
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
