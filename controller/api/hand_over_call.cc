#include "controller/api/hand_over_call.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "common/status/status.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"
#include "controller/api/package_convert.h"
#include "controller/api/product.h"
#include "controller/api/repeat.h"
#include "controller/api/submit_call.h"
#include "controller/domain/task_actions.h"

namespace slipway::api {
namespace {

// A task whose build has succeeded long ago.
domain::Task AtOnce(domain::Task task, const RunId& run, WallTime now) {
  task.run = run;
  task.state = domain::TaskState::kQueued;
  task.queued_since = now;
  return task;
}

// What a hand-over has of the build it takes the product from.
domain::Task FrameOf(const domain::Task& build, const v1::PublishProductRequest& request,
                     Duration queue_timeout, WallTime now) {
  domain::Task frame;
  frame.id = build.id;
  frame.application = build.application;
  frame.platform = build.platform;
  frame.priority = request.priority();
  frame.queue_timeout = queue_timeout;
  frame.created_at = now;
  return frame;
}

}  // namespace

absl::StatusOr<Expanded> ExpandProduct(const v1::PublishProductRequest& request,
                                       const store::TaskWithRun& build,
                                       const domain::Application& application,
                                       const domain::Account& account,
                                       const domain::Targets& targets, WallTime now) {
  if (request.request_id().empty()) {
    return BadField("request_id", "missing; send a text that is unique for this submit");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckText("request_id", request.request_id(), 128));
  SLIPWAY_RETURN_IF_ERROR(CheckText("description", request.description(), 1024, Lines::kMany));
  SLIPWAY_RETURN_IF_ERROR(CheckPriority(request.priority()));
  if (request.publish() && request.preview()) {
    return BadField("preview", "is instead of a publish; send one of them");
  }
  const bool platform = request.publish() || request.preview();
  if (!platform && request.channels_size() == 0) {
    return BadField("publish", "say publish, preview or channels: where the product shall go");
  }
  if (!request.target().empty() && !platform) {
    return BadField("target", "is only for a publish or a preview");
  }
  if (request.has_packaging() && request.channels_size() == 0) {
    return BadField("packaging", "is how channels get a product; name one in channels");
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto channels,
                           ChannelsFrom(request.channels(), request.preview(), targets));
  SLIPWAY_ASSIGN_OR_RETURN(const Labels wanted,
                           RequirementsFrom("requirements", request.requirements()));
  Duration queue_timeout = application.queue_timeout;
  if (request.has_queue_timeout()) {
    SLIPWAY_ASSIGN_OR_RETURN(queue_timeout,
                             QueueTimeoutFrom("queue_timeout", request.queue_timeout()));
  }
  const protocol::BuildOutcome& product = *build.task.result->build;
  Expanded expanded;
  domain::Run& run = expanded.run;
  run.id = RunId(NewId("run-"));
  run.application = application.id;
  run.application_name = application.name;
  run.ref = product.commit;
  run.version = product.version;
  run.description = request.description().empty() ? build.run.description : request.description();
  run.submitted_by = account.name;
  run.submitted_at = now;
  run.request_id = request.request_id();
  AddRecipients(channels, run);

  const domain::Task frame = FrameOf(build.task, request, queue_timeout, now);
  for (const RequestedChannel& channel : channels) {
    expanded.tasks.push_back(AtOnce(
        HandOver(frame, *channel.target, domain::TaskKind::kPublish, channel.target->requirements),
        run.id, now));
  }
  if (!platform) return expanded;
  if (product.sealed_credential.empty()) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "NO_CREDENTIAL",
        fmt::format("the commit of build {} names no credential for {}", build.task.id.value(),
                    build.task.platform),
        "Run `slipway credentials seal`, name the file under `credential`, commit both, and build "
        "that commit.");
  }
  SLIPWAY_RETURN_IF_ERROR(domain::CheckTarget(targets, build.task.platform, request.target()));
  const domain::Target* target = targets.Find(build.task.platform, request.target());
  SLIPWAY_ASSIGN_OR_RETURN(
      auto required,
      Together({{fmt::format("target '{}'", target->name), target->requirements},
                {fmt::format("application '{}'", application.name), application.requirements},
                {"the submit", wanted}}));
  expanded.tasks.push_back(
      AtOnce(HandOver(frame, *target,
                      request.preview() ? domain::TaskKind::kPreview : domain::TaskKind::kPublish,
                      std::move(required)),
             run.id, now));
  return expanded;
}

grpc::ServerUnaryReactor* NewPublishProductCall(grpc::CallbackServerContext& context,
                                                const Deps& deps,
                                                const v1::PublishProductRequest& request,
                                                v1::SubmitRunResponse& response) {
  return NewExpandedCall(
      context, deps,
      [&deps, &request](const access::Caller& caller, const domain::Targets& targets,
                        WallTime now) -> absl::StatusOr<Expanded> {
        const ForgettingPasswords forgetting(request.packaging());
        SLIPWAY_ASSIGN_OR_RETURN(const Product product,
                                 FindProduct(deps, caller, request.product()));
        SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                                 FindApplication(deps, caller, product.build.run.application_name));
        SLIPWAY_ASSIGN_OR_RETURN(auto expanded, ExpandProduct(request, product.build, application,
                                                              caller.account, targets, now));
        if (!request.has_packaging()) return expanded;
        SLIPWAY_ASSIGN_OR_RETURN(expanded.run.packaging,
                                 PackagingFrom(request.packaging(), expanded.run, deps.farm,
                                               deps.sealing_certificate, now));
        return expanded;
      },
      response);
}

grpc::ServerUnaryReactor* NewSubmitAgainCall(grpc::CallbackServerContext& context, const Deps& deps,
                                             const v1::SubmitAgainRequest& request,
                                             v1::SubmitAgainResponse& response) {
  return NewPlannedCall(
      context, deps,
      [&deps, &request](const access::Caller& caller) { return PlanAgain(deps, caller, request); },
      *response.mutable_runs());
}

}  // namespace slipway::api
