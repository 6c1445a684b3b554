#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "common/base/ids.h"

namespace slipway::runs {

// Tells followers that a task's row has changed, after the change was committed. Carries no
// content: whoever is woken reads the store, so that nothing can be missed or told twice.
// Thread-safe.
class TaskWatch {
 public:
  // Calls `wake` from the announcer's thread whenever one of the tasks changed, until the returned
  // handle dies; destroying it waits for a running call, so never from within `wake`.
  [[nodiscard]] std::shared_ptr<void> Subscribe(const std::vector<TaskId>& tasks,
                                                std::function<void()> wake);

  void Changed(const std::vector<TaskId>& tasks);

 private:
  struct Subscription;
  std::mutex mu_;
  std::multimap<TaskId, std::shared_ptr<Subscription>> by_task_;
};

}  // namespace slipway::runs
