#include "controller/domain/audit.h"

#include <fmt/format.h>

#include <charconv>
#include <functional>
#include <optional>
#include <utility>

#include "common/base/digest.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/new_file.h"
#include "controller/cli/time_text.h"

namespace slipway::cli {
namespace {

using Audit = v1::AuditService::Stub;

absl::StatusOr<v1::AuditHead> ReadHead(const std::string& text, Text t) {
  v1::AuditHead head;
  const auto colon = text.find(':');
  const auto digest =
      colon == std::string::npos ? std::nullopt : Sha256Digest::Parse(text.substr(colon + 1));
  std::int64_t sequence = 0;
  const char* const end = text.data() + (colon == std::string::npos ? 0 : colon);
  const auto [stop, error] = std::from_chars(text.data(), end, sequence);
  if (!digest || error != std::errc() || stop != end || sequence < 1) {
    return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                                fmt::format(fmt::runtime(t("--expect: '{}' is not SEQUENCE:HASH",
                                                           "--expect：'{}' 不是 序号:哈希 的形式")),
                                            text)));
  }
  head.set_sequence(sequence);
  head.set_hash(digest->Hex());
  return head;
}

// Reads a stream to its end; `take` may end it early with an error.
template <typename Response>
absl::Status ReadAll(
    const Client& client,
    const std::function<std::unique_ptr<grpc::ClientReader<Response>>(grpc::ClientContext&)>& begin,
    const std::function<absl::Status(const Response&)>& take) {
  grpc::ClientContext context;
  client.Prepare(context, 0);
  const std::stop_callback cancel(client.stop(), [&context] { context.TryCancel(); });
  const auto reader = begin(context);
  Response response;
  while (reader->Read(&response)) {
    if (const absl::Status taken = take(response); !taken.ok()) {
      context.TryCancel();
      (void)reader->Finish();
      return taken;
    }
  }
  return client.Outcome(context, reader->Finish());
}

std::string HeadText(const v1::AuditHead& head) {
  return fmt::format("{}:{}", head.sequence(), head.hash());
}

// In Chinese what the controller says in English.
std::string FindingText(const v1::AuditFinding& finding, Text t) {
  if (!t.chinese()) return finding.message();
  const char* what = nullptr;
  switch (finding.fault()) {
    case v1::AUDIT_FAULT_CHANGED: what = "第 {} 行被修改，或其前有行被删除"; break;
    case v1::AUDIT_FAULT_HASH_CHANGED: what = "第 {} 行的哈希被修改"; break;
    case v1::AUDIT_FAULT_MISSING: what = "从第 {} 行起有行缺失"; break;
    case v1::AUDIT_FAULT_REORDERED: what = "从第 {} 行起顺序被调换"; break;
    case v1::AUDIT_FAULT_INSERTED: what = "第 {} 行是被插入的"; break;
    case v1::AUDIT_FAULT_CUT: what = "从第 {} 行起的最新记录被删除"; break;
    case v1::AUDIT_FAULT_BEYOND_HEAD: what = "第 {} 行是绕过控制器添加的"; break;
    case v1::AUDIT_FAULT_HEAD_CHANGED: what = "链尾记录与第 {} 行不符"; break;
    case v1::AUDIT_FAULT_COLUMNS: what = "第 {} 行的列与其内容不符"; break;
    case v1::AUDIT_FAULT_NOT_EXPECTED: what = "第 {} 行的哈希与预期不同，链曾被重做"; break;
    case v1::AUDIT_FAULT_UNGUARDED: what = "截至第 {} 行都正确，但数据库的保护已被关闭"; break;
    default: return finding.message();
  }
  return fmt::format(fmt::runtime(what), finding.sequence());
}

}  // namespace

Outcome ListAudit(Session& session, const AuditListFlags& flags) {
  const WallTime now = session.OutView().now;
  v1::ListAuditEntriesRequest request;
  request.set_actor(flags.actor);
  request.set_action(flags.action);
  request.set_object(flags.kind);
  request.set_subject(flags.object);
  request.set_refused(flags.refused);
  request.set_page_size(flags.limit);
  if (!flags.since.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_since(),
                             ReadTime(flags.since, "--since", now, session.text));
  }
  if (!flags.until.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_until(),
                             ReadTime(flags.until, "--until", now, session.text));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListAuditEntriesResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->audit(), &Audit::ListAuditEntries, request, response));
  session.Print(response, RenderAudit);
  return ExitCode::kOk;
}

