#include "controller/domain/authority.h"

#include <algorithm>

namespace slipway::domain {
namespace {

bool HasPlace(Operation operation) {
  return operation == Operation::kPreview || operation == Operation::kPublish ||
         operation == Operation::kApprove || operation == Operation::kDeploy;
}

// "/help" covers "/help" and "/help/first", not "/helpless".
bool Covers(std::string_view tree, std::string_view page) {
  while (!tree.empty() && tree.back() == '/') tree.remove_suffix(1);
  if (tree.empty()) return true;
  return page.substr(0, tree.size()) == tree &&
         (page.size() == tree.size() || page[tree.size()] == '/');
}

bool Reaches(const Grant& grant, const Question& question) {
  if (!HasPlace(question.operation)) return true;
  if (!grant.environment.empty() && grant.environment != question.environment) return false;
  return question.operation != Operation::kDeploy || Covers(grant.pages, question.pages);
}

bool TokenReaches(const Holder& holder, const ApplicationId& application) {
  const auto& only = holder.token_applications;
  return only.empty() || std::find(only.begin(), only.end(), application) != only.end();
}

bool TokenAllows(const Holder& holder, Operation operation) {
  return holder.token_operations.empty() || operation == Operation::kView ||
         holder.token_operations.Has(operation);
}

bool Names(const Grant& grant, const ApplicationId& application) {
  return grant.application.value().empty() || grant.application == application;
}

}  // namespace

Operations HoldableBy(AccountKind kind) {
  Operations all = Operations::All();
  if (kind != AccountKind::kMember) return all;
  all.Remove(Operation::kRunScript);
  all.Remove(Operation::kManage);
  return all;
}

Verdict Decide(const Holder& holder, std::span<const Grant> grants, const Question& question) {
  if (!holder.live || !TokenReaches(holder, question.application)) return Verdict::kInvisible;
  const bool admin = holder.kind == AccountKind::kAdmin;
  const Operations holdable = HoldableBy(holder.kind);
  bool visible = admin;
  bool granted = admin && question.operation != Operation::kApprove;
  bool elsewhere = false;
  bool beyond_kind = false;
  for (const Grant& grant : grants) {
    if (!Names(grant, question.application)) continue;
    const Operations held = grant.operations & holdable;
    visible |= !held.empty();
    beyond_kind |= grant.operations.Has(question.operation) && !holdable.Has(question.operation);
    if (!held.Has(question.operation)) continue;
    (Reaches(grant, question) ? granted : elsewhere) = true;
  }
  if (!visible) return Verdict::kInvisible;
  if (!TokenAllows(holder, question.operation)) return Verdict::kTokenForbids;
  if (granted || question.operation == Operation::kView) return Verdict::kAllowed;
  if (elsewhere) return Verdict::kElsewhere;
  return beyond_kind || !holdable.Has(question.operation) ? Verdict::kKindForbids
                                                          : Verdict::kNotGranted;
}

Operations AllowedSomewhere(const Holder& holder, std::span<const Grant> grants,
                            const ApplicationId& application) {
  if (!holder.live || !TokenReaches(holder, application)) return {};
  Operations held;
  if (holder.kind == AccountKind::kAdmin)
    held = Operations::All() - Operations{Operation::kApprove};
  for (const Grant& grant : grants) {
    if (Names(grant, application)) held = held | (grant.operations & HoldableBy(holder.kind));
  }
  if (held.empty()) return held;
  held.Add(Operation::kView);
  if (holder.token_operations.empty()) return held;
  return held & (holder.token_operations | Operations{Operation::kView});
}

std::string_view VerdictReason(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAllowed: return "";
    case Verdict::kInvisible: return "NO_SUCH_APPLICATION";
    case Verdict::kNotGranted: return "NOT_GRANTED";
    case Verdict::kElsewhere: return "NOT_GRANTED_HERE";
    case Verdict::kKindForbids: return "KIND_FORBIDS";
    case Verdict::kTokenForbids: return "TOKEN_FORBIDS";
  }
  return "";
}

bool Administers(const Holder& holder, Authority::Need need) {
  if (!holder.live || !holder.token_operations.empty() || !holder.token_applications.empty()) {
    return false;
  }
  return holder.kind == AccountKind::kAdmin ||
         (need == Authority::Need::kOperator && holder.kind == AccountKind::kOperator);
}

}  // namespace slipway::domain
