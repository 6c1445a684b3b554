#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "controller/domain/task.h"
#include "controller/store/changes.h"
#include "controller/store/scheduler_store.h"
#include "tests/sim/scenario.h"

namespace slipway::sim {

// The rows behind SchedulerStore, shared by all controllers of a world, with the fence of the real
// one (controller/store/pg/database.cc): a write transaction holds the fence from its beginning, at
// which it compares its epoch, to its end; a new leader bumps the epoch only when no transaction is
// open. What may go wrong around a commit is the caller's business.
class SimStore {
 public:
  using Transaction = std::uint64_t;

  explicit SimStore(const Planted& planted) : planted_(planted) {}

  // kUnavailable: a transaction is open; try again, or end the writers as the server does with
  // those that stand still.
  [[nodiscard]] absl::StatusOr<Epoch> BecomeLeader();
  void EndWriters() { open_.clear(); }

  // kFailedPrecondition, NOT_LEADER: another term has begun.
  [[nodiscard]] absl::StatusOr<Transaction> Begin(Epoch epoch);
  // kUnavailable: the transaction has been ended meanwhile; nothing is stored.
  [[nodiscard]] absl::StatusOr<std::vector<absl::Status>> Commit(
      Transaction transaction, const std::vector<store::Change>& changes);
  void Abort(Transaction transaction) { open_.erase(transaction); }
  [[nodiscard]] absl::StatusOr<store::Unfinished> Load(Epoch epoch) const;

  // For the checks.
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  [[nodiscard]] const std::map<TaskId, domain::Task>& tasks() const { return tasks_; }
  // Oldest first.
  [[nodiscard]] const std::vector<TaskId>& submitted() const { return order_; }
  [[nodiscard]] const domain::Task* Find(const TaskId& id) const;
  // The row says that this attempt is offered, running or unknown.
  [[nodiscard]] bool IsCurrent(const AttemptKey& key) const;
  [[nodiscard]] bool WasStarted(const AttemptKey& key) const { return started_.contains(key); }
  [[nodiscard]] int Starts(const TaskId& task) const;
  [[nodiscard]] const std::map<TaskId, domain::PublishPermit>& permits() const { return permits_; }
  [[nodiscard]] const std::map<TaskId, domain::Resolution>& resolutions() const {
    return resolutions_;
  }
  [[nodiscard]] const std::map<TaskId, domain::Release>& releases() const { return releases_; }
  [[nodiscard]] domain::AgentMode ModeOf(const AgentId& agent) const {
    const auto it = availability_.find(agent);
    return it == availability_.end() ? domain::AgentMode::kActive : it->second.mode;
  }
  [[nodiscard]] std::size_t runs() const { return runs_.size(); }
  // Results stored since the last call, with the agent that held the attempt.
  std::vector<std::pair<AttemptKey, AgentId>> TakeStoredResults() {
    return std::exchange(stored_results_, {});
  }
  // A change of a term that was over was stored.
  [[nodiscard]] bool fence_broken() const { return fence_broken_; }

 private:
  absl::Status Apply(const store::CreateRun& change);
  absl::Status Apply(const store::OfferTask& change);
  absl::Status Apply(const store::StartTask& change);
  absl::Status Apply(const store::RequeueTask& change);
  absl::Status Apply(const store::ReleaseTask& change);
  absl::Status Apply(const store::RequestCancel& change);
  absl::Status Apply(const store::FinishTask& change);
  absl::Status Apply(const store::MarkUnknown& change);
  absl::Status Apply(const store::GrantPermit& change);
  absl::Status Apply(const store::RecordLateResult& change);
  absl::Status Apply(const store::RecordStep& change);
  absl::Status Apply(const store::SetAvailability& change);
  domain::Task* At(const AttemptKey& key);

  const Planted& planted_;
  Epoch epoch_;
  std::map<Transaction, Epoch> open_;
  Transaction last_transaction_ = 0;
  bool fence_broken_ = false;

  std::map<std::pair<std::string, std::string>, RunId> runs_;
  std::map<TaskId, domain::Task> tasks_;
  std::vector<TaskId> order_;
  std::map<TaskId, domain::PublishPermit> permits_;
  std::map<TaskId, domain::Resolution> resolutions_;
  std::map<TaskId, domain::Release> releases_;
  std::set<AttemptKey> started_;
  std::map<AgentId, domain::Availability> availability_;
  std::vector<std::pair<AttemptKey, AgentId>> stored_results_;
};

}  // namespace slipway::sim
