#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "agent/link/identity.h"

namespace slipway::link {

// A channel to the farm's controller with the agent's certificate, trusting the farm's CA alone. A
// connection whose other end is silent is given up after about 15 s. Nothing is connected yet.
[[nodiscard]] std::shared_ptr<grpc::Channel> MakeChannel(const Identity& identity);

}  // namespace slipway::link
