#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/domain/agent.h"
#include "controller/domain/application.h"

namespace slipway::store {

// What to change of an application; absent fields stay.
struct ApplicationChange {
  std::optional<std::string> description;
  std::optional<std::map<std::string, std::string>> requirements;
  std::optional<Duration> queue_timeout;
};

// Applications. Thread-safe.
class ApplicationStore {
 public:
  virtual ~ApplicationStore() = default;
  // kAlreadyExists: the name is taken.
  [[nodiscard]] virtual absl::Status Create(const domain::Application& application) = 0;
  // The application as changed. kNotFound.
  [[nodiscard]] virtual absl::StatusOr<domain::Application> Update(
      const std::string& name, const ApplicationChange& change) = 0;
  // kNotFound.
  [[nodiscard]] virtual absl::StatusOr<domain::Application> GetByName(const std::string& name) = 0;
  [[nodiscard]] virtual absl::StatusOr<domain::Application> Get(const ApplicationId& id) = 0;
  // By name.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::Application>> List() = 0;
};

// Agents and the tokens by which they join. Thread-safe.
class AgentStore {
 public:
  virtual ~AgentStore() = default;
  [[nodiscard]] virtual absl::Status AddJoinToken(const domain::JoinToken& token) = 0;
  // Uses the token up and inserts the agent, in one transaction. kPermissionDenied, reason
  // BAD_TOKEN: no such token, used or expired at `now` (told apart to nobody). kAlreadyExists: the
  // agent's name.
  [[nodiscard]] virtual absl::Status Join(const std::string& token_hash, const domain::Agent& agent,
                                          WallTime now) = 0;
  [[nodiscard]] virtual absl::StatusOr<domain::Agent> Get(const AgentId& id) = 0;
  // By name.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::Agent>> List() = 0;
  // Last seen and labels; at connect and once in a while. kNotFound.
  [[nodiscard]] virtual absl::Status Touch(const AgentId& id,
                                           const std::map<std::string, std::string>& labels,
                                           WallTime now) = 0;
};

// API tokens of people and machines; only hashes are stored. Thread-safe.
class TokenStore {
 public:
  virtual ~TokenStore() = default;
  [[nodiscard]] virtual absl::Status Add(const std::string& token_hash,
                                         const domain::Account& account, WallTime now) = 0;
  // kNotFound.
  [[nodiscard]] virtual absl::StatusOr<domain::Account> Find(const std::string& token_hash) = 0;
};

// What is one per farm. Thread-safe.
class FarmStore {
 public:
  virtual ~FarmStore() = default;
  // The farm's id; made at the first call and the same for ever.
  [[nodiscard]] virtual absl::StatusOr<FarmId> GetOrCreateFarmId() = 0;
};

}  // namespace slipway::store
