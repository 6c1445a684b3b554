#include <catch2/catch.hpp>
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "tests/contract/store_harness.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using domain::AgentMode;
using domain::JoinTokenState;

const WallTime kExpires = FromUnixMicros(1'700'000'100'000'000);
const WallTime kBefore = kExpires - std::chrono::seconds(1);
const store::Cause kAdmin{"admin", WallTime()};

domain::Agent MakeAgent(const std::string& name, const std::string& id = "") {
  domain::Agent agent;
  agent.id = AgentId(id.empty() ? "id-" + name : id);
  agent.name = name;
  agent.labels = {{"os", "linux"}, {"quote\"", "é"}};
  agent.certificate = {.fingerprint = "ab" + name,
                       .not_after = FromUnixMicros(1'800'000'000'000'000)};
  agent.joined_at = FromUnixMicros(1'700'000'000'000'001);
  return agent;
}

domain::JoinToken MakeToken(const std::string& hash, int second = 0) {
  domain::JoinToken token;
  token.token_hash = hash;
  token.created_at = FromUnixMicros(1'000'000 * (second + 1));
  token.created_by = "admin";
  token.expires_at = kExpires;
  return token;
}

// A farm whose leader writes, with one agent named "a".
struct Agents {
  Agents() : harness(MakeStoreHarness()), process(harness->NewProcess()) {
    REQUIRE_OK(process->scheduler().BecomeLeader());
    Join(MakeAgent("a"));
  }
  void Join(const domain::Agent& agent) {
    const std::string hash = "hash-of-" + agent.id.value();
    REQUIRE_OK(store().AddJoinToken(MakeToken(hash), kAdmin));
    const auto joined = store().Join(hash, agent, kBefore);
    REQUIRE_OK(joined);
    REQUIRE(*joined == JoinTokenState::kOpen);
  }
  absl::Status Set(const std::string& id, AgentMode mode, WallTime until = {}) {
    const domain::Availability wanted{
        .mode = mode, .reason = "磁盘", .by = "admin", .since = kBefore, .until = until};
    const auto outcome = process->scheduler().Commit(
        {store::SetAvailability{{"admin", kBefore}, AgentId(id), wanted}});
    REQUIRE_OK(outcome);
    return outcome->at(0);
  }
  store::AgentStore& store() { return process->agents(); }
  domain::Agent Get(const std::string& id) {
    const auto agent = store().Get(AgentId(id));
    REQUIRE_OK(agent);
    return *agent;
  }

  std::unique_ptr<StoreHarness> harness;
  std::unique_ptr<StoreProcess> process;
};

}  // namespace

TEST_CASE("AgentStore: a join token lets one agent in, once, in its time", "[contract]") {
  Agents farm;
  store::AgentStore& store = farm.store();
  REQUIRE_OK(store.AddJoinToken(MakeToken("hash-1"), kAdmin));
  CHECK(*store.Join("no-such-hash", MakeAgent("b"), kBefore) == JoinTokenState::kUnknown);
  CHECK(*store.Join("hash-1", MakeAgent("b"), kExpires) == JoinTokenState::kExpired);
  CHECK(store.List()->size() == 1);
  CHECK(*store.Join("hash-1", MakeAgent("b"), kBefore) == JoinTokenState::kOpen);
  CHECK(*store.Join("hash-1", MakeAgent("c"), kBefore) == JoinTokenState::kUsed);
  const domain::Agent agent = farm.Get("id-b");
  const domain::Agent expected = MakeAgent("b");
  CHECK(agent.labels == expected.labels);
  CHECK(agent.certificate.fingerprint == expected.certificate.fingerprint);
  CHECK(agent.certificate.not_after == expected.certificate.not_after);
  CHECK(agent.successor.fingerprint.empty());
  CHECK(agent.joined_at == expected.joined_at);
  CHECK(agent.last_seen == WallTime());
  CHECK(agent.availability == domain::Availability());
  CHECK(store.List()->size() == 2);
  CHECK_THAT(store.Get(AgentId("id-c")).status(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("AgentStore: a taken name refuses the join and leaves the token good", "[contract]") {
  Agents farm;
  REQUIRE_OK(farm.store().AddJoinToken(MakeToken("hash-2"), kAdmin));
  CHECK_THAT(farm.store().Join("hash-2", MakeAgent("a", "another"), kBefore).status(),
             StatusIs(absl::StatusCode::kAlreadyExists, "'a'"));
  CHECK(*farm.store().Join("hash-2", MakeAgent("b"), kBefore) == JoinTokenState::kOpen);
}

TEST_CASE("AgentStore: tokens are listed with who made and used them; a revoked one is no good",
          "[contract]") {
  Agents farm;
  store::AgentStore& store = farm.store();
  REQUIRE_OK(store.AddJoinToken(MakeToken("1111111111112222", 1), kAdmin));
  REQUIRE_OK(store.AddJoinToken(MakeToken("3333333333334444", 2), kAdmin));
  const auto open = store.ListJoinTokens(true, kBefore, {});
  REQUIRE_OK(open);
  REQUIRE(open->objects.size() == 2);
  CHECK(open->objects.at(0).token_hash == "3333333333334444");
  CHECK(open->objects.at(0).created_by == "admin");
  CHECK(store.ListJoinTokens(true, kExpires, {})->objects.empty());

  CHECK(*store.RevokeJoinToken("111111111111", {"eve", kBefore}) == JoinTokenState::kOpen);
  CHECK(*store.RevokeJoinToken("111111111111", {"eve", kBefore}) == JoinTokenState::kRevoked);
  CHECK(*store.RevokeJoinToken("hash-of-id-a", {"eve", kBefore}) == JoinTokenState::kUsed);
  CHECK(*store.RevokeJoinToken("nothing", {"eve", kBefore}) == JoinTokenState::kUnknown);
  CHECK(*store.Join("1111111111112222", MakeAgent("b"), kBefore) == JoinTokenState::kRevoked);
  const auto all = store.ListJoinTokens(false, kBefore, {});
  REQUIRE_OK(all);
  REQUIRE(all->objects.size() == 3);
  CHECK(all->objects.at(1).revoked_by == "eve");
  CHECK(all->objects.at(1).revoked_at == kBefore);
  CHECK(all->objects.at(2).used_by == AgentId("id-a"));
  CHECK(all->objects.at(2).used_at == kBefore);
}

TEST_CASE("AgentStore: a request id makes one join token, however often it is asked for",
          "[contract]") {
  Agents farm;
  store::AgentStore& store = farm.store();
  store::Cause cause = kAdmin;
  cause.request_id = "one";
  REQUIRE_OK(store.AddJoinToken(MakeToken("1111111111112222"), cause));
  CHECK_THAT(store.AddJoinToken(MakeToken("3333333333334444"), cause),
             StatusIs(absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE"));
  domain::JoinToken longer = MakeToken("5555555555556666");
  longer.expires_at += std::chrono::hours(1);
  CHECK_THAT(store.AddJoinToken(longer, cause),
             StatusIs(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  CHECK(store.ListJoinTokens(true, kBefore, {})->total == 1);
  // Another's request ids are another's.
  cause.actor = "eve";
  CHECK_OK(store.AddJoinToken(MakeToken("3333333333334444"), cause));
}

TEST_CASE("AgentStore: who walks the pages of join tokens meets each once, whatever comes and goes",
          "[contract]") {
  Agents farm;
  store::AgentStore& store = farm.store();
  // Two of each time.
  const auto hash = [](int i) { return std::to_string(100'000'000'000 + i) + "-rest"; };
  for (int i = 0; i < 10; ++i) REQUIRE_OK(store.AddJoinToken(MakeToken(hash(i), i / 2), kAdmin));
  std::vector<std::string> met;
  store::PageRequest page{.size = 3};
  do {
    const auto tokens = store.ListJoinTokens(true, kBefore, page);
    REQUIRE_OK(tokens);
    CHECK(tokens->objects.size() <= 3);
    if (page.token.empty()) {
      CHECK(tokens->total == 10);
      // A newer one, and the end of one that the pages come to and of one that they are past.
      REQUIRE_OK(store.AddJoinToken(MakeToken("999999999999", 50), kAdmin));
      REQUIRE_OK(store.RevokeJoinToken(hash(0).substr(0, 12), {"eve", kBefore}));
      REQUIRE_OK(store.RevokeJoinToken(hash(9).substr(0, 12), {"eve", kBefore}));
    }
    for (const domain::JoinToken& token : tokens->objects) met.push_back(token.token_hash);
    page.token = tokens->next_page_token;
  } while (!page.token.empty());
  CHECK(met.size() == 9);
  CHECK(std::set(met.begin(), met.end()).size() == 9);
  CHECK_FALSE(std::set(met.begin(), met.end()).contains(hash(0)));
  for (const char* token : {"x", "12", "-:x", "99999999999999999999:x"}) {
    CHECK_THAT(store.ListJoinTokens(true, kBefore, {.size = 3, .token = token}).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN"));
  }
}

TEST_CASE("AgentStore: joins, and tries with a token that is not good any more, are audited",
          "[contract]") {
  Agents farm;
  store::AgentStore& store = farm.store();
  REQUIRE_OK(store.Join("hash-of-id-a", MakeAgent("b"), kBefore));
  REQUIRE_OK(store.Join("never-made", MakeAgent("b"), kBefore));
  REQUIRE_OK(store.AddJoinToken(MakeToken("1111111111112222"), kAdmin));
  REQUIRE_OK(store.RevokeJoinToken("111111111111", {"eve", kBefore}));
  CHECK(farm.harness->AuditedSubjects() == std::vector<std::string>{"hash-of-id-a", "id-a",
                                                                    "hash-of-id-a", "111111111111",
                                                                    "111111111111"});
}

TEST_CASE("AgentStore: touching tells when and with what labels it was last seen", "[contract]") {
  Agents farm;
  REQUIRE_OK(farm.store().Touch({{AgentId("id-a"), {{"os", "bsd"}}}, {AgentId("none"), {}}},
                                FromUnixMicros(77)));
  const domain::Agent agent = farm.Get("id-a");
  CHECK(agent.last_seen == FromUnixMicros(77));
  CHECK(agent.labels == std::map<std::string, std::string>{{"os", "bsd"}});
  CHECK_OK(farm.store().Touch({}, FromUnixMicros(99)));
  CHECK(farm.Get("id-a").last_seen == FromUnixMicros(77));
  // Labels that no database can hold hide nobody else.
  const std::string odd("a\0b", 3);
  CHECK_OK(farm.store().Touch(
      {{AgentId("id-0"), {{"os", odd}}}, {AgentId("id-a"), {{"os", "bsd"}}}}, FromUnixMicros(101)));
  CHECK(farm.Get("id-a").last_seen == FromUnixMicros(101));
}

TEST_CASE("AgentStore: a successor replaces the certificate when it is used, and only the newest",
          "[contract]") {
  Agents farm;
  store::AgentStore& store = farm.store();
  const AgentId id("id-a");
  const WallTime end = FromUnixMicros(1'900'000'000'000'000);
  REQUIRE_OK(store.AddSuccessor(id, {"first", kExpires}, kBefore));
  REQUIRE_OK(store.AddSuccessor(id, {"second", end}, kExpires));
  domain::Agent agent = farm.Get("id-a");
  CHECK(agent.certificate.fingerprint == "aba");
  CHECK(agent.successor.fingerprint == "second");
  CHECK(agent.successor.not_after == end);
  CHECK(agent.successor_since == kExpires);
  CHECK_THAT(store.PromoteSuccessor(id, "first", kExpires), StatusIs(absl::StatusCode::kNotFound));
  CHECK_THAT(store.PromoteSuccessor(id, "", kExpires), StatusIs(absl::StatusCode::kNotFound));
  REQUIRE_OK(store.PromoteSuccessor(id, "second", kExpires));
  agent = farm.Get("id-a");
  CHECK(agent.certificate.fingerprint == "second");
  CHECK(agent.certificate.not_after == end);
  CHECK(agent.successor.fingerprint.empty());
  CHECK(agent.successor_since == WallTime());
  CHECK_THAT(store.PromoteSuccessor(id, "second", kExpires), StatusIs(absl::StatusCode::kNotFound));
  REQUIRE_OK(farm.Set("id-a", AgentMode::kRevoked));
  CHECK_THAT(store.AddSuccessor(id, {"third", end}, kExpires),
             StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("SchedulerStore: what is wanted of agents is stored, audited and loaded again",
          "[contract]") {
  Agents farm;
  farm.Join(MakeAgent("b"));
  farm.Join(MakeAgent("c"));
  const std::size_t audited = farm.harness->AuditedSubjects().size();
  CHECK_OK(farm.Set("id-a", AgentMode::kPaused, kExpires));
  CHECK_OK(farm.Set("id-b", AgentMode::kDraining));
  CHECK_OK(farm.Set("id-b", AgentMode::kActive));
  CHECK_OK(farm.Set("id-c", AgentMode::kRevoked));
  const domain::Agent paused = farm.Get("id-a");
  CHECK(paused.availability.mode == AgentMode::kPaused);
  CHECK(paused.availability.reason == "磁盘");
  CHECK(paused.availability.by == "admin");
  CHECK(paused.availability.since == kBefore);
  CHECK(paused.availability.until == kExpires);
  const auto loaded = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(loaded);
  CHECK(loaded->availability ==
        std::map<AgentId, domain::Availability>{{AgentId("id-a"), paused.availability}});
  CHECK(farm.harness->AuditedSubjects().size() == audited + 4);
}

TEST_CASE("SchedulerStore: who left the farm stays away, and leaves the name to another",
          "[contract]") {
  Agents farm;
  CHECK_THAT(farm.Set("none", AgentMode::kPaused), StatusIs(absl::StatusCode::kAborted));
  CHECK_THAT(farm.Set("id-a", AgentMode::kRetired), StatusIs(absl::StatusCode::kAborted));
  CHECK_OK(farm.Set("id-a", AgentMode::kRetiring));
  CHECK_OK(farm.Set("id-a", AgentMode::kRetired));
  CHECK_THAT(farm.Set("id-a", AgentMode::kActive), StatusIs(absl::StatusCode::kAborted));
  farm.Join(MakeAgent("a", "again"));
  const auto all = farm.store().List();
  REQUIRE_OK(all);
  REQUIRE(all->size() == 2);
  CHECK(all->at(0).id == AgentId("again"));
  CHECK(all->at(1).availability.mode == AgentMode::kRetired);
}

}  // namespace slipway::testing
