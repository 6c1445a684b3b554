#include "controller/domain/task_actions.h"

#include <algorithm>

#include "common/status/status.h"

namespace slipway::domain {
namespace {

absl::Status Refuse(std::string_view reason, const std::string& message,
                    std::string_view remedy = "") {
  return MakeError(absl::StatusCode::kFailedPrecondition, reason, message, remedy);
}

std::string StateOf(const Task& task) { return std::string(TaskStateName(task.state)); }

absl::Status Blocked(Action action, const TaskSituation& situation) {
  const Task& task = situation.task;
  switch (action) {
    case Action::kCancel: return CheckCancel(task);
    case Action::kReadLog: return absl::OkStatus();
    case Action::kSubmitAgain:
      return !protocol::RunsScript(task.kind)
                 ? CheckTarget(situation.targets, task.platform, task.target)
                 : absl::OkStatus();
    case Action::kDownload: return CheckProduct(task);
    case Action::kResolvePublished:
    case Action::kProbe: return CheckUnknown(task, situation.resolution);
    case Action::kResolveNotPublished:
      if (absl::Status known = CheckUnknown(task, situation.resolution); !known.ok()) return known;
      return situation.quiet;
    default: return absl::OkStatus();
  }
}

}  // namespace

Question QuestionOf(const Task& task, const Targets& targets) {
  Question question{.application = task.application, .operation = Operation::kPackage};
  if (task.kind == TaskKind::kBuild) return question;
  if (task.kind == TaskKind::kScript) {
    question.operation = Operation::kRunScript;
    return question;
  }
  question.operation = task.kind == TaskKind::kPublish   ? Operation::kPublish
                       : task.kind == TaskKind::kPreview ? Operation::kPreview
                                                         : Operation::kManage;
  const Target* target = targets.Find(task.platform, task.target);
  if (target != nullptr) question.environment = target->environment;
  return question;
}

std::vector<Question> QuestionsOf(Action action, const Task& task, const Targets& targets) {
  const bool publish = task.kind == TaskKind::kPublish;
  const Question package{.application = task.application, .operation = Operation::kPackage};
  const Question manage{.application = task.application, .operation = Operation::kManage};
  const Question view{.application = task.application};
  switch (action) {
    case Action::kCancel: return {QuestionOf(task, targets)};
    case Action::kReadLog: return {view};
    case Action::kSubmitAgain:
      if (protocol::RunsScript(task.kind)) return {QuestionOf(task, targets)};
      return publish || task.kind == TaskKind::kPreview
                 ? std::vector{package, QuestionOf(task, targets)}
                 : std::vector<Question>{};
    case Action::kDownload:
      return task.kind == TaskKind::kBuild ? std::vector{view} : std::vector<Question>{};
    case Action::kResolvePublished:
    case Action::kResolveNotPublished:
    case Action::kProbe: return publish ? std::vector{manage} : std::vector<Question>{};
    default: return {};
  }
}

absl::Status AlreadyFinished(const Task& task) {
  return Refuse("ALREADY_FINISHED",
                "task " + task.id.value() + " is " + StateOf(task) + " already");
}

absl::Status CheckCancel(const Task& task) {
  if (IsTerminal(task.state)) return AlreadyFinished(task);
  if (task.state != TaskState::kUnknown) return absl::OkStatus();
  return Refuse("PUBLISH_UNKNOWN", "the publish may have happened and cannot be taken back",
                "Look at the platform which version it has, then say so: slipway releases "
                "resolve.");
}

absl::Status CheckUnknown(const Task& task, const Resolution* resolution) {
  if (task.state == TaskState::kUnknown) return absl::OkStatus();
  const std::string& id = task.id.value();
  if (!IsTerminal(task.state)) {
    return Refuse("NOT_UNKNOWN",
                  "task " + id + " is " + StateOf(task) + ": it will say itself what came of it",
                  "Only a publish of unknown outcome is resolved; follow this one to its end.");
  }
  if (resolution == nullptr) return AlreadyFinished(task);
  return Refuse(
      "ALREADY_RESOLVED",
      "task " + id + " was resolved as " +
          (resolution->verdict == PublishVerdict::kPublished ? "published" : "not published") +
          " by " + resolution->resolved_by + ": " + resolution->reason,
      "What was said stands.");
}

absl::Status CheckProduct(const Task& build) {
  const auto& result = build.result;
  if (result && result->build && !result->build->manifest.IsZero()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_PRODUCT",
                   "'" + build.id.value() + "': the build has no product");
}

absl::Status CheckTarget(const Targets& targets, const std::string& platform,
                         const std::string& name) {
  if (targets.Find(platform, name) != nullptr) return absl::OkStatus();
  return Refuse("NO_TARGET",
                name.empty()
                    ? "there is no publish target for platform '" + platform + "'"
                    : "there is no publish target '" + name + "' for platform '" + platform + "'",
                "An admin adds it: slipway targets create, or slipway apply.");
}

std::vector<AllowedAction> ActionsOf(const TaskSituation& situation,
                                     absl::FunctionRef<bool(const Question&)> holds) {
  std::vector<AllowedAction> actions;
  for (const Action action : kTaskActions) {
    const auto questions = QuestionsOf(action, situation.task, situation.targets);
    if (questions.empty() || !std::all_of(questions.begin(), questions.end(), holds)) continue;
    actions.push_back({action, Blocked(action, situation)});
  }
  return actions;
}

std::vector<AllowedAction> ActionsOfApplication(Operations held, bool administers) {
  std::vector<AllowedAction> actions;
  if (held.Has(Operation::kPackage)) actions.push_back({Action::kSubmit, {}});
  if (held.Has(Operation::kManage)) {
    actions.push_back({Action::kEdit, {}});
    if (administers) actions.push_back({Action::kEditRepository, {}});
    actions.push_back({Action::kSetRepositoryCredential, {}});
  }
  return actions;
}

}  // namespace slipway::domain
