#pragma once

namespace slipway::api {

// Lets every server that is built from now on tell what it serves (reflection) and that it serves
// (grpc.health.v1.Health), so that grpcurl and probes need no files of ours. gRPC serves the second
// without a description of it; here is one, so that whoever learns from reflection what there is to
// call can call that, too. Not thread-safe: call it before there are servers.
void ServeReflectionAndHealth();

}  // namespace slipway::api
