#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/hash/hash.h"
#include "common/base/ids.h"
#include "controller/domain/task.h"

namespace slipway::runs {

// What never changes of the runs that this process took, so that a task which starts and ends soon
// after its submit is not read from the database again. Holds the newest; who finds nothing reads
// the rows. A run that was never committed does no harm: nobody asks for it.
//
// Thread-safe.
class KnownRuns {
 public:
  struct Task {
    std::shared_ptr<const domain::Run> run;
    domain::TaskKind kind = domain::TaskKind::kBuild;
    std::string platform;
    bool publish_follows = false;  // a task of the run depends on it
  };

  // Keeps the tasks of the newest `capacity` runs.
  explicit KnownRuns(std::size_t capacity) : capacity_(capacity) {}

  void Add(const domain::Run& run, const std::vector<domain::Task>& tasks);
  // nullopt: not known.
  [[nodiscard]] std::optional<Task> Find(const TaskId& task) const;

 private:
  const std::size_t capacity_;
  mutable std::mutex mu_;
  std::unordered_map<TaskId, Task, absl::Hash<TaskId>> tasks_;
  std::deque<std::vector<TaskId>> order_;  // of the runs, oldest first
};

}  // namespace slipway::runs
