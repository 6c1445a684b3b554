#include "controller/api/audit_service.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "common/base/digest.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"
#include "controller/audit/chain_check.h"

namespace slipway::api {
namespace {

// Rows that are read at once.
constexpr int kLinesPerRead = 500;
// Of one message; one more entry, however long, is still below what a message may have (4 MB).
constexpr std::size_t kBytesPerMessage = std::size_t{1} << 20;
constexpr int kDefaultPage = 50;

std::optional<WallTime> TimeOf(bool has, const google::protobuf::Timestamp& time) {
  return has ? std::optional(rpc::FromProto(time)) : std::nullopt;
}

absl::Status CheckTime(const char* field, bool has, const google::protobuf::Timestamp& time) {
  // Up to the year 9999, as protobuf has it, and further than nanoseconds of 64 bits reach.
  constexpr std::int64_t kLatest = 9'000'000'000;
  if (!has || (time.seconds() >= 0 && time.seconds() <= kLatest)) return absl::OkStatus();
  return BadField(field, "not between 1970 and 2255");
}

absl::StatusOr<store::AuditFilter> FilterFrom(const v1::ListAuditEntriesRequest& request) {
  SLIPWAY_RETURN_IF_ERROR(CheckTime("since", request.has_since(), request.since()));
  SLIPWAY_RETURN_IF_ERROR(CheckTime("until", request.has_until(), request.until()));
  return store::AuditFilter{
      .actor = request.actor(),
      .action = request.action(),
      .object = request.object(),
      .subject = request.subject(),
      .since = TimeOf(request.has_since(), request.since()),
      .until = TimeOf(request.has_until(), request.until()),
      .refused_only = request.refused(),
      .page_size = request.page_size() == 0 ? kDefaultPage : request.page_size(),
      .page_token = request.page_token()};
}

void ToProto(const store::AuditRecord& record, v1::AuditEntry& out) {
  const domain::AuditEntry& about = record.about;
  out.set_sequence(record.row.sequence);
  *out.mutable_at() = rpc::ToProto(record.at);
  out.set_actor(about.actor);
  out.set_from(about.from);
  out.set_action(about.action);
  out.set_object(about.object);
  out.set_subject(about.subject);
  out.set_reason(about.reason);
  out.set_before(about.before);
  out.set_after(about.after);
  for (const auto& [name, value] : about.details) {
    v1::AuditDetail& detail = *out.add_details();
    detail.set_name(name);
    const auto* text = std::get_if<std::string>(&value);
    detail.set_value(text != nullptr ? *text : std::to_string(std::get<std::int64_t>(value)));
  }
  out.set_entry(record.row.entry);
  out.set_hash(record.row.hash);
}

absl::StatusOr<std::optional<store::AuditHead>> ExpectedFrom(
    const v1::VerifyAuditRequest& request) {
  if (!request.has_expect()) return std::nullopt;
  const v1::AuditHead& head = request.expect();
  const auto digest = Sha256Digest::Parse(head.hash());
  if (head.sequence() < 1 || !digest) {
    return BadField("expect", "no row's number and its hash of 64 hex digits");
  }
  return store::AuditHead{.sequence = head.sequence(), .hash = digest->Hex()};
}

}  // namespace

grpc::Status AuditService::ListAuditEntries(grpc::ServerContext* context,
                                            const v1::ListAuditEntriesRequest* request,
                                            v1::ListAuditEntriesResponse* response) {
  return rpc::ToGrpc(*context, DoList(*context, *request, *response));
}

absl::Status AuditService::DoList(grpc::ServerContext& context,
                                  const v1::ListAuditEntriesRequest& request,
                                  v1::ListAuditEntriesResponse& response) {
  SLIPWAY_RETURN_IF_ERROR(deps_.auth.RequireAdmin(context).status());
  SLIPWAY_ASSIGN_OR_RETURN(const store::AuditFilter filter, FilterFrom(request));
  SLIPWAY_ASSIGN_OR_RETURN(const store::AuditPage page, audit_.List(filter));
  for (const store::AuditRecord& record : page.entries) ToProto(record, *response.add_entries());
  response.set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

grpc::Status AuditService::VerifyAudit(grpc::ServerContext* context,
                                       const v1::VerifyAuditRequest* request,
                                       grpc::ServerWriter<v1::VerifyAuditResponse>* writer) {
  return rpc::ToGrpc(*context, DoVerify(*context, *request, *writer));
}

absl::Status AuditService::DoVerify(grpc::ServerContext& context,
                                    const v1::VerifyAuditRequest& request,
                                    grpc::ServerWriter<v1::VerifyAuditResponse>& writer) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireAdmin(context));
  const StreamRight right(deps_.rights, IsAdminStill(deps_, caller));
  SLIPWAY_RETURN_IF_ERROR(right.status());
  audit::CheckOptions options;
  SLIPWAY_ASSIGN_OR_RETURN(options.expect, ExpectedFrom(request));
  const auto checked = audit::CheckChain(audit_, options, [&](const audit::Progress& progress) {
    v1::VerifyAuditResponse message;
    message.set_checked(progress.checked);
    message.set_newest(progress.newest);
    // False: the caller has left, or must.
    return right.status().ok() && writer.Write(message);
  });
  SLIPWAY_RETURN_IF_ERROR(right.status());
  SLIPWAY_ASSIGN_OR_RETURN(const audit::Verdict verdict, checked);
  v1::VerifyAuditResponse last;
  last.set_checked(verdict.head.sequence);
  last.set_newest(verdict.head.sequence);
  last.set_done(true);
  last.mutable_head()->set_sequence(verdict.head.sequence);
  last.mutable_head()->set_hash(verdict.head.hash);
  if (verdict.finding) {
    v1::AuditFinding& finding = *last.mutable_finding();
    finding.set_fault(static_cast<v1::AuditFault>(verdict.finding->fault));
    finding.set_sequence(verdict.finding->sequence);
    finding.set_message(verdict.finding->message);
  }
  writer.Write(last);
  return absl::OkStatus();
}

