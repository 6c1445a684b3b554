#include "controller/runs/run_orders.h"

#include <catch2/catch.hpp>
#include <string>

#include "slipway/v1/agent.pb.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/run_orders_farm.h"

namespace slipway::runs {
namespace {

TEST_CASE("RunOrders: a build that names no product, or one nobody archived, has failed",
          "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  for (const bool named : {false, true}) {
    ResultReported event = ReportOf(kBuild);
    if (named) event.result.build.emplace().manifest = *Sha256Digest::Parse(std::string(64, 'b'));
    // What only a publish may say is dropped.
    event.result.publish.emplace();
    REQUIRE_OK(orders.Complete(event));
    CHECK(event.log == LogState::kComplete);
    REQUIRE(event.result.failure);
    CHECK(event.result.failure->klass == protocol::FailureClass::kInfrastructure);
    CHECK(event.result.failure->reason == "PRODUCT_NOT_ARCHIVED");
    CHECK_FALSE(event.result.publish);
    CHECK_FALSE(event.release);
  }
}

TEST_CASE("RunOrders: a publish that succeeded becomes a release of its build's bytes", "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  ResultReported event = ReportOf(kPublish);
  REQUIRE_OK(orders.Complete(event));
  REQUIRE(event.release);
  CHECK(event.release->build_task == kBuild);
  CHECK(event.release->publish_task == kPublish);
  CHECK(event.release->version == "1.2.3");
  CHECK(event.release->manifest == *Sha256Digest::Parse(std::string(64, 'a')));
  CHECK(event.release->qr_text.rfind("https://farm.example/r/" + event.release->id.value(), 0) ==
        0);
}

TEST_CASE("RunOrders: a preview is ordered as one, is no release, and nothing without its code",
          "[unit]") {
  Farm farm(domain::TaskKind::kPreview);
  RunOrders orders = farm.Orders();
  const auto bytes = orders.SpecOf(kPublish);
  REQUIRE_OK(bytes);
  v1::TaskSpec spec;
  REQUIRE(spec.ParseFromString(*bytes));
  CHECK(spec.publish().mode() == "preview");

  ResultReported event = ReportOf(kPublish);
  event.result.publish.emplace().code.text = "https://platform.example/7";
  REQUIRE_OK(orders.Complete(event));
  CHECK(event.result.ok());
  CHECK_FALSE(event.release);
  for (const bool told : {false, true}) {
    ResultReported empty = ReportOf(kPublish);
    if (told) empty.result.publish.emplace().link = "https://platform.example/app";
    REQUIRE_OK(orders.Complete(empty));
    REQUIRE(empty.result.failure);
    CHECK(empty.result.failure->reason == "PREVIEW_FAILED");
  }
  // Nobody could say how it ended, so it is no longer in doubt.
  ResultReported unknown = ReportOf(kPublish);
  unknown.result.failure.emplace().klass = protocol::FailureClass::kPublishUnknown;
  REQUIRE_OK(orders.Complete(unknown));
  CHECK(unknown.result.failure->klass == protocol::FailureClass::kInfrastructure);
}

TEST_CASE("RunOrders: while log bytes are missing nothing is decided", "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  ResultReported event = ReportOf(kPublish);
  event.result.log.size = 10;
  REQUIRE_OK(orders.Complete(event));
  CHECK(event.log == LogState::kIncomplete);
  CHECK_FALSE(event.release);
}

TEST_CASE("RunOrders: a log that the disk does not give back is damaged after some readings",
          "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  ResultReported event = ReportOf(kPublish);
  event.result.log.size = 10;
  // Where the first segment should be.
  std::filesystem::create_directories(farm.dir / ("logs/" + kPublish.value() + "/1/000000"));
  for (int reading = 1; reading < 4; ++reading) CHECK_FALSE(orders.Complete(event).ok());
  REQUIRE_OK(orders.Complete(event));
  CHECK(event.log == LogState::kDamaged);
}

TEST_CASE("RunOrders: a build's specification says whether a publish follows", "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  const auto bytes = orders.SpecOf(kBuild);
  REQUIRE_OK(bytes);
  v1::TaskSpec spec;
  REQUIRE(spec.ParseFromString(*bytes));
  CHECK(spec.application() == kApplication.value());
  CHECK(spec.build().repository() == "https://git.example/shop.git");
  CHECK(spec.build().ref() == "main");
  CHECK(spec.build().publish_follows());
}

TEST_CASE("RunOrders: a build's specification says that there is a credential, and nothing of it",
          "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  v1::TaskSpec spec;
  REQUIRE(spec.ParseFromString(*orders.SpecOf(kBuild)));
  CHECK_FALSE(spec.build().private_repository());
  domain::Application shop;
  shop.id = kApplication;
  shop.name = "shop";
  domain::RepositoryCredential about;
  about.username = "bob";
  REQUIRE_OK(farm.credentials.Set(shop, about, "sealed-bytes", {"admin", FromUnixMicros(1)}));
  const auto bytes = orders.SpecOf(kBuild);
  REQUIRE_OK(bytes);
  REQUIRE(spec.ParseFromString(*bytes));
  CHECK(spec.build().private_repository());
  CHECK_THAT(*bytes, !Catch::Contains("sealed-bytes") && !Catch::Contains("bob"));
}

TEST_CASE("RunOrders: a publish's network is the operator's, its options the build's", "[unit]") {
  Farm farm;
  domain::Target target;
  target.name = target.platform = "weixin";
  target.image = "publisher:1";
  target.proxy = "http://proxy:3128";
  target.ca_pem = "PEM";
  REQUIRE_OK(farm.targets.CreateTarget(target, {"admin", FromUnixMicros(1)}));
  RunOrders orders = farm.Orders();
  const auto bytes = orders.SpecOf(kPublish);
  REQUIRE_OK(bytes);
  v1::TaskSpec spec;
  REQUIRE(spec.ParseFromString(*bytes));
  CHECK(spec.version() == "1.2.3");
  CHECK(spec.publish().image() == "publisher:1");
  CHECK(spec.publish().proxy() == "http://proxy:3128");
  CHECK(spec.publish().ca_pem() == "PEM");
  CHECK(spec.publish().app_id() == "wx1");
  REQUIRE(spec.publish().options().size() == 1);
  CHECK(spec.publish().options().at("desc") == "a=b");
}

TEST_CASE("RunOrders: a credential that is no seal is a credential failure that says what to do",
          "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  const auto secret = orders.SecretOf(kPublish);
  REQUIRE_OK(secret);
  REQUIRE(std::holds_alternative<protocol::Failure>(*secret));
  const auto& failure = std::get<protocol::Failure>(*secret);
  CHECK(failure.klass == protocol::FailureClass::kCredential);
  CHECK(failure.remedy.find("--app shop --platform weixin") != std::string::npos);
}

TEST_CASE("RunOrders: a permit is for the archived bytes, with a nonce of its own", "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  scheduler::PermitRequested event;
  event.key = {kPublish, Attempt(1)};
  event.manifest = *Sha256Digest::Parse(std::string(64, 'b'));
  const auto denied = orders.Complete(event);
  REQUIRE_OK(denied);
  REQUIRE(*denied);
  CHECK((*denied)->reason == "WRONG_PRODUCT");
  CHECK(event.nonce.empty());

  event.manifest = *Sha256Digest::Parse(std::string(64, 'a'));
  REQUIRE_OK(orders.Complete(event));
  const std::string first = event.nonce;
  CHECK(first.size() >= 26);
  REQUIRE_OK(orders.Complete(event));
  CHECK(event.nonce != first);
}

// A farm whose publish is unknown, and a probe of it that runs.
struct UnknownFarm : Farm {
  UnknownFarm() {
    const store::Cause cause{"admin", WallTime()};
    const AttemptKey key{kPublish, Attempt(1)};
    Commit(store::ReleaseTask{cause, kPublish});
    Commit(store::OfferTask{cause, key, AgentId("agent-1"), WallTime()});
    Commit(store::StartTask{cause, key});
    protocol::AttemptResult result;
    result.failure = protocol::Failure{.klass = protocol::FailureClass::kPublishUnknown,
                                       .reason = "PUBLISH_UNKNOWN",
                                       .message = "nobody saw its end",
                                       .tool_words = "socket hang up",
                                       .remedy = {},
                                       .remedy_zh = {}};
    result.log.size = 42;
    Commit(store::MarkUnknown{cause, key, result, true});
    domain::Run run = reader.GetRun(RunId("run-1")).value();
    run.id = RunId("run-2");
    run.submitted_by = "ann";
    run.request_id = "probe";
    domain::Task probe = reader.GetTask(kPublish)->task;
    probe.id = TaskId("task-probe");
    probe.run = run.id;
    probe.kind = domain::TaskKind::kProbe;
    probe.depends_on = kPublish;
    probe.state = domain::TaskState::kQueued;
    probe.attempt = Attempt(0);
    Commit(store::CreateRun{cause, run, {probe}});
  }
  static scheduler::Resolve Word(domain::PublishVerdict verdict) {
    scheduler::Resolve resolve;
    resolve.task = kPublish;
    resolve.resolution.verdict = verdict;
    resolve.resolution.resolved_by = "ann";
    resolve.resolution.reason = "I looked";
    return resolve;
  }
};

TEST_CASE("RunOrders: a publish resolved as published is a release of its build's bytes",
          "[unit]") {
  UnknownFarm farm;
  RunOrders orders = farm.Orders();
  scheduler::Resolve word = UnknownFarm::Word(domain::PublishVerdict::kPublished);
  word.version = "1.2.4";
  word.link = "https://platform.example/x";
  REQUIRE_OK(orders.Complete(word));
  REQUIRE(word.result);
  CHECK(word.result->ok());
  CHECK(word.result->publish->link == "https://platform.example/x");
  CHECK(word.result->log.size == 42);
  REQUIRE(word.release);
  CHECK(word.release->version == "1.2.4");
  CHECK(word.release->qr_text.find("1.2.4") != std::string::npos);
  CHECK(word.release->manifest == *Sha256Digest::Parse(std::string(64, 'a')));
}

TEST_CASE("RunOrders: a publish resolved as not published says by whom and keeps the words",
          "[unit]") {
  UnknownFarm farm;
  RunOrders orders = farm.Orders();
  scheduler::Resolve word = UnknownFarm::Word(domain::PublishVerdict::kNotPublished);
  REQUIRE_OK(orders.Complete(word));
  REQUIRE(word.result);
  REQUIRE(word.result->failure);
  CHECK_FALSE(word.release);
  CHECK(word.result->failure->reason == "PUBLISH_NOT_DONE");
  CHECK(word.result->failure->message.find("ann found: I looked") != std::string::npos);
  CHECK(word.result->failure->tool_words == "socket hang up");
  CHECK(word.result->log.size == 42);

  // What is not unknown, or nobody knows, is left to the scheduler to refuse.
  scheduler::Resolve other = UnknownFarm::Word(domain::PublishVerdict::kPublished);
  for (const char* id : {"task-build", "task-none"}) {
    other.task = TaskId(id);
    REQUIRE_OK(orders.Complete(other));
    CHECK_FALSE(other.result);
  }
}

TEST_CASE("RunOrders: a probe is ordered, permitted and believed on behalf of its publish",
          "[unit]") {
  UnknownFarm farm;
  domain::Target target;
  target.name = target.platform = "weixin";
  target.image = "publisher:1";
  target.deadline = std::chrono::minutes(3);
  REQUIRE_OK(farm.targets.CreateTarget(target, {"admin", FromUnixMicros(1)}));
  RunOrders orders = farm.Orders();
  const auto bytes = orders.SpecOf(TaskId("task-probe"));
  REQUIRE_OK(bytes);
  v1::TaskSpec spec;
  REQUIRE(spec.ParseFromString(*bytes));
  REQUIRE(spec.has_probe());
  CHECK(spec.probe().image() == "publisher:1");
  CHECK(spec.probe().app_id() == "wx1");
  CHECK(spec.version() == "1.2.3");

  scheduler::PermitRequested permit;
  permit.key = {TaskId("task-probe"), Attempt(1)};
  permit.manifest = *Sha256Digest::Parse(std::string(64, 'a'));
  const auto denied = orders.Complete(permit);
  REQUIRE_OK(denied);
  CHECK_FALSE(*denied);
  CHECK_FALSE(permit.nonce.empty());
  CHECK(permit.deadline == std::chrono::minutes(3));

  for (const auto verdict :
       {protocol::ProbeVerdict::kPublished, protocol::ProbeVerdict::kNotPublished,
        protocol::ProbeVerdict::kCannotTell}) {
    ResultReported event = ReportOf(TaskId("task-probe"));
    event.result.probe = {.verdict = verdict, .version = "1.2.3", .words = "listed"};
    REQUIRE_OK(orders.Complete(event));
    REQUIRE(event.resolves.has_value() == (verdict != protocol::ProbeVerdict::kCannotTell));
    if (!event.resolves) continue;
    CHECK(event.resolves->task == kPublish);
    CHECK(event.resolves->resolution.probe == TaskId("task-probe"));
    CHECK(event.resolves->resolution.resolved_by == "ann");
    CHECK(event.resolves->resolution.reason == "listed");
    CHECK(event.resolves->release.has_value() == (verdict == protocol::ProbeVerdict::kPublished));
    CHECK(event.resolves->result.has_value());
  }
}

TEST_CASE("RunOrders: a result that was taken seals its log", "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  const AttemptKey key{kBuild, Attempt(1)};
  REQUIRE_OK(farm.logs->Open(key));
  orders.ResultTaken({.key = key, .log_complete = true, .log_missing = 0});
  const auto slice = farm.logs->Read(key, 0, 10);
  REQUIRE_OK(slice);
  REQUIRE(slice->seal);
  CHECK(slice->seal->complete);
}

TEST_CASE("RunOrders: what it knows from the submit it tells of no other task", "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  scheduler::Submit submit;
  submit.run.id = RunId("run-new");
  submit.run.application = kApplication;
  submit.run.ref = "from-the-submit";
  submit.run.no_build_caches = true;
  domain::Task build;
  build.id = TaskId("task-new");
  build.run = submit.run.id;
  build.platform = "weixin";
  domain::Task publish = build;
  publish.id = TaskId("task-new-publish");
  publish.kind = domain::TaskKind::kPublish;
  publish.depends_on = build.id;
  submit.tasks = {build, publish};
  orders.Submitted(submit);
  const auto known = orders.SpecOf(build.id);
  REQUIRE_OK(known);
  v1::TaskSpec spec;
  REQUIRE(spec.ParseFromString(*known));
  CHECK(spec.build().ref() == "from-the-submit");
  CHECK(spec.build().repository() == "https://git.example/shop.git");
  CHECK(spec.build().publish_follows());
  CHECK(spec.build().no_caches());
  CHECK(spec.platform() == "weixin");
  // Neither is in the database.
  CHECK_FALSE(orders.SpecOf(publish.id).ok());
  CHECK_FALSE(orders.SpecOf(TaskId("task-other")).ok());
}

TEST_CASE("RunOrders: a load seals the logs of attempts that are over, and no others", "[unit]") {
  Farm farm;
  RunOrders orders = farm.Orders();
  const store::Cause cause{"admin", WallTime()};
  const AttemptKey ended{kBuild, Attempt(1)};
  const AttemptKey running{kPublish, Attempt(2)};
  const AttemptKey superseded{kPublish, Attempt(1)};
  farm.Commit(store::ReleaseTask{cause, kPublish});
  farm.Commit(store::OfferTask{cause, superseded, AgentId("agent-1"), WallTime()});
  farm.Commit(store::RequeueTask{cause, superseded, "offer not answered"});
  farm.Commit(store::OfferTask{cause, running, AgentId("agent-1"), WallTime()});
  farm.Commit(store::StartTask{cause, running});
  for (const AttemptKey& key : {ended, superseded, running}) {
    const auto log = farm.logs->Open(key);
    REQUIRE_OK(log);
    REQUIRE_OK((*log)->Append(0, "x", {}));
  }
  orders.Loaded();
  CHECK(farm.logs->Unsealed() == std::vector<AttemptKey>{running});
  const auto seal = farm.logs->Read(ended, 0, 1);
  REQUIRE_OK(seal);
  REQUIRE(seal->seal);
  // The row has no root of it.
  CHECK_FALSE(seal->seal->complete);
}

}  // namespace
}  // namespace slipway::runs
