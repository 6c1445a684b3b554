#include "controller/api/repeat.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <utility>

#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"
#include "controller/api/hand_over_call.h"
#include "controller/api/product.h"
#include "controller/api/script_call.h"

namespace slipway::api {
namespace {

using domain::Task;
using domain::TaskKind;
using domain::TaskState;

// Room for the numbers behind it.
constexpr std::size_t kLongestRequestId = 120;

bool CameToNothing(const Task& task) {
  return task.state == TaskState::kFailed || task.state == TaskState::kCanceled ||
         task.state == TaskState::kSkipped;
}

// The name that a submit gives, empty where it would mean the same: several platforms then share
// one.
std::string NamedTarget(const Task& task, const domain::Targets& targets) {
  const domain::Target* usual = targets.Find(task.platform, "");
  return usual != nullptr && usual->name == task.target ? "" : task.target;
}

class Repeater {
 public:
  Repeater(const domain::Run& run, const std::vector<Task>& tasks, const domain::Targets& targets,
           bool only_failed)
      : run_(run), tasks_(tasks), targets_(targets), only_failed_(only_failed) {}

  Again Take() {
    for (const Task& task : tasks_) {
      if (task.kind == TaskKind::kBuild) {
        Build(task);
      } else if (!OfThisRun(task.depends_on)) {
        // The run handed over what had been built before.
        if (Wanted(task)) HandOver(task);
      }
    }
    Again again;
    for (auto& [target, request] : builds_) again.builds.push_back(std::move(request));
    for (auto& [key, request] : products_) again.products.push_back(std::move(request));
    return again;
  }

 private:
  [[nodiscard]] bool Wanted(const Task& task) const {
    return task.kind != TaskKind::kProbe && (!only_failed_ || CameToNothing(task));
  }
  [[nodiscard]] bool OfThisRun(const TaskId& id) const {
    return std::any_of(tasks_.begin(), tasks_.end(), [&](const Task& task) {
      return task.id == id && task.kind == TaskKind::kBuild;
    });
  }

  void Build(const Task& build) {
    std::vector<const Task*> after;
    for (const Task& task : tasks_) {
      if (task.depends_on == build.id && task.kind != TaskKind::kProbe) after.push_back(&task);
    }
    if (!Wanted(build)) {
      // Its product is there.
      if (build.state != TaskState::kSucceeded) return;
      for (const Task* task : after) {
        if (Wanted(*task)) HandOver(*task);
      }
      return;
    }
    const auto to_platform = std::find_if(after.begin(), after.end(), [](const Task* task) {
      return !domain::IsChannelPlatform(task->platform);
    });
    const std::string target =
        to_platform == after.end() ? "" : NamedTarget(**to_platform, targets_);
    const auto [it, is_new] =
        builds_.try_emplace({to_platform != after.end(), target}, v1::SubmitRunRequest());
    v1::SubmitRunRequest& request = it->second;
    request.add_platforms(build.platform);
    if (!is_new) return;
    request.set_application(run_.application_name);
    // Who says "again" of a build that is there wants another one.
    request.set_no_cache(true);
    request.set_ref(CommitOr(run_.ref));
    request.set_version(run_.version);
    request.set_description(run_.description);
    request.set_group(build.group);
    request.mutable_parameters()->insert(run_.parameters.begin(), run_.parameters.end());
    request.set_after_script(run_.after_script.value());
    if (!run_.after_script.value().empty()) request.clear_ref();
    Fill(build, request);
    if (to_platform != after.end()) {
      request.set_target(target);
      request.set_publish((*to_platform)->kind == TaskKind::kPublish);
      request.set_preview((*to_platform)->kind == TaskKind::kPreview);
    }
    for (const Task* task : after) {
      if (domain::IsChannelPlatform(task->platform)) AddChannel(*task, *request.mutable_channels());
    }
  }

  void HandOver(const Task& task) {
    const bool channel = domain::IsChannelPlatform(task.platform);
    // Channels go along with a publish; a preview is alone.
    const std::string kind = task.kind == TaskKind::kPreview ? "preview" : "publish";
    const auto [it, is_new] =
        products_.try_emplace({task.depends_on.value(), kind}, v1::PublishProductRequest());
    v1::PublishProductRequest& request = it->second;
    request.set_product(task.depends_on.value());
    request.set_description(run_.description);
    if (channel) {
      AddChannel(task, *request.mutable_channels());
    } else {
      request.set_target(NamedTarget(task, targets_));
      request.set_publish(task.kind == TaskKind::kPublish);
      request.set_preview(task.kind == TaskKind::kPreview);
      // What the target and the application require is theirs to say, as they are now.
    }
    request.set_priority(task.priority);
    *request.mutable_queue_timeout() = rpc::ToProtoDuration(task.queue_timeout);
  }

  static void Fill(const Task& build, v1::SubmitRunRequest& request) {
    request.mutable_requirements()->insert(build.requirements.begin(), build.requirements.end());
    request.set_priority(build.priority);
    *request.mutable_queue_timeout() = rpc::ToProtoDuration(build.queue_timeout);
  }

  void AddChannel(const Task& task,
                  google::protobuf::RepeatedPtrField<v1::ChannelUse>& channels) const {
    v1::ChannelUse& use = *channels.Add();
    use.set_channel(task.platform + "/" + task.target);
    const auto it = run_.recipients.find(use.channel());
    if (it == run_.recipients.end()) return;
    std::istringstream more(it->second);
    for (std::string address; std::getline(more, address, ',');) use.add_recipients(address);
  }

