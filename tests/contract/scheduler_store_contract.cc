#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/contract/store_harness.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using domain::Task;
using domain::TaskState;
using protocol::AttemptResult;
using protocol::TaskKind;
using store::Cause;

constexpr std::int64_t kStart = 1'700'000'000'000'000;

Cause By(const std::string& actor, int second = 0) {
  return {.actor = actor, .at = FromUnixMicros(kStart + second * 1'000'000)};
}

AttemptKey Key(const std::string& task, std::int64_t attempt) {
  return {TaskId(task), Attempt(attempt)};
}

// A farm whose leader has the application "shop".
struct Farm {
  Farm() : harness(MakeStoreHarness()), process(harness->NewProcess()) {
    REQUIRE_OK(process->scheduler().BecomeLeader());
    REQUIRE_OK(process->applications().Create({.id = ApplicationId("app-1"),
                                               .name = "shop",
                                               .repository = "https://example.test/shop.git",
                                               .description = "",
                                               .created_at = FromUnixMicros(kStart),
                                               .created_by = "admin"}));
  }

  // The outcomes of one batch.
  std::vector<absl::Status> Commit(const std::vector<store::Change>& changes) {
    auto outcome = process->scheduler().Commit(changes);
    REQUIRE_OK(outcome);
    REQUIRE(outcome->size() == changes.size());
    return *outcome;
  }
  absl::Status CommitOne(const store::Change& change) { return Commit({change}).at(0); }

  Task Get(const std::string& id) {
    auto found = process->reader().GetTask(TaskId(id));
    REQUIRE_OK(found);
    return found->task;
  }

  // Brings build-N to `running` at attempt 1.
  void StartBuild(const std::string& n) {
    REQUIRE_OK(CommitOne(Create(n)));
    REQUIRE_OK(CommitOne(Offer("build-" + n, 1)));
    REQUIRE_OK(CommitOne(store::StartTask{By("agent:a", 2), Key("build-" + n, 1)}));
  }
  // Brings publish-N to `running` at attempt 1.
  void StartPublish(const std::string& n) {
    StartBuild(n);
    REQUIRE_OK(CommitOne(Finish("build-" + n, 1, TaskState::kSucceeded)));
    REQUIRE_OK(CommitOne(store::ReleaseTask{By("scheduler"), TaskId("publish-" + n)}));
    REQUIRE_OK(CommitOne(Offer("publish-" + n, 1)));
    REQUIRE_OK(CommitOne(store::StartTask{By("agent:a", 2), Key("publish-" + n, 1)}));
  }

  // run-N with build-N and, waiting for it, publish-N.
  static store::CreateRun Create(const std::string& n) {
    store::CreateRun create;
    create.cause = By("admin");
    create.run = {.id = RunId("run-" + n),
                  .application = ApplicationId("app-1"),
                  .application_name = "shop",
                  .ref = "main",
                  .version = "1.2",
                  .description = "第一",
                  .submitted_by = "admin",
                  .submitted_at = create.cause.at,
                  .request_id = "request-" + n};
    Task build;
    build.id = TaskId("build-" + n);
    build.run = create.run.id;
    build.application = create.run.application;
    build.platform = "weixin";
    build.requirements = {{"os", "linux"}};
    build.priority = 5;
    build.created_at = create.cause.at;
    Task publish = build;
    publish.id = TaskId("publish-" + n);
    publish.kind = TaskKind::kPublish;
    publish.target = "trial";
    publish.depends_on = build.id;
    publish.state = TaskState::kWaiting;
    create.tasks = {build, publish};
    return create;
  }

  static store::OfferTask Offer(const std::string& task, std::int64_t attempt) {
    return {By("scheduler", 1), Key(task, attempt), AgentId("agent-1"), By("", 30).at};
  }
  static store::FinishTask Finish(const std::string& task, std::int64_t attempt, TaskState state) {
    return {By("agent:a", 9), Key(task, attempt), state, std::nullopt, std::nullopt};
  }

