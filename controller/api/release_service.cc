#include "controller/api/release_service.h"

#include <fmt/format.h>

#include <utility>

#include "common/qr/release_code.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/agent_gateway/artifact_stream.h"
#include "controller/api/await_reply.h"
#include "controller/api/convert.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"
#include "controller/api/package_convert.h"
#include "controller/api/product.h"
#include "controller/api/task_actions.h"
#include "controller/domain/task_actions.h"

namespace slipway::api {
namespace {

std::string PublishState(const std::optional<domain::Task>& publish) {
  if (!publish) return "not asked for";
  if (publish->state == domain::TaskState::kSucceeded) return "released";
  std::string text(domain::TaskStateName(publish->state));
  if (publish->result && publish->result->failure) {
    text += fmt::format(": {}: {}", protocol::FailureClassName(publish->result->failure->klass),
                        publish->result->failure->message);
  }
  return text;
}

}  // namespace

grpc::Status ReleaseService::ListReleases(grpc::ServerContext* context,
                                          const v1::ListReleasesRequest* request,
                                          v1::ListReleasesResponse* response) {
  return rpc::ToGrpc(*context, DoList(*context, *request, *response));
}

absl::Status ReleaseService::DoList(grpc::ServerContext& context,
                                    const v1::ListReleasesRequest& request,
                                    v1::ListReleasesResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  store::ReleaseFilter filter;
  filter.viewer = ViewerOf(caller);
  if (!request.application().empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                             FindApplication(deps_, caller, request.application()));
    filter.application = application.id;
  }
  filter.platform = request.platform();
  if (request.page_size() != 0) filter.page_size = request.page_size();
  if (filter.page_size < 1 || filter.page_size > 1000) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD", "page_size: not in 1 … 1000",
                     "Ask for 1 to 1000 rows, and for the next page with page_token.");
  }
  filter.page_token = request.page_token();
  SLIPWAY_ASSIGN_OR_RETURN(const auto page, deps_.reader.ListReleases(filter));
  for (const auto& release : page.releases) {
    *response.add_releases() = ToProto(release);
    AddActions(*response.mutable_releases()->rbegin());
  }
  response.set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

grpc::Status ReleaseService::GetArchived(grpc::ServerContext* context,
                                         const v1::GetArchivedRequest* request,
                                         v1::Archived* response) {
  return rpc::ToGrpc(*context, DoGet(*context, request->name(), *response));
}

absl::Status ReleaseService::DoGet(grpc::ServerContext& context, const std::string& name,
                                   v1::Archived& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_ASSIGN_OR_RETURN(const Product product, FindProduct(deps_, caller, name));
  const protocol::AttemptResult& result = *product.build.task.result;
  const protocol::BuildOutcome& build = *result.build;
  if (product.release) *response.mutable_release() = ToProto(*product.release);
  response.set_application(product.build.run.application_name);
  response.set_platform(product.build.task.platform);
  response.set_version(build.version);
  response.set_commit(build.commit);
  response.set_image_digest(build.image_digest);
  response.set_manifest(rpc::ToProto(build.manifest));
  response.set_bytes(build.artifact_bytes);
  response.set_files(build.artifact_files);
  response.set_build_task(product.build.task.id.value());
  response.set_submitted_by(product.build.run.submitted_by);
  *response.mutable_built_at() = rpc::ToProto(result.finished_at);
  response.set_log_size(result.log.size);
  response.set_log_root(rpc::ToProto(result.log.root));
  response.set_publish_state(product.release ? "released" : PublishState(product.publish));
  response.mutable_parameters()->insert(build.parameters.begin(), build.parameters.end());
  AddActions(response);
  return absl::OkStatus();
}

grpc::Status ReleaseService::ResolvePublish(grpc::ServerContext* context,
                                            const v1::ResolvePublishRequest* request,
                                            v1::ResolvePublishResponse* response) {
  return rpc::ToGrpc(*context, DoResolve(*context, *request, *response));
}

