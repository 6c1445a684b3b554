#include <algorithm>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/scheduler/scheduler_impl.h"

// What becomes of a publish whose outcome nobody knew.
namespace slipway::scheduler {

using domain::PublishVerdict;
using domain::TaskState;
using protocol::FailureClass;

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

WallTime SchedulerCore::Impl::QuietFrom(const Entry& entry) const {
  if (!entry.permit) return WallTime();
  const domain::PublishPermit& permit = *entry.permit;
  const WallTime latest = permit.not_after + permit.deadline;
  const WallTime end =
      permit.client_ended_at == WallTime() ? latest : std::min(permit.client_ended_at, latest);
  return end + options_.publish_margin;
}

void SchedulerCore::Impl::On(const Resolve& event, Moment at) {
  Reply reply{event.ticket, Settle(event, event.said_at, at), RunId()};
  open_.effects.replies.push_back(std::move(reply));
}

absl::Status SchedulerCore::Impl::Settle(const Resolve& event, WallTime looked_at, Moment at) {
  Entry* entry = Find(event.task);
  if (entry == nullptr) return absl::NotFoundError("no unfinished task has this id");
  if (entry->task.state != TaskState::kUnknown) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_UNKNOWN",
                     "the task is " + std::string(domain::TaskStateName(entry->task.state)) +
                         ": it will say itself what came of it",
                     "Only a publish of unknown outcome is resolved; follow this one to its end.");
  }
  const bool published = event.resolution.verdict == PublishVerdict::kPublished;
  if (!event.result || published != event.release.has_value()) {
    return MakeError(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT",
                     "what is known of the publish could not be read", "Ask again.");
  }
  // Neither a word that waited to be heard nor a probe's late result tells of the time since.
  const WallTime known_at = std::min(looked_at, at.wall);
  if (const WallTime quiet = QuietFrom(*entry); !published && known_at < quiet) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY",
                     "until " + InUtc(quiet) +
                         " its client may still be at work, and the platform may show the version "
                         "late; nobody can say that it is not published",
                     "Look at the platform after that time and say it then. That it is published "
                     "may be said at once.");
  }
  if (!entry->permit || !entry->permit->reported) {
    resolved_.insert_or_assign(event.task, domain::OpenResolution{KeyOf(*entry), entry->task.agent,
                                                                  event.resolution.verdict});
  }
  store::FinishTask change{.cause = {event.resolution.resolved_by, at.wall},
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
  resolved_.erase(event.key.task);
  open_.effects.taken.push_back({event.key, event.log == LogState::kComplete, event.log_missing});
  Push(event.from.agent, event.key, domain::TaskKind::kPublish, protocol::Want::kForget);
}

}  // namespace slipway::scheduler
