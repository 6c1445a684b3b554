#include "controller/domain/account.h"

#include <algorithm>
#include <array>
#include <utility>

namespace slipway::domain {
namespace {

template <typename Value, std::size_t N>
using Names = std::array<std::pair<Value, std::string_view>, N>;

constexpr Names<AccountKind, 5> kKinds{{{AccountKind::kDeveloper, "developer"},
                                        {AccountKind::kMember, "member"},
                                        {AccountKind::kOperator, "operator"},
                                        {AccountKind::kAdmin, "admin"},
                                        {AccountKind::kService, "service"}}};
constexpr Names<AccountState, 3> kStates{{{AccountState::kActive, "active"},
                                          {AccountState::kDisabled, "disabled"},
                                          {AccountState::kDeleted, "deleted"}}};
constexpr Names<Operation, kOperationCount> kOperations{{{Operation::kView, "view"},
                                                         {Operation::kRunScript, "run_script"},
                                                         {Operation::kPackage, "package"},
                                                         {Operation::kPreview, "preview"},
                                                         {Operation::kPublish, "publish"},
                                                         {Operation::kApprove, "approve"},
                                                         {Operation::kDeploy, "deploy"},
                                                         {Operation::kManage, "manage"}}};

template <typename Value, std::size_t N>
std::string_view NameOf(const Names<Value, N>& names, Value value) {
  const auto it = std::find_if(names.begin(), names.end(),
                               [&](const auto& entry) { return entry.first == value; });
  return it == names.end() ? "" : it->second;
}

template <typename Value, std::size_t N>
std::optional<Value> ValueOf(const Names<Value, N>& names, std::string_view name) {
  const auto it = std::find_if(names.begin(), names.end(),
                               [&](const auto& entry) { return entry.second == name; });
  if (it == names.end()) return std::nullopt;
  return it->first;
}

}  // namespace

std::string_view AccountKindName(AccountKind kind) { return NameOf(kKinds, kind); }
std::string_view AccountStateName(AccountState state) { return NameOf(kStates, state); }
std::string_view OperationName(Operation operation) { return NameOf(kOperations, operation); }
std::optional<AccountKind> ParseAccountKind(std::string_view name) { return ValueOf(kKinds, name); }
std::optional<AccountState> ParseAccountState(std::string_view name) {
  return ValueOf(kStates, name);
}
std::optional<Operation> ParseOperation(std::string_view name) {
  return ValueOf(kOperations, name);
}

std::vector<Operation> Operations::List() const {
  std::vector<Operation> list;
  for (const auto& [operation, name] : kOperations) {
    if (Has(operation)) list.push_back(operation);
  }
  return list;
}

}  // namespace slipway::domain
