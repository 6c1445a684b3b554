#include "controller/store/pg/rows.h"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <stdexcept>

#include "controller/store/pg/channel_json.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;
using protocol::AttemptResult;
using protocol::StepState;
using protocol::TaskKind;

constexpr std::array<std::pair<StepState, std::string_view>, 3> kStepStates{
    {{StepState::kStarted, "started"},
     {StepState::kSucceeded, "succeeded"},
     {StepState::kFailed, "failed"}}};

constexpr std::array<std::pair<TaskKind, std::string_view>, 5> kKinds{
    {{TaskKind::kBuild, "build"},
     {TaskKind::kPublish, "publish"},
     {TaskKind::kProbe, "probe"},
     {TaskKind::kPreview, "preview"},
     {TaskKind::kScript, "script"}}};
constexpr std::array<std::pair<protocol::ProbeVerdict, std::string_view>, 3> kProbeVerdicts{
    {{protocol::ProbeVerdict::kPublished, "published"},
     {protocol::ProbeVerdict::kNotPublished, "not_published"},
     {protocol::ProbeVerdict::kCannotTell, "cannot_tell"}}};

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string Text(const json::object& from, std::string_view key) {
  const json::string& text = from.at(View(key)).as_string();
  return {text.data(), text.size()};
}

template <typename Number>
Number NumberOf(const json::object& from, std::string_view key) {
  return from.at(View(key)).to_number<Number>();
}

Sha256Digest DigestOf(std::string_view text) {
  const auto digest = Sha256Digest::Parse(text);
  if (!digest) throw std::runtime_error(fmt::format("not a stored digest: '{}'", text));
  return *digest;
}

WallTime TimeOf(const json::object& from, std::string_view key) {
  return FromUnixMicros(NumberOf<std::int64_t>(from, key));
}

json::object FailureToJson(const protocol::Failure& failure) {
  return {{"class", View(protocol::FailureClassName(failure.klass))},
          {"reason", failure.reason},
          {"message", failure.message},
          {"tool_words", failure.tool_words},
          {"remedy", failure.remedy},
          {"remedy_zh", failure.remedy_zh}};
}

protocol::Failure FailureFromJson(const json::object& from) {
  const std::string klass = Text(from, "class");
  const auto parsed = protocol::ParseFailureClass(klass);
  if (!parsed) throw std::runtime_error(fmt::format("unknown failure class '{}'", klass));
  return {.klass = *parsed,
          .reason = Text(from, "reason"),
          .message = Text(from, "message"),
          .tool_words = Text(from, "tool_words"),
          .remedy = Text(from, "remedy"),
          .remedy_zh = Text(from, "remedy_zh")};
}

std::string FromHex(const std::string& hex) {
  const auto digit = [&](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    throw std::runtime_error("not stored hex");
  };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return bytes;
}

json::object BuildToJson(const protocol::BuildOutcome& build) {
  return {{"commit", build.commit},
          {"commit_subject", build.commit_subject},
          {"image_digest", build.image_digest},
          {"manifest", build.manifest.Hex()},
          {"artifact_bytes", build.artifact_bytes},
          {"artifact_files", build.artifact_files},
          {"version", build.version},
          {"script_qr", build.script_qr},
          {"app_id", build.app_id},
          // DER is no text.
          {"sealed_credential", HexEncode(build.sealed_credential)},
          {"publish_options", json::value_from(build.publish_options)},
          {"parameters", LabelsToJson(build.parameters)},
          {"same_as", build.same_as},
          {"image", build.image},
          {"base_image", build.base_image},
          {"base_image_digest", build.base_image_digest}};
}

protocol::BuildOutcome BuildFromJson(const json::object& from) {
  // Results from before there were such fields have none.
  const json::value* parameters = from.if_contains("parameters");
  const auto later = [&from](const char* name) {
    const json::value* text = from.if_contains(name);
    return text == nullptr ? std::string() : json::value_to<std::string>(*text);
  };
  return {.commit = Text(from, "commit"),
          .commit_subject = Text(from, "commit_subject"),
          .image_digest = Text(from, "image_digest"),
          .manifest = DigestOf(Text(from, "manifest")),
          .artifact_bytes = NumberOf<std::uint64_t>(from, "artifact_bytes"),
          .artifact_files = NumberOf<std::uint32_t>(from, "artifact_files"),
          .version = Text(from, "version"),
          .script_qr = Text(from, "script_qr"),
          .app_id = Text(from, "app_id"),
          .sealed_credential = FromHex(Text(from, "sealed_credential")),
          .publish_options = json::value_to<std::vector<std::string>>(from.at("publish_options")),
          .parameters = parameters == nullptr
                            ? std::map<std::string, std::string>()
                            : json::value_to<std::map<std::string, std::string>>(*parameters),
          .same_as = later("same_as"),
          .image = later("image"),
          .base_image = later("base_image"),
          .base_image_digest = later("base_image_digest")};
}

