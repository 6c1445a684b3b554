#include <algorithm>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "controller/scheduler/scheduler_impl.h"

namespace slipway::scheduler {

using domain::AgentMode;
using domain::Availability;

void SchedulerCore::Impl::On(const ChangeAgent& event, Moment at) {
  Wish(event.ticket, event.agent, event.availability, event.basis, at);
}

void SchedulerCore::Impl::Wish(std::optional<Ticket> ticket, const AgentId& agent,
                               Availability availability, Basis basis, Moment at) {
  availability.since = at.wall;
  open_.wishes.push_back({open_.changes.size(), ticket, agent, availability});
  open_.changes.push_back(store::SetAvailability{
      {availability.by, at.wall, std::move(basis.from), std::move(basis.authorities)},
      agent,
      std::move(availability)});
}

void SchedulerCore::Impl::GrantWishes(Batch& batch, const std::vector<absl::Status>& statuses,
                                      bool differs, Moment at) {
  for (const PendingAvailability& wish : batch.wishes) {
    const bool granted = statuses[wish.change].ok();
    if (wish.ticket) {
      absl::Status status;
      if (absl::IsPermissionDenied(statuses[wish.change])) {
        status = statuses[wish.change];
      } else if (!granted) {
        status = MakeError(absl::StatusCode::kFailedPrecondition, "AGENT_GONE",
                           "the agent has left the farm", "Let the machine join anew.");
      }
      batch.effects.replies.push_back({*wish.ticket, std::move(status), RunId()});
    }
    if (!granted) continue;
    if (domain::IsGone(wish.availability.mode)) {
      batch.effects.dismissed.push_back({wish.agent, wish.availability});
      gone_.insert(wish.agent);
      if (differs) agents_.erase(wish.agent);
    }
    if (!differs) SetAvailability(wish.agent, wish.availability, at);
  }
}

void SchedulerCore::Impl::SetAvailability(const AgentId& agent, const Availability& availability,
                                          Moment at) {
  const Due due = Due::kAvailability;
  due_.Clear({due, agent.value()});
  due_.Clear({Due::kRetirement, agent.value()});
  availability_.erase(agent);
  retiring_.erase(agent);
  if (domain::IsGone(availability.mode)) return Dismiss(agent, availability, at);
  if (!domain::TakesWork(availability, at.wall)) {
    availability_.emplace(agent, availability);
    if (availability.mode == AgentMode::kPaused && availability.until != WallTime()) {
      due_.Set({due, agent.value()}, at.now + (availability.until - at.wall));
    }
  }
  UpdateRoom(agent);
  if (availability.mode == AgentMode::kRetiring) {
    retiring_.insert(agent);
    // What it holds is known from its next inventory.
    Send(agent, protocol::Desired{.answers = 0, .attempts = {}, .sync_after = Duration::zero()});
  }
}

void SchedulerCore::Impl::LoadAvailability(const std::map<AgentId, Availability>& stored,
                                           Moment at) {
  for (const auto& [agent, availability] : stored) {
    SetAvailability(agent, availability, at);
    // It may only not have found this controller yet.
    if (availability.mode == AgentMode::kRetiring) {
      due_.Set({Due::kRetirement, agent.value()}, grace_end_);
    }
  }
}

void SchedulerCore::Impl::Dismiss(const AgentId& id, const Availability& availability, Moment at) {
  // Tasks that only it could have run learn that they wait in vain.
  Reconsider(roster_.Remove(id), at);
  ForgiveWords(id);
  const auto it = agents_.find(id);
  if (it == agents_.end()) return;
  it->second.session.reset();
  it->second.fresh = false;
  const std::set<TaskId> held = it->second.held;
  UpdateRoom(id);
  const std::string why = "it was " + std::string(domain::AgentModeName(availability.mode));
  for (const TaskId& task : held) Lose(tasks_.at(task), why, at);
  ForgiveWords(id);
}

void SchedulerCore::Impl::SettleDoubted(const std::vector<store::RosterAgent>& remaining,
                                        Moment at) {
  for (auto& [id, availability] : std::exchange(doubted_, {})) {
    const bool stayed = std::any_of(remaining.begin(), remaining.end(),
                                    [&id = id](const auto& agent) { return agent.id == id; });
    if (stayed) continue;
    gone_.insert(id);
    open_.effects.dismissed.push_back({id, availability});
    Dismiss(id, availability, at);
  }
}

void SchedulerCore::Impl::RetireIdle(Moment at) {
  // Asked for once; it takes effect with the commit.
  std::erase_if(retiring_, [&](const AgentId& id) {
    if (OwesWord(id)) return false;
    const auto it = agents_.find(id);
    if (it != agents_.end() && !it->second.held.empty()) return false;
    if (it != agents_.end() && it->second.session) {
      if (!it->second.fresh || it->second.reported > 0) return false;
    } else if (due_.Of({Due::kRetirement, id.value()})) {
      return false;
    }
    Availability retired = availability_.at(id);
    retired.mode = AgentMode::kRetired;
    retired.by = "scheduler";
    Wish(std::nullopt, id, std::move(retired), {}, at);
    return true;
  });
}

}  // namespace slipway::scheduler
