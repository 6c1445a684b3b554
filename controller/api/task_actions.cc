#include "controller/api/task_actions.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::api {
namespace {

using domain::Action;
using domain::Question;
using domain::TaskState;

// What the caller holds of what the tasks' actions ask for.
class Rights {
 public:
  static absl::StatusOr<Rights> Read(const Deps& deps, const access::Caller& caller,
                                     const domain::Targets& targets,
                                     const std::vector<ShownTask>& tasks) {
    Rights rights;
    std::vector<Question> questions;
    for (const ShownTask& one : tasks) {
      for (const Action action : domain::kTaskActions) {
        for (Question& question : domain::QuestionsOf(action, *one.task, targets)) {
          if (rights.held_.emplace(question, false).second) {
            questions.push_back(std::move(question));
          }
        }
      }
    }
    SLIPWAY_ASSIGN_OR_RETURN(const auto verdicts, deps.auth.access().Judge(caller, questions));
    for (std::size_t i = 0; i < questions.size(); ++i) {
      rights.held_[questions[i]] = verdicts[i] == domain::Verdict::kAllowed;
    }
    return rights;
  }

  [[nodiscard]] bool Has(const Question& question) const {
    const auto it = held_.find(question);
    return it != held_.end() && it->second;
  }
  [[nodiscard]] bool MayResolve(const domain::Task& task) const {
    return Has({.application = task.application, .operation = domain::Operation::kManage});
  }

 private:
  absl::flat_hash_map<Question, bool> held_;
};

v1::ObjectAction Unblocked(v1::Action action) {
  v1::ObjectAction out;
  out.set_action(action);
  return out;
}

}  // namespace

void AddTo(google::protobuf::RepeatedPtrField<v1::ObjectAction>& field,
           const std::vector<domain::AllowedAction>& actions) {
  for (const domain::AllowedAction& action : actions) {
    v1::ObjectAction& out = *field.Add();
    out.set_action(static_cast<v1::Action>(action.action));
    if (!action.blocked.ok()) *out.mutable_blocked() = rpc::ToCallError(action.blocked);
  }
}

absl::Status AddActions(const Deps& deps, const access::Caller& caller,
                        const std::vector<ShownTask>& tasks) {
  if (tasks.empty()) return absl::OkStatus();
  SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps.targets.GetTargets());
  SLIPWAY_ASSIGN_OR_RETURN(const Rights rights, Rights::Read(deps, caller, *targets, tasks));
  std::vector<TaskId> ended;
  std::vector<TaskId> unknown;
  for (const ShownTask& one : tasks) {
    const domain::Task& task = *one.task;
    if (task.kind != domain::TaskKind::kPublish || !rights.MayResolve(task)) continue;
    if (task.state == TaskState::kUnknown) unknown.push_back(task.id);
    if (domain::IsTerminal(task.state)) ended.push_back(task.id);
  }
  std::map<TaskId, domain::Resolution> resolutions;
  if (!ended.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(resolutions, deps.reader.ResolutionsOf(ended));
  }
  std::map<TaskId, absl::Status> quiet;
  if (!unknown.empty()) {
    const auto answers = deps.scheduler.CheckQuiet(unknown);
    for (std::size_t i = 0; i < unknown.size(); ++i) quiet.emplace(unknown[i], answers[i]);
  }
  for (const ShownTask& one : tasks) {
    const auto resolution = resolutions.find(one.task->id);
    const auto silence = quiet.find(one.task->id);
    const domain::TaskSituation situation{
        .task = *one.task,
        .targets = *targets,
        .resolution = resolution == resolutions.end() ? nullptr : &resolution->second,
        .quiet = silence == quiet.end() ? absl::OkStatus() : silence->second};
    AddTo(*one.shown->mutable_allowed_actions(),
          domain::ActionsOf(situation, [&](const Question& asked) { return rights.Has(asked); }));
  }
  return absl::OkStatus();
}

void AddActions(v1::Release& release) {
  *release.add_allowed_actions() = Unblocked(v1::ACTION_DOWNLOAD);
}

void AddActions(v1::Archived& archived) {
  *archived.add_allowed_actions() = Unblocked(v1::ACTION_READ_LOG);
  *archived.add_allowed_actions() = Unblocked(v1::ACTION_DOWNLOAD);
  if (archived.has_release()) AddActions(*archived.mutable_release());
}

}  // namespace slipway::api
