#include <fmt/format.h>

#include <fstream>

#include "common/qr/qr_code.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/format.h"
#include "controller/cli/qr_output.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

absl::Status WriteFile(Session& session, const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  out.close();
  if (!out) {
    return MakeError(
        absl::StatusCode::kInternal, "CANNOT_WRITE",
        fmt::format(fmt::runtime(session.text("cannot write {}", "无法写入 {}")), path));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Task> TaskOf(const Client& client, const std::string& id) {
  v1::GetTaskRequest request;
  request.set_id(id);
  v1::Task task;
  SLIPWAY_RETURN_IF_ERROR(
      client.Call(client.tasks(), &v1::TaskService::Stub::GetTask, request, task));
  return task;
}

absl::StatusOr<v1::Archived> ArchivedOf(const Client& client, const std::string& name) {
  v1::GetArchivedRequest request;
  request.set_name(name);
  v1::Archived archived;
  SLIPWAY_RETURN_IF_ERROR(
      client.Call(client.releases(), &v1::ReleaseService::Stub::GetArchived, request, archived));
  return archived;
}

absl::Status NotReleased(Session& session, const std::string& name, const std::string& state) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "NOT_RELEASED",
      fmt::format(fmt::runtime(session.text("'{}' was not published ({}), so it has no code",
                                            "'{}' 没有发布（{}），因此没有二维码")),
                  OneLine(name), OneLine(state)));
}

// The task that handed the product to the platform; an empty one: the code of the release is asked
// for.
absl::StatusOr<v1::Task> HandoverOf(Session& session, const Client& client, const QrFlags& flags) {
  v1::Task task;
  if (flags.name.rfind("task-", 0) == 0) {
    SLIPWAY_ASSIGN_OR_RETURN(task, TaskOf(client, flags.name));
    if (task.kind() == v1::TASK_KIND_PREVIEW) return task;
  }
  if (!flags.platform && flags.image.empty()) return v1::Task();
  if (task.kind() == v1::TASK_KIND_PUBLISH) return task;
  SLIPWAY_ASSIGN_OR_RETURN(const v1::Archived archived, ArchivedOf(client, flags.name));
  if (!archived.has_release()) return NotReleased(session, flags.name, archived.publish_state());
  return TaskOf(client, archived.release().publish_task());
}

absl::Status WriteImage(Session& session, const Client& client, const v1::Task& task,
                        const std::string& path) {
  v1::GetPlatformImageRequest request;
  request.set_task(task.id());
  v1::PlatformImage image;
  SLIPWAY_RETURN_IF_ERROR(
      client.Call(client.tasks(), &v1::TaskService::Stub::GetPlatformImage, request, image));
  SLIPWAY_RETURN_IF_ERROR(WriteFile(session, path, image.image()));
  session.err << fmt::format("{}: {}\n", OneLine(path), OneLine(image.media_type()));
  return absl::OkStatus();
}

// What there is of a platform's code when it cannot be drawn.
absl::Status NoText(Session& session, const v1::Task& task) {
  const v1::PlatformCode& code = task.result().publish().code();
  if (!code.image_type().empty()) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "NOT_A_TEXT",
        session.text("the platform gave its code as an image, which says nothing else",
                     "平台只提供了图片形式的二维码"),
        fmt::format(fmt::runtime(session.text("Write it to a file: slipway qr {} --image FILE",
                                              "写入文件：slipway qr {} --image FILE")),
                    task.id()));
  }
  if (!code.image_url().empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_A_TEXT",
                     fmt::format(fmt::runtime(session.text("the platform's code is an image at {}",
                                                           "平台的二维码图片在 {}")),
                                 OneLine(code.image_url())));
  }
  return MakeError(absl::StatusCode::kFailedPrecondition, "NO_CODE",
                   fmt::format(fmt::runtime(session.text("the platform gave no code to {}",
                                                         "平台没有给 {} 二维码")),
                               task.id()));
}

// Whoever scans it would learn of it from the platform's error alone.
void WarnIfPast(Session& session, const v1::PlatformCode& code) {
  if (!code.has_expires_at() || rpc::FromProto(code.expires_at()) > session.ErrView().now) return;
  session.err << fmt::format(fmt::runtime(session.text("warning: this code worked until {}\n",
                                                       "警告：该二维码的有效期至 {}，现已失效\n")),
                             FormatTime(code.expires_at()));
}

// Text of the code as the flags want it.
absl::Status PutCode(Session& session, const QrFlags& flags, const std::string& text) {
  if (!session.as_document && flags.text) session.out << OneLine(text) << '\n';
  if (!flags.png.empty() || !flags.svg.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto matrix, qr::Encode(text));
    if (!flags.png.empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(const auto png, qr::RenderPng(matrix));
      SLIPWAY_RETURN_IF_ERROR(WriteFile(session, flags.png, png));
    }
    if (!flags.svg.empty()) {
      SLIPWAY_RETURN_IF_ERROR(WriteFile(session, flags.svg, qr::RenderSvg(matrix)));
    }
  }
  const bool elsewhere = session.as_document || flags.text || !flags.png.empty() ||
                         !flags.svg.empty() || !flags.image.empty();
  if (!flags.ascii && elsewhere) return absl::OkStatus();
  SLIPWAY_ASSIGN_OR_RETURN(
      const auto code,
      RenderQr(text, flags.ascii ? QrShape::kAscii : QrShape::kBlocks, session.OutView().style));
  session.out << code;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> RenderQr(std::string_view text, QrShape shape, const Style& style) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto matrix, qr::Encode(text));
  if (shape == QrShape::kAscii) return qr::RenderTerminal(matrix, qr::TerminalStyle::kAscii);
  return qr::RenderTerminal(
      matrix, style.coloured() ? qr::TerminalStyle::kUtf8 : qr::TerminalStyle::kPlain);
}

Outcome ShowQr(Session& session, const QrFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  SLIPWAY_ASSIGN_OR_RETURN(const v1::Task task, HandoverOf(session, *client, flags));
  if (task.id().empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const v1::Archived archived, ArchivedOf(*client, flags.name));
    const std::string& text = archived.release().qr_text();
    if (text.empty()) return NotReleased(session, flags.name, archived.publish_state());
    if (session.as_document) session.PrintDocument(archived.release());
    SLIPWAY_RETURN_IF_ERROR(PutCode(session, flags, text));
    return ExitCode::kOk;
  }
  WarnIfPast(session, task.result().publish().code());
  if (session.as_document) session.PrintDocument(task.result().publish());
  if (!flags.image.empty()) {
    SLIPWAY_RETURN_IF_ERROR(WriteImage(session, *client, task, flags.image));
  }
  const std::string& text = task.result().publish().code().text();
  const bool draws = flags.ascii || flags.text || !flags.png.empty() || !flags.svg.empty();
  if (!text.empty()) {
    SLIPWAY_RETURN_IF_ERROR(PutCode(session, flags, text));
  } else if (draws || (flags.image.empty() && !session.as_document)) {
    return NoText(session, task);
  }
  return ExitCode::kOk;
}

}  // namespace slipway::cli
