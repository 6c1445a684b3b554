#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/crypto/pki.h"
#include "common/crypto/secret.h"
#include "controller/gateway/limits.h"
#include "controller/gateway/pages.h"
#include "controller/metrics/registry.h"

namespace grpc {
class Channel;
}

namespace slipway::gateway {

struct HttpOptions {
  // HOST:PORT; port 0 takes a free one. HOST is a name, an IPv4 address or "[IPv6]".
  std::string listen = "127.0.0.1:7480";
  // Without TLS only addresses of this machine itself are listened on, unless this says otherwise.
  bool allow_plain = false;
  // Origins whose pages may call from a browser.
  std::vector<std::string> origins;
  // Full names of the services to serve.
  std::vector<std::string> services;
  int threads = 2;
  Limits limits;
};

// The HTTP port of the controller: the Connect protocol in front of the gRPC server of the same
// process, and pages for machines that watch it. Every call is carried to the server as it would be
// from outside, by its descriptor; nothing here knows any service.
//
// Thread-safe.
class HttpServer {
 public:
  struct Deps {
    // To the server that the services are registered at.
    std::shared_ptr<grpc::Channel> channel;
    // By which that server knows that metadata `slipway-client` is this gateway's word.
    crypto::SecretBytes token;
    metrics::Registry& registry;
    const Clock& clock;
    Readiness ready;
    // Null: no links lead here.
    std::shared_ptr<LinkedPages> linked{};
  };

  // `tls`: null for plain HTTP. kFailedPrecondition, HTTP_PLAIN_REFUSED; kUnavailable,
  // CANNOT_LISTEN; kInvalidArgument, BAD_HTTP_CERTIFICATE. `registry` and `clock` must outlive
  // this.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      HttpOptions options, Deps deps, const crypto::KeyAndCertificate* tls);

  virtual ~HttpServer() = default;

  [[nodiscard]] virtual int port() const = 0;
  // For connections from now on. kInvalidArgument: as of Start, nothing changes.
  [[nodiscard]] virtual absl::Status UseCertificate(const crypto::KeyAndCertificate& tls) = 0;

  // Takes nothing new and ends streams with `unavailable`. Returns at once.
  virtual void Drain() = 0;
  // Drain, then waits for what is being answered, but not longer than `patience`, and for the gRPC
  // calls, which are cancelled. To be called before the gRPC server dies.
  virtual void Stop(Duration patience = std::chrono::seconds(2)) = 0;
};

}  // namespace slipway::gateway
