#include <fmt/format.h>

#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/explain_text.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

absl::StatusOr<v1::TaskState> ParseState(const std::string& word, Text text) {
  std::string known;
  for (int i = v1::TASK_STATE_WAITING; i <= v1::TASK_STATE_UNKNOWN; ++i) {
    const auto state = static_cast<v1::TaskState>(i);
    if (word == StateWord(state)) return state;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", StateWord(state));
  }
  return UsageError(MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_STATE",
      fmt::format(fmt::runtime(text("--state: '{}' is none of {}", "--state：'{}' 不是 {} 之一")),
                  word, known)));
}

}  // namespace

Outcome ListTasks(Session& session, const TasksFlags& flags) {
  v1::ListTasksRequest request;
  request.set_application(flags.application);
  request.set_run(flags.run);
  request.set_page_size(flags.limit);
  for (const std::string& word : flags.states) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto state, ParseState(word, session.text));
    request.add_states(state);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListTasksResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::ListTasks, request, response));
  session.Print(response, RenderTasks);
  return ExitCode::kOk;
}

Outcome ShowTask(Session& session, const std::string& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetTaskRequest request;
  request.set_id(id);
  v1::Task task;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::GetTask, request, task));
  session.Print(task, RenderTask);
  if (session.json || IsFinished(task.state()) || task.state() == v1::TASK_STATE_RUNNING) {
    return ExitCode::kOk;
  }
  v1::ExplainTaskRequest why_request;
  why_request.set_id(id);
  v1::ExplainTaskResponse why;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::ExplainTask, why_request, why));
  if (const std::string text = WaitText(why, session.text); !text.empty()) {
    session.out << fmt::format(
        fmt::runtime(session.text("waits: {}\n  → slipway tasks explain {}\n",
                                  "等待：{}\n  → slipway tasks explain {}\n")),
        OneLine(text), OneLine(id));
  }
  return ExitCode::kOk;
}

Outcome CancelTask(Session& session, const std::string& id, const std::string& reason) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::CancelTaskRequest request;
  request.set_id(id);
  request.set_reason(reason);
  v1::CancelTaskResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::CancelTask, request, response));
  if (session.json) {
    session.PrintJson(response.task());
    return ExitCode::kOk;
  }
  const bool over = IsFinished(response.task().state());
  session.out << fmt::format(
      fmt::runtime(over ? session.text("{} is canceled\n", "{} 已取消\n")
                        : session.text("{}: its end is asked for; the agent ends it\n",
                                       "{}：已请求结束，由代理执行\n")),
      OneLine(response.task().id()));
  return ExitCode::kOk;
}

}  // namespace slipway::cli
