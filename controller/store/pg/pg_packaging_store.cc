#include "controller/store/pg/pg_packaging_store.h"

#include <boost/json.hpp>

#include "common/status/status.h"
#include "controller/store/pg/catalog_sql.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

constexpr Statement kFind{"packagings_find", R"(
WITH lately AS MATERIALIZED (
  SELECT task_id, packaged_at FROM packagings
   WHERE application_id = $1 AND commit_id = $2 AND platform = $3
     AND packaged_at > from_micros($4)
   ORDER BY packaged_at DESC LIMIT $5
)
SELECT n.times, same.*
  FROM (SELECT count(*) AS times FROM lately) AS n
  LEFT JOIN LATERAL (
    SELECT )" SLIPWAY_PG_TASK_COLUMNS R"(
      FROM lately l
      -- Looked up one after the other, until one is the same.
     CROSS JOIN LATERAL (SELECT * FROM tasks WHERE id = l.task_id OFFSET 0) AS t
     CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = t.run_id OFFSET 0) AS r
     WHERE n.times > $6 AND r.version = $7 AND r.description = $8 AND r.parameters = $9::jsonb
       AND t.requirements = $10::jsonb
       AND (NOT $11 OR t.result #>> '{build,sealed_credential}' <> '')
       -- A prepared image is what it was made of, of which the commit has all but the builder
       -- image.
       AND EXISTS (SELECT FROM builder_images i
                    WHERE i.image = )" SLIPWAY_PG_BUILDER_IMAGE("t.result") R"(
                      AND i.digest = )" SLIPWAY_PG_BUILDER_DIGEST("t.result") R"()
     ORDER BY l.packaged_at DESC LIMIT 1
  ) AS same ON true)"};
constexpr Statement kForget{"packagings_forget",
                            "DELETE FROM packagings WHERE packaged_at < from_micros($1)"};

bool AreStorable(const std::map<std::string, std::string>& texts) {
  for (const auto& [name, value] : texts) {
    if (!IsStorableText(name) || !IsStorableText(value)) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<Packagings> PgPackagingStore::Find(const WantedBuild& wanted, WallTime since,
                                                  int more_than) {
  Packagings found;
  if (!CheckStorable({wanted.application.value(), wanted.commit, wanted.platform, wanted.version,
                      wanted.description})
           .ok() ||
      !AreStorable(wanted.parameters) || !AreStorable(wanted.requirements)) {
    return found;
  }
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    const pqxx::result rows = transaction.Run(
        kFind, wanted.application.value(), wanted.commit, wanted.platform, ToUnixMicros(since),
        kMostCounted, more_than, wanted.version, wanted.description,
        std::string(boost::json::serialize(LabelsToJson(wanted.parameters))),
        std::string(boost::json::serialize(LabelsToJson(wanted.requirements))),
        wanted.with_credential);
    const pqxx::row row = rows[0];
    found = {.times = row["times"].as<std::int64_t>(), .build = std::nullopt};
    if (!row["t_id"].is_null()) found.build = TaskFromRow(row);
    return absl::OkStatus();
  }));
  return found;
}

absl::Status PgPackagingStore::Forget(WallTime before) {
  return Execute(database_, kForget, ToUnixMicros(before));
}

}  // namespace slipway::store::pg
