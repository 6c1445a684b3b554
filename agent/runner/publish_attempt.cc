#include "agent/runner/publish_attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/artifacts/tree_fetcher.h"
#include "agent/runner/failures.h"
#include "common/config/units.h"
#include "common/fs/files.h"
#include "common/git/trash.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;

constexpr std::uint32_t kClientStep = 1;
constexpr auto kPermitSlice = 1s;
constexpr std::size_t kWordsBytes = 2048;
constexpr Duration kDefaultDeadline = 15min;

absl::Status WriteOrders(const std::string& directory, const std::string& name,
                         const std::string& bytes) {
  const std::string path = directory + "/" + name;
  const fs::UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file.valid()) return ErrnoError(errno, path);
  return fs::WriteAll(file.get(), bytes, path);
}

void WipeString(std::string& text) {
  crypto::Wipe(text.data(), text.size());
  text.clear();
}

protocol::Failure TooLate(const PublishWork& work) {
  constexpr char kText[] = "The time in which it might begin has passed.";
  if (work.probe) return MakeFailure(reason::kProbeFailed, kText);
  return MakeFailure(work.preview() ? reason::kPreviewFailed : reason::kPermitExpired, kText);
}

}  // namespace

PublishAttempt::PublishAttempt(AttemptContext& context)
    : context_(context),
      work_(std::get<PublishWork>(context.task.work)),
      session_(context.parts.engine, context.log, context.control, context.SessionOptions()) {
  result_.started_at = context.progress.started_at;
}

AttemptEnd PublishAttempt::Run() {
  Trouble trouble;
  if (!work_.probe) trouble = Fetch();
  if (!trouble) trouble = Prepare();
  if (!trouble) trouble = WaitForPermit();
  if (!trouble) trouble = AwaitClient();
  return Finish(std::move(trouble));
}

Duration PublishAttempt::Deadline() const {
  return work_.deadline > Duration::zero() ? work_.deadline : kDefaultDeadline;
}

AttemptEnd PublishAttempt::Adopt(bool client_may_run) {
  const executor::ContainerId id(context_.progress.container);
  const absl::Status attached =
      id.value().empty() ? absl::NotFoundError("there was no container") : session_.Attach(id);
  if (client_may_run || work_.probe || work_.preview()) {
    // An Engine that does not answer says nothing about the container: waiting finds out.
    const bool runs = attached.ok() ? session_.init().hello().step == kClientStep
                                    : attached.code() != StatusCode::kNotFound;
    const bool ran = context_.log.control().ReadResult(kClientStep).ok();
    // Otherwise the client cannot be shown to have been started.
    if (runs || ran) {
      BeginClientStep();
      return Finish(AwaitClient());
    }
  }
  if (!client_may_run && attached.ok()) {
    Trouble trouble = WaitForPermit();
    if (!trouble) trouble = AwaitClient();
    return Finish(std::move(trouble));
  }
  vanished_ = true;
  return Finish(std::nullopt);
}

AttemptEnd PublishAttempt::Finish(Trouble trouble) {
  if (context_.control.leaving()) return Left{};
  // The secret goes with the container. By its name, too: a power loss may have taken its id.
  absl::Status removed = session_.Remove();
  if (removed.ok()) {
    removed = context_.parts.engine.Remove(
        executor::ContainerId(ContainerName(context_.options.owner, context_.key)), true,
        context_.options.engine_timeout);
  }
  if (context_.control.leaving()) return Left{};
  if (vanished_) return Vanished{.ended = removed.ok()};
  if (!removed.ok() && !trouble) {
    context_.Say("the container could not be removed; it is tried again later");
  }
  if (trouble) {
    const bool nothing_happened =
        trouble->klass == protocol::FailureClass::kInfrastructure ||
        trouble->klass == protocol::FailureClass::kTimeout ||
        // An adapter that is ended in the middle of a preview calls that a failure of the network.
        (work_.preview() && trouble->klass == protocol::FailureClass::kNetwork);
    if (context_.control.canceled() && nothing_happened) {
      trouble = MakeFailure(reason::kCanceled, "Canceled; nothing was published.");
    }
    context_.FailStep(trouble->message);
    context_.SayFailure(*trouble);
    result_.client_ended =
        trouble->klass == protocol::FailureClass::kPublishUnknown && removed.ok();
  }
  result_.failure = std::move(trouble);
  result_.finished_at = context_.clock.Wall();
  return std::move(result_);
}

