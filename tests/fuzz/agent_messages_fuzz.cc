// Bytes from the wire: every message that is accepted converts back to itself, and agents' messages
// go on into the cores, which keep the invariants of SchedulerRig.
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/message_differencer.h>

#include <chrono>
#include <string>

#include "common/base/check.h"
#include "common/rpc/convert.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scheduler_rig.h"

namespace slipway::fuzz {
namespace {

using google::protobuf::util::MessageDifferencer;

// The values of `bytes`, after a way there and back; nullopt: refused.
template <typename Message>
auto Decode(std::string_view bytes) -> decltype(rpc::FromProto(Message())) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError("not protobuf");
  }
  auto value = rpc::FromProto(message);
  if (!value.ok()) {
    SLIPWAY_CHECK(!value.status().message().empty());
    return value;
  }
  const Message written = rpc::ToProto(*value);
  const auto again = rpc::FromProto(written);
  SLIPWAY_CHECK(again.ok());
  SLIPWAY_CHECK(MessageDifferencer::Equals(rpc::ToProto(*again), written));
  return value;
}

// Each item: a byte that says what it is, two bytes of length, the message.
void Check(ByteSource in) {
  SchedulerRig rig;
  rig.Submit(0, protocol::TaskKind::kPublish, false, 0);
  rig.Submit(1, protocol::TaskKind::kPublish, false, 1);
  for (std::size_t agent = 0; agent < SchedulerRig::kAgents; ++agent) rig.Open(agent);
  while (!in.empty()) {
    const std::uint8_t what = in.Byte();
    const std::size_t agent = what >> 4;
    if (what % 4 == 3) {
      rig.Advance(std::chrono::seconds(1) * in.Byte());
      continue;
    }
    const std::string_view bytes = in.Bytes(static_cast<std::size_t>(in.Number(2)));
    if (what % 4 == 2) {
      (void)Decode<v1::ControllerMessage>(bytes);
      continue;
    }
    auto message = Decode<v1::AgentMessage>(bytes);
    if (message.ok()) rig.Hear(agent, *std::move(message));
    if (what % 4 == 1) rig.Open(agent);
  }
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Protobuf would tell of every text that is not UTF-8.
  static const auto kQuiet = google::protobuf::SetLogHandler(nullptr);
  (void)kQuiet;
  slipway::fuzz::Check({data, size});
  return 0;
}
