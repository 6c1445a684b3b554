#include "agent/link/artifact_rpc.h"

#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <memory>

#include "agent/artifacts/retry.h"
#include "common/manifest/tree_receiver.h"
#include "slipway/v1/agent.grpc.pb.h"
#include "tests/support/status_matchers.h"

namespace slipway::link {
namespace {

// What is left of calls when the controller stops before they have ended.
class StoppingController final : public v1::AgentService::Service {
 public:
  grpc::Status FindMissingBlobs(grpc::ServerContext*,
                                grpc::ServerReaderWriter<v1::FindMissingBlobsResponse,
                                                         v1::FindMissingBlobsRequest>*) override {
    return grpc::Status::CANCELLED;
  }
  grpc::Status PutBlobs(grpc::ServerContext*, grpc::ServerReader<v1::PutBlobsRequest>*,
                        v1::PutBlobsResponse*) override {
    return grpc::Status::CANCELLED;
  }
  grpc::Status FinalizeArtifact(grpc::ServerContext*, const v1::FinalizeArtifactRequest*,
                                v1::FinalizeArtifactResponse*) override {
    return grpc::Status::CANCELLED;
  }
  grpc::Status FetchArtifact(grpc::ServerContext*, const v1::FetchArtifactRequest*,
                             grpc::ServerWriter<v1::FetchArtifactResponse>*) override {
    return grpc::Status::CANCELLED;
  }
};

TEST_CASE(
    "Artifact calls: one that the controller's stop cancelled is tried again, and cancels no build",
    "[unit][link]") {
  StoppingController service;
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const ChannelSource channel = [&] { return server->InProcessChannel({}); };
  const AttemptKey key{TaskId("task-a"), Attempt(1)};
  const auto sink = MakeArtifactSink(channel, key);

  CHECK(artifacts::IsTransient(sink->FindMissing("manifest").status()));
  CHECK(artifacts::IsTransient(sink->Finalize(Sha256Digest())));
  auto upload = sink->StartUpload();
  REQUIRE_OK(upload);
  CHECK(artifacts::IsTransient((*upload)->Finish()));
  manifest::TreeReceiver receiver("/nonexistent/slipway", Sha256Digest());
  CHECK(artifacts::IsTransient(MakeArtifactSource(channel, key)->Fetch(Sha256Digest(), receiver)));
}

}  // namespace
}  // namespace slipway::link