Outcome VerifyAudit(Session& session, const std::string& expect) {
  const Text t = session.text;
  v1::VerifyAuditRequest request;
  if (!expect.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_expect(), ReadHead(expect, t));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::VerifyAuditResponse last;
  const absl::Status status = ReadAll<v1::VerifyAuditResponse>(
      *client,
      [&](grpc::ClientContext& context) { return client->audit().VerifyAudit(&context, request); },
      [&](const v1::VerifyAuditResponse& response) {
        last = response;
        if (session.err_is_terminal && !response.done()) {
          session.err << fmt::format(fmt::runtime(t("\r{} of {} entries …\x1b[K",
                                                    "\r已检查 {}／{} 条记录 ……\x1b[K")),
                                     response.checked(), response.newest())
                      << std::flush;
        }
        return absl::OkStatus();
      });
  if (session.err_is_terminal) session.err << "\r\x1b[K" << std::flush;
  SLIPWAY_RETURN_IF_ERROR(status);
  if (!last.done()) {
    return ControllerError(
        MakeError(absl::StatusCode::kInternal, "BAD_ANSWER",
                  t("the controller ended the check without saying what it found",
                    "控制器结束了检查，但没有给出结果")));
  }
  if (session.as_document) session.PrintDocument(last);
  if (last.has_finding()) {
    return MakeError(absl::StatusCode::kDataLoss, "AUDIT_BROKEN",
                     fmt::format(fmt::runtime(t("the audit trail is not what was written: {}",
                                                "审计记录与写入时不符：{}")),
                                 FindingText(last.finding(), t)),
                     t("Keep a copy of the database as it is now; docs/audit.md says what the "
                       "fault proves.",
                       "请保留数据库的现状副本；docs/audit.md 说明了该问题意味着什么。"));
  }
  if (!session.as_document) {
    session.out << fmt::format(fmt::runtime(t("{} entries, none changed, removed or moved\n{}\n",
                                              "共 {} 条记录，未发现修改、删除或调换\n{}\n")),
                               last.head().sequence(),
                               last.head().sequence() > 0 ? HeadText(last.head()) : "");
  }
  return ExitCode::kOk;
}

Outcome ExportAudit(Session& session, const AuditExportFlags& flags) {
  const Text t = session.text;
  v1::ExportAuditRequest request;
  if (!flags.since.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_since(),
                             ReadTime(flags.since, "--since", session.OutView().now, t));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  std::optional<NewFile> file;
  if (flags.file != "-") {
    SLIPWAY_ASSIGN_OR_RETURN(NewFile created, NewFile::Create(flags.file));
    file.emplace(std::move(created));
  }
  std::int64_t entries = 0;
  v1::AuditHead head;
  SLIPWAY_RETURN_IF_ERROR(ReadAll<v1::ExportAuditResponse>(
      *client,
      [&](grpc::ClientContext& context) { return client->audit().ExportAudit(&context, request); },
      [&](const v1::ExportAuditResponse& response) -> absl::Status {
        std::string lines;
        for (const v1::AuditLine& line : response.lines()) {
          lines += fmt::format(R"({{"sequence":{},"entry":)", line.sequence());
          domain::AppendJsonText(lines, line.entry());
          lines += R"(,"hash":)";
          domain::AppendJsonText(lines, line.hash());
          lines += "}\n";
          head.set_sequence(line.sequence());
          head.set_hash(line.hash());
        }
        entries += response.lines_size();
        if (file) return file->Write(lines);
        session.out << lines;
        return absl::OkStatus();
      }));
  if (file) SLIPWAY_RETURN_IF_ERROR(file->Finish(flags.force, t));
  session.out.flush();
  // Beside the lines, so that they can go on into another program.
  session.err << fmt::format(
      fmt::runtime(t("{} entries; the newest is {}\n", "共 {} 条记录，最新一条为 {}\n")), entries,
      entries > 0 ? HeadText(head) : t("none", "无"));
  return ExitCode::kOk;
}

}  // namespace slipway::cli
