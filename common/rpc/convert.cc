#include "common/rpc/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/rpc/bounds.h"
#include "common/rpc/build_convert.h"
#include "common/rpc/code_convert.h"
#include "common/rpc/health_convert.h"
#include "common/status/status.h"

namespace slipway::rpc {
namespace {

constexpr std::size_t kMaxId = 64;
constexpr std::size_t kMaxToolWords = 4096;
constexpr std::size_t kMaxDetails = 16 * 1024;
constexpr int kMaxAttempts = 4096;
constexpr int kMaxImages = 256;

absl::StatusOr<protocol::TaskKind> KindFromProto(v1::TaskKind kind) {
  if (kind == v1::TASK_KIND_BUILD) return protocol::TaskKind::kBuild;
  if (kind == v1::TASK_KIND_PUBLISH) return protocol::TaskKind::kPublish;
  if (kind == v1::TASK_KIND_PROBE) return protocol::TaskKind::kProbe;
  if (kind == v1::TASK_KIND_PREVIEW) return protocol::TaskKind::kPreview;
  if (kind == v1::TASK_KIND_SCRIPT) return protocol::TaskKind::kScript;
  return Bad("kind", "unknown value");
}

v1::TaskKind KindToProto(protocol::TaskKind kind) { return static_cast<v1::TaskKind>(kind); }

struct ToAgentProto {
  v1::AgentMessage operator()(const protocol::Inventory& m) const {
    v1::AgentMessage out;
    auto* inventory = out.mutable_inventory();
    inventory->set_sequence(m.sequence);
    inventory->set_slots(m.slots);
    inventory->set_draining(m.draining);
    inventory->set_protocol_version(1);
    for (const auto& [key, value] : m.labels) (*inventory->mutable_labels())[key] = value;
    for (const auto& status : m.attempts) {
      auto* line = inventory->add_attempts();
      *line->mutable_ref() = rpc::ToProto(status.key);
      line->set_kind(KindToProto(status.kind));
      line->set_phase(static_cast<v1::AttemptPhase>(status.phase));
    }
    *inventory->mutable_health() = rpc::ToProto(m.health);
    for (const auto& image : m.images) *inventory->add_images() = rpc::ToProto(image);
    return out;
  }
  v1::AgentMessage operator()(const protocol::Accept& m) const {
    v1::AgentMessage out;
    *out.mutable_accept()->mutable_ref() = rpc::ToProto(m.key);
    return out;
  }
  v1::AgentMessage operator()(const protocol::Refuse& m) const {
    v1::AgentMessage out;
    *out.mutable_refuse()->mutable_ref() = rpc::ToProto(m.key);
    out.mutable_refuse()->set_reason(Cut(m.reason));
    return out;
  }
  v1::AgentMessage operator()(const protocol::StepReport& m) const {
    v1::AgentMessage out;
    auto* step = out.mutable_step();
    *step->mutable_ref() = rpc::ToProto(m.key);
    step->set_number(m.number);
    step->set_name(Cut(m.name));
    step->set_state(static_cast<v1::StepState>(m.state));
    *step->mutable_at() = rpc::ToProto(m.at);
    step->set_detail(Cut(m.detail));
    return out;
  }
  v1::AgentMessage operator()(const protocol::ResultReport& m) const {
    v1::AgentMessage out;
    *out.mutable_result()->mutable_ref() = rpc::ToProto(m.key);
    *out.mutable_result()->mutable_result() = rpc::ToProto(m.result);
    return out;
  }
  v1::AgentMessage operator()(const protocol::PermitRequest& m) const {
    v1::AgentMessage out;
    *out.mutable_permit_request()->mutable_ref() = rpc::ToProto(m.key);
    out.mutable_permit_request()->set_manifest(rpc::ToProto(m.manifest));
    out.mutable_permit_request()->set_sequence(m.sequence);
    return out;
  }
  v1::AgentMessage operator()(const protocol::LogChunk&) const {
    SLIPWAY_CHECK(false && "log bytes travel on AppendLog");
  }
};

absl::StatusOr<protocol::Inventory> InventoryFromProto(const v1::Inventory& m) {
  protocol::Inventory out;
  if (m.protocol_version() != 1) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "PROTOCOL_VERSION",
        fmt::format("the agent speaks protocol {}, this controller speaks 1", m.protocol_version()),
        "Install the agent that belongs to this controller.");
  }
  if (m.attempts_size() > kMaxAttempts) return Bad("inventory.attempts", "too many");
  if (m.labels_size() > 256) return Bad("inventory.labels", "too many");
  out.sequence = m.sequence();
  out.slots = m.slots();
  out.draining = m.draining();
  for (const auto& [key, value] : m.labels()) {
    SLIPWAY_RETURN_IF_ERROR(CheckLength("inventory.labels", key, kMaxText));
    SLIPWAY_RETURN_IF_ERROR(CheckLength("inventory.labels", value, kMaxText));
    out.labels[key] = value;
  }
  for (const auto& line : m.attempts()) {
    protocol::AttemptStatus status;
    SLIPWAY_ASSIGN_OR_RETURN(status.key, FromProto(line.ref()));
    SLIPWAY_ASSIGN_OR_RETURN(status.kind, KindFromProto(line.kind()));
    if (line.phase() < v1::ATTEMPT_PHASE_ACCEPTED || line.phase() > v1::ATTEMPT_PHASE_FINISHED) {
      return Bad("inventory.attempts.phase", "unknown value");
    }
    status.phase = static_cast<protocol::AttemptPhase>(line.phase());
    out.attempts.push_back(std::move(status));
  }
  // Agents of an earlier version say nothing of it.
  if (m.has_health()) {
    SLIPWAY_ASSIGN_OR_RETURN(out.health, FromProto(m.health()));
  }
  if (m.images_size() > kMaxImages) return Bad("inventory.images", "too many");
  for (const auto& image : m.images()) {
    SLIPWAY_ASSIGN_OR_RETURN(auto report, FromProto(image));
    out.images.push_back(std::move(report));
  }
  return out;
}

