#include <fmt/format.h>

#include <fstream>

#include "common/qr/qr_code.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
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

// The task if it is a preview, else an empty one: its product's release has the code.
absl::StatusOr<v1::Task> PreviewOf(const Client& client, const std::string& name) {
  v1::GetTaskRequest request;
  request.set_id(name);
  v1::Task task;
  SLIPWAY_RETURN_IF_ERROR(
      client.Call(client.tasks(), &v1::TaskService::Stub::GetTask, request, task));
  if (task.kind() != v1::TASK_KIND_PREVIEW) task.Clear();
  return task;
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
  v1::Task preview;
  if (flags.name.rfind("task-", 0) == 0) {
    SLIPWAY_ASSIGN_OR_RETURN(preview, PreviewOf(*client, flags.name));
  }
  v1::Archived archived;
  std::string text = preview.result().publish().platform_qr();
  if (text.empty()) {
    v1::GetArchivedRequest request;
    request.set_name(flags.name);
    SLIPWAY_RETURN_IF_ERROR(client->Call(client->releases(), &v1::ReleaseService::Stub::GetArchived,
                                         request, archived));
    text = archived.release().qr_text();
  }
  if (text.empty()) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "NOT_RELEASED",
        fmt::format(fmt::runtime(session.text("'{}' was not published ({}), so it has no code",
                                              "'{}' 没有发布（{}），因此没有二维码")),
                    OneLine(flags.name), OneLine(archived.publish_state())));
  }
  if (session.as_document) {
    if (archived.has_release()) {
      session.PrintDocument(archived.release());
    } else {
      session.PrintDocument(preview.result().publish());
    }
  } else if (flags.text) {
    session.out << OneLine(text) << '\n';
  }
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
  const bool elsewhere =
      session.as_document || flags.text || !flags.png.empty() || !flags.svg.empty();
  if (flags.ascii || !elsewhere) {
    SLIPWAY_ASSIGN_OR_RETURN(
        const auto code,
        RenderQr(text, flags.ascii ? QrShape::kAscii : QrShape::kBlocks, session.OutView().style));
    session.out << code;
  }
  return ExitCode::kOk;
}

}  // namespace slipway::cli
