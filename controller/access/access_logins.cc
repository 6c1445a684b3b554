#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/crypto/password.h"
#include "common/status/status.h"
#include "controller/access/access.h"

// The part of Access that is about logging in: passwords, and the tokens of a login.
namespace slipway::access {
namespace {

using domain::Authority;

constexpr std::size_t kMostHomes = 10'000;
absl::Status BadLogin() {
  return MakeError(absl::StatusCode::kUnauthenticated, "BAD_LOGIN",
                   "account or password is wrong, or the account may not log in",
                   "Try again, or ask an admin of the farm to reset the password.");
}

absl::Status BadRefresh() {
  return MakeError(absl::StatusCode::kUnauthenticated, "BAD_REFRESH",
                   "the login has ended or its refresh token is spent", "Log in again.");
}

absl::Status Delayed(Duration wait) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
  return MakeError(absl::StatusCode::kResourceExhausted, "LOGIN_DELAYED",
                   fmt::format("too many failed logins; the next try counts in {} s", seconds),
                   "Wait so long, then try again.");
}

absl::Status WrongPassword() {
  return MakeError(absl::StatusCode::kPermissionDenied, "WRONG_PASSWORD",
                   "the old password is wrong");
}

constexpr std::size_t kLongestName = 256;

// Of an IPv6 address its network: a house has more addresses than anybody can count failures of.
std::string NetworkOf(const std::string& address) {
  std::size_t groups = 0;
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (address[i] == ':' && ++groups == 4) return address.substr(0, i);
  }
  return address;
}

}  // namespace

// A place among those who wait to have a password checked, and then the right to check one; both
// end with it.
class Access::CheckTurn {
 public:
  // nullptr: too many wait. Blocks until it is this one's turn.
  static std::unique_ptr<CheckTurn> Take(Access& access) {
    {
      const std::lock_guard lock(access.mu_);
      if (access.waiting_logins_ >= access.options_.most_waiting_logins) return nullptr;
      ++access.waiting_logins_;
    }
    access.checking_.acquire();
    return std::unique_ptr<CheckTurn>(new CheckTurn(access));
  }
  CheckTurn(const CheckTurn&) = delete;
  CheckTurn& operator=(const CheckTurn&) = delete;
  ~CheckTurn() {
    access_.checking_.release();
    const std::lock_guard lock(access_.mu_);
    --access_.waiting_logins_;
  }

 private:
  explicit CheckTurn(Access& access) : access_(access) {}
  Access& access_;
};

// A failure that is counted before it is known whether it is one. Taken back at the end of its
// scope, unless it Stands().
class Access::CountedTry {
 public:
  // Counts the try, unless there is something left to wait. nullopt: by account only.
  CountedTry(Access& access, std::string key, std::optional<std::string> network)
      : access_(access), key_(std::move(key)), network_(std::move(network)) {
    const std::lock_guard lock(access_.mu_);
    const MonoTime now = access_.clock_.Mono();
    wait_ = access_.by_account_.Left(key_, now);
    if (network_) wait_ = std::max(wait_, access_.by_address_.Left(*network_, now));
    if (wait_ > Duration::zero()) return;
    counted_ = true;
    access_.by_account_.Failed(key_, now);
    if (network_) access_.by_address_.Failed(*network_, now);
  }
  CountedTry(const CountedTry&) = delete;
  CountedTry& operator=(const CountedTry&) = delete;
  ~CountedTry() {
    if (!counted_) return;
    const std::lock_guard lock(access_.mu_);
    access_.by_account_.TakeBack(key_);
    if (network_) access_.by_address_.TakeBack(*network_);
  }

  [[nodiscard]] Duration wait() const { return wait_; }
  // It was a failure.
  void Stands() { counted_ = false; }
  // It was none, and those before are forgiven the account.
  void Succeeded() {
    const std::lock_guard lock(access_.mu_);
    access_.by_account_.Succeeded(key_);
  }

 private:
  Access& access_;
  const std::string key_;
  const std::optional<std::string> network_;
  Duration wait_ = Duration::zero();
  bool counted_ = false;
};

absl::StatusOr<Access::Checked> Access::CheckPassword(const std::string& account,
                                                      const std::string& password) {
  auto found = accounts_.FindPassword(account);
  if (!found.ok() && found.status().code() != absl::StatusCode::kNotFound) return found.status();
  const auto turn = CheckTurn::Take(*this);
  if (turn == nullptr) {
    return MakeError(absl::StatusCode::kResourceExhausted, "LOGIN_DELAYED",
                     "too many people log in at this moment", "Try again in a few seconds.");
  }
  const bool fits = crypto::FitsPassword(found.ok() ? found->second : "", password);
  Checked checked;
  if (!found.ok()) return checked;
  checked.account = std::move(found->first);
  checked.hash = std::move(found->second);
  checked.fits = fits && checked.account.state == domain::AccountState::kActive &&
                 checked.account.kind != domain::AccountKind::kService;
  return checked;
}

