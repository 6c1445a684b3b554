#include "controller/runs/run_orders.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/crypto/credential.h"
#include "common/crypto/token.h"
#include "common/log/log.h"
#include "common/qr/release_code.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "slipway/v1/agent.pb.h"

namespace slipway::runs {
namespace {

using protocol::Failure;
using protocol::FailureClass;

constexpr Duration kDeadlineWithoutTarget = std::chrono::minutes(15);
// Readings of a stored log that the disk does not give back before it counts as damaged. The agent
// repeats its result with each sync, so this is about a minute.
constexpr int kLogReadings = 4;
// Of a farm that is busy: a build that waits longer is read again.
constexpr std::size_t kKnownRuns = 20'000;
// How long an archived product is not asked for again, and of how many that is remembered. Farms
// build the same product again and again; one that is deleted meanwhile could be so a moment after
// the question as well.
constexpr Duration kArchivedFor = std::chrono::seconds(1);
constexpr std::size_t kMaxArchived = 1000;

Failure CredentialFailure(const absl::Status& status, const std::string& application,
                          const std::string& platform) {
  const ErrorInfo info = GetErrorInfo(status);
  return Failure{FailureClass::kCredential,
                 info.reason.empty() ? "CREDENTIAL_BROKEN" : info.reason,
                 fmt::format("the sealed credential for {} cannot be opened: {}", platform,
                             std::string(status.message())),
                 "",
                 fmt::format("Seal it again for this farm with `slipway credentials seal --app {} "
                             "--platform {}` and commit the file.",
                             application, platform),
                 fmt::format("请用 `slipway credentials seal --app {} --platform {}` "
                             "为本农场重新密封凭证并提交该文件。",
                             application, platform)};
}

// What every specification says.
v1::TaskSpec SpecFrame(const domain::Run& run, const std::string& platform) {
  v1::TaskSpec spec;
  spec.set_application(run.application.value());
  spec.set_application_name(run.application_name);
  spec.set_platform(platform);
  spec.set_version(run.version);
  spec.set_description(run.description);
  return spec;
}

}  // namespace

RunOrders::RunOrders(Deps deps) : deps_(std::move(deps)), known_(kKnownRuns) {}

void RunOrders::Submitted(const scheduler::Submit& event) {
  // Scripts are read from the store: they would fill the memory.
  if (event.run.script_name.empty()) known_.Add(event.run, event.tasks);
}

absl::StatusOr<RunOrders::Publish> RunOrders::LoadPublish(const TaskId& task) {
  Publish loaded;
  SLIPWAY_ASSIGN_OR_RETURN(loaded.publish, deps_.reader.GetTask(task));
  if (loaded.publish.task.kind == domain::TaskKind::kProbe) {
    SLIPWAY_ASSIGN_OR_RETURN(loaded.publish, deps_.reader.GetTask(loaded.publish.task.depends_on));
  }
  SLIPWAY_ASSIGN_OR_RETURN(loaded.build, deps_.reader.GetTask(loaded.publish.task.depends_on));
  if (!loaded.build.task.result || !loaded.build.task.result->build) {
    return absl::InternalError(fmt::format("build {} of publish {} has no product",
                                           loaded.build.task.id.value(), task.value()));
  }
  return loaded;
}

absl::Status RunOrders::Complete(scheduler::ResultReported& event) {
  SLIPWAY_ASSIGN_OR_RETURN(const logs::LogVerdict verdict, JudgeLog(event));
  switch (verdict) {
    case logs::LogVerdict::kIncomplete: event.log = scheduler::LogState::kIncomplete; break;
    case logs::LogVerdict::kComplete: event.log = scheduler::LogState::kComplete; break;
    case logs::LogVerdict::kDamaged:
      event.log = scheduler::LogState::kDamaged;
      // The row then says of itself that the log is not what the agent wrote.
      event.result.log.root = Sha256Digest();
      event.log_missing = event.result.log.missing;
      break;
  }
  if (event.log == scheduler::LogState::kIncomplete) return absl::OkStatus();
  if (const auto known = known_.Find(event.key.task);
      known && known->kind == domain::TaskKind::kBuild) {
    CheckParameters(*known->run, event.result);
    return CheckProduct(known->run->application, known->kind, event.result);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps_.reader.GetTask(event.key.task));
  if (protocol::RunsScript(found.task.kind)) CheckParameters(found.run, event.result);
  SLIPWAY_RETURN_IF_ERROR(CheckProduct(found.task.application, found.task.kind, event.result));
  if (event.result.ok() && found.task.kind == domain::TaskKind::kPublish) {
    SLIPWAY_ASSIGN_OR_RETURN(event.release, MakeRelease(event.key.task, *event.result.publish));
  }
  if (event.result.ok() && event.result.probe) {
    SLIPWAY_ASSIGN_OR_RETURN(event.resolves, ResolveBy(found, event.result));
  }
  return absl::OkStatus();
}

absl::StatusOr<logs::LogVerdict> RunOrders::JudgeLog(const scheduler::ResultReported& event) {
  const auto verdict = deps_.logs.Judge(event.key, event.result.log);
  const std::lock_guard lock(mu_);
  if (verdict.ok()) {
    unreadable_.erase(event.key);
    return verdict;
  }
  // A full disk and the like pass; what cannot be read stays so, and the task must end.
  if (!absl::IsDataLoss(verdict.status()) && !absl::IsInternal(verdict.status())) return verdict;
  int& readings = unreadable_[event.key];
  if (++readings < kLogReadings) return verdict;
  log::Error("log_unreadable",
             {{"task", event.key.task.value()}, {"why", std::string(verdict.status().message())}});
  return logs::LogVerdict::kDamaged;
}

absl::StatusOr<std::optional<scheduler::Resolve>> RunOrders::ResolveBy(
    const store::TaskWithRun& probe, const protocol::AttemptResult& result) {
  const protocol::ProbeOutcome& found = *result.probe;
  if (found.verdict == protocol::ProbeVerdict::kCannotTell) {
    return std::optional<scheduler::Resolve>();
  }
  scheduler::Resolve resolve;
  resolve.task = probe.task.depends_on;
  resolve.resolution = {.verdict = found.verdict == protocol::ProbeVerdict::kPublished
                                       ? domain::PublishVerdict::kPublished
                                       : domain::PublishVerdict::kNotPublished,
                        .resolved_by = probe.run.submitted_by,
                        .resolved_at = {},
                        .probe = probe.task.id,
                        .reason = found.words,
                        .late_result = {}};
  resolve.version = found.version;
  resolve.link = found.link;
  SLIPWAY_RETURN_IF_ERROR(Complete(resolve));
  return std::optional<scheduler::Resolve>(std::move(resolve));
}

absl::Status RunOrders::Complete(scheduler::Resolve& event) {
  auto found = deps_.reader.GetTask(event.task);
  if (found.status().code() == absl::StatusCode::kNotFound) return absl::OkStatus();
  SLIPWAY_RETURN_IF_ERROR(found.status());
  const domain::Task& task = found->task;
  if (task.state != domain::TaskState::kUnknown || !task.result) return absl::OkStatus();
  // Log and times stay those of the attempt.
  protocol::AttemptResult result = *task.result;
  if (event.resolution.verdict == domain::PublishVerdict::kPublished) {
    result.failure.reset();
    result.publish = protocol::PublishOutcome{.link = event.link, .code = {}, .details_json = "{}"};
    SLIPWAY_ASSIGN_OR_RETURN(event.release,
                             MakeRelease(event.task, *result.publish, event.version));
  } else {
    const Failure before = result.failure.value_or(Failure{});
    result.failure = Failure{FailureClass::kInfrastructure,
                             "PUBLISH_NOT_DONE",
                             fmt::format("It was not published, as {} found: {}",
                                         event.resolution.probe.value().empty()
                                             ? event.resolution.resolved_by
                                             : "probe " + event.resolution.probe.value(),
                                         event.resolution.reason),
                             before.tool_words.empty() ? before.message : before.tool_words,
                             "Publish again: submit the same commit.",
                             "请重新发布：再次提交同一个版本。"};
  }
  event.result = std::move(result);
  return absl::OkStatus();
}

absl::Status RunOrders::CheckArchived(const ApplicationId& application,
                                      const Sha256Digest& manifest) {
  const MonoTime now = deps_.clock.Mono();
  const std::pair product(application, manifest);
  const auto it = archived_.find(product);
  if (it != archived_.end() && now < it->second + kArchivedFor) return absl::OkStatus();
  SLIPWAY_RETURN_IF_ERROR(deps_.archive.Find(application, manifest).status());
  if (archived_.size() >= kMaxArchived) archived_.clear();
  archived_.insert_or_assign(product, now);
  return absl::OkStatus();
}

void RunOrders::CheckParameters(const domain::Run& run, protocol::AttemptResult& result) {
  if (!result.ok() || !result.build) return;
  if (!run.after_script.value().empty() && result.build->commit != run.ref) {
    result.failure =
        Failure{FailureClass::kPolicy,
                "WRONG_COMMIT",
                fmt::format("the agent built {} instead of {}, against which the script ran",
                            result.build->commit, run.ref),
                "",
                "Submit again; tell the operator when it happens twice.",
                "请重新提交；若再次出现，请告知运维人员。"};
    result.build.reset();
    return;
  }
  for (const auto& [name, value] : run.parameters) {
    const auto told = result.build->parameters.find(name);
    if (told != result.build->parameters.end() && told->second == value) continue;
    result.failure =
        Failure{FailureClass::kInfrastructure,
                "PARAMETERS_IGNORED",
                fmt::format("the agent built without the submitted value of parameter {}", name),
                "",
                "Install the agent that belongs to this controller.",
                "请安装与控制器匹配的代理版本。"};
    result.build.reset();
    return;
  }
}

absl::Status RunOrders::CheckProduct(const ApplicationId& application, domain::TaskKind kind,
                                     protocol::AttemptResult& result) {
  if (kind != domain::TaskKind::kProbe) result.probe.reset();
  // In doubt is only what the public may see; nobody could resolve anything else.
  if (kind != domain::TaskKind::kPublish && result.failure &&
      result.failure->klass == FailureClass::kPublishUnknown) {
    result.failure->klass = FailureClass::kInfrastructure;
  }
  if (kind == domain::TaskKind::kProbe) {
    result.build.reset();
    result.publish.reset();
    if (result.ok() && !result.probe) result.probe.emplace();
    return absl::OkStatus();
  }
  if (kind == domain::TaskKind::kScript) {
    result.publish.reset();
    if (result.build) {
      // It hands over nothing, whatever the agent says.
      protocol::BuildOutcome& outcome = *result.build;
      outcome.manifest = Sha256Digest();
      outcome.artifact_bytes = 0;
      outcome.artifact_files = 0;
      outcome.sealed_credential.clear();
      outcome.publish_options.clear();
    }
    if (result.ok() && (!result.build || result.build->commit.empty())) {
      result.failure = Failure{FailureClass::kInfrastructure,
                               "SCRIPT_NOT_STARTED",
                               "The agent does not say which commit the script ran against.",
                               "",
                               "Install the agent version that fits the controller.",
                               "请安装与控制器匹配的代理版本。"};
    }
    return absl::OkStatus();
  }
  if (kind == domain::TaskKind::kPreview) {
    result.build.reset();
    if (result.ok() && (!result.publish || result.publish->code.empty())) {
      result.publish.reset();
      result.failure = Failure{FailureClass::kInfrastructure,
                               "PREVIEW_FAILED",
                               "The agent reports a preview without its code.",
                               "",
                               "Install the agent version that fits the controller.",
                               "请安装与控制器匹配的代理版本。"};
    }
    return absl::OkStatus();
  }
  if (kind == domain::TaskKind::kPublish) {
    result.build.reset();
    // The client has ended well, so it is public, whether or not the agent tells more.
    if (result.ok() && !result.publish) result.publish.emplace();
    return absl::OkStatus();
  }
  result.publish.reset();
  if (!result.ok()) return absl::OkStatus();
  absl::Status archived = absl::NotFoundError("the result names no product");
  if (result.build && !result.build->manifest.IsZero()) {
    archived = CheckArchived(application, result.build->manifest);
  }
  if (archived.ok()) return absl::OkStatus();
  if (archived.code() != absl::StatusCode::kNotFound) return archived;
  result.failure = Failure{
      FailureClass::kInfrastructure,
      "PRODUCT_NOT_ARCHIVED",
      fmt::format("the build ended well but its product is not in the archive: {}",
                  std::string(archived.message())),
      "",
      "Submit again; if it happens twice, install the agent version that fits the controller.",
      "请重新提交；若再次出现，请安装与控制器匹配的代理版本。"};
  result.build.reset();
  return absl::OkStatus();
}

absl::StatusOr<domain::Release> RunOrders::MakeRelease(const TaskId& task,
                                                       const protocol::PublishOutcome& outcome,
                                                       const std::string& version) {
  SLIPWAY_ASSIGN_OR_RETURN(const Publish loaded, LoadPublish(task));
  const domain::Run& run = loaded.publish.run;
  const protocol::BuildOutcome& build = *loaded.build.task.result->build;
  domain::Release release;
  release.id = ReleaseId(NewId("rel-"));
  release.run = run.id;
  release.publish_task = task;
  release.build_task = loaded.build.task.id;
  release.application = run.application;
  release.application_name = run.application_name;
  // What a channel hands on is still a product of its platform.
  const domain::Task& publish = loaded.publish.task;
  const bool channel = domain::IsChannelPlatform(publish.platform);
  release.platform = channel ? loaded.build.task.platform : publish.platform;
  release.target = channel ? publish.platform + "/" + publish.target : publish.target;
  release.version = version.empty() ? build.version : version;
  release.commit = build.commit;
  release.manifest = build.manifest;
  release.link = outcome.link;
  release.released_at = deps_.clock.Wall();
  release.released_by = run.submitted_by;
  release.qr_text = qr::FormatReleaseCode(
      {release.id, release.application_name, release.platform, release.version, release.manifest},
      deps_.public_url);
  return release;
}

absl::StatusOr<std::optional<Failure>> RunOrders::Complete(scheduler::PermitRequested& event) {
  SLIPWAY_ASSIGN_OR_RETURN(const Publish loaded, LoadPublish(event.key.task));
  const Sha256Digest& archived = loaded.build.task.result->build->manifest;
  if (event.manifest != archived) {
    return std::optional<Failure>(
        Failure{FailureClass::kPolicy, "WRONG_PRODUCT",
                fmt::format("the agent would hand over {}, but the build archived {}",
                            event.manifest.ToString(), archived.ToString()),
                "", "Submit again; if it happens twice, look at the agent's disk.",
                "请重新提交；若再次出现，请检查构建节点的磁盘。"});
  }
  const domain::Task& publish = loaded.publish.task;
  SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
  const domain::Target* target = targets->Find(publish.platform, publish.target);
  // The agent's own limit for a target that is not there: see below.
  event.deadline = target == nullptr ? kDeadlineWithoutTarget : target->deadline;
  event.nonce = crypto::Base32(crypto::RandomBytes(20).view());
  return std::optional<Failure>();
}

absl::StatusOr<std::string> RunOrders::ScriptSpecOf(const domain::Run& run,
                                                    const std::string& platform) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::string script, deps_.reader.ScriptOf(run.id));
  v1::TaskSpec spec = SpecFrame(run, platform);
  auto* wanted = spec.mutable_script();
  SLIPWAY_RETURN_IF_ERROR(FillBuild(run, false, *wanted->mutable_build()));
  wanted->set_name(run.script_name);
  wanted->set_script(script);
  return spec.SerializeAsString();
}

