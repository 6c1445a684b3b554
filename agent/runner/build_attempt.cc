#include "agent/runner/build_attempt.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/artifacts/tree_uploader.h"
#include "agent/runner/brought_script.h"
#include "agent/runner/disk_watch.h"
#include "agent/runner/failures.h"
#include "agent/runner/prepared_image.h"
#include "agent/runner/repository_source.h"
#include "agent/runner/warm_start.h"
#include "agent/workspace/failure.h"
#include "agent/workspace/script_result.h"
#include "common/config/units.h"
#include "common/fs/boot_id.h"
#include "common/fs/files.h"
#include "common/manifest/scan.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

using absl::StatusCode;

constexpr std::uint32_t kScriptStep = 1;
constexpr std::size_t kWordsBytes = 2048;

}  // namespace

BuildAttempt::BuildAttempt(AttemptContext& context)
    : context_(context),
      work_(std::get<BuildWork>(context.task.work)),
      source_(SourceOf(context)),
      resumes_(!context.progress.container.empty()),
      session_(context.parts.engine, context.log, context.control, context.SessionOptions()),
      caches_(context),
      begun_(resumes_) {
  if (resumes_) session_.Know(executor::ContainerId(context.progress.container));
}

AttemptEnd BuildAttempt::Run() {
  result_.started_at = context_.progress.started_at;
  Trouble trouble = Everything();
  if (context_.control.leaving()) return Left{};
  bool quiet = true;
  if (trouble) {
    // Whatever is left of the container must not write into a log that is sealed.
    if (!context_.settled) quiet = session_.Remove().ok();
    if (context_.control.leaving()) return Left{};
  }
  const auto caches_end = CachesEnd(!trouble);
  // A process that takes the attempt up must not archive a product that lacks a folder by then.
  const bool intact = trouble || !caches_.HasFolderIn(platform_.output) || RememberArchived();
  if (caches_end && quiet && intact) caches_.TakeBack(*caches_end);
  if (trouble) {
    if (context_.control.canceled()) {
      trouble = MakeFailure(reason::kCanceled,
                            work_.script ? "The script was canceled." : "The build was canceled.");
    }
    context_.FailStep(trouble->message);
    context_.SayFailure(*trouble);
  }
  result_.failure = std::move(trouble);
  result_.finished_at = context_.clock.Wall();
  if (!outcome_.commit.empty()) result_.build = std::move(outcome_);
  return std::move(result_);
}

BuildAttempt::Trouble BuildAttempt::Everything() {
  // Its result is on the disk before the files that it speaks of: what of those came there, nobody
  // could tell.
  if (resumes_ && !context_.progress.boot.empty() && context_.progress.boot != fs::BootId()) {
    return MakeFailure(reason::kContainerLost,
                       "The agent's machine went down while the build was under way.");
  }
  if (Trouble trouble = Fetch()) return trouble;
  if (!resumes_) {
    if (Trouble trouble = Prepare()) return trouble;
  }
  if (Trouble trouble = RunScript()) return trouble;
  return work_.script ? std::nullopt : Archive();
}

std::optional<BuildCaches::End> BuildAttempt::CachesEnd(bool succeeded) const {
  if (!begun_) return BuildCaches::End::kNotBegun;
  // What was ended by force may have been at work on them, also under a script that went well.
  if (!ended_by_itself_) return std::nullopt;
  if (succeeded) return BuildCaches::End::kSucceeded;
  if (!context_.control.canceled()) return BuildCaches::End::kFailed;
  return std::nullopt;
}

