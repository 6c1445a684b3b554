#pragma once

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

namespace slipway::sim {

// The rows behind SchedulerStore, shared by all controllers of a world. Commit is one instant; what
// may go wrong around it is the caller's business.
class SimStore {
 public:
  Epoch BecomeLeader() { return epoch_ = Epoch(epoch_.value() + 1); }
  absl::StatusOr<std::vector<absl::Status>> Commit(Epoch epoch,
                                                   const std::vector<store::Change>& changes);
  [[nodiscard]] absl::StatusOr<store::Unfinished> Load(Epoch epoch) const;

  // For the checks.
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  [[nodiscard]] const std::map<TaskId, domain::Task>& tasks() const { return tasks_; }
  [[nodiscard]] const domain::Task* Find(const TaskId& id) const;
  // The row says that this attempt is offered, running or unknown.
  [[nodiscard]] bool IsCurrent(const AttemptKey& key) const;
  [[nodiscard]] bool WasStarted(const AttemptKey& key) const { return started_.contains(key); }
  [[nodiscard]] const std::map<TaskId, domain::PublishPermit>& permits() const { return permits_; }
  [[nodiscard]] const std::map<TaskId, domain::Release>& releases() const { return releases_; }
  [[nodiscard]] std::size_t runs() const { return runs_.size(); }
  // Results stored since the last call, with the agent that held the attempt.
  std::vector<std::pair<AttemptKey, AgentId>> TakeStoredResults() {
    return std::exchange(stored_results_, {});
  }

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
  domain::Task* At(const AttemptKey& key);

  Epoch epoch_;
  std::map<std::pair<std::string, std::string>, RunId> runs_;
  std::map<TaskId, domain::Task> tasks_;
  std::vector<TaskId> order_;
  std::map<TaskId, domain::PublishPermit> permits_;
  std::map<TaskId, domain::Release> releases_;
  std::set<AttemptKey> started_;
  std::vector<std::pair<AttemptKey, AgentId>> stored_results_;
};

}  // namespace slipway::sim