absl::StatusOr<std::string> RunOrders::BuildSpecOf(const domain::Run& run,
                                                   const std::string& platform,
                                                   bool publish_follows) {
  v1::TaskSpec spec = SpecFrame(run, platform);
  SLIPWAY_RETURN_IF_ERROR(FillBuild(run, publish_follows, *spec.mutable_build()));
  return spec.SerializeAsString();
}

absl::Status RunOrders::FillBuild(const domain::Run& run, bool publish_follows,
                                  v1::BuildSpec& build) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto application, deps_.applications.Get(run.application));
  build.set_repository(application.repository);
  build.set_ref(run.ref);
  SLIPWAY_ASSIGN_OR_RETURN(const auto credential, deps_.credentials.Find(run.application));
  build.set_private_repository(credential.has_value());
  build.set_publish_follows(publish_follows);
  build.mutable_parameters()->insert(run.parameters.begin(), run.parameters.end());
  build.set_no_caches(run.no_build_caches);
  return absl::OkStatus();
}

absl::StatusOr<std::string> RunOrders::SpecOf(const TaskId& task) {
  if (const auto known = known_.Find(task); known && known->kind == domain::TaskKind::kBuild) {
    return BuildSpecOf(*known->run, known->platform, known->publish_follows);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps_.reader.GetTask(task));
  const domain::Run& run = found.run;
  if (found.task.kind == domain::TaskKind::kScript) return ScriptSpecOf(run, found.task.platform);
  if (found.task.kind == domain::TaskKind::kBuild) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto siblings, deps_.reader.TasksOfRun(run.id));
    const bool publish_follows =
        std::any_of(siblings.begin(), siblings.end(), [&](const domain::Task& sibling) {
          return sibling.depends_on == task && !domain::IsChannelPlatform(sibling.platform);
        });
    return BuildSpecOf(run, found.task.platform, publish_follows);
  }
  v1::TaskSpec spec = SpecFrame(run, found.task.platform);
  SLIPWAY_ASSIGN_OR_RETURN(const Publish loaded, LoadPublish(task));
  const protocol::BuildOutcome& outcome = *loaded.build.task.result->build;
  spec.set_version(outcome.version);
  auto* publish =
      found.task.kind == domain::TaskKind::kProbe ? spec.mutable_probe() : spec.mutable_publish();
  publish->set_manifest(rpc::ToProto(outcome.manifest));
  publish->set_app_id(outcome.app_id);
  publish->set_mode(found.task.kind == domain::TaskKind::kPreview ? "preview" : "upload");
  publish->set_commit(outcome.commit);
  for (const std::string& option : outcome.publish_options) {
    const auto equals = option.find('=');
    if (equals != std::string::npos) {
      (*publish->mutable_options())[option.substr(0, equals)] = option.substr(equals + 1);
    }
  }
  // As the target is now; its deadline has been the same since the submit. A target that was
  // removed while the submit was on its way leaves the image empty; the agent reports it.
  const domain::Task& published = loaded.publish.task;
  SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
  if (const domain::Target* target = targets->Find(published.platform, published.target)) {
    publish->set_image(target->image);
    publish->set_proxy(target->proxy);
    publish->set_ca_pem(target->ca_pem);
    publish->set_network(target->network);
    *publish->mutable_deadline() = rpc::ToProtoDuration(target->deadline);
  }
  return spec.SerializeAsString();
}

