#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/contract/store_harness.h"
#include "tests/support/status_matchers.h"

// A farm with one application, and values to fill it with, for the contract of the stores.
namespace slipway::testing {

inline constexpr std::int64_t kStart = 1'700'000'000'000'000;

inline store::Cause By(const std::string& actor, int second = 0) {
  return {.actor = actor, .at = FromUnixMicros(kStart + second * 1'000'000)};
}

inline AttemptKey Key(const std::string& task, std::int64_t attempt) {
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
                                               .created_by = "admin"},
                                              {"admin", FromUnixMicros(1)}));
  }

  // The outcomes of one batch.
  std::vector<absl::Status> Commit(const std::vector<store::Change>& changes) {
    auto outcome = process->scheduler().Commit(changes);
    REQUIRE_OK(outcome);
    REQUIRE(outcome->size() == changes.size());
    return *outcome;
  }
  absl::Status CommitOne(const store::Change& change) { return Commit({change}).at(0); }

  domain::Task Get(const std::string& id) {
    auto found = process->reader().GetTask(TaskId(id));
    REQUIRE_OK(found);
    return found->task;
  }

  // Brings build-N to `running` at attempt 1.
  void StartBuild(const std::string& n, const std::string& target = "trial",
                  const std::string& platform = "weixin") {
    store::CreateRun create = Create(n);
    create.tasks.at(1).target = target;
    create.tasks.at(1).platform = platform;
    REQUIRE_OK(CommitOne(create));
    REQUIRE_OK(CommitOne(Offer("build-" + n, 1)));
    REQUIRE_OK(CommitOne(store::StartTask{By("agent:a", 2), Key("build-" + n, 1)}));
  }
  // Brings publish-N to `running` at attempt 1.
  void StartPublish(const std::string& n, const std::string& target = "trial",
                    const std::string& platform = "weixin") {
    StartBuild(n, target, platform);
    REQUIRE_OK(CommitOne(Finish("build-" + n, 1, domain::TaskState::kSucceeded)));
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
                  .request_id = "request-" + n,
                  .parameters = {{"banner", ""}, {"entry", "src/入口.js"}},
                  .recipients = {{"email/qa", "mei@example.com,li@example.com"}},
                  .packaging = {.form = "tar.gz",
                                .cipher = "aes-256-gcm",
                                .recipients = {},
                                .sealed_password = "sealed",
                                .page_password_hash = "$argon2id$v=19"}};
    domain::Task build;
    build.id = TaskId("build-" + n);
    build.run = create.run.id;
    build.application = create.run.application;
    build.platform = "weixin";
    build.requirements = {{"os", "linux"}};
    build.priority = 5;
    build.group = "nightly";
    build.queue_timeout = std::chrono::minutes(30);
    build.queued_since = create.cause.at;
    build.created_at = create.cause.at;
    domain::Task publish = build;
    publish.id = TaskId("publish-" + n);
    publish.kind = protocol::TaskKind::kPublish;
    publish.target = "trial";
    publish.group = "";
    publish.queued_since = WallTime();
    publish.depends_on = build.id;
    publish.state = domain::TaskState::kWaiting;
    create.tasks = {build, publish};
    return create;
  }

  static store::OfferTask Offer(const std::string& task, std::int64_t attempt) {
    return {By("scheduler", 1), Key(task, attempt), AgentId("agent-1"), By("", 30).at};
  }
  static store::FinishTask Finish(const std::string& task, std::int64_t attempt,
                                  domain::TaskState state) {
    return {By("agent:a", 9), Key(task, attempt), state, std::nullopt, std::nullopt};
  }

  std::unique_ptr<StoreHarness> harness;
  std::unique_ptr<StoreProcess> process;
};

inline protocol::AttemptResult FullResult() {
  protocol::AttemptResult result;
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
                                        .publish_options = {"robot=1", "desc=a=b"},
                                        .parameters = {{"banner", ""}, {"entry", "src/入口.js"}}};
  result.publish = protocol::PublishOutcome{
      .link = "https://example.test/x", .code = {.text = "pqr"}, .details_json = "{\"a\": 1}"};
  return result;
}

inline domain::Release MakeRelease(const std::string& n) {
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

inline domain::PublishPermit MakePermit(const std::string& task, std::int64_t attempt) {
  return {.key = Key(task, attempt),
          .nonce = "nonce-" + task + std::to_string(attempt),
          .manifest = *Sha256Digest::Parse(std::string(64, 'd')),
          .not_after = FromUnixMicros(kStart + 60),
          .deadline = std::chrono::seconds(90),
          .client_ended_at = {},
          .reported = false};
}

inline const auto kIsRefused = StatusIs(absl::StatusCode::kAborted);

}  // namespace slipway::testing
