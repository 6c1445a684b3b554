#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "tests/contract/store_farm.h"

namespace slipway::testing {

using domain::Task;
using domain::TaskState;
using protocol::TaskKind;

TEST_CASE("SchedulerStore: a run comes back with its tasks as it was created", "[contract]") {
  Farm farm;
  REQUIRE_OK(farm.CommitOne(Farm::Create("1")));
  const auto found = farm.process->reader().GetTask(TaskId("publish-1"));
  REQUIRE_OK(found);
  CHECK(found->run.application_name == "shop");
  CHECK(found->run.ref == "main");
  CHECK(found->run.version == "1.2");
  CHECK(found->run.description == "第一");
  CHECK(found->run.submitted_by == "admin");
  CHECK(found->run.submitted_at == FromUnixMicros(kStart));
  CHECK(found->run.request_id == "request-1");
  const Task& task = found->task;
  CHECK(task.run == RunId("run-1"));
  CHECK(task.application == ApplicationId("app-1"));
  CHECK(task.kind == TaskKind::kPublish);
  CHECK(task.platform == "weixin");
  CHECK(task.target == "trial");
  CHECK(task.depends_on == TaskId("build-1"));
  CHECK(task.requirements == std::map<std::string, std::string>{{"os", "linux"}});
  CHECK(task.priority == 5);
  CHECK(task.state == TaskState::kWaiting);
  CHECK(task.attempt == Attempt(0));
  CHECK_FALSE(task.cancel_requested);
  CHECK(task.created_at == FromUnixMicros(kStart));
  CHECK(task.started_at == WallTime());
  CHECK_FALSE(task.result.has_value());
  CHECK(task.group.empty());
  CHECK(task.queue_timeout == std::chrono::minutes(30));
  CHECK(task.starts == 0);
  CHECK(task.queued_since == WallTime());
  const Task build = farm.Get("build-1");
  CHECK(build.group == "nightly");
  CHECK(build.queued_since == FromUnixMicros(kStart));
  CHECK(build.not_before == WallTime());
  const auto tasks = farm.process->reader().TasksOfRun(RunId("run-1"));
  REQUIRE_OK(tasks);
  REQUIRE(tasks->size() == 2);
  CHECK(tasks->at(0).id == TaskId("build-1"));
}

TEST_CASE("SchedulerStore: a repeated request names the run that exists, in one batch and later",
          "[contract]") {
  Farm farm;
  store::CreateRun again = Farm::Create("2");
  again.run.request_id = "request-1";
  const auto outcome = farm.Commit({Farm::Create("1"), again});
  CHECK_OK(outcome[0]);
  CHECK_THAT(outcome[1], StatusIs(absl::StatusCode::kAlreadyExists, "run-1"));
  CHECK(outcome[1].message() == "run-1");
  CHECK(farm.CommitOne(again).message() == "run-1");
  CHECK_FALSE(farm.process->reader().GetRun(RunId("run-2")).ok());
  CHECK_FALSE(farm.process->reader().GetTask(TaskId("build-2")).ok());
  store::CreateRun of_another = Farm::Create("3");
  of_another.run.request_id = "request-1";
  of_another.run.submitted_by = "somebody else";
  CHECK_OK(farm.CommitOne(of_another));
}

TEST_CASE("SchedulerStore: a task goes from offer to result with its times", "[contract]") {
  Farm farm;
  REQUIRE_OK(farm.CommitOne(Farm::Create("1")));
  REQUIRE_OK(farm.CommitOne(Farm::Offer("build-1", 1)));
  Task task = farm.Get("build-1");
  CHECK(task.state == TaskState::kOffered);
  CHECK(task.attempt == Attempt(1));
  CHECK(task.agent == AgentId("agent-1"));
  CHECK(task.offer_deadline == By("", 30).at);
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 2), Key("build-1", 1)}));
  task = farm.Get("build-1");
  CHECK(task.state == TaskState::kRunning);
  CHECK(task.started_at == By("", 2).at);
  CHECK(task.offer_deadline == WallTime());
  store::FinishTask finish = Farm::Finish("build-1", 1, TaskState::kFailed);
  finish.result = FullResult();
  REQUIRE_OK(farm.CommitOne(finish));
  task = farm.Get("build-1");
  CHECK(task.state == TaskState::kFailed);
  CHECK(task.finished_at == By("", 9).at);
  REQUIRE(task.result.has_value());
  CHECK(*task.result == FullResult());
}

