#include "agent/runner/attempt_context.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "common/crypto/secret.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

constexpr std::size_t kMaxDetail = 1024;

}  // namespace

AttemptContext::AttemptContext(const RunnerOptions& options_in, const RunnerParts& parts_in,
                               AttemptKey key_in, TaskSpec task_in, AttemptControl& control_in,
                               AttemptLog& log_in, Progress progress_in)
    : options(options_in),
      parts(parts_in),
      key(std::move(key_in)),
      task(std::move(task_in)),
      paths(PathsOf(options, key)),
      control(control_in),
      log(log_in),
      progress(std::move(progress_in)) {}

void AttemptContext::Hide(std::string_view secret) {
  std::vector<std::string> secrets = {std::string(secret)};
  masker_ = mask::SecretMasker(secrets);
  crypto::Wipe(secrets.front().data(), secrets.front().size());
}

void AttemptContext::Say(std::string_view text) {
  const absl::Status written = log.AppendLine(masker_.Mask(text));
  if (!written.ok()) {
    log::Error("log_write_failed", {{"task", key.task.value()}, {"why", Describe(written)}});
  }
}

void AttemptContext::SayFailure(const protocol::Failure& failure) {
  Say(fmt::format("failed ({}, {}): {}", protocol::FailureClassName(failure.klass), failure.reason,
                  failure.message));
  if (!failure.remedy.empty()) Say(fmt::format("  what to do: {}", failure.remedy));
  if (!failure.remedy_zh.empty()) Say(fmt::format("  怎么办：{}", failure.remedy_zh));
}

absl::StatusOr<executor::ImageInfo> AttemptContext::EnsureImage(const std::string& image) {
  return parts.ensure_image(
      image, [&] { Say(fmt::format("pulling the image {}, which is not here yet", image)); },
      control.token());
}

void AttemptContext::Report(protocol::StepState state, std::string_view detail, WallTime at) {
  parts.post(agent::StepHappened{{.key = key,
                                  .number = step_,
                                  .name = step_name_,
                                  .state = state,
                                  .at = at,
                                  .detail = masker_.Mask(detail).substr(0, kMaxDetail)}});
}

void AttemptContext::BeginStep(std::uint32_t number, std::string_view name,
                               std::optional<WallTime> at) {
  step_ = number;
  step_name_ = name;
  Report(protocol::StepState::kStarted, "", at.value_or(clock.Wall()));
}

void AttemptContext::EndStep(std::string_view detail) {
  Report(protocol::StepState::kSucceeded, detail, clock.Wall());
  step_ = 0;
}

void AttemptContext::FailStep(std::string_view detail) {
  if (step_ == 0) return;
  Report(protocol::StepState::kFailed, detail, clock.Wall());
  step_ = 0;
}

absl::Status AttemptContext::Save() {
  const bool build = std::holds_alternative<BuildWork>(task.work);
  return SaveProgress(paths.dir, progress, build ? Survives::kProcess : Survives::kMachine);
}

ContainerSession::Options AttemptContext::SessionOptions() const {
  return {.engine_timeout = options.engine_timeout,
          .term_grace = options.term_grace,
          .log_budget_bytes = options.log_budget_bytes};
}

absl::Status MakeStepDirectory(const std::string& path, std::uint32_t uid, std::uint32_t gid) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return ErrnoError(errno, path);
  if (geteuid() == 0 && lchown(path.c_str(), uid, gid) != 0) return ErrnoError(errno, path);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> ReadHostileFile(const std::string& directory,
                                                           const std::string& name,
                                                           std::size_t max_bytes) {
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd dir, fs::OpenDirectory(directory));
  absl::StatusOr<fs::UniqueFd> file = fs::OpenBelow(dir.get(), name, O_RDONLY);
  if (file.status().code() == absl::StatusCode::kNotFound) return std::nullopt;
  SLIPWAY_RETURN_IF_ERROR(file.status());
  struct stat st {};
  if (fstat(file->get(), &st) != 0) return ErrnoError(errno, name);
  if (!S_ISREG(st.st_mode) || st.st_nlink != 1 ||
      static_cast<std::uint64_t>(st.st_size) > max_bytes) {
    return MakeError(absl::StatusCode::kInvalidArgument, "",
                     fmt::format("{} is not a plain file of at most {} bytes", name, max_bytes));
  }
  std::string bytes(max_bytes, '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, fs::ReadFull(file->get(), bytes, name));
  bytes.resize(n);
  return bytes;
}

std::string HumanDuration(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  return fmt::format("{}.{} s", ms / 1000, ms % 1000 / 100);
}

std::string Counted(std::uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

}  // namespace slipway::runner