absl::StatusOr<protocol::StepReport> StepFromProto(const v1::StepReport& m) {
  protocol::StepReport out;
  SLIPWAY_ASSIGN_OR_RETURN(out.key, FromProto(m.ref()));
  SLIPWAY_RETURN_IF_ERROR(CheckLength("step.name", m.name(), kMaxText));
  SLIPWAY_RETURN_IF_ERROR(CheckLength("step.detail", m.detail(), kMaxText));
  if (m.state() < v1::STEP_STATE_STARTED || m.state() > v1::STEP_STATE_FAILED) {
    return Bad("step.state", "unknown value");
  }
  if (m.number() == 0 || m.number() > 1000) return Bad("step.number", "not in 1 … 1000");
  out.number = m.number();
  out.name = m.name();
  out.state = static_cast<protocol::StepState>(m.state());
  out.at = FromProto(m.at());
  out.detail = m.detail();
  return out;
}

struct ToControllerProto {
  v1::ControllerMessage& out;

  void operator()(const protocol::Desired& m) const {
    auto* desired = out.mutable_desired();
    desired->set_answers(m.answers);
    *desired->mutable_sync_after() = ToProtoDuration(m.sync_after);
    for (const auto& attempt : m.attempts) {
      auto* line = desired->add_attempts();
      *line->mutable_ref() = rpc::ToProto(attempt.key);
      line->set_kind(KindToProto(attempt.kind));
      line->set_want(static_cast<v1::Want>(attempt.want));
      if (!attempt.spec.empty()) line->mutable_spec()->ParseFromString(attempt.spec);
    }
    if (m.sent_at) *desired->mutable_sent_at() = rpc::ToProto(*m.sent_at);
    if (!m.images) return;
    auto* images = desired->mutable_images();
    for (const auto& order : *m.images) *images->add_orders() = rpc::ToProto(order);
  }
  void operator()(const protocol::LogAck&) const {
    SLIPWAY_CHECK(false && "log acknowledgements travel on AppendLog");
  }
  void operator()(const protocol::Permit& m) const {
    auto* permit = out.mutable_permit();
    *permit->mutable_ref() = rpc::ToProto(m.key);
    permit->set_nonce(m.nonce);
    permit->set_answers(m.answers);
    *permit->mutable_valid_for() = ToProtoDuration(m.valid_for);
    *permit->mutable_deadline() = ToProtoDuration(m.deadline);
    permit->set_secret(m.secret);
  }
  void operator()(const protocol::PermitDenied& m) const {
    *out.mutable_permit_denied()->mutable_ref() = rpc::ToProto(m.key);
    *out.mutable_permit_denied()->mutable_failure() = rpc::ToProto(m.failure);
  }
};

}  // namespace

