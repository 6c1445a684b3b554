#include "controller/api/task_service.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "common/crypto/hash.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/agent_gateway/text.h"
#include "controller/api/await_reply.h"
#include "controller/api/convert.h"
#include "controller/api/explain.h"
#include "controller/api/follow.h"
#include "controller/api/guard.h"
#include "controller/api/hand_over_call.h"
#include "controller/api/script_call.h"
#include "controller/api/submit_call.h"
#include "controller/api/task_actions.h"

namespace slipway::api {
namespace {

constexpr std::size_t kMaxReason = 1024;

// The database refuses half a character, and with it everything it was asked for at once.
std::string CutReason(const std::string& reason) {
  return agent_gateway::StorableText(reason, kMaxReason);
}

// Without actions.
absl::StatusOr<v1::Task> Describe(const Deps& deps, const domain::Task& task,
                                  const domain::Run& run) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::string agent, AgentName(deps, task.agent));
  v1::Task out = ToProto(task, run, agent);
  SLIPWAY_ASSIGN_OR_RETURN(const auto steps, deps.reader.ListSteps(task.id));
  for (const domain::Step& step : steps) *out.add_steps() = ToProto(step);
  if (task.kind == domain::TaskKind::kPublish && task.state == domain::TaskState::kSucceeded) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto release, deps.reader.ReleaseOfTask(task.id));
    out.set_release(release.id.value());
  }
  if (task.kind == domain::TaskKind::kPublish && domain::IsTerminal(task.state)) {
    const auto resolution = deps.reader.ResolutionOf(task.id);
    if (resolution.ok()) *out.mutable_resolution() = ToProto(*resolution);
    if (!resolution.ok() && resolution.status().code() != absl::StatusCode::kNotFound) {
      return resolution.status();
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> AgentName(const Deps& deps, const AgentId& id) {
  if (id.value().empty()) return std::string();
  auto agent = deps.agents.Get(id);
  if (agent.ok()) return agent->name;
  if (agent.status().code() == absl::StatusCode::kNotFound) return id.value();
  return agent.status();
}

absl::StatusOr<v1::Task> DescribeTask(const Deps& deps, const access::Caller& caller,
                                      const TaskId& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps.reader.GetTask(id));
  SLIPWAY_ASSIGN_OR_RETURN(v1::Task out, Describe(deps, found.task, found.run));
  SLIPWAY_RETURN_IF_ERROR(AddActions(deps, caller, {ShownTask{&found.task, &out}}));
  return out;
}

absl::StatusOr<std::vector<v1::Task>> DescribeRun(const Deps& deps, const access::Caller& caller,
                                                  const RunId& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto run, deps.reader.GetRun(id));
  SLIPWAY_ASSIGN_OR_RETURN(const auto tasks, deps.reader.TasksOfRun(id));
  std::vector<v1::Task> out;
  for (const domain::Task& task : tasks) {
    SLIPWAY_ASSIGN_OR_RETURN(auto described, Describe(deps, task, run));
    out.push_back(std::move(described));
  }
  std::vector<ShownTask> shown;
  for (std::size_t i = 0; i < tasks.size(); ++i) shown.push_back({&tasks[i], &out[i]});
  SLIPWAY_RETURN_IF_ERROR(AddActions(deps, caller, shown));
  return out;
}

grpc::ServerUnaryReactor* TaskService::SubmitRun(grpc::CallbackServerContext* context,
                                                 const v1::SubmitRunRequest* request,
                                                 v1::SubmitRunResponse* response) {
  return NewSubmitCall(*context, deps_, *request, *response);
}

grpc::ServerUnaryReactor* TaskService::PublishProduct(grpc::CallbackServerContext* context,
                                                      const v1::PublishProductRequest* request,
                                                      v1::SubmitRunResponse* response) {
  return NewPublishProductCall(*context, deps_, *request, *response);
}

grpc::ServerUnaryReactor* TaskService::SubmitAgain(grpc::CallbackServerContext* context,
                                                   const v1::SubmitAgainRequest* request,
                                                   v1::SubmitAgainResponse* response) {
  return NewSubmitAgainCall(*context, deps_, *request, *response);
}

grpc::ServerUnaryReactor* TaskService::RunScript(grpc::CallbackServerContext* context,
                                                 const v1::RunScriptRequest* request,
                                                 v1::SubmitRunResponse* response) {
  return NewScriptCall(*context, deps_, *request, *response);
}

grpc::ServerUnaryReactor* TaskService::SubmitRuns(grpc::CallbackServerContext* context,
                                                  const v1::SubmitRunsRequest* request,
                                                  v1::SubmitRunsResponse* response) {
  return NewSubmitManyCall(*context, deps_, *request, *response);
}

grpc::Status TaskService::GetTask(grpc::ServerContext* context, const v1::GetTaskRequest* request,
                                  v1::Task* response) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto seen = FindTask(deps_, *caller, TaskId(request->id()));
  if (!seen.ok()) return rpc::ToGrpc(*context, seen.status());
  auto task = DescribeTask(deps_, *caller, TaskId(request->id()));
  if (task.ok()) *response = std::move(*task);
  return rpc::ToGrpc(*context, task.status());
}

grpc::Status TaskService::GetPlatformImage(grpc::ServerContext* context,
                                           const v1::GetPlatformImageRequest* request,
                                           v1::PlatformImage* response) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const TaskId task(request->task());
  const auto seen = FindTask(deps_, *caller, task);
  if (!seen.ok()) return rpc::ToGrpc(*context, seen.status());
  auto image = deps_.reader.ImageOf(task);
  if (image.ok()) {
    response->set_media_type(std::move(image->media_type));
    response->set_image(std::move(image->bytes));
  }
  return rpc::ToGrpc(*context, image.status());
}

