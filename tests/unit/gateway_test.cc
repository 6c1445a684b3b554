#include "controller/agent_gateway/gateway.h"

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/work/work_pool.h"
#include "tests/support/in_memory_store.h"
#include "tests/support/status_matchers.h"

namespace slipway::agent_gateway {
namespace {

using testing::StatusIs;

const AgentId kAgent("agent-1");

class FakeStream final : public AgentStream {
 public:
  void Send(scheduler::SessionSink::Body body) override { sent.push_back(std::move(body)); }
  void End(const absl::Status& status) override {
    if (!ended) ended = status;
  }
  void Tick(MonoTime) override {}
  std::vector<scheduler::SessionSink::Body> sent;
  std::optional<absl::Status> ended;
};

class NoOrders final : public scheduler::WorkOrders {
 public:
  absl::Status Complete(scheduler::ResultReported&) override { return absl::OkStatus(); }
  absl::StatusOr<std::optional<protocol::Failure>> Complete(scheduler::PermitRequested&) override {
    return std::optional<protocol::Failure>();
  }
  absl::Status Complete(scheduler::Resolve&) override { return absl::OkStatus(); }
  absl::StatusOr<std::string> SpecOf(const TaskId&) override { return std::string(); }
  absl::StatusOr<std::variant<std::string, protocol::Failure>> SecretOf(const TaskId&) override {
    return std::variant<std::string, protocol::Failure>();
  }
  void ResultTaken(const scheduler::TakenResult&) override {}
  void Changed(const std::vector<TaskId>&) override {}
  void Loaded() override {}
};

struct Farm {
  SystemClock clock;
  testing::InMemoryDatabase database;
  testing::InMemorySchedulerStore store{database};
  testing::InMemoryAgentStore agents{database};
  NoOrders orders;
  work::WorkPool pool{1};
  scheduler::Scheduler scheduler{{}, store, orders, clock};
  Gateway gateway{scheduler, agents, clock, {pool, pool}, Epoch(1)};
};

protocol::Permit PermitOf(const std::string& secret) {
  return {.key = {TaskId("task-1"), Attempt(1)}, .nonce = "n", .valid_for = {}, .secret = secret};
}

TEST_CASE("Gateway: a message reaches its session and no other", "[unit]") {
  Farm farm;
  const auto one = std::make_shared<FakeStream>();
  const auto two = std::make_shared<FakeStream>();
  const auto first = farm.gateway.Open(kAgent, one);
  REQUIRE_OK(first);
  const auto second = farm.gateway.Open(AgentId("agent-2"), two);
  REQUIRE_OK(second);
  farm.gateway.Send(*second, PermitOf("s"));
  CHECK(one->sent.empty());
  CHECK(two->sent.size() == 1);
  farm.gateway.Close(AgentId("agent-2"), *second);
  farm.gateway.Send(*second, PermitOf("s"));
  CHECK(two->sent.size() == 1);
}

TEST_CASE("Gateway: a newer stream ends the older one, whose end forgets nothing", "[unit]") {
  Farm farm;
  const auto older = std::make_shared<FakeStream>();
  const auto newer = std::make_shared<FakeStream>();
  const auto first = farm.gateway.Open(kAgent, older);
  REQUIRE_OK(first);
  const auto second = farm.gateway.Open(kAgent, newer);
  REQUIRE_OK(second);
  REQUIRE(older->ended);
  CHECK_THAT(*older->ended, StatusIs(absl::StatusCode::kAborted, "SESSION_REPLACED"));
  CHECK_FALSE(newer->ended);
  farm.gateway.NoteInventory(
      kAgent, {.labels = {{"zone", "north"}}, .version = "1.0", .health = {}, .images = {}});
  farm.gateway.Close(kAgent, *first);
  REQUIRE(farm.gateway.AboutAgent(kAgent));
  CHECK(farm.gateway.AboutAgent(kAgent)->version == "1.0");
  farm.gateway.Close(kAgent, *second);
  CHECK_FALSE(farm.gateway.AboutAgent(kAgent));
}

TEST_CASE("Gateway: shutdown ends every stream and lets no new one in", "[unit]") {
  Farm farm;
  const auto stream = std::make_shared<FakeStream>();
  const auto log = std::make_shared<FakeStream>();
  const auto gone = std::make_shared<FakeStream>();
  REQUIRE_OK(farm.gateway.Open(kAgent, stream));
  REQUIRE_OK(farm.gateway.Attach(kAgent, log.get(), log));
  REQUIRE_OK(farm.gateway.Attach(kAgent, gone.get(), gone));
  farm.gateway.Detach(gone.get());
  farm.gateway.Shutdown();
  REQUIRE(stream->ended);
  CHECK_THAT(*stream->ended, StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
  CHECK(log->ended);
  CHECK_FALSE(gone->ended);
  CHECK_THAT(farm.gateway.Open(kAgent, stream).status(),
             StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
  CHECK_THAT(farm.gateway.Attach(kAgent, log.get(), log),
             StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
}

TEST_CASE("Gateway: the secret of a message is overwritten", "[unit]") {
  scheduler::SessionSink::Body body = PermitOf("top secret");
  WipeSecret(body);
  CHECK(std::get<protocol::Permit>(body).secret == std::string(10, '\0'));
}

TEST_CASE("Gateway: an agent has the images of all and its own, each under its highest number",
          "[unit]") {
  Farm farm;
  const auto order = [](const std::string& image, const std::string& agent, std::uint64_t number) {
    return domain::ImageOrder{.image = image,
                              .agent = AgentId(agent),
                              .number = number,
                              .requested_by = "admin",
                              .requested_at = {}};
  };
  const auto stream = std::make_shared<FakeStream>();
  REQUIRE_OK(farm.gateway.Open(kAgent, stream));
  farm.gateway.NoteInventory(kAgent, {});
  farm.gateway.SetImageOrders(
      {order("a:1", "", 1), order("a:1", "agent-1", 3), order("b:1", "agent-2", 2)});
  const std::vector<protocol::ImageOrder> expected = {{"a:1", 3}};
  CHECK(farm.gateway.ImagesFor(kAgent) == expected);
  REQUIRE(stream->sent.size() == 1);
  const auto& push = std::get<protocol::Desired>(stream->sent[0]);
  CHECK(push.answers == 0);
  CHECK(push.attempts.empty());
  CHECK(push.images == expected);
}

TEST_CASE("Gateway: who leaves the farm loses the streams at once and gets no new one", "[unit]") {
  Farm farm;
  const AgentId other("agent-2");
  const auto stream = std::make_shared<FakeStream>();
  const auto log = std::make_shared<FakeStream>();
  const auto others = std::make_shared<FakeStream>();
  REQUIRE_OK(farm.gateway.Open(kAgent, stream));
  REQUIRE_OK(farm.gateway.Attach(kAgent, log.get(), log));
  REQUIRE_OK(farm.gateway.Open(other, others));
  farm.gateway.Dismiss(kAgent, {.mode = domain::AgentMode::kRevoked,
                                .reason = "stolen",
                                .by = "admin",
                                .since = {},
                                .until = {}});
  for (const auto& one : {stream, log}) {
    REQUIRE(one->ended);
    CHECK_THAT(*one->ended, StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  }
  CHECK_FALSE(others->ended);
  // Whoever was identified just before it was stored comes too late as well.
  CHECK_THAT(farm.gateway.Open(kAgent, stream).status(),
             StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  CHECK_THAT(farm.gateway.Attach(kAgent, log.get(), log),
             StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  CHECK_OK(farm.gateway.Open(other, others));
}

}  // namespace
}  // namespace slipway::agent_gateway