PublishAttempt::Trouble PublishAttempt::Fetch() {
  const MonoTime begin = context_.clock.Mono();
  context_.BeginStep(1, "fetch");
  if (const absl::Status cleared = context_.parts.mirrors.trash().Put(context_.paths.tree);
      !cleared.ok()) {
    return FailureOf(cleared);
  }
  const std::unique_ptr<artifacts::ArtifactSource> source =
      context_.parts.make_source(context_.key);
  const absl::StatusOr<manifest::Manifest> product =
      artifacts::FetchTree(*source, work_.manifest, context_.paths.tree,
                           [this](Duration d) { return context_.Wait(d); });
  if (!product.ok()) return FailureOf(product.status());
  const std::string what = fmt::format(
      "{}, {}, {} in {}", Counted(product->file_count(), "file"),
      config::FormatSize(static_cast<std::int64_t>(product->total_bytes())),
      work_.manifest.ToString().substr(0, 19), HumanDuration(context_.clock.Mono() - begin));
  context_.Say("fetched the product: " + what);
  context_.EndStep(what);
  return std::nullopt;
}

PublishAttempt::Trouble PublishAttempt::Prepare() {
  const MonoTime begin = context_.clock.Mono();
  context_.BeginStep(work_.probe ? 1 : 2, "prepare");
  const RunnerOptions& options = context_.options;
  const AttemptPaths& paths = context_.paths;
  const absl::StatusOr<executor::ImageInfo> image = context_.EnsureImage(work_.image);
  if (!image.ok()) return FailureOf(image.status());
  absl::Status made = MakeStepDirectory(paths.out, options.step_uid, options.step_gid);
  if (made.ok()) made = MakeStepDirectory(paths.in, geteuid(), getegid());
  publish::AdapterRequest request{.probe = work_.probe,
                                  .platform = context_.task.platform,
                                  .app_id = work_.app_id,
                                  .mode = work_.mode,
                                  .version = context_.task.version,
                                  .description = context_.task.description,
                                  .product_dir = work_.probe ? "" : inside::kProduct,
                                  .credential_file = std::string(inside::kSecrets) + "/credential",
                                  .out_dir = inside::kOut,
                                  .ca_file = {},
                                  .proxy = work_.proxy,
                                  .deadline = Deadline(),
                                  .options = work_.options};
  if (made.ok() && !work_.ca_pem.empty()) {
    request.ca_file = std::string(inside::kIn) + "/ca.pem";
    made = WriteOrders(paths.in, "ca.pem", work_.ca_pem);
  }
  if (made.ok()) made = WriteOrders(paths.in, "request.json", publish::EncodeRequest(request));
  // A first life of this attempt may have left one; only this container's counts.
  for (const char* name : {publish::kResultFile, publish::kProgressFile}) {
    if (made.ok() && unlink((paths.out + "/" + name).c_str()) != 0 && errno != ENOENT) {
      made = ErrnoError(errno, paths.out);
    }
  }
  if (!made.ok()) return FailureOf(made);
  context_.Say(fmt::format("{} {} {} in {} ({})",
                           work_.probe       ? "asking about"
                           : work_.preview() ? "making a preview of"
                                             : "publishing",
                           work_.app_id, context_.task.version, work_.image,
                           image->id.substr(0, 19)));
  std::vector<std::string> warnings;
  if (const absl::Status created =
          session_.Create(PublishContainer(options, context_.key, work_), &warnings);
      !created.ok()) {
    return FailureOf(created);
  }
  for (const std::string& warning : warnings) context_.Say("the Engine warns: " + warning);
  context_.progress.container = session_.id().value();
  context_.progress.image_id = image->id;
  if (const absl::Status saved = context_.Save(); !saved.ok()) return FailureOf(saved);
  if (const absl::Status started = session_.Start(); !started.ok()) return FailureOf(started);
  context_.EndStep(
      fmt::format("{}, {}", work_.image, HumanDuration(context_.clock.Mono() - begin)));
  return std::nullopt;
}