BuildAttempt::Trouble BuildAttempt::Prepare() {
  const MonoTime begin = context_.clock.Mono();
  context_.BeginStep(2, "prepare");
  absl::StatusOr<executor::ImageInfo> image = context_.EnsureImage(platform_.build.image);
  if (!image.ok()) return FailureOf(image.status());
  if (platform_.build.prepare) {
    const absl::StatusOr<git::CommitReader> reader = context_.parts.mirrors.Reader(source_);
    if (!reader.ok()) return workspace::ToFailure(reader.status());
    const absl::StatusOr<ImageRecipe> recipe =
        RecipeOf(*reader, outcome_.commit, context_.task.application, platform_.build, image->id);
    if (!recipe.ok()) return FailureOf(recipe.status());
    image = EnsurePrepared(context_, *recipe, limits_);
    if (!image.ok()) return FailureOf(image.status());
    context_.progress.base_image = recipe->base;
    context_.progress.base_image_id = recipe->base_id;
    platform_.build.image = PreparedName(*recipe);
  }
  const project::BuildConfig& build = platform_.build;
  if (limits_ != build.limits) {
    context_.Say(fmt::format(
        "limits of this agent apply: {} CPUs, {} memory, {} processes, {} disk", limits_.cpus,
        config::FormatSize(limits_.memory), limits_.pids, config::FormatSize(limits_.disk)));
  }
  const std::string& what = work_.script ? work_.script->name : build.script;
  context_.Say(fmt::format("running {} in {} ({})",
                           what.empty() ? "the commands of slipway.yaml" : what, build.image,
                           image->id.substr(0, 19)));
  context_.progress.image = build.image;
  context_.progress.image_id = image->id;
  // What a build has of caches counts as its own: half of what it may write is left to it.
  if (Trouble trouble = caches_.Lend(limits_.disk / 2)) return trouble;
  const absl::StatusOr<std::string_view> spared = Launch();
  if (!spared.ok()) return FailureOf(spared.status());
  context_.EndStep(
      fmt::format("{}, {}{}", build.image, HumanDuration(context_.clock.Mono() - begin), *spared));
  return std::nullopt;
}

absl::StatusOr<bool> BuildAttempt::TakeWarm() {
  if (!CanMoveIn(context_)) return false;
  pool::WarmPool& pool = context_.parts.pool;
  std::optional<pool::Stall> stall =
      pool.Take(BuildKind(context_.progress.image_id, platform_.build, limits_));
  if (!stall) return false;
  for (const std::string& warning : stall->warnings) context_.Say("the Engine warns: " + warning);
  const absl::Status moved = MoveIn(context_, *stall);
  if (!moved.ok()) {
    pool.GiveUp(*std::move(stall));
    return moved;
  }
  context_.progress.boot = fs::BootId();
  context_.progress.container = stall->container.value();
  context_.progress.step_started_at = context_.clock.Wall();
  absl::Status taken = session_.Take(stall->container, std::move(stall->init));
  if (taken.ok()) taken = context_.Save();
  if (!taken.ok()) {
    // Nobody would find it by what is on the disk.
    (void)session_.Remove();
    pool.Gone(stall->container);
    return taken;
  }
  pool.Name(stall->container, ContainerName(context_.options.owner, context_.key));
  return true;
}

absl::StatusOr<std::string_view> BuildAttempt::Launch() {
  SLIPWAY_ASSIGN_OR_RETURN(const bool warm, TakeWarm());
  if (warm) return ", warm container";
  const RunnerOptions& options = context_.options;
  for (const std::string& path : {context_.paths.out, context_.paths.home}) {
    SLIPWAY_RETURN_IF_ERROR(MakeStepDirectory(path, options.step_uid, options.step_gid));
  }
  executor::ContainerSpec spec =
      BuildContainer(context_.options, context_.key, platform_.build, limits_);
  const networks::Kind kind{.application = context_.task.application, .network = spec.network.kind};
  networks::NetworkKeeper& keeper = context_.parts.networks;
  if (const std::optional<std::string> kept = keeper.Take(kind, context_.key)) {
    executor::ContainerSpec joining = spec;
    JoinNetwork(joining, *kept);
    if (CreateAndStart(joining).ok()) return ", kept network";
    // The Engine may have been restarted, or somebody removed it: as if there had been none.
    keeper.Discard(context_.key);
  }
  SLIPWAY_RETURN_IF_ERROR(CreateAndStart(spec));
  keeper.Wanted(kind, spec.image);
  return "";
}

absl::Status BuildAttempt::CreateAndStart(const executor::ContainerSpec& spec) {
  std::vector<std::string> warnings;
  SLIPWAY_RETURN_IF_ERROR(session_.Create(spec, &warnings));
  for (const std::string& warning : warnings) context_.Say("the Engine warns: " + warning);
  context_.progress.boot = fs::BootId();
  context_.progress.container = session_.id().value();
  context_.progress.network =
      spec.network.kind == executor::NetworkKind::kContainer ? spec.network.name : "";
  context_.progress.step_started_at = context_.clock.Wall();
  SLIPWAY_RETURN_IF_ERROR(context_.Save());
  return session_.Start();
}

