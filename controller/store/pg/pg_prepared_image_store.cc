#include "controller/store/pg/pg_prepared_image_store.h"

#include "common/status/status.h"
#include "controller/store/pg/catalog_sql.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

constexpr Statement kFind{"prepared_images_find", R"(
SELECT manifest FROM prepared_images WHERE application_id = $1 AND name = $2)"};
constexpr Statement kHolds{"prepared_images_holds", R"(
SELECT 1 FROM prepared_images WHERE application_id = $1 AND manifest = $2)"};
constexpr Statement kPut{"prepared_images_put", R"(
INSERT INTO prepared_images AS p (application_id, name, manifest, shared_by, shared_at)
VALUES ($1, $2, $3, $4, from_micros($5))
ON CONFLICT (application_id, name) DO UPDATE
   SET manifest = excluded.manifest, shared_by = excluded.shared_by,
       shared_at = excluded.shared_at)"};

}  // namespace

absl::StatusOr<std::optional<Sha256Digest>> PgPreparedImageStore::Find(
    const ApplicationId& application, const std::string& name) {
  std::optional<Sha256Digest> found;
  if (!CheckStorable({application.value(), name}).ok()) return found;
  SLIPWAY_ASSIGN_OR_RETURN(
      const auto manifests,
      Select<std::string>(
          database_, kFind, [](const pqxx::row& row) { return row[0].as<std::string>(); },
          application.value(), name));
  if (!manifests.empty()) found = Sha256Digest::Parse(manifests.front());
  return found;
}

absl::StatusOr<bool> PgPreparedImageStore::Holds(const ApplicationId& application,
                                                 const Sha256Digest& manifest) {
  if (!CheckStorable({application.value()}).ok()) return false;
  SLIPWAY_ASSIGN_OR_RETURN(
      const auto rows, Select<int>(
                           database_, kHolds, [](const pqxx::row& row) { return row[0].as<int>(); },
                           application.value(), manifest.Hex()));
  return !rows.empty();
}

absl::Status PgPreparedImageStore::Put(const ApplicationId& application, const std::string& name,
                                       const Sha256Digest& manifest, const AgentId& by,
                                       WallTime now) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({application.value(), name, by.value()}));
  return Execute(database_, kPut, application.value(), name, manifest.Hex(), by.value(),
                 ToUnixMicros(now));
}

}  // namespace slipway::store::pg