TEST_CASE("SchedulerStore: a batch is applied in order, change upon change", "[contract]") {
  Farm farm;
  const auto outcome = farm.Commit(
      {Farm::Create("1"), Farm::Create("2"), Farm::Offer("build-1", 1),
       store::StartTask{By("agent:a", 2), Key("build-1", 1)}, Farm::Offer("build-2", 1),
       Farm::Finish("build-1", 1, TaskState::kSucceeded),
       store::ReleaseTask{By("scheduler"), TaskId("publish-1")}, Farm::Offer("publish-1", 1)});
  for (const absl::Status& status : outcome) CHECK_OK(status);
  CHECK(farm.Get("build-1").state == TaskState::kSucceeded);
  CHECK(farm.Get("build-2").state == TaskState::kOffered);
  CHECK(farm.Get("publish-1").state == TaskState::kOffered);
}

TEST_CASE("SchedulerStore: a refused change leaves the rest of the batch alone", "[contract]") {
  Farm farm;
  REQUIRE_OK(farm.CommitOne(Farm::Create("1")));
  const auto outcome =
      farm.Commit({Farm::Offer("build-1", 2), Farm::Create("2"), Farm::Offer("no-such-task", 1),
                   Farm::Offer("build-2", 1), Farm::Offer("build-2", 1)});
  CHECK_THAT(outcome[0], kIsRefused);
  CHECK_OK(outcome[1]);
  CHECK_THAT(outcome[2], kIsRefused);
  CHECK_OK(outcome[3]);
  CHECK_THAT(outcome[4], kIsRefused);
  CHECK(farm.Get("build-1").attempt == Attempt(0));
  CHECK(farm.harness->AuditedSubjects() ==
        std::vector<std::string>{"shop", "run-1", "run-2", "build-2"});
}

TEST_CASE("SchedulerStore: what an old attempt says changes nothing", "[contract]") {
  Farm farm;
  farm.StartBuild("1");
  REQUIRE_OK(farm.CommitOne(store::RequeueTask{By("scheduler"), Key("build-1", 1), "agent lost"}));
  Task task = farm.Get("build-1");
  CHECK(task.state == TaskState::kQueued);
  CHECK(task.started_at == WallTime());
  REQUIRE_OK(farm.CommitOne(Farm::Offer("build-1", 2)));
  domain::Step step;
  step.key = Key("build-1", 1);
  step.number = 1;
  step.name = "late";
  const auto outcome = farm.Commit({store::StartTask{By("agent:a"), Key("build-1", 1)},
                                    Farm::Finish("build-1", 1, TaskState::kSucceeded),
                                    store::RequeueTask{By("scheduler"), Key("build-1", 1), "again"},
                                    store::RecordStep{step}, Farm::Offer("build-1", 2)});
  for (const absl::Status& status : outcome) CHECK_THAT(status, kIsRefused);
  task = farm.Get("build-1");
  CHECK(task.state == TaskState::kOffered);
  CHECK(task.attempt == Attempt(2));
}

