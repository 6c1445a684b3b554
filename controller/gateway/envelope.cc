#include "controller/gateway/envelope.h"

#include <fmt/format.h>

namespace slipway::gateway {

std::string Envelope(std::uint8_t flags, std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string out;
  out.reserve(kEnvelopePrefix + bytes.size());
  out.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(size >> shift));
  out.append(bytes);
  return out;
}

absl::StatusOr<EnvelopeView> ParseOnlyEnvelope(std::string_view body, std::size_t max_bytes) {
  if (body.size() < kEnvelopePrefix) {
    return absl::InvalidArgumentError("the request holds no whole envelope");
  }
  const auto flags = static_cast<std::uint8_t>(body[0]);
  if ((flags & ~kCompressed) != 0) {
    return absl::InvalidArgumentError(
        fmt::format("envelope flags {} are not allowed in a request", flags));
  }
  std::uint32_t size = 0;
  for (std::size_t i = 1; i < kEnvelopePrefix; ++i) {
    size = size << 8U | static_cast<std::uint8_t>(body[i]);
  }
  if (size > max_bytes) {
    return absl::ResourceExhaustedError(
        fmt::format("the message has {} bytes, at most {} are taken", size, max_bytes));
  }
  body.remove_prefix(kEnvelopePrefix);
  if (body.size() < size) {
    return absl::InvalidArgumentError(
        fmt::format("the envelope promises {} bytes and holds {}", size, body.size()));
  }
  if (body.size() > size) {
    return absl::InvalidArgumentError("a request of a stream holds one message");
  }
  return EnvelopeView{(flags & kCompressed) != 0, body};
}

}  // namespace slipway::gateway
