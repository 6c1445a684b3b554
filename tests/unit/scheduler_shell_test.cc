#include "tests/unit/scheduler_shell.h"

#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "controller/scheduler/scheduler.h"
#include "tests/support/in_memory_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::scheduler {
namespace {

using testing::StatusIs;
using testing::WaitUntil;

TEST_CASE("Scheduler: what one batch offers to an agent travels in one message", "[unit]") {
  Farm f;
  f.Inventory();
  f.store.HoldCommits(true);
  auto first = f.Submit("a");
  REQUIRE(f.store.WaitCommits(1));
  auto second = f.Submit("b");
  auto third = f.Submit("c");
  f.store.HoldCommits(false);
  for (auto* reply : {&first, &second, &third}) REQUIRE_OK(Farm::Get(std::move(*reply)).status);
  const auto both = f.sink.Wait([](const SessionSink::Body& body) {
    const auto* desired = std::get_if<protocol::Desired>(&body);
    return desired != nullptr && desired->attempts.size() == 2 &&
           desired->attempts[0].want == protocol::Want::kOffer &&
           desired->attempts[1].want == protocol::Want::kOffer;
  });
  CHECK(both);
}

TEST_CASE("Scheduler: what comes while a commit is in flight is the next commit", "[unit]") {
  Farm farm;
  farm.store.HoldCommits(true);
  std::vector<std::future<Reply>> replies;
  replies.push_back(farm.Submit("0"));
  REQUIRE(farm.store.WaitCommits(1));
  for (int i = 1; i <= 5; ++i) replies.push_back(farm.Submit(std::to_string(i)));
  CHECK(replies[0].wait_for(seconds(0)) == std::future_status::timeout);
  farm.store.HoldCommits(false);
  for (auto& reply : replies) CHECK_OK(Farm::Get(std::move(reply)).status);
  CHECK(farm.store.sizes() == std::vector<std::size_t>{1, 5});
}

TEST_CASE("Scheduler: the next batch is stored while the last one is told", "[unit]") {
  Farm farm;
  farm.Inventory();
  REQUIRE_OK(Farm::Get(farm.Submit("first")).status);
  const auto offer = farm.sink.WaitWant(protocol::Want::kOffer);
  REQUIRE(offer);
  farm.orders.HoldSpecs(true);
  farm.scheduler->Post(Accepted{kOrigin, offer->key});
  REQUIRE(farm.orders.WaitSpecsAsked(1));
  const std::size_t commits = farm.store.sizes().size();
  auto second = farm.Submit("second");
  CHECK(farm.store.WaitCommits(commits + 1));
  // It is told in its turn.
  CHECK(second.wait_for(seconds(0)) == std::future_status::timeout);
  farm.orders.HoldSpecs(false);
  CHECK_OK(Farm::Get(std::move(second)).status);
  CHECK(farm.sink.WaitWant(protocol::Want::kStart));
}

TEST_CASE("Scheduler: nothing is told before it is committed", "[unit]") {
  Farm farm;
  farm.Inventory();
  REQUIRE(farm.sink.Wait([](const auto&) { return true; }));
  REQUIRE_OK(Farm::Get(farm.Submit("0")).status);
  REQUIRE(farm.sink.WaitWant(protocol::Want::kOffer));
  const auto offer = farm.sink.WaitWant(protocol::Want::kOffer);
  farm.sink.Clear();
  const std::size_t commits = farm.store.sizes().size();
  farm.store.HoldCommits(true);
  farm.scheduler->Post(Accepted{kOrigin, offer->key});
  REQUIRE(farm.store.WaitCommits(commits + 1));
  CHECK(farm.sink.size() == 0);
  farm.store.HoldCommits(false);
  const auto start = farm.sink.WaitWant(protocol::Want::kStart);
  REQUIRE(start);
  CHECK(start->spec == "spec of task-0");
}

TEST_CASE(
    "Scheduler: after a commit that failed it reads again, asks agents, and a submit is one run",
    "[unit]") {
  const bool applied = GENERATE(false, true);
  Farm farm;
  const AttemptKey key = farm.StartBuild("first").key;
  farm.sink.Clear();
  farm.store.FailLoads(true);
  farm.database.FailCommits(1, applied);
  const Reply reply = Farm::Get(farm.Submit("second"));
  CHECK_THAT(reply.status,
             StatusIs(absl::StatusCode::kUnavailable, applied ? "COMMIT_IN_DOUBT" : "NOT_STORED"));

  // Until the rows are read nobody is told that an attempt is stale.
  REQUIRE(WaitUntil([&] { return farm.store.loads() >= 2; }));
  CHECK_THAT(farm.scheduler->CheckCurrent(kAgent, key),
             StatusIs(absl::StatusCode::kUnavailable, "RELOADING"));
  farm.store.FailLoads(false);
  REQUIRE(farm.sink.Wait([](const SessionSink::Body& body) {
    const auto* desired = std::get_if<protocol::Desired>(&body);
    return desired != nullptr && desired->sync_after == Duration::zero();
  }));
  CHECK_OK(farm.scheduler->CheckCurrent(kAgent, key));
  const Reply again = Farm::Get(farm.Submit("second"));
  CHECK(again.run == RunId("run-second"));
  if (applied) {
    CHECK_THAT(again.status, StatusIs(absl::StatusCode::kAlreadyExists));
  } else {
    CHECK_OK(again.status);
  }
}

TEST_CASE("Scheduler: while the database refuses every commit it reads again less and less often",
          "[unit]") {
  Scheduler::Options options;
  options.reload_pause = {.first = std::chrono::hours(2), .longest = std::chrono::hours(2)};
  Farm farm(std::move(options));
  farm.database.FailCommits(2, false);
  CHECK_THAT(Farm::Get(farm.Submit("first")).status,
             StatusIs(absl::StatusCode::kUnavailable, "NOT_STORED"));
  // At once after the first one.
  REQUIRE(WaitUntil([&] { return farm.store.loads() == 2; }));
  CHECK_THAT(Farm::Get(farm.Submit("second")).status,
             StatusIs(absl::StatusCode::kUnavailable, "NOT_STORED"));
  CHECK_THAT(farm.scheduler->CheckCurrent(kAgent, {TaskId("task-first"), Attempt(1)}),
             StatusIs(absl::StatusCode::kUnavailable, "RELOADING"));
  // Stopping does not wait for the pause.
  farm.scheduler->Stop();
  CHECK(farm.store.loads() == 2);
}

TEST_CASE("Scheduler: a commit that goes well ends the pauses between readings", "[unit]") {
  Scheduler::Options options;
  options.reload_pause = {.first = std::chrono::hours(2), .longest = std::chrono::hours(2)};
  Farm farm(std::move(options));
  for (const int round : {1, 2, 3}) {
    farm.database.FailCommits(1, false);
    CHECK_THAT(Farm::Get(farm.Submit("refused")).status,
               StatusIs(absl::StatusCode::kUnavailable, "NOT_STORED"));
    REQUIRE_OK(Farm::Get(farm.Submit(std::to_string(round))).status);
  }
  CHECK(farm.store.loads() == 4);
}

TEST_CASE("Scheduler: one that another has displaced says so once and tells nobody anything",
          "[unit]") {
  Farm farm;
  const AttemptKey key = farm.StartBuild("first").key;
  testing::InMemorySchedulerStore other(farm.database);
  REQUIRE(other.BecomeLeader().ok());
  farm.sink.Clear();
  farm.Report(key);
  auto lost = farm.lost.get_future();
  REQUIRE(lost.wait_for(seconds(10)) == std::future_status::ready);
  CHECK_THAT(lost.get(), StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  CHECK_THAT(Farm::Get(farm.Submit("second")).status, StatusIs(absl::StatusCode::kUnavailable));
  farm.Inventory();
  farm.scheduler->Stop();
  CHECK(farm.sink.size() == 0);
  CHECK(farm.orders.taken.empty());
}

TEST_CASE("Scheduler: who waits when another one displaces it is answered at once", "[unit]") {
  Farm farm;
  testing::InMemorySchedulerStore other(farm.database);
  REQUIRE(other.BecomeLeader().ok());
  CHECK_THAT(Farm::Get(farm.Submit("first")).status, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_CASE("Scheduler: a result is taken once its log is whole, and only from its own agent",
          "[unit]") {
  Farm farm;
  const AttemptKey key = farm.StartBuild("first").key;
  farm.Report(key, Origin{AgentId("agent-2"), SessionId(2)});
  farm.Report({key.task, Attempt(7)});
  {
    const std::lock_guard lock(farm.orders.mu);
    farm.orders.log = LogState::kIncomplete;
  }
  farm.Report(key);
  REQUIRE(WaitUntil([&] {
    const std::lock_guard lock(farm.orders.mu);
    return farm.orders.results_seen == 1;
  }));
  CHECK_OK(farm.scheduler->CheckCurrent(kAgent, key));
  {
    const std::lock_guard lock(farm.orders.mu);
    farm.orders.log = LogState::kComplete;
  }
  farm.Report(key);
  REQUIRE(WaitUntil([&] {
    const std::lock_guard lock(farm.orders.mu);
    return !farm.orders.taken.empty();
  }));
  CHECK(farm.orders.taken == std::vector<AttemptKey>{key});
  CHECK_THAT(farm.scheduler->CheckCurrent(kAgent, key),
             StatusIs(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));
  // What was said of attempts that are not the agent's own was never looked up.
  CHECK(farm.orders.results_seen == 2);
}

TEST_CASE("Scheduler: a result whose commit is in doubt seals nothing until the rows are read",
          "[unit]") {
  Farm farm;
  const AttemptKey key = farm.StartBuild("first").key;
  farm.database.FailCommits(1, false);
  farm.Report(key);
  REQUIRE(WaitUntil([&] { return farm.store.loads() >= 2; }));
  REQUIRE_OK(Farm::Get(farm.Submit("second")).status);
  CHECK(farm.orders.taken.empty());
  // At the start, and now: whoever seals looks at what the rows say.
  CHECK(farm.orders.loads_seen == 2);
  CHECK_OK(farm.scheduler->CheckCurrent(kAgent, key));
  // A new controller's core has heard of no session until its inventory.
  farm.Inventory({{.key = key, .phase = protocol::AttemptPhase::kFinished}});
  farm.Report(key);
  CHECK(WaitUntil([&] {
    const std::lock_guard lock(farm.orders.mu);
    return farm.orders.taken == std::vector<AttemptKey>{key};
  }));
}

TEST_CASE("Scheduler: stop answers whoever waits", "[unit]") {
  Farm farm;
  farm.store.HoldCommits(true);
  auto begun = farm.Submit("begun");
  REQUIRE(farm.store.WaitCommits(1));
  auto waiting = farm.Submit("waiting");
  std::thread stopper([&] { farm.scheduler->Stop(); });
  // Stop waits for the commit; from then on nothing new is taken.
  REQUIRE(WaitUntil([&] {
    auto probe = farm.Submit("probe");
    return probe.wait_for(seconds(0)) == std::future_status::ready;
  }));
  farm.store.HoldCommits(false);
  stopper.join();
  CHECK_OK(Farm::Get(std::move(begun)).status);
  CHECK_THAT(Farm::Get(std::move(waiting)).status,
             StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
  CHECK(farm.store.sizes().size() == 1);
}

TEST_CASE("Scheduler: its queues are bounded, and the end of a session always gets in", "[unit]") {
  Scheduler::Options options;
  options.max_waiting_submits = 2;
  options.max_waiting_messages = 2;
  Farm farm(std::move(options));
  farm.store.HoldCommits(true);
  auto first = farm.Submit("0");
  REQUIRE(farm.store.WaitCommits(1));
  auto second = farm.Submit("1");
  auto third = farm.Submit("2");
  CHECK_THAT(Farm::Get(farm.Submit("3")).status,
             StatusIs(absl::StatusCode::kResourceExhausted, "QUEUE_FULL"));
  CHECK(farm.scheduler->Post(Accepted{kOrigin, {TaskId("task-9"), Attempt(1)}}));
  CHECK(farm.scheduler->Post(Accepted{kOrigin, {TaskId("task-9"), Attempt(1)}}));
  CHECK_FALSE(farm.scheduler->Post(Accepted{kOrigin, {TaskId("task-9"), Attempt(1)}}));
  CHECK(farm.scheduler->Post(SessionClosed{kOrigin}));
  farm.store.HoldCommits(false);
  CHECK_OK(Farm::Get(std::move(first)).status);
  CHECK_OK(Farm::Get(std::move(second)).status);
  CHECK_OK(Farm::Get(std::move(third)).status);
}

TEST_CASE("Scheduler: a start whose specification cannot be made is asked for again soon",
          "[unit]") {
  Farm farm;
  farm.orders.spec_error = absl::UnavailableError("no database");
  farm.Inventory();
  REQUIRE_OK(Farm::Get(farm.Submit("first")).status);
  const auto offer = farm.sink.WaitWant(protocol::Want::kOffer);
  REQUIRE(offer);
  farm.scheduler->Post(Accepted{kOrigin, offer->key});
  const auto keep = farm.sink.Wait([](const SessionSink::Body& body) {
    const auto* desired = std::get_if<protocol::Desired>(&body);
    return desired != nullptr && !desired->attempts.empty() &&
           desired->attempts[0].want == protocol::Want::kKeep;
  });
  REQUIRE(keep);
  CHECK(std::get<protocol::Desired>(*keep).sync_after <= seconds(1));
  {
    const std::lock_guard lock(farm.orders.mu);
    farm.orders.spec_error = absl::OkStatus();
  }
  farm.Inventory({{.key = offer->key, .phase = protocol::AttemptPhase::kAccepted}});
  CHECK(farm.sink.WaitWant(protocol::Want::kStart));
}

TEST_CASE("Scheduler: a permit carries the secret, a refused or sealed-off one says why",
          "[unit]") {
  Farm farm;
  const AttemptKey build = farm.StartBuild("first", true).key;
  farm.sink.Clear();
  farm.Report(build);
  const AttemptKey publish = farm.Accept().key;
  REQUIRE(publish.task == TaskId("task-first-publish"));
  const auto manifest = *Sha256Digest::Parse(std::string(64, 'a'));
  const auto denied = [](const SessionSink::Body& body) {
    return std::holds_alternative<protocol::PermitDenied>(body);
  };
  const protocol::Failure failure{.klass = protocol::FailureClass::kPolicy,
                                  .reason = "WRONG_PRODUCT",
                                  .message = "",
                                  .tool_words = "",
                                  .remedy = "",
                                  .remedy_zh = ""};

  farm.orders.denial = failure;
  farm.scheduler->Post(PermitRequested{kOrigin, publish, manifest, {}});
  auto answer = farm.sink.Wait(denied);
  REQUIRE(answer);
  CHECK(std::get<protocol::PermitDenied>(*answer).failure.reason == "WRONG_PRODUCT");

  farm.sink.Clear();
  farm.orders.denial.reset();
  farm.orders.secret = failure;
  farm.scheduler->Post(PermitRequested{kOrigin, publish, manifest, {}});
  REQUIRE(farm.sink.Wait(denied));

  farm.sink.Clear();
  farm.orders.secret = std::string("secret");
  farm.scheduler->Post(PermitRequested{kOrigin, publish, manifest, {}});
  answer = farm.sink.Wait(
      [](const SessionSink::Body& body) { return std::holds_alternative<protocol::Permit>(body); });
  REQUIRE(answer);
  CHECK(std::get<protocol::Permit>(*answer).secret == "secret");
  // The one that was granted while the secret could not be opened.
  CHECK(std::get<protocol::Permit>(*answer).nonce == "nonce-2");

  // Somebody else's request is not even looked at.
  const int seen = farm.orders.permits_seen;
  farm.scheduler->Post(
      PermitRequested{Origin{AgentId("agent-2"), SessionId(2)}, publish, manifest, {}});
  REQUIRE_OK(Farm::Get(farm.Submit("barrier")).status);
  CHECK(farm.orders.permits_seen == seen);
}

TEST_CASE("Scheduler: a resolved publish's late success is taken, log and all, and is released",
          "[unit]") {
  Scheduler::Options options;
  options.core.lease_ttl = seconds(2);
  options.core.grace = Duration::zero();
  options.core.permit_ttl = std::chrono::milliseconds(100);
  options.core.publish_margin = Duration::zero();
  Farm farm(std::move(options));
  testing::InMemoryRunReader reader(farm.database);
  const auto build = farm.StartBuild("0", true);
  farm.sink.Clear();
  farm.Report(build.key);
  const AttemptKey publish = farm.Accept().key;
  farm.Inventory({{publish, protocol::TaskKind::kPublish, protocol::AttemptPhase::kRunning}});
  PermitRequested ask;
  ask.from = kOrigin;
  ask.key = publish;
  farm.scheduler->Post(ask);
  REQUIRE(farm.sink.Wait(
      [](const auto& body) { return std::holds_alternative<protocol::Permit>(body); }));
  // The agent is silent until its lease has ended.
  const auto state = [&] { return reader.GetTask(publish.task)->task.state; };
  REQUIRE(WaitUntil([&] { return state() == domain::TaskState::kUnknown; }));

  Resolve word;
  word.task = publish.task;
  word.resolution.resolved_by = "ann";
  word.resolution.reason = "not in the list";
  std::promise<Reply> said;
  farm.scheduler->Resolve(word, [&](const Reply& reply) { said.set_value(reply); });
  CHECK_OK(Farm::Get(said.get_future()).status);
  CHECK(state() == domain::TaskState::kFailed);

  // It is back: its log is still wanted, and its word outranks the person's.
  CHECK_OK(farm.scheduler->CheckCurrent(kAgent, publish));
  farm.sink.Clear();
  ResultReported late;
  late.from = kOrigin;
  late.key = publish;
  late.result.publish.emplace();
  farm.scheduler->Post(late);
  const auto forget = farm.sink.WaitWant(protocol::Want::kForget);
  REQUIRE(forget);
  CHECK(forget->key == publish);
  CHECK(state() == domain::TaskState::kSucceeded);
  CHECK_OK(reader.ReleaseOfTask(publish.task));
  CHECK(reader.ResolutionOf(publish.task)->late_result.has_value());
  CHECK_THAT(farm.scheduler->CheckCurrent(kAgent, publish),
             StatusIs(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));
}

}  // namespace
}  // namespace slipway::scheduler