TEST_CASE("SchedulerStore: only legal arrows of a task's life are drawn", "[contract]") {
  Farm farm;
  farm.StartPublish("1");
  // A publish that runs is never queued again.
  CHECK_THAT(farm.CommitOne(store::RequeueTask{By("scheduler"), Key("publish-1", 1), "agent lost"}),
             kIsRefused);
  CHECK_THAT(farm.CommitOne(Farm::Finish("publish-1", 1, TaskState::kSkipped)), kIsRefused);
  REQUIRE_OK(
      farm.CommitOne(store::MarkUnknown{By("scheduler"), Key("publish-1", 1), FullResult()}));
  CHECK(farm.Get("publish-1").state == TaskState::kUnknown);
  CHECK_THAT(farm.CommitOne(Farm::Finish("publish-1", 1, TaskState::kCanceled)), kIsRefused);
  REQUIRE_OK(farm.CommitOne(Farm::Finish("publish-1", 1, TaskState::kFailed)));
  // The result that made it unknown stays when none replaces it.
  CHECK(farm.Get("publish-1").result.has_value());
  CHECK_THAT(farm.CommitOne(Farm::Finish("publish-1", 1, TaskState::kSucceeded)), kIsRefused);
  // A build is never unknown, a finished one never canceled.
  REQUIRE_OK(farm.CommitOne(Farm::Create("2")));
  REQUIRE_OK(farm.CommitOne(Farm::Offer("build-2", 1)));
  CHECK_THAT(farm.CommitOne(store::MarkUnknown{By("scheduler"), Key("build-2", 1), FullResult()}),
             kIsRefused);
  CHECK_THAT(farm.CommitOne(store::ReleaseTask{By("scheduler"), TaskId("build-2")}), kIsRefused);
}

TEST_CASE("SchedulerStore: a cancel is asked for once and keeps a task from being offered",
          "[contract]") {
  Farm farm;
  REQUIRE_OK(farm.CommitOne(Farm::Create("1")));
  const store::RequestCancel cancel{By("admin"), TaskId("build-1"), "wrong branch"};
  REQUIRE_OK(farm.CommitOne(cancel));
  CHECK(farm.Get("build-1").cancel_requested);
  CHECK_THAT(farm.CommitOne(cancel), kIsRefused);
  CHECK_THAT(farm.CommitOne(Farm::Offer("build-1", 1)), kIsRefused);
  REQUIRE_OK(farm.CommitOne(Farm::Finish("build-1", 0, TaskState::kCanceled)));
  REQUIRE_OK(farm.CommitOne(Farm::Finish("publish-1", 0, TaskState::kSkipped)));
  CHECK_THAT(farm.CommitOne(store::RequestCancel{By("admin"), TaskId("publish-1"), ""}),
             kIsRefused);
}

TEST_CASE("SchedulerStore: a publish is permitted once, for one attempt and one product",
          "[contract]") {
  Farm farm;
  farm.StartPublish("1");
  REQUIRE_OK(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("publish-1", 1)}));
  domain::PublishPermit again = MakePermit("publish-1", 1);
  again.nonce = "another";
  REQUIRE_OK(farm.CommitOne(store::GrantPermit{By("scheduler"), again}));
  domain::PublishPermit other_product = MakePermit("publish-1", 1);
  other_product.manifest = *Sha256Digest::Parse(std::string(64, 'e'));
  CHECK_THAT(farm.CommitOne(store::GrantPermit{By("scheduler"), other_product}), kIsRefused);
  CHECK_THAT(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("publish-1", 2)}),
             kIsRefused);
  const auto unfinished = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(unfinished);
  REQUIRE(unfinished->permits.size() == 1);
  CHECK(unfinished->permits[0].nonce == "nonce-publish-11");
  CHECK(unfinished->permits[0].key == Key("publish-1", 1));
  CHECK(unfinished->permits[0].manifest == MakePermit("publish-1", 1).manifest);
  CHECK(unfinished->permits[0].not_after == FromUnixMicros(kStart + 60));
}

