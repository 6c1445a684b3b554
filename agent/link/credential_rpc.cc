#include "agent/link/credential_rpc.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>

#include "common/crypto/secret.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::link {
namespace {

constexpr auto kCallTime = std::chrono::seconds(30);

// The message's copy is wiped: it goes back to the ordinary heap.
crypto::SecretBytes TakeSecret(std::string& bytes) {
  crypto::SecretBytes secret = crypto::SecretBytes::CopyOf(bytes);
  crypto::Wipe(bytes.data(), bytes.size());
  return secret;
}

}  // namespace

absl::StatusOr<crypto::RepositoryCredential> FetchRepositoryCredential(
    const ChannelSource& channel, const AttemptKey& key, const std::string& repository) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
  v1::GetRepositoryCredentialRequest request;
  *request.mutable_ref() = rpc::ToProto(key);
  request.set_repository(repository);
  v1::GetRepositoryCredentialResponse response;
  const auto stub = v1::AgentService::NewStub(channel());
  const absl::Status status =
      rpc::FromGrpc(context, stub->GetRepositoryCredential(&context, request, &response));
  // A controller that stops cancels its calls; nobody here has canceled this one.
  if (absl::IsCancelled(status)) return absl::UnavailableError("the controller ended the call");
  SLIPWAY_RETURN_IF_ERROR(status);
  crypto::RepositoryCredential credential;
  if (response.has_ssh()) {
    credential.kind = crypto::RepositoryCredentialKind::kSsh;
    credential.secret = TakeSecret(*response.mutable_ssh()->mutable_private_key());
    credential.known_hosts = response.ssh().known_hosts();
  } else {
    credential.username = response.https().username();
    credential.ca_certificates = response.https().ca_certificates();
    credential.secret = TakeSecret(*response.mutable_https()->mutable_password());
  }
  SLIPWAY_RETURN_IF_ERROR(crypto::CheckRepositoryCredential(credential));
  return credential;
}

}  // namespace slipway::link
