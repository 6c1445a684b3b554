#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "controller/domain/account.h"

// Who may do what: the one place that decides. The API asks it before it answers, and the stores
// ask it again, with the rows of the transaction that makes the change. Pure.
namespace slipway::domain {

// What a kind of account may hold at all.
[[nodiscard]] Operations HoldableBy(AccountKind kind);

// An account as seen through the token that it came with.
struct Holder {
  AccountKind kind = AccountKind::kMember;
  bool live = true;  // account, login and token are all good now
  // Of an API token that was narrowed; empty: not narrowed.
  Operations token_operations{};
  std::vector<ApplicationId> token_applications{};
};

// What is to be done. `environment` and `pages` count for preview, publish, approve and
// deploy.
struct Question {
  ApplicationId application;
  Operation operation = Operation::kView;
  std::string environment{};
  std::string pages{};
  friend bool operator==(const Question&, const Question&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Question& q) {
    return H::combine(std::move(h), q.application, q.operation, q.environment, q.pages);
  }
};

enum class Verdict {
  kAllowed,
  // The application is not there for this account.
  kInvisible,
  // It is, but this was not granted to it.
  kNotGranted,
  // It was granted, but not for this environment or page.
  kElsewhere,
  // This kind of account never may.
  kKindForbids,
  // The account may, but not with this API token.
  kTokenForbids,
};

// `grants`: those of the account and of its groups that name this application or all.
[[nodiscard]] Verdict Decide(const Holder& holder, std::span<const Grant> grants,
                             const Question& question);

// The operations that Decide allows somewhere, in whatever environment.
[[nodiscard]] Operations AllowedSomewhere(const Holder& holder, std::span<const Grant> grants,
                                          const ApplicationId& application);

// "NOT_GRANTED" and so on, which clients know; "" for kAllowed.
[[nodiscard]] std::string_view VerdictReason(Verdict verdict);

// What a change of somebody's making rests on, so that the store can ask again. The default rests
// on nothing: the farm's own doing.
struct Authority {
  // kAccount: account, login and token are good; kApplication: the question; the others: a kind of
  // account, with a token that is not narrowed.
  enum class Need { kNothing, kAccount, kApplication, kOperator, kAdmin };
  Need need = Need::kNothing;
  AccountId account{};
  LoginId login{};      // empty: none
  ApiTokenId token{};   // empty: none
  Question question{};  // of kApplication
  friend bool operator==(const Authority&, const Authority&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Authority& a) {
    return H::combine(std::move(h), a.need, a.account, a.login, a.token, a.question);
  }
};

// Whether the kind meets kOperator or kAdmin.
[[nodiscard]] bool Administers(const Holder& holder, Authority::Need need);

}  // namespace slipway::domain
