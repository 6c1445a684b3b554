#include "controller/scheduler/concurrency_groups.h"

#include "common/base/check.h"

namespace slipway::scheduler {

void ConcurrencyGroups::Enter(const domain::Group& group, std::uint64_t order, const TaskId& task) {
  SLIPWAY_CHECK(groups_[group].by_order.emplace(order, task).second);
}

void ConcurrencyGroups::Leave(const domain::Group& group, std::uint64_t order, const TaskId& task) {
  const auto it = groups_.find(group);
  if (it == groups_.end()) return;
  it->second.by_order.erase(order);
  it->second.holders.erase(task);
  if (it->second.by_order.empty()) groups_.erase(it);
}

void ConcurrencyGroups::Hold(const domain::Group& group, const TaskId& task) {
  groups_.at(group).holders.insert(task);
}

void ConcurrencyGroups::LetGo(const domain::Group& group, const TaskId& task) {
  groups_.at(group).holders.erase(task);
}

std::optional<TaskId> ConcurrencyGroups::Turn(const domain::Group& group) const {
  const auto it = groups_.find(group);
  if (it == groups_.end() || !it->second.holders.empty()) return std::nullopt;
  return it->second.by_order.begin()->second;
}

const std::set<TaskId>& ConcurrencyGroups::Holders(const domain::Group& group) const {
  return groups_.at(group).holders;
}

ConcurrencyGroups::Place ConcurrencyGroups::PlaceOf(const domain::Group& group,
                                                    std::uint64_t order) const {
  const Members& members = groups_.at(group);
  Place place{.holders = members.holders, .first = {}, .members = members.by_order.size()};
  for (const auto& [number, task] : members.by_order) {
    if (number >= order) break;
    if (members.holders.contains(task)) continue;
    ++place.ahead;
    if (place.first.size() < kNamedAhead) place.first.push_back(task);
  }
  return place;
}

}  // namespace slipway::scheduler
