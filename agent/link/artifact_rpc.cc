#include "agent/link/artifact_rpc.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::link {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMessageBytes = std::size_t{256} << 10;
// Messages that wait for the one that is being sent.
constexpr std::size_t kAhead = 4;
// A batch of blobs, or a whole product, over a slow line.
constexpr auto kTransferTime = 15min;
constexpr auto kCallTime = 2min;

void SetDeadline(grpc::ClientContext& context, std::chrono::seconds time) {
  context.set_deadline(std::chrono::system_clock::now() + time);
}

// A call that the controller cancelled, because it stops. To whoever asked it is one without an
// answer; only people cancel builds, and none of these calls is one that we cancelled ourselves.
absl::Status EndOf(const grpc::ClientContext& context, const grpc::Status& status) {
  absl::Status end = rpc::FromGrpc(context, status);
  if (end.code() != absl::StatusCode::kCancelled) return end;
  return absl::UnavailableError("the controller ended the call");
}

// Sends on a thread of its own, so that the next bytes are read, hashed and compressed meanwhile.
class PutStream final : public artifacts::BlobStream {
 public:
  PutStream(v1::AgentService::Stub& stub, const AttemptKey& key) {
    SetDeadline(context_, kTransferTime);
    writer_ = stub.PutBlobs(&context_, &response_);
    *request_.mutable_ref() = rpc::ToProto(key);
    sender_ = std::thread([this] { SendAll(); });
  }
  ~PutStream() override {
    if (finished_) return;
    context_.TryCancel();
    StopSending();
    (void)End();
  }
  PutStream(const PutStream&) = delete;
  PutStream& operator=(const PutStream&) = delete;

