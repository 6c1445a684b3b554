#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/time.h"
#include "common/crypto/secret.h"
#include "controller/gateway/connect.h"
#include "controller/gateway/open_count.h"

namespace slipway::gateway {

// Who calls, for whom the server behind the channel is told: metadata `authorization` as the client
// sent it, `slipway-client` with its address, and `slipway-gateway` with a secret of this process,
// by which the server tells our word about the client from anybody else's. Nothing else of a
// client's headers becomes metadata.
struct Caller {
  std::string authorization;  // REQUIRES: IsMetadataValue; empty: none
  std::string remote_ip;
  std::optional<std::chrono::milliseconds> timeout;
};

// What a call came to.
struct CallEnd {
  std::optional<Failure> failure;  // nullopt: it went well
  std::optional<std::chrono::milliseconds> retry_after;
  Metadata trailers;  // those meant for clients
};

// The way to the gRPC server of this process. Must outlive its calls, which `open` counts.
// Thread-safe.
class GrpcSide {
 public:
  GrpcSide(const std::shared_ptr<grpc::Channel>& channel, crypto::SecretBytes token,
           const Clock& clock, OpenCount& open);

  // For the calls below.
  [[nodiscard]] grpc::GenericStub& stub() { return stub_; }
  void Prepare(const Caller& caller, grpc::ClientContext& context) const;
  [[nodiscard]] std::shared_ptr<void> Open() { return open_.Open(); }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const crypto::SecretBytes token_;
  const Clock& clock_;
  OpenCount& open_;
  grpc::GenericStub stub_;
};

// One request, one answer. Thread-safe.
class UnaryCall {
 public:
  // From a thread of gRPC, once.
  using Done = std::function<void(CallEnd end, std::string response)>;

  [[nodiscard]] static std::shared_ptr<UnaryCall> Start(GrpcSide& side, const std::string& path,
                                                        const Caller& caller,
                                                        std::string_view request, Done done);
  void Cancel() { context_.TryCancel(); }

 private:
  void Finish(const grpc::Status& status);

  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  Done done_;
  std::shared_ptr<void> open_;
};

// One request, many answers, each asked for: so the server writes no faster than the client reads.
// Thread-safe.
class StreamCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Called from threads of gRPC, one at a time; nothing after OnEnd.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnMessage(std::string message) = 0;
    virtual void OnEnd(CallEnd end) = 0;
  };

  [[nodiscard]] static std::shared_ptr<StreamCall> Start(GrpcSide& side, const std::string& path,
                                                         const Caller& caller,
                                                         std::string_view request,
                                                         std::shared_ptr<Listener> listener);
  // Asks for the next message; REQUIRES: the one before has come.
  void Next();
  // OnEnd follows without further messages, or with one that was on its way.
  void Cancel();

  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  std::shared_ptr<Listener> listener_;
  std::shared_ptr<void> open_;
  std::shared_ptr<StreamCall> self_;  // until OnDone

  std::mutex mu_;
  bool reading_ = false;
  bool cancelled_ = false;
  bool no_more_ = false;
};

}  // namespace slipway::gateway