TEST_CASE("SchedulerStore: no permit for a build, a canceled or an ended publish", "[contract]") {
  Farm farm;
  farm.StartPublish("1");
  farm.StartBuild("2");
  CHECK_THAT(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("build-2", 1)}),
             kIsRefused);
  REQUIRE_OK(farm.CommitOne(store::RequestCancel{By("admin"), TaskId("publish-1"), ""}));
  CHECK_THAT(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("publish-1", 1)}),
             kIsRefused);
  REQUIRE_OK(farm.CommitOne(Farm::Finish("publish-1", 1, TaskState::kFailed)));
  CHECK_THAT(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("publish-1", 1)}),
             kIsRefused);
}

TEST_CASE("SchedulerStore: a release is stored with the end of its publish, or not at all",
          "[contract]") {
  Farm farm;
  farm.StartPublish("1");
  CHECK_THAT(farm.process->reader().ReleaseOfTask(TaskId("publish-1")).status(),
             StatusIs(absl::StatusCode::kNotFound));
  store::FinishTask stale = Farm::Finish("publish-1", 7, TaskState::kSucceeded);
  stale.release = MakeRelease("1");
  CHECK_THAT(farm.CommitOne(stale), kIsRefused);
  CHECK_FALSE(farm.process->reader().GetRelease(ReleaseId("release-1")).ok());
  store::FinishTask finish = Farm::Finish("publish-1", 1, TaskState::kSucceeded);
  finish.release = MakeRelease("1");
  REQUIRE_OK(farm.CommitOne(finish));
  const auto release = farm.process->reader().GetRelease(ReleaseId("release-1"));
  REQUIRE_OK(release);
  const domain::Release expected = MakeRelease("1");
  CHECK(release->run == expected.run);
  CHECK(release->publish_task == expected.publish_task);
  CHECK(release->build_task == expected.build_task);
  CHECK(release->application_name == "shop");
  CHECK(release->platform == "weixin");
  CHECK(release->target == "trial");
  CHECK(release->version == "1.2");
  CHECK(release->commit == expected.commit);
  CHECK(release->manifest == expected.manifest);
  CHECK(release->link == expected.link);
  CHECK(release->qr_text == expected.qr_text);
  CHECK(release->released_at == expected.released_at);
  CHECK(release->released_by == "admin");
  CHECK(farm.process->reader().ReleaseOfTask(TaskId("publish-1"))->id == expected.id);
}

// The publish of run `n` is unknown, by its agent's own word when `reported`.
void MakeUnknown(Farm& farm, const std::string& n, bool reported, bool client_ended = false) {
  // Of publishes to one target only one would get a permit.
  farm.StartPublish(n, "target-" + n);
  const std::string task = "publish-" + n;
  REQUIRE_OK(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit(task, 1)}));
  store::MarkUnknown unknown{By("scheduler", 7), Key(task, 1), FullResult(), reported};
  unknown.result.client_ended = client_ended;
  REQUIRE_OK(farm.CommitOne(unknown));
}

store::FinishTask Resolved(const std::string& n, domain::PublishVerdict verdict) {
  const bool published = verdict == domain::PublishVerdict::kPublished;
  store::FinishTask finish =
      Farm::Finish("publish-" + n, 1, published ? TaskState::kSucceeded : TaskState::kFailed);
  finish.result = FullResult();
  if (published) finish.release = MakeRelease(n);
  finish.resolution = {.verdict = verdict,
                       .resolved_by = "admin",
                       .resolved_at = FromUnixMicros(kStart + 11),
                       .probe = {},
                       .reason = "看过平台后台",
                       .late_result = {}};
  return finish;
}

TEST_CASE("SchedulerStore: an unknown publish remembers what its agent said last", "[contract]") {
  Farm farm;
  MakeUnknown(farm, "1", false);
  MakeUnknown(farm, "2", true, true);
  const auto unfinished = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(unfinished);
  REQUIRE(unfinished->permits.size() == 2);
  CHECK_FALSE(unfinished->permits[0].reported);
  CHECK(unfinished->permits[0].client_ended_at == WallTime());
  CHECK(unfinished->permits[0].deadline == std::chrono::seconds(90));
  CHECK(unfinished->permits[1].reported);
  CHECK(unfinished->permits[1].client_ended_at == By("", 7).at);
  CHECK(farm.Get("publish-2").result->client_ended);
  // Its own word may come after somebody else's.
  store::MarkUnknown own{By("scheduler", 8), Key("publish-1", 1), FullResult(), true};
  REQUIRE_OK(farm.CommitOne(own));
  CHECK(farm.process->scheduler().LoadUnfinished()->permits[0].reported);
  store::MarkUnknown old{By("scheduler", 8), Key("publish-1", 2), FullResult(), true};
  CHECK_THAT(farm.CommitOne(old), kIsRefused);
}