  absl::Status Write(const manifest::BlobPiece& piece) override {
    std::string_view rest = piece.zstd;
    // A piece of ours may be more than one message takes.
    for (bool first = true; first || !rest.empty(); first = false) {
      v1::BlobPiece& out = *request_.add_pieces();
      if (!inside_) {
        out.set_digest(rpc::ToProto(piece.blob.digest));
        out.set_size(piece.blob.size);
      }
      const std::string_view part = rest.substr(0, kMessageBytes);
      rest.remove_prefix(part.size());
      out.set_zstd(std::string(part));
      out.set_last(piece.last && rest.empty());
      inside_ = !out.last();
      gathered_ += part.size() + 64;
      if (gathered_ >= kMessageBytes) SLIPWAY_RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    if (request_.pieces_size() > 0 || request_.has_ref()) SLIPWAY_RETURN_IF_ERROR(Flush());
    StopSending();
    if (broken_) return WhyBroken();
    writer_->WritesDone();
    return End();
  }

 private:
  absl::Status Flush() {
    if (finished_) return absl::UnavailableError("the upload has ended");
    {
      std::unique_lock lock(mu_);
      changed_.wait(lock, [this] { return broken_ || ahead_.size() < kAhead; });
      if (!broken_) ahead_.push_back(std::move(request_));
      if (!broken_) changed_.notify_all();
    }
    request_.Clear();
    gathered_ = 0;
    if (!broken_) return absl::OkStatus();
    StopSending();
    return WhyBroken();
  }
  void SendAll() {
    std::unique_lock lock(mu_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !ahead_.empty(); });
      if (ahead_.empty()) return;
      const v1::PutBlobsRequest request = std::move(ahead_.front());
      ahead_.pop_front();
      changed_.notify_all();
      lock.unlock();
      const bool written = writer_->Write(request);
      lock.lock();
      if (written) continue;
      broken_ = true;
      changed_.notify_all();
      return;
    }
  }
  // When all that waits has been sent, or cannot be.
  void StopSending() {
    {
      const std::lock_guard lock(mu_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (sender_.joinable()) sender_.join();
  }
  absl::Status WhyBroken() {
    const absl::Status why = End();
    return why.ok() ? absl::UnavailableError("the controller ended the upload") : why;
  }
  absl::Status End() {
    if (finished_) return absl::UnavailableError("the upload has ended");
    finished_ = true;
    return EndOf(context_, writer_->Finish());
  }

  grpc::ClientContext context_;
  v1::PutBlobsResponse response_;
  std::unique_ptr<grpc::ClientWriter<v1::PutBlobsRequest>> writer_;
  v1::PutBlobsRequest request_;
  std::size_t gathered_ = 0;
  bool inside_ = false;  // of a blob
  bool finished_ = false;

  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<v1::PutBlobsRequest> ahead_;  // guarded by mu_
  bool stopping_ = false;                  // guarded by mu_
  std::atomic<bool> broken_ = false;       // set under mu_
  std::thread sender_;
};

class GrpcArtifactSink final : public artifacts::ArtifactSink {
 public:
  GrpcArtifactSink(ChannelSource channel, AttemptKey key)
      : channel_(std::move(channel)), key_(std::move(key)) {}

  absl::StatusOr<std::vector<Sha256Digest>> FindMissing(
      std::string_view encoded_manifest) override {
    grpc::ClientContext context;
    SetDeadline(context, kCallTime);
    const auto stream = v1::AgentService::NewStub(channel_())->FindMissingBlobs(&context);
    bool first = true;
    while (first || !encoded_manifest.empty()) {
      v1::FindMissingBlobsRequest request;
      if (first) *request.mutable_ref() = rpc::ToProto(key_);
      first = false;
      const std::string_view part = encoded_manifest.substr(0, kMessageBytes);
      encoded_manifest.remove_prefix(part.size());
      request.set_manifest_part(std::string(part));
      if (!stream->Write(request)) break;
    }
    stream->WritesDone();
    std::string digests;
    v1::FindMissingBlobsResponse response;
    while (stream->Read(&response)) digests += response.missing();
    SLIPWAY_RETURN_IF_ERROR(EndOf(context, stream->Finish()));
    std::vector<Sha256Digest> missing;
    for (std::size_t at = 0; at < digests.size(); at += Sha256Digest::kSize) {
      const auto digest =
          Sha256Digest::FromBytes(std::string_view(digests).substr(at, Sha256Digest::kSize));
      if (!digest) return absl::InternalError("the controller's list of blobs was cut");
      missing.push_back(*digest);
    }
    return missing;
  }

  absl::StatusOr<std::unique_ptr<artifacts::BlobStream>> StartUpload() override {
    return std::make_unique<PutStream>(*v1::AgentService::NewStub(channel_()), key_);
  }

  absl::Status Finalize(const Sha256Digest& manifest) override {
    grpc::ClientContext context;
    SetDeadline(context, kCallTime);
    v1::FinalizeArtifactRequest request;
    *request.mutable_ref() = rpc::ToProto(key_);
    request.set_manifest(rpc::ToProto(manifest));
    v1::FinalizeArtifactResponse response;
    const auto stub = v1::AgentService::NewStub(channel_());
    return EndOf(context, stub->FinalizeArtifact(&context, request, &response));
  }

 private:
  const ChannelSource channel_;
  const AttemptKey key_;
};

class GrpcArtifactSource final : public artifacts::ArtifactSource {
 public:
  GrpcArtifactSource(ChannelSource channel, AttemptKey key)
      : channel_(std::move(channel)), key_(std::move(key)) {}

  absl::Status Fetch(const Sha256Digest& manifest, manifest::TreeReceiver& receiver) override {
    grpc::ClientContext context;
    SetDeadline(context, kTransferTime);
    v1::FetchArtifactRequest request;
    *request.mutable_ref() = rpc::ToProto(key_);
    request.set_manifest(rpc::ToProto(manifest));
    blob_.reset();
    const auto stream = v1::AgentService::NewStub(channel_())->FetchArtifact(&context, request);
    v1::FetchArtifactResponse response;
    absl::Status taken;
    while (taken.ok() && stream->Read(&response)) taken = Take(response, receiver);
    if (!taken.ok()) context.TryCancel();
    const absl::Status ended = EndOf(context, stream->Finish());
    return taken.ok() ? ended : taken;
  }

 private:
  absl::Status Take(const v1::FetchArtifactResponse& response, manifest::TreeReceiver& receiver) {
    if (!response.manifest_part().empty()) {
      SLIPWAY_RETURN_IF_ERROR(receiver.AcceptManifest(response.manifest_part()));
    }
    for (const v1::BlobPiece& in : response.pieces()) {
      if (!blob_) {
        SLIPWAY_ASSIGN_OR_RETURN(const Sha256Digest digest,
                                 rpc::DigestFromProto(in.digest(), "pieces.digest"));
        blob_ = manifest::BlobRef{.digest = digest, .size = in.size()};
      }
      SLIPWAY_RETURN_IF_ERROR(
          receiver.Accept({.blob = *blob_, .zstd = in.zstd(), .last = in.last()}));
      if (in.last()) blob_.reset();
    }
    return absl::OkStatus();
  }

  const ChannelSource channel_;
  const AttemptKey key_;
  std::optional<manifest::BlobRef> blob_;  // being received
};

}  // namespace

std::unique_ptr<artifacts::ArtifactSink> MakeArtifactSink(ChannelSource channel,
                                                          const AttemptKey& key) {
  return std::make_unique<GrpcArtifactSink>(std::move(channel), key);
}

std::unique_ptr<artifacts::ArtifactSource> MakeArtifactSource(ChannelSource channel,
                                                              const AttemptKey& key) {
  return std::make_unique<GrpcArtifactSource>(std::move(channel), key);
}

}  // namespace slipway::link
