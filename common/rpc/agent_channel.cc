#include "common/rpc/agent_channel.h"

namespace slipway::rpc {

grpc::ChannelArguments AgentChannelArguments() {
  grpc::ChannelArguments arguments;
  // Above the time between two inventories (15 s), whose answers put the next ping off: an agent
  // with nothing to do pings only a controller that does not answer. An inventory that the network
  // does not take ends the connection as early as a ping would, by TCP's own timeout, which gRPC
  // sets.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // MIN is how long one attempt may take. Thousands that come back at once take the controller
  // longer than a few seconds to greet, and an attempt given up has been work for nothing. The
  // kernel repeats a SYN that a dead network swallowed after 1, 3 and 7 s.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // What is to be started may bring scripts of 1 MiB each along.
  arguments.SetMaxReceiveMessageSize(128 << 20);
  // A proxy of the environment is for platforms, not for the farm's own controller.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

}  // namespace slipway::rpc
