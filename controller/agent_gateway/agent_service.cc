#include "controller/agent_gateway/agent_service.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/agent_gateway/agent_call.h"
#include "controller/agent_gateway/artifact_stream.h"
#include "controller/agent_gateway/connect_stream.h"
#include "controller/agent_gateway/log_stream.h"

namespace slipway::agent_gateway {
namespace {

constexpr std::size_t kMaxManifest = 256U << 20;
constexpr std::size_t kDigestsPerMessage = 8192;
constexpr std::size_t kMaxImageName = 200;

// Turns the wire's pieces, of which only a blob's first one names it, into named ones.
class PieceReader {
 public:
  absl::StatusOr<manifest::BlobPiece> Next(const v1::BlobPiece& piece) {
    if (!piece.digest().empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(blob_.digest, rpc::DigestFromProto(piece.digest(), "pieces.digest"));
      blob_.size = piece.size();
      named_ = true;
    }
    if (!named_) {
      return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
                       "pieces.digest: missing in a blob's first piece");
    }
    if (piece.last()) named_ = false;
    return manifest::BlobPiece{blob_, piece.zstd(), piece.last()};
  }

 private:
  manifest::BlobRef blob_;
  bool named_ = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* AgentService::Connect(
    grpc::CallbackServerContext* context) {
  return NewConnectStream(*context, deps_.gateway, deps_.peers);
}

grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>* AgentService::AppendLog(
    grpc::CallbackServerContext* context) {
  return NewLogStream(*context, deps_.gateway, deps_.peers, deps_.logs);
}

absl::StatusOr<domain::Task> AgentService::CurrentTask(const AgentCall& call,
                                                       const v1::AttemptRef& ref) {
  SLIPWAY_ASSIGN_OR_RETURN(const AttemptKey key, rpc::FromProto(ref));
  SLIPWAY_RETURN_IF_ERROR(deps_.gateway.scheduler().CheckCurrent(call.agent().id, key));
  SLIPWAY_ASSIGN_OR_RETURN(auto found, deps_.reader.GetTask(key.task));
  return found.task;
}

grpc::Status AgentService::FindMissingBlobs(grpc::ServerContext* context, MissingStream* stream) {
  return rpc::ToGrpc(*context, DoFindMissing(*context, *stream));
}

absl::Status AgentService::DoFindMissing(grpc::ServerContext& context, MissingStream& stream) {
  // Strangers hold no thread and no memory while they take their time.
  SLIPWAY_ASSIGN_OR_RETURN(const auto call, AgentCall::Begin(context, deps_.gateway, deps_.peers));
  v1::FindMissingBlobsRequest request;
  std::string encoded;
  v1::AttemptRef ref;
  while (stream.Read(&request)) {
    if (request.has_ref()) ref = request.ref();
    if (encoded.size() + request.manifest_part().size() > kMaxManifest) {
      return MakeError(absl::StatusCode::kResourceExhausted, "MANIFEST_TOO_LARGE",
                       fmt::format("the manifest is larger than {} MiB", kMaxManifest >> 20));
    }
    encoded += request.manifest_part();
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto task, CurrentTask(*call, ref));
  SLIPWAY_ASSIGN_OR_RETURN(const auto plan, deps_.archive.FindMissing(task.application, encoded));
  v1::FindMissingBlobsResponse response;
  for (std::size_t i = 0; i < plan.missing.size(); ++i) {
    response.mutable_missing()->append(plan.missing[i].digest.Bytes());
    if ((i + 1) % kDigestsPerMessage == 0) {
      if (!stream.Write(response)) return absl::CancelledError("the agent has left");
      response.Clear();
    }
  }
  if (!response.missing().empty()) stream.Write(response);
  return absl::OkStatus();
}

grpc::Status AgentService::PutBlobs(grpc::ServerContext* context,
                                    grpc::ServerReader<v1::PutBlobsRequest>* reader,
                                    v1::PutBlobsResponse* response) {
  return rpc::ToGrpc(*context, DoPut(*context, *reader, *response));
}

absl::Status AgentService::DoPut(grpc::ServerContext& context,
                                 grpc::ServerReader<v1::PutBlobsRequest>& reader,
                                 v1::PutBlobsResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto call, AgentCall::Begin(context, deps_.gateway, deps_.peers));
  v1::PutBlobsRequest request;
  std::unique_ptr<artifacts::ArchiveUpload> upload;
  PieceReader pieces;
  while (reader.Read(&request)) {
    if (!upload) {
      SLIPWAY_ASSIGN_OR_RETURN(const auto task, CurrentTask(*call, request.ref()));
      SLIPWAY_ASSIGN_OR_RETURN(upload, deps_.archive.NewUpload(task.application));
    }
    std::vector<manifest::BlobPiece> batch;
    batch.reserve(static_cast<std::size_t>(request.pieces_size()));
    for (const auto& piece : request.pieces()) {
      SLIPWAY_ASSIGN_OR_RETURN(const auto named, pieces.Next(piece));
      batch.push_back(named);
    }
    SLIPWAY_RETURN_IF_ERROR(upload->Append(batch));
  }
  if (context.IsCancelled()) return absl::CancelledError("the agent has left");
  if (!upload) return absl::OkStatus();
  SLIPWAY_ASSIGN_OR_RETURN(const std::uint64_t stored, upload->Commit());
  response.set_stored(stored);
  return absl::OkStatus();
}

grpc::Status AgentService::FinalizeArtifact(grpc::ServerContext* context,
                                            const v1::FinalizeArtifactRequest* request,
                                            v1::FinalizeArtifactResponse*) {
  return rpc::ToGrpc(*context, DoFinalize(*context, *request));
}

absl::Status AgentService::DoFinalize(grpc::ServerContext& context,
                                      const v1::FinalizeArtifactRequest& request) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto call, AgentCall::Begin(context, deps_.gateway, deps_.peers));
  SLIPWAY_ASSIGN_OR_RETURN(const auto task, CurrentTask(*call, request.ref()));
  SLIPWAY_ASSIGN_OR_RETURN(const auto digest, rpc::DigestFromProto(request.manifest(), "manifest"));
  return deps_.archive.Finalize(task.application, digest);
}