absl::StatusOr<std::variant<std::string, Failure>> RunOrders::SecretOf(const TaskId& task) {
  using Answer = std::variant<std::string, Failure>;
  SLIPWAY_ASSIGN_OR_RETURN(const Publish loaded, LoadPublish(task));
  const protocol::BuildOutcome& build = *loaded.build.task.result->build;
  const domain::Run& run = loaded.publish.run;
  const std::string& platform = loaded.publish.task.platform;
  // Who works for channels is in this process and opens their own secrets.
  if (domain::IsChannelPlatform(platform)) return Answer(std::string());
  auto opened =
      crypto::OpenCredential(build.sealed_credential, deps_.sealing.certificate_pem,
                             deps_.sealing.key_pem.view(), {deps_.farm, run.application, platform});
  if (!opened.ok()) {
    return Answer(CredentialFailure(opened.status(), run.application_name, platform));
  }
  if (opened->app_id != build.app_id) {
    return Answer(CredentialFailure(
        MakeError(absl::StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN",
                  fmt::format("it is for the platform's application {}, slipway.yaml names {}",
                              opened->app_id, build.app_id)),
        run.application_name, platform));
  }
  return Answer(std::string(opened->secret.view()));
}

void RunOrders::ResultTaken(const scheduler::TakenResult& result) {
  {
    const std::lock_guard lock(mu_);
    unreadable_.erase(result.key);
  }
  // Not sealed is not lost: readers also see from the task that the attempt is over.
  deps_.logs.Seal(result.key, {.complete = result.log_complete, .missing = result.log_missing})
      .IgnoreError();
}

void RunOrders::Loaded() {
  for (const AttemptKey& key : deps_.logs.Unsealed()) {
    const auto found = deps_.reader.GetTask(key.task);
    // Not known now; the next load looks again.
    if (!found.ok()) continue;
    const domain::Task& task = found->task;
    const bool current = task.attempt == key.attempt;
    if (current && !domain::IsTerminal(task.state)) continue;
    logs::LogSeal seal;
    if (current && task.result) {
      // The row of a damaged log has no root.
      seal = {.complete = !task.result->log.root.IsZero(), .missing = task.result->log.missing};
    }
    deps_.logs.Seal(key, seal).IgnoreError();
  }
}

void RunOrders::Changed(const std::vector<TaskId>& tasks) { deps_.watch.Changed(tasks); }

}  // namespace slipway::runs
