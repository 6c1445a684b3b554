#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "controller/scheduler/task_queue.h"

namespace slipway::scheduler {

// Every agent that joined and has not left the farm, connected or not, and which requirement sets
// of waiting tasks none of them could ever meet. Who is connected, and whether it takes work, is
// no part of it: an agent that is away, busy, paused or draining may come back.
//
// An agent is matched against sets, not tasks. Confined to the owner's mutex.
class AgentRoster {
 public:
  struct Known {
    std::string name;  // for people; may be empty
    Labels labels;
    bool seen = false;  // it has been connected once, so that its labels are known
  };
  // Waiting tasks for which a change of an agent decides.
  struct Shift {
    std::vector<TaskId> possible;    // now somebody could run them
    std::vector<TaskId> impossible;  // now nobody could
  };

  // Adds the agent, or takes its new labels.
  Shift Put(const AgentId& agent, Known known);
  Shift Remove(const AgentId& agent);
  [[nodiscard]] const std::map<AgentId, Known>& agents() const { return agents_; }

  // The task waits for an agent from now on. True: some agent could run it.
  bool Want(const Labels& requirements, const TaskId& task);
  // A no-op when it does not wait.
  void Unwant(const Labels& requirements, const TaskId& task);

  // Up to `most` agents that miss the fewest of the requirements, by what they miss, for people:
  // "build-1 (zone is south, no gpu)".
  [[nodiscard]] std::vector<std::string> Nearest(const Labels& requirements,
                                                 std::size_t most) const;

 private:
  struct Wanted {
    std::set<TaskId> tasks;
    std::size_t capable = 0;
  };
  // `before` and `after` of one agent; nullptr: not there.
  Shift Recount(const Labels* before, const Labels* after);

  std::map<AgentId, Known> agents_;
  std::map<Labels, Wanted> wanted_;
};

}  // namespace slipway::scheduler
