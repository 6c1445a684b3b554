#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/agent_gateway/agent_call.h"
#include "controller/agent_gateway/gateway.h"
#include "controller/agent_gateway/peer.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/credentials/repository_credentials.h"
#include "controller/logs/log_store.h"
#include "controller/store/prepared_image_store.h"
#include "controller/store/run_reader.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::agent_gateway {

// What agents call. The two long streams are callback reactors; blobs move on gRPC's own
// synchronous threads, because they wait for the disk. Every call is fenced: only the agent that
// holds the task's current attempt may write to it or read for it. Thread-safe.
class AgentService final
    : public v1::AgentService::WithCallbackMethod_Connect<
          v1::AgentService::WithCallbackMethod_AppendLog<v1::AgentService::Service>> {
 public:
  // All must outlive this.
  struct Deps {
    Gateway& gateway;
    const PeerCheck& peers;
    logs::LogStore& logs;
    artifacts::ArtifactArchive& archive;
    store::RunReader& reader;
    store::ApplicationStore& applications;
    const credentials::RepositoryCredentials& credentials;
    store::PreparedImageStore& images;
    const Clock& clock;
  };
  explicit AgentService(const Deps& deps) : deps_(deps) {}

  grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* Connect(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>* AppendLog(
      grpc::CallbackServerContext* context) override;

  using MissingStream =
      grpc::ServerReaderWriter<v1::FindMissingBlobsResponse, v1::FindMissingBlobsRequest>;
  grpc::Status FindMissingBlobs(grpc::ServerContext* context, MissingStream* stream) override;
  grpc::Status PutBlobs(grpc::ServerContext* context,
                        grpc::ServerReader<v1::PutBlobsRequest>* reader,
                        v1::PutBlobsResponse* response) override;
  grpc::Status FinalizeArtifact(grpc::ServerContext* context,
                                const v1::FinalizeArtifactRequest* request,
                                v1::FinalizeArtifactResponse* response) override;
  grpc::Status GetRepositoryCredential(grpc::ServerContext* context,
                                       const v1::GetRepositoryCredentialRequest* request,
                                       v1::GetRepositoryCredentialResponse* response) override;
  grpc::Status FindPreparedImage(grpc::ServerContext* context,
                                 const v1::FindPreparedImageRequest* request,
                                 v1::FindPreparedImageResponse* response) override;
  grpc::Status SharePreparedImage(grpc::ServerContext* context,
                                  const v1::SharePreparedImageRequest* request,
                                  v1::SharePreparedImageResponse* response) override;
  grpc::Status FetchArtifact(grpc::ServerContext* context, const v1::FetchArtifactRequest* request,
                             grpc::ServerWriter<v1::FetchArtifactResponse>* writer) override;

 private:
  // The task of an attempt that the calling agent holds. kFailedPrecondition, reason STALE_ATTEMPT.
  absl::StatusOr<domain::Task> CurrentTask(const AgentCall& call, const v1::AttemptRef& ref);
  absl::Status DoFindMissing(grpc::ServerContext& context, MissingStream& stream);
  absl::Status DoPut(grpc::ServerContext& context, grpc::ServerReader<v1::PutBlobsRequest>& reader,
                     v1::PutBlobsResponse& response);
  absl::Status DoFinalize(grpc::ServerContext& context, const v1::FinalizeArtifactRequest& request);
  absl::Status DoGetCredential(grpc::ServerContext& context,
                               const v1::GetRepositoryCredentialRequest& request,
                               v1::GetRepositoryCredentialResponse& response);
  // The task of an attempt that may need the image. Errors as of CurrentTask, and BAD_FIELD.
  absl::StatusOr<domain::Task> TaskOfImage(const AgentCall& call, const v1::AttemptRef& ref,
                                           const std::string& name);
  absl::Status DoFindImage(grpc::ServerContext& context,
                           const v1::FindPreparedImageRequest& request,
                           v1::FindPreparedImageResponse& response);
  absl::Status DoShareImage(grpc::ServerContext& context,
                            const v1::SharePreparedImageRequest& request);
  // kPermissionDenied, reason WRONG_PRODUCT: the task has no use for it.
  absl::Status CheckMayFetch(const domain::Task& task, const Sha256Digest& manifest);
  absl::Status DoFetch(grpc::ServerContext& context, const v1::FetchArtifactRequest& request,
                       grpc::ServerWriter<v1::FetchArtifactResponse>& writer);

  const Deps deps_;
};

}  // namespace slipway::agent_gateway
