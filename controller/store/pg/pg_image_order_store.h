#pragma once

#include <string>
#include <vector>

#include "controller/store/image_order_store.h"
#include "controller/store/pg/database.h"

namespace slipway::store::pg {

// Image orders in PostgreSQL. Thread-safe; `database` must outlive it. Writes need a begun term
// (NOT_LEADER otherwise).
class PgImageOrderStore final : public ImageOrderStore {
 public:
  explicit PgImageOrderStore(Database& database) : database_(database) {}

  absl::StatusOr<std::vector<domain::ImageOrder>> Put(std::vector<domain::ImageOrder> orders,
                                                      const Cause& cause) override;
  absl::StatusOr<int> Remove(const std::string& image, const AgentId& agent,
                             const Cause& cause) override;
  absl::StatusOr<std::vector<domain::ImageOrder>> List() override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