PublishAttempt::Trouble PublishAttempt::WaitForPermit() {
  context_.parts.post(agent::PublishReady{.key = context_.key, .manifest = work_.manifest});
  for (;;) {
    std::optional<PermitAnswer> answer = context_.control.WaitForAnswer(kPermitSlice);
    if (answer) {
      if (auto* denied = std::get_if<protocol::Failure>(&*answer)) return std::move(*denied);
      return StartClient(std::get<ClientPermit>(std::move(*answer)));
    }
    if (context_.control.canceled() || context_.control.leaving()) {
      return MakeFailure(reason::kCanceled, "Canceled; nothing was published.");
    }
  }
}

PublishAttempt::Trouble PublishAttempt::StartClient(ClientPermit permit) {
  context_.progress.step_started_at = context_.clock.Wall();
  BeginClientStep();
  absl::Status ready = context_.Save();
  initlink::InitClient& init = session_.init();
  const RunnerOptions& options = context_.options;
  std::string secret(permit.secret.view());
  if (ready.ok()) {
    std::vector<std::string> masks = publish::SecretWords(secret);
    ready = init.SetMasks(masks, session_.CallDeadline());
    for (std::string& mask : masks) WipeString(mask);
  }
  if (ready.ok()) {
    init::WriteSecret file{.path = std::string(inside::kSecrets) + "/credential",
                           .bytes = std::move(secret),
                           .mode = 0400,
                           .uid = options.step_uid,
                           .gid = options.step_gid};
    ready = init.WriteSecret(file, session_.CallDeadline());
    WipeString(file.bytes);
  }
  WipeString(secret);
  if (!ready.ok()) {
    return MakeFailure(reason::kPublisherFailed,
                       "The publish could not be prepared: " + std::string(ready.message()));
  }
  init::StepSpec step;
  step.step = kClientStep;
  for (const std::string_view argument : publish::kAdapterArgv) step.argv.emplace_back(argument);
  step.env = {fmt::format("PATH={}", kDefaultPath), "HOME=/tmp", "LANG=C.UTF-8",
              fmt::format("{}={}/request.json", publish::kRequestVariable, inside::kIn)};
  if (!options.host_ca_bundle.empty()) {
    for (std::string& one : CaEnvironment(inside::kCaBundle)) step.env.push_back(std::move(one));
  }
  step.cwd = "/tmp";
  step.uid = options.step_uid;
  step.gid = options.step_gid;
  const Duration deadline =
      permit.deadline > Duration::zero() ? std::min(permit.deadline, Deadline()) : Deadline();
  step.run_timeout = std::chrono::duration_cast<init::Millis>(deadline);
  step.term_grace = std::chrono::duration_cast<init::Millis>(options.term_grace);
  if (context_.control.leaving() || context_.control.canceled()) {
    return MakeFailure(reason::kCanceled, "Canceled; nothing was published.");
  }
  // Asked here so that an expired permit costs no start, and by slipway-init right before the
  // start, because this process may be frozen in between.
  if (context_.clock.Mono() >= permit.valid_until) return TooLate(work_);
  step.start_before_ns = permit.valid_until.time_since_epoch().count();
  const absl::Status started = init.RunStep(step, session_.CallDeadline());
  if (started.code() == StatusCode::kInvalidArgument ||
      started.code() == StatusCode::kFailedPrecondition) {
    return MakeFailure(reason::kPublisherFailed, std::string(started.message()));
  }
  return std::nullopt;  // any other trouble shows while waiting for it
}

PublishAttempt::Trouble PublishAttempt::AwaitClient() {
  const MonoTime overdue =
      context_.clock.Mono() + Deadline() + context_.options.term_grace + context_.options.overdue;
  const absl::StatusOr<StepEnd> end = session_.Await(kClientStep, [&] {
    FollowStages();
    std::optional<protocol::Failure> late;
    if (context_.clock.Mono() >= overdue) {
      late = MakeFailure(work_.preview() ? reason::kPreviewFailed : reason::kPublishUnknown,
                         "The client did not end at its deadline.");
    }
    return late;
  });
  if (!end.ok()) {
    vanished_ = true;
    if (!context_.control.leaving() && session_.EngineWentAway()) {
      context_.Say("the Docker Engine was restarted and ended the container");
    }
    return FailureOf(end.status());
  }
  return ReadResult(*end);
}

