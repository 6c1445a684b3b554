// The two files that come out of containers, a script's result and an adapter's: whatever they
// hold, what is taken over is within bounds.
#include <algorithm>
#include <string>
#include <string_view>
#include <variant>

#include "agent/publish/adapter.h"
#include "agent/workspace/script_result.h"
#include "common/base/check.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

void CheckScriptResult(std::string_view json) {
  const auto result = workspace::ParseScriptResult(json);
  if (!result.ok()) {
    SLIPWAY_CHECK(result.status().code() == absl::StatusCode::kInvalidArgument);
    return;
  }
  SLIPWAY_CHECK(json.size() <= workspace::kMaxScriptResultBytes);
  SLIPWAY_CHECK(result->version.size() <= 128 && !HasControl(result->version));
  SLIPWAY_CHECK(result->qr.size() <= 2048 && !HasControl(result->qr));
  SLIPWAY_CHECK(result->error.size() <= 4096);
}

void CheckAdapterResult(std::string_view json) {
  const auto result = publish::ParseResult(json);
  if (!result.ok()) {
    SLIPWAY_CHECK(result.status().code() == absl::StatusCode::kInvalidArgument);
    return;
  }
  SLIPWAY_CHECK(json.size() <= publish::kMaxResultBytes);
  SLIPWAY_CHECK(result->stage.size() <= 64);
  if (const auto* outcome = std::get_if<protocol::PublishOutcome>(&result->what)) {
    SLIPWAY_CHECK(outcome->link.size() <= 2048 && outcome->code.text.size() <= 2048 &&
                  outcome->code.image_url.size() <= 2048 && outcome->code.image.empty());
    SLIPWAY_CHECK(outcome->details_json.size() <= 16 * 1024);
    // The details are a result of their own, and the same one.
    const auto again = publish::ParseResult(outcome->details_json);
    if (outcome->details_json != "{}") SLIPWAY_CHECK(again.ok());
    return;
  }
  const auto& failure = std::get<protocol::Failure>(result->what);
  SLIPWAY_CHECK(!failure.reason.empty() && !failure.message.empty());
  SLIPWAY_CHECK(failure.tool_words.size() <= 4096);
  SLIPWAY_CHECK(failure.remedy.size() <= 4096 && failure.remedy_zh.size() <= 4096);
}

void Check(std::string_view json) {
  CheckScriptResult(json);
  CheckAdapterResult(json);
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
