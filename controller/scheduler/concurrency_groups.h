#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/base/ids.h"
#include "controller/domain/task.h"

namespace slipway::scheduler {

// Whose turn it is in each concurrency group. A task is a member from its submit to its end; it
// holds the group while it is at an agent, or while nobody knows what it did. The turn is the
// oldest member's, also when that one cannot run yet, so that nothing overtakes.
//
// Knows no states: SchedulerCore says when a task holds and lets go. Rows of a time before groups
// may have several holders; then nobody has the turn until all have let go.
//
// Confined to the owner's mutex.
class ConcurrencyGroups {
 public:
  static constexpr std::size_t kNamedAhead = 5;
  // Where a member stands.
  struct Place {
    std::set<TaskId> holders;
    // Members with an older submit that do not hold the group.
    std::size_t ahead = 0;
    // The oldest of those, at most kNamedAhead.
    std::vector<TaskId> first;
    std::size_t members = 0;
  };

  // `order` rises with each submit and is unique.
  void Enter(const domain::Group& group, std::uint64_t order, const TaskId& task);
  void Leave(const domain::Group& group, std::uint64_t order, const TaskId& task);
  void Hold(const domain::Group& group, const TaskId& task);
  void LetGo(const domain::Group& group, const TaskId& task);

  // The member that may run next; nullopt: the group is held, or has no members.
  [[nodiscard]] std::optional<TaskId> Turn(const domain::Group& group) const;
  [[nodiscard]] const std::set<TaskId>& Holders(const domain::Group& group) const;
  // REQUIRES: a member of that order.
  [[nodiscard]] Place PlaceOf(const domain::Group& group, std::uint64_t order) const;

 private:
  struct Members {
    std::map<std::uint64_t, TaskId> by_order;
    std::set<TaskId> holders;
  };
  std::map<domain::Group, Members> groups_;
};

}  // namespace slipway::scheduler