google::protobuf::Timestamp ToProto(WallTime t) {
  google::protobuf::Timestamp out;
  const auto ns = t.time_since_epoch().count();
  std::int64_t seconds = ns / 1'000'000'000;
  std::int64_t rest = ns % 1'000'000'000;
  if (rest < 0) {
    rest += 1'000'000'000;
    --seconds;
  }
  out.set_seconds(seconds);
  out.set_nanos(static_cast<std::int32_t>(rest));
  return out;
}

WallTime FromProto(const google::protobuf::Timestamp& t) {
  // Years 1678 … 2261 fit into 64-bit nanoseconds.
  const std::int64_t seconds = std::clamp<std::int64_t>(t.seconds(), -9'000'000'000, 9'000'000'000);
  const std::int32_t nanos = std::clamp(t.nanos(), 0, 999'999'999);
  return WallTime(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos));
}

google::protobuf::Duration ToProtoDuration(Duration d) {
  google::protobuf::Duration out;
  out.set_seconds(d.count() / 1'000'000'000);
  out.set_nanos(static_cast<std::int32_t>(d.count() % 1'000'000'000));
  return out;
}

Duration FromProto(const google::protobuf::Duration& d) {
  const std::int64_t seconds = std::clamp<std::int64_t>(d.seconds(), -9'000'000'000, 9'000'000'000);
  return std::chrono::seconds(seconds) +
         std::chrono::nanoseconds(std::clamp(d.nanos(), -999'999'999, 999'999'999));
}

v1::AttemptRef ToProto(const AttemptKey& key) {
  v1::AttemptRef out;
  out.set_task(key.task.value());
  out.set_attempt(key.attempt.value());
  return out;
}

absl::StatusOr<AttemptKey> FromProto(const v1::AttemptRef& ref) {
  if (ref.task().empty()) return Bad("ref.task", "missing");
  SLIPWAY_RETURN_IF_ERROR(CheckLength("ref.task", ref.task(), kMaxId));
  if (ref.attempt() < 1) return Bad("ref.attempt", "not positive");
  return AttemptKey{TaskId(ref.task()), Attempt(ref.attempt())};
}

v1::Failure ToProto(const protocol::Failure& failure) {
  v1::Failure out;
  out.set_failure_class(static_cast<v1::FailureClass>(failure.klass));
  out.set_reason(Cut(failure.reason));
  out.set_message(Cut(failure.message, kMaxToolWords));
  out.set_tool_words(failure.tool_words.substr(0, kMaxToolWords));
  out.set_remedy(Cut(failure.remedy));
  out.set_remedy_zh(Cut(failure.remedy_zh));
  return out;
}

absl::StatusOr<protocol::Failure> FromProto(const v1::Failure& failure) {
  if (failure.failure_class() < v1::FAILURE_CLASS_BUILD ||
      failure.failure_class() > v1::FAILURE_CLASS_PUBLISH_UNKNOWN) {
    return Bad("failure.failure_class", "unknown value");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckLength("failure.reason", failure.reason(), kMaxText));
  SLIPWAY_RETURN_IF_ERROR(CheckLength("failure.message", failure.message(), kMaxToolWords));
  SLIPWAY_RETURN_IF_ERROR(CheckLength("failure.tool_words", failure.tool_words(), kMaxToolWords));
  SLIPWAY_RETURN_IF_ERROR(CheckLength("failure.remedy", failure.remedy(), kMaxText));
  SLIPWAY_RETURN_IF_ERROR(CheckLength("failure.remedy_zh", failure.remedy_zh(), kMaxText));
  return protocol::Failure{static_cast<protocol::FailureClass>(failure.failure_class()),
                           failure.reason(),
                           failure.message(),
                           failure.tool_words(),
                           failure.remedy(),
                           failure.remedy_zh()};
}

v1::AttemptResult ToProto(const protocol::AttemptResult& result) {
  v1::AttemptResult out;
  if (result.failure) *out.mutable_failure() = ToProto(*result.failure);
  out.set_exit_code(result.exit_code);
  *out.mutable_started_at() = ToProto(result.started_at);
  *out.mutable_finished_at() = ToProto(result.finished_at);
  out.mutable_log()->set_size(result.log.size);
  out.mutable_log()->set_root(ToProto(result.log.root));
  out.mutable_log()->set_missing(result.log.missing);
  out.set_client_ended(result.client_ended);
  if (result.build) *out.mutable_build() = ToProto(*result.build);
  if (result.publish) {
    out.mutable_publish()->set_link(Cut(result.publish->link));
    if (!result.publish->code.empty()) {
      *out.mutable_publish()->mutable_code() = ToProto(result.publish->code);
    }
    out.mutable_publish()->set_details_json(Cut(result.publish->details_json, kMaxDetails));
  }
  if (result.probe) {
    auto* probe = out.mutable_probe();
    probe->set_verdict(static_cast<v1::ProbeVerdict>(result.probe->verdict));
    probe->set_version(Cut(result.probe->version));
    probe->set_link(Cut(result.probe->link));
    probe->set_words(Cut(result.probe->words));
    probe->set_remedy(Cut(result.probe->remedy));
    probe->set_remedy_zh(Cut(result.probe->remedy_zh));
  }
  return out;
}

absl::StatusOr<protocol::AttemptResult> FromProto(const v1::AttemptResult& result) {
  protocol::AttemptResult out;
  if (result.has_failure()) {
    SLIPWAY_ASSIGN_OR_RETURN(out.failure, FromProto(result.failure()));
  }
  out.exit_code = result.exit_code();
  out.started_at = FromProto(result.started_at());
  out.finished_at = FromProto(result.finished_at());
  out.log.size = result.log().size();
  SLIPWAY_ASSIGN_OR_RETURN(out.log.root, DigestFromProto(result.log().root(), "log.root"));
  out.log.missing = result.log().missing();
  out.client_ended = result.client_ended();
  if (result.has_build()) {
    SLIPWAY_ASSIGN_OR_RETURN(out.build, FromProto(result.build()));
  }
  if (result.has_publish()) {
    const auto& p = result.publish();
    SLIPWAY_RETURN_IF_ERROR(CheckLength("publish.link", p.link(), kMaxText));
    SLIPWAY_RETURN_IF_ERROR(CheckLength("publish.details_json", p.details_json(), kMaxDetails));
    SLIPWAY_ASSIGN_OR_RETURN(protocol::PlatformCode code, FromProto(p.code()));
    out.publish = protocol::PublishOutcome{p.link(), std::move(code), p.details_json()};
  }
  if (result.has_probe()) {
    const auto& p = result.probe();
    if (p.verdict() < v1::PROBE_VERDICT_PUBLISHED || p.verdict() > v1::PROBE_VERDICT_CANNOT_TELL) {
      return Bad("probe.verdict", "unknown value");
    }
    for (const auto* text : {&p.version(), &p.link(), &p.words(), &p.remedy(), &p.remedy_zh()}) {
      SLIPWAY_RETURN_IF_ERROR(CheckLength("probe", *text, kMaxText));
    }
    out.probe = protocol::ProbeOutcome{static_cast<protocol::ProbeVerdict>(p.verdict()),
                                       p.version(),
                                       p.link(),
                                       p.words(),
                                       p.remedy(),
                                       p.remedy_zh()};
  }
  return out;
}

std::string ToProto(const Sha256Digest& digest) {
  return digest.IsZero() ? std::string() : digest.Bytes();
}

absl::StatusOr<Sha256Digest> DigestFromProto(const std::string& bytes, const char* field) {
  if (bytes.empty()) return Sha256Digest();
  if (const auto digest = Sha256Digest::FromBytes(bytes)) return *digest;
  return Bad(field, fmt::format("{} bytes, not 32", bytes.size()));
}

v1::AgentMessage ToProto(const protocol::AgentMessage& message) {
  return std::visit(ToAgentProto{}, message);
}

absl::StatusOr<protocol::AgentMessage> FromProto(const v1::AgentMessage& message) {
  switch (message.body_case()) {
    case v1::AgentMessage::kInventory: return InventoryFromProto(message.inventory());
    case v1::AgentMessage::kAccept: {
      SLIPWAY_ASSIGN_OR_RETURN(auto key, FromProto(message.accept().ref()));
      return protocol::Accept{std::move(key)};
    }
    case v1::AgentMessage::kRefuse: {
      SLIPWAY_ASSIGN_OR_RETURN(auto key, FromProto(message.refuse().ref()));
      SLIPWAY_RETURN_IF_ERROR(CheckLength("refuse.reason", message.refuse().reason(), kMaxText));
      return protocol::Refuse{std::move(key), message.refuse().reason()};
    }
    case v1::AgentMessage::kStep: return StepFromProto(message.step());
    case v1::AgentMessage::kResult: {
      protocol::ResultReport out;
      SLIPWAY_ASSIGN_OR_RETURN(out.key, FromProto(message.result().ref()));
      SLIPWAY_ASSIGN_OR_RETURN(out.result, FromProto(message.result().result()));
      return out;
    }
    case v1::AgentMessage::kPermitRequest: {
      protocol::PermitRequest out;
      SLIPWAY_ASSIGN_OR_RETURN(out.key, FromProto(message.permit_request().ref()));
      SLIPWAY_ASSIGN_OR_RETURN(out.manifest, DigestFromProto(message.permit_request().manifest(),
                                                             "permit_request.manifest"));
      out.sequence = message.permit_request().sequence();
      return out;
    }
    case v1::AgentMessage::BODY_NOT_SET: break;
  }
  return Bad("body", "missing or of an unknown kind");
}

v1::ControllerMessage ToProto(const protocol::ControllerMessage& message) {
  v1::ControllerMessage out;
  out.set_epoch(message.epoch.value());
  std::visit(ToControllerProto{out}, message.body);
  return out;
}

absl::StatusOr<protocol::ControllerMessage> FromProto(const v1::ControllerMessage& message) {
  protocol::ControllerMessage out;
  out.epoch = Epoch(message.epoch());
  switch (message.body_case()) {
    case v1::ControllerMessage::kDesired: {
      protocol::Desired desired;
      desired.answers = message.desired().answers();
      desired.sync_after = FromProto(message.desired().sync_after());
      for (const auto& line : message.desired().attempts()) {
        protocol::DesiredAttempt attempt;
        SLIPWAY_ASSIGN_OR_RETURN(attempt.key, FromProto(line.ref()));
        SLIPWAY_ASSIGN_OR_RETURN(attempt.kind, KindFromProto(line.kind()));
        if (line.want() < v1::WANT_OFFER || line.want() > v1::WANT_FORGET) {
          return Bad("desired.attempts.want", "unknown value");
        }
        attempt.want = static_cast<protocol::Want>(line.want());
        if (line.has_spec()) attempt.spec = line.spec().SerializeAsString();
        desired.attempts.push_back(std::move(attempt));
      }
      if (message.desired().has_sent_at()) desired.sent_at = FromProto(message.desired().sent_at());
      if (message.desired().has_images()) {
        if (message.desired().images().orders_size() > kMaxImages) {
          return Bad("desired.images", "too many");
        }
        desired.images.emplace();
        for (const auto& line : message.desired().images().orders()) {
          SLIPWAY_ASSIGN_OR_RETURN(auto order, FromProto(line));
          desired.images->push_back(std::move(order));
        }
      }
      out.body = std::move(desired);
      return out;
    }
    case v1::ControllerMessage::kPermit: {
      protocol::Permit permit;
      SLIPWAY_ASSIGN_OR_RETURN(permit.key, FromProto(message.permit().ref()));
      permit.nonce = message.permit().nonce();
      permit.answers = message.permit().answers();
      permit.valid_for = FromProto(message.permit().valid_for());
      permit.deadline = FromProto(message.permit().deadline());
      permit.secret = message.permit().secret();
      out.body = std::move(permit);
      return out;
    }
    case v1::ControllerMessage::kPermitDenied: {
      protocol::PermitDenied denied;
      SLIPWAY_ASSIGN_OR_RETURN(denied.key, FromProto(message.permit_denied().ref()));
      SLIPWAY_ASSIGN_OR_RETURN(denied.failure, FromProto(message.permit_denied().failure()));
      out.body = std::move(denied);
      return out;
    }
    case v1::ControllerMessage::BODY_NOT_SET: break;
  }
  return Bad("body", "missing or of an unknown kind");
}

}  // namespace slipway::rpc