grpc::Status AgentService::GetRepositoryCredential(
    grpc::ServerContext* context, const v1::GetRepositoryCredentialRequest* request,
    v1::GetRepositoryCredentialResponse* response) {
  return rpc::ToGrpc(*context, DoGetCredential(*context, *request, *response));
}

absl::Status AgentService::DoGetCredential(grpc::ServerContext& context,
                                           const v1::GetRepositoryCredentialRequest& request,
                                           v1::GetRepositoryCredentialResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto call, AgentCall::Begin(context, deps_.gateway, deps_.peers));
  SLIPWAY_ASSIGN_OR_RETURN(const auto task, CurrentTask(*call, request.ref()));
  if (!protocol::RunsScript(task.kind)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT",
                     "only a build or script fetches a repository");
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto application, deps_.applications.Get(task.application));
  SLIPWAY_ASSIGN_OR_RETURN(const auto credential,
                           deps_.credentials.Open(application, request.repository()));
  if (credential.kind == crypto::RepositoryCredentialKind::kSsh) {
    response.mutable_ssh()->set_private_key(std::string(credential.secret.view()));
    response.mutable_ssh()->set_known_hosts(credential.known_hosts);
  } else {
    response.mutable_https()->set_username(credential.username);
    response.mutable_https()->set_password(std::string(credential.secret.view()));
    response.mutable_https()->set_ca_certificates(credential.ca_certificates);
  }
  return absl::OkStatus();
}

absl::StatusOr<domain::Task> AgentService::TaskOfImage(const AgentCall& call,
                                                       const v1::AttemptRef& ref,
                                                       const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(auto task, CurrentTask(call, ref));
  const std::string prefix = fmt::format("slipway-prepared/{}:", task.application.value());
  if (!protocol::RunsScript(task.kind) || !name.starts_with(prefix) ||
      name.size() > kMaxImageName) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                     "name: not an image that is prepared for this task");
  }
  return task;
}

