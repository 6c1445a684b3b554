#include "controller/store/pg/change_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <string>
#include <type_traits>
#include <variant>

#include "absl/strings/escaping.h"
#include "common/crypto/hash.h"
#include "common/crypto/package_cms.h"
#include "controller/store/pg/audit_digest.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/run_batch.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;
using domain::TaskState;
using protocol::TaskKind;

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

// Everything of which the change may see or make a row.
std::vector<std::string> Touched(const Change& change) {
  if (const auto* create = std::get_if<CreateRun>(&change)) {
    // A NUL byte occurs in neither part of a storable one.
    std::vector<std::string> keys = {
        "request " + create->run.submitted_by + '\0' + create->run.request_id,
        "run " + create->run.id.value()};
    for (const domain::Task& task : create->tasks) keys.push_back(task.id.value());
    return keys;
  }
  return {SubjectOf(change)};
}

std::string MakeAllowedBefore(TaskState to) {
  std::string allowed = " ";
  for (const TaskKind kind : {TaskKind::kBuild, TaskKind::kPublish, TaskKind::kProbe,
                              TaskKind::kPreview, TaskKind::kScript}) {
    for (int value = static_cast<int>(TaskState::kWaiting);
         value <= static_cast<int>(TaskState::kUnknown); ++value) {
      const auto from = static_cast<TaskState>(value);
      if (!domain::MayBecome(from, to, kind)) continue;
      allowed += fmt::format("{}/{} ", KindName(kind), domain::TaskStateName(from));
    }
  }
  return allowed;
}

// Which kinds and stored states let a task become `to`: " build/running build/offered ".
const std::string& AllowedBefore(TaskState to) {
  static const std::map<TaskState, std::string> allowed = [] {
    std::map<TaskState, std::string> all;
    for (int value = static_cast<int>(TaskState::kWaiting);
         value <= static_cast<int>(TaskState::kUnknown); ++value) {
      all[static_cast<TaskState>(value)] = MakeAllowedBefore(static_cast<TaskState>(value));
    }
    return all;
  }();
  return allowed.at(to);
}

json::object AvailabilityToJson(const SetAvailability& change) {
  const domain::Availability& wanted = change.availability;
  json::array allowed;
  for (int value = static_cast<int>(domain::AgentMode::kActive);
       value <= static_cast<int>(domain::AgentMode::kRevoked); ++value) {
    const auto from = static_cast<domain::AgentMode>(value);
    if (domain::MayBecome(from, wanted.mode)) {
      allowed.emplace_back(View(domain::AgentModeName(from)));
    }
  }
  return {{"agent", change.agent.value()},
          {"mode", View(domain::AgentModeName(wanted.mode))},
          {"reason", wanted.reason},
          {"actor", wanted.by},
          {"since", ToUnixMicros(wanted.since)},
          {"until", ToUnixMicros(wanted.until)},
          {"allowed", std::move(allowed)}};
}

json::object Keyed(const AttemptKey& key) {
  return {{"task", key.task.value()}, {"attempt", key.attempt.value()}};
}

void AddImage(const protocol::AttemptResult& result, json::object& object) {
  if (!result.publish || result.publish->code.image.empty()) return;
  object["image"] = absl::BytesToHexString(result.publish->code.image);
  object["image_type"] = result.publish->code.image_type;
}

json::object FinishToJson(const FinishTask& change) {
  json::object object = Keyed(change.key);
  object["at"] = ToUnixMicros(change.cause.at);
  object["state"] = View(domain::TaskStateName(change.state));
  object["allowed"] = AllowedBefore(change.state);
  if (change.result) {
    object["result"] = ToJson(*change.result);
    AddImage(*change.result, object);
  }
  if (change.release) object["release"] = ToJson(*change.release);
  if (change.resolution) object["resolution"] = ToJson(*change.resolution);
  return object;
}

void Add(domain::AuditEntry& entry, const char* key, std::string_view text) {
  entry.details.emplace_back(key, std::string(text));
}

void Begin(domain::AuditEntry& entry, const char* action, Attempt attempt) {
  entry.action = action;
  entry.details.emplace_back("attempt", attempt.value());
}

// Of a password only that there was one.
void Tell(const domain::Packaging& packaging, domain::AuditEntry& entry) {
  if (!packaging.form.empty()) Add(entry, "package form", packaging.form);
  if (!packaging.cipher.empty()) Add(entry, "package cipher", packaging.cipher);
  for (const Sha256Digest& certificate :
       crypto::FingerprintsOf({.certificates = packaging.recipients, .password = {}})) {
    Add(entry, "package recipient", certificate.Hex());
  }
  if (!packaging.sealed_password.empty()) Add(entry, "package password", "yes");
  if (!packaging.page_password_hash.empty()) Add(entry, "page password", "yes");
}

