#include <fmt/format.h>

#include <string>
#include <utility>

#include "agent/runner/build_attempt.h"
#include "agent/runner/default_version.h"
#include "agent/runner/failures.h"
#include "agent/workspace/failure.h"
#include "common/git/trash.h"
#include "common/status/status.h"

// The first step of a build: the commit, and what it says of its build.
namespace slipway::runner {
namespace {

constexpr std::size_t kMaxCredentialBytes = std::size_t{64} << 10;

std::string ShortCommit(const std::string& commit) { return commit.substr(0, 12); }

}  // namespace

BuildAttempt::Trouble BuildAttempt::Fetch() {
  const MonoTime begin = context_.clock.Mono();
  if (!resumes_) context_.BeginStep(1, "fetch");
  const std::string& wanted =
      context_.progress.commit.empty() ? work_.ref : context_.progress.commit;
  const absl::StatusOr<git::ResolvedRef> ref =
      context_.parts.mirrors.Resolve(source_, wanted, context_.control.token());
  if (!ref.ok()) return workspace::ToFailure(ref.status());
  if (Trouble trouble = ReadProject(ref->commit)) return trouble;
  if (resumes_) return std::nullopt;

  context_.progress.commit = ref->commit;
  if (const absl::Status saved = context_.Save(); !saved.ok()) return FailureOf(saved);
  if (const absl::Status cleared = context_.parts.trees.Discard(context_.paths.tree);
      !cleared.ok()) {
    return workspace::ToFailure(cleared);
  }
  // Of an earlier life, which may have ended while caches were moved.
  if (const absl::Status cleared = context_.parts.mirrors.trash().Put(context_.paths.caches);
      !cleared.ok()) {
    return FailureOf(cleared);
  }
  const absl::StatusOr<workspace::WorkTree> tree = context_.parts.trees.Prepare(
      source_, ref->commit, context_.paths.tree, context_.control.token());
  if (!tree.ok()) return workspace::ToFailure(tree.status());

  const std::string name = ref->name.empty() ? "" : fmt::format(" ({})", ref->name);
  const std::string took = HumanDuration(context_.clock.Mono() - begin);
  context_.Say(fmt::format("fetched {}{} in {}: {}", ShortCommit(ref->commit), name, took,
                           outcome_.commit_subject));
  context_.EndStep(fmt::format("{}{}, {}, {} written, {}", ShortCommit(ref->commit), name,
                               Counted(tree->files, "file"), tree->written, took));
  return std::nullopt;
}

BuildAttempt::Trouble BuildAttempt::ReadProject(const std::string& commit) {
  const absl::StatusOr<git::CommitReader> reader = context_.parts.mirrors.Reader(source_);
  if (!reader.ok()) return workspace::ToFailure(reader.status());
  const absl::StatusOr<git::CommitInfo> info = reader->Describe(commit);
  if (!info.ok()) return workspace::ToFailure(info.status());
  outcome_.commit = commit;
  outcome_.commit_subject = info->subject;
  outcome_.version =
      context_.task.version.empty() ? DefaultVersion(info->time) : context_.task.version;
  const absl::StatusOr<std::string> text =
      reader->ReadFile(commit, project::kProjectConfigFile, project::kMaxProjectConfigBytes);
  if (!text.ok()) return workspace::ToFailure(text.status());
  const absl::StatusOr<project::ProjectConfig> config = project::ParseProjectConfig(*text);
  if (!config.ok()) return workspace::ToFailure(config.status());
  // A script may be run against a commit as such.
  const project::PlatformConfig* platform = work_.script && context_.task.platform.empty()
                                                ? &config->platforms.front()
                                                : config->Find(context_.task.platform);
  if (platform == nullptr) {
    return MakeFailure(
        reason::kUnknownPlatform,
        fmt::format("slipway.yaml of {} has no platform \"{}\"; it has: {}.", ShortCommit(commit),
                    context_.task.platform, config->PlatformNames()));
  }
  platform_ = *platform;
  outcome_.app_id = platform_.app_id;
  for (const auto& [key, value] : platform_.publish) {
    outcome_.publish_options.push_back(fmt::format("{}={}", key, value));
  }
  absl::StatusOr<project::ParameterValues> parameters = project::ResolveParameters(
      config->parameters, work_.parameters,
      [&](const std::string& path) { return reader->HasFile(commit, path); });
  if (!parameters.ok()) {
    if (GetErrorInfo(parameters.status()).reason == reason::kParameterInvalid) {
      return MakeFailure(reason::kParameterInvalid, std::string(parameters.status().message()));
    }
    return workspace::ToFailure(parameters.status());
  }
  outcome_.parameters = *std::move(parameters);
  if (Trouble trouble = caches_.Declare(platform_.caches, *reader, commit)) return trouble;
  limits_ =
      CapLimits(platform_.build.limits, context_.options.max_limits, context_.parts.engine_cpus);
  return work_.script ? std::nullopt : ReadCredential(*reader, commit);
}

BuildAttempt::Trouble BuildAttempt::ReadCredential(const git::CommitReader& reader,
                                                   const std::string& commit) {
  if (platform_.credential.empty()) {
    if (!work_.publish_follows) return std::nullopt;
    return MakeFailure(reason::kNoCredential,
                       fmt::format("slipway.yaml names no credential for {}, but its product "
                                   "is to go there.",
                                   platform_.name));
  }
  absl::StatusOr<std::string> sealed =
      reader.ReadFile(commit, platform_.credential, kMaxCredentialBytes);
  if (sealed.ok()) {
    outcome_.sealed_credential = *std::move(sealed);
    return std::nullopt;
  }
  if (!work_.publish_follows) return std::nullopt;
  return MakeFailure(
      reason::kNoCredential,
      fmt::format("The credential file {} cannot be read from commit {}: {}", platform_.credential,
                  ShortCommit(commit), std::string(sealed.status().message())));
}

}  // namespace slipway::runner