grpc::Status AgentService::FindPreparedImage(grpc::ServerContext* context,
                                             const v1::FindPreparedImageRequest* request,
                                             v1::FindPreparedImageResponse* response) {
  return rpc::ToGrpc(*context, DoFindImage(*context, *request, *response));
}

absl::Status AgentService::DoFindImage(grpc::ServerContext& context,
                                       const v1::FindPreparedImageRequest& request,
                                       v1::FindPreparedImageResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto call, AgentCall::Begin(context, deps_.gateway, deps_.peers));
  SLIPWAY_ASSIGN_OR_RETURN(const auto task, TaskOfImage(*call, request.ref(), request.name()));
  SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps_.images.Find(task.application, request.name()));
  // One that the archive has lost is made and shared anew.
  if (found && deps_.archive.Find(task.application, *found).ok()) {
    response.set_manifest(rpc::ToProto(*found));
  }
  return absl::OkStatus();
}

grpc::Status AgentService::SharePreparedImage(grpc::ServerContext* context,
                                              const v1::SharePreparedImageRequest* request,
                                              v1::SharePreparedImageResponse*) {
  return rpc::ToGrpc(*context, DoShareImage(*context, *request));
}

absl::Status AgentService::DoShareImage(grpc::ServerContext& context,
                                        const v1::SharePreparedImageRequest& request) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto call, AgentCall::Begin(context, deps_.gateway, deps_.peers));
  SLIPWAY_ASSIGN_OR_RETURN(const auto task, TaskOfImage(*call, request.ref(), request.name()));
  SLIPWAY_ASSIGN_OR_RETURN(const auto digest, rpc::DigestFromProto(request.manifest(), "manifest"));
  SLIPWAY_RETURN_IF_ERROR(deps_.archive.Find(task.application, digest).status());
  return deps_.images.Put(task.application, request.name(), digest, call->agent().id,
                          deps_.clock.Wall());
}

absl::Status AgentService::CheckMayFetch(const domain::Task& task, const Sha256Digest& manifest) {
  if (protocol::RunsScript(task.kind)) {
    SLIPWAY_ASSIGN_OR_RETURN(const bool image, deps_.images.Holds(task.application, manifest));
    if (image) return absl::OkStatus();
  } else {
    SLIPWAY_ASSIGN_OR_RETURN(const auto build, deps_.reader.GetTask(task.depends_on));
    if (build.task.result && build.task.result->build &&
        build.task.result->build->manifest == manifest) {
      return absl::OkStatus();
    }
  }
  return MakeError(
      absl::StatusCode::kPermissionDenied, "WRONG_PRODUCT",
      fmt::format("{} is not the product that this task hands over", manifest.ToString()));
}

grpc::Status AgentService::FetchArtifact(grpc::ServerContext* context,
                                         const v1::FetchArtifactRequest* request,
                                         grpc::ServerWriter<v1::FetchArtifactResponse>* writer) {
  return rpc::ToGrpc(*context, DoFetch(*context, *request, *writer));
}

absl::Status AgentService::DoFetch(grpc::ServerContext& context,
                                   const v1::FetchArtifactRequest& request,
                                   grpc::ServerWriter<v1::FetchArtifactResponse>& writer) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto call, AgentCall::Begin(context, deps_.gateway, deps_.peers));
  SLIPWAY_ASSIGN_OR_RETURN(const auto task, CurrentTask(*call, request.ref()));
  SLIPWAY_ASSIGN_OR_RETURN(const auto digest, rpc::DigestFromProto(request.manifest(), "manifest"));
  SLIPWAY_RETURN_IF_ERROR(CheckMayFetch(task, digest));
  return StreamArtifact<v1::FetchArtifactResponse>(
      deps_.archive, task.application, digest,
      [&](const v1::FetchArtifactResponse& message) { return writer.Write(message); });
}

}  // namespace slipway::agent_gateway
