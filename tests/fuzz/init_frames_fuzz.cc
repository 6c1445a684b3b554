// What slipway-init and the agent read of each other: whatever is accepted is written back as the
// same bytes, and a stream gives the same frames however it is cut.
#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/init/protocol.h"
#include "common/base/check.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

constexpr std::size_t kLength = 4;

// Durations are cut to 34 years and flags to one bit; everything else stays as it came.
bool KeepsBytes(const init::Command& command) {
  return !std::holds_alternative<init::RunStep>(command) &&
         !std::holds_alternative<init::Cancel>(command) &&
         !std::holds_alternative<init::Shutdown>(command);
}
bool KeepsBytes(const init::Event& event) {
  return !std::holds_alternative<init::Hello>(event) &&
         !std::holds_alternative<init::StepExited>(event);
}

void CheckCommand(std::string_view frame) {
  const auto decoded = init::DecodeCommand(frame);
  if (!decoded || !decoded->command) return;
  const std::string encoded = init::Encode(decoded->request, *decoded->command);
  const std::string_view body = std::string_view(encoded).substr(kLength);
  SLIPWAY_CHECK(body.size() == frame.size());
  if (KeepsBytes(*decoded->command)) SLIPWAY_CHECK(body == frame);
  const auto again = init::DecodeCommand(body);
  SLIPWAY_CHECK(again && again->command && again->request == decoded->request);
  SLIPWAY_CHECK(init::Encode(again->request, *again->command) == encoded);
}

void CheckEvent(std::string_view frame) {
  const auto decoded = init::DecodeEvent(frame);
  const auto* event = std::get_if<init::Event>(&decoded);
  if (event == nullptr) return;
  if (const auto* hello = std::get_if<init::Hello>(event)) {
    SLIPWAY_CHECK(hello->results.size() <= init::kMaxHelloResults);
  }
  const std::string encoded = init::Encode(*event);
  const std::string_view body = std::string_view(encoded).substr(kLength);
  SLIPWAY_CHECK(body.size() == frame.size());
  if (KeepsBytes(*event)) SLIPWAY_CHECK(body == frame);
  const auto again = init::DecodeEvent(body);
  SLIPWAY_CHECK(std::holds_alternative<init::Event>(again));
  SLIPWAY_CHECK(init::Encode(std::get<init::Event>(again)) == encoded);
}

void CheckResultFile(std::string_view content) {
  const auto result = init::DecodeResultFile(content);
  if (!result) return;
  SLIPWAY_CHECK(result->spool_begin <= result->spool_end);
  SLIPWAY_CHECK(init::DecodeResultFile(init::EncodeResultFile(*result)) == *result);
}

struct Frames {
  std::vector<std::string> frames;
  bool broken = false;
  friend bool operator==(const Frames&, const Frames&) = default;
};

Frames Cut(std::string_view stream, std::size_t piece) {
  Frames cut;
  init::FrameBuffer buffer;
  while (!stream.empty()) {
    buffer.Append(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
    while (const auto frame = buffer.Next()) {
      SLIPWAY_CHECK(!frame->empty() && frame->size() <= init::kMaxFrame);
      cut.frames.emplace_back(*frame);
    }
  }
  cut.broken = buffer.broken();
  return cut;
}

void Check(ByteSource in) {
  const std::size_t piece = 1 + in.Byte();
  const std::string_view bytes = in.Rest();
  CheckCommand(bytes);
  CheckEvent(bytes);
  CheckResultFile(bytes);

  const Frames whole = Cut(bytes, bytes.size() + 1);
  SLIPWAY_CHECK(Cut(bytes, piece) == whole);
  SLIPWAY_CHECK(Cut(bytes, 1) == whole);
  std::size_t taken = 0;
  for (const std::string& frame : whole.frames) {
    SLIPWAY_CHECK(bytes.substr(taken + kLength, frame.size()) == frame);
    taken += kLength + frame.size();
    CheckCommand(frame);
    CheckEvent(frame);
  }
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({data, size});
  return 0;
}
