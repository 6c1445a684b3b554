#include "common/rpc/grpc_log.h"

#include <catch2/catch.hpp>

namespace slipway::rpc {
namespace {

using namespace std::chrono_literals;

TEST_CASE("Throttle: tells at once, then once per pause with what was left out", "[unit][rpc]") {
  Throttle throttle(30s);
  const MonoTime begin;
  CHECK(throttle.Admit(begin) == 0U);
  CHECK_FALSE(throttle.Admit(begin));
  CHECK_FALSE(throttle.Admit(begin + 29s));
  CHECK(throttle.Admit(begin + 30s) == 2U);
  CHECK_FALSE(throttle.Admit(begin + 59s));
  CHECK(throttle.Admit(begin + 1h) == 1U);
  CHECK(throttle.Admit(begin + 2h) == 0U);
}

TEST_CASE("gRPC's log: failed handshakes are told from the rest", "[unit][rpc]") {
  CHECK(IsHandshakeFailure("./src/core/tsi/ssl_transport_security.cc",
                           "Handshake failed with fatal error SSL_ERROR_SSL: wrong version."));
  CHECK_FALSE(IsHandshakeFailure("./src/core/tsi/ssl_transport_security.cc",
                                 "Could not load any root certificate."));
  CHECK_FALSE(IsHandshakeFailure("./src/core/ext/transport/chttp2.cc", "Handshake failed"));
}

}  // namespace
}  // namespace slipway::rpc