absl::Status ReleaseService::DoResolve(grpc::ServerContext& context,
                                       const v1::ResolvePublishRequest& request,
                                       v1::ResolvePublishResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  const TaskId id(request.task());
  SLIPWAY_ASSIGN_OR_RETURN(const auto found, FindTask(deps_, caller, id));
  const domain::Question question{.application = found.task.application,
                                  .operation = domain::Operation::kManage};
  SLIPWAY_RETURN_IF_ERROR(CheckMayAct(deps_, caller, question));
  SLIPWAY_RETURN_IF_ERROR(CheckText("reason", request.reason(), 1024, Lines::kMany));
  SLIPWAY_RETURN_IF_ERROR(CheckText("version", request.published().version(), 64));
  SLIPWAY_RETURN_IF_ERROR(CheckText("link", request.published().link(), 1024));
  SLIPWAY_RETURN_IF_ERROR(CheckText("request_id", request.request_id(), 128));
  if (request.reason().find_first_not_of(" \t\n") == std::string::npos) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD", "reason: missing",
                     "Say how it is known; it stays on record.");
  }
  if (request.word_case() == v1::ResolvePublishRequest::WORD_NOT_SET) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                     "word: say published, not_published or probe");
  }
  if (found.task.state != domain::TaskState::kUnknown) {
    SLIPWAY_RETURN_IF_ERROR(CheckSame(request, found.task));
  } else if (request.has_probe()) {
    SLIPWAY_ASSIGN_OR_RETURN(const RunId run, StartProbe(request, found, caller, question));
    response.set_probe_run(run.value());
  } else {
    scheduler::Resolve resolve;
    resolve.task = id;
    resolve.resolution = {.verdict = request.has_published()
                                         ? domain::PublishVerdict::kPublished
                                         : domain::PublishVerdict::kNotPublished,
                          .resolved_by = caller.account.name,
                          .resolved_at = {},
                          .probe = {},
                          .reason = request.reason(),
                          .late_result = {}};
    resolve.version = request.published().version();
    resolve.link = request.published().link();
    resolve.basis = {caller.address, {caller.AuthorityFor(question)}};
    SLIPWAY_ASSIGN_OR_RETURN(const auto reply,
                             AwaitReply([&](scheduler::Scheduler::OnReply answer) {
                               deps_.scheduler.Resolve(std::move(resolve), std::move(answer));
                             }));
    if (reply.status.code() == absl::StatusCode::kNotFound) {
      // Somebody else was faster.
      SLIPWAY_ASSIGN_OR_RETURN(const auto now, deps_.reader.GetTask(id));
      SLIPWAY_RETURN_IF_ERROR(CheckSame(request, now.task));
    } else {
      SLIPWAY_RETURN_IF_ERROR(reply.status);
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(*response.mutable_task(), DescribeTask(deps_, caller, id));
  return absl::OkStatus();
}

absl::Status ReleaseService::CheckSame(const v1::ResolvePublishRequest& request,
                                       const domain::Task& task) {
  if (task.state == domain::TaskState::kUnknown) {
    return MakeError(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT",
                     "nobody knows whether the word is stored", "Ask again.");
  }
  const auto resolution = deps_.reader.ResolutionOf(task.id);
  if (!resolution.ok()) {
    if (!absl::IsNotFound(resolution.status())) return resolution.status();
    return domain::CheckUnknown(task, nullptr);
  }
  const bool published = resolution->verdict == domain::PublishVerdict::kPublished;
  if (request.has_probe() || request.has_published() == published) return absl::OkStatus();
  return domain::CheckUnknown(task, &*resolution);
}

grpc::Status ReleaseService::ClosePage(grpc::ServerContext* context,
                                       const v1::ClosePageRequest* request,
                                       v1::ClosePageResponse* response) {
  return rpc::ToGrpc(*context, DoClosePage(*context, request->name(), *response));
}

absl::Status ReleaseService::DoClosePage(grpc::ServerContext& context, const std::string& name,
                                         v1::ClosePageResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  TaskId id(name);
  if (name.rfind("rel-", 0) == 0 || name.find(':') != std::string::npos) {
    SLIPWAY_ASSIGN_OR_RETURN(const Product product, FindProduct(deps_, caller, name));
    id = product.release->publish_task;
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto found, FindTask(deps_, caller, id));
  // Who may hand it on may take it back.
  SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
  const domain::Question question = QuestionOf(found.task, *targets);
  SLIPWAY_RETURN_IF_ERROR(CheckMayAct(deps_, caller, question));
  SLIPWAY_ASSIGN_OR_RETURN(
      const WallTime closed,
      pages_.Close(id, deps_.clock.Wall(),
                   deps_.auth.access().CauseOf(caller, {caller.AuthorityFor(question)})));
  *response.mutable_closed_at() = rpc::ToProto(closed);
  return absl::OkStatus();
}

absl::StatusOr<RunId> ReleaseService::StartProbe(const v1::ResolvePublishRequest& request,
                                                 const store::TaskWithRun& publish,
                                                 const access::Caller& caller,
                                                 const domain::Question& question) {
  domain::Run run = publish.run;
  run.id = RunId(NewId("run-"));
  run.submitted_by = caller.account.name;
  run.submitted_at = deps_.clock.Wall();
  run.request_id = request.request_id().empty() ? run.id.value() : request.request_id();
  run.description = request.reason();
  domain::Task probe;
  probe.id = TaskId(NewId("task-"));
  probe.run = run.id;
  probe.application = publish.task.application;
  probe.kind = domain::TaskKind::kProbe;
  probe.platform = publish.task.platform;
  probe.target = publish.task.target;
  probe.depends_on = publish.task.id;
  probe.requirements = publish.task.requirements;
  probe.priority = publish.task.priority;
  probe.queue_timeout = publish.task.queue_timeout;
  probe.state = domain::TaskState::kQueued;
  probe.queued_since = run.submitted_at;
  probe.created_at = run.submitted_at;
  const RunId id = run.id;
  SLIPWAY_ASSIGN_OR_RETURN(const auto reply, AwaitReply([&](scheduler::Scheduler::OnReply answer) {
                             deps_.scheduler.Submit(
                                 std::move(run), {std::move(probe)}, std::move(answer),
                                 {caller.address, {caller.AuthorityFor(question)}});
                           }));
  if (reply.status.code() == absl::StatusCode::kAlreadyExists) return reply.run;
  SLIPWAY_RETURN_IF_ERROR(reply.status);
  return id;
}

grpc::Status ReleaseService::Download(grpc::ServerContext* context,
                                      const v1::DownloadRequest* request,
                                      grpc::ServerWriter<v1::DownloadResponse>* writer) {
  return rpc::ToGrpc(*context, DoDownload(*context, request->name(), *writer));
}

absl::Status ReleaseService::DoDownload(grpc::ServerContext& context, const std::string& name,
                                        grpc::ServerWriter<v1::DownloadResponse>& writer) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_ASSIGN_OR_RETURN(const Product product, FindProduct(deps_, caller, name));
  const ApplicationId& application = product.build.run.application;
  const StreamRight right(deps_.rights, SeesStill(deps_, caller, application));
  const absl::Status sent = agent_gateway::StreamArtifact<v1::DownloadResponse>(
      archive_, application, product.build.task.result->build->manifest,
      [&](const v1::DownloadResponse& message) {
        return right.status().ok() && writer.Write(message);
      });
  SLIPWAY_RETURN_IF_ERROR(right.status());
  return sent;
}

grpc::Status ReleaseService::DownloadPackage(
    grpc::ServerContext* context, const v1::DownloadPackageRequest* request,
    grpc::ServerWriter<v1::DownloadPackageResponse>* writer) {
  // gRPC's own, which nobody reads again: its password must not outlive its use.
  auto& own = *const_cast<v1::DownloadPackageRequest*>(request);
  return rpc::ToGrpc(*context, DoDownloadPackage(*context, own, *writer));
}

absl::Status ReleaseService::DoDownloadPackage(
    grpc::ServerContext& context, v1::DownloadPackageRequest& request,
    grpc::ServerWriter<v1::DownloadPackageResponse>& writer) {
  crypto::SecretBytes password;
  if (request.has_encryption()) password = TakePassword(*request.mutable_encryption());
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_ASSIGN_OR_RETURN(const Product product, FindProduct(deps_, caller, request.name()));
  return SendPackage(deps_, {archive_, audit_, running_packages_}, caller, product.build, request,
                     std::move(password), context, writer);
}

}  // namespace slipway::api
