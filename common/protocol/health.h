#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/protocol/failure.h"

// How an agent is, as it says in every inventory. What it means for new work is decided here, once
// for both sides. Plain values; pure functions.
namespace slipway::protocol {

enum class DiskState {
  kOk = 1,
  kPressure = 2,  // caches are being deleted
  kFull = 3,      // no new work; what runs goes on
};

// A file system on which the agent works.
struct DiskHealth {
  std::string path;  // a directory on it
  DiskState state = DiskState::kOk;
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t free_inodes = 0;
  std::uint64_t total_inodes = 0;  // 0: without a fixed number

  friend bool operator==(const DiskHealth&, const DiskHealth&) = default;
};

enum class EngineState {
  kOk = 1,
  kHung = 2,  // it takes calls and does not answer
  kDown = 3,  // nobody answers, or not as an Engine does
};

struct EngineHealth {
  EngineState state = EngineState::kOk;
  WallTime since;
  std::string words;  // the error, unless ok

  friend bool operator==(const EngineHealth&, const EngineHealth&) = default;
};

// How the builds of an agent got their containers since it was started.
struct StartCounts {
  std::uint64_t warm = 0;          // took one that waited
  std::uint64_t kept_network = 0;  // made one in a network that was kept
  std::uint64_t cold = 0;          // made all of it
  std::uint32_t waiting = 0;       // containers, now

  friend bool operator==(const StartCounts&, const StartCounts&) = default;
};

struct AgentHealth {
  std::vector<DiskHealth> disks;
  EngineHealth engine;
  // The agent's clock less the controller's: at least so much, by the last exchange.
  std::optional<Duration> clock_skew;
  StartCounts starts = {};

  friend bool operator==(const AgentHealth&, const AgentHealth&) = default;
};

// Clocks further apart than this are worth a warning: times in logs and records stop fitting
// together, and certificates may seem to have ended or not to have begun.
inline constexpr Duration kClockSkewBound = std::chrono::seconds(10);

[[nodiscard]] bool TakesWork(const AgentHealth& health);
// Why it takes no new work, for people; empty when it does.
[[nodiscard]] std::string WhyNoWork(const AgentHealth& health);
// The same states, whatever the figures.
[[nodiscard]] bool SameStates(const AgentHealth& a, const AgentHealth& b);

// An image that an agent should have. A higher number of the same image asks anew.
struct ImageOrder {
  std::string image;
  std::uint64_t number = 0;

  friend bool operator==(const ImageOrder&, const ImageOrder&) = default;
};

enum class ImageState { kPreparing = 1, kReady = 2, kFailed = 3 };

// What became of an ImageOrder.
struct ImageReport {
  ImageOrder order;
  ImageState state = ImageState::kPreparing;
  std::string id;                  // with kReady: "sha256:…"
  std::optional<Failure> failure;  // with kFailed

  friend bool operator==(const ImageReport&, const ImageReport&) = default;
};

}  // namespace slipway::protocol
