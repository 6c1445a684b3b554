#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/access/login_delay.h"
#include "controller/access/session_tokens.h"
#include "controller/domain/account.h"
#include "controller/domain/authority.h"
#include "controller/store/access_store.h"
#include "controller/store/cached_stores.h"

namespace slipway::access {

// Who makes a call, by the token that it carries.
struct Caller {
  domain::Account account;
  LoginId login{};                              // of an access token
  std::optional<domain::ApiToken> api_token{};  // or this
  std::string token_hash{};                     // of the API token, hex
  std::string address{};                        // "" when it is not known
  // Of the login, as far as it is known, or of the API token; WallTime(): without end.
  WallTime expires_at{};

  [[nodiscard]] domain::Holder holder() const;
  // For changes of this caller's making.
  [[nodiscard]] domain::Authority AuthorityFor(domain::Question question) const;
  [[nodiscard]] domain::Authority AuthorityFor(domain::Authority::Need need) const;
};

// The tokens that a login gives.
struct LoginTokens {
  std::string access;
  WallTime access_expires_at;
  std::string refresh;
  WallTime refresh_expires_at;
  domain::Account account;
};

// Who people are and what they may do: logins, API tokens, and the questions that every call asks.
// Answers come from memory; whatever changes an account, a login, a token or a grant goes through
// here or is followed by Changed(), and acts from the next question on.
//
// Thread-safe. Calls may read the database and block.
class Access {
 public:
  struct Options {
    Duration access_lifetime = std::chrono::minutes(10);
    // Of a login that is not refreshed.
    Duration login_lifetime = std::chrono::hours(24 * 30);
    // How long the refresh token before the newest is still good, for a reply that was lost.
    Duration refresh_overlap = std::chrono::seconds(30);
    LoginDelay::Options by_account{};
    // Many people may share an address.
    LoginDelay::Options by_address{.free_tries = 20};
    // How often it is written down when API tokens were used.
    Duration token_use_interval = std::chrono::minutes(1);
    // How long logins and API tokens that have ended are kept, to be listed.
    Duration kept_after_end = std::chrono::hours(24 * 30);
    // Logins that wait for one of the two that are being checked.
    int most_waiting_logins = 32;
  };

  Access(const Options& options, store::AccountStore& accounts, store::LoginStore& logins,
         SessionTokens tokens, const Clock& clock);

  // kUnauthenticated, reason NO_TOKEN (empty) or BAD_TOKEN.
  [[nodiscard]] absl::StatusOr<Caller> Authenticate(const std::string& bearer,
                                                    const std::string& address);

  // The same caller as it is now, whether or not its access token has expired meanwhile: for
  // streams, which outlast it, but not the login or API token. kUnauthenticated, reason BAD_TOKEN.
  [[nodiscard]] absl::StatusOr<Caller> Again(const Caller& before);

  // See SessionService for the errors.
  [[nodiscard]] absl::StatusOr<LoginTokens> Login(const std::string& account,
                                                  const std::string& password,
                                                  const std::string& client,
                                                  const std::string& address);
  [[nodiscard]] absl::StatusOr<LoginTokens> Refresh(const std::string& token,
                                                    const std::string& address);
  [[nodiscard]] absl::StatusOr<int> Logout(const Caller& caller, bool everywhere);
  [[nodiscard]] absl::Status ChangePassword(const Caller& caller, const std::string& old_password,
                                            const std::string& new_password);
  // The token and its secret. `request_id` as in store::Cause; see LoginStore::AddToken.
  [[nodiscard]] absl::StatusOr<std::pair<domain::ApiToken, std::string>> CreateToken(
      const Caller& caller, domain::ApiToken wanted, Duration lifetime,
      const std::string& request_id = "");
  // Of the caller's own account, or of any when it administers.
  [[nodiscard]] absl::Status EndLogin(const Caller& caller, const LoginId& id);
  [[nodiscard]] absl::Status RevokeToken(const Caller& caller, const ApiTokenId& id);

  // kNotFound, reason `invisible`, message of `what`: the application is not visible to the caller;
  // kPermissionDenied with the verdict's reason.
  [[nodiscard]] absl::Status Check(const Caller& caller, const domain::Question& question,
                                   const absl::Status& invisible);
  // kPermissionDenied, reason ADMIN_ONLY or OPERATOR_ONLY.
  [[nodiscard]] static absl::Status CheckAdministers(const Caller& caller,
                                                     domain::Authority::Need need);
  // Of each application, in their order. Reads the database once.
  [[nodiscard]] absl::StatusOr<std::vector<domain::Operations>> AllowedOperations(
      const Caller& caller, const std::vector<ApplicationId>& applications);

  // Of each question, in their order, without entering refusals anywhere. Reads the database at
  // most once, and not when all are about one application whose grants are remembered.
  [[nodiscard]] absl::StatusOr<std::vector<domain::Verdict>> Judge(
      const Caller& caller, const std::vector<domain::Question>& questions);

  // Somebody's rights may be less than before. Clears what is remembered, then tells the listeners.
  void Changed();
  // Called after each change, from the thread that made it, unless the handle has died.
  [[nodiscard]] std::shared_ptr<void> OnChange(std::function<void()> listener);

  // Deletes some of the logins and API tokens that ended long ago. True: there may be more.
  [[nodiscard]] bool ForgetEnded();

  // Writes down when API tokens were last used, which calls do by themselves once in a while.
  void FlushTokenUse();

  [[nodiscard]] store::Cause CauseOf(const Caller& caller,
                                     std::vector<domain::Authority> authorities) const;

 private:
  class CheckTurn;
  class CountedTry;

  [[nodiscard]] absl::StatusOr<Caller> ByLogin(const LoginId& id);
  [[nodiscard]] absl::StatusOr<Caller> ByApiToken(const std::string& token_hash);
  struct Checked {
    domain::Account account{};
    std::string hash{};  // of its password, as it was
    bool fits = false;
  };
  [[nodiscard]] absl::StatusOr<Checked> CheckPassword(const std::string& account,
                                                      const std::string& password);
  [[nodiscard]] LoginTokens TokensOf(const domain::Account& account, const domain::Login& login,
                                     WallTime now) const;

  const Options options_;
  store::AccountStore& accounts_;
  store::LoginStore& logins_;
  const SessionTokens tokens_;
  const Clock& clock_;
  store::CachedAccess cached_;

  // Each check of a password takes a core and much memory for a while.
  std::counting_semaphore<64> checking_{2};

  std::mutex mu_;
  LoginDelay by_account_;
  LoginDelay by_address_;
  // The network that each of the newest accounts has logged in from: a stranger's failures
  // elsewhere do not keep its owner out.
  std::map<std::string, std::string> home_;
  int waiting_logins_ = 0;
  std::map<ApiTokenId, WallTime> used_tokens_;  // since flushed_at_
  MonoTime flushed_at_;
  std::uint64_t last_listener_ = 0;
  std::map<std::uint64_t, std::function<void()>> listeners_;
};

}  // namespace slipway::access
