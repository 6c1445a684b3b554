#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/agent_gateway/gateway.h"
#include "controller/agent_gateway/peer.h"
#include "controller/logs/log_store.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::agent_gateway {

// Serves one AgentService.AppendLog call: writes what comes into the log store and acknowledges
// what became durable. The reactor keeps itself alive until gRPC is done with it.
grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>* NewLogStream(
    grpc::CallbackServerContext& context, Gateway& gateway, const PeerCheck& peers,
    logs::LogStore& logs);

}  // namespace slipway::agent_gateway
