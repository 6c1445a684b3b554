#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "controller/domain/agent.h"
#include "controller/domain/task.h"
#include "controller/store/changes.h"

namespace slipway::store {

// An agent of the farm, as far as scheduling goes.
struct RosterAgent {
  AgentId id;
  std::string name;
  std::map<std::string, std::string> labels;
  bool seen = false;  // it has been connected
};

// Unfinished work, enough to rebuild a SchedulerCore.
struct Unfinished {
  std::vector<domain::Task> tasks;             // state not terminal, oldest first
  std::vector<domain::PublishPermit> permits;  // of those tasks
  // Agents in another mode than active that are not gone.
  std::map<AgentId, domain::Availability> availability = {};
  // Of finished publishes: resolved ones whose attempt has not said its own word, and whose agent
  // has not left the farm.
  std::vector<domain::OpenResolution> resolved = {};
  std::map<RunId, std::string> submitters{};  // of their runs
  std::vector<RosterAgent> agents{};          // that have not left the farm
};

// kUnknown COMMIT_IN_DOUBT: whether the transaction was committed is not known.
[[nodiscard]] inline bool InDoubt(const absl::Status& status) { return absl::IsUnknown(status); }

// The write side of scheduling: one writer, whole batches, fenced by the leader's epoch.
// Apart from RunReader, which serves people and never writes.
//
// Thread-safe, but only the scheduler's writer calls it.
class SchedulerStore {
 public:
  virtual ~SchedulerStore() = default;

  // Takes the leadership: bumps the stored epoch and returns it. Every Commit and Load of an object
  // whose epoch is not the stored one fails from then on with kFailedPrecondition, reason
  // NOT_LEADER; the process must stop. kUnavailable: database not reachable.
  [[nodiscard]] virtual absl::StatusOr<Epoch> BecomeLeader() = 0;

  // Applies the changes in order in one durable transaction. Entry i of the answer says whether
  // change i was applied (ok) or refused by its guard (kAborted; kAlreadyExists for CreateRun,
  // whose message is then the id of the run that exists, or kFailedPrecondition NO_TARGET;
  // kInvalidArgument when its data cannot be stored). A refused change leaves nothing behind. One
  // audit row per applied change that has a cause.
  //
  // An error of the whole call: with InDoubt() the batch may or may not be committed, with any
  // other nothing of it is. The caller drops its state and loads again.
  [[nodiscard]] virtual absl::StatusOr<std::vector<absl::Status>> Commit(
      const std::vector<Change>& changes) = 0;

  // Whether Commit would find now that those who asked for the changes still may: entry i is ok, or
  // its refusal, kPermissionDenied or kNotFound with the verdict's reason, which is in the audit
  // trail then. For what cannot be taken back once the caller's state has moved on; Commit asks
  // again all the same.
  [[nodiscard]] virtual absl::StatusOr<std::vector<absl::Status>> CheckRights(
      const std::vector<Change>& changes) = 0;

  [[nodiscard]] virtual absl::StatusOr<Unfinished> LoadUnfinished() = 0;
};

}  // namespace slipway::store
