#include <catch2/catch.hpp>
#include <string>

#include "tests/contract/store_farm.h"

// The rows of a preview, which may be made again however often.
namespace slipway::testing {

using domain::Task;
using domain::TaskState;
using protocol::TaskKind;

namespace {

// preview-N of run-N runs, at attempt 1.
void StartPreview(Farm& farm, const std::string& n) {
  store::CreateRun create = Farm::Create(n);
  Task& preview = create.tasks.at(1);
  preview.id = TaskId("preview-" + n);
  preview.kind = TaskKind::kPreview;
  REQUIRE_OK(farm.CommitOne(create));
  REQUIRE_OK(farm.CommitOne(Farm::Offer("build-" + n, 1)));
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 2), Key("build-" + n, 1)}));
  REQUIRE_OK(farm.CommitOne(Farm::Finish("build-" + n, 1, TaskState::kSucceeded)));
  REQUIRE_OK(farm.CommitOne(store::ReleaseTask{By("scheduler"), preview.id}));
  REQUIRE_OK(farm.CommitOne(Farm::Offer(preview.id.value(), 1)));
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 2), Key(preview.id.value(), 1)}));
}

}  // namespace

TEST_CASE("SchedulerStore: a preview is queued again while it runs, and comes back as one",
          "[contract]") {
  Farm farm;
  StartPreview(farm, "1");
  REQUIRE_OK(farm.CommitOne(store::RequeueTask{By("scheduler"), Key("preview-1", 1), "lost"}));
  REQUIRE_OK(farm.CommitOne(Farm::Offer("preview-1", 2)));
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 2), Key("preview-1", 2)}));
  const auto unfinished = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(unfinished);
  REQUIRE(unfinished->tasks.size() == 1);
  const Task& task = unfinished->tasks[0];
  CHECK(task.kind == TaskKind::kPreview);
  CHECK(task.state == TaskState::kRunning);
  CHECK(task.target == "trial");
  CHECK(task.depends_on == TaskId("build-1"));
  CHECK(task.starts == 2);
}

TEST_CASE("SchedulerStore: a preview has neither permit nor unknown outcome", "[contract]") {
  Farm farm;
  StartPreview(farm, "1");
  CHECK_THAT(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("preview-1", 1)}),
             kIsRefused);
  CHECK_THAT(farm.CommitOne(store::MarkUnknown{By("scheduler"), Key("preview-1", 1), FullResult()}),
             kIsRefused);
  CHECK(farm.Get("preview-1").state == TaskState::kRunning);
  CHECK(farm.process->scheduler().LoadUnfinished()->permits.empty());
}

TEST_CASE("SchedulerStore: a preview ends with its result and without a release", "[contract]") {
  Farm farm;
  StartPreview(farm, "1");
  store::FinishTask finish = Farm::Finish("preview-1", 1, TaskState::kSucceeded);
  finish.result.emplace();
  finish.result->publish = protocol::PublishOutcome{
      .link = "https://example.test/code", .code = {.text = "code"}, .details_json = "{}"};
  REQUIRE_OK(farm.CommitOne(finish));
  CHECK(farm.Get("preview-1").kind == TaskKind::kPreview);
  CHECK(farm.Get("preview-1").state == TaskState::kSucceeded);
  CHECK(farm.Get("preview-1").result->publish == finish.result->publish);
  CHECK_THAT(farm.process->reader().ImageOf(TaskId("preview-1")).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_CODE"));
  CHECK_FALSE(farm.process->reader().ReleaseOfTask(TaskId("preview-1")).ok());
  CHECK(farm.process->scheduler().LoadUnfinished()->tasks.empty());
}

TEST_CASE("SchedulerStore: the image of a platform's code is kept apart from the result",
          "[contract]") {
  Farm farm;
  StartPreview(farm, "1");
  store::FinishTask finish = Farm::Finish("preview-1", 1, TaskState::kSucceeded);
  protocol::PlatformCode code{.text = "t",
                              .image_url = "https://example.test/i",
                              .image_type = "image/png",
                              .image = std::string("\x89PNG\r\n\x1a\n\0\xff", 10),
                              .expires_at = FromUnixMicros(1'800'000'000'000'000)};
  finish.result.emplace();
  finish.result->publish = protocol::PublishOutcome{.link = {}, .code = code, .details_json = "{}"};
  REQUIRE_OK(farm.CommitOne(finish));
  const auto image = farm.process->reader().ImageOf(TaskId("preview-1"));
  REQUIRE_OK(image);
  CHECK(image->media_type == "image/png");
  CHECK(image->bytes == code.image);
  code.image.clear();
  CHECK(farm.Get("preview-1").result->publish->code == code);
}

TEST_CASE("SchedulerStore: an image of a result that comes too late is not kept", "[contract]") {
  Farm farm;
  StartPreview(farm, "1");
  store::FinishTask finish = Farm::Finish("preview-1", 7, TaskState::kSucceeded);
  finish.result.emplace();
  finish.result->publish =
      protocol::PublishOutcome{.link = {},
                               .code = {.image_type = "image/jpeg", .image = "\xff\xd8\xff"},
                               .details_json = "{}"};
  CHECK_THAT(farm.CommitOne(finish), kIsRefused);
  CHECK_FALSE(farm.process->reader().ImageOf(TaskId("preview-1")).ok());
}

}  // namespace slipway::testing
