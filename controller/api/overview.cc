#include "controller/api/overview.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "common/git/clean_text.h"
#include "common/git/repository_url.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/version_list.h"
#include "controller/domain/channel.h"

namespace slipway::api {
namespace {

using domain::Operation;
using scheduler::Labels;

// As SubmitRun takes them.
constexpr int kMaxRef = 256;
constexpr int kMaxVersion = 64;
constexpr int kMaxDescription = 1024;
// As slipway.yaml may have them.
constexpr std::size_t kMaxWords = 512;

// Without a password that somebody may have put into it.
std::string ShownUrl(const std::string& url) {
  const auto parsed = git::ParseRepositoryUrl(url, {"https", "http", "ssh", "git", "file"});
  return parsed.ok() ? parsed->clean : "";
}

// Ok: an agent could do it.
absl::Status CheckAgents(const OverviewParts& parts, const Labels* more) {
  Labels wanted = parts.application.requirements;
  if (more != nullptr) wanted.insert(more->begin(), more->end());
  // As a submit requires it.
  wanted.emplace("executor", "docker");
  const bool any = std::any_of(parts.agents.begin(), parts.agents.end(),
                               [&](const Labels& has) { return scheduler::Fits(wanted, has); });
  if (any) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "NO_AGENT_READY",
                   parts.agents.empty() ? "no agent is there that takes work"
                                        : "no agent that takes work has the required labels");
}

// Ok: something is known to be built.
absl::Status CheckRepository(const OverviewParts& parts) {
  return parts.known.view ? absl::OkStatus() : parts.known.problem;
}

absl::Status CheckBuild(const OverviewParts& parts) {
  SLIPWAY_RETURN_IF_ERROR(CheckRepository(parts));
  return CheckAgents(parts, nullptr);
}

v1::AllowedAction& Add(v1::ApplicationOverview& overview, Operation operation,
                       const absl::Status& possible) {
  v1::AllowedAction& action = *overview.add_allowed_actions();
  action.set_operation(static_cast<v1::Operation>(operation));
  if (!possible.ok()) *action.mutable_blocked() = rpc::ToCallError(possible);
  return action;
}

absl::Status NothingYet(Operation operation) {
  return MakeError(absl::StatusCode::kUnimplemented, "NOT_OFFERED",
                   fmt::format("nothing on this farm needs the operation {} yet",
                               domain::OperationName(operation)));
}

// Those that a submit could name: of platforms that are declared, when that is known.
std::vector<const OfferedTarget*> UsableTargets(const OverviewParts& parts,
                                                const std::vector<OfferedTarget>& held) {
  std::vector<const OfferedTarget*> usable;
  const bool declared = parts.known.view && parts.known.view->platforms_problem.ok();
  for (const OfferedTarget& target : held) {
    const auto is_its = [&](const catalog::DeclaredPlatform& platform) {
      return platform.name == target.platform;
    };
    if (domain::IsChannelPlatform(target.platform) || !declared ||
        std::any_of(parts.known.view->platforms.begin(), parts.known.view->platforms.end(),
                    is_its)) {
      usable.push_back(&target);
    }
  }
  return usable;
}

absl::Status CheckHandOver(const OverviewParts& parts, Operation operation,
                           const std::vector<const OfferedTarget*>& to) {
  if (!parts.allowed.Has(Operation::kPackage)) {
    return MakeError(absl::StatusCode::kPermissionDenied, "NOT_GRANTED",
                     fmt::format("a {} begins with a build, for which the operation package is "
                                 "missing",
                                 domain::OperationName(operation)));
  }
  SLIPWAY_RETURN_IF_ERROR(CheckRepository(parts));
  absl::Status none = CheckAgents(parts, nullptr);
  for (const OfferedTarget* target : to) {
    if (!none.ok()) break;
    // The controller itself works for channels.
    none = domain::IsChannelPlatform(target->platform) ? absl::OkStatus()
                                                       : CheckAgents(parts, &target->requirements);
    if (none.ok()) return none;
  }
  return none;
}

// Publish or preview, by environment.
void AddHandOver(const OverviewParts& parts, Operation operation,
                 const std::vector<OfferedTarget>& held, v1::ApplicationOverview& overview) {
  const auto usable = UsableTargets(parts, held);
  if (usable.empty()) {
    Add(overview, operation,
        MakeError(absl::StatusCode::kFailedPrecondition, "NO_TARGET",
                  fmt::format("there is no target for its platforms that the caller may {} to",
                              domain::OperationName(operation))));
    return;
  }
  std::vector<std::string> environments;
  for (const OfferedTarget* target : usable) {
    if (std::find(environments.begin(), environments.end(), target->environment) ==
        environments.end()) {
      environments.push_back(target->environment);
    }
  }
  for (const std::string& environment : environments) {
    std::vector<const OfferedTarget*> here;
    for (const OfferedTarget* target : usable) {
      if (target->environment == environment) here.push_back(target);
    }
    v1::AllowedAction& action = Add(overview, operation, CheckHandOver(parts, operation, here));
    action.set_environment(environment);
    for (const OfferedTarget* target : here) {
      v1::PublishTarget& shown = *action.add_targets();
      shown.set_name(target->name);
      shown.set_platform(target->platform);
      shown.set_is_default(target->is_default);
    }
  }
}

void AddActions(const OverviewParts& parts, v1::ApplicationOverview& overview) {
  for (const Operation operation : parts.allowed.List()) {
    switch (operation) {
      case Operation::kView:
      case Operation::kManage: Add(overview, operation, absl::OkStatus()); break;
      case Operation::kPackage:
      case Operation::kRunScript: Add(overview, operation, CheckBuild(parts)); break;
      case Operation::kPreview: AddHandOver(parts, operation, parts.previews_on, overview); break;
      case Operation::kPublish: AddHandOver(parts, operation, parts.publishes_to, overview); break;
      case Operation::kApprove:
      case Operation::kDeploy: {
        const auto& environments =
            operation == Operation::kApprove ? parts.approves_in : parts.deploys_in;
        for (const std::string& environment : environments) {
          Add(overview, operation, NothingYet(operation)).set_environment(environment);
        }
        if (environments.empty()) Add(overview, operation, NothingYet(operation));
        break;
      }
    }
  }
}

v1::SubmitParameter& AddParameter(v1::ApplicationOverview& overview, const char* field,
                                  int max_bytes) {
  v1::SubmitParameter& parameter = *overview.add_parameters();
  parameter.set_field(field);
  parameter.set_max_bytes(max_bytes);
  return parameter;
}

void AddParameters(const OverviewParts& parts, v1::ApplicationOverview& overview) {
  if (!parts.allowed.Has(Operation::kPackage)) return;
  v1::SubmitParameter& ref = AddParameter(overview, "ref", kMaxRef);
  if (parts.known.view) {
    const std::string& branch = parts.known.view->default_branch;
    // What cannot be shown as it is cannot be submitted: an empty ref stands for it all the same.
    const bool plain =
        !branch.empty() && branch.size() <= kMaxRef && git::CleanText(branch, kMaxRef) == branch;
    if (plain) ref.add_defaults(branch);
  }
  v1::SubmitParameter& platforms = AddParameter(overview, "platforms", 0);
  platforms.set_required(true);
  for (const v1::DeclaredPlatform& platform : overview.platforms()) {
    platforms.add_defaults(platform.name());
    platforms.add_choices(platform.name());
  }
  AddParameter(overview, "version", kMaxVersion);
  AddParameter(overview, "description", kMaxDescription);
  std::vector<std::string> targets;
  std::vector<std::string> channels;
  std::set<v1::Operation> ways;
  for (const v1::AllowedAction& action : overview.allowed_actions()) {
    for (const v1::PublishTarget& target : action.targets()) {
      if (domain::IsChannelPlatform(target.platform())) {
        channels.push_back(target.platform() + "/" + target.name());
        continue;
      }
      ways.insert(action.operation());
      if (std::find(targets.begin(), targets.end(), target.name()) == targets.end()) {
        targets.push_back(target.name());
      }
    }
  }
  for (const v1::Operation way : ways) {
    v1::SubmitParameter& parameter =
        AddParameter(overview, way == v1::OPERATION_PREVIEW ? "preview" : "publish", 0);
    parameter.add_defaults("false");
    parameter.add_choices("false");
    parameter.add_choices("true");
  }
  if (!targets.empty()) {
    v1::SubmitParameter& target = AddParameter(overview, "target", 0);
    for (const std::string& name : targets) target.add_choices(name);
  }
  if (!channels.empty()) {
    v1::SubmitParameter& channel = AddParameter(overview, "channels", 0);
    for (const std::string& name : channels) channel.add_choices(name);
  }
  AddParameter(overview, "priority", 0).add_defaults("0");
  v1::SubmitParameter& timeout = AddParameter(overview, "queue_timeout", 0);
  if (parts.application.queue_timeout > Duration::zero()) {
    using std::chrono::duration_cast;
    using std::chrono::seconds;
    timeout.add_defaults(
        fmt::format("{}s", duration_cast<seconds>(parts.application.queue_timeout).count()));
  }
}

void SetText(const project::LocalText& text, std::size_t max, v1::LocalText* shown) {
  shown->set_en(git::CleanText(text.en, max));
  shown->set_zh(git::CleanText(text.zh, max));
}

v1::BuildParameter ToProto(const catalog::DeclaredParameter& declared) {
  const project::Parameter& parameter = declared.parameter;
  v1::BuildParameter shown;
  shown.set_name(parameter.name);
  shown.set_default_value(git::CleanText(parameter.default_value, project::kMaxParameterValue));
  switch (parameter.type) {
    case project::ParameterType::kChoice:
      shown.set_type(v1::BUILD_PARAMETER_TYPE_CHOICE);
      for (const std::string& choice : parameter.choices) {
        // What cannot be shown as it is cannot be submitted.
        if (git::CleanText(choice, project::kMaxParameterValue) == choice) {
          shown.add_choices(choice);
        }
      }
      break;
    case project::ParameterType::kBool: shown.set_type(v1::BUILD_PARAMETER_TYPE_BOOL); break;
    case project::ParameterType::kText:
      shown.set_type(v1::BUILD_PARAMETER_TYPE_TEXT);
      shown.set_pattern(git::CleanText(parameter.pattern, project::kMaxParameterValue));
      shown.set_max_bytes(static_cast<int>(parameter.max_bytes));
      break;
    case project::ParameterType::kFile:
      shown.set_type(v1::BUILD_PARAMETER_TYPE_FILE);
      shown.set_under(git::CleanText(parameter.under, project::kMaxParameterValue));
      shown.mutable_choices()->Assign(declared.files.begin(), declared.files.end());
      break;
  }
  SetText(parameter.label, kMaxWords, shown.mutable_label());
  SetText(parameter.help, kMaxWords, shown.mutable_help());
  return shown;
}

void AddBuildParameters(const OverviewParts& parts, v1::ApplicationOverview& overview) {
  if (!parts.allowed.Has(Operation::kPackage) || !parts.known.view) return;
  for (const catalog::DeclaredParameter& declared : parts.known.view->parameters) {
    *overview.add_build_parameters() = ToProto(declared);
  }
}

}  // namespace