// What was done, to what, and what else there is to say. The states before and after of a task are
// its guard's, so the action names them already.
void Tell(const CreateRun& c, domain::AuditEntry& entry) {
  entry.action = "create_run";
  entry.object = "run";
  Add(entry, "application", c.run.application_name);
  Add(entry, "ref", c.run.ref);
  for (const auto& [name, value] : c.run.parameters) {
    entry.details.emplace_back("parameter " + name, value);
  }
  for (const auto& [channel, addresses] : c.run.recipients) {
    entry.details.emplace_back("recipients " + channel, addresses);
  }
  Tell(c.run.packaging, entry);
  if (!c.run.script_name.empty()) {
    Add(entry, "script", c.run.script_name);
    Add(entry, "script sha256", crypto::Sha256Of(c.run.script).Hex());
  }
  if (!c.run.after_script.value().empty()) {
    Add(entry, "after script", c.run.after_script.value());
  }
  if (c.run.no_build_caches) entry.details.emplace_back("build caches", "empty");
  for (const domain::Task& task : c.tasks) {
    if (task.result && task.result->build) {
      entry.details.emplace_back("at hand " + task.platform, task.result->build->same_as);
    }
  }
  for (const TaskKind kind : {TaskKind::kPreview, TaskKind::kPublish}) {
    std::string targets;
    for (const domain::Task& task : c.tasks) {
      if (task.kind != kind) continue;
      if (!targets.empty()) targets += ", ";
      targets += task.platform + "/" + task.target;
    }
    if (!targets.empty()) entry.details.emplace_back(std::string(KindName(kind)), targets);
  }
}
void Tell(const OfferTask& c, domain::AuditEntry& entry) {
  Begin(entry, "offer_task", c.key.attempt);
  Add(entry, "agent", c.agent.value());
}
void Tell(const StartTask& c, domain::AuditEntry& entry) {
  Begin(entry, "start_task", c.key.attempt);
}
void Tell(const RequeueTask& c, domain::AuditEntry& entry) {
  Begin(entry, "requeue_task", c.key.attempt);
  Add(entry, "why", c.why);
}
void Tell(const ReleaseTask&, domain::AuditEntry& entry) { entry.action = "release_task"; }
void Tell(const RequestCancel& c, domain::AuditEntry& entry) {
  entry.action = "request_cancel";
  Add(entry, "why", c.why);
}
void Tell(const FinishTask& c, domain::AuditEntry& entry) {
  Begin(entry, "finish_task", c.key.attempt);
  Add(entry, "state", domain::TaskStateName(c.state));
  if (c.release) Add(entry, "release", c.release->id.value());
  if (c.resolution) {
    Add(entry, "verdict", domain::PublishVerdictName(c.resolution->verdict));
    Add(entry, "why", c.resolution->reason);
    if (!c.resolution->probe.value().empty()) Add(entry, "probe", c.resolution->probe.value());
  }
}
void Tell(const MarkUnknown& c, domain::AuditEntry& entry) {
  Begin(entry, "mark_unknown", c.key.attempt);
}
void Tell(const GrantPermit& c, domain::AuditEntry& entry) {
  Begin(entry, "grant_permit", c.permit.key.attempt);
  Add(entry, "manifest", c.permit.manifest.Hex());
}
void Tell(const SetAvailability& c, domain::AuditEntry& entry) {
  entry.action = "set_agent_mode";
  entry.object = "agent";
  entry.after = AuditDigest(c.availability);
  Add(entry, "mode", domain::AgentModeName(c.availability.mode));
  Add(entry, "why", c.availability.reason);
  if (c.availability.until != WallTime()) {
    entry.details.emplace_back("until", ToUnixMicros(c.availability.until));
  }
}
void Tell(const RecordLateResult& c, domain::AuditEntry& entry) {
  Begin(entry, "record_late_result", c.key.attempt);
  if (c.release) Add(entry, "release", c.release->id.value());
}

bool ValueIsStorable(const json::value& value) {
  if (value.is_string())
    return IsStorableText({value.get_string().data(), value.get_string().size()});
  if (value.is_object()) return IsStorable(value.get_object());
  if (value.is_array()) {
    return std::all_of(value.get_array().begin(), value.get_array().end(), ValueIsStorable);
  }
  return true;
}

}  // namespace

std::vector<ChangeGroup> GroupChanges(const std::vector<Change>& batch,
                                      const std::vector<bool>& wanted) {
  std::map<std::string, std::size_t> last_wave;
  // By (wave, kind): waves run one after the other, kinds within one in any order.
  std::map<std::pair<std::size_t, std::size_t>, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!wanted[i]) continue;
    const std::vector<std::string> touched = Touched(batch[i]);
    std::size_t wave = 1;
    for (const std::string& key : touched) {
      const auto it = last_wave.find(key);
      if (it != last_wave.end()) wave = std::max(wave, it->second + 1);
    }
    for (const std::string& key : touched) last_wave[key] = wave;
    groups[{wave, batch[i].index()}].push_back(i);
  }
  std::vector<ChangeGroup> result;
  result.reserve(groups.size());
  for (auto& [key, members] : groups) {
    result.push_back({.kind = key.second, .members = std::move(members)});
  }
  return result;
}

