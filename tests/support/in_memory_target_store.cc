#include <algorithm>

#include "common/status/status.h"
#include "tests/support/in_memory_creation.h"
#include "tests/support/in_memory_state.h"

namespace slipway::testing {
namespace {

using domain::Environment;
using domain::Target;

absl::Status NoSuch(const char* reason, const std::string& what) {
  return MakeError(absl::StatusCode::kNotFound, reason, "there is no " + what);
}

absl::Status CheckEnvironment(const InMemoryDatabase::State& state, const std::string& name) {
  if (name.empty() || state.environments.contains(name)) return absl::OkStatus();
  return NoSuch("NO_SUCH_ENVIRONMENT", "environment '" + name + "'");
}

absl::StatusOr<Target*> Find(InMemoryDatabase::State& state, const std::string& platform,
                             const std::string& name, std::optional<std::int64_t> revision) {
  const auto it = state.targets.find({platform, name});
  if (it == state.targets.end()) {
    return NoSuch("NO_SUCH_TARGET", "target '" + platform + "/" + name + "'");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckRevision(revision, it->second.revision));
  return &it->second;
}

absl::StatusOr<Environment*> Find(InMemoryDatabase::State& state, const std::string& name,
                                  std::optional<std::int64_t> revision) {
  const auto it = state.environments.find(name);
  if (it == state.environments.end()) {
    return NoSuch("NO_SUCH_ENVIRONMENT", "environment '" + name + "'");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckRevision(revision, it->second.revision));
  return &it->second;
}

absl::Status CheckUnused(const InMemoryDatabase::State& state, const Target& target) {
  for (const auto& [id, task] : state.tables.tasks) {
    const bool goes_there =
        task.kind == domain::TaskKind::kPublish || task.kind == domain::TaskKind::kPreview;
    if (goes_there && task.platform == target.platform && task.target == target.name &&
        (!domain::IsTerminal(task.state) || task.state == domain::TaskState::kUnknown)) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "TARGET_IN_USE",
                       "publishes to it are not finished");
    }
  }
  return absl::OkStatus();
}

std::string ContentsOf(const Target& target) {
  std::string text = target.environment + '\n' + target.image + '\n' + target.proxy + '\n' +
                     target.ca_pem + '\n' + target.network + '\n' +
                     std::to_string(target.deadline.count());
  for (const auto& [key, value] : target.requirements) text += '\n' + key + '=' + value;
  if (target.channel) text += '\n' + target.channel->url + '\n' + target.channel->from;
  return text;
}

}  // namespace

absl::StatusOr<Target> InMemoryTargetStore::CreateTarget(const Target& target,
                                                         const store::Cause& cause) {
  const std::lock_guard lock(state_.mu);
  const std::string key = target.platform + "/" + target.name;
  const auto there = state_.targets.find({target.platform, target.name});
  const auto claims = state_.creations;
  SLIPWAY_ASSIGN_OR_RETURN(const bool made,
                           ClaimRequest(state_, cause, "target " + key, ContentsOf(target)));
  if (made) {
    SLIPWAY_ASSIGN_OR_RETURN(const Target* found,
                             Find(state_, target.platform, target.name, std::nullopt));
    return *found;
  }
  absl::Status refused = CheckEnvironment(state_, target.environment);
  if (there != state_.targets.end()) {
    refused = MakeError(absl::StatusCode::kAlreadyExists, "TARGET_EXISTS",
                        "there is a target '" + key + "' already");
  }
  if (!refused.ok()) {
    state_.creations = claims;
    return refused;
  }
  Target& stored = state_.targets[{target.platform, target.name}] = target;
  stored.revision = ++state_.last_revision;
  stored.created_at = cause.at;
  stored.created_by = cause.actor;
  stored.has_secret = false;
  state_.tables.audit.push_back(key);
  return stored;
}

absl::StatusOr<Target> InMemoryTargetStore::UpdateTarget(const Target& target,
                                                         std::optional<std::int64_t> revision,
                                                         const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  SLIPWAY_ASSIGN_OR_RETURN(Target * found, Find(state_, target.platform, target.name, revision));
  if (found->environment != target.environment || found->deadline != target.deadline) {
    SLIPWAY_RETURN_IF_ERROR(CheckUnused(state_, target));
  }
  SLIPWAY_RETURN_IF_ERROR(CheckEnvironment(state_, target.environment));
  const Target before = std::exchange(*found, target);
  found->created_at = before.created_at;
  found->created_by = before.created_by;
  found->has_secret = before.has_secret;
  found->revision = ++state_.last_revision;
  state_.tables.audit.push_back(target.platform + "/" + target.name);
  return *found;
}

