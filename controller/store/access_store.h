#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "controller/domain/account.h"
#include "controller/domain/authority.h"
#include "controller/store/changes.h"
#include "controller/store/page.h"

// Accounts, groups, grants, logins and API tokens. Every change is audited with it, and refused
// inside its transaction (kPermissionDenied, the reason of the verdict) when one of
// cause.authorities does not hold there.
namespace slipway::store {

// What to change of an account; absent fields stay.
struct AccountChange {
  std::optional<domain::AccountKind> kind;
  std::optional<domain::AccountState> state;  // active or disabled
  std::optional<std::string> full_name;
  std::optional<std::string> department;
  std::optional<std::string> post;
  std::optional<std::string> employee_number;
  std::optional<std::string> email;
  // The revision that the caller has seen; absent: any.
  std::optional<std::int64_t> revision;
};

// A grant with names, as people give it.
struct NamedGrant {
  std::string account{};      // or
  std::string group{};        // one of the two is empty
  std::string application{};  // empty: all
  domain::Operations operations{};
  std::string environment{};
  std::string pages{};
};

struct GrantFilter {
  std::string account{};  // with those of its groups
  std::string group{};
  std::string application{};  // with those for all
  int page_size = 100;
  std::string page_token{};
};

// What the creation of an account gave.
struct CreatedAccount {
  domain::Account account;  // as it is now
  bool before = false;      // the same request had made it; nothing was changed
};

// Thread-safe.
class AccountStore {
 public:
  virtual ~AccountStore() = default;

  // kAlreadyExists ACCOUNT_EXISTS: the name is taken; REQUEST_ID_REUSED: cause.request_id was for
  // something else, whereby passwords are not compared. `password_hash` "": it cannot log in.
  [[nodiscard]] virtual absl::StatusOr<CreatedAccount> Create(const domain::Account& account,
                                                              const std::string& password_hash,
                                                              const Cause& cause) = 0;
  // The account as changed. kNotFound NO_SUCH_ACCOUNT; kAborted CHANGED; kFailedPrecondition
  // LAST_ADMIN. Disabling ends its logins.
  [[nodiscard]] virtual absl::StatusOr<domain::Account> Update(const std::string& name,
                                                               const AccountChange& change,
                                                               const Cause& cause) = 0;
  // Ends its logins, tokens, grants and memberships; the row stays. As Update.
  [[nodiscard]] virtual absl::Status Delete(const std::string& name, const Cause& cause) = 0;
  // kNotFound NO_SUCH_ACCOUNT; deleted ones are not there.
  [[nodiscard]] virtual absl::StatusOr<domain::Account> Get(const AccountId& id) = 0;
  [[nodiscard]] virtual absl::StatusOr<domain::Account> GetByName(const std::string& name) = 0;
  // By name. kInvalidArgument: a bad page token.
  [[nodiscard]] virtual absl::StatusOr<Page<domain::Account>> List(int page_size,
                                                                   const std::string& page_token,
                                                                   bool deleted) = 0;

  // The account and what is kept of its password, "" for none. kNotFound.
  [[nodiscard]] virtual absl::StatusOr<std::pair<domain::Account, std::string>> FindPassword(
      const std::string& name) = 0;
  // A name as names are compared: without differences of case and width. kInvalidArgument: it is no
  // text that can be stored.
  [[nodiscard]] virtual absl::StatusOr<std::string> NameKey(const std::string& name) = 0;
  // Ends all its logins but `keep`. kNotFound; kAborted: `expected` is not empty and not the hash
  // that is stored.
  [[nodiscard]] virtual absl::Status SetPassword(const AccountId& id,
                                                 const std::string& password_hash,
                                                 const std::string& expected, const LoginId& keep,
                                                 const Cause& cause) = 0;

  // Makes the group or replaces description and members. kNotFound NO_SUCH_ACCOUNT names a member;
  // kAborted CHANGED.
  [[nodiscard]] virtual absl::StatusOr<domain::AccountGroup> PutGroup(
      const domain::AccountGroup& group, std::optional<std::int64_t> revision,
      const Cause& cause) = 0;
  // By name. kInvalidArgument: a bad page token.
  [[nodiscard]] virtual absl::StatusOr<Page<domain::AccountGroup>> ListGroups(
      const PageRequest& page) = 0;
  // kNotFound NO_SUCH_GROUP.
  [[nodiscard]] virtual absl::Status DeleteGroup(const std::string& name, const Cause& cause) = 0;

