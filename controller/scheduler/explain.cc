#include "controller/scheduler/explain.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "controller/domain/agent.h"
#include "controller/scheduler/scheduler_impl.h"

namespace slipway::scheduler {

using domain::TaskState;

namespace {

bool TakesWork(AgentCondition condition) {
  return condition == AgentCondition::kFree || condition == AgentCondition::kBusy ||
         condition == AgentCondition::kResting;
}

}  // namespace

std::vector<Labels> SchedulerCore::Impl::Takers() const {
  std::vector<Labels> takers;
  for (const auto& [id, known] : roster_.agents()) {
    if (TakesWork(ConditionOf(id, known.seen))) takers.push_back(known.labels);
  }
  return takers;
}

std::vector<AgentFit> SchedulerCore::Impl::FitsOf(const domain::Task& task) const {
  std::vector<AgentFit> fits;
  for (const auto& [id, known] : roster_.agents()) {
    AgentFit fit{.agent = id, .name = known.name, .unmet = {}};
    const auto connected = agents_.find(id);
    fit.condition = ConditionOf(id, known.seen);
    if (connected != agents_.end()) {
      if (connected->second.session) fit.slots = connected->second.slots;
      fit.held = static_cast<std::uint32_t>(connected->second.held.size());
    }
    for (const auto& [key, wanted] : task.requirements) {
      const auto label = known.labels.find(key);
      if (label == known.labels.end()) {
        fit.unmet.push_back({key, wanted, std::nullopt});
      } else if (label->second != wanted) {
        fit.unmet.push_back({key, wanted, label->second});
      }
    }
    // It never could, and nobody wonders.
    if (id.value() == domain::kControllerAgent && !fit.unmet.empty()) continue;
    fits.push_back(std::move(fit));
  }
  std::stable_sort(fits.begin(), fits.end(), [](const AgentFit& a, const AgentFit& b) {
    return std::pair(a.unmet.size(), a.condition) < std::pair(b.unmet.size(), b.condition);
  });
  return fits;
}

AgentCondition SchedulerCore::Impl::ConditionOf(const AgentId& id, bool seen) const {
  const auto it = agents_.find(id);
  if (it == agents_.end() || !it->second.session || !it->second.fresh) {
    return seen ? AgentCondition::kOffline : AgentCondition::kNeverSeen;
  }
  const Agent& agent = it->second;
  if (const auto wished = availability_.find(id); wished != availability_.end()) {
    return wished->second.mode == domain::AgentMode::kPaused ? AgentCondition::kPaused
                                                             : AgentCondition::kDraining;
  }
  if (agent.draining) return AgentCondition::kDraining;
  if (!agent.takes_work) return AgentCondition::kUnwell;
  if (agent.held.size() >= agent.slots) return AgentCondition::kBusy;
  return agent.refused ? AgentCondition::kResting : AgentCondition::kFree;
}

Await SchedulerCore::Impl::AwaitedBy(const Entry& entry) const {
  const domain::Task& task = entry.task;
  if (task.state == TaskState::kOffered) return Await::kAnswer;
  if (task.state == TaskState::kUnknown) return Await::kResolution;
  if (task.state != TaskState::kWaiting && task.state != TaskState::kQueued) {
    return Await::kNothing;
  }
  if (tasks_.contains(Awaited(task))) return Await::kDependency;
  if (entry.waits_for_retry) return Await::kPause;
  if (entry.group && groups_.Turn(*entry.group) != task.id) return Await::kGroup;
  return Await::kAgent;
}

std::vector<Deadline> SchedulerCore::Impl::DeadlinesOf(const Entry& entry, Moment at) const {
  const std::string& id = entry.task.id.value();
  const TaskState state = entry.task.state;
  std::vector<Deadline> deadlines;
  const auto add = [&](Deadline::Kind kind, const DueKey& key) {
    if (const auto due = due_.Of(key)) deadlines.push_back({kind, at.wall + (*due - at.now)});
  };
  add(state == TaskState::kOffered ? Deadline::Kind::kOfferEnds : Deadline::Kind::kPauseEnds,
      {Due::kTask, id});
  add(Deadline::Kind::kQueueTimeout, {Due::kWait, id});
  add(Deadline::Kind::kNoAgent, {Due::kNobody, id});
  if (state == TaskState::kRunning) {
    add(Deadline::Kind::kLeaseEnds, {Due::kLease, entry.task.agent.value()});
  }
  std::sort(deadlines.begin(), deadlines.end(),
            [](const Deadline& a, const Deadline& b) { return a.at < b.at; });
  return deadlines;
}

std::optional<Explanation> SchedulerCore::Impl::Explain(const TaskId& id, Moment at) const {
  const auto it = tasks_.find(id);
  if (it == tasks_.end()) return std::nullopt;
  const Entry& entry = it->second;
  Explanation why;
  why.state = entry.task.state;
  why.await = AwaitedBy(entry);
  if (tasks_.contains(Awaited(entry.task))) why.depends_on = entry.task.depends_on;
  why.requirements = entry.task.requirements;
  if (entry.group) {
    auto place = groups_.PlaceOf(*entry.group, entry.order);
    why.group = Explanation::Group{.name = entry.group->name,
                                   .holders = {place.holders.begin(), place.holders.end()},
                                   .ahead = place.ahead,
                                   .first = std::move(place.first),
                                   .members = place.members};
  }
  why.agents = FitsOf(entry.task);
  std::vector<Labels> takers;
  for (const AgentFit& fit : why.agents) {
    if (fit.unmet.empty() && TakesWork(fit.condition)) {
      takers.push_back(roster_.agents().at(fit.agent).labels);
    }
  }
  why.ahead = queue_.AheadOf(id, takers);
  why.deadlines = DeadlinesOf(entry, at);
  return why;
}

}  // namespace slipway::scheduler