grpc::Status AuditService::ExportAudit(grpc::ServerContext* context,
                                       const v1::ExportAuditRequest* request,
                                       grpc::ServerWriter<v1::ExportAuditResponse>* writer) {
  return rpc::ToGrpc(*context, DoExport(*context, *request, *writer));
}

absl::Status AuditService::DoExport(grpc::ServerContext& context,
                                    const v1::ExportAuditRequest& request,
                                    grpc::ServerWriter<v1::ExportAuditResponse>& writer) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireAdmin(context));
  const StreamRight right(deps_.rights, IsAdminStill(deps_, caller));
  SLIPWAY_RETURN_IF_ERROR(right.status());
  SLIPWAY_RETURN_IF_ERROR(CheckTime("since", request.has_since(), request.since()));
  const absl::Status gone = absl::CancelledError("the client has left");
  std::int64_t last = 0;
  if (request.has_since()) {
    SLIPWAY_ASSIGN_OR_RETURN(last, audit_.LastBefore(rpc::FromProto(request.since())));
  }
  while (true) {
    SLIPWAY_ASSIGN_OR_RETURN(store::AuditStretch stretch, audit_.ReadAfter(last, kLinesPerRead));
    v1::ExportAuditResponse message;
    std::size_t bytes = 0;
    const auto send = [&] {
      SLIPWAY_RETURN_IF_ERROR(right.status());
      if (message.lines_size() > 0 && !writer.Write(message)) return gone;
      message.Clear();
      bytes = 0;
      return absl::OkStatus();
    };
    for (store::AuditRow& row : stretch.rows) {
      last = row.sequence;
      if (bytes + row.entry.size() > kBytesPerMessage) SLIPWAY_RETURN_IF_ERROR(send());
      bytes += row.entry.size() + row.hash.size();
      v1::AuditLine& line = *message.add_lines();
      line.set_sequence(row.sequence);
      line.set_entry(std::move(row.entry));
      line.set_hash(std::move(row.hash));
    }
    SLIPWAY_RETURN_IF_ERROR(send());
    if (stretch.rows.size() < kLinesPerRead) return absl::OkStatus();
  }
}

}  // namespace slipway::api