  // All or none. kNotFound names what is not there: NO_SUCH_ACCOUNT, NO_SUCH_GROUP,
  // NO_SUCH_APPLICATION, and of what is added NO_SUCH_ENVIRONMENT.
  [[nodiscard]] virtual absl::Status ChangeGrants(const std::vector<NamedGrant>& add,
                                                  const std::vector<NamedGrant>& remove,
                                                  const Cause& cause) = 0;
  [[nodiscard]] virtual absl::StatusOr<Page<NamedGrant>> ListGrants(const GrantFilter& filter) = 0;
  // Of the account and its groups, for these applications and for all.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::Grant>> GrantsOf(
      const AccountId& account, const std::vector<ApplicationId>& applications) = 0;
  // In which environments the account holds the operation on an application, of `only` unless that
  // is empty; "" for all environments.
  [[nodiscard]] virtual absl::StatusOr<std::vector<std::string>> EnvironmentsOf(
      const AccountId& account, domain::Operation operation,
      const std::vector<ApplicationId>& only) = 0;
  // The same in sum: a grant for each application, for whatever environment and page.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::Grant>> SummedGrantsOf(
      const AccountId& account, const std::vector<ApplicationId>& applications) = 0;
};

// Thread-safe.
class LoginStore {
 public:
  virtual ~LoginStore() = default;

  // Guard: the account is active, its epoch is the login's, and this is the hash of its password.
  // kAborted otherwise.
  [[nodiscard]] virtual absl::Status AddLogin(const domain::Login& login,
                                              const std::string& password_hash,
                                              const Cause& cause) = 0;
  // generation `from` → from + 1. kNotFound: the login has ended or expired, or its generation is
  // another.
  [[nodiscard]] virtual absl::Status AdvanceLogin(const LoginId& id, std::int64_t from,
                                                  WallTime expires_at, WallTime now) = 0;
  // kNotFound NO_SUCH_LOGIN: there is none, or it has ended.
  [[nodiscard]] virtual absl::StatusOr<domain::Login> GetLogin(const LoginId& id) = 0;
  // Those of the account that have not ended and do not expire before `now`, newest first.
  // kInvalidArgument BAD_PAGE_TOKEN.
  [[nodiscard]] virtual absl::StatusOr<Page<domain::Login>> LiveLogins(const AccountId& account,
                                                                       WallTime now,
                                                                       const PageRequest& page) = 0;
  // kNotFound NO_SUCH_LOGIN: there is none that lives; of another account than `account`, unless
  // that is empty.
  [[nodiscard]] virtual absl::Status EndLogin(const LoginId& id, const AccountId& account,
                                              const std::string& why, const Cause& cause) = 0;
  // How many. The account's epoch rises.
  [[nodiscard]] virtual absl::StatusOr<int> EndLogins(const AccountId& account,
                                                      const Cause& cause) = 0;

  // kAlreadyExists SECRET_SHOWN_ONCE, with the id in the message: the same cause.request_id has
  // made one before; REQUEST_ID_REUSED: it was for something else.
  [[nodiscard]] virtual absl::Status AddToken(const std::string& token_hash,
                                              const domain::ApiToken& token,
                                              const Cause& cause) = 0;
  // With its account, whatever state both are in. kNotFound.
  [[nodiscard]] virtual absl::StatusOr<std::pair<domain::ApiToken, domain::Account>> FindToken(
      const std::string& token_hash) = 0;
  // Newest first; those that are good before those that have ended by `now`, on all pages the `now`
  // of the first. kInvalidArgument BAD_PAGE_TOKEN.
  [[nodiscard]] virtual absl::StatusOr<Page<domain::ApiToken>> ListTokens(
      const AccountId& account, WallTime now, const PageRequest& page) = 0;
  // As EndLogin, NO_SUCH_TOKEN.
  [[nodiscard]] virtual absl::Status RevokeToken(const ApiTokenId& id, const AccountId& account,
                                                 const Cause& cause) = 0;
  // Deletes at most `most` logins and as many API tokens that have ended before `before`; how many
  // they were. A token without an expiry stays, so that it is known that it was revoked. Not
  // audited: the trail tells when they ended.
  [[nodiscard]] virtual absl::StatusOr<int> ForgetEnded(WallTime before, int most) = 0;
  // These were used then. Not audited.
  [[nodiscard]] virtual absl::Status TouchTokens(const std::map<ApiTokenId, WallTime>& used) = 0;
};

}  // namespace slipway::store
