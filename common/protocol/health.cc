#include "common/protocol/health.h"

#include <algorithm>

namespace slipway::protocol {

bool TakesWork(const AgentHealth& health) {
  return health.engine.state == EngineState::kOk &&
         std::none_of(health.disks.begin(), health.disks.end(),
                      [](const DiskHealth& disk) { return disk.state == DiskState::kFull; });
}

std::string WhyNoWork(const AgentHealth& health) {
  if (health.engine.state == EngineState::kHung) return "its Docker Engine does not answer";
  if (health.engine.state == EngineState::kDown) return "its Docker Engine is down";
  for (const DiskHealth& disk : health.disks) {
    if (disk.state == DiskState::kFull) return "its disk is full: " + disk.path;
  }
  return "";
}

bool SameStates(const AgentHealth& a, const AgentHealth& b) {
  return a.engine.state == b.engine.state && a.disks.size() == b.disks.size() &&
         std::equal(a.disks.begin(), a.disks.end(), b.disks.begin(),
                    [](const DiskHealth& x, const DiskHealth& y) {
                      return x.path == y.path && x.state == y.state;
                    });
}

}  // namespace slipway::protocol