init::StepSpec BuildAttempt::ScriptStep() const {
  const project::BuildConfig& build = platform_.build;
  init::StepSpec step;
  step.step = kScriptStep;
  step.argv = work_.script           ? ArgvOf(*work_.script)
              : build.script.empty() ? std::vector<std::string>{"/bin/sh", "-e", "-c", build.run}
                                     : std::vector<std::string>{"/bin/sh", build.script};
  TaskSpec task = context_.task;
  task.platform = platform_.name;
  step.env = BuildEnvironment(context_.options, task, build,
                              {.commit = outcome_.commit,
                               .version = outcome_.version,
                               .app_id = platform_.app_id,
                               .output = platform_.output,
                               .parameters = outcome_.parameters,
                               .tool_caches = caches_.Tools()});
  step.cwd = inside::kWorkspace;
  step.uid = context_.options.step_uid;
  step.gid = context_.options.step_gid;
  step.run_timeout = std::chrono::duration_cast<init::Millis>(build.timeout);
  step.no_output_timeout = std::chrono::duration_cast<init::Millis>(build.no_output_timeout);
  step.term_grace = std::chrono::duration_cast<init::Millis>(context_.options.term_grace);
  step.max_file_size = static_cast<std::uint64_t>(limits_.disk);
  return step;
}

BuildAttempt::Trouble BuildAttempt::RunScript() {
  outcome_.image = context_.progress.image;
  outcome_.image_digest = context_.progress.image_id;
  outcome_.base_image = context_.progress.base_image;
  outcome_.base_image_digest = context_.progress.base_image_id;
  context_.BeginStep(3, "script", context_.progress.step_started_at);
  absl::Status ready;
  if (resumes_) {
    ready = session_.Attach(executor::ContainerId(context_.progress.container));
    // One of the pool may not have got its name.
    context_.parts.pool.Name(session_.id(), ContainerName(context_.options.owner, context_.key));
  }
  if (ready.ok() && work_.script) {
    ready = PlaceScript(*work_.script, context_.paths.dir, context_.paths.home);
    if (!ready.ok()) return FailureOf(ready);
  }
  if (ready.ok()) {
    begun_ = true;
    // Idempotent: a step that was started before the agent died is not started again.
    ready = session_.init().RunStep(ScriptStep(), session_.CallDeadline());
    if (ready.code() == StatusCode::kInvalidArgument) {
      return MakeFailure(reason::kScriptNotStarted, std::string(ready.message()));
    }
    // The only step there is: slipway-init takes none any more.
    if (ready.code() == StatusCode::kFailedPrecondition) {
      return Loss(reason::kContainerStopped,
                  "The container was stopped from outside before the script ran.");
    }
  }
  // Otherwise Await finds out what is left.
  DiskWatch disk({.directories = {context_.paths.tree, context_.paths.out, context_.paths.home,
                                  context_.paths.caches},
                  .limit_bytes = limits_.disk,
                  .floor_bytes = context_.options.disk_floor_bytes,
                  .floor_percent = context_.options.disk_floor_percent});
  // From now, also after a restart of the agent: wall clocks may be set, and this is a last resort.
  const MonoTime overdue = context_.clock.Mono() + platform_.build.timeout +
                           context_.options.term_grace + context_.options.overdue;
  const absl::StatusOr<StepEnd> end = session_.Await(kScriptStep, [&] {
    Trouble trouble = disk.Check(context_.clock.Mono());
    if (!trouble && context_.clock.Mono() >= overdue) trouble = RanTooLong("");
    return trouble;
  });
  if (!end.ok()) {
    if (end.status().code() != StatusCode::kNotFound) return FailureOf(end.status());
    // What was decided here before stays the reason, also when the container had to be killed.
    if (session_.cause()) return session_.cause();
    if (context_.control.canceled()) return MakeFailure(reason::kCanceled, "Canceled.");
    return Loss(reason::kContainerLost, "The build's container is gone and left no result.");
  }
  const bool stopped_by_others = end->result.reason == init::StopReason::kCanceled && !end->cause &&
                                 !context_.control.canceled();
  if (stopped_by_others) {
    return Loss(reason::kContainerStopped,
                "The container was stopped from outside while the script ran.");
  }
  // From here on nothing of the script is alive. To remove a container takes longer than many a
  // script, so that nobody waits for it who need not.
  if (session_.IsAloneAfter(*end)) {
    context_.settled = context_.clock.Mono();
    session_.Leave();
  } else if (const absl::Status removed = session_.Remove(); !removed.ok()) {
    return FailureOf(removed);
  }
  context_.parts.networks.Return(context_.key, "");
  return JudgeScript(*end);
}

