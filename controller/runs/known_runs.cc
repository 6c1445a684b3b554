#include "controller/runs/known_runs.h"

#include <utility>

#include "controller/domain/channel.h"

namespace slipway::runs {

void KnownRuns::Add(const domain::Run& run, const std::vector<domain::Task>& tasks) {
  const auto shared = std::make_shared<const domain::Run>(run);
  std::vector<TaskId> ids;
  const std::lock_guard lock(mu_);
  for (const domain::Task& task : tasks) {
    tasks_.insert_or_assign(
        task.id,
        Task{
            .run = shared, .kind = task.kind, .platform = task.platform, .publish_follows = false});
    ids.push_back(task.id);
  }
  for (const domain::Task& task : tasks) {
    const auto before = tasks_.find(task.depends_on);
    if (before != tasks_.end() && !domain::IsChannelPlatform(task.platform)) {
      before->second.publish_follows = true;
    }
  }
  order_.push_back(std::move(ids));
  if (order_.size() <= capacity_) return;
  for (const TaskId& id : order_.front()) tasks_.erase(id);
  order_.pop_front();
}

std::optional<KnownRuns::Task> KnownRuns::Find(const TaskId& task) const {
  const std::lock_guard lock(mu_);
  const auto it = tasks_.find(task);
  if (it == tasks_.end()) return std::nullopt;
  return it->second;
}

}  // namespace slipway::runs