TEST_CASE("SchedulerStore: a resolution is stored with the end of its publish, once",
          "[contract]") {
  Farm farm;
  MakeUnknown(farm, "1", false);
  CHECK_THAT(farm.process->reader().ResolutionOf(TaskId("publish-1")).status(),
             StatusIs(absl::StatusCode::kNotFound));
  REQUIRE_OK(farm.CommitOne(Resolved("1", domain::PublishVerdict::kNotPublished)));
  CHECK_THAT(farm.CommitOne(Resolved("1", domain::PublishVerdict::kPublished)), kIsRefused);
  CHECK(farm.Get("publish-1").state == TaskState::kFailed);
  const auto resolution = farm.process->reader().ResolutionOf(TaskId("publish-1"));
  REQUIRE_OK(resolution);
  CHECK(resolution->verdict == domain::PublishVerdict::kNotPublished);
  CHECK(resolution->resolved_by == "admin");
  CHECK(resolution->resolved_at == FromUnixMicros(kStart + 11));
  CHECK(resolution->reason == "看过平台后台");
  CHECK((resolution->probe.value().empty() && !resolution->late_result));
  CHECK(farm.process->reader().ResolutionsOf({TaskId("publish-1"), TaskId("x")})->size() == 1);
  CHECK_FALSE(farm.process->reader().ReleaseOfTask(TaskId("publish-1")).ok());
}

TEST_CASE("SchedulerStore: no late word is awaited of an agent that has left the farm",
          "[contract]") {
  Farm farm;
  domain::JoinToken token;
  token.token_hash = "hash";
  token.created_at = FromUnixMicros(kStart);
  token.created_by = "admin";
  token.expires_at = FromUnixMicros(kStart + 1000);
  REQUIRE_OK(farm.process->agents().AddJoinToken(token, {"admin", WallTime()}));
  domain::Agent agent;
  agent.id = AgentId("agent-1");
  agent.name = "a";
  agent.certificate = {.fingerprint = "ab", .not_after = FromUnixMicros(kStart + 1000)};
  agent.joined_at = FromUnixMicros(kStart);
  REQUIRE_OK(farm.process->agents().Join("hash", agent, FromUnixMicros(kStart)));
  MakeUnknown(farm, "1", false);
  REQUIRE_OK(farm.CommitOne(Resolved("1", domain::PublishVerdict::kPublished)));
  REQUIRE(farm.process->scheduler().LoadUnfinished()->resolved.size() == 1);
  const domain::Availability revoked{.mode = domain::AgentMode::kRevoked,
                                     .reason = "",
                                     .by = "admin",
                                     .since = FromUnixMicros(kStart + 20),
                                     .until = {}};
  REQUIRE_OK(farm.CommitOne(store::SetAvailability{By("admin", 20), agent.id, revoked}));
  CHECK(farm.process->scheduler().LoadUnfinished()->resolved.empty());
}

