#include "controller/agent_gateway/peer.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "common/crypto/pki.h"
#include "tests/support/in_memory_store.h"
#include "tests/support/status_matchers.h"

namespace slipway::agent_gateway {
namespace {

using domain::AgentMode;
using testing::StatusIs;
using namespace std::chrono_literals;

class SettableClock final : public Clock {
 public:
  [[nodiscard]] MonoTime Mono() const override { return MonoTime(now.time_since_epoch()); }
  [[nodiscard]] WallTime Wall() const override { return now; }
  WallTime now = FromUnixMicros(1'700'000'000'000'000);
};

struct Farm {
  Farm() {
    auto made = crypto::CreateCa(id, clock.now);
    REQUIRE_OK(made);
    ca = *std::move(made);
    REQUIRE_OK(store.BecomeLeader());
    first = Issue();
    domain::Agent joining;
    joining.id = agent;
    joining.name = "builder";
    joining.certificate = Facts(first);
    domain::JoinToken token;
    token.token_hash = "hash";
    token.expires_at = clock.now + 1h;
    REQUIRE_OK(agents.AddJoinToken(token, {"admin", WallTime()}));
    REQUIRE_OK(agents.Join("hash", joining, clock.now));
  }
  std::string Issue(std::chrono::seconds lifetime = 24h) {
    const auto key = crypto::CreateKeyAndRequest();
    REQUIRE_OK(key);
    auto made = crypto::IssueAgentCertificate(ca, key->request_pem, id, agent, clock.now, lifetime);
    REQUIRE_OK(made);
    return *made;
  }
  // A second certificate, issued to replace the first.
  std::string Renew() {
    std::string next = Issue();
    REQUIRE_OK(agents.AddSuccessor(agent, Facts(next), clock.now));
    return next;
  }
  static domain::AgentCertificate Facts(const std::string& pem) {
    const auto facts = crypto::ReadCertificate(pem);
    REQUIRE_OK(facts);
    return {facts->fingerprint.Hex(), facts->not_after};
  }
  absl::Status Call(const std::string& pem) { return peers.IdentifyCertificate(pem).status(); }
  void Set(AgentMode mode) {
    const domain::Availability wanted{
        .mode = mode, .reason = "stolen", .by = "admin", .since = {}, .until = {}};
    const auto set = store.Commit({store::SetAvailability{{"admin", clock.now}, agent, wanted}});
    REQUIRE_OK(set);
    REQUIRE_OK(set->at(0));
  }

  const FarmId id{"farm-1"};
  const AgentId agent{"agent-1"};
  SettableClock clock;
  testing::InMemoryDatabase database;
  testing::InMemorySchedulerStore store{database};
  testing::InMemoryAgentStore agents{database};
  PeerCheck peers{id, agents, clock, {.overlap = 1h}};
  crypto::KeyAndCertificate ca;
  std::string first;
};

TEST_CASE("PeerCheck: old and new certificate are taken until the new one is used, then only that",
          "[unit][gateway]") {
  Farm farm;
  CHECK_OK(farm.Call(farm.first));
  const std::string next = farm.Renew();
  CHECK_OK(farm.Call(farm.first));
  CHECK_OK(farm.Call(next));
  CHECK_THAT(farm.Call(farm.first),
             StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_REPLACED"));
  CHECK_OK(farm.Call(next));
}

TEST_CASE("PeerCheck: of two renewals only the last one counts", "[unit][gateway]") {
  Farm farm;
  const std::string lost = farm.Renew();
  const std::string next = farm.Renew();
  CHECK_THAT(farm.Call(lost), StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_REPLACED"));
  CHECK_OK(farm.Call(farm.first));
  CHECK_OK(farm.Call(next));
}

TEST_CASE("PeerCheck: a certificate is not taken for ever beside a successor that nobody uses",
          "[unit][gateway]") {
  Farm farm;
  const std::string next = farm.Renew();
  farm.clock.now += 59min;
  CHECK_OK(farm.Call(farm.first));
  farm.clock.now += 1min;
  CHECK_THAT(farm.Call(farm.first),
             StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_REPLACED"));
  CHECK_OK(farm.Call(next));
}

TEST_CASE("PeerCheck: a certificate ends also on a connection that is still open",
          "[unit][gateway]") {
  Farm farm;
  farm.clock.now += 24h;
  CHECK_THAT(farm.Call(farm.first),
             StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_EXPIRED"));
}

TEST_CASE("PeerCheck: who has left the farm is told so, and why", "[unit][gateway]") {
  Farm farm;
  farm.Set(AgentMode::kRevoked);
  CHECK_THAT(farm.Call(farm.first), StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  CHECK_THAT(farm.Call(farm.first), StatusIs(absl::StatusCode::kUnauthenticated, "stolen"));

  Farm other;
  other.Set(AgentMode::kRetiring);
  CHECK_OK(other.Call(other.first));
  other.Set(AgentMode::kRetired);
  CHECK_THAT(other.Call(other.first),
             StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_RETIRED"));
}

TEST_CASE("PeerCheck: a certificate of this farm for an agent that it does not know",
          "[unit][gateway]") {
  Farm farm;
  const auto key = crypto::CreateKeyAndRequest();
  REQUIRE_OK(key);
  const auto stranger = crypto::IssueAgentCertificate(farm.ca, key->request_pem, farm.id,
                                                      AgentId("agent-9"), farm.clock.now);
  REQUIRE_OK(stranger);
  CHECK_THAT(farm.Call(*stranger), StatusIs(absl::StatusCode::kUnauthenticated, "UNKNOWN_AGENT"));
}

}  // namespace
}  // namespace slipway::agent_gateway
