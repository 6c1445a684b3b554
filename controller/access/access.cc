#include "controller/access/access.h"

#include <fmt/format.h>

#include "common/crypto/token.h"
#include "common/status/status.h"

namespace slipway::access {
namespace {

using domain::Authority;
using domain::Verdict;

constexpr int kForgottenAtOnce = 500;
constexpr std::string_view kApiTokenPrefix = "slt_";

absl::Status BadToken() {
  return MakeError(absl::StatusCode::kUnauthenticated, "BAD_TOKEN",
                   "the token is not valid, or not any more",
                   "Log in again, or ask an admin of the farm for a new API token.");
}

absl::Status NarrowToken() {
  return MakeError(absl::StatusCode::kPermissionDenied, "TOKEN_FORBIDS",
                   "this API token is narrowed to some operations or applications",
                   "Use a login, or a token that is not narrowed.");
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
  auto login = cached_.Login(id);
  // It lasts longer with each refresh, which changes nothing else and is not remembered.
  if (login.ok() && login->expires_at <= clock_.Wall()) login = cached_.LoginAnew(id);
  if (login.status().code() == absl::StatusCode::kNotFound) return BadToken();
  SLIPWAY_RETURN_IF_ERROR(login.status());
  auto account = cached_.Account(login->account);
  if (account.status().code() == absl::StatusCode::kNotFound) return BadToken();
  SLIPWAY_RETURN_IF_ERROR(account.status());
  const bool good = login->expires_at > clock_.Wall() && login->epoch == account->epoch &&
                    account->state == domain::AccountState::kActive;
  if (!good) return BadToken();
  Caller caller;
  caller.account = *std::move(account);
  caller.login = id;
  caller.expires_at = login->expires_at;
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
  caller.expires_at = token.expires_at;
  caller.api_token = std::move(token);
  caller.token_hash = token_hash;
  return caller;
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

absl::StatusOr<std::pair<domain::ApiToken, std::string>> Access::CreateToken(
    const Caller& caller, domain::ApiToken wanted, Duration lifetime,
    const std::string& request_id) {
  if (caller.api_token && caller.api_token->narrowed()) return NarrowToken();
  std::vector<Authority> authorities{caller.AuthorityFor(Authority::Need::kAccount)};
  if (wanted.account != caller.account.id) {
    SLIPWAY_RETURN_IF_ERROR(CheckAdministers(caller, Authority::Need::kAdmin));
    authorities.push_back(caller.AuthorityFor(Authority::Need::kAdmin));
  }
  const crypto::SecretBytes secret = crypto::NewToken(kApiTokenPrefix);
  store::Cause cause = CauseOf(caller, std::move(authorities));
  cause.request_id = request_id;
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
  // Nobody may make everybody's rights be read anew by naming what does not exist.
  if (!absl::IsNotFound(ended)) Changed();
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
  if (!absl::IsNotFound(revoked)) Changed();
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

bool Access::ForgetEnded() {
  const auto forgotten =
      logins_.ForgetEnded(clock_.Wall() - options_.kept_after_end, kForgottenAtOnce);
  // What could not be deleted now is deleted the next time.
  return forgotten.ok() && *forgotten >= kForgottenAtOnce;
}

store::Cause Access::CauseOf(const Caller& caller, std::vector<Authority> authorities) const {
  return {.actor = caller.account.name,
          .at = FromUnixMicros(ToUnixMicros(clock_.Wall())),
          .from = caller.address,
          .authorities = std::move(authorities)};
}

}  // namespace slipway::access
