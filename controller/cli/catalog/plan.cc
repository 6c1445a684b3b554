#include "controller/cli/catalog/plan.h"

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include <map>
#include <set>
#include <utility>

#include "common/status/status.h"
#include "controller/cli/catalog/catalog_text.h"

namespace slipway::cli::catalog {
namespace {

using Action = Change::Action;

std::string NameOf(const v1::Environment& environment) { return environment.name(); }
std::string NameOf(const v1::Target& target) { return target.platform() + "/" + target.name(); }
std::string NameOf(const v1::Application& application) { return application.name(); }

const char* KindOf(const v1::Environment&) { return "environment"; }
const char* KindOf(const v1::Target&) { return "target"; }
const char* KindOf(const v1::Application&) { return "application"; }

std::string Shown(const v1::Target& target) { return TextOf(target, Certificates::kDigest); }
template <typename Object>
std::string Shown(const Object& object) {
  return TextOf(object);
}

template <typename Object>
std::vector<std::string> FieldsThatDiffer(const Object&, const Object&) {
  return {};
}
template <>
std::vector<std::string> FieldsThatDiffer(const v1::Application& a, const v1::Application& b) {
  std::vector<std::string> fields;
  if (a.repository() != b.repository()) fields.emplace_back("repository");
  if (a.description() != b.description()) fields.emplace_back("description");
  if (std::map(a.requirements().begin(), a.requirements().end()) !=
      std::map(b.requirements().begin(), b.requirements().end())) {
    fields.emplace_back("requirements");
  }
  if (!google::protobuf::util::MessageDifferencer::Equals(a.queue_timeout(), b.queue_timeout())) {
    fields.emplace_back("queue_timeout");
  }
  return fields;
}

template <typename Object>
void AddWanted(const std::vector<Object>& wanted, const std::vector<Object>& stored,
               std::vector<Change>& plan) {
  std::map<std::string, const Object*> there;
  for (const Object& object : stored) there.emplace(NameOf(object), &object);
  for (Object object : wanted) {
    const auto it = there.find(NameOf(object));
    Change change{.kind = KindOf(object), .name = NameOf(object), .object = object};
    change.after = Shown(object);
    if (it != there.end()) {
      change.before = Shown(*it->second);
      if (change.before == change.after) continue;
      change.action = Action::kUpdate;
      change.fields = FieldsThatDiffer(object, *it->second);
      object.set_etag(it->second->etag());
      change.object = std::move(object);
    }
    plan.push_back(std::move(change));
  }
}

template <typename Object>
void AddUnnamed(const std::vector<Object>& wanted, const std::vector<Object>& stored,
                std::vector<Change>& plan) {
  std::set<std::string> named;
  for (const Object& object : wanted) named.insert(NameOf(object));
  for (const Object& object : stored) {
    if (named.contains(NameOf(object))) continue;
    plan.push_back({.action = Action::kDelete,
                    .kind = KindOf(object),
                    .name = NameOf(object),
                    .object = object,
                    .before = Shown(object)});
  }
}

absl::Status CheckEnvironments(const Catalog& wanted, const Catalog& stored, bool prune) {
  std::set<std::string> there;
  for (const auto& environment : wanted.environments) there.insert(environment.name());
  if (!prune) {
    for (const auto& environment : stored.environments) there.insert(environment.name());
  }
  for (const auto& target : wanted.targets) {
    if (target.environment().empty() || there.contains(target.environment())) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition, "NO_SUCH_ENVIRONMENT",
                     fmt::format("target '{}' is in environment '{}', which is neither written nor "
                                 "on the farm",
                                 NameOf(target), target.environment()),
                     "Write it, too: a document with kind: environment.");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Change>> MakePlan(const Catalog& wanted, const Catalog& stored,
                                             bool prune) {
  SLIPWAY_RETURN_IF_ERROR(CheckEnvironments(wanted, stored, prune));
  std::vector<Change> plan;
  AddWanted(wanted.environments, stored.environments, plan);
  AddWanted(wanted.targets, stored.targets, plan);
  AddWanted(wanted.applications, stored.applications, plan);
  if (prune) {
    AddUnnamed(wanted.targets, stored.targets, plan);
    AddUnnamed(wanted.environments, stored.environments, plan);
  }
  return plan;
}

}  // namespace slipway::cli::catalog
