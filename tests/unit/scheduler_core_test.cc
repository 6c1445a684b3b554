#include "controller/scheduler/scheduler_core.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/support/status_matchers.h"

namespace slipway::scheduler {
namespace {

using domain::TaskKind;
using domain::TaskState;
using protocol::AttemptPhase;
using protocol::FailureClass;
using protocol::Want;
using std::chrono::seconds;
using testing::StatusIs;

constexpr Duration kOffer = seconds(10);
constexpr Duration kLease = seconds(60);
constexpr Duration kGrace = seconds(90);

ResultReported ReportOf(Origin from, AttemptKey key) {
  ResultReported event;
  event.from = std::move(from);
  event.key = std::move(key);
  return event;
}

// A core with its shell: every event is a batch of its own, committed with `answer`.
struct Farm {
  Farm() { core.Load({}, now, WallTime(now.time_since_epoch())); }

  static SchedulerOptions Options() {
    SchedulerOptions options;
    options.offer_timeout = kOffer;
    options.lease_ttl = kLease;
    options.grace = kGrace;
    options.standstill = seconds(300);
    options.retry_delay = seconds(1);
    return options;
  }

  void Do(const Event& event) {
    changes.clear();
    told.clear();
    replies.clear();
    core.Apply(event, now, wall());
    Commit();
  }
  void Commit() {
    while (core.HasWork()) {
      auto batch = core.TakeChanges();
      std::vector<absl::Status> statuses(batch.size(), absl::OkStatus());
      changes.insert(changes.end(), batch.begin(), batch.end());
      Take(core.OnCommitted(statuses, now, wall()));
    }
  }
  void Take(Effects effects) {
    for (auto& send : effects.sends) told.push_back(std::move(send));
    for (auto& reply : effects.replies) replies.push_back(std::move(reply));
  }
  [[nodiscard]] WallTime wall() const { return WallTime(now.time_since_epoch()); }

  void Pass(Duration time) {
    now += time;
    Do(Tick{});
  }

  static domain::Task Build(const std::string& id, const std::string& app = "app") {
    domain::Task task;
    task.id = TaskId(id);
    task.run = RunId("run-" + id);
    task.application = ApplicationId(app);
    return task;
  }
  static domain::Task Publish(const std::string& id, const std::string& build) {
    domain::Task task = Build(id);
    task.kind = TaskKind::kPublish;
    task.state = TaskState::kWaiting;
    task.depends_on = TaskId(build);
    return task;
  }
  void Submit(std::vector<domain::Task> tasks) {
    domain::Run run;
    run.id = tasks.front().run;
    Do(scheduler::Submit{Ticket(++ticket), run, std::move(tasks)});
  }
  void Connect(const std::string& agent, std::uint64_t session,
               std::vector<protocol::AttemptStatus> attempts = {}, std::uint32_t slots = 1,
               std::uint64_t sequence = 1) {
    protocol::Inventory inventory;
    inventory.sequence = sequence;
    inventory.slots = slots;
    inventory.attempts = std::move(attempts);
    Do(InventoryReceived{{AgentId(agent), SessionId(session)}, inventory});
  }
  // Offered and accepted: runs on agent `a`, session 1.
  void Run(const std::string& task, std::int64_t attempt = 1) {
    Do(Accepted{kA, Key(task, attempt)});
    REQUIRE(WantOf(Key(task, attempt)) == Want::kStart);
  }
  void Report(const std::string& task, std::int64_t attempt, FailureClass klass, Origin from = kA) {
    ResultReported event = ReportOf(std::move(from), Key(task, attempt));
    event.result.failure = protocol::Failure{};
    event.result.failure->klass = klass;
    event.log = LogState::kComplete;
    Do(event);
  }
  void Succeed(const std::string& task, std::int64_t attempt = 1) {
    ResultReported event = ReportOf(kA, Key(task, attempt));
    event.log = LogState::kComplete;
    event.release = domain::Release{};
    Do(event);
  }