v1::ApplicationOverview DescribeForCaller(const OverviewParts& parts) {
  v1::ApplicationOverview overview;
  overview.set_name(parts.application.name);
  overview.set_description(parts.application.description);
  overview.set_repository_url(ShownUrl(parts.application.repository));
  *overview.mutable_repository() = ToProto(parts.known);
  if (const catalog::RepositoryView* view = parts.known.view.get(); view != nullptr) {
    const auto& versions = view->versions.versions;
    for (std::size_t i = 0; i < std::min(parts.versions, versions.size()); ++i) {
      *overview.add_versions() = ToProto(versions[i], *view);
    }
    for (const catalog::DeclaredPlatform& platform : view->platforms) {
      v1::DeclaredPlatform& shown = *overview.add_platforms();
      shown.set_name(platform.name);
      shown.set_app_id(git::CleanText(platform.app_id, 128));
    }
    if (!view->platforms_problem.ok()) {
      *overview.mutable_platforms_problem() = rpc::ToCallError(view->platforms_problem);
    }
  }
  AddActions(parts, overview);
  AddParameters(parts, overview);
  AddBuildParameters(parts, overview);
  return overview;
}

void AddBuilt(const store::BuiltCommit& built, v1::ApplicationOverview& overview) {
  for (v1::Version& version : *overview.mutable_versions()) {
    if (version.commit() == built.commit) *version.add_built() = ToProto(built);
  }
}

}  // namespace slipway::api