absl::StatusOr<LoginTokens> Access::Login(const std::string& account, const std::string& password,
                                          const std::string& client, const std::string& address) {
  if (account.size() > kLongestName || password.size() > crypto::kLongestPassword) {
    return BadLogin();
  }
  // However it is spelled, and whether or not there is such an account.
  SLIPWAY_ASSIGN_OR_RETURN(const std::string key, accounts_.NameKey(account));
  const std::string network = NetworkOf(address);
  bool at_home = false;
  {
    const std::lock_guard lock(mu_);
    const auto home = home_.find(key);
    at_home = home != home_.end() && home->second == network;
  }
  // Counted before it is known, so that many at once are not one. An error of the database is
  // nobody's failure.
  CountedTry counted(*this, at_home ? key + "@" + network : key, network);
  if (counted.wait() > Duration::zero()) return Delayed(counted.wait());
  SLIPWAY_ASSIGN_OR_RETURN(const auto checked, CheckPassword(account, password));
  if (!checked.fits) {
    counted.Stands();
    return BadLogin();
  }
  const domain::Account& found = checked.account;
  const WallTime now = FromUnixMicros(ToUnixMicros(clock_.Wall()));
  const domain::Login login{.id = LoginId(NewId("login-")),
                            .account = found.id,
                            .epoch = found.epoch,
                            .generation = 1,
                            .created_at = now,
                            .refreshed_at = now,
                            .expires_at = now + options_.login_lifetime,
                            .address = address,
                            .client = client};
  const absl::Status added =
      logins_.AddLogin(login, checked.hash, {.actor = found.name, .at = now, .from = address});
  // The password was changed while this one was being checked.
  if (absl::IsAborted(added)) {
    counted.Stands();
    return BadLogin();
  }
  SLIPWAY_RETURN_IF_ERROR(added);
  counted.Succeeded();
  {
    const std::lock_guard lock(mu_);
    if (home_.size() >= kMostHomes) home_.clear();
    home_[key] = network;
  }
  return TokensOf(found, login, now);
}

LoginTokens Access::TokensOf(const domain::Account& account, const domain::Login& login,
                             WallTime now) const {
  LoginTokens tokens;
  // The token has whole seconds.
  tokens.access_expires_at = WallTime(std::chrono::floor<std::chrono::seconds>(
      (now + options_.access_lifetime).time_since_epoch()));
  tokens.access = tokens_.MakeAccess({.account = account.id,
                                      .login = login.id,
                                      .epoch = account.epoch,
                                      .expires_at = tokens.access_expires_at},
                                     now);
  tokens.refresh = tokens_.MakeRefresh({.login = login.id, .generation = login.generation});
  tokens.refresh_expires_at = login.expires_at;
  tokens.account = account;
  return tokens;
}

absl::StatusOr<LoginTokens> Access::Refresh(const std::string& token, const std::string& address) {
  const auto claims = tokens_.ReadRefresh(token);
  if (!claims) return BadRefresh();
  const WallTime now = FromUnixMicros(ToUnixMicros(clock_.Wall()));
  // Twice at once: one of them finds the generation advanced by the other.
  for (int i = 0; i < 2; ++i) {
    auto login = logins_.GetLogin(claims->login);
    if (login.status().code() == absl::StatusCode::kNotFound) return BadRefresh();
    SLIPWAY_RETURN_IF_ERROR(login.status());
    auto account = accounts_.Get(login->account);
    if (account.status().code() == absl::StatusCode::kNotFound) return BadRefresh();
    SLIPWAY_RETURN_IF_ERROR(account.status());
    const bool good = login->expires_at > now && login->epoch == account->epoch &&
                      account->state == domain::AccountState::kActive;
    if (!good) return BadRefresh();
    if (claims->generation + 1 == login->generation &&
        now - login->refreshed_at < options_.refresh_overlap) {
      return TokensOf(*account, *login, now);
    }
    if (claims->generation != login->generation) {
      const absl::Status ended =
          logins_.EndLogin(login->id, login->account, "a spent refresh token came back",
                           {.actor = account->name, .at = now, .from = address});
      Changed();
      if (!ended.ok() && !absl::IsNotFound(ended)) return ended;
      return BadRefresh();
    }
    const WallTime expires_at = now + options_.login_lifetime;
    const absl::Status advanced =
        logins_.AdvanceLogin(login->id, login->generation, expires_at, now);
    if (advanced.code() == absl::StatusCode::kNotFound) continue;
    SLIPWAY_RETURN_IF_ERROR(advanced);
    ++login->generation;
    login->expires_at = expires_at;
    return TokensOf(*account, *login, now);
  }
  return BadRefresh();
}

absl::Status Access::ChangePassword(const Caller& caller, const std::string& old_password,
                                    const std::string& new_password) {
  if (caller.login.value().empty()) {
    return MakeError(absl::StatusCode::kPermissionDenied, "LOGIN_NEEDED",
                     "a password is changed by who has logged in with it",
                     "Log in; an API token is not enough.");
  }
  SLIPWAY_RETURN_IF_ERROR(crypto::CheckNewPassword(new_password));
  if (new_password == old_password) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PASSWORD",
                     "the new password is the old one");
  }
  // Strangers' failures with the name do not count here: this is somebody who is logged in.
  CountedTry counted(*this, "login " + caller.login.value(), std::nullopt);
  if (counted.wait() > Duration::zero()) return Delayed(counted.wait());
  SLIPWAY_ASSIGN_OR_RETURN(const auto checked, CheckPassword(caller.account.name, old_password));
  if (!checked.fits) {
    counted.Stands();
    return WrongPassword();
  }
  counted.Succeeded();
  const absl::Status changed = accounts_.SetPassword(
      caller.account.id, crypto::HashPassword(new_password), checked.hash, caller.login,
      CauseOf(caller, {caller.AuthorityFor(Authority::Need::kAccount)}));
  Changed();
  // Somebody else set another one while this one was being checked.
  return absl::IsAborted(changed) ? WrongPassword() : changed;
}

}  // namespace slipway::access
