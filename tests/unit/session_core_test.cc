#include "controller/agent_gateway/session_core.h"

#include <catch2/catch.hpp>
#include <string>

#include "controller/agent_gateway/text.h"
#include "tests/support/status_matchers.h"

namespace slipway::agent_gateway {
namespace {

using std::chrono::seconds;
using testing::StatusIs;

const MonoTime kStart = MonoTime(seconds(100));

SessionCore NewSession() {
  return SessionCore({AgentId("a"), SessionId(1)}, Epoch(7), kStart,
                     {.sync_interval = seconds(15),
                      .first_inventory_timeout = seconds(10),
                      .silence_timeout = seconds(60)});
}

protocol::Inventory Inventory(std::uint64_t sequence) {
  protocol::Inventory inventory;
  inventory.sequence = sequence;
  inventory.slots = 2;
  return inventory;
}

AttemptKey Key(const std::string& task = "task-1") { return {TaskId(task), Attempt(1)}; }

TEST_CASE("SessionCore: a stream begins with an inventory", "[unit][session]") {
  SessionCore session = NewSession();
  CHECK_THAT(session.OnMessage(protocol::Accept{Key()}, kStart).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NO_INVENTORY"));
  CHECK_FALSE(session.established());
  REQUIRE_OK(session.OnMessage(Inventory(1), kStart));
  CHECK(session.established());
  CHECK_OK(session.OnMessage(protocol::Accept{Key()}, kStart));
}

TEST_CASE("SessionCore: a repeated or late inventory is passed over", "[unit][session]") {
  SessionCore session = NewSession();
  CHECK((*session.OnMessage(Inventory(2), kStart)).has_value());
  CHECK_FALSE((*session.OnMessage(Inventory(2), kStart)).has_value());
  CHECK_FALSE((*session.OnMessage(Inventory(1), kStart)).has_value());
}

TEST_CASE("SessionCore: an inventory may hold each kind of task", "[unit][session]") {
  SessionCore session = NewSession();
  protocol::Inventory inventory = Inventory(1);
  for (const int kind : {1, 2, 3, 4}) {
    inventory.attempts.push_back({Key("task-" + std::to_string(kind)),
                                  static_cast<protocol::TaskKind>(kind),
                                  protocol::AttemptPhase::kRunning});
  }
  CHECK_OK(session.OnMessage(inventory, kStart));
}

TEST_CASE("SessionCore: no agent may pass for the controller's own executor", "[unit][session]") {
  SessionCore session = NewSession();
  protocol::Inventory inventory = Inventory(1);
  inventory.labels = {{"executor", "controller"}};
  CHECK(absl::IsInvalidArgument(session.OnMessage(inventory, kStart).status()));
}

TEST_CASE("SessionCore: malformed messages end the stream", "[unit][session]") {
  SessionCore session = NewSession();
  REQUIRE_OK(session.OnMessage(Inventory(1), kStart));
  const auto refused = [&](protocol::AgentMessage message) {
    return absl::IsInvalidArgument(session.OnMessage(std::move(message), kStart).status());
  };
  CHECK(refused(protocol::Accept{{TaskId(""), Attempt(1)}}));
  CHECK(refused(protocol::Accept{{TaskId("../x"), Attempt(1)}}));
  CHECK(refused(protocol::Accept{{TaskId("t"), Attempt(0)}}));
  CHECK(refused(protocol::Accept{{TaskId(std::string(65, 'x')), Attempt(1)}}));
  protocol::Inventory twice = Inventory(3);
  twice.attempts = {{Key(), protocol::TaskKind::kBuild, protocol::AttemptPhase::kAccepted},
                    {Key(), protocol::TaskKind::kBuild, protocol::AttemptPhase::kRunning}};
  CHECK(refused(twice));
  protocol::Inventory phase = Inventory(3);
  phase.attempts = {{Key(), protocol::TaskKind::kBuild, static_cast<protocol::AttemptPhase>(9)}};
  CHECK(refused(phase));
  for (const int kind : {0, 6}) {
    protocol::Inventory unknown = Inventory(3);
    unknown.attempts = {
        {Key(), static_cast<protocol::TaskKind>(kind), protocol::AttemptPhase::kAccepted}};
    CHECK(refused(unknown));
  }
  CHECK(refused(protocol::PermitRequest{Key(), Sha256Digest()}));
  CHECK(refused(protocol::LogChunk{Key(), 0, std::string(1024 * 1024 + 1, 'x')}));
  CHECK(refused(protocol::LogChunk{Key(), ~0ULL, "x"}));
  CHECK(refused(protocol::StepReport{Key(), 0, "x", protocol::StepState::kStarted, {}, {}}));
}

TEST_CASE("SessionCore: free text from a build comes out storable", "[unit][session]") {
  SessionCore session = NewSession();
  REQUIRE_OK(session.OnMessage(Inventory(1), kStart));
  protocol::StepReport step{Key(), 1, "fetch", protocol::StepState::kStarted, {}, {}};
  step.detail = std::string("a\0b\xff", 4) + std::string(2000, 'x');
  const auto input = session.OnMessage(step, kStart);
  REQUIRE_OK(input);
  const auto& event = std::get<scheduler::StepReported>(std::get<scheduler::Event>(**input));
  CHECK(event.step.detail.substr(0, 8) ==
        "a\xef\xbf\xbd"
        "b\xef\xbf\xbd");
  CHECK(event.step.detail.size() <= 1024);
}

TEST_CASE("StorableText: whole characters stay whole when text is cut", "[unit][session]") {
  CHECK(StorableText("发布", 6) == "发布");
  CHECK(StorableText("发布", 5) == "发");
  CHECK(StorableText("\xed\xa0\x80", 100) == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(StorableText("\xc0\xaf", 100) == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(StorableText("\xf0\x9f\x9a\xa2", 4) == "\xf0\x9f\x9a\xa2");
}

TEST_CASE("SessionCore: what goes out carries the epoch and a time to sync", "[unit][session]") {
  const SessionCore session = NewSession();
  protocol::Desired quiet{.answers = 1, .attempts = {}, .sync_after = Duration::max()};
  const auto stamped = session.Stamp(quiet);
  CHECK(stamped.epoch == Epoch(7));
  CHECK(std::get<protocol::Desired>(stamped.body).sync_after == seconds(15));
  protocol::Desired soon{.answers = 1, .attempts = {}, .sync_after = Duration::zero()};
  CHECK(std::get<protocol::Desired>(session.Stamp(soon).body).sync_after == Duration::zero());
}

TEST_CASE("SessionCore: a silent stream is ended", "[unit][session]") {
  SessionCore session = NewSession();
  CHECK_OK(session.OnTick(kStart + seconds(9)));
  CHECK(absl::IsDeadlineExceeded(session.OnTick(kStart + seconds(10))));
  REQUIRE_OK(session.OnMessage(Inventory(1), kStart + seconds(9)));
  CHECK_OK(session.OnTick(kStart + seconds(68)));
  CHECK(absl::IsDeadlineExceeded(session.OnTick(kStart + seconds(69))));
}

TEST_CASE("SessionTable: a new stream of an agent replaces the old one", "[unit][session]") {
  SessionTable table;
  const auto first = table.Open(AgentId("a"));
  CHECK_FALSE(first.replaced.has_value());
  const auto second = table.Open(AgentId("a"));
  CHECK(second.replaced == first.session);
  CHECK(second.session > first.session);
  CHECK_FALSE(table.Close(AgentId("a"), first.session));
  CHECK(table.Current(AgentId("a")) == second.session);
  CHECK(table.Close(AgentId("a"), second.session));
  CHECK(table.size() == 0);
}

}  // namespace
}  // namespace slipway::agent_gateway
