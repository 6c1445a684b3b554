#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "common/protocol/messages.h"

// Bounds of what an agent may say (docs/protocol.md has the table). Shape that no honest agent
// breaks is an error; free text is made storable instead, because it may come from a build.
namespace slipway::agent_gateway {

inline constexpr std::size_t kMaxIdBytes = 64;
inline constexpr std::size_t kMaxInventoryAttempts = 1024;
inline constexpr std::uint32_t kMaxSlots = 1024;
inline constexpr std::size_t kMaxDisks = 16;
inline constexpr std::size_t kMaxImages = 256;
inline constexpr std::size_t kMaxLabels = 64;
inline constexpr std::size_t kMaxLabelBytes = 128;
inline constexpr std::uint32_t kMaxStepNumber = 10'000;
inline constexpr std::size_t kMaxStepNameBytes = 64;
inline constexpr std::size_t kMaxStepDetailBytes = 1024;
inline constexpr std::size_t kMaxReasonBytes = 256;
inline constexpr std::size_t kMaxMessageBytes = 4096;
inline constexpr std::size_t kMaxDetailsBytes = 16 * 1024;
inline constexpr std::size_t kMaxSealedBytes = 256 * 1024;
inline constexpr std::size_t kMaxPublishOptions = 64;
inline constexpr std::size_t kMaxParameters = 64;
inline constexpr std::size_t kMaxChunkBytes = 1024 * 1024;
inline constexpr std::uint64_t kMaxLogBytes = 1ULL << 50;

// kInvalidArgument names the field. On ok the message's texts have been made storable.
[[nodiscard]] absl::Status CheckAndClean(protocol::AgentMessage& message);

}  // namespace slipway::agent_gateway
