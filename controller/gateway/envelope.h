#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// Messages in streams: one byte of flags, four of length (big-endian), the bytes. Thread-safe.
namespace slipway::gateway {

inline constexpr std::size_t kEnvelopePrefix = 5;
inline constexpr std::uint8_t kCompressed = 1;
inline constexpr std::uint8_t kEndOfStream = 2;

[[nodiscard]] std::string Envelope(std::uint8_t flags, std::string_view bytes);

struct EnvelopeView {
  bool compressed = false;
  std::string_view bytes;  // within what was parsed
};

// The one message of a server-streaming request. kInvalidArgument: none, more than one, a part of
// one, reserved flags. kResourceExhausted: its length is above `max_bytes`, whatever has come of
// it.
[[nodiscard]] absl::StatusOr<EnvelopeView> ParseOnlyEnvelope(std::string_view body,
                                                             std::size_t max_bytes);

}  // namespace slipway::gateway
