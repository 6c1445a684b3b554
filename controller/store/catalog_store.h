#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/domain/agent.h"
#include "controller/domain/application.h"
#include "controller/store/cause.h"
#include "controller/store/page.h"
#include "controller/store/viewer.h"

namespace slipway::store {

// What to change of an application; absent fields stay.
struct ApplicationChange {
  std::optional<std::string> description;
  std::optional<std::map<std::string, std::string>> requirements;
  std::optional<Duration> queue_timeout;
  std::optional<std::string> repository;
  // The revision that the caller has seen; absent: any.
  std::optional<std::int64_t> revision;
};

struct ApplicationFilter {
  Viewer viewer{};
  int page_size = 100;       // 1 … 1000
  std::string page_token{};  // the name of the last one before
};

struct ApplicationPage {
  std::vector<domain::Application> applications;
  std::string next_page_token;  // empty: no more
  std::int64_t total = 0;       // that the viewer sees, on all pages
};

// Applications; every change is audited with it, and refused inside its transaction when one of
// cause.authorities does not hold there. Thread-safe.
class ApplicationStore {
 public:
  virtual ~ApplicationStore() = default;
  // As stored; what was made before when cause.request_id is the same by the same actor, and
  // nothing changes. kAlreadyExists APPLICATION_EXISTS: the name is taken; REQUEST_ID_REUSED: the
  // request id is, for other contents.
  [[nodiscard]] virtual absl::StatusOr<domain::Application> Create(
      const domain::Application& application, const Cause& cause) = 0;
  // The application as changed. kNotFound; kAborted ETAG_MISMATCH.
  [[nodiscard]] virtual absl::StatusOr<domain::Application> Update(const std::string& name,
                                                                   const ApplicationChange& change,
                                                                   const Cause& cause) = 0;
  // kNotFound.
  [[nodiscard]] virtual absl::StatusOr<domain::Application> GetByName(const std::string& name) = 0;
  [[nodiscard]] virtual absl::StatusOr<domain::Application> Get(const ApplicationId& id) = 0;
  // By name.
  [[nodiscard]] virtual absl::StatusOr<ApplicationPage> List(const ApplicationFilter& filter) = 0;
};

// Agents and the tokens by which they join; every change but Touch is audited with it. What
// operators want of an agent is changed by SchedulerStore (SetAvailability). Thread-safe.
class AgentStore {
 public:
  virtual ~AgentStore() = default;
  // kAlreadyExists SECRET_SHOWN_ONCE, with the short id in the message: the same cause.request_id
  // has made one before; REQUEST_ID_REUSED: it was for something else.
  [[nodiscard]] virtual absl::Status AddJoinToken(const domain::JoinToken& token,
                                                  const Cause& cause) = 0;
  // Newest first; open ones only, or all. kInvalidArgument BAD_PAGE_TOKEN.
  [[nodiscard]] virtual absl::StatusOr<Page<domain::JoinToken>> ListJoinTokens(
      bool open_only, WallTime now, const PageRequest& page) = 0;
  // Ends the open token whose ShortId() this is. The state it was in: anything but kOpen means that
  // nothing was changed.
  [[nodiscard]] virtual absl::StatusOr<domain::JoinTokenState> RevokeJoinToken(
      const std::string& short_id, const Cause& cause) = 0;
  // Uses the token up and inserts the agent, in one transaction. kOpen: done; any other state of
  // the token: nothing changed but the audit trail, where the try with a token that once was good
  // is kept. kAlreadyExists: an agent that is not gone has this name; the token stays good.
  [[nodiscard]] virtual absl::StatusOr<domain::JoinTokenState> Join(const std::string& token_hash,
                                                                    const domain::Agent& agent,
                                                                    WallTime now) = 0;
  [[nodiscard]] virtual absl::StatusOr<domain::Agent> Get(const AgentId& id) = 0;
  // By name; of one name the agent that is not gone first, then the one that joined last.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::Agent>> List() = 0;
  using Seen = std::map<AgentId, std::map<std::string, std::string>>;
  // These were last seen now, with these labels; at connect and once in a while. Agents that are
  // not there are passed over.
  [[nodiscard]] virtual absl::Status Touch(const Seen& seen, WallTime now) = 0;
  // Stores what is to replace the agent's certificate; an older successor is forgotten. kNotFound:
  // no such agent, or it is gone.
  [[nodiscard]] virtual absl::Status AddSuccessor(const AgentId& id,
                                                  const domain::AgentCertificate& successor,
                                                  WallTime now) = 0;
  // The successor becomes the certificate. kNotFound: the agent has no such successor (any more).
  [[nodiscard]] virtual absl::Status PromoteSuccessor(const AgentId& id,
                                                      const std::string& fingerprint,
                                                      WallTime now) = 0;
};

// What is one per farm. Thread-safe.
class FarmStore {
 public:
  virtual ~FarmStore() = default;
  // The farm's id; made at the first call and the same for ever.
  [[nodiscard]] virtual absl::StatusOr<FarmId> GetOrCreateFarmId() = 0;
};

}  // namespace slipway::store
