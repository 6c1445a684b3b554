#include "agent/executor/reaper.h"

#include <charconv>

#include "agent/executor/labels.h"
#include "common/status/status.h"

namespace slipway::executor {
namespace {

// Empty when there is no such label.
const std::string& LabelOf(const Labels& labels, const char* key) {
  static const std::string kNone;
  const auto found = labels.find(key);
  return found == labels.end() ? kNone : found->second;
}

bool Owns(const Owner& owner, const Labels& labels) {
  return !owner.farm.value().empty() && !owner.agent.value().empty() &&
         LabelOf(labels, kLabelFarm) == owner.farm.value() &&
         LabelOf(labels, kLabelAgent) == owner.agent.value();
}

}  // namespace

std::optional<AttemptKey> AttemptOf(const Labels& labels) {
  const std::string& task = LabelOf(labels, kLabelTask);
  const std::string& text = LabelOf(labels, kLabelAttempt);
  std::int64_t attempt = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), attempt);
  if (task.empty() || error != std::errc() || end != text.data() + text.size() || attempt <= 0)
    return std::nullopt;
  return AttemptKey{TaskId(task), Attempt(attempt)};
}

std::vector<ContainerId> LeftOver(const std::vector<ContainerSummary>& found, const Owner& owner,
                                  const Keep& keep) {
  const auto wanted = [&](const ContainerSummary& container) {
    const std::optional<AttemptKey> attempt = AttemptOf(container.labels);
    return keep.containers.contains(container.id) || (attempt && keep.attempts.contains(*attempt));
  };
  // What a container that is wanted has its network from.
  std::set<std::string> lenders;
  for (const ContainerSummary& container : found) {
    if (Owns(owner, container.labels) && wanted(container)) {
      lenders.insert(LabelOf(container.labels, kLabelNetwork));
    }
  }
  std::vector<ContainerId> left_over;
  for (const ContainerSummary& container : found) {
    if (!Owns(owner, container.labels) || wanted(container)) continue;
    if (lenders.contains(container.name)) continue;
    left_over.push_back(container.id);
  }
  return left_over;
}

absl::StatusOr<ReapReport> Reap(ContainerEngine& engine, const Owner& owner,
                                const std::function<absl::StatusOr<Keep>()>& keep,
                                Duration timeout) {
  SLIPWAY_ASSIGN_OR_RETURN(
      const std::vector<ContainerSummary> found,
      engine.List({{kLabelFarm, owner.farm.value()}, {kLabelAgent, owner.agent.value()}}, timeout));
  SLIPWAY_ASSIGN_OR_RETURN(const Keep kept, keep());
  ReapReport report;
  for (const ContainerId& id : LeftOver(found, owner, kept)) {
    if (absl::Status status = engine.Remove(id, /*force=*/true, timeout); status.ok())
      report.removed.push_back(id);
    else
      report.failed.emplace_back(id, std::move(status));
  }
  return report;
}

}  // namespace slipway::executor
