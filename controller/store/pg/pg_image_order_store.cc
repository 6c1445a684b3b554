#include "controller/store/pg/pg_image_order_store.h"

#include "common/status/status.h"
#include "controller/store/pg/audit_chain.h"
#include "controller/store/pg/authority_check.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

constexpr Statement kPutOrder{"image_orders_put", R"(
INSERT INTO image_orders (image, agent, requested_by, requested_at)
VALUES ($1, $2, $3, from_micros($4))
ON CONFLICT (image, agent) DO UPDATE
   SET number = DEFAULT, requested_by = excluded.requested_by, requested_at = excluded.requested_at
RETURNING number)"};
constexpr Statement kRemoveOrders{
    "image_orders_remove", "DELETE FROM image_orders WHERE image = $1 AND ($2 = '' OR agent = $2)"};
constexpr Statement kOrders{"image_orders_list", R"(
SELECT image, agent, number, requested_by, to_micros(requested_at) AS requested_at
  FROM image_orders ORDER BY image COLLATE "C", agent COLLATE "C")"};

domain::AuditEntry Entry(const char* action, const std::string& image, const AgentId& agent,
                         const Cause& cause) {
  domain::AuditEntry entry;
  entry.actor = cause.actor;
  entry.from = cause.from;
  entry.action = action;
  entry.object = "image";
  entry.subject = image;
  if (!agent.value().empty()) entry.details.emplace_back("agent", agent.value());
  return entry;
}

}  // namespace

absl::StatusOr<std::vector<domain::ImageOrder>> PgImageOrderStore::Put(
    std::vector<domain::ImageOrder> orders, const Cause& cause) {
  for (const domain::ImageOrder& order : orders) {
    if (!IsStorableText(order.image) || !IsStorableText(order.agent.value()) ||
        !IsStorableText(order.requested_by)) {
      return MakeError(absl::StatusCode::kInvalidArgument, "BAD_TEXT",
                       "a text holds a NUL byte or bytes that are no UTF-8", "Send text in UTF-8.");
    }
  }
  const absl::Status status = database_.Write([&](Transaction& transaction) -> absl::Status {
    std::vector<domain::AuditEntry> entries;
    for (const domain::ImageOrder& order : orders) {
      entries.push_back(Entry("order_image", order.image, order.agent, cause));
    }
    if (!entries.empty()) {
      SLIPWAY_RETURN_IF_ERROR(CheckCause(database_, transaction, cause, entries.front()));
    }
    for (domain::ImageOrder& order : orders) {
      const pqxx::result row =
          transaction.Run(kPutOrder, order.image, order.agent.value(), order.requested_by,
                          ToUnixMicros(order.requested_at));
      order.number = row.at(0)["number"].as<std::uint64_t>();
    }
    AppendAudit(transaction, entries);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return orders;
}

absl::StatusOr<int> PgImageOrderStore::Remove(const std::string& image, const AgentId& agent,
                                              const Cause& cause) {
  if (!IsStorableText(image) || !IsStorableText(agent.value())) return 0;
  int removed = 0;
  const domain::AuditEntry entry = Entry("forget_image", image, agent, cause);
  const absl::Status status = database_.Write([&](Transaction& transaction) -> absl::Status {
    SLIPWAY_RETURN_IF_ERROR(CheckCause(database_, transaction, cause, entry));
    removed =
        static_cast<int>(transaction.Run(kRemoveOrders, image, agent.value()).affected_rows());
    if (removed > 0) AppendAudit(transaction, {entry});
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return removed;
}

absl::StatusOr<std::vector<domain::ImageOrder>> PgImageOrderStore::List() {
  std::vector<domain::ImageOrder> orders;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    orders.clear();
    for (const pqxx::row& row : transaction.Run(kOrders)) {
      orders.push_back({.image = row["image"].as<std::string>(),
                        .agent = AgentId(row["agent"].as<std::string>()),
                        .number = row["number"].as<std::uint64_t>(),
                        .requested_by = row["requested_by"].as<std::string>(),
                        .requested_at = TimeOf(row["requested_at"])});
    }
    return absl::OkStatus();
  }));
  return orders;
}

}  // namespace slipway::store::pg
