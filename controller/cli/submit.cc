#include <fmt/format.h>
#include <sys/prctl.h>

#include "common/base/ids.h"
#include "common/config/units.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/follow.h"
#include "controller/cli/format.h"
#include "controller/cli/qr_output.h"
#include "controller/cli/repeat_call.h"
#include "controller/cli/submitted.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

std::string Heading(const std::string& run, const v1::SubmitRunResponse& response,
                    const View& view) {
  std::string text = fmt::format("{} {}\n", view.text("run", "运行"), view.style.Bold(run));
  Table table({view.text("TASK", "任务"), view.text("WHAT", "内容"), view.text("STATE", "状态")});
  for (const v1::Task& task : response.tasks()) {
    table.Add({task.id(), TaskTitle(task, view.text), StateName(task.state(), view.text)});
  }
  return text + table.Render();
}

// "email/qa=a@example.com,b@example.com"; the controller says what is wrong with it.
void AddChannel(const std::string& text, v1::SubmitRunRequest& request) {
  v1::ChannelUse& use = *request.add_channels();
  const auto equals = text.find('=');
  use.set_channel(text.substr(0, equals));
  if (equals == std::string::npos) return;
  std::string_view rest = std::string_view(text).substr(equals + 1);
  while (true) {
    const auto comma = rest.find(',');
    use.add_recipients(std::string(rest.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

// The release of a finished publish with its code.
absl::Status PrintRelease(Session& session, const Client& client, const std::string& release,
                          std::ostream& out, const View& view) {
  v1::GetArchivedRequest request;
  request.set_name(release);
  v1::Archived archived;
  SLIPWAY_RETURN_IF_ERROR(
      client.Call(client.releases(), &v1::ReleaseService::Stub::GetArchived, request, archived));
  out << RenderRelease(archived, view);
  if (archived.release().qr_text().empty()) return absl::OkStatus();
  SLIPWAY_ASSIGN_OR_RETURN(const auto code,
                           RenderQr(archived.release().qr_text(), QrShape::kBlocks, view.style));
  out << code;
  out << fmt::format(fmt::runtime(session.text("  as an image: slipway qr {} --png FILE\n",
                                               "  保存为图片：slipway qr {} --png 文件\n")),
                     release);
  return absl::OkStatus();
}

// Follows, prints the summary and tells how the run ended.
Outcome FollowToEnd(Session& session, const Client& client, const std::string& run,
                    const RetryOptions& retry) {
  // As a document the answer of the command is the run's end; everything live goes to the side.
  std::ostream& live = session.as_document ? session.err : session.out;
  const bool terminal = session.as_document ? session.err_is_terminal : session.out_is_terminal;
  const View view = session.as_document ? session.ErrView() : session.OutView();
  FollowView follow(view, terminal);
  auto end = FollowRun(client, run, retry, follow, live);
  if (!end.ok()) {
    live.flush();
    // Of a run that is not there, or not for us, nothing goes on.
    if (end.status().code() == absl::StatusCode::kNotFound ||
        end.status().code() == absl::StatusCode::kUnauthenticated ||
        end.status().code() == absl::StatusCode::kPermissionDenied) {
      return end.status();
    }
    const bool interrupted = ExitCodeOf(end.status()) == ExitCode::kInterrupted;
    session.err << fmt::format(
        fmt::runtime(
            interrupted
                ? session.text("\nno longer following; the run goes on. Follow it again: "
                               "slipway follow {}\n",
                               "\n已停止跟随；运行仍在继续。再次跟随：slipway follow {}\n")
                : session.text("the run goes on without being followed. Follow it again: "
                               "slipway follow {}\n",
                               "运行仍在继续，但已不再跟随。再次跟随：slipway follow {}\n")),
        run);
    return end.status();
  }
  live << '\n';
  for (const v1::Task& task : end->tasks()) {
    live << RenderEnd(task, view);
    if (!task.release().empty()) {
      SLIPWAY_RETURN_IF_ERROR(PrintRelease(session, client, task.release(), live, view));
    }
    const std::string& code = task.result().publish().code().text();
    if (task.kind() == v1::TASK_KIND_PREVIEW && !code.empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(const auto drawn, RenderQr(code, QrShape::kBlocks, view.style));
      live << drawn;
    }
  }
  if (session.as_document) session.PrintDocument(*end);
  return ExitCodeOf(end->tasks());
}

}  // namespace

absl::StatusOr<RetryOptions> RetryFor(const std::string& text) {
  RetryOptions retry;
  if (text.empty()) return retry;
  const auto patience = config::ParseDuration(text);
  if (!patience.ok()) return UsageError(WithContext(patience.status(), "--patience"));
  retry.patience = *patience;
  return retry;
}

Outcome TellSubmitted(Session& session, const Client& client, const v1::SubmitRunResponse& response,
                      bool follow, const RetryOptions& retry) {
  if (session.as_document && !follow) {
    session.PrintDocument(response);
    return ExitCode::kOk;
  }
  std::ostream& live = session.as_document ? session.err : session.out;
  live << Heading(response.run(), response,
                  session.as_document ? session.ErrView() : session.OutView());
  live.flush();
  if (!follow) {
    session.out << fmt::format(
        fmt::runtime(session.text("follow it: slipway follow {}\n", "跟随：slipway follow {}\n")),
        response.run());
    return ExitCode::kOk;
  }
  return FollowToEnd(session, client, response.run(), retry);
}

Outcome Submit(Session& session, const SubmitFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  v1::SubmitRunRequest request;
  request.set_request_id(flags.request_id.empty() ? NewUuid() : flags.request_id);
  request.set_application(flags.application);
  for (const std::string& platform : flags.platforms) request.add_platforms(platform);
  request.set_ref(flags.ref);
  request.set_version(flags.version);
  request.set_description(flags.description);
  request.set_publish(flags.publish);
  request.set_preview(flags.preview);
  request.set_target(flags.target);
  request.set_priority(flags.priority);
  request.set_group(flags.group);
  SLIPWAY_RETURN_IF_ERROR(ReadLabels(flags.require, session.text, *request.mutable_requirements()));
  SLIPWAY_RETURN_IF_ERROR(
      ReadParameters(flags.parameters, session.text, *request.mutable_parameters()));
  for (const std::string& channel : flags.channels) AddChannel(channel, request);
  request.set_after_script(flags.after_script);
  if (SaysPackaging(flags.packaging)) {
    if (flags.channels.empty()) {
      return UsageError(
          MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                    session.text("packages are made for channels, and no --channel is given",
                                 "安装包用于渠道交付，但未指定 --channel"),
                    session.text("Name one, or fetch a package later: slipway archive package.",
                                 "请指定渠道，或稍后用 slipway archive package 获取。")));
    }
    prctl(PR_SET_DUMPABLE, 0);
    SLIPWAY_RETURN_IF_ERROR(ReadPackaging(session, flags.packaging, *request.mutable_packaging()));
  }
  if (!flags.queue_timeout.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_queue_timeout(),
                             ReadQueueTimeout(flags.queue_timeout));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::SubmitRunResponse response;
  const absl::Status submitted =
      CallAgain(*client, client->tasks(), &v1::TaskService::Stub::SubmitRun, request, response);
  if (request.has_packaging()) ForgetPasswords(*request.mutable_packaging());
  SLIPWAY_RETURN_IF_ERROR(submitted);
  return TellSubmitted(session, *client, response, flags.follow, retry);
}

Outcome Follow(Session& session, const FollowFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  return FollowToEnd(session, *client, flags.run, retry);
}

}  // namespace slipway::cli