PublishAttempt::Trouble PublishAttempt::ReadResult(const StepEnd& end) {
  if (end.result.reason == init::StopReason::kTooLate) return TooLate(work_);
  if (end.result.signal == 0) result_.exit_code = end.result.exit_code;
  if (end.result.reason == init::StopReason::kStartFailed) {
    return MakeFailure(reason::kPublisherFailed,
                       fmt::format("The client could not be started: {}.", end.result.error));
  }
  absl::StatusOr<publish::AdapterResult> result = TakeResult();
  const std::string words =
      context_.log.Tail(end.result.spool_begin, end.result.spool_end, kWordsBytes);
  // The log takes no words of ours while the container lives.
  (void)session_.Remove();
  if (work_.probe) return TakeProbe(result, words);
  if (work_.preview()) return TakePreview(std::move(result), words);
  if (result.ok() && std::holds_alternative<protocol::ProbeOutcome>(result->what)) {
    result = absl::InvalidArgumentError("The client answered a question that nobody asked.");
  }
  if (!result.ok()) {
    return MakeFailure(reason::kPublishUnknown, std::string(result.status().message()), words);
  }
  ReportStages(*result);
  if (auto* failure = std::get_if<protocol::Failure>(&result->what)) {
    if (failure->tool_words.empty()) failure->tool_words = LastWords(words);
    if (failure->klass != protocol::FailureClass::kPublishUnknown &&
        publish::InDoubt(*result, work_.mode)) {
      // The remedies of another class would have it published again.
      return MakeFailure(reason::kPublishUnknown,
                         fmt::format("The upload had begun and the platform gave no answer ({}); "
                                     "it may or may not be published.",
                                     protocol::FailureClassName(failure->klass)),
                         failure->tool_words);
    }
    return std::move(*failure);
  }
  result_.publish = std::get<protocol::PublishOutcome>(std::move(result->what));
  return std::nullopt;
}

absl::StatusOr<publish::AdapterResult> PublishAttempt::TakeResult() {
  const absl::StatusOr<std::optional<std::string>> bytes =
      ReadHostileFile(context_.paths.out, publish::kResultFile, publish::kMaxResultBytes);
  if (!bytes.ok() || !*bytes) {
    return absl::NotFoundError(
        work_.probe       ? "The probe ended without an answer."
        : work_.preview() ? "The client ended without saying what it did."
                          : "The client ended without saying what it did; the version may or may "
                            "not be published.");
  }
  const absl::StatusOr<std::string> masked = session_.MaskText(**bytes);
  if (masked.ok()) {
    absl::StatusOr<publish::AdapterResult> result = publish::ParseResult(*masked);
    if (result.ok() && !result->code_file.empty()) TakeCodeImage(*result);
    return result;
  }
  log::Warn("result_not_masked",
            {{"task", context_.key.task.value()}, {"why", Describe(masked.status())}});
  absl::StatusOr<publish::AdapterResult> result = publish::ParseResult(**bytes);
  if (!result.ok()) {
    return absl::InvalidArgumentError("What the client left as its result makes no sense.");
  }
  publish::DropText(*result);
  return result;
}

void PublishAttempt::TakeCodeImage(publish::AdapterResult& result) {
  auto* outcome = std::get_if<protocol::PublishOutcome>(&result.what);
  if (outcome == nullptr) return;
  absl::StatusOr<std::optional<std::string>> image =
      ReadHostileFile(context_.paths.out, result.code_file, protocol::kMaxCodeImageBytes);
  if (!image.ok() || !*image) {
    log::Warn("code_image_not_taken",
              {{"task", context_.key.task.value()},
               {"why", image.ok() ? "the file is not there" : Describe(image.status())}});
    return;
  }
  const std::string_view type = protocol::CodeImageType(**image);
  // One that the masks would change holds a secret, and would be no image any more.
  const absl::StatusOr<std::string> masked = session_.MaskText(**image);
  if (type.empty() || !masked.ok() || *masked != **image) {
    log::Warn("code_image_not_taken",
              {{"task", context_.key.task.value()},
               {"why", type.empty() ? "it is neither PNG nor JPEG" : "it could not be masked"}});
    return;
  }
  outcome->code.image_type = type;
  outcome->code.image = *std::move(*image);
}