protocol::Failure BuildAttempt::Loss(std::string_view otherwise, const char* message) {
  if (session_.EngineWentAway()) {
    return MakeFailure(reason::kEngineRestarted,
                       "The Docker Engine of the agent was restarted and ended the build's "
                       "container.");
  }
  return MakeFailure(otherwise, message);
}

protocol::Failure BuildAttempt::RanTooLong(const std::string& words) const {
  return MakeFailure(reason::kRunTimeout,
                     fmt::format("The script ran longer than its limit of {}.",
                                 config::FormatDuration(platform_.build.timeout)),
                     words);
}

BuildAttempt::Trouble BuildAttempt::JudgeScript(const StepEnd& end) {
  const init::StepResult& script = end.result;
  const Duration took = std::chrono::microseconds(
      std::max<std::int64_t>(script.end_unix_us - script.start_unix_us, 0));
  const std::string words = context_.log.Tail(script.spool_begin, script.spool_end, kWordsBytes);
  if (script.left_processes) {
    context_.Say("processes that the script left behind were ended");
  }
  // A script that had ended when the agent, itself frozen for long, took it for overdue.
  const bool in_time = end.cause && end.cause->reason == reason::kRunTimeout &&
                       script.reason == init::StopReason::kExited;
  if (end.cause && !in_time) return end.cause;
  if (context_.control.canceled()) return MakeFailure(reason::kCanceled, "Canceled.");
  ended_by_itself_ =
      script.reason == init::StopReason::kExited && !script.left_processes && !end.out_of_memory;
  const bool good = script.reason == init::StopReason::kExited && script.exit_code == 0;
  if (script.signal == 0 && script.reason != init::StopReason::kStartFailed) {
    result_.exit_code = script.exit_code;
  }
  if (!good && end.out_of_memory) {
    return MakeFailure(
        reason::kMemoryLimit,
        fmt::format("The script ran out of its memory, {}.", config::FormatSize(limits_.memory)),
        words);
  }
  switch (script.reason) {
    case init::StopReason::kStartFailed:
    case init::StopReason::kTooLate:  // never of a script, which has no latest start
      return MakeFailure(reason::kScriptNotStarted,
                         fmt::format("The script could not be started: {}.", script.error));
    case init::StopReason::kRunTimeout: return RanTooLong(words);
    case init::StopReason::kNoOutputTimeout:
      return MakeFailure(reason::kNoOutputTimeout,
                         fmt::format("The script printed nothing for {}.",
                                     config::FormatDuration(platform_.build.no_output_timeout)),
                         words);
    case init::StopReason::kCanceled:  // by us, or it was told as a loss
    case init::StopReason::kExited:
    case init::StopReason::kSignaled: break;
  }
  if (Trouble trouble = ReadScriptResult()) return trouble;
  const std::string how = script.signal != 0 ? fmt::format("was killed by signal {}", script.signal)
                                             : fmt::format("exit code {}", script.exit_code);
  context_.Say(fmt::format("script ended: {}, {}", how, HumanDuration(took)));
  if (!good) {
    return MakeFailure(
        reason::kScriptFailed,
        script_error_.empty() ? fmt::format("The script failed: {}.", how) : script_error_, words);
  }
  context_.EndStep(fmt::format("{}, {}", how, HumanDuration(took)));
  return std::nullopt;
}

