#include <catch2/catch.hpp>

#include "common/rpc/convert.h"
#include "common/rpc/text.h"
#include "tests/support/status_matchers.h"

namespace slipway::rpc {
namespace {

using slipway::testing::StatusIs;

AttemptKey Key() { return {TaskId("task-1"), Attempt(3)}; }

protocol::AttemptResult FullResult() {
  protocol::AttemptResult r;
  r.failure = protocol::Failure{
      protocol::FailureClass::kCredential, "REFUSED", "no", "words", "do this", "这样做"};
  r.exit_code = 7;
  r.started_at = FromUnixMicros(1'700'000'000'123'456);
  r.finished_at = FromUnixMicros(-5);
  r.log = {10, *Sha256Digest::Parse(std::string(64, 'a')), 2};
  r.build = protocol::BuildOutcome{
      "c0ffee", "subject", "sha256:img", *Sha256Digest::Parse(std::string(64, 'b')),
      11,       12,        "1.2.3",      "qr",
      "wx1",    "sealed",  {"robot=1"}};
  r.publish = protocol::PublishOutcome{"https://x",
                                       {.text = "qr",
                                        .image_url = "https://x/y",
                                        .image_type = "image/jpeg",
                                        .image = "\xff\xd8\xff\xe0",
                                        .expires_at = FromUnixMicros(1'800'000'000'000'000)},
                                       "{}"};
  return r;
}

TEST_CASE("Convert: a result comes back from its message as it was", "[unit][rpc]") {
  const auto result = FullResult();
  const auto back = FromProto(ToProto(result));
  REQUIRE_OK(back);
  CHECK(*back == result);
}

TEST_CASE("Convert: a platform's code is refused when its image is none, or too much",
          "[unit][rpc]") {
  v1::AttemptResult result = ToProto(FullResult());
  v1::PlatformCode& code = *result.mutable_publish()->mutable_code();
  const auto refused = [&] {
    return FromProto(result).status().code() == absl::StatusCode::kInvalidArgument;
  };
  CHECK_FALSE(refused());
  code.set_image_type("image/png");
  CHECK(refused());
  code.set_image_type("text/html");
  CHECK(refused());
  code.set_image("<script>");
  CHECK(refused());
  code.set_image_type("image/jpeg");
  code.set_image("\xff\xd8\xff" + std::string(protocol::kMaxCodeImageBytes, 'x'));
  CHECK(refused());
  code.set_image("\xff\xd8\xff");
  CHECK_FALSE(refused());
  code.set_text(std::string(2049, 'x'));
  CHECK(refused());
}

TEST_CASE("Convert: agent messages keep their attempt and content", "[unit][rpc]") {
  protocol::Inventory inventory{
      .sequence = 4,
      .slots = 2,
      .draining = true,
      .labels = {{"os", "linux"}},
      .attempts = {{Key(), protocol::TaskKind::kPublish, protocol::AttemptPhase::kFinished}}};
  const auto back = FromProto(ToProto(protocol::AgentMessage(inventory)));
  REQUIRE_OK(back);
  const auto& got = std::get<protocol::Inventory>(*back);
  CHECK(got.sequence == 4);
  CHECK(got.draining);
  CHECK(got.labels == inventory.labels);
  CHECK(got.attempts == inventory.attempts);
}

TEST_CASE("Convert: every kind of task comes back in both directions", "[unit][rpc]") {
  using protocol::TaskKind;
  const TaskKind kind =
      GENERATE(TaskKind::kBuild, TaskKind::kPublish, TaskKind::kProbe, TaskKind::kPreview);
  protocol::Inventory inventory;
  inventory.attempts = {{Key(), kind, protocol::AttemptPhase::kRunning}};
  const auto held = FromProto(ToProto(protocol::AgentMessage(inventory)));
  REQUIRE_OK(held);
  CHECK(std::get<protocol::Inventory>(*held).attempts == inventory.attempts);
  protocol::Desired desired{.answers = 1, .attempts = {}, .sync_after = {}};
  desired.attempts = {{Key(), kind, protocol::Want::kOffer, ""}};
  const auto wanted = FromProto(ToProto(protocol::ControllerMessage{Epoch(1), desired}));
  REQUIRE_OK(wanted);
  CHECK(std::get<protocol::Desired>(wanted->body).attempts.at(0).kind == kind);
}

TEST_CASE("Convert: health and images of an inventory come back as they were", "[unit][rpc]") {
  protocol::Inventory inventory{
      .sequence = 1, .slots = 1, .draining = false, .labels = {}, .attempts = {}};
  inventory.health = {.disks = {{.path = "/data",
                                 .state = protocol::DiskState::kPressure,
                                 .free_bytes = 1,
                                 .total_bytes = 2,
                                 .free_inodes = 3,
                                 .total_inodes = 4}},
                      .engine = {.state = protocol::EngineState::kHung,
                                 .since = FromUnixMicros(1'700'000'000'000'001),
                                 .words = "no answer"},
                      .clock_skew = std::chrono::milliseconds(-1500),
                      .starts = {.warm = 1, .kept_network = 2, .cold = 3, .waiting = 4}};
  inventory.images = {{.order = {"builder:1", 7},
                       .state = protocol::ImageState::kFailed,
                       .id = {},
                       .failure = FullResult().failure},
                      {.order = {"node:20", 8},
                       .state = protocol::ImageState::kReady,
                       .id = "sha256:1",
                       .failure = {}}};
  const auto back = FromProto(ToProto(protocol::AgentMessage(inventory)));
  REQUIRE_OK(back);
  CHECK(std::get<protocol::Inventory>(*back).health == inventory.health);
  CHECK(std::get<protocol::Inventory>(*back).images == inventory.images);
}

TEST_CASE("Convert: an agent that says nothing of its health is well", "[unit][rpc]") {
  v1::AgentMessage message;
  message.mutable_inventory()->set_protocol_version(1);
  const auto back = FromProto(message);
  REQUIRE_OK(back);
  CHECK(protocol::TakesWork(std::get<protocol::Inventory>(*back).health));
  message.mutable_inventory()->mutable_health();
  CHECK_THAT(FromProto(message).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "health.engine.state"));
}

TEST_CASE("Convert: the controller's clock and images come back, and their absence too",
          "[unit][rpc]") {
  protocol::Desired desired{.answers = 3, .attempts = {}, .sync_after = std::chrono::seconds(1)};
  const auto pass = [&] {
    const auto back = FromProto(ToProto(protocol::ControllerMessage{Epoch(1), desired}));
    REQUIRE_OK(back);
    return std::get<protocol::Desired>(back->body);
  };
  CHECK_FALSE(pass().sent_at);
  CHECK_FALSE(pass().images);
  desired.sent_at = FromUnixMicros(1'700'000'000'000'001);
  desired.images.emplace();
  CHECK(pass().sent_at == desired.sent_at);
  CHECK(pass().images == desired.images);
  desired.images = {{"builder:1", 7}};
  CHECK(pass().images == desired.images);
}

TEST_CASE("Convert: malformed agent messages are refused by field", "[unit][rpc]") {
  v1::AgentMessage message;
  CHECK_THAT(FromProto(message).status(), StatusIs(absl::StatusCode::kInvalidArgument, "body"));
  message.mutable_accept()->mutable_ref()->set_task("t");
  CHECK_THAT(FromProto(message).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "ref.attempt"));
  message.mutable_permit_request()->mutable_ref()->set_task("t");
  message.mutable_permit_request()->mutable_ref()->set_attempt(1);
  message.mutable_permit_request()->set_manifest("short");
  CHECK_THAT(FromProto(message).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "permit_request.manifest"));
  message.mutable_inventory()->set_protocol_version(9);
  CHECK_THAT(FromProto(message).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "PROTOCOL_VERSION"));
}

TEST_CASE("ValidUtf8: valid text is kept, every other byte and NUL is replaced", "[unit][rpc]") {
  CHECK(ValidUtf8("grün 版本 🚀") == "grün 版本 🚀");
  CHECK(ValidUtf8(std::string_view("a\0b", 3)) ==
        "a\xef\xbf\xbd"
        "b");
  CHECK(ValidUtf8("\xff\xe4\xbd") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(ValidUtf8("\xed\xa0\x80") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace slipway::rpc
