#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/executor/container_engine.h"
#include "common/base/ids.h"

namespace slipway::executor {

// Whose containers a reaper may remove: those labelled with both.
struct Owner {
  FarmId farm;
  AgentId agent;
};

// What the agent needs still. Containers whose network one of these has joined are kept as well.
struct Keep {
  std::set<AttemptKey> attempts;     // every container of these attempts
  std::set<ContainerId> containers;  // and these, which belong to no attempt
};

// The attempt that the labels name; nothing when they name none, or not properly.
[[nodiscard]] std::optional<AttemptKey> AttemptOf(const Labels& labels);

// Which of `found` are the owner's and not to be kept. Pure.
[[nodiscard]] std::vector<ContainerId> LeftOver(const std::vector<ContainerSummary>& found,
                                                const Owner& owner, const Keep& keep);

struct ReapReport {
  std::vector<ContainerId> removed;
  // Those the Engine did not remove, and why; the next round tries them again.
  std::vector<std::pair<ContainerId, absl::Status>> failed;
};

// Removes what is left over of attempts that the agent no longer holds. `keep` is asked after the
// containers were listed: an attempt is held before its container is made, so one that was begun in
// between cannot be taken for left over. `timeout` counts for each call of the engine.
// An error: the containers could not be listed, or `keep` does not know; none was removed.
[[nodiscard]] absl::StatusOr<ReapReport> Reap(ContainerEngine& engine, const Owner& owner,
                                              const std::function<absl::StatusOr<Keep>()>& keep,
                                              Duration timeout);

}  // namespace slipway::executor
