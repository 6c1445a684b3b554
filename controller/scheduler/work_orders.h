#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/protocol/messages.h"
#include "controller/domain/agent.h"
#include "controller/scheduler/events.h"

namespace slipway::scheduler {

// What a task means beyond where it runs: its specification, its secret, whether its log is
// complete, the release it becomes. May read the database.
//
// Two threads call it at a time: the scheduler's, before a batch, and the announcer's, with what
// earlier batches committed. Loaded is called while nothing is announced.
class WorkOrders {
 public:
  virtual ~WorkOrders() = default;

  // The scheduler's thread:

  // These tasks are about to be stored; whether they are is not known yet.
  virtual void Submitted(const Submit&) {}
  // Fills in `log`, `log_missing`, `release` and `resolves`. An error: try again when the agent
  // repeats the result.
  [[nodiscard]] virtual absl::Status Complete(ResultReported& event) = 0;
  // Fills in `nonce` and `deadline`; a failure denies the permit (the manifest is not the one the
  // build archived). An error: try again when the agent asks again.
  [[nodiscard]] virtual absl::StatusOr<std::optional<protocol::Failure>> Complete(
      PermitRequested& event) = 0;
  // Fills in `result` and `release`, when the task is an unknown publish. An error: nobody is
  // helped by trying at once again.
  [[nodiscard]] virtual absl::Status Complete(Resolve& event) = 0;
  // The rows were read, at the start or after a commit in doubt: what became of attempts whose
  // ResultTaken was never called can now be seen in them.
  virtual void Loaded() = 0;

  // The announcer's thread:

  // The serialised slipway.v1.TaskSpec of a task that starts.
  [[nodiscard]] virtual absl::StatusOr<std::string> SpecOf(const TaskId& task) = 0;
  // The opened credential for a publish, preview or probe that got leave to start its client, or
  // why there is none.
  [[nodiscard]] virtual absl::StatusOr<std::variant<std::string, protocol::Failure>> SecretOf(
      const TaskId& task) = 0;
  // The attempt is over for good: its log takes no more bytes.
  virtual void ResultTaken(const TakenResult& result) = 0;
  // Rows of these tasks have changed.
  virtual void Changed(const std::vector<TaskId>& tasks) = 0;
};

// Where messages for agents go. Thread-safe; never blocks; a session that is gone swallows them.
class SessionSink {
 public:
  using Body =
      std::variant<protocol::Desired, protocol::LogAck, protocol::Permit, protocol::PermitDenied>;
  virtual ~SessionSink() = default;
  virtual void Send(SessionId session, Body body) = 0;
  // Ends the agent's streams, kUnavailable; it may come back.
  virtual void Disconnect(const AgentId& agent) = 0;
  // The agent has left the farm: ends its streams, and refuses new ones from now on.
  virtual void Dismiss(const AgentId& agent, const domain::Availability& why) = 0;
};

}  // namespace slipway::scheduler