std::string SubjectOf(const Change& change) {
  return std::visit(Overloaded{[](const CreateRun& c) { return c.run.id.value(); },
                               [](const ReleaseTask& c) { return c.task.value(); },
                               [](const RequestCancel& c) { return c.task.value(); },
                               [](const GrantPermit& c) { return c.permit.key.task.value(); },
                               [](const RecordStep& c) { return c.step.key.task.value(); },
                               [](const SetAvailability& c) { return c.agent.value(); },
                               [](const auto& c) { return c.key.task.value(); }},
                    change);
}

bool ReadsArrays(const Change& change) {
  return std::holds_alternative<CreateRun>(change) || std::holds_alternative<OfferTask>(change) ||
         std::holds_alternative<StartTask>(change);
}

std::vector<std::string> ArrayArguments(const std::vector<Change>& batch,
                                        std::span<const std::size_t> members) {
  if (std::holds_alternative<CreateRun>(batch[members[0]])) {
    RunBatch runs;
    for (const std::size_t i : members) runs.Add(std::get<CreateRun>(batch[i]));
    return runs.TakeArguments();
  }
  TextArrayWriter tasks;
  TextArrayWriter attempts;
  TextArrayWriter agents;
  TextArrayWriter times;
  for (const std::size_t i : members) {
    const auto add = [&](const AttemptKey& key, WallTime time) {
      tasks.Add(key.task.value());
      attempts.Add(std::to_string(key.attempt.value()));
      times.Add(std::to_string(ToUnixMicros(time)));
    };
    if (const auto* offer = std::get_if<OfferTask>(&batch[i])) {
      add(offer->key, offer->deadline);
      agents.Add(offer->agent.value());
    } else {
      const auto& start = std::get<StartTask>(batch[i]);
      add(start.key, start.cause.at);
    }
  }
  if (std::holds_alternative<StartTask>(batch[members[0]])) {
    return {tasks.Take(), attempts.Take(), times.Take()};
  }
  return {tasks.Take(), attempts.Take(), agents.Take(), times.Take()};
}

bool IsStorable(const Change& change) {
  if (const auto* create = std::get_if<CreateRun>(&change)) return IsStorable(*create);
  if (const auto* offer = std::get_if<OfferTask>(&change)) {
    return IsStorableText(offer->key.task.value()) && IsStorableText(offer->agent.value());
  }
  return IsStorableText(SubjectOf(change));
}

json::object ChangeToJson(const Change& change) {
  return std::visit(
      Overloaded{[](const CreateRun&) { return json::object(); },
                 [](const OfferTask&) { return json::object(); },
                 [](const StartTask&) { return json::object(); },
                 [](const RequeueTask& c) {
                   json::object object = Keyed(c.key);
                   object["at"] = ToUnixMicros(c.cause.at);
                   object["not_before"] = ToUnixMicros(c.not_before);
                   return object;
                 },
                 [](const ReleaseTask& c) {
                   return json::object{{"task", c.task.value()}, {"at", ToUnixMicros(c.cause.at)}};
                 },
                 [](const RequestCancel& c) {
                   return json::object{{"task", c.task.value()}};
                 },
                 [](const FinishTask& c) { return FinishToJson(c); },
                 [](const MarkUnknown& c) {
                   json::object object = Keyed(c.key);
                   object["result"] = ToJson(c.result);
                   object["reported"] = c.reported;
                   if (c.result.client_ended) {
                     object["client_ended_at"] = ToUnixMicros(c.cause.at);
                   }
                   return object;
                 },
                 [](const GrantPermit& c) { return ToJson(c.permit); },
                 [](const RecordStep& c) { return ToJson(c.step); },
                 [](const SetAvailability& c) { return AvailabilityToJson(c); },
                 [](const RecordLateResult& c) {
                   json::object object = Keyed(c.key);
                   object["at"] = ToUnixMicros(c.cause.at);
                   object["result"] = ToJson(c.result);
                   if (c.release) {
                     object["release"] = ToJson(*c.release);
                     AddImage(c.result, object);
                   }
                   return object;
                 }},
      change);
}

bool IsStorable(const json::object& object) {
  return std::all_of(object.begin(), object.end(), [](const json::key_value_pair& pair) {
    return IsStorableText({pair.key().data(), pair.key().size()}) && ValueIsStorable(pair.value());
  });
}

std::optional<domain::AuditEntry> AuditEntryOf(const Change& change) {
  return std::visit(
      [&](const auto& c) -> std::optional<domain::AuditEntry> {
        if constexpr (std::is_same_v<std::decay_t<decltype(c)>, RecordStep>) {
          return std::nullopt;
        } else {
          domain::AuditEntry entry;
          entry.actor = c.cause.actor;
          entry.from = c.cause.from;
          entry.object = "task";
          entry.subject = SubjectOf(change);
          Tell(c, entry);
          return entry;
        }
      },
      change);
}

}  // namespace slipway::store::pg