absl::StatusOr<Target> InMemoryTargetStore::SetTargetSecret(const std::string& platform,
                                                            const std::string& name,
                                                            const std::string& sealed,
                                                            std::optional<std::int64_t> revision,
                                                            const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  SLIPWAY_ASSIGN_OR_RETURN(Target * found, Find(state_, platform, name, revision));
  if (!found->channel) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NO_CHANNEL", "it is no channel");
  }
  state_.target_secrets[{platform, name}] = sealed;
  found->has_secret = !sealed.empty();
  found->revision = ++state_.last_revision;
  state_.tables.audit.push_back(platform + "/" + name);
  return *found;
}

absl::StatusOr<std::string> InMemoryTargetStore::SealedTargetSecret(const std::string& platform,
                                                                    const std::string& name) {
  const std::lock_guard lock(state_.mu);
  SLIPWAY_RETURN_IF_ERROR(Find(state_, platform, name, std::nullopt).status());
  return state_.target_secrets[{platform, name}];
}

absl::Status InMemoryTargetStore::DeleteTarget(const std::string& platform, const std::string& name,
                                               std::optional<std::int64_t> revision,
                                               const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  SLIPWAY_ASSIGN_OR_RETURN(const Target* found, Find(state_, platform, name, revision));
  SLIPWAY_RETURN_IF_ERROR(CheckUnused(state_, *found));
  state_.targets.erase({platform, name});
  state_.target_secrets.erase({platform, name});
  state_.tables.audit.push_back(platform + "/" + name);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const domain::Targets>> InMemoryTargetStore::GetTargets() {
  const std::lock_guard lock(state_.mu);
  std::vector<Target> targets;
  for (const auto& [key, target] : state_.targets) targets.push_back(target);
  return std::make_shared<const domain::Targets>(std::move(targets));
}

absl::StatusOr<Environment> InMemoryTargetStore::CreateEnvironment(const Environment& environment,
                                                                   const store::Cause& cause) {
  const std::lock_guard lock(state_.mu);
  const auto there = state_.environments.find(environment.name);
  const auto claims = state_.creations;
  SLIPWAY_ASSIGN_OR_RETURN(
      const bool made,
      ClaimRequest(state_, cause, "environment " + environment.name,
                   environment.description + '\n' + std::to_string(environment.order)));
  if (made) {
    SLIPWAY_ASSIGN_OR_RETURN(const Environment* found,
                             Find(state_, environment.name, std::nullopt));
    return *found;
  }
  if (there != state_.environments.end()) {
    state_.creations = claims;
    return MakeError(absl::StatusCode::kAlreadyExists, "ENVIRONMENT_EXISTS",
                     "there is an environment '" + environment.name + "' already");
  }
  Environment& stored = state_.environments[environment.name] = environment;
  stored.revision = ++state_.last_revision;
  stored.created_at = cause.at;
  stored.created_by = cause.actor;
  state_.tables.audit.push_back(environment.name);
  return stored;
}

absl::StatusOr<Environment> InMemoryTargetStore::UpdateEnvironment(
    const Environment& environment, std::optional<std::int64_t> revision, const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  SLIPWAY_ASSIGN_OR_RETURN(Environment * found, Find(state_, environment.name, revision));
  found->description = environment.description;
  found->order = environment.order;
  found->revision = ++state_.last_revision;
  state_.tables.audit.push_back(environment.name);
  return *found;
}

absl::Status InMemoryTargetStore::DeleteEnvironment(const std::string& name,
                                                    std::optional<std::int64_t> revision,
                                                    const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  SLIPWAY_RETURN_IF_ERROR(Find(state_, name, revision).status());
  for (const auto& [key, target] : state_.targets) {
    if (target.environment != name) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition, "ENVIRONMENT_IN_USE",
                     "a target names it");
  }
  state_.environments.erase(name);
  state_.tables.audit.push_back(name);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Environment>> InMemoryTargetStore::ListEnvironments() {
  const std::lock_guard lock(state_.mu);
  std::vector<Environment> all;
  for (const auto& [name, environment] : state_.environments) all.push_back(environment);
  std::stable_sort(all.begin(), all.end(),
                   [](const Environment& a, const Environment& b) { return a.order < b.order; });
  return all;
}

}  // namespace slipway::testing
