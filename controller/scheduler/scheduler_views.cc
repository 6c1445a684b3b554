#include <algorithm>

#include "controller/scheduler/scheduler_impl.h"

namespace slipway::scheduler {

using domain::TaskState;

std::optional<MonoTime> SchedulerCore::Impl::NextDeadline() const { return due_.Next(); }

bool SchedulerCore::Impl::IsCurrent(const AgentId& agent, const AttemptKey& key) const {
  if (Resolved(agent, key) != nullptr) return true;
  const auto it = tasks_.find(key.task);
  if (it == tasks_.end()) return false;
  const domain::Task& task = it->second.task;
  const bool leased = task.state == TaskState::kOffered || task.state == TaskState::kRunning ||
                      task.state == TaskState::kUnknown;
  return leased && task.attempt == key.attempt && task.agent == agent;
}

std::string SchedulerCore::Impl::WhyWaiting(const TaskId& task) const {
  const auto it = tasks_.find(task);
  if (it == tasks_.end()) return "";
  const Entry& entry = it->second;
  if (entry.task.state == TaskState::kWaiting) return "waits for its build";
  if (entry.task.state != TaskState::kQueued) return "";
  if (entry.waits_for_retry) return "waits a moment before it is tried again";
  if (tasks_.contains(Awaited(entry.task))) return "waits for its build";
  std::size_t online = 0;
  std::size_t fitting = 0;
  std::size_t draining = 0;
  std::size_t unwell = 0;
  for (const auto& [id, agent] : agents_) {
    if (!agent.session || !agent.fresh) continue;
    ++online;
    const bool fits = std::all_of(
        entry.task.requirements.begin(), entry.task.requirements.end(), [&](const auto& wanted) {
          const auto label = agent.labels.find(wanted.first);
          return label != agent.labels.end() && label->second == wanted.second;
        });
    if (!fits) continue;
    ++fitting;
    if (agent.draining) {
      ++draining;
    } else if (!agent.takes_work) {
      ++unwell;
    }
  }
  if (online == 0) return "no agent is connected";
  if (fitting == 0) {
    std::string wanted;
    for (const auto& [key, value] : entry.task.requirements) {
      wanted += (wanted.empty() ? "" : ", ") + key + "=" + value;
    }
    return "none of the " + std::to_string(online) + " connected agents has the labels " + wanted;
  }
  if (draining == fitting) return "every agent that fits is being drained";
  if (draining + unwell == fitting) {
    return "every agent that fits is not well; `slipway agents` says why";
  }
  return "every agent that fits is busy";
}

std::vector<AgentView> SchedulerCore::Impl::Agents() const {
  std::vector<AgentView> views;
  for (const auto& [id, agent] : agents_) {
    AgentView view{.agent = id,
                   .online = agent.session.has_value() && agent.fresh,
                   .draining = agent.draining,
                   .slots = agent.slots,
                   .attempts = {}};
    for (const TaskId& task : agent.held) view.attempts.push_back(KeyOf(tasks_.at(task)));
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace slipway::scheduler
