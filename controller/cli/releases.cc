#include <fmt/format.h>

#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/follow.h"
#include "controller/cli/format.h"
#include "controller/cli/render.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

absl::StatusOr<v1::ResolvePublishRequest> RequestOf(const ResolveFlags& flags, Text t) {
  if ((!flags.version.empty() || !flags.link.empty()) && !flags.published) {
    return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                                t("--version and --link belong to --published",
                                  "--version 与 --link 只能与 --published 一起使用")));
  }
  v1::ResolvePublishRequest request;
  request.set_task(flags.task);
  request.set_reason(flags.reason);
  if (flags.published) {
    request.mutable_published()->set_version(flags.version);
    request.mutable_published()->set_link(flags.link);
  } else if (flags.not_published) {
    request.mutable_not_published();
  } else {
    request.mutable_probe();
  }
  return request;
}

// Stays until the probe has answered; as a document everything live goes to the side.
absl::Status FollowProbe(Session& session, const Client& client, const std::string& run) {
  std::ostream& live = session.as_document ? session.err : session.out;
  const View view = session.as_document ? session.ErrView() : session.OutView();
  FollowView follow(view, session.as_document ? session.err_is_terminal : session.out_is_terminal);
  SLIPWAY_ASSIGN_OR_RETURN(const auto end, FollowRun(client, run, {}, follow, live));
  live << '\n';
  for (const v1::Task& task : end.tasks()) live << RenderEnd(task, view);
  return absl::OkStatus();
}

std::string Sentence(const v1::Task& task, Text t) {
  const char* sentence = nullptr;
  switch (task.state()) {
    case v1::TASK_STATE_SUCCEEDED: sentence = t("{} is published: {}\n", "{} 已发布：{}\n"); break;
    case v1::TASK_STATE_FAILED: sentence = t("{} is not published{}\n", "{} 未发布{}\n"); break;
    default: sentence = t("{} is unknown as before{}\n", "{} 的结果仍然未知{}\n"); break;
  }
  return fmt::format(fmt::runtime(sentence), OneLine(task.id()), OneLine(task.release()));
}

}  // namespace

Outcome ResolvePublish(Session& session, const ResolveFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto request, RequestOf(flags, session.text));
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ResolvePublishResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->releases(), &v1::ReleaseService::Stub::ResolvePublish, request, response));
  v1::Task& task = *response.mutable_task();
  if (!response.probe_run().empty() && flags.follow) {
    // The probe's own end is not the answer: what became of the publish is.
    SLIPWAY_RETURN_IF_ERROR(FollowProbe(session, *client, response.probe_run()));
    v1::GetTaskRequest again;
    again.set_id(flags.task);
    SLIPWAY_RETURN_IF_ERROR(
        client->Call(client->tasks(), &v1::TaskService::Stub::GetTask, again, task));
  }
  if (session.as_document) {
    session.PrintDocument(response);
  } else if (!response.probe_run().empty() && !flags.follow) {
    session.out << fmt::format(
        fmt::runtime(session.text("the platform is being asked; follow it: slipway follow {}\n",
                                  "正在向平台查询；跟随：slipway follow {}\n")),
        response.probe_run());
    return ExitCode::kOk;
  } else {
    session.out << Sentence(task, session.text);
  }
  return task.state() == v1::TASK_STATE_UNKNOWN && flags.follow ? ExitCode::kOutcomeUnknown
                                                                : ExitCode::kOk;
}

Outcome ClosePage(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ClosePageRequest request;
  request.set_name(name);
  v1::ClosePageResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->releases(), &v1::ReleaseService::Stub::ClosePage, request, response));
  session.PrintDone(
      response,
      fmt::format(fmt::runtime(session.text("the page is closed since {}; its file stays in the "
                                            "archive\n",
                                            "页面已于 {} 关闭，产物仍在归档中\n")),
                  FormatTime(response.closed_at())));
  return ExitCode::kOk;
}

}  // namespace slipway::cli