  // What failed is to be of the commit that the rest was made of, wherever the branch is now.
  [[nodiscard]] std::string CommitOr(const std::string& ref) const {
    if (!only_failed_) return ref;
    for (const Task& task : tasks_) {
      if (task.kind == TaskKind::kBuild && task.result && task.result->build &&
          !task.result->build->commit.empty()) {
        return task.result->build->commit;
      }
    }
    return ref;
  }

  const domain::Run& run_;
  const std::vector<Task>& tasks_;
  const domain::Targets& targets_;
  const bool only_failed_;
  std::map<std::pair<bool, std::string>, v1::SubmitRunRequest> builds_;
  std::map<std::pair<std::string, std::string>, v1::PublishProductRequest> products_;
};

absl::Status NothingFailed(const RunId& run, bool only_failed) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "NOTHING_FAILED",
      only_failed
          ? fmt::format("nothing of run {} has failed, been canceled or skipped", run.value())
          : fmt::format("run {} asked for nothing that could be done again", run.value()),
      "Look at it: slipway tasks --run RUN. What goes on, or is of unknown outcome, "
      "is left alone.");
}

// Packages are made as they were; what they are sealed with is the application's.
Expander With(Expander expand, const domain::Packaging& packaging) {
  return [expand = std::move(expand), packaging](const access::Caller& caller,
                                                 const domain::Targets& targets,
                                                 WallTime now) -> absl::StatusOr<Expanded> {
    SLIPWAY_ASSIGN_OR_RETURN(auto expanded, expand(caller, targets, now));
    const auto to_channel = [](const Task& task) {
      return domain::IsChannelPlatform(task.platform);
    };
    if (std::any_of(expanded.tasks.begin(), expanded.tasks.end(), to_channel)) {
      expanded.run.packaging = packaging;
    }
    return expanded;
  };
}

Expander ProductExpander(const Deps& deps, const v1::PublishProductRequest& request) {
  return [&deps, request](const access::Caller& caller, const domain::Targets& targets,
                          WallTime now) -> absl::StatusOr<Expanded> {
    SLIPWAY_ASSIGN_OR_RETURN(const Product product, FindProduct(deps, caller, request.product()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                             FindApplication(deps, caller, product.build.run.application_name));
    return ExpandProduct(request, product.build, application, caller.account, targets, now);
  };
}

absl::StatusOr<Expander> RepeatedScript(const Deps& deps, const domain::Run& run, const Task& task,
                                        const std::string& request_id) {
  v1::RunScriptRequest request;
  SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_script(), deps.reader.ScriptOf(run.id));
  request.set_request_id(request_id);
  request.set_application(run.application_name);
  request.set_ref(run.ref);
  request.set_name(run.script_name);
  request.set_platform(task.platform);
  request.mutable_parameters()->insert(run.parameters.begin(), run.parameters.end());
  request.mutable_requirements()->insert(task.requirements.begin(), task.requirements.end());
  request.set_priority(task.priority);
  *request.mutable_queue_timeout() = rpc::ToProtoDuration(task.queue_timeout);
  auto own = std::make_shared<v1::RunScriptRequest>(std::move(request));
  return Expander([own, expand = ScriptExpander(deps, *own)](
                      const access::Caller& caller, const domain::Targets& targets, WallTime now) {
    return expand(caller, targets, now);
  });
}

}  // namespace

Again AgainOf(const domain::Run& run, const std::vector<Task>& tasks,
              const domain::Targets& targets, bool only_failed, const std::string& request_id) {
  Again again = Repeater(run, tasks, targets, only_failed).Take();
  int number = 0;
  for (v1::SubmitRunRequest& request : again.builds) {
    request.set_request_id(fmt::format("{}/{}", request_id, ++number));
  }
  for (v1::PublishProductRequest& request : again.products) {
    request.set_request_id(fmt::format("{}/{}", request_id, ++number));
  }
  return again;
}

absl::StatusOr<std::vector<Expander>> PlanAgain(const Deps& deps, const access::Caller& caller,
                                                const v1::SubmitAgainRequest& request) {
  if (request.request_id().empty()) {
    return BadField("request_id", "missing; send a text that is unique for this submit");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckText("request_id", request.request_id(), kLongestRequestId));
  SLIPWAY_ASSIGN_OR_RETURN(const domain::Run run, FindRun(deps, caller, RunId(request.run())));
  SLIPWAY_ASSIGN_OR_RETURN(const auto tasks, deps.reader.TasksOfRun(run.id));
  SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps.targets.GetTargets());
  std::vector<Expander> expanders;
  if (!run.script_name.empty()) {
    if (!request.only_failed() || CameToNothing(tasks.front())) {
      SLIPWAY_ASSIGN_OR_RETURN(
          expanders.emplace_back(),
          RepeatedScript(deps, run, tasks.front(), request.request_id() + "/1"));
    }
  } else {
    const Again again = AgainOf(run, tasks, *targets, request.only_failed(), request.request_id());
    for (const v1::SubmitRunRequest& build : again.builds) {
      expanders.push_back(With(ExpanderOf(deps, build), run.packaging));
    }
    for (const v1::PublishProductRequest& product : again.products) {
      expanders.push_back(With(ProductExpander(deps, product), run.packaging));
    }
  }
  if (expanders.empty()) return NothingFailed(run.id, request.only_failed());
  return expanders;
}

}  // namespace slipway::api