  static AttemptKey Key(const std::string& task, std::int64_t attempt = 1) {
    return {TaskId(task), Attempt(attempt)};
  }
  // What the last event told an agent about this attempt.
  [[nodiscard]] std::optional<Want> WantOf(const AttemptKey& key) const {
    std::optional<Want> want;
    for (const Outgoing& out : told) {
      const auto* desired = std::get_if<protocol::Desired>(&out.body);
      if (desired == nullptr) continue;
      for (const auto& attempt : desired->attempts) {
        if (attempt.key == key) want = attempt.want;
      }
    }
    return want;
  }
  template <typename T>
  [[nodiscard]] const T* Changed() const {
    for (const auto& change : changes) {
      if (const auto* found = std::get_if<T>(&change)) return found;
    }
    return nullptr;
  }
  template <typename T>
  [[nodiscard]] const T* Told() const {
    for (const Outgoing& out : told) {
      if (const auto* found = std::get_if<T>(&out.body)) return found;
    }
    return nullptr;
  }
  [[nodiscard]] std::optional<TaskState> Finished(const std::string& task) const {
    for (const auto& change : changes) {
      const auto* finish = std::get_if<store::FinishTask>(&change);
      if (finish != nullptr && finish->key.task == TaskId(task)) return finish->state;
    }
    return std::nullopt;
  }

