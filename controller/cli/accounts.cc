#include <fmt/format.h>

#include "common/base/ids.h"
#include "common/status/status.h"
#include "controller/cli/access_commands.h"
#include "controller/cli/access_words.h"
#include "controller/cli/all_pages.h"
#include "controller/cli/render_access.h"
#include "controller/cli/repeat_call.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

using Accounts = v1::AccountService::Stub;

std::string MadeSentence(const std::string& account, Text t) {
  return fmt::format(
      fmt::runtime(t("the password of {}; it is shown only once, and `slipway passwd` changes it\n",
                     "{} 的密码；仅显示一次，可用 `slipway passwd` 修改\n")),
      OneLine(account));
}

absl::Status NothingToChange(Text t) {
  return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                              t("nothing to change was named", "没有指定要修改的内容"),
                              t("`slipway accounts update --help` lists what can be changed.",
                                "`slipway accounts update --help` 列出可以修改的内容。")));
}

}  // namespace

Outcome ListAccounts(Session& session, bool deleted) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListAccountsRequest request;
  request.set_deleted(deleted);
  v1::ListAccountsResponse all;
  SLIPWAY_RETURN_IF_ERROR(
      ReadAllPages(*client, client->accounts(), &Accounts::ListAccounts, request, all));
  session.Print(all, RenderAccounts);
  return ExitCode::kOk;
}

Outcome ShowAccount(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetAccountRequest request;
  request.set_name(name);
  v1::Account account;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->accounts(), &Accounts::GetAccount, request, account));
  session.Print(account, RenderAccount);
  return ExitCode::kOk;
}

Outcome CreateAccount(Session& session, const AccountFlags& flags) {
  const Text t = session.text;
  v1::CreateAccountRequest request;
  request.set_request_id(NewUuid());
  request.set_name(flags.name);
  SLIPWAY_ASSIGN_OR_RETURN(const auto kind, ParseKind(flags.kind, t));
  request.set_kind(kind);
  request.set_full_name(flags.full_name.value_or(""));
  request.set_department(flags.department.value_or(""));
  request.set_post(flags.post.value_or(""));
  request.set_employee_number(flags.employee_number.value_or(""));
  request.set_email(flags.email.value_or(""));
  if (flags.password_stdin) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_password(),
                             session.ReadSecretLine(t("a password", "密码")));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::CreateAccountResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      CallAgain(*client, client->accounts(), &Accounts::CreateAccount, request, response));
  if (session.as_document) {
    session.PrintDocument(response);
  } else if (response.password().empty()) {
    session.out << RenderAccount(response.account(), session.OutView());
  } else {
    session.PrintSecret(response.password(), RenderAccount(response.account(), session.ErrView()) +
                                                 MadeSentence(response.account().name(), t));
  }
  return ExitCode::kOk;
}

Outcome UpdateAccount(Session& session, const AccountFlags& flags) {
  const Text t = session.text;
  v1::UpdateAccountRequest request;
  request.set_name(flags.name);
  v1::Account& account = *request.mutable_account();
  auto& mask = *request.mutable_update_mask();
  if (!flags.kind.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto kind, ParseKind(flags.kind, t));
    account.set_kind(kind);
    mask.add_paths("kind");
  }
  if (!flags.state.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto state, ParseAccountState(flags.state, t));
    account.set_state(state);
    mask.add_paths("state");
  }
  const auto take = [&mask](const std::optional<std::string>& value, const char* field,
                            std::string* into) {
    if (!value) return;
    *into = *value;
    mask.add_paths(field);
  };
  take(flags.full_name, "full_name", account.mutable_full_name());
  take(flags.department, "department", account.mutable_department());
  take(flags.post, "post", account.mutable_post());
  take(flags.employee_number, "employee_number", account.mutable_employee_number());
  take(flags.email, "email", account.mutable_email());
  if (mask.paths().empty()) return NothingToChange(t);
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Account changed;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->accounts(), &Accounts::UpdateAccount, request, changed));
  session.Print(changed, RenderAccount);
  return ExitCode::kOk;
}

Outcome DeleteAccount(Session& session, const std::string& name, bool sure) {
  const Text t = session.text;
  if (!sure) {
    SLIPWAY_ASSIGN_OR_RETURN(
        const bool yes,
        session.Confirm(
            fmt::format(fmt::runtime(t("Delete {} for ever, its logins, tokens and grants "
                                       "with it? [y/N] ",
                                       "永久删除 {} 及其登录、令牌和授权？[y/N] ")),
                        name),
            t("Give --yes.", "请加上 --yes。")));
    if (!yes) {
      session.err << t("nothing was changed\n", "未做任何修改\n");
      return ExitCode::kFailed;
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::DeleteAccountRequest request;
  request.set_name(name);
  v1::DeleteAccountResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->accounts(), &Accounts::DeleteAccount, request, response));
  session.PrintDone(response,
                    fmt::format(fmt::runtime(t("{} is deleted\n", "{} 已删除\n")), OneLine(name)));
  return ExitCode::kOk;
}

Outcome ResetPassword(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ResetPasswordRequest request;
  request.set_name(name);
  v1::ResetPasswordResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->accounts(), &Accounts::ResetPassword, request, response));
  if (session.as_document) {
    session.PrintDocument(response);
  } else {
    session.PrintSecret(response.password(), MadeSentence(name, session.text));
  }
  return ExitCode::kOk;
}

}  // namespace slipway::cli
