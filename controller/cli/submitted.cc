#include "controller/cli/submitted.h"

#include <fmt/format.h>

#include "common/config/units.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/format.h"
#include "controller/cli/qr_output.h"
#include "controller/cli/render.h"
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

// Of several ends the one that most needs a person.
ExitCode Worse(ExitCode a, ExitCode b) {
  for (const ExitCode code : {ExitCode::kInterrupted, ExitCode::kOutcomeUnknown, ExitCode::kFailed,
                              ExitCode::kForbidden, ExitCode::kNotLoggedIn}) {
    if (a == code || b == code) return code;
  }
  return a == ExitCode::kOk ? b : a;
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

Outcome TellAll(Session& session, const Client& client, const SubmittedRuns& runs,
                const std::vector<std::string>& labels, bool follow, const RetryOptions& retry) {
  ExitCode worst = ExitCode::kOk;
  for (int i = 0; i < runs.size(); ++i) {
    const v1::SubmittedRun& run = runs[i];
    std::ostream& live = session.as_document ? session.err : session.out;
    if (!labels.empty()) live << fmt::format("{}: ", labels.at(static_cast<std::size_t>(i)));
    Outcome outcome = ExitCode::kOk;
    if (run.has_error()) {
      outcome = ControllerError(rpc::FromCallError(run.error()));
    } else {
      outcome = TellSubmitted(session, client, run.run(), follow, retry);
    }
    if (!outcome.ok()) {
      // The others go on.
      live << '\n';
      live.flush();
      session.err << RenderError(outcome.status(), session.ErrView());
    }
    worst = Worse(worst, outcome.ok() ? *outcome : ExitCodeOf(outcome.status()));
    if (worst == ExitCode::kInterrupted) break;
  }
  return worst;
}

Outcome Follow(Session& session, const FollowFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  return FollowToEnd(session, *client, flags.run, retry);
}

}  // namespace slipway::cli
