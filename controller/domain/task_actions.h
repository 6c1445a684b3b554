#pragma once

#include <array>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "controller/domain/account.h"
#include "controller/domain/authority.h"
#include "controller/domain/target.h"
#include "controller/domain/task.h"

// What can be done with an object as it stands, and what that asks for. Whoever does it asks here
// what stands in its way, and answers to clients ask here what they may offer, so that the two
// cannot differ. Pure.
namespace slipway::domain {

// What a client may offer for an object; the values are those of v1::Action, which says what call
// does it.
enum class Action {
  kCancel = 1,
  kReadLog = 2,
  kSubmitAgain = 3,
  kDownload = 4,
  kResolvePublished = 5,
  kResolveNotPublished = 6,
  kProbe = 7,
  // Of applications.
  kSubmit = 8,
  kEdit = 9,
  kEditRepository = 10,
  kSetRepositoryCredential = 11,
};

// Those of tasks.
inline constexpr std::array kTaskActions{
    Action::kCancel,   Action::kReadLog,          Action::kSubmitAgain,
    Action::kDownload, Action::kResolvePublished, Action::kResolveNotPublished,
    Action::kProbe};

// Something that somebody may do, and what keeps it from being done now; ok: nothing.
struct AllowedAction {
  Action action;
  absl::Status blocked;
};

// A task with what counts beside its row.
struct TaskSituation {
  const Task& task;
  const Targets& targets;
  // Of a publish of unknown outcome: how it was resolved; nullptr: it was not.
  const Resolution* resolution = nullptr;
  // While the outcome is unknown: whether "not published" may be said already.
  absl::Status quiet{};
};

// What starting, ending or repeating this task asks for, beside what the run's other tasks do.
[[nodiscard]] Question QuestionOf(const Task& task, const Targets& targets);
// What an action on this task asks for, all of it; empty: no such task can have it done.
[[nodiscard]] std::vector<Question> QuestionsOf(Action action, const Task& task,
                                                const Targets& targets);

// kFailedPrecondition, reason ALREADY_FINISHED.
[[nodiscard]] absl::Status AlreadyFinished(const Task& task);
// kFailedPrecondition, reason ALREADY_FINISHED or PUBLISH_UNKNOWN.
[[nodiscard]] absl::Status CheckCancel(const Task& task);
// kFailedPrecondition, reason NOT_UNKNOWN, ALREADY_FINISHED or ALREADY_RESOLVED; ok: the outcome is
// unknown, and somebody may say it.
[[nodiscard]] absl::Status CheckUnknown(const Task& task, const Resolution* resolution);
// kNotFound, reason NO_SUCH_PRODUCT. REQUIRES: it is a build.
[[nodiscard]] absl::Status CheckProduct(const Task& build);
// kFailedPrecondition, reason NO_TARGET: there is none of this name, or for an empty one no
// default.
[[nodiscard]] absl::Status CheckTarget(const Targets& targets, const std::string& platform,
                                       const std::string& name);

// What an account that holds `held` may do with an application.
[[nodiscard]] std::vector<AllowedAction> ActionsOfApplication(Operations held, bool administers);
// What somebody may do with the task, in the order of Action: what is not among it, it may not.
[[nodiscard]] std::vector<AllowedAction> ActionsOf(const TaskSituation& situation,
                                                   absl::FunctionRef<bool(const Question&)> holds);

}  // namespace slipway::domain
