#include <fmt/format.h>

#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/follow.h"

namespace slipway::cli {
namespace {

void Say(Session& session, const std::string& line) {
  session.out.flush();
  session.err << line << '\n';
}

// True when a log that did not end well was cut off, and is not merely still growing.
absl::StatusOr<bool> IsCutOff(const Client& client, const std::string& id, const LogEnd& end) {
  v1::GetTaskRequest request;
  request.set_id(id);
  v1::Task task;
  SLIPWAY_RETURN_IF_ERROR(
      client.Call(client.tasks(), &v1::TaskService::Stub::GetTask, request, task));
  return IsFinished(task.state()) || task.attempt() > end.attempt;
}

}  // namespace

Outcome Logs(Session& session, const LogsFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  const Text t = session.text;
  v1::ReadLogRequest request;
  request.set_task(flags.task);
  request.set_attempt(flags.attempt);
  request.set_offset(flags.offset);
  request.set_follow(flags.follow);
  std::uint64_t skipped = 0;
  const auto trouble = [&](const absl::Status& status) {
    Say(session, status.ok() ? t("connected again", "已重新连接")
                             : t("the controller does not answer, trying again …",
                                 "控制器没有应答，正在重试……"));
  };
  const auto print = [&](const LogPiece& piece) {
    skipped += piece.skipped;
    if (piece.restarted) {
      Say(session,
          fmt::format(fmt::runtime(t("attempt {} begins", "第 {} 次尝试开始")), piece.attempt));
    }
    session.out.write(piece.data.data(), static_cast<std::streamsize>(piece.data.size()));
    session.out.flush();
  };
  auto end = ReadLog(*client, request, retry, session.stop, trouble, print);
  SLIPWAY_RETURN_IF_ERROR(end.status());
  if (end->missing + skipped > 0) {
    Say(session, fmt::format(fmt::runtime(t("slipway: the log is not complete: {} bytes missing",
                                            "slipway：日志不完整：缺失 {} 字节")),
                             end->missing + skipped));
    return ExitCode::kFailed;
  }
  if (end->complete) return ExitCode::kOk;
  SLIPWAY_ASSIGN_OR_RETURN(const bool cut_off, IsCutOff(*client, flags.task, *end));
  if (!cut_off) return ExitCode::kOk;
  Say(session, t("slipway: the log is not complete: its end never came",
                 "slipway：日志不完整：没有收到结尾"));
  return ExitCode::kFailed;
}

}  // namespace slipway::cli
