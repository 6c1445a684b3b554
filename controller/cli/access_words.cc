#include "controller/cli/access_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

constexpr v1::Operation kOperations[] = {
    v1::OPERATION_VIEW,    v1::OPERATION_RUN_SCRIPT, v1::OPERATION_PACKAGE, v1::OPERATION_PREVIEW,
    v1::OPERATION_PUBLISH, v1::OPERATION_APPROVE,    v1::OPERATION_DEPLOY,  v1::OPERATION_MANAGE};
constexpr v1::AccountKind kKinds[] = {v1::ACCOUNT_KIND_DEVELOPER, v1::ACCOUNT_KIND_MEMBER,
                                      v1::ACCOUNT_KIND_OPERATOR, v1::ACCOUNT_KIND_ADMIN,
                                      v1::ACCOUNT_KIND_SERVICE};

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

absl::Status Unknown(const char* flag, const std::string& word,
                     const std::vector<std::string>& known, Text text) {
  return UsageError(
      MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                fmt::format(fmt::runtime(text("{}: '{}' is none of {}", "{}：'{}' 不是 {} 之一")),
                            flag, OneLine(word), Joined(known))));
}

}  // namespace

const char* OperationWord(v1::Operation operation) {
  switch (operation) {
    case v1::OPERATION_VIEW: return "view";
    case v1::OPERATION_RUN_SCRIPT: return "run_script";
    case v1::OPERATION_PACKAGE: return "package";
    case v1::OPERATION_PREVIEW: return "preview";
    case v1::OPERATION_PUBLISH: return "publish";
    case v1::OPERATION_APPROVE: return "approve";
    case v1::OPERATION_DEPLOY: return "deploy";
    case v1::OPERATION_MANAGE: return "manage";
    default: return "?";
  }
}

const char* KindWord(v1::AccountKind kind) { return KindName(kind, Text(Language::kEnglish)); }

const char* KindName(v1::AccountKind kind, Text t) {
  switch (kind) {
    case v1::ACCOUNT_KIND_DEVELOPER: return t("developer", "开发人员");
    case v1::ACCOUNT_KIND_MEMBER: return t("member", "成员");
    case v1::ACCOUNT_KIND_OPERATOR: return t("operator", "运维人员");
    case v1::ACCOUNT_KIND_ADMIN: return t("admin", "管理员");
    case v1::ACCOUNT_KIND_SERVICE: return t("service", "服务账号");
    default: return "?";
  }
}

const char* AccountStateName(v1::AccountState state, Text t) {
  switch (state) {
    case v1::ACCOUNT_STATE_ACTIVE: return t("active", "正常");
    case v1::ACCOUNT_STATE_DISABLED: return t("disabled", "已停用");
    case v1::ACCOUNT_STATE_DELETED: return t("deleted", "已删除");
    default: return "?";
  }
}

std::vector<std::string> OperationWords() {
  std::vector<std::string> words;
  for (const v1::Operation operation : kOperations) words.emplace_back(OperationWord(operation));
  return words;
}

std::vector<std::string> KindWords() {
  std::vector<std::string> words;
  for (const v1::AccountKind kind : kKinds) words.emplace_back(KindWord(kind));
  return words;
}

std::vector<std::string> PresetWords() { return {"developer", "product"}; }

absl::StatusOr<v1::Operation> ParseOperation(const std::string& word, Text text) {
  for (const v1::Operation operation : kOperations) {
    if (word == OperationWord(operation)) return operation;
  }
  return Unknown("--op", word, OperationWords(), text);
}

absl::StatusOr<v1::AccountKind> ParseKind(const std::string& word, Text text) {
  for (const v1::AccountKind kind : kKinds) {
    if (word == KindWord(kind)) return kind;
  }
  return Unknown("--kind", word, KindWords(), text);
}

absl::StatusOr<std::vector<v1::Operation>> ParsePreset(const std::string& word, Text text) {
  std::vector<v1::Operation> operations = {v1::OPERATION_PACKAGE, v1::OPERATION_PREVIEW,
                                           v1::OPERATION_PUBLISH};
  if (word == "product") return operations;
  operations.insert(operations.begin(), v1::OPERATION_RUN_SCRIPT);
  if (word == "developer") return operations;
  return Unknown("--preset", word, PresetWords(), text);
}

absl::StatusOr<v1::AccountState> ParseAccountState(const std::string& word, Text text) {
  if (word == "active") return v1::ACCOUNT_STATE_ACTIVE;
  if (word == "disabled") return v1::ACCOUNT_STATE_DISABLED;
  return Unknown("--state", word, {"active", "disabled"}, text);
}

std::string JoinOperations(const google::protobuf::RepeatedField<int>& operations,
                           const char* none) {
  std::string text;
  for (const int operation : operations) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ",
                        OperationWord(static_cast<v1::Operation>(operation)));
  }
  return text.empty() ? none : text;
}

}  // namespace slipway::cli