json::object ProbeToJson(const protocol::ProbeOutcome& probe) {
  std::string_view verdict;
  for (const auto& [value, name] : kProbeVerdicts) {
    if (value == probe.verdict) verdict = name;
  }
  return {{"verdict", View(verdict)}, {"version", probe.version}, {"link", probe.link},
          {"words", probe.words},     {"remedy", probe.remedy},   {"remedy_zh", probe.remedy_zh}};
}

// Without the image, which has a table of its own.
json::object CodeToJson(const protocol::PlatformCode& code) {
  return {{"text", code.text},
          {"image_url", code.image_url},
          {"image_type", code.image_type},
          {"expires_at", ToUnixMicros(code.expires_at)}};
}

// Results of before there were codes have none.
protocol::PlatformCode CodeFromJson(const json::value* value) {
  if (value == nullptr) return {};
  const json::object& from = value->as_object();
  return {.text = Text(from, "text"),
          .image_url = Text(from, "image_url"),
          .image_type = Text(from, "image_type"),
          .expires_at = TimeOf(from, "expires_at")};
}

protocol::ProbeOutcome ProbeFromJson(const json::object& from) {
  protocol::ProbeOutcome probe{.verdict = protocol::ProbeVerdict::kCannotTell,
                               .version = Text(from, "version"),
                               .link = Text(from, "link"),
                               .words = Text(from, "words"),
                               .remedy = Text(from, "remedy"),
                               .remedy_zh = Text(from, "remedy_zh")};
  const std::string verdict = Text(from, "verdict");
  for (const auto& [value, name] : kProbeVerdicts) {
    if (name == verdict) probe.verdict = value;
  }
  return probe;
}

std::string Text(const pqxx::field& field) { return field.as<std::string>(); }

}  // namespace

std::string_view KindName(TaskKind kind) {
  for (const auto& [value, name] : kKinds) {
    if (value == kind) return name;
  }
  return "";
}

TaskKind ParseKind(std::string_view name) {
  for (const auto& [value, known] : kKinds) {
    if (known == name) return value;
  }
  throw std::runtime_error(fmt::format("unknown task kind '{}'", name));
}

std::string_view StepStateName(StepState state) {
  for (const auto& [value, name] : kStepStates) {
    if (value == state) return name;
  }
  return "";
}

void TextArrayWriter::Add(std::string_view value) {
  if (text_.size() > 1) text_ += ',';
  text_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') text_ += '\\';
    text_ += c;
  }
  text_ += '"';
}

std::string TextArray(const std::vector<std::string>& values) {
  TextArrayWriter writer;
  for (const std::string& value : values) writer.Add(value);
  return writer.Take();
}

WallTime TimeOf(const pqxx::field& micros) { return FromUnixMicros(micros.as<std::int64_t>()); }

Duration SpanOf(const pqxx::field& micros) {
  return std::chrono::microseconds(micros.as<std::int64_t>());
}

std::int64_t ToMicros(Duration span) {
  return std::chrono::duration_cast<std::chrono::microseconds>(span).count();
}

std::map<std::string, std::string> LabelsFromJson(const std::string& text) {
  return json::value_to<std::map<std::string, std::string>>(json::parse(View(text)));
}

json::object LabelsToJson(const std::map<std::string, std::string>& labels) {
  json::object object;
  for (const auto& [key, value] : labels) object[View(key)] = value;
  return object;
}

json::object ToJson(const domain::Step& step) {
  return {{"task", step.key.task.value()},
          {"attempt", step.key.attempt.value()},
          {"number", step.number},
          {"name", step.name},
          {"state", View(StepStateName(step.state))},
          {"started_at", ToUnixMicros(step.started_at)},
          {"finished_at", ToUnixMicros(step.finished_at)},
          {"detail", step.detail}};
}

json::object ToJson(const domain::PublishPermit& permit) {
  return {
      {"task", permit.key.task.value()},
      {"attempt", permit.key.attempt.value()},
      {"nonce", permit.nonce},
      {"manifest", permit.manifest.Hex()},
      {"not_after", ToUnixMicros(permit.not_after)},
      {"deadline", std::chrono::duration_cast<std::chrono::microseconds>(permit.deadline).count()}};
}

json::object ToJson(const domain::Resolution& resolution) {
  return {{"verdict", View(domain::PublishVerdictName(resolution.verdict))},
          {"resolved_by", resolution.resolved_by},
          {"resolved_at", ToUnixMicros(resolution.resolved_at)},
          {"probe_task", resolution.probe.value()},
          {"reason", resolution.reason}};
}