TEST_CASE("SchedulerStore: the late word of a resolved publish is awaited, stored once, and wins",
          "[contract]") {
  Farm farm;
  MakeUnknown(farm, "1", false);
  MakeUnknown(farm, "2", true);
  MakeUnknown(farm, "3", false);
  REQUIRE_OK(farm.CommitOne(Resolved("1", domain::PublishVerdict::kNotPublished)));
  REQUIRE_OK(farm.CommitOne(Resolved("2", domain::PublishVerdict::kNotPublished)));
  REQUIRE_OK(farm.CommitOne(Resolved("3", domain::PublishVerdict::kPublished)));
  const auto open = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(open);
  REQUIRE(open->resolved.size() == 2);
  for (const domain::OpenResolution& one : open->resolved) {
    CHECK(one.key.attempt == Attempt(1));
    CHECK(one.agent == AgentId("agent-1"));
    CHECK(one.verdict == (one.key.task == TaskId("publish-1")
                              ? domain::PublishVerdict::kNotPublished
                              : domain::PublishVerdict::kPublished));
  }
  store::RecordLateResult late{By("agent:a", 20), Key("publish-1", 2), FullResult(),
                               MakeRelease("1")};
  CHECK_THAT(farm.CommitOne(late), kIsRefused);
  late.key = Key("publish-1", 1);
  late.result.failure.reset();
  REQUIRE_OK(farm.CommitOne(late));
  CHECK(farm.Get("publish-1").state == TaskState::kSucceeded);
  CHECK_FALSE(farm.Get("publish-1").result->failure);
  CHECK(farm.process->reader().ReleaseOfTask(TaskId("publish-1")).ok());
  CHECK(farm.process->reader().ResolutionOf(TaskId("publish-1"))->late_result == late.result);
  CHECK_THAT(farm.CommitOne(late), kIsRefused);
  // A contradiction of "published" is kept beside it.
  REQUIRE_OK(farm.CommitOne(
      store::RecordLateResult{By("agent:a", 21), Key("publish-3", 1), FullResult(), std::nullopt}));
  CHECK(farm.Get("publish-3").state == TaskState::kSucceeded);
  CHECK(farm.process->reader().ResolutionOf(TaskId("publish-3"))->late_result == FullResult());
  CHECK(farm.process->scheduler().LoadUnfinished()->resolved.empty());
}

TEST_CASE("SchedulerStore: a probe is queued again while it runs, a publish is not", "[contract]") {
  Farm farm;
  MakeUnknown(farm, "1", true);
  store::CreateRun create = Farm::Create("2");
  domain::Task probe = create.tasks[1];
  probe.id = TaskId("probe-2");
  probe.kind = TaskKind::kProbe;
  probe.depends_on = TaskId("publish-1");
  probe.state = TaskState::kQueued;
  create.tasks = {probe};
  REQUIRE_OK(farm.CommitOne(create));
  CHECK(farm.Get("probe-2").kind == TaskKind::kProbe);
  REQUIRE_OK(farm.CommitOne(Farm::Offer("probe-2", 1)));
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 2), Key("probe-2", 1)}));
  REQUIRE_OK(farm.CommitOne(store::RequeueTask{By("scheduler"), Key("probe-2", 1), "lost"}));
  REQUIRE_OK(farm.CommitOne(Farm::Offer("probe-2", 2)));
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 2), Key("probe-2", 2)}));
  store::FinishTask finish = Farm::Finish("probe-2", 2, TaskState::kSucceeded);
  finish.result.emplace();
  finish.result->probe = protocol::ProbeOutcome{.verdict = protocol::ProbeVerdict::kPublished,
                                                .version = "1.2",
                                                .link = "https://example.test",
                                                .words = "it is there",
                                                .remedy = "none",
                                                .remedy_zh = "无"};
  REQUIRE_OK(farm.CommitOne(finish));
  CHECK(farm.Get("probe-2").result->probe == finish.result->probe);
}

