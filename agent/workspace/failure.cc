#include "agent/workspace/failure.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "common/base/check.h"
#include "common/git/tool_words.h"
#include "common/status/status.h"

namespace slipway::workspace {
namespace {

using protocol::FailureClass;

struct Meaning {
  std::string_view reason;
  FailureClass klass;
  // When the status has none.
  std::string_view remedy;
  std::string_view remedy_zh;
};

constexpr char kSetCredential[] = "Set it anew with `slipway apps set-repository-credential`.";
constexpr char kSetCredentialZh[] = "请用 `slipway apps set-repository-credential` 重新设置。";

constexpr std::array<Meaning, 20> kMeanings{{
    {"REPOSITORY_URL_INVALID", FailureClass::kBuild,
     "Correct the repository's address: https or ssh.", "请检查仓库地址，使用 https 或 ssh。"},
    {"REF_UNKNOWN", FailureClass::kBuild, "Check the branch, tag or commit, and that it is pushed.",
     "请检查分支、标签或提交号，并确认已经推送。"},
    {"FILE_UNKNOWN", FailureClass::kBuild, "Commit the file to the repository.",
     "请把该文件提交到仓库。"},
    {"FILE_TOO_LARGE", FailureClass::kBuild, "Make the file smaller.", "请缩小该文件。"},
    {"CONFIG_INVALID", FailureClass::kBuild,
     "Mend what is named above in slipway.yaml, commit and submit again.",
     "请按提示修改 slipway.yaml。"},
    {"SCRIPT_RESULT_INVALID", FailureClass::kBuild,
     "Let the script write a correct JSON file to $SLIPWAY_RESULT.",
     "请让构建脚本写出正确的 JSON 结果文件。"},
    {"REPOSITORY_UNREACHABLE", FailureClass::kNetwork,
     "Check the repository's address and the network between agent and repository.",
     "请检查仓库地址以及构建机到仓库的网络。"},
    {"REPOSITORY_TIMEOUT", FailureClass::kNetwork,
     "Try again later, or raise git.fetch_timeout in the agent's options.",
     "请稍后重试，或调大拉取超时时间。"},
    {"REPOSITORY_ACCESS_DENIED", FailureClass::kCredential,
     "Set a credential that may read it with `slipway apps set-repository-credential`, or check "
     "the "
     "account, key or token that the agent uses.",
     "请用 `slipway apps set-repository-credential` "
     "设置可读取该仓库的凭证，或检查构建机使用的账号、密钥或令牌。"},
    {"REPOSITORY_UNTRUSTED", FailureClass::kCredential,
     "Give the certificate of the server's authority with the credential (--ca-file), or let the "
     "agent's machine trust it.",
     "请用 --ca-file 随凭证提供服务器证书颁发机构的证书，或让构建机信任它。"},
    // What the controller says of the credential that was set for the repository.
    {"NO_REPOSITORY_CREDENTIAL", FailureClass::kCredential, kSetCredential, kSetCredentialZh},
    {"CREDENTIAL_BROKEN", FailureClass::kCredential, kSetCredential, kSetCredentialZh},
    {"CREDENTIAL_FOREIGN", FailureClass::kCredential, kSetCredential, kSetCredentialZh},
    {"SEAL_BROKEN", FailureClass::kCredential, kSetCredential, kSetCredentialZh},
    {"SEAL_FOREIGN_KEY", FailureClass::kCredential, kSetCredential, kSetCredentialZh},
    {"BAD_REPOSITORY_CREDENTIAL", FailureClass::kCredential, kSetCredential, kSetCredentialZh},
    {"BAD_SSH_KEY", FailureClass::kCredential, kSetCredential, kSetCredentialZh},
    {"WRONG_CREDENTIAL_KIND", FailureClass::kCredential, kSetCredential, kSetCredentialZh},
    {"REPOSITORY_REFUSED", FailureClass::kPolicy,
     "The repository failed a safety check; look at it with git fsck.",
     "仓库内容未通过安全检查，请用 git fsck 检查。"},
    {"REPOSITORY_TOO_LARGE", FailureClass::kPolicy,
     "Make the repository smaller, or let the operator raise the limit.",
     "请减小仓库，或让管理员调大上限。"},
}};

}  // namespace

protocol::Failure ToFailure(const absl::Status& status) {
  SLIPWAY_CHECK(!status.ok());
  const ErrorInfo info = GetErrorInfo(status);
  protocol::Failure failure;
  failure.reason = info.reason.empty() ? "WORKSPACE_FAILED" : info.reason;
  failure.message = std::string(status.message());
  failure.remedy = info.remedy;
  failure.tool_words = git::ToolWordsOf(status);
  if (status.code() == absl::StatusCode::kCancelled) {
    failure.klass = FailureClass::kCanceled;
    failure.reason = "CANCELED";
    return failure;
  }
  const auto* meaning = std::find_if(kMeanings.begin(), kMeanings.end(),
                                     [&](const Meaning& m) { return m.reason == info.reason; });
  if (meaning != kMeanings.end()) {
    failure.klass = meaning->klass;
    if (failure.remedy.empty()) failure.remedy = meaning->remedy;
    failure.remedy_zh = meaning->remedy_zh;
  }
  return failure;
}

}  // namespace slipway::workspace
