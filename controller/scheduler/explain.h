#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/domain/task.h"
#include "controller/scheduler/task_queue.h"

// Why an unfinished task is where it is, as values. Made by SchedulerCore::Explain.
namespace slipway::scheduler {

// The one thing that keeps a task from an agent; of several the one that comes first in this order.
enum class Await {
  kNothing,     // it is at an agent
  kDependency,  // the task it depends on is unfinished
  kPause,       // it pauses after a failed attempt
  kGroup,       // another task of its concurrency group is first
  kAgent,       // no agent that fits has room
  kAnswer,      // an agent thinks about the offer
  kResolution,  // its outcome is unknown: somebody has to say whether it was published
};

enum class AgentCondition {
  kFree,       // connected and has room
  kBusy,       // connected, all slots taken
  kResting,    // refused an offer a moment ago
  kPaused,     // takes no work: an operator's word
  kDraining,   // finishes what it holds and takes nothing
  kUnwell,     // its disk is full or its Engine away, by its own word
  kOffline,    // not connected
  kNeverSeen,  // joined and never connected
};

// An agent that has not left the farm, as seen by one task.
struct AgentFit {
  struct Unmet {
    std::string key;
    std::string wanted;
    std::optional<std::string> has;  // nullopt: no such label
  };
  AgentId agent;
  std::string name;  // may be empty
  AgentCondition condition = AgentCondition::kOffline;
  std::uint32_t slots = 0;   // 0 while it is not connected
  std::uint32_t held = 0;    // attempts offered to it or running on it
  std::vector<Unmet> unmet;  // empty: it fits
};

struct Deadline {
  enum class Kind {
    kOfferEnds = 1,     // the offer goes back
    kPauseEnds = 2,     // it may be offered again
    kQueueTimeout = 3,  // it fails if it still waits: QUEUE_TIMEOUT
    kNoAgent = 4,       // it fails if still no agent could ever run it: NO_AGENT_MATCHES
    kLeaseEnds = 5,     // its agent is lost unless heard of
  };
  Kind kind;
  WallTime at;
};

struct Explanation {
  domain::TaskState state = domain::TaskState::kQueued;
  Await await = Await::kNothing;
  TaskId depends_on;  // while that is unfinished
  Labels requirements;
  struct Group {
    std::string name;
    std::vector<TaskId> holders;  // at an agent, or of unknown outcome; may be the task itself
    std::size_t ahead = 0;        // members submitted earlier that do not hold it
    std::vector<TaskId> first;    // the oldest of those
    std::size_t members = 0;
  };
  std::optional<Group> group;
  // Queued tasks that agents which fit would take before it.
  TaskQueue::Ahead ahead;
  // Those that fit first, then those that miss least.
  std::vector<AgentFit> agents;
  // Soonest first.
  std::vector<Deadline> deadlines;
};

}  // namespace slipway::scheduler
