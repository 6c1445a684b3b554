#include "controller/store/pg/authority_check.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <stdexcept>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/status/status.h"
#include "controller/store/pg/change_batch.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;
using domain::Authority;

// Looked up one by one, whatever the planner thinks of the tables: see pg_scheduler_store.cc.
constexpr Statement kAsk{"authority_ask", R"(
SELECT q.n, a.kind, a.live AND l.live AND t.live AS live, t.operations, t.applications, g.grants
  FROM json_to_recordset($1::json) AS q(
         n integer, account text, login text, token text, application text)
 CROSS JOIN LATERAL (
         SELECT coalesce(max(kind), '') AS kind, coalesce(bool_and(state = 'active'), false) AS live
           FROM accounts WHERE id = q.account) AS a
 CROSS JOIN LATERAL (
         SELECT q.login = '' OR count(*) > 0 AS live FROM logins
          WHERE id = q.login AND account_id = q.account AND ended_at IS NULL) AS l
 CROSS JOIN LATERAL (
         SELECT q.token = '' OR count(*) > 0 AS live,
                coalesce(json_agg(operations) -> 0, '[]') AS operations,
                coalesce(json_agg(applications) -> 0, '[]') AS applications
           FROM api_tokens
          WHERE id = q.token AND account_id = q.account AND revoked_at IS NULL) AS t
 CROSS JOIN LATERAL (
         SELECT coalesce(json_agg()" SLIPWAY_PG_GRANT_JSON R"(), '[]') AS grants
           FROM held_grants h
          WHERE h.account_id = q.account
            AND (h.application_id = q.application OR h.application_id IS NULL)) AS g)"};

std::string Text(const json::value& value) {
  const json::string& text = value.as_string();
  return {text.data(), text.size()};
}

absl::Status Refusal(absl::StatusCode code, std::string_view reason) {
  return MakeError(code, reason, "the account may not do this any more",
                   "Ask an admin of the farm for the right.");
}

absl::Status Judge(const Authority& authority, const pqxx::row& row) {
  domain::Holder holder;
  const auto kind = domain::ParseAccountKind(row["kind"].as<std::string>());
  holder.live = kind.has_value() && row["live"].as<bool>();
  if (kind) holder.kind = *kind;
  holder.token_operations =
      OperationsFromJson(json::parse(row["operations"].as<std::string>()).as_array());
  const json::value applications = json::parse(row["applications"].as<std::string>());
  for (const json::value& id : applications.as_array()) {
    holder.token_applications.emplace_back(Text(id));
  }
  if (authority.need == Authority::Need::kAccount) {
    return holder.live ? absl::OkStatus()
                       : Refusal(absl::StatusCode::kPermissionDenied, "BAD_TOKEN");
  }
  if (authority.need != Authority::Need::kApplication) {
    if (domain::Administers(holder, authority.need)) return absl::OkStatus();
    return Refusal(absl::StatusCode::kPermissionDenied,
                   authority.need == Authority::Need::kAdmin ? "ADMIN_ONLY" : "OPERATOR_ONLY");
  }
  std::vector<domain::Grant> grants;
  const json::value held = json::parse(row["grants"].as<std::string>());
  for (const json::value& grant : held.as_array()) grants.push_back(GrantFromJson(grant));
  const domain::Verdict verdict = domain::Decide(holder, grants, authority.question);
  if (verdict == domain::Verdict::kAllowed) return absl::OkStatus();
  return Refusal(verdict == domain::Verdict::kInvisible ? absl::StatusCode::kNotFound
                                                        : absl::StatusCode::kPermissionDenied,
                 domain::VerdictReason(verdict));
}

const Cause* CauseOf(const Change& change) {
  return std::visit(
      [](const auto& one) -> const Cause* {
        if constexpr (requires { one.cause; }) {
          return &one.cause;
        } else {
          return nullptr;
        }
      },
      change);
}

// Enters the attempt where `refusal` is one of a right that has ended.
void EnterRefusal(Database& database, domain::AuditEntry attempt, const absl::Status& refusal) {
  const std::string reason = GetErrorInfo(refusal).reason;
  if (refusal.ok() || reason.empty()) return;
  attempt.reason = reason;
  // What the change would have been; and no two of them are alike.
  attempt.before.clear();
  attempt.after.clear();
  attempt.details.clear();
  database.EnterRefusal(std::move(attempt));
}

}  // namespace

std::vector<absl::Status> CheckAuthorities(Transaction& transaction,
                                           const std::vector<Authority>& authorities) {
  json::array questions;
  for (std::size_t i = 0; i < authorities.size(); ++i) {
    const Authority& authority = authorities[i];
    if (authority.need == Authority::Need::kNothing) continue;
    questions.push_back(json::object{{"n", i},
                                     {"account", authority.account.value()},
                                     {"login", authority.login.value()},
                                     {"token", authority.token.value()},
                                     {"application", authority.question.application.value()}});
  }
  std::vector<absl::Status> statuses(authorities.size());
  if (questions.empty()) return statuses;
  for (const pqxx::row& row : transaction.Run(kAsk, std::string(json::serialize(questions)))) {
    const auto i = row["n"].as<std::size_t>();
    statuses[i] = Judge(authorities[i], row);
  }
  return statuses;
}

absl::Status CheckCause(Database& database, Transaction& transaction, const Cause& cause,
                        const domain::AuditEntry& entry) {
  for (const absl::Status& status : CheckAuthorities(transaction, cause.authorities)) {
    if (status.ok()) continue;
    EnterRefusal(database, entry, status);
    return status;
  }
  return absl::OkStatus();
}

std::vector<absl::Status> RightsOf(const std::vector<Change>& changes, Transaction& transaction) {
  std::vector<domain::Authority> distinct;
  absl::flat_hash_map<domain::Authority, std::size_t> places;  // in `distinct`
  std::vector<std::pair<std::size_t, std::size_t>> rests;      // change, authority
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Cause* cause = CauseOf(changes[i]);
    if (cause == nullptr) continue;
    for (const domain::Authority& authority : cause->authorities) {
      const auto [place, is_new] = places.try_emplace(authority, distinct.size());
      rests.emplace_back(i, place->second);
      if (is_new) distinct.push_back(authority);
    }
  }
  std::vector<absl::Status> rights(changes.size());
  const std::vector<absl::Status> answers = CheckAuthorities(transaction, distinct);
  for (const auto& [change, authority] : rests) rights[change].Update(answers[authority]);
  return rights;
}

void EnterRefusals(Database& database, const std::vector<Change>& changes,
                   const std::vector<absl::Status>& rights) {
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (rights[i].ok()) continue;
    if (auto attempt = AuditEntryOf(changes[i])) {
      EnterRefusal(database, *std::move(attempt), rights[i]);
    }
  }
}

domain::Operations OperationsFromJson(const json::array& names) {
  domain::Operations operations;
  for (const json::value& name : names) {
    const auto operation = domain::ParseOperation(Text(name));
    if (!operation) throw std::runtime_error("not a stored operation: " + Text(name));
    operations.Add(*operation);
  }
  return operations;
}

domain::Grant GrantFromJson(const json::value& grant) {
  return {.application = ApplicationId(Text(grant.at("application"))),
          .operations = OperationsFromJson(grant.at("operations").as_array()),
          .environment = Text(grant.at("environment")),
          .pages = Text(grant.at("pages"))};
}

std::string OperationsArray(domain::Operations operations) {
  std::vector<std::string> names;
  for (const domain::Operation operation : operations.List()) {
    names.emplace_back(domain::OperationName(operation));
  }
  return TextArray(names);
}

}  // namespace slipway::store::pg
