#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/cli/commands.h"

// The commands of logins, contexts, accounts and rights; as in commands.h.
namespace slipway::cli {

struct LoginFlags {
  std::string account;          // empty: asks
  bool password_stdin = false;  // else asks
  std::string ca_fingerprint;   // "sha256:…" of the farm's CA, when there is no file with it
};
// Remembers the farm and the login, or the API token of --token-file, as a context, and uses it.
[[nodiscard]] Outcome Login(Session& session, const LoginFlags& flags);
// Forgets the login here, whether or not the controller could be told.
[[nodiscard]] Outcome Logout(Session& session, bool everywhere);
[[nodiscard]] Outcome WhoAmI(Session& session);
// `account`: empty: one's own.
[[nodiscard]] Outcome ListLogins(Session& session, const std::string& account);
[[nodiscard]] Outcome EndLogin(Session& session, const std::string& id);
// `from_stdin`: the password until now and the new one are the first two lines of standard input.
[[nodiscard]] Outcome ChangePassword(Session& session, bool from_stdin);

[[nodiscard]] Outcome ListContexts(Session& session);
[[nodiscard]] Outcome UseContext(Session& session, const std::string& name);
// Empty: the one that a command would use.
[[nodiscard]] Outcome ShowContext(Session& session, const std::string& name);
[[nodiscard]] Outcome DeleteContext(Session& session, const std::string& name);

// `deleted`: those too.
[[nodiscard]] Outcome ListAccounts(Session& session, bool deleted);
[[nodiscard]] Outcome ShowAccount(Session& session, const std::string& name);
struct AccountFlags {
  std::string name;
  std::string kind;
  std::string state;  // only of an account that is there
  // What is absent stays, or is empty.
  std::optional<std::string> full_name;
  std::optional<std::string> department;
  std::optional<std::string> post;
  std::optional<std::string> employee_number;
  std::optional<std::string> email;
  bool password_stdin = false;  // only of a new one, else the farm makes the password
};
[[nodiscard]] Outcome CreateAccount(Session& session, const AccountFlags& flags);
[[nodiscard]] Outcome UpdateAccount(Session& session, const AccountFlags& flags);
// Asks first, unless `sure`.
[[nodiscard]] Outcome DeleteAccount(Session& session, const std::string& name, bool sure);
[[nodiscard]] Outcome ResetPassword(Session& session, const std::string& name);

struct GroupFlags {
  std::string name;
  std::optional<std::string> description;
  // Either all members or changes.
  bool replace = false;
  std::vector<std::string> members;
  std::vector<std::string> add;
  std::vector<std::string> remove;
};
[[nodiscard]] Outcome ListGroups(Session& session);
[[nodiscard]] Outcome SetGroup(Session& session, const GroupFlags& flags);
[[nodiscard]] Outcome DeleteGroup(Session& session, const std::string& name);

struct GrantFlags {
  std::string subject;  // ACCOUNT or group:NAME
  // Either some applications or all of them.
  std::vector<std::string> applications;
  bool all_applications = false;
  std::vector<std::string> operations;
  std::string preset;
  std::string environment;
  std::string pages;
};
[[nodiscard]] Outcome AddGrants(Session& session, const GrantFlags& flags);
// Without operations: all of them.
[[nodiscard]] Outcome RemoveGrants(Session& session, const GrantFlags& flags);
struct ListGrantsFlags {
  std::string subject;
  std::string application;
};
[[nodiscard]] Outcome ListGrants(Session& session, const ListGrantsFlags& flags);

struct TokenFlags {
  std::string name;
  std::string account;  // empty: one's own
  std::vector<std::string> operations;
  std::vector<std::string> applications;
  std::string lifetime;  // duration; empty: as the farm says
};
[[nodiscard]] Outcome CreateApiToken(Session& session, const TokenFlags& flags);
[[nodiscard]] Outcome ListApiTokens(Session& session, const std::string& account);
[[nodiscard]] Outcome RevokeApiToken(Session& session, const std::string& id);

}  // namespace slipway::cli