PublishAttempt::Trouble PublishAttempt::TakeProbe(
    const absl::StatusOr<publish::AdapterResult>& result, const std::string& words) {
  if (!result.ok()) {
    return MakeFailure(reason::kProbeFailed, std::string(result.status().message()), words);
  }
  if (const auto* failure = std::get_if<protocol::Failure>(&result->what)) {
    protocol::Failure failed = *failure;
    failed.message = "The platform could not be asked what became of the publish.";
    if (failed.klass == protocol::FailureClass::kPublishUnknown) {
      failed.klass = protocol::FailureClass::kNetwork;
      failed.reason = reason::kProbeFailed;
    }
    return failed;
  }
  const auto* probe = std::get_if<protocol::ProbeOutcome>(&result->what);
  if (probe == nullptr) {
    return MakeFailure(reason::kProbeFailed, "The adapter knows no probes.", words);
  }
  result_.probe = *probe;
  context_.EndStep(probe->words);
  return std::nullopt;
}

PublishAttempt::Trouble PublishAttempt::TakePreview(absl::StatusOr<publish::AdapterResult> result,
                                                    const std::string& words) {
  if (!result.ok()) {
    return MakeFailure(reason::kPreviewFailed, std::string(result.status().message()), words);
  }
  ReportStages(*result);
  if (auto* failure = std::get_if<protocol::Failure>(&result->what)) {
    if (failure->tool_words.empty()) failure->tool_words = LastWords(words);
    if (failure->klass == protocol::FailureClass::kPublishUnknown) {
      // One that may be there harms nobody: the next one takes its place.
      return MakeFailure(reason::kPreviewFailed,
                         "Making the preview had begun and no clear answer came.",
                         failure->tool_words);
    }
    failure->message = publish::PreviewMessage(*failure, result->stage);
    return std::move(*failure);
  }
  const auto* made = std::get_if<protocol::PublishOutcome>(&result->what);
  if (made == nullptr || result->stage != work_.mode) {
    return MakeFailure(reason::kNotAPreview,
                       fmt::format("The client was asked for a preview and did something else{}.",
                                   result->stage.empty() ? "" : " (" + result->stage + ")"),
                       words);
  }
  if (made->code.empty()) {
    return MakeFailure(reason::kPreviewFailed,
                       "The preview was made, but its code could not be read.", words);
  }
  result_.publish = *made;
  return std::nullopt;
}

void PublishAttempt::BeginClientStep() {
  context_.BeginStep(work_.probe ? 2 : 3, work_.probe ? "probe" : "prove",
                     context_.progress.step_started_at);
}

void PublishAttempt::FollowStages() {
  if (sending_ || work_.probe) return;
  const absl::StatusOr<std::optional<std::string>> bytes =
      ReadHostileFile(context_.paths.out, publish::kProgressFile, publish::kMaxProgressBytes);
  if (bytes.ok() && *bytes && publish::Announces(**bytes, work_.mode)) BeginSending();
}

void PublishAttempt::BeginSending() {
  if (sending_) return;
  sending_ = true;
  context_.EndStep("the platform accepts the credential");
  context_.BeginStep(4, work_.mode);
}

void PublishAttempt::ReportStages(const publish::AdapterResult& result) {
  if (result.stage != work_.mode) return;  // it ended while proving
  BeginSending();
  if (const auto* outcome = std::get_if<protocol::PublishOutcome>(&result.what)) {
    context_.Say(fmt::format("{} done: {} {}{}", work_.mode, work_.app_id, context_.task.version,
                             outcome->link.empty() ? "" : ", " + outcome->link));
    context_.EndStep(outcome->link);
  }
}

}  // namespace slipway::runner
