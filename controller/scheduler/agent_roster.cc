#include "controller/scheduler/agent_roster.h"

#include <algorithm>
#include <utility>

#include "controller/domain/agent.h"

namespace slipway::scheduler {
namespace {

// Requirement sets that are kept though nothing waits with them; above that they are dropped.
constexpr std::size_t kMaxIdleSets = 256;

std::size_t CountUnmet(const Labels& requirements, const Labels& labels) {
  return static_cast<std::size_t>(
      std::count_if(requirements.begin(), requirements.end(), [&](const auto& wanted) {
        const auto it = labels.find(wanted.first);
        return it == labels.end() || it->second != wanted.second;
      }));
}

std::string Misses(const Labels& requirements, const Labels& labels) {
  std::string text;
  for (const auto& [key, value] : requirements) {
    const auto it = labels.find(key);
    if (it != labels.end() && it->second == value) continue;
    if (!text.empty()) text += ", ";
    text += it == labels.end() ? "no " + key : key + " is " + it->second;
  }
  return text;
}

}  // namespace

AgentRoster::Shift AgentRoster::Recount(const Labels* before, const Labels* after) {
  Shift shift;
  for (auto& [requirements, wanted] : wanted_) {
    const bool fitted = before != nullptr && Fits(requirements, *before);
    const bool fits = after != nullptr && Fits(requirements, *after);
    if (fitted == fits) continue;
    if (fits && wanted.capable++ == 0) {
      shift.possible.insert(shift.possible.end(), wanted.tasks.begin(), wanted.tasks.end());
    }
    if (fitted && --wanted.capable == 0) {
      shift.impossible.insert(shift.impossible.end(), wanted.tasks.begin(), wanted.tasks.end());
    }
  }
  return shift;
}

AgentRoster::Shift AgentRoster::Put(const AgentId& agent, Known known) {
  const auto it = agents_.find(agent);
  const bool there = it != agents_.end();
  Shift shift;
  if (!there || it->second.labels != known.labels) {
    shift = Recount(there ? &it->second.labels : nullptr, &known.labels);
  }
  if (there && known.name.empty()) known.name = it->second.name;
  agents_[agent] = std::move(known);
  return shift;
}

AgentRoster::Shift AgentRoster::Remove(const AgentId& agent) {
  const auto it = agents_.find(agent);
  if (it == agents_.end()) return {};
  const Known gone = std::move(it->second);
  agents_.erase(it);
  return Recount(&gone.labels, nullptr);
}

bool AgentRoster::Want(const Labels& requirements, const TaskId& task) {
  auto it = wanted_.find(requirements);
  if (it == wanted_.end()) {
    if (wanted_.size() >= kMaxIdleSets) {
      std::erase_if(wanted_, [](const auto& set) { return set.second.tasks.empty(); });
    }
    it = wanted_.emplace(requirements, Wanted()).first;
    for (const auto& [id, known] : agents_) {
      if (Fits(requirements, known.labels)) ++it->second.capable;
    }
  }
  it->second.tasks.insert(task);
  return it->second.capable > 0;
}

void AgentRoster::Unwant(const Labels& requirements, const TaskId& task) {
  const auto it = wanted_.find(requirements);
  if (it != wanted_.end()) it->second.tasks.erase(task);
}

std::vector<std::string> AgentRoster::Nearest(const Labels& requirements, std::size_t most) const {
  std::vector<std::pair<std::size_t, std::string>> agents;
  for (const auto& [id, known] : agents_) {
    if (id.value() == domain::kControllerAgent) continue;
    const std::string& name = known.name.empty() ? id.value() : known.name;
    const std::string why = known.seen ? Misses(requirements, known.labels) : "never connected";
    agents.emplace_back(CountUnmet(requirements, known.labels), name + " (" + why + ")");
  }
  const auto end = agents.begin() + static_cast<std::ptrdiff_t>(std::min(most, agents.size()));
  std::partial_sort(agents.begin(), end, agents.end());
  std::vector<std::string> texts;
  for (auto it = agents.begin(); it != end; ++it) texts.push_back(std::move(it->second));
  return texts;
}

}  // namespace slipway::scheduler
