#pragma once

#include <grpcpp/grpcpp.h>

namespace slipway::rpc {

// How an agent's channel to its controller behaves: each channel has a connection of its own, one
// whose other end is silent is given up after 25 s at most, and however long the controller was
// away, the next attempt to connect begins within two seconds of its return, or four where a dead
// network swallowed the last. Also what programs use that stand in for agents.
[[nodiscard]] grpc::ChannelArguments AgentChannelArguments();

}  // namespace slipway::rpc
