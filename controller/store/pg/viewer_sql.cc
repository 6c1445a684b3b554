#include "controller/store/pg/viewer_sql.h"

#include <algorithm>

namespace slipway::store::pg {
namespace {

constexpr Statement kSeen{"viewer_seen", R"(
SELECT coalesce(bool_or(h.application_id IS NULL), false) AS every,
       coalesce(array_agg(DISTINCT h.application_id) FILTER (WHERE h.application_id IS NOT NULL),
                '{}') AS ids
  FROM held_applications h
 WHERE h.account_id = $1 AND h.operations && $2::text[])"};
// The same of some applications, which are looked up instead of all that was granted.
constexpr Statement kSeenOf{"viewer_seen_of", R"(
SELECT coalesce(bool_or(h.application_id IS NULL), false) AS every,
       coalesce(array_agg(DISTINCT h.application_id) FILTER (WHERE h.application_id IS NOT NULL),
                '{}') AS ids
  FROM held_applications h
 WHERE h.account_id = $1 AND h.operations && $2::text[]
   AND (h.application_id IS NULL OR h.application_id = ANY ($3::text[])))"};

}  // namespace

std::optional<std::string> SeenApplications(Transaction& transaction, const Viewer& viewer,
                                            const std::optional<ApplicationId>& application) {
  Viewer asked = viewer;
  if (application) {
    const auto& only = viewer.only;
    const bool may =
        only.empty() || std::find(only.begin(), only.end(), *application) != only.end();
    if (!may) return std::string(kNoApplications);
    asked.only = {*application};
  }
  const ViewerArguments arguments(asked);
  const auto every = [&]() -> std::optional<std::string> {
    if (asked.only.empty()) return std::nullopt;
    return arguments.only;
  };
  if (!asked.account) return every();
  const pqxx::result seen =
      asked.only.empty()
          ? transaction.Run(kSeen, arguments.account, arguments.holdable)
          : transaction.Run(kSeenOf, arguments.account, arguments.holdable, arguments.only);
  if (seen.at(0)["every"].as<bool>()) return every();
  return seen.at(0)["ids"].as<std::string>();
}

}  // namespace slipway::store::pg