BuildAttempt::Trouble BuildAttempt::ReadScriptResult() {
  const absl::StatusOr<std::optional<std::string>> bytes =
      ReadHostileFile(context_.paths.out, "result.json", workspace::kMaxScriptResultBytes);
  absl::StatusOr<workspace::ScriptResult> said =
      bytes.ok() ? workspace::ParseScriptResult(bytes->value_or(""))
                 : MakeError(StatusCode::kInvalidArgument, "SCRIPT_RESULT_INVALID",
                             "$SLIPWAY_RESULT: " + std::string(bytes.status().message()),
                             "Let the script write a plain file of JSON there.");
  if (!said.ok()) return workspace::ToFailure(said.status());
  if (!said->version.empty()) outcome_.version = said->version;
  outcome_.script_qr = said->qr;
  script_error_ = said->error;
  return std::nullopt;
}

bool BuildAttempt::RememberArchived() {
  if (work_.script) return true;
  context_.progress.archived = {.manifest = outcome_.manifest,
                                .bytes = outcome_.artifact_bytes,
                                .files = outcome_.artifact_files};
  return context_.Save().ok();
}

BuildAttempt::Trouble BuildAttempt::Archive() {
  const MonoTime begin = context_.clock.Mono();
  context_.BeginStep(4, "archive");
  if (const auto& archived = context_.progress.archived) {
    outcome_.manifest = archived->manifest;
    outcome_.artifact_bytes = archived->bytes;
    outcome_.artifact_files = archived->files;
    context_.EndStep(fmt::format("{}, archived before the agent was restarted",
                                 archived->manifest.ToString().substr(0, 19)));
    return std::nullopt;
  }
  const absl::StatusOr<fs::UniqueFd> tree = fs::OpenDirectory(context_.paths.tree);
  if (!tree.ok()) return FailureOf(tree.status());
  const absl::StatusOr<fs::UniqueFd> output =
      fs::OpenBelow(tree->get(), platform_.output, O_RDONLY | O_DIRECTORY);
  if (!output.ok() && fs::LeadsThroughLink(tree->get(), platform_.output)) {
    return MakeFailure(reason::kOutputOutside,
                       fmt::format("The output directory \"{}\" leads through a symbolic link, "
                                   "which may end outside the workspace.",
                                   platform_.output));
  }
  if (!output.ok()) {
    return MakeFailure(reason::kNoOutput,
                       fmt::format("The script left no directory \"{}\".", platform_.output));
  }
  const absl::StatusOr<manifest::Manifest> product =
      manifest::ScanTree(output->get(), manifest::ScanOptions{});
  if (!product.ok()) return FailureOf(product.status());
  if (product->file_count() == 0) {
    return MakeFailure(reason::kNoOutput,
                       fmt::format("The script left \"{}\" empty.", platform_.output));
  }
  const std::unique_ptr<artifacts::ArtifactSink> sink = context_.parts.make_sink(context_.key);
  artifacts::TreeUploader uploader(*sink, [this](Duration d) {
    // It waits for the controller, who may be away for long.
    const RunnerOptions& options = context_.options;
    if (context_.settled && context_.clock.Mono() >= *context_.settled + options.linger) {
      (void)session_.TryRemove(options.linger_timeout);
    }
    return context_.Wait(d);
  });
  const absl::StatusOr<artifacts::UploadReport> sent = uploader.Upload(output->get(), *product);
  if (!sent.ok()) return FailureOf(sent.status());
  outcome_.manifest = sent->manifest;
  outcome_.artifact_bytes = product->total_bytes();
  outcome_.artifact_files = static_cast<std::uint32_t>(product->file_count());
  const std::string what =
      fmt::format("{}, {}, {}; sent {}, {} in {}", Counted(product->file_count(), "file"),
                  config::FormatSize(static_cast<std::int64_t>(product->total_bytes())),
                  sent->manifest.ToString().substr(0, 19), Counted(sent->blobs_sent, "blob"),
                  config::FormatSize(static_cast<std::int64_t>(sent->bytes_sent)),
                  HumanDuration(context_.clock.Mono() - begin));
  context_.Say("archived " + what);
  context_.EndStep(what);
  return std::nullopt;
}

}  // namespace slipway::runner
