#include <algorithm>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/domain/task_actions.h"
#include "controller/scheduler/scheduler_impl.h"

// What becomes of a publish whose outcome nobody knew.
namespace slipway::scheduler {

using domain::PublishVerdict;
using domain::TaskState;

namespace {

std::string InUtc(WallTime time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMicros(ToUnixMicros(time)),
                          absl::UTCTimeZone());
}

}  // namespace

const domain::OpenResolution* SchedulerCore::Impl::Resolved(const AgentId& agent,
                                                            const AttemptKey& key) const {
  const auto it = resolved_.find(key.task);
  if (it == resolved_.end() || it->second.key != key || it->second.agent != agent) return nullptr;
  return &it->second;
}

void SchedulerCore::Impl::LoadPermits(std::vector<domain::PublishPermit> permits, Moment at) {
  const auto before = std::exchange(permit_times_, {});
  for (domain::PublishPermit& permit : permits) {
    Entry* entry = Find(permit.key.task);
    if (entry == nullptr) continue;
    const auto known = before.find(permit.key.task);
    // Not granted, nor asked for again, in a time before this clock's.
    PermitTimes times = known != before.end() && known->second.nonce == permit.nonce
                            ? known->second
                            : PermitTimes{permit.nonce, at.now + options_.permit_ttl};
    if (permit.client_ended_at != WallTime()) {
      times.client_ended = std::min(times.client_ended, at.now);
    }
    permit_times_.emplace(permit.key.task, std::move(times));
    entry->permit = std::move(permit);
  }
  for (const auto& [id, entry] : tasks_) {
    const bool heard = entry.permit && entry.permit->reported;
    const bool here = roster_.agents().contains(entry.task.agent);
    if (entry.task.state == TaskState::kUnknown && here && !heard) {
      owed_.emplace(std::pair(entry.task.agent, id), 0);
    }
  }
}

Moment SchedulerCore::Impl::QuietFrom(const Entry& entry) const {
  if (!entry.permit) return {MonoTime::min(), WallTime::min()};
  const domain::PublishPermit& permit = *entry.permit;
  const PermitTimes& times = permit_times_.at(entry.task.id);
  Moment end{times.end + permit.deadline, permit.not_after + permit.deadline};
  if (permit.client_ended_at != WallTime()) end.wall = std::min(end.wall, permit.client_ended_at);
  end.now = std::min(end.now, times.client_ended);
  return {end.now + options_.publish_margin, end.wall + options_.publish_margin};
}

absl::Status SchedulerCore::Impl::CheckQuiet(const Entry& entry, Moment looked_at,
                                             Moment at) const {
  // Neither a word that waited to be heard nor a probe's late result tells of the time since.
  const Moment known_at{std::min(looked_at.now, at.now), std::min(looked_at.wall, at.wall)};
  const Moment quiet = QuietFrom(entry);
  if (known_at.now >= quiet.now && known_at.wall >= quiet.wall) return absl::OkStatus();
  const WallTime until =
      quiet.now > at.now ? std::max(quiet.wall, at.wall + (quiet.now - at.now)) : quiet.wall;
  return MakeError(absl::StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY",
                   "until " + InUtc(until) +
                       " its client may still be at work, and the platform may show the version "
                       "late; nobody can say that it is not published",
                   "Look at the platform after that time and say it then. That it is published "
                   "may be said at once.");
}

absl::Status SchedulerCore::Impl::CheckQuiet(const TaskId& id, Moment at) const {
  const auto it = tasks_.find(id);
  if (it == tasks_.end() || it->second.task.state != TaskState::kUnknown) return absl::OkStatus();
  return CheckQuiet(it->second, at, at);
}

bool SchedulerCore::Impl::OwesWord(const AgentId& agent) const {
  const auto it = owed_.lower_bound({agent, TaskId()});
  return it != owed_.end() && it->first.first == agent;
}

void SchedulerCore::Impl::ForgiveWord(const AgentId& agent, const TaskId& task) {
  owed_.erase({agent, task});
  resolved_.erase(task);
}

void SchedulerCore::Impl::ForgiveWords(const AgentId& agent) {
  while (OwesWord(agent)) {
    ForgiveWord(agent, TaskId(owed_.lower_bound({agent, TaskId()})->first.second));
  }
}

void SchedulerCore::Impl::On(const Resolve& event, Moment at) {
  Reply reply{event.ticket, Settle(event, {event.said_at_mono, event.said_at}, at), RunId()};
  open_.effects.replies.push_back(std::move(reply));
}

absl::Status SchedulerCore::Impl::Settle(const Resolve& event, Moment looked_at, Moment at) {
  Entry* entry = Find(event.task);
  if (entry == nullptr) return absl::NotFoundError("no unfinished task has this id");
  SLIPWAY_RETURN_IF_ERROR(domain::CheckUnknown(entry->task, nullptr));
  const bool published = event.resolution.verdict == PublishVerdict::kPublished;
  if (!event.result || published != event.release.has_value()) {
    return MakeError(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT",
                     "what is known of the publish could not be read", "Ask again.");
  }
  if (!published) SLIPWAY_RETURN_IF_ERROR(CheckQuiet(*entry, looked_at, at));
  if (owed_.contains({entry->task.agent, event.task})) {
    resolved_.insert_or_assign(event.task, domain::OpenResolution{KeyOf(*entry), entry->task.agent,
                                                                  event.resolution.verdict});
  }
  store::FinishTask change{
      .cause = {event.resolution.resolved_by, at.wall, event.basis.from, event.basis.authorities},
      .key = KeyOf(*entry),
      .state = published ? TaskState::kSucceeded : TaskState::kFailed,
      .result = event.result,
      .release = event.release,
      .resolution = event.resolution};
  change.resolution->resolved_at = at.wall;
  FinishWith(*entry, std::move(change), at);
  return absl::OkStatus();
}

void SchedulerCore::Impl::TakeLate(const ResultReported& event, Moment at) {
  if (event.log == LogState::kIncomplete) return;
  const domain::OpenResolution open = *Resolved(event.from.agent, event.key);
  store::RecordLateResult change{.cause = {"agent:" + event.from.agent.value(), at.wall},
                                 .key = event.key,
                                 .result = event.result,
                                 .release = std::nullopt};
  if (event.log == LogState::kDamaged) {
    change.result.log.missing = std::max(change.result.log.missing, event.log_missing);
    change.result.log.root = Sha256Digest();
  }
  // What is public has its record, whatever was said of it before.
  if (event.result.ok() && open.verdict == PublishVerdict::kNotPublished) {
    change.release = event.release;
  }
  open_.changes.push_back(std::move(change));
  Changed(event.key.task);
  ForgiveWord(event.from.agent, event.key.task);
  open_.effects.taken.push_back({event.key, event.log == LogState::kComplete, event.log_missing});
  Push(event.from.agent, event.key, domain::TaskKind::kPublish, protocol::Want::kForget);
}

}  // namespace slipway::scheduler
