#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/agent_gateway/gateway.h"
#include "controller/agent_gateway/peer.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::agent_gateway {

// Serves one AgentService.Connect call. The reactor keeps itself alive until gRPC is done with it.
grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* NewConnectStream(
    grpc::CallbackServerContext& context, Gateway& gateway, const PeerCheck& peers);

}  // namespace slipway::agent_gateway
