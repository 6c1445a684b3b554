#include "controller/domain/task_actions.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace slipway::domain {
namespace {

Target Weixin() {
  Target target;
  target.name = "weixin";
  target.platform = "weixin";
  target.environment = "test";
  return target;
}

const Targets kTargets({Weixin()});

Task TaskOf(TaskKind kind, TaskState state) {
  Task task;
  task.id = TaskId("task-1");
  task.application = ApplicationId("app-1");
  task.kind = kind;
  task.platform = "weixin";
  if (kind != TaskKind::kBuild) task.target = "weixin";
  task.state = state;
  return task;
}

// By action: "" or the reason that it is blocked for.
std::map<Action, std::string> Told(const TaskSituation& situation, Operations held,
                                   const std::string& environment = "test") {
  std::map<Action, std::string> told;
  const auto holds = [&](const Question& question) {
    return held.Has(question.operation) && ((question.operation != Operation::kPublish &&
                                             question.operation != Operation::kPreview) ||
                                            question.environment == environment);
  };
  for (const AllowedAction& action : ActionsOf(situation, holds)) {
    told[action.action] = GetErrorInfo(action.blocked).reason;
  }
  return told;
}

constexpr TaskState kStates[] = {TaskState::kWaiting,  TaskState::kQueued,    TaskState::kOffered,
                                 TaskState::kRunning,  TaskState::kSucceeded, TaskState::kFailed,
                                 TaskState::kCanceled, TaskState::kSkipped,   TaskState::kUnknown};

TEST_CASE("Actions: who holds nothing but sight reads the log and fetches what was built",
          "[unit][actions]") {
  for (const TaskState state : kStates) {
    const Task build = TaskOf(TaskKind::kBuild, state);
    const Task publish = TaskOf(TaskKind::kPublish, state);
    const Operations view{Operation::kView};
    CHECK(Told({build, kTargets}, view) ==
          std::map<Action, std::string>{{Action::kReadLog, ""},
                                        {Action::kDownload, "NO_SUCH_PRODUCT"}});
    CHECK(Told({publish, kTargets}, view) == std::map<Action, std::string>{{Action::kReadLog, ""}});
    CHECK(Told({publish, kTargets}, {}).empty());
  }
}

TEST_CASE("Actions: a build that has a product is downloaded", "[unit][actions]") {
  Task build = TaskOf(TaskKind::kBuild, TaskState::kSucceeded);
  build.result.emplace();
  CHECK(Told({build, kTargets}, {Operation::kView})[Action::kDownload] == "NO_SUCH_PRODUCT");
  build.result->build.emplace();
  build.result->build->manifest = *Sha256Digest::Parse(std::string(64, 'a'));
  CHECK(Told({build, kTargets}, {Operation::kView})[Action::kDownload].empty());
}

TEST_CASE("Actions: what has not ended is canceled, by who may start it", "[unit][actions]") {
  for (const TaskState state : kStates) {
    const std::string blocked = IsTerminal(state)              ? "ALREADY_FINISHED"
                                : state == TaskState::kUnknown ? "PUBLISH_UNKNOWN"
                                                               : "";
    const Task build = TaskOf(TaskKind::kBuild, state);
    const Task publish = TaskOf(TaskKind::kPublish, state);
    const Task probe = TaskOf(TaskKind::kProbe, state);
    const Task preview = TaskOf(TaskKind::kPreview, state);
    CHECK(Told({preview, kTargets}, {Operation::kPreview}).at(Action::kCancel) == blocked);
    CHECK(Told({preview, kTargets}, {Operation::kPreview}, "live").count(Action::kCancel) == 0);
    CHECK(Told({preview, kTargets}, {Operation::kPublish}).count(Action::kCancel) == 0);
    CHECK(Told({build, kTargets}, {Operation::kPackage}).at(Action::kCancel) == blocked);
    CHECK(Told({build, kTargets}, {Operation::kPublish}).count(Action::kCancel) == 0);
    CHECK(Told({publish, kTargets}, {Operation::kPublish}).at(Action::kCancel) == blocked);
    CHECK(Told({publish, kTargets}, {Operation::kPublish}, "live").count(Action::kCancel) == 0);
    CHECK(Told({publish, kTargets}, {Operation::kPackage}).count(Action::kCancel) == 0);
    CHECK(Told({probe, kTargets}, {Operation::kManage}).at(Action::kCancel) == blocked);
  }
}

TEST_CASE("Actions: only a publish of unknown outcome is resolved", "[unit][actions]") {
  const Operations manage{Operation::kManage};
  const std::vector<Action> all{Action::kResolvePublished, Action::kResolveNotPublished,
                                Action::kProbe};
  const auto told = [&](const TaskSituation& situation) {
    auto answers = Told(situation, manage);
    std::vector<std::string> reasons;
    for (const Action action : all) {
      reasons.push_back(answers.count(action) == 0 ? "absent" : answers[action]);
    }
    return reasons;
  };
  using Reasons = std::vector<std::string>;
  const auto same = [](const std::string& reason) { return Reasons(3, reason); };
  for (const TaskState state : kStates) {
    CHECK(told({TaskOf(TaskKind::kBuild, state), kTargets}) == same("absent"));
    CHECK(told({TaskOf(TaskKind::kProbe, state), kTargets}) == same("absent"));
    CHECK(told({TaskOf(TaskKind::kPreview, state), kTargets}) == same("absent"));
    const Task publish = TaskOf(TaskKind::kPublish, state);
    CHECK(told({publish, kTargets}) == same(state == TaskState::kUnknown ? ""
                                            : IsTerminal(state)          ? "ALREADY_FINISHED"
                                                                         : "NOT_UNKNOWN"));
    CHECK(Told({publish, kTargets}, Operations::All() - manage).count(Action::kProbe) == 0);
  }
  const Task unknown = TaskOf(TaskKind::kPublish, TaskState::kUnknown);
  const absl::Status early =
      MakeError(absl::StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY", "not yet");
  CHECK(told({unknown, kTargets, nullptr, early}) == Reasons{"", "RESOLVE_TOO_EARLY", ""});
  Resolution said;
  said.verdict = PublishVerdict::kPublished;
  const Task resolved = TaskOf(TaskKind::kPublish, TaskState::kSucceeded);
  CHECK(told({resolved, kTargets, &said}) == same("ALREADY_RESOLVED"));
}

TEST_CASE("Actions: a build, publish or preview is submitted again, as long as its target is there",
          "[unit][actions]") {
  const Operations both{Operation::kPackage, Operation::kPublish};
  const Task publish = TaskOf(TaskKind::kPublish, TaskState::kFailed);
  CHECK(Told({publish, kTargets}, both).at(Action::kSubmitAgain).empty());
  CHECK(Told({publish, kTargets}, {Operation::kPublish}).count(Action::kSubmitAgain) == 0);
  CHECK(Told({publish, kTargets}, both, "live").count(Action::kSubmitAgain) == 0);
  const Targets none({});
  CHECK(Told({publish, none}, both, "").at(Action::kSubmitAgain) == "NO_TARGET");
  const Task build = TaskOf(TaskKind::kBuild, TaskState::kFailed);
  CHECK(Told({build, none}, {Operation::kPackage}).at(Action::kSubmitAgain).empty());
  const Task preview = TaskOf(TaskKind::kPreview, TaskState::kFailed);
  const Operations previews{Operation::kPackage, Operation::kPreview};
  CHECK(Told({preview, kTargets}, previews).at(Action::kSubmitAgain).empty());
  CHECK(Told({preview, kTargets}, previews, "live").count(Action::kSubmitAgain) == 0);
  CHECK(Told({preview, kTargets}, both).count(Action::kSubmitAgain) == 0);
  CHECK(Told({preview, none}, previews, "").at(Action::kSubmitAgain) == "NO_TARGET");
  const Task probe = TaskOf(TaskKind::kProbe, TaskState::kFailed);
  CHECK(Told({probe, kTargets}, Operations::All()).count(Action::kSubmitAgain) == 0);
}

TEST_CASE("Actions: of an application as the operations say, its repository for admins",
          "[unit][actions]") {
  const auto told = [](Operations held, bool administers) {
    std::set<Action> actions;
    for (const AllowedAction& action : ActionsOfApplication(held, administers)) {
      CHECK(action.blocked.ok());
      actions.insert(action.action);
    }
    return actions;
  };
  CHECK(told({Operation::kView, Operation::kPublish}, false).empty());
  CHECK(told({Operation::kPackage}, false) == std::set{Action::kSubmit});
  CHECK(told({Operation::kManage}, false) ==
        std::set{Action::kEdit, Action::kSetRepositoryCredential});
  CHECK(told({Operation::kManage}, true) ==
        std::set{Action::kEdit, Action::kEditRepository, Action::kSetRepositoryCredential});
}

}  // namespace
}  // namespace slipway::domain
