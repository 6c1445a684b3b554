#pragma once

#include <map>
#include <string>
#include <vector>

#include "controller/store/catalog_store.h"
#include "controller/store/pg/database.h"

namespace slipway::store::pg {

// AgentStore in PostgreSQL. A text that it cannot hold (a NUL byte, no UTF-8) is kInvalidArgument
// when written and kNotFound when looked for. Writes need a begun term (NOT_LEADER otherwise).
// Thread-safe; `database` must outlive it.
class PgAgentStore final : public AgentStore {
 public:
  explicit PgAgentStore(Database& database) : database_(database) {}

  absl::Status AddJoinToken(const domain::JoinToken& token, const Cause& cause) override;
  absl::StatusOr<Page<domain::JoinToken>> ListJoinTokens(bool open_only, WallTime now,
                                                         const PageRequest& page) override;
  absl::StatusOr<domain::JoinTokenState> RevokeJoinToken(const std::string& short_id,
                                                         const Cause& cause) override;
  absl::StatusOr<domain::JoinTokenState> Join(const std::string& token_hash,
                                              const domain::Agent& agent, WallTime now) override;
  absl::StatusOr<domain::Agent> Get(const AgentId& id) override;
  absl::StatusOr<std::vector<domain::Agent>> List() override;
  absl::Status Touch(const Seen& seen, WallTime now) override;
  absl::Status AddSuccessor(const AgentId& id, const domain::AgentCertificate& successor,
                            WallTime now) override;
  absl::Status PromoteSuccessor(const AgentId& id, const std::string& fingerprint,
                                WallTime now) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