  static const Origin kA;
  static const Origin kB;
  MonoTime now = MonoTime(seconds(1000));
  SchedulerCore core{Options()};
  std::uint64_t ticket = 0;
  std::vector<store::Change> changes;
  std::vector<Outgoing> told;
  std::vector<Reply> replies;
};

const Origin Farm::kA{AgentId("a"), SessionId(1)};
const Origin Farm::kB{AgentId("b"), SessionId(2)};

TEST_CASE(
    "Scheduler: a task is offered, started once accepted, and forgotten once its result is "
    "stored",
    "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  REQUIRE(farm.replies.size() == 1);
  CHECK_OK(farm.replies[0].status);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
  farm.Run("t");
  CHECK(farm.Changed<store::StartTask>() != nullptr);
  farm.Succeed("t");
  CHECK(farm.Finished("t") == TaskState::kSucceeded);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kForget);
  CHECK(farm.core.unfinished() == 0);
}

TEST_CASE("Scheduler: nothing is told before the changes are committed", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.core.Apply(Submit{Ticket(1), {}, {Farm::Build("t")}}, farm.now, farm.wall());
  REQUIRE(farm.core.HasWork());
  REQUIRE(farm.core.TakeChanges().size() == 1);
  const Effects failed = farm.core.OnInDoubt();
  CHECK(failed.reload);
  CHECK(failed.sends.empty());
  REQUIRE(failed.replies.size() == 1);
  CHECK_THAT(failed.replies[0].status, StatusIs(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT"));

  farm.told.clear();
  farm.core.Load({{Farm::Build("t")}, {}}, farm.now, farm.wall());
  farm.Commit();
  REQUIRE(farm.Told<protocol::Desired>() != nullptr);
  CHECK(farm.Told<protocol::Desired>()->sync_after == Duration::zero());
  CHECK(farm.WantOf(Farm::Key("t")) == std::nullopt);
  farm.Connect("a", 1, {}, 1, 2);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
}

TEST_CASE("Scheduler: a refused change makes it load again; a known request does not",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.core.Apply(Submit{Ticket(1), {}, {Farm::Build("t")}}, farm.now, farm.wall());
  (void)farm.core.TakeChanges();
  Effects known = farm.core.OnCommitted({absl::AlreadyExistsError("run-9")}, farm.now, farm.wall());
  CHECK_FALSE(known.reload);
  REQUIRE(known.replies.size() == 1);
  CHECK(absl::IsAlreadyExists(known.replies[0].status));
  CHECK(known.replies[0].run == RunId("run-9"));
  CHECK(farm.core.unfinished() == 0);

  farm.Submit({Farm::Build("u")});
  farm.core.Apply(Accepted{Farm::kA, Farm::Key("u")}, farm.now, farm.wall());
  (void)farm.core.TakeChanges();
  const Effects refused =
      farm.core.OnCommitted({absl::AbortedError("guard")}, farm.now, farm.wall());
  CHECK(refused.reload);
  CHECK(refused.sends.empty());
}

TEST_CASE("Scheduler: an unanswered offer goes back and a late acceptance is disowned",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Pass(kOffer);
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
  CHECK(farm.WantOf(Farm::Key("t", 1)) == Want::kForget);
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
  farm.Do(Accepted{Farm::kA, Farm::Key("t", 1)});
  CHECK(farm.changes.empty());
  CHECK(farm.WantOf(Farm::Key("t", 1)) == Want::kForget);
}

TEST_CASE("Scheduler: an agent that refused is left alone for a moment", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Do(Refused{Farm::kA, Farm::Key("t"), "no free slot"});
  CHECK(farm.Changed<store::RequeueTask>()->why == "refused: no free slot");
  CHECK(farm.Changed<store::OfferTask>() == nullptr);
  farm.Pass(seconds(2));
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
}

TEST_CASE("Scheduler: messages of a replaced session change nothing", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Connect("a", 5);
  farm.Do(Accepted{Farm::kA, Farm::Key("t")});
  CHECK(farm.changes.empty());
  farm.Do(SessionClosed{Farm::kA});
  CHECK(farm.core.Agents().at(0).online);
}

TEST_CASE(
    "Scheduler: a build whose agent stays away is built elsewhere, the old result is disowned",
    "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Do(SessionClosed{Farm::kA});
  farm.Connect("b", 2);
  farm.Pass(kLease);
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
  farm.Connect("b", 2, {}, 1, 2);
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
  farm.Connect("a", 3, {{Farm::Key("t", 1), TaskKind::kBuild, AttemptPhase::kFinished}});
  CHECK(farm.WantOf(Farm::Key("t", 1)) == Want::kForget);
  ResultReported old = ReportOf({AgentId("a"), SessionId(3)}, Farm::Key("t", 1));
  old.log = LogState::kComplete;
  farm.Do(old);
  CHECK(farm.changes.empty());
}

TEST_CASE("Scheduler: a build lost too often fails as agent_lost", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  for (std::int64_t attempt = 1; attempt <= 3; ++attempt) {
    farm.Run("t", attempt);
    farm.Report("t", attempt, FailureClass::kAgentLost);
    if (attempt < 3) {
      CHECK(farm.Changed<store::RequeueTask>() != nullptr);
      farm.Pass(seconds(8));
    }
  }
  CHECK(farm.Finished("t") == TaskState::kFailed);
}

TEST_CASE("Scheduler: the failure class decides whether a build is tried again",
          "[unit][scheduler]") {
  const std::map<FailureClass, bool> again = {
      {FailureClass::kBuild, false},          {FailureClass::kTimeout, false},
      {FailureClass::kPolicy, false},         {FailureClass::kCredential, false},
      {FailureClass::kNetwork, true},         {FailureClass::kInfrastructure, true},
      {FailureClass::kPlatformRefused, false}};
  for (const auto& [klass, expected] : again) {
    Farm farm;
    farm.Connect("a", 1);
    farm.Submit({Farm::Build("t")});
    farm.Run("t");
    farm.Report("t", 1, klass);
    INFO(protocol::FailureClassName(klass));
    CHECK((farm.Changed<store::RequeueTask>() != nullptr) == expected);
    CHECK((farm.Finished("t") == TaskState::kFailed) != expected);
    CHECK(farm.WantOf(Farm::Key("t")) == Want::kForget);
  }
}

TEST_CASE("Scheduler: a result is taken only when its log is complete", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  ResultReported event = ReportOf(Farm::kA, Farm::Key("t"));
  event.result.log.size = 100;
  event.log = LogState::kIncomplete;
  farm.Do(event);
  CHECK(farm.changes.empty());
  CHECK(farm.told.empty());
  event.log = LogState::kDamaged;
  event.log_missing = 7;
  farm.Do(event);
  REQUIRE(farm.Changed<store::FinishTask>() != nullptr);
  CHECK(farm.Changed<store::FinishTask>()->result->log.missing == 7);
}

TEST_CASE("Scheduler: the publish follows its build's success and is skipped without it",
          "[unit][scheduler]") {
  for (const bool good : {true, false}) {
    Farm farm;
    farm.Connect("a", 1);
    farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
    CHECK(farm.core.WhyWaiting(TaskId("p")) == "waits for its build");
    farm.Run("t");
    if (good) {
      farm.Succeed("t");
      CHECK(farm.WantOf(Farm::Key("p")) == Want::kOffer);
    } else {
      farm.Report("t", 1, FailureClass::kBuild);
      CHECK(farm.Finished("p") == TaskState::kSkipped);
    }
  }
}

// A farm whose publish "p" runs on agent a.
struct PublishingFarm : Farm {
  PublishingFarm() {
    Connect("a", 1);
    Submit({Build("t"), Publish("p", "t")});
    Run("t");
    Succeed("t");
    Run("p");
  }
  void Ask(const std::string& nonce, char manifest = 'm') {
    const auto digest = *Sha256Digest::FromBytes(std::string(32, manifest));
    Do(PermitRequested{kA, Key("p"), digest, nonce});
  }
};

TEST_CASE("Scheduler: asking again for a permit gives the same nonce, other bytes are denied",
          "[unit][scheduler]") {
  PublishingFarm farm;
  farm.Ask("one");
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  CHECK(farm.Changed<store::GrantPermit>() != nullptr);
  farm.Ask("two");
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  CHECK(farm.Told<protocol::Permit>()->nonce == "one");
  CHECK(farm.changes.empty());
  farm.Ask("three", 'x');
  CHECK(farm.Told<protocol::Permit>() == nullptr);
  REQUIRE(farm.Told<protocol::PermitDenied>() != nullptr);
}

TEST_CASE("Scheduler: a canceled publish gets no permit", "[unit][scheduler]") {
  PublishingFarm farm;
  farm.Do(Cancel{Ticket(9), TaskId("p"), "dev", "wrong"});
  CHECK(farm.WantOf(Farm::Key("p")) == Want::kCancel);
  farm.Ask("one");
  REQUIRE(farm.Told<protocol::PermitDenied>() != nullptr);
  CHECK(farm.Told<protocol::PermitDenied>()->failure.klass == FailureClass::kCanceled);
}

TEST_CASE("Scheduler: a lost publish is unknown with a permit, failed without, never queued again",
          "[unit][scheduler]") {
  for (const bool permitted : {true, false}) {
    PublishingFarm farm;
    if (permitted) farm.Ask("one");
    farm.Do(SessionClosed{Farm::kA});
    farm.Pass(kLease);
    CHECK(farm.Changed<store::RequeueTask>() == nullptr);
    CHECK((farm.Changed<store::MarkUnknown>() != nullptr) == permitted);
    CHECK((farm.Finished("p") == TaskState::kFailed) == !permitted);
  }
}

TEST_CASE("Scheduler: the late result of an unknown publish resolves it", "[unit][scheduler]") {
  PublishingFarm farm;
  farm.Ask("one");
  farm.Do(SessionClosed{Farm::kA});
  farm.Pass(kLease);
  REQUIRE(farm.Changed<store::MarkUnknown>() != nullptr);
  farm.Do(Cancel{Ticket(9), TaskId("p"), "dev", "too late"});
  CHECK_THAT(farm.replies.at(0).status,
             StatusIs(absl::StatusCode::kFailedPrecondition, "PUBLISH_UNKNOWN"));
  farm.Connect("a", 3, {{Farm::Key("p"), TaskKind::kPublish, AttemptPhase::kFinished}});
  CHECK(farm.WantOf(Farm::Key("p")) == Want::kKeep);
  ResultReported late = ReportOf({AgentId("a"), SessionId(3)}, Farm::Key("p"));
  late.log = LogState::kComplete;
  late.release = domain::Release{};
  farm.Do(late);
  CHECK(farm.Finished("p") == TaskState::kSucceeded);
  CHECK(farm.Changed<store::FinishTask>()->release.has_value());
}

TEST_CASE("Scheduler: cancel ends what no agent works on at once, the rest when the agent says so",
          "[unit][scheduler]") {
  Farm farm;
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Do(Cancel{Ticket(9), TaskId("t"), "dev", "no"});
  CHECK(farm.Finished("t") == TaskState::kCanceled);
  CHECK(farm.Finished("p") == TaskState::kSkipped);

  farm.Connect("a", 1);
  farm.Submit({Farm::Build("u")});
  farm.Do(Cancel{Ticket(9), TaskId("u"), "dev", "no"});
  CHECK(farm.Finished("u") == TaskState::kCanceled);
  CHECK(farm.WantOf(Farm::Key("u")) == Want::kForget);

  farm.Submit({Farm::Build("v")});
  farm.Run("v");
  farm.Do(Cancel{Ticket(9), TaskId("v"), "dev", "no"});
  CHECK(farm.Finished("v") == std::nullopt);
  CHECK(farm.WantOf(Farm::Key("v")) == Want::kCancel);
  farm.Connect("a", 1, {{Farm::Key("v"), TaskKind::kBuild, AttemptPhase::kRunning}}, 1, 2);
  CHECK(farm.WantOf(Farm::Key("v")) == Want::kCancel);
  farm.Report("v", 1, FailureClass::kCanceled);
  CHECK(farm.Finished("v") == TaskState::kCanceled);

  farm.Do(Cancel{Ticket(9), TaskId("v"), "dev", "no"});
  CHECK_THAT(farm.replies.at(0).status, StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("Scheduler: the publish of a build that was being canceled does not start",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Run("t");
  farm.Do(Cancel{Ticket(9), TaskId("t"), "dev", "no"});
  farm.Succeed("t");
  CHECK(farm.Finished("t") == TaskState::kSucceeded);
  CHECK(farm.Finished("p") == TaskState::kSkipped);
}

TEST_CASE("Scheduler: an attempt missing from two inventories in a row is lost",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Connect("a", 1, {}, 1, 2);
  CHECK(farm.changes.empty());
  CHECK(farm.Told<protocol::Desired>()->sync_after == Duration::zero());
  farm.Connect("a", 1, {}, 1, 3);
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
}

TEST_CASE("Scheduler: after a start no lease ends before the grace period", "[unit][scheduler]") {
  Farm farm;
  domain::Task task = Farm::Build("t");
  task.state = TaskState::kRunning;
  task.attempt = Attempt(1);
  task.agent = AgentId("a");
  farm.core.Load({{task}, {}}, farm.now, farm.wall());
  farm.Pass(kGrace - seconds(1));
  CHECK(farm.changes.empty());
  farm.Connect("a", 1, {{Farm::Key("t"), TaskKind::kBuild, AttemptPhase::kRunning}});
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kKeep);
  farm.Pass(kLease - seconds(1));
  CHECK(farm.changes.empty());
  farm.Pass(seconds(2));
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
}

TEST_CASE("Scheduler: a controller that stood still does not take its agents for dead",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Pass(kLease + seconds(301));
  CHECK(farm.changes.empty());
  farm.Pass(kGrace + seconds(1));
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
}

TEST_CASE(
    "Scheduler: a publish is not offered while its build is unfinished, whatever its row says",
    "[unit][scheduler]") {
  Farm farm;
  domain::Task publish = Farm::Publish("p", "t");
  publish.state = TaskState::kQueued;
  farm.core.Load({{Farm::Build("t"), publish}, {}}, farm.now, farm.wall());
  farm.Connect("a", 1, {}, 2);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
  CHECK(farm.WantOf(Farm::Key("p")) == std::nullopt);
}

TEST_CASE("Scheduler: a draining agent gets no offer and people are told why a task waits",
          "[unit][scheduler]") {
  Farm farm;
  domain::Task picky = Farm::Build("t");
  picky.requirements = {{"xcode", "15"}};
  farm.Submit({picky});
  CHECK(farm.core.WhyWaiting(TaskId("t")) == "no agent is connected");
  farm.Connect("a", 1);
  CHECK(farm.core.WhyWaiting(TaskId("t")) ==
        "none of the 1 connected agents has the labels xcode=15");
  protocol::Inventory drained;
  drained.sequence = 2;
  drained.slots = 1;
  drained.draining = true;
  drained.labels = {{"xcode", "15"}};
  farm.Do(InventoryReceived{Farm::kA, drained});
  CHECK(farm.core.WhyWaiting(TaskId("t")) == "every agent that fits is being drained");
  CHECK(farm.Changed<store::OfferTask>() == nullptr);
}

TEST_CASE("Scheduler: a full queue refuses a submit and says so", "[unit][scheduler]") {
  SchedulerOptions options = Farm::Options();
  options.max_unfinished = 1;
  Farm farm;
  farm.core = SchedulerCore(options);
  farm.core.Load({}, farm.now, farm.wall());
  farm.Submit({Farm::Build("t")});
  farm.Submit({Farm::Build("u")});
  CHECK_THAT(farm.replies.at(0).status,
             StatusIs(absl::StatusCode::kResourceExhausted, "QUEUE_FULL"));
}

}  // namespace
}  // namespace slipway::scheduler