  std::unique_ptr<StoreHarness> harness;
  std::unique_ptr<StoreProcess> process;
};

AttemptResult FullResult() {
  AttemptResult result;
  result.failure = protocol::Failure{.klass = protocol::FailureClass::kPlatformRefused,
                                     .reason = "PLATFORM_REFUSED",
                                     .message = "no",
                                     .tool_words = "line one\n\"quoted\" \\ 拒绝",
                                     .remedy = "Ask.",
                                     .remedy_zh = "请问"};
  result.exit_code = 3;
  result.started_at = FromUnixMicros(kStart + 1);
  result.finished_at = FromUnixMicros(kStart + 2);
  result.log = {.size = 18'000'000'000'000'000'000ULL,
                .root = *Sha256Digest::Parse(std::string(64, 'b')),
                .missing = 1};
  result.build = protocol::BuildOutcome{.commit = std::string(40, 'c'),
                                        .commit_subject = "subject",
                                        .image_digest = "sha256:1",
                                        .manifest = *Sha256Digest::Parse(std::string(64, 'd')),
                                        .artifact_bytes = 7,
                                        .artifact_files = 2,
                                        .version = "1.2.3",
                                        .script_qr = "qr",
                                        .app_id = "wx1",
                                        .sealed_credential = std::string("\x30\x00\xff", 3),
                                        .publish_options = {"robot=1", "desc=a=b"}};
  result.publish = protocol::PublishOutcome{
      .link = "https://example.test/x", .platform_qr = "pqr", .details_json = "{\"a\": 1}"};
  return result;
}

domain::Release MakeRelease(const std::string& n) {
  return {.id = ReleaseId("release-" + n),
          .run = RunId("run-" + n),
          .publish_task = TaskId("publish-" + n),
          .build_task = TaskId("build-" + n),
          .application = ApplicationId("app-1"),
          .application_name = "shop",
          .platform = "weixin",
          .target = "trial",
          .version = "1.2",
          .commit = std::string(40, 'c'),
          .manifest = *Sha256Digest::Parse(std::string(64, 'd')),
          .link = "https://example.test/r",
          .qr_text = "slipway:release-" + n,
          .released_at = FromUnixMicros(kStart + 5),
          .released_by = "admin"};
}

domain::PublishPermit MakePermit(const std::string& task, std::int64_t attempt) {
  return {.key = Key(task, attempt),
          .nonce = "nonce-" + task + std::to_string(attempt),
          .manifest = *Sha256Digest::Parse(std::string(64, 'd')),
          .not_after = FromUnixMicros(kStart + 60)};
}

const auto kIsRefused = StatusIs(absl::StatusCode::kAborted);

}  // namespace

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
  CHECK(farm.harness->AuditedSubjects() == std::vector<std::string>{"run-1", "run-2", "build-2"});
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

TEST_CASE("RunReader: pages of tasks follow each other without gap or repeat", "[contract]") {
  Farm farm;
  for (int i = 1; i <= 5; ++i) REQUIRE_OK(farm.CommitOne(Farm::Create(std::to_string(i))));
  store::TaskFilter filter;
  filter.page_size = 3;
  std::vector<std::string> seen;
  int pages = 0;
  do {
    const auto page = farm.process->reader().ListTasks(filter);
    REQUIRE_OK(page);
    REQUIRE(page->tasks.size() <= 3);
    for (const auto& task : page->tasks) seen.push_back(task.task.id.value());
    // What comes meanwhile is newer than what was seen.
    if (++pages == 1) REQUIRE_OK(farm.CommitOne(Farm::Create("6")));
    filter.page_token = page->next_page_token;
  } while (!filter.page_token.empty());
  CHECK(seen == std::vector<std::string>{"publish-5", "build-5", "publish-4", "build-4",
                                         "publish-3", "build-3", "publish-2", "build-2",
                                         "publish-1", "build-1"});
}