TEST_CASE("SchedulerStore: a step is kept by number and never goes back", "[contract]") {
  Farm farm;
  farm.StartBuild("1");
  domain::Step step{.key = Key("build-1", 1),
                    .number = 2,
                    .name = "script",
                    .state = protocol::StepState::kStarted,
                    .started_at = FromUnixMicros(kStart + 1),
                    .finished_at = {},
                    .detail = ""};
  domain::Step fetch = step;
  fetch.number = 1;
  fetch.name = "fetch";
  domain::Step done = step;
  done.state = protocol::StepState::kFailed;
  done.started_at = FromUnixMicros(kStart + 8);
  done.finished_at = FromUnixMicros(kStart + 9);
  done.detail = "exit code 3";
  for (const absl::Status& status :
       farm.Commit({store::RecordStep{step}, store::RecordStep{fetch}, store::RecordStep{done},
                    store::RecordStep{step}})) {
    CHECK_OK(status);
  }
  const auto steps = farm.process->reader().ListSteps(TaskId("build-1"));
  REQUIRE_OK(steps);
  REQUIRE(steps->size() == 2);
  CHECK(steps->at(0).name == "fetch");
  CHECK(steps->at(1).state == protocol::StepState::kFailed);
  CHECK(steps->at(1).started_at == FromUnixMicros(kStart + 1));
  CHECK(steps->at(1).finished_at == FromUnixMicros(kStart + 9));
  CHECK(steps->at(1).detail == "exit code 3");
}

TEST_CASE("SchedulerStore: a text that cannot be stored refuses its own change", "[contract]") {
  Farm farm;
  farm.StartBuild("1");
  store::CreateRun nul = Farm::Create("2");
  nul.run.description = std::string("a\0b", 3);
  domain::Step bad_step;
  bad_step.key = Key("build-1", 1);
  bad_step.number = 1;
  bad_step.name = "bad \xff byte";
  store::FinishTask bad_words = Farm::Finish("build-1", 1, TaskState::kFailed);
  bad_words.result = FullResult();
  bad_words.result->failure->tool_words = std::string("x\0", 2);
  const auto outcome =
      farm.Commit({nul, Farm::Create("3"), store::RecordStep{bad_step}, bad_words});
  CHECK_THAT(outcome[0], StatusIs(absl::StatusCode::kInvalidArgument));
  CHECK_OK(outcome[1]);
  CHECK_THAT(outcome[2], StatusIs(absl::StatusCode::kInvalidArgument));
  CHECK_THAT(outcome[3], StatusIs(absl::StatusCode::kInvalidArgument));
  CHECK(farm.Get("build-1").state == TaskState::kRunning);
  CHECK_FALSE(farm.process->reader().GetRun(RunId("run-2")).ok());
}

TEST_CASE("SchedulerStore: what is not finished is loaded, oldest first", "[contract]") {
  Farm farm;
  farm.StartBuild("1");
  REQUIRE_OK(farm.CommitOne(Farm::Create("2")));
  REQUIRE_OK(farm.CommitOne(Farm::Finish("build-1", 1, TaskState::kSucceeded)));
  const auto unfinished = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(unfinished);
  std::vector<std::string> ids;
  for (const Task& task : unfinished->tasks) ids.push_back(task.id.value());
  CHECK(ids == std::vector<std::string>{"publish-1", "build-2", "publish-2"});
  CHECK(unfinished->tasks[1].requirements.at("os") == "linux");
}

TEST_CASE("SchedulerStore: a new leader shuts the old one out", "[contract]") {
  Farm farm;
  auto successor = farm.harness->NewProcess();
  const auto none_yet = successor->scheduler().Commit({Farm::Create("1")});
  CHECK_THAT(none_yet.status(), StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  REQUIRE_OK(farm.CommitOne(Farm::Create("1")));
  const auto epoch = successor->scheduler().BecomeLeader();
  REQUIRE_OK(epoch);
  CHECK(epoch->value() > 1);
  CHECK_THAT(farm.process->scheduler().Commit({Farm::Offer("build-1", 1)}).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  CHECK_THAT(farm.process->scheduler().LoadUnfinished().status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  CHECK(successor->scheduler().LoadUnfinished()->tasks.size() == 2);
  CHECK(successor->scheduler().Commit({Farm::Offer("build-1", 1)})->at(0).ok());
}

}  // namespace slipway::testing
