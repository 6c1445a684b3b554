#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/time.h"

// What gRPC has to say about itself, in our own log instead of raw lines on stderr.
namespace slipway::rpc {

// How often something is told that others can make happen as often as they like. Thread-compatible.
class Throttle {
 public:
  explicit Throttle(Duration pause) : pause_(pause) {}
  // Tell it now, and how many times it was not told before; nullopt: not now.
  [[nodiscard]] std::optional<std::uint64_t> Admit(MonoTime now);

 private:
  const Duration pause_;
  std::optional<MonoTime> told_;
  std::uint64_t untold_ = 0;
};

// True for gRPC's line about a TLS handshake that failed: somebody with another CA, without TLS, or
// with a certificate of another farm. gRPC gives it by no other way.
[[nodiscard]] bool IsHandshakeFailure(std::string_view source_file, std::string_view message);

// From now on gRPC's lines are events of level debug, and failed handshakes warnings
// (tls_handshake_failed), at most one per half minute. Thread-safe; call it before gRPC is used.
void RouteGrpcLog();

}  // namespace slipway::rpc