TEST_CASE("RunReader: tasks are filtered by run, application and state", "[contract]") {
  Farm farm;
  farm.StartBuild("1");
  REQUIRE_OK(farm.CommitOne(Farm::Create("2")));
  store::TaskFilter filter;
  filter.run = RunId("run-1");
  CHECK(farm.process->reader().ListTasks(filter)->tasks.size() == 2);
  filter.states = {TaskState::kRunning, TaskState::kFailed};
  const auto running = farm.process->reader().ListTasks(filter);
  REQUIRE_OK(running);
  REQUIRE(running->tasks.size() == 1);
  CHECK(running->tasks[0].task.id == TaskId("build-1"));
  CHECK(running->tasks[0].run.id == RunId("run-1"));
  filter = {};
  filter.application = ApplicationId("app-of-nobody");
  CHECK(farm.process->reader().ListTasks(filter)->tasks.empty());
}

TEST_CASE("RunReader: what is not there is named; a bad page is refused", "[contract]") {
  Farm farm;
  store::RunReader& reader = farm.process->reader();
  CHECK_THAT(reader.GetTask(TaskId("nope")).status(),
             StatusIs(absl::StatusCode::kNotFound, "nope"));
  CHECK_THAT(reader.GetRun(RunId("nope")).status(), StatusIs(absl::StatusCode::kNotFound, "nope"));
  CHECK_THAT(reader.TasksOfRun(RunId("nope")).status(),
             StatusIs(absl::StatusCode::kNotFound, "nope"));
  CHECK_THAT(reader.ListSteps(TaskId("nope")).status(),
             StatusIs(absl::StatusCode::kNotFound, "nope"));
  CHECK_THAT(reader.GetRelease(ReleaseId("nope")).status(),
             StatusIs(absl::StatusCode::kNotFound, "nope"));
  REQUIRE_OK(farm.CommitOne(Farm::Create("1")));
  CHECK_THAT(reader.GetTask(TaskId(std::string("build-1\0", 8))).status(),
             StatusIs(absl::StatusCode::kNotFound));
  for (const std::string token : {"x", "-1", "0", "1x", "99999999999999999999999"}) {
    store::TaskFilter tasks;
    tasks.page_token = token;
    CHECK_THAT(reader.ListTasks(tasks).status(), StatusIs(absl::StatusCode::kInvalidArgument));
    store::ReleaseFilter releases;
    releases.page_token = token;
    CHECK_THAT(reader.ListReleases(releases).status(),
               StatusIs(absl::StatusCode::kInvalidArgument));
  }
  store::TaskFilter filter;
  filter.page_size = 0;
  CHECK_THAT(reader.ListTasks(filter).status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_CASE("RunReader: pages of releases, newest first", "[contract]") {
  Farm farm;
  for (const std::string n : {"1", "2", "3"}) {
    farm.StartPublish(n);
    store::FinishTask finish = Farm::Finish("publish-" + n, 1, TaskState::kSucceeded);
    finish.release = MakeRelease(n);
    REQUIRE_OK(farm.CommitOne(finish));
  }
  store::ReleaseFilter filter;
  filter.page_size = 2;
  filter.platform = "weixin";
  filter.application = ApplicationId("app-1");
  const auto first = farm.process->reader().ListReleases(filter);
  REQUIRE_OK(first);
  REQUIRE(first->releases.size() == 2);
  CHECK(first->releases[0].id == ReleaseId("release-3"));
  filter.page_token = first->next_page_token;
  const auto second = farm.process->reader().ListReleases(filter);
  REQUIRE_OK(second);
  REQUIRE(second->releases.size() == 1);
  CHECK(second->releases[0].id == ReleaseId("release-1"));
  CHECK(second->next_page_token.empty());
  filter = {};
  filter.platform = "alipay";
  CHECK(farm.process->reader().ListReleases(filter)->releases.empty());
}

}  // namespace slipway::testing
