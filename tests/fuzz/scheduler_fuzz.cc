// Any sequence of what people and agents may do, with commits in doubt, keeps the invariants of
// SchedulerRig. Agents are hostile: they speak of attempts that are not theirs, old or made up.
#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "common/base/check.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scheduler_rig.h"

namespace slipway::fuzz {
namespace {

using protocol::FailureClass;

AttemptKey TakeKey(ByteSource& in, const SchedulerRig& rig) {
  const std::uint8_t choice = in.Byte();
  AttemptKey key = rig.KeyOf(choice & 0x0f);
  // Mostly the current attempt, sometimes its neighbours.
  const int delta = (choice >> 4) % 8 == 6 ? -1 : (choice >> 4) % 8 == 7 ? 1 : 0;
  key.attempt = Attempt(key.attempt.value() + delta);
  return key;
}

protocol::Inventory TakeInventory(ByteSource& in, const SchedulerRig& rig) {
  protocol::Inventory inventory;
  inventory.sequence = 1 + in.Byte();
  const std::uint8_t flags = in.Byte();
  inventory.slots = flags & 3;
  inventory.draining = (flags & 4) != 0;
  inventory.labels["os"] = (flags & 8) != 0 ? "linux" : "macos";
  for (std::size_t n = in.Below(4); n > 0; --n) {
    const AttemptKey key = TakeKey(in, rig);
    const std::uint8_t shape = in.Byte();
    const auto kind = static_cast<protocol::TaskKind>(1 + (shape >> 2) % 4);
    inventory.attempts.push_back({key, kind, static_cast<protocol::AttemptPhase>(1 + shape % 3)});
  }
  return inventory;
}

protocol::ResultReport TakeResult(ByteSource& in, const SchedulerRig& rig) {
  protocol::ResultReport report{TakeKey(in, rig), {}};
  const std::uint8_t shape = in.Byte();
  // 0: success, else one of the ten classes.
  if (const int klass = shape % 11; klass > 0) {
    report.result.failure.emplace();
    report.result.failure->klass = static_cast<FailureClass>(klass);
  }
  report.result.log.size = in.Byte();
  report.result.log.missing = in.Byte() < 16 ? 1 : 0;
  return report;
}

protocol::AgentMessage TakeMessage(ByteSource& in, const SchedulerRig& rig) {
  switch (in.Below(6)) {
    case 0: return TakeInventory(in, rig);
    case 1: return protocol::Accept{TakeKey(in, rig)};
    case 2: return protocol::Refuse{TakeKey(in, rig), "no"};
    case 3: {
      protocol::StepReport step;
      step.key = TakeKey(in, rig);
      step.number = 1 + in.Byte() % 4;
      step.state = static_cast<protocol::StepState>(1 + in.Below(3));
      return step;
    }
    case 4: return TakeResult(in, rig);
    default: {
      std::array<std::uint8_t, Sha256Digest::kSize> digest{};
      const AttemptKey key = TakeKey(in, rig);
      digest[0] = in.Byte();
      return protocol::PermitRequest{key, Sha256Digest(digest)};
    }
  }
}

void Check(ByteSource in) {
  SchedulerRig rig;
  while (!in.empty()) {
    const std::uint8_t what = in.Byte();
    switch (what % 16) {
      case 0:
      case 1: {
        const std::uint8_t shape = in.Byte();
        std::optional<protocol::TaskKind> after;
        if ((shape & 1) != 0) {
          after = (shape & 8) != 0 ? protocol::TaskKind::kPreview : protocol::TaskKind::kPublish;
        }
        rig.Submit(shape >> 4, after, (shape & 2) != 0, (shape & 4) != 0 ? 1 : 0);
        break;
      }
      case 2: rig.Cancel(TakeKey(in, rig).task); break;
      case 3: rig.Open(in.Byte()); break;
      case 4: rig.Close(in.Byte()); break;
      case 5: rig.Advance(std::chrono::milliseconds(100) * in.Byte()); break;
      case 6: rig.Advance(std::chrono::seconds(1) * in.Byte()); break;
      case 7: rig.Gather(); break;
      case 8: rig.Commit(static_cast<SchedulerRig::Outcome>(in.Below(3))); break;
      default: rig.Hear(what >> 4, TakeMessage(in, rig)); break;
    }
  }
  rig.Commit();
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({data, size});
  return 0;
}
