#include "controller/access/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/crypto/password.h"
#include "common/crypto/token.h"
#include "common/status/status.h"

namespace slipway::access {
namespace {

using domain::Authority;
using domain::Verdict;

constexpr std::size_t kMostHomes = 10'000;
constexpr std::string_view kApiTokenPrefix = "slt_";

absl::Status BadToken() {
  return MakeError(absl::StatusCode::kUnauthenticated, "BAD_TOKEN",
                   "the token is not valid, or not any more",
                   "Log in again, or ask an admin of the farm for a new API token.");
}

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

absl::Status NarrowToken() {
  return MakeError(absl::StatusCode::kPermissionDenied, "TOKEN_FORBIDS",
                   "this API token is narrowed to some operations or applications",
                   "Use a login, or a token that is not narrowed.");
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

domain::Holder Caller::holder() const {
  domain::Holder holder{.kind = account.kind, .live = true};
  if (api_token) {
    holder.token_operations = api_token->operations;
    holder.token_applications = api_token->applications;
  }
  return holder;
}

Authority Caller::AuthorityFor(domain::Question question) const {
  Authority authority = AuthorityFor(Authority::Need::kApplication);
  authority.question = std::move(question);
  return authority;
}

Authority Caller::AuthorityFor(Authority::Need need) const {
  return {.need = need,
          .account = account.id,
          .login = login,
          .token = api_token ? api_token->id : ApiTokenId(),
          .question = {}};
}

Access::Access(const Options& options, store::AccountStore& accounts, store::LoginStore& logins,
               SessionTokens tokens, const Clock& clock)
    : options_(options),
      accounts_(accounts),
      logins_(logins),
      tokens_(std::move(tokens)),
      clock_(clock),
      cached_(accounts, logins),
      by_account_(options.by_account),
      by_address_(options.by_address) {}

absl::StatusOr<Caller> Access::Authenticate(const std::string& bearer, const std::string& address) {
  if (bearer.empty()) {
    return MakeError(absl::StatusCode::kUnauthenticated, "NO_TOKEN", "this call needs a token",
                     "Log in, or send an API token as `authorization: Bearer TOKEN`.");
  }
  absl::StatusOr<Caller> caller = BadToken();
  if (!SessionTokens::LooksLikeAccess(bearer)) {
    caller = ByApiToken(crypto::HashToken(bearer).Hex());
  } else if (const auto claims = tokens_.ReadAccess(bearer, clock_.Wall())) {
    caller = ByLogin(claims->login);
    const bool same = caller.ok() && caller->account.id == claims->account &&
                      caller->account.epoch == claims->epoch;
    if (caller.ok() && !same) return BadToken();
  }
  if (caller.ok()) caller->address = address;
  return caller;
}

absl::StatusOr<Caller> Access::Again(const Caller& before) {
  auto caller = before.api_token ? ByApiToken(before.token_hash) : ByLogin(before.login);
  if (caller.ok()) caller->address = before.address;
  return caller;
}

absl::StatusOr<Caller> Access::ByLogin(const LoginId& id) {
  const auto login = cached_.Login(id);
  if (login.status().code() == absl::StatusCode::kNotFound) return BadToken();
  SLIPWAY_RETURN_IF_ERROR(login.status());
  auto account = cached_.Account(login->account);
  if (account.status().code() == absl::StatusCode::kNotFound) return BadToken();
  SLIPWAY_RETURN_IF_ERROR(account.status());
  const bool good =
      login->epoch == account->epoch && account->state == domain::AccountState::kActive;
  if (!good) return BadToken();
  Caller caller;
  caller.account = *std::move(account);
  caller.login = id;
  return caller;
}

absl::StatusOr<Caller> Access::ByApiToken(const std::string& token_hash) {
  auto found = cached_.Token(token_hash);
  if (found.status().code() == absl::StatusCode::kNotFound) return BadToken();
  SLIPWAY_RETURN_IF_ERROR(found.status());
  auto& [token, account] = *found;
  const WallTime now = clock_.Wall();
  const bool good = token.revoked_at == WallTime() &&
                    (token.expires_at == WallTime() || token.expires_at > now) &&
                    account.state == domain::AccountState::kActive;
  if (!good) return BadToken();
  bool flush = false;
  {
    const std::lock_guard lock(mu_);
    used_tokens_[token.id] = now;
    flush = clock_.Mono() - flushed_at_ > options_.token_use_interval;
    if (flush) flushed_at_ = clock_.Mono();
  }
  if (flush) FlushTokenUse();
  Caller caller;
  caller.account = std::move(account);
  caller.api_token = std::move(token);
  caller.token_hash = token_hash;
  return caller;
}

absl::StatusOr<Access::Checked> Access::CheckPassword(const std::string& account,
                                                      const std::string& password) {
  auto found = accounts_.FindPassword(account);
  if (!found.ok() && found.status().code() != absl::StatusCode::kNotFound) return found.status();
  {
    const std::lock_guard lock(mu_);
    if (waiting_logins_ >= options_.most_waiting_logins) {
      return MakeError(absl::StatusCode::kResourceExhausted, "LOGIN_DELAYED",
                       "too many people log in at this moment", "Try again in a few seconds.");
    }
    ++waiting_logins_;
  }
  checking_.acquire();
  const bool fits = crypto::FitsPassword(found.ok() ? found->second : "", password);
  checking_.release();
  {
    const std::lock_guard lock(mu_);
    --waiting_logins_;
  }
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
  const std::string here = key + "@" + network;
  bool at_home = false;
  {
    const std::lock_guard lock(mu_);
    const MonoTime now = clock_.Mono();
    const auto home = home_.find(key);
    at_home = home != home_.end() && home->second == network;
    const Duration wait =
        std::max(by_address_.Left(network, now), by_account_.Left(at_home ? here : key, now));
    if (wait > Duration::zero()) return Delayed(wait);
    // Counted before it is known, so that many at once are not one; taken back on success.
    by_account_.Failed(at_home ? here : key, now);
    by_address_.Failed(network, now);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto checked, CheckPassword(account, password));
  if (!checked.fits) return BadLogin();
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
  if (absl::IsAborted(added)) return BadLogin();
  SLIPWAY_RETURN_IF_ERROR(added);
  {
    const std::lock_guard lock(mu_);
    by_account_.Succeeded(at_home ? here : key);
    by_address_.TakeBack(network);
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

absl::StatusOr<int> Access::Logout(const Caller& caller, bool everywhere) {
  const store::Cause cause = CauseOf(caller, {caller.AuthorityFor(Authority::Need::kAccount)});
  absl::StatusOr<int> ended = 0;
  if (everywhere) {
    if (caller.api_token && caller.api_token->narrowed()) return NarrowToken();
    ended = logins_.EndLogins(caller.account.id, cause);
  } else if (!caller.login.value().empty()) {
    const absl::Status status =
        logins_.EndLogin(caller.login, caller.account.id, "logged out", cause);
    ended = status.ok() ? absl::StatusOr<int>(1) : status;
  } else {
    return ended;
  }
  // Whatever came of it: an error may be one of the answer only. So below.
  Changed();
  return ended;
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
  const std::string key = "login " + caller.login.value();
  {
    const std::lock_guard lock(mu_);
    const Duration wait = by_account_.Left(key, clock_.Mono());
    if (wait > Duration::zero()) return Delayed(wait);
    by_account_.Failed(key, clock_.Mono());
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto checked, CheckPassword(caller.account.name, old_password));
  if (!checked.fits) return WrongPassword();
  {
    const std::lock_guard lock(mu_);
    by_account_.Succeeded(key);
  }
  const absl::Status changed = accounts_.SetPassword(
      caller.account.id, crypto::HashPassword(new_password), checked.hash, caller.login,
      CauseOf(caller, {caller.AuthorityFor(Authority::Need::kAccount)}));
  Changed();
  // Somebody else set another one while this one was being checked.
  return absl::IsAborted(changed) ? WrongPassword() : changed;
}

absl::StatusOr<std::pair<domain::ApiToken, std::string>> Access::CreateToken(
    const Caller& caller, domain::ApiToken wanted, Duration lifetime) {
  if (caller.api_token && caller.api_token->narrowed()) return NarrowToken();
  std::vector<Authority> authorities{caller.AuthorityFor(Authority::Need::kAccount)};
  if (wanted.account != caller.account.id) {
    SLIPWAY_RETURN_IF_ERROR(CheckAdministers(caller, Authority::Need::kAdmin));
    authorities.push_back(caller.AuthorityFor(Authority::Need::kAdmin));
  }
  const crypto::SecretBytes secret = crypto::NewToken(kApiTokenPrefix);
  const store::Cause cause = CauseOf(caller, std::move(authorities));
  wanted.id = ApiTokenId(NewId("token-"));
  wanted.created_at = cause.at;
  wanted.expires_at = cause.at + lifetime;
  SLIPWAY_RETURN_IF_ERROR(logins_.AddToken(crypto::HashToken(secret.view()).Hex(), wanted, cause));
  return std::pair(std::move(wanted), std::string(secret.view()));
}

absl::Status Access::EndLogin(const Caller& caller, const LoginId& id) {
  if (caller.api_token && caller.api_token->narrowed()) return NarrowToken();
  const bool admin = CheckAdministers(caller, Authority::Need::kAdmin).ok();
  const absl::Status ended = logins_.EndLogin(
      id, admin ? AccountId() : caller.account.id, "ended by " + caller.account.name,
      CauseOf(caller,
              {caller.AuthorityFor(admin ? Authority::Need::kAdmin : Authority::Need::kAccount)}));
  Changed();
  return ended;
}

absl::Status Access::RevokeToken(const Caller& caller, const ApiTokenId& id) {
  if (caller.api_token && caller.api_token->narrowed() && caller.api_token->id != id) {
    return NarrowToken();
  }
  const bool admin = CheckAdministers(caller, Authority::Need::kAdmin).ok();
  const absl::Status revoked = logins_.RevokeToken(
      id, admin ? AccountId() : caller.account.id,
      CauseOf(caller,
              {caller.AuthorityFor(admin ? Authority::Need::kAdmin : Authority::Need::kAccount)}));
  Changed();
  return revoked;
}

absl::Status Access::Check(const Caller& caller, const domain::Question& question,
                           const absl::Status& invisible) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto grants,
                           cached_.Grants(caller.account.id, question.application));
  const Verdict verdict = domain::Decide(caller.holder(), grants, question);
  const std::string_view operation = domain::OperationName(question.operation);
  switch (verdict) {
    case Verdict::kAllowed: return absl::OkStatus();
    case Verdict::kInvisible: return invisible;
    case Verdict::kKindForbids:
      return MakeError(absl::StatusCode::kPermissionDenied, domain::VerdictReason(verdict),
                       fmt::format("accounts of the kind {} never have the operation {}",
                                   domain::AccountKindName(caller.account.kind), operation));
    case Verdict::kTokenForbids:
      return MakeError(absl::StatusCode::kPermissionDenied, domain::VerdictReason(verdict),
                       fmt::format("this API token is not for the operation {}", operation),
                       "Make one that is: slipway tokens create.");
    case Verdict::kElsewhere:
      return MakeError(absl::StatusCode::kPermissionDenied, domain::VerdictReason(verdict),
                       fmt::format("{} holds the operation {}, but not for environment '{}'",
                                   caller.account.name, operation, question.environment),
                       "Ask an admin of the farm for the grant.");
    case Verdict::kNotGranted: break;
  }
  return MakeError(absl::StatusCode::kPermissionDenied, domain::VerdictReason(verdict),
                   fmt::format("{} does not hold the operation {} on this application",
                               caller.account.name, operation),
                   "Ask an admin of the farm for the grant.");
}

absl::Status Access::CheckAdministers(const Caller& caller, Authority::Need need) {
  if (domain::Administers(caller.holder(), need)) return absl::OkStatus();
  if (domain::Administers({.kind = caller.account.kind}, need)) return NarrowToken();
  if (need == Authority::Need::kAdmin) {
    return MakeError(absl::StatusCode::kPermissionDenied, "ADMIN_ONLY", "only admins may do this");
  }
  return MakeError(absl::StatusCode::kPermissionDenied, "OPERATOR_ONLY",
                   "only operators and admins may do this");
}

void Access::Changed() {
  cached_.Clear();
  std::vector<std::function<void()>> listeners;
  {
    const std::lock_guard lock(mu_);
    for (const auto& [id, listener] : listeners_) listeners.push_back(listener);
  }
  for (const auto& listener : listeners) listener();
}

std::shared_ptr<void> Access::OnChange(std::function<void()> listener) {
  const std::lock_guard lock(mu_);
  const std::uint64_t id = ++last_listener_;
  listeners_.emplace(id, std::move(listener));
  return {this, [id](Access* self) {
            const std::lock_guard guard(self->mu_);
            self->listeners_.erase(id);
          }};
}

void Access::FlushTokenUse() {
  std::map<ApiTokenId, WallTime> used;
  {
    const std::lock_guard lock(mu_);
    used.swap(used_tokens_);
    flushed_at_ = clock_.Mono();
  }
  // A use that is not written down is no harm.
  if (!used.empty()) logins_.TouchTokens(used).IgnoreError();
}

store::Cause Access::CauseOf(const Caller& caller, std::vector<Authority> authorities) const {
  return {.actor = caller.account.name,
          .at = FromUnixMicros(ToUnixMicros(clock_.Wall())),
          .from = caller.address,
          .authorities = std::move(authorities)};
}

}  // namespace slipway::access
