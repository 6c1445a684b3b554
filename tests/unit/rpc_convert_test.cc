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
  r.publish = protocol::PublishOutcome{"https://x", "qr", "{}"};
  return r;
}

TEST_CASE("Convert: a result comes back from its message as it was", "[unit][rpc]") {
  const auto result = FullResult();
  const auto back = FromProto(ToProto(result));
  REQUIRE_OK(back);
  CHECK(*back == result);
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
