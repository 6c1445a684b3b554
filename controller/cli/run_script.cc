#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/base/ids.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/follow.h"
#include "controller/cli/repeat_call.h"
#include "controller/cli/submitted.h"
#include "controller/cli/terminal_filter.h"

namespace slipway::cli {
namespace {

// The controller's own limit.
constexpr std::size_t kMostBytes = std::size_t{1} << 20;

absl::StatusOr<std::string> ReadScript(const std::string& path, Text t) {
  std::ifstream in(path, std::ios::binary);
  std::string script(kMostBytes + 1, '\0');
  in.read(script.data(), static_cast<std::streamsize>(script.size()));
  script.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (script.empty()) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "NO_CLIENT_FILE",
        fmt::format(fmt::runtime(t("cannot read a script from {}", "无法从 {} 读取脚本")), path),
        t("Check the file's name and that you may read it.",
          "请检查文件名以及您是否有读取权限。")));
  }
  if (script.size() <= kMostBytes) return script;
  return UsageError(
      MakeError(absl::StatusCode::kInvalidArgument, "SCRIPT_TOO_LARGE",
                fmt::format(fmt::runtime(t("{} has more than 1 MiB", "{} 超过 1 MiB")), path),
                t("Commit what the script brings along, or let it fetch that.",
                  "请将脚本附带的内容提交到仓库，或由脚本自行获取。")));
}

}  // namespace

Outcome RunScript(Session& session, const RunScriptFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  v1::RunScriptRequest request;
  SLIPWAY_ASSIGN_OR_RETURN(std::string script, ReadScript(flags.file, session.text));
  request.set_request_id(flags.request_id.empty() ? NewUuid() : flags.request_id);
  request.set_application(flags.application);
  request.set_ref(flags.ref);
  request.set_platform(flags.platform);
  request.set_name(std::filesystem::path(flags.file).filename().string());
  request.set_script(std::move(script));
  SLIPWAY_RETURN_IF_ERROR(ReadLabels(flags.require, session.text, *request.mutable_requirements()));
  SLIPWAY_RETURN_IF_ERROR(
      ReadParameters(flags.parameters, session.text, *request.mutable_parameters()));
  if (!flags.queue_timeout.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_queue_timeout(),
                             ReadQueueTimeout(flags.queue_timeout));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::SubmitRunResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      CallAgain(*client, client->tasks(), &v1::TaskService::Stub::RunScript, request, response));
  return TellSubmitted(session, *client, response, flags.follow, retry);
}

Outcome ShowScript(Session& session, const std::string& task) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetScriptRequest request;
  request.set_task(task);
  v1::Script script;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::GetScript, request, script));
  if (session.as_document) {
    session.PrintDocument(script);
  } else {
    session.out << (session.out_is_terminal ? TerminalFilter().Filter(script.script())
                                            : script.script());
  }
  return ExitCode::kOk;
}

}  // namespace slipway::cli
