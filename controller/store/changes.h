#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/attempt_result.h"
#include "controller/domain/agent.h"
#include "controller/domain/target.h"
#include "controller/domain/task.h"
#include "controller/store/cause.h"

// Every change of the scheduling state, as data. The scheduler core produces them; a SchedulerStore
// commits a batch of them in one transaction. Each carries its own guard (named below): when the
// stored row does not fit it, that change alone is refused and the rest of the batch goes on.
namespace slipway::store {

// Guard: (submitted_by, request_id) is new, and every target is there, in the same environment; it
// stays so until the tasks are stored, which keep it from then on. Inserts the run and its
// tasks.
struct CreateRun {
  Cause cause;
  domain::Run run;
  std::vector<domain::Task> tasks;
  std::vector<domain::TargetUse> targets = {};
};

// queued → offered. Guard: state queued, not cancel_requested, stored attempt = key.attempt - 1.
struct OfferTask {
  Cause cause;
  AttemptKey key;
  AgentId agent;
  WallTime deadline;
};

// offered → running, one start more. Guard: state offered, stored attempt = key.attempt.
struct StartTask {
  Cause cause;
  AttemptKey key;
};

// offered → queued, or running → queued for all but a publish. A running one waits anew: its
// queued_since becomes cause.at. Guard: state offered or running, stored attempt = key.attempt, and
// not a publish that is running.
struct RequeueTask {
  Cause cause;
  AttemptKey key;
  // Why, for people: "refused: no free slot", "offer not answered", "agent lost".
  std::string why;
  // End of the pause before it is offered again; epoch 0: none.
  WallTime not_before{};
};

// waiting → queued, since cause.at. Guard: state waiting.
struct ReleaseTask {
  Cause cause;
  TaskId task;
};

// Sets cancel_requested; the state follows when the agent reports, or at once by FinishTask when no
// agent has it. Guard: not terminal, not already requested.
struct RequestCancel {
  Cause cause;
  TaskId task;
  std::string why;
};

// → a terminal state. Guard: not terminal, stored attempt = key.attempt, and MayBecome().
// With `release` (publish succeeded) that row is inserted in the same transaction, and with
// `resolution` (an unknown publish) that one, which keeps the result there was before.
struct FinishTask {
  Cause cause;
  AttemptKey key;  // attempt 0: never leased
  domain::TaskState state = domain::TaskState::kFailed;
  std::optional<protocol::AttemptResult> result;
  std::optional<domain::Release> release;
  std::optional<domain::Resolution> resolution = std::nullopt;
};

// running → unknown (publish only), and unknown → unknown with the attempt's own result. Guard:
// state running or unknown, stored attempt = key.attempt. With result.client_ended the permit
// remembers cause.at as the time since when nothing can be published any more.
struct MarkUnknown {
  Cause cause;
  AttemptKey key;
  protocol::AttemptResult result;
  // The result is the attempt's own; it says no more.
  bool reported = false;
};

// The attempt's own word about a publish that was resolved meanwhile. Guard: a resolution of
// key.attempt exists and has none yet. With `release` the task was failed (resolved as not
// published): it becomes succeeded with this result, and the release is inserted.
struct RecordLateResult {
  Cause cause;
  AttemptKey key;
  protocol::AttemptResult result;
  std::optional<domain::Release> release;
};

// Inserts the one permit of a task. Guard: state running, not cancel_requested, stored attempt =
// key.attempt, task is a publish, no permit of another attempt or another manifest exists, and no
// other unfinished publish of the same application, platform and target holds one.
// A permit of the same attempt is not a refusal: it stays as it is (same nonce).
struct GrantPermit {
  Cause cause;
  domain::PublishPermit permit;
};

// Upserts by (key, number); never moves a finished step back. Guard: stored attempt = key.attempt.
struct RecordStep {
  domain::Step step;
};

// What operators decided about an agent. Guard: the stored mode MayBecome() this one.
struct SetAvailability {
  Cause cause;
  AgentId agent;
  domain::Availability availability;
};

using Change = std::variant<CreateRun, OfferTask, StartTask, RequeueTask, ReleaseTask,
                            RequestCancel, FinishTask, MarkUnknown, GrantPermit, RecordStep,
                            SetAvailability, RecordLateResult>;

}  // namespace slipway::store