grpc::Status TaskService::GetScript(grpc::ServerContext* context,
                                    const v1::GetScriptRequest* request, v1::Script* response) {
  return rpc::ToGrpc(*context, DoGetScript(*context, TaskId(request->task()), *response));
}

absl::Status TaskService::DoGetScript(grpc::ServerContext& context, const TaskId& task,
                                      v1::Script& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_ASSIGN_OR_RETURN(const auto found, FindTask(deps_, caller, task));
  absl::StatusOr<std::string> script = deps_.reader.ScriptOf(found.run.id);
  if (absl::IsNotFound(script.status())) {
    return MakeError(absl::StatusCode::kNotFound, "NO_SCRIPT",
                     fmt::format("task {} ran no script that somebody brought", task.value()),
                     "`slipway tasks` shows tasks with their kinds.");
  }
  SLIPWAY_RETURN_IF_ERROR(script.status());
  response.set_name(found.run.script_name);
  response.set_sha256(crypto::Sha256Of(*script).Bytes());
  response.set_script(*std::move(script));
  return absl::OkStatus();
}

grpc::Status TaskService::ExplainTask(grpc::ServerContext* context,
                                      const v1::ExplainTaskRequest* request,
                                      v1::ExplainTaskResponse* response) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto seen = FindTask(deps_, *caller, TaskId(request->id()));
  if (!seen.ok()) return rpc::ToGrpc(*context, seen.status());
  auto why = api::ExplainTask(deps_, *caller, TaskId(request->id()));
  if (why.ok()) *response = std::move(*why);
  return rpc::ToGrpc(*context, why.status());
}

grpc::Status TaskService::ListTasks(grpc::ServerContext* context,
                                    const v1::ListTasksRequest* request,
                                    v1::ListTasksResponse* response) {
  return rpc::ToGrpc(*context, DoList(*context, *request, *response));
}

absl::Status TaskService::DoList(grpc::ServerContext& context, const v1::ListTasksRequest& request,
                                 v1::ListTasksResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  store::TaskFilter filter;
  filter.viewer = ViewerOf(caller);
  if (!request.application().empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                             FindApplication(deps_, caller, request.application()));
    filter.application = application.id;
  }
  if (!request.run().empty()) {
    filter.run = RunId(request.run());
    // A list of nothing would say that the run has no tasks.
    SLIPWAY_RETURN_IF_ERROR(FindRun(deps_, caller, *filter.run).status());
  }
  for (const int state : request.states()) {
    const auto known = StateFromProto(static_cast<v1::TaskState>(state));
    if (!known) {
      return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                       fmt::format("states: {} is no state", state),
                       "Use values of TaskState from slipway/v1/common.proto.");
    }
    filter.states.push_back(*known);
  }
  if (request.page_size() != 0) filter.page_size = request.page_size();
  if (filter.page_size < 1 || filter.page_size > 1000) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD", "page_size: not in 1 … 1000",
                     "Ask for 1 to 1000 rows, and for the next page with page_token.");
  }
  filter.page_token = request.page_token();
  SLIPWAY_ASSIGN_OR_RETURN(const auto page, deps_.reader.ListTasks(filter));
  std::map<AgentId, std::string> names;
  SLIPWAY_ASSIGN_OR_RETURN(const auto agents, deps_.agents.List());
  for (const auto& agent : agents) names[agent.id] = agent.name;
  for (const auto& [task, run] : page.tasks) {
    const auto name = names.find(task.agent);
    *response.add_tasks() = ToProto(task, run, name == names.end() ? "" : name->second);
  }
  std::vector<ShownTask> shown;
  for (std::size_t i = 0; i < page.tasks.size(); ++i) {
    shown.push_back({&page.tasks[i].task, response.mutable_tasks(static_cast<int>(i))});
  }
  SLIPWAY_RETURN_IF_ERROR(AddActions(deps_, caller, shown));
  response.set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

grpc::Status TaskService::CancelTask(grpc::ServerContext* context,
                                     const v1::CancelTaskRequest* request,
                                     v1::CancelTaskResponse* response) {
  return rpc::ToGrpc(*context, DoCancel(*context, *request, *response));
}

absl::Status TaskService::DoCancel(grpc::ServerContext& context,
                                   const v1::CancelTaskRequest& request,
                                   v1::CancelTaskResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  const TaskId id(request.id());
  SLIPWAY_ASSIGN_OR_RETURN(const auto seen, FindTask(deps_, caller, id));
  // Who may start it may end it.
  SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
  const domain::Question question = QuestionOf(seen.task, *targets);
  SLIPWAY_RETURN_IF_ERROR(CheckMayAct(deps_, caller, question));
  SLIPWAY_ASSIGN_OR_RETURN(const auto reply, AwaitReply([&](scheduler::Scheduler::OnReply answer) {
                             deps_.scheduler.Cancel(
                                 id, caller.account.name, CutReason(request.reason()),
                                 std::move(answer),
                                 {caller.address, {caller.AuthorityFor(question)}});
                           }));
  if (reply.status.code() == absl::StatusCode::kNotFound) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps_.reader.GetTask(id));
    return domain::AlreadyFinished(found.task);
  }
  SLIPWAY_RETURN_IF_ERROR(reply.status);
  SLIPWAY_ASSIGN_OR_RETURN(*response.mutable_task(), DescribeTask(deps_, caller, id));
  return absl::OkStatus();
}

grpc::ServerWriteReactor<v1::WatchRunResponse>* TaskService::WatchRun(
    grpc::CallbackServerContext* context, const v1::WatchRunRequest* request) {
  return NewRunFollower(*context, deps_, *request);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* TaskService::ReadLog(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  return NewLogFollower(*context, deps_, *request);
}

}  // namespace slipway::api
