#include "controller/api/script_call.h"

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/catalog_convert.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"
#include "controller/api/submit_call.h"

namespace slipway::api {
namespace {

constexpr std::size_t kLongestName = 255;
constexpr std::size_t kMostScript = std::size_t{1} << 20;

// Of all scripts that are on their way into the store: it takes many submits at once, and they must
// not fill its messages.
constexpr std::size_t kMostUnderWay = std::size_t{8} << 20;

// Counts until the last copy of the token is gone. Null: there are too many.
std::shared_ptr<void> EnterScript(std::size_t bytes) {
  static std::atomic<std::size_t> under_way{0};
  if (under_way.fetch_add(bytes) + bytes > kMostUnderWay) {
    under_way.fetch_sub(bytes);
    return nullptr;
  }
  return {&under_way, [bytes](void*) { under_way.fetch_sub(bytes); }};
}

absl::Status NotPassed(const domain::Task& script, const std::string& why) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "SCRIPT_NOT_PASSED",
      fmt::format("script task {} {}, so nothing is packaged after it", script.id.value(), why),
      "Mend the script or the commit and run it again, or submit without it.");
}

}  // namespace

absl::StatusOr<Expanded> ExpandScript(const v1::RunScriptRequest& request,
                                      const domain::Application& application,
                                      const domain::Account& account, WallTime now) {
  if (request.request_id().empty()) {
    return BadField("request_id", "missing; send a text that is unique for this script");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckText("request_id", request.request_id(), 128));
  SLIPWAY_RETURN_IF_ERROR(CheckRef(request.ref()));
  SLIPWAY_RETURN_IF_ERROR(CheckText("name", request.name(), kLongestName));
  const std::string& name = request.name();
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return BadField("name", "is no name of a file; any will do that has no '/'");
  }
  if (request.script().empty()) return BadField("script", "is empty");
  if (request.script().size() > kMostScript) {
    return BadField("script", fmt::format("has {} bytes, more than 1 MiB; commit what it brings "
                                          "along",
                                          request.script().size()));
  }
  if (!request.platform().empty() && !IsPlatformName(request.platform())) {
    return BadField("platform",
                    fmt::format("'{}' is no name of one", rpc::ValidUtf8(request.platform())));
  }
  SLIPWAY_RETURN_IF_ERROR(CheckPriority(request.priority()));
  SLIPWAY_ASSIGN_OR_RETURN(auto parameters, ParametersFrom("parameters", request.parameters()));
  SLIPWAY_ASSIGN_OR_RETURN(const Labels wanted,
                           RequirementsFrom("requirements", request.requirements()));
  SLIPWAY_ASSIGN_OR_RETURN(
      const Labels requirements,
      Together({{fmt::format("application '{}'", application.name), application.requirements},
                {"the script", wanted}}));
  Expanded expanded;
  domain::Run& run = expanded.run;
  run.id = RunId(NewId("run-"));
  run.application = application.id;
  run.application_name = application.name;
  run.ref = request.ref();
  run.submitted_by = account.name;
  run.submitted_at = now;
  run.request_id = request.request_id();
  run.parameters = std::move(parameters);
  run.script_name = name;
  run.script = request.script();

  domain::Task task;
  task.id = TaskId(NewId("task-"));
  task.run = run.id;
  task.application = application.id;
  task.kind = domain::TaskKind::kScript;
  task.platform = request.platform();
  task.requirements = requirements;
  task.priority = request.priority();
  task.queue_timeout = application.queue_timeout;
  if (request.has_queue_timeout()) {
    SLIPWAY_ASSIGN_OR_RETURN(task.queue_timeout,
                             QueueTimeoutFrom("queue_timeout", request.queue_timeout()));
  }
  task.state = domain::TaskState::kQueued;
  task.queued_since = now;
  task.created_at = now;
  expanded.tasks.push_back(std::move(task));
  return expanded;
}

grpc::ServerUnaryReactor* NewScriptCall(grpc::CallbackServerContext& context, const Deps& deps,
                                        const v1::RunScriptRequest& request,
                                        v1::SubmitRunResponse& response) {
  return NewExpandedCall(context, deps, ScriptExpander(deps, request), response);
}

Expander ScriptExpander(const Deps& deps, const v1::RunScriptRequest& request) {
  // Lives as long as the call, which waits for the scheduler's reply.
  return [&deps, &request, place = std::make_shared<std::shared_ptr<void>>()](
             const access::Caller& caller, const domain::Targets&,
             WallTime now) -> absl::StatusOr<Expanded> {
    SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                             FindApplication(deps, caller, request.application()));
    SLIPWAY_ASSIGN_OR_RETURN(auto expanded,
                             ExpandScript(request, application, caller.account, now));
    *place = EnterScript(request.script().size());
    if (*place) return expanded;
    return MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                     "too many scripts are waiting to be stored", "Try again in a few seconds.");
  };
}

absl::Status TakeScriptsWord(const Deps& deps, const access::Caller& caller,
                             const v1::SubmitRunRequest& request, domain::Run& run) {
  if (request.after_script().empty()) return absl::OkStatus();
  SLIPWAY_RETURN_IF_ERROR(CheckText("after_script", request.after_script(), 128));
  SLIPWAY_ASSIGN_OR_RETURN(const auto found,
                           FindTask(deps, caller, TaskId(request.after_script())));
  const domain::Task& script = found.task;
  if (script.kind != domain::TaskKind::kScript) {
    return BadField("after_script",
                    fmt::format("task {} is none that ran a script", script.id.value()));
  }
  if (script.application != run.application) {
    return BadField("after_script", fmt::format("task {} ran against application '{}'",
                                                script.id.value(), found.run.application_name));
  }
  if (!domain::IsTerminal(script.state)) return NotPassed(script, "has not ended");
  if (script.state != domain::TaskState::kSucceeded || !script.result || !script.result->build) {
    return NotPassed(script, fmt::format("has {}", domain::TaskStateName(script.state)));
  }
  const std::string& commit = script.result->build->commit;
  if (commit.size() != 40 || commit.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return NotPassed(script, "does not say against which commit it ran");
  }
  if (!run.ref.empty() && run.ref != found.run.ref && run.ref != commit) {
    return BadField("ref", fmt::format("the script ran against '{}' ({}); leave ref out",
                                       found.run.ref, commit));
  }
  run.ref = commit;
  run.after_script = script.id;
  return absl::OkStatus();
}

}  // namespace slipway::api