json::object ToJson(const domain::Release& release) {
  return {{"id", release.id.value()},
          {"run", release.run.value()},
          {"publish_task", release.publish_task.value()},
          {"build_task", release.build_task.value()},
          {"application", release.application.value()},
          {"platform", release.platform},
          {"target", release.target},
          {"version", release.version},
          {"commit_id", release.commit},
          {"manifest", release.manifest.Hex()},
          {"link", release.link},
          {"qr_text", release.qr_text},
          {"released_at", ToUnixMicros(release.released_at)},
          {"released_by", release.released_by}};
}

json::object ToJson(const AttemptResult& result) {
  json::object object{{"exit_code", result.exit_code},
                      {"started_at", ToUnixMicros(result.started_at)},
                      {"finished_at", ToUnixMicros(result.finished_at)},
                      {"log", json::object{{"size", result.log.size},
                                           {"root", result.log.root.Hex()},
                                           {"missing", result.log.missing}}}};
  if (result.failure) object["failure"] = FailureToJson(*result.failure);
  if (result.build) object["build"] = BuildToJson(*result.build);
  if (result.publish) {
    object["publish"] = json::object{{"link", result.publish->link},
                                     {"code", CodeToJson(result.publish->code)},
                                     {"details_json", result.publish->details_json}};
  }
  if (result.client_ended) object["client_ended"] = true;
  if (result.probe) object["probe"] = ProbeToJson(*result.probe);
  return object;
}

AttemptResult ResultFromJson(const std::string& text) {
  const json::value parsed = json::parse(View(text));
  const json::object& from = parsed.as_object();
  const json::object& log = from.at("log").as_object();
  AttemptResult result;
  result.exit_code = NumberOf<std::int32_t>(from, "exit_code");
  result.started_at = TimeOf(from, "started_at");
  result.finished_at = TimeOf(from, "finished_at");
  result.log = {.size = NumberOf<std::uint64_t>(log, "size"),
                .root = DigestOf(Text(log, "root")),
                .missing = NumberOf<std::uint64_t>(log, "missing")};
  if (const json::value* failure = from.if_contains("failure")) {
    result.failure = FailureFromJson(failure->as_object());
  }
  if (const json::value* build = from.if_contains("build")) {
    result.build = BuildFromJson(build->as_object());
  }
  if (const json::value* publish = from.if_contains("publish")) {
    const json::object& outcome = publish->as_object();
    result.publish = {.link = Text(outcome, "link"),
                      .code = CodeFromJson(outcome.if_contains("code")),
                      .details_json = Text(outcome, "details_json")};
  }
  result.client_ended = from.if_contains("client_ended") != nullptr;
  if (const json::value* probe = from.if_contains("probe")) {
    result.probe = ProbeFromJson(probe->as_object());
  }
  return result;
}

domain::Task TaskFromRow(const pqxx::row& row) {
  const std::string state = Text(row["t_state"]);
  const auto parsed_state = domain::ParseTaskState(state);
  if (!parsed_state) throw std::runtime_error(fmt::format("unknown task state '{}'", state));
  domain::Task task{.id = TaskId(Text(row["t_id"])),
                    .run = RunId(Text(row["t_run"])),
                    .application = ApplicationId(Text(row["t_application"])),
                    .kind = ParseKind(Text(row["t_kind"])),
                    .platform = Text(row["t_platform"]),
                    .target = Text(row["t_target"]),
                    .depends_on = TaskId(Text(row["t_depends_on"])),
                    .requirements = LabelsFromJson(Text(row["t_requirements"])),
                    .priority = row["t_priority"].as<std::int32_t>(),
                    .group = Text(row["t_group"]),
                    .queue_timeout = SpanOf(row["t_queue_timeout"]),
                    .state = *parsed_state,
                    .attempt = Attempt(row["t_attempt"].as<std::int64_t>()),
                    .agent = AgentId(Text(row["t_agent"])),
                    .starts = row["t_starts"].as<std::int32_t>(),
                    .not_before = TimeOf(row["t_not_before"]),
                    .queued_since = TimeOf(row["t_queued_since"]),
                    .cancel_requested = row["t_cancel_requested"].as<bool>(),
                    .created_at = TimeOf(row["t_created_at"]),
                    .offer_deadline = TimeOf(row["t_offer_deadline"]),
                    .started_at = TimeOf(row["t_started_at"]),
                    .finished_at = TimeOf(row["t_finished_at"]),
                    .result = {}};
  if (!row["t_result"].is_null()) task.result = ResultFromJson(Text(row["t_result"]));
  return task;
}

