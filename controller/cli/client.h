#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace slipway::cli {

// Where the controller is and who is asking: a client.yaml (server, ca, token_file) below flags.
struct ClientOptions {
  std::string server;      // HOST:PORT
  std::string ca_file;     // PEM
  std::string token_file;  // first line is the API token
};

// Reads `path`; relative file names in it are relative to its folder. Errors name file, line and key.
[[nodiscard]] absl::StatusOr<ClientOptions> LoadClientOptions(const std::string& path);

// One channel and the credentials that every call carries. Thread-safe after Connect.
class Client {
 public:
  // Reads CA and token; connects lazily. Errors name the file and what to do.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Client>> Make(const ClientOptions& options);

  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Adds the token and a deadline (0: none) to a call about to be made.
  void Prepare(grpc::ClientContext& context, int timeout_seconds = 30) const;

  // The outcome of a call for people: an unreachable controller is named with its address.
  [[nodiscard]] absl::Status Outcome(const grpc::ClientContext& context,
                                     const grpc::Status& status) const;

 private:
  Client(std::string server, std::string token, std::shared_ptr<grpc::Channel> channel);

  const std::string server_;
  const std::string authorization_;
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace slipway::cli
