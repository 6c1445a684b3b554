#include "controller/scheduler/scheduler_impl.h"

namespace slipway::scheduler {

using domain::TaskState;

std::optional<MonoTime> SchedulerCore::Impl::NextDeadline() const {
  const auto next = due_.Next();
  if (!next) return std::nullopt;
  return std::min<MonoTime>(*next, last_entry_ + options_.standstill / 2);
}

bool SchedulerCore::Impl::IsCurrent(const AgentId& agent, const AttemptKey& key) const {
  if (Resolved(agent, key) != nullptr) return true;
  const auto it = tasks_.find(key.task);
  if (it == tasks_.end()) return false;
  const domain::Task& task = it->second.task;
  const bool leased = task.state == TaskState::kOffered || task.state == TaskState::kRunning ||
                      task.state == TaskState::kUnknown;
  return leased && task.attempt == key.attempt && task.agent == agent;
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