domain::Run RunFromRow(const pqxx::row& row) {
  return {.id = RunId(Text(row["r_id"])),
          .application = ApplicationId(Text(row["r_application"])),
          .application_name = Text(row["r_application_name"]),
          .ref = Text(row["r_ref"]),
          .version = Text(row["r_version"]),
          .description = Text(row["r_description"]),
          .submitted_by = Text(row["r_submitted_by"]),
          .submitted_at = TimeOf(row["r_submitted_at"]),
          .request_id = Text(row["r_request_id"]),
          .parameters = LabelsFromJson(Text(row["r_parameters"])),
          .recipients = LabelsFromJson(Text(row["r_recipients"])),
          .packaging = PackagingFromJson(Text(row["r_packaging"])),
          .after_script = TaskId(Text(row["r_after_script"])),
          .script_name = Text(row["r_script_name"]),
          .no_build_caches = row["r_no_build_caches"].as<bool>()};
}

domain::PublishPermit PermitFromRow(const pqxx::row& row) {
  return {.key = {TaskId(Text(row["task_id"])), Attempt(row["attempt"].as<std::int64_t>())},
          .nonce = Text(row["nonce"]),
          .manifest = DigestOf(Text(row["manifest"])),
          .not_after = TimeOf(row["not_after"]),
          .deadline = std::chrono::microseconds(row["deadline_micros"].as<std::int64_t>()),
          .client_ended_at = TimeOf(row["client_ended_at"]),
          .reported = row["reported"].as<bool>()};
}

namespace {

domain::PublishVerdict ParseVerdict(const std::string& name) {
  return name == "published" ? domain::PublishVerdict::kPublished
                             : domain::PublishVerdict::kNotPublished;
}

}  // namespace

domain::Resolution ResolutionFromRow(const pqxx::row& row) {
  domain::Resolution resolution{.verdict = ParseVerdict(Text(row["verdict"])),
                                .resolved_by = Text(row["resolved_by"]),
                                .resolved_at = TimeOf(row["resolved_at"]),
                                .probe = TaskId(Text(row["probe_task"])),
                                .reason = Text(row["reason"]),
                                .late_result = {}};
  if (!row["late_result"].is_null()) {
    resolution.late_result = ResultFromJson(Text(row["late_result"]));
  }
  return resolution;
}

domain::OpenResolution OpenResolutionFromRow(const pqxx::row& row) {
  return {.key = {TaskId(Text(row["task_id"])), Attempt(row["attempt"].as<std::int64_t>())},
          .agent = AgentId(Text(row["agent_id"])),
          .verdict = ParseVerdict(Text(row["verdict"]))};
}

domain::Step StepFromRow(const pqxx::row& row) {
  const std::string state = Text(row["state"]);
  domain::Step step{
      .key = {TaskId(Text(row["task_id"])), Attempt(row["attempt"].as<std::int64_t>())},
      .number = row["number"].as<std::uint32_t>(),
      .name = Text(row["name"]),
      .state = StepState::kStarted,
      .started_at = TimeOf(row["started_at"]),
      .finished_at = TimeOf(row["finished_at"]),
      .detail = Text(row["detail"])};
  for (const auto& [value, name] : kStepStates) {
    if (name == state) step.state = value;
  }
  return step;
}

domain::Release ReleaseFromRow(const pqxx::row& row) {
  return {.id = ReleaseId(Text(row["id"])),
          .run = RunId(Text(row["run_id"])),
          .publish_task = TaskId(Text(row["publish_task"])),
          .build_task = TaskId(Text(row["build_task"])),
          .application = ApplicationId(Text(row["application_id"])),
          .application_name = Text(row["application_name"]),
          .platform = Text(row["platform"]),
          .target = Text(row["target"]),
          .version = Text(row["version"]),
          .commit = Text(row["commit_id"]),
          .manifest = DigestOf(Text(row["manifest"])),
          .link = Text(row["link"]),
          .qr_text = Text(row["qr_text"]),
          .released_at = TimeOf(row["released_at"]),
          .released_by = Text(row["released_by"])};
}

domain::Availability AvailabilityFromRow(const pqxx::row& row) {
  const std::string mode = Text(row["mode"]);
  const auto parsed = domain::ParseAgentMode(mode);
  if (!parsed) throw std::runtime_error(fmt::format("unknown agent mode '{}'", mode));
  return {.mode = *parsed,
          .reason = Text(row["mode_reason"]),
          .by = Text(row["mode_by"]),
          .since = TimeOf(row["mode_since"]),
          .until = TimeOf(row["mode_until"])};
}

}  // namespace slipway::store::pg
