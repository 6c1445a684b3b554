#include "controller/runs/task_watch.h"

#include <set>
#include <utility>

namespace slipway::runs {

struct TaskWatch::Subscription {
  std::mutex mu;
  std::function<void()> wake;
};

std::shared_ptr<void> TaskWatch::Subscribe(const std::vector<TaskId>& tasks,
                                           std::function<void()> wake) {
  auto subscription = std::make_shared<Subscription>();
  subscription->wake = std::move(wake);
  {
    const std::lock_guard lock(mu_);
    for (const TaskId& task : tasks) by_task_.emplace(task, subscription);
  }
  return {subscription.get(), [this, subscription, tasks](void*) {
            {
              const std::lock_guard lock(mu_);
              for (const TaskId& task : tasks) {
                const auto [begin, end] = by_task_.equal_range(task);
                for (auto it = begin; it != end;) {
                  it = it->second == subscription ? by_task_.erase(it) : std::next(it);
                }
              }
            }
            const std::lock_guard lock(subscription->mu);
            subscription->wake = nullptr;
          }};
}

void TaskWatch::Changed(const std::vector<TaskId>& tasks) {
  std::set<std::shared_ptr<Subscription>> woken;
  {
    const std::lock_guard lock(mu_);
    for (const TaskId& task : tasks) {
      const auto [begin, end] = by_task_.equal_range(task);
      for (auto it = begin; it != end; ++it) woken.insert(it->second);
    }
  }
  for (const auto& subscription : woken) {
    const std::lock_guard lock(subscription->mu);
    if (subscription->wake) subscription->wake();
  }
}

}  // namespace slipway::runs
