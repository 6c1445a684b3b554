#include "agent/link/image_rpc.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::link {
namespace {

constexpr auto kCallTime = std::chrono::seconds(30);

// A controller that stops cancels its calls; nobody here has canceled this one.
absl::Status Told(const grpc::ClientContext& context, const grpc::Status& status) {
  absl::Status told = rpc::FromGrpc(context, status);
  return absl::IsCancelled(told) ? absl::UnavailableError("the controller ended the call") : told;
}

}  // namespace

absl::StatusOr<std::optional<Sha256Digest>> FindPreparedImage(const ChannelSource& channel,
                                                              const AttemptKey& key,
                                                              const std::string& name) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
  v1::FindPreparedImageRequest request;
  *request.mutable_ref() = rpc::ToProto(key);
  request.set_name(name);
  v1::FindPreparedImageResponse response;
  const auto stub = v1::AgentService::NewStub(channel());
  SLIPWAY_RETURN_IF_ERROR(Told(context, stub->FindPreparedImage(&context, request, &response)));
  if (response.manifest().empty()) return std::optional<Sha256Digest>();
  SLIPWAY_ASSIGN_OR_RETURN(const Sha256Digest manifest,
                           rpc::DigestFromProto(response.manifest(), "manifest"));
  return std::optional<Sha256Digest>(manifest);
}

absl::Status SharePreparedImage(const ChannelSource& channel, const AttemptKey& key,
                                const std::string& name, const Sha256Digest& manifest) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
  v1::SharePreparedImageRequest request;
  *request.mutable_ref() = rpc::ToProto(key);
  request.set_name(name);
  request.set_manifest(rpc::ToProto(manifest));
  v1::SharePreparedImageResponse response;
  const auto stub = v1::AgentService::NewStub(channel());
  return Told(context, stub->SharePreparedImage(&context, request, &response));
}

}  // namespace slipway::link
