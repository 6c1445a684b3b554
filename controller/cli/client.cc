#include "controller/cli/client.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/config/options_file.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::cli {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path, const char* what) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return MakeError(absl::StatusCode::kNotFound, "NO_CLIENT_FILE",
                     fmt::format("cannot read {} file {}", what, path),
                     "Set it in client.yaml or by flag; deploy/quickstart writes a client.yaml.");
  }
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Make(const ClientOptions& options) {
  if (options.server.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "NO_SERVER", "no controller is configured",
                     "Give --server HOST:PORT --ca FILE --token-file FILE, or write them into "
                     "~/.config/slipway/client.yaml.");
  }
  SLIPWAY_ASSIGN_OR_RETURN(std::string ca, ReadFile(options.ca_file, "CA certificate"));
  SLIPWAY_ASSIGN_OR_RETURN(std::string token, ReadFile(options.token_file, "API token"));
  if (const auto end = token.find_first_of("\r\n"); end != std::string::npos) token.resize(end);
  if (token.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "NO_TOKEN",
                     fmt::format("{} holds no API token", options.token_file));
  }
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = std::move(ca);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // A proxy of the environment is for the internet, not for the own controller.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  auto channel = grpc::CreateCustomChannel(options.server, grpc::SslCredentials(tls), arguments);
  return std::unique_ptr<Client>(new Client(options.server, std::move(token), std::move(channel)));
}

Client::Client(std::string server, std::string token, std::shared_ptr<grpc::Channel> channel)
    : server_(std::move(server)),
      authorization_("Bearer " + std::move(token)),
      channel_(std::move(channel)) {}

void Client::Prepare(grpc::ClientContext& context, int timeout_seconds) const {
  context.AddMetadata("authorization", authorization_);
  if (timeout_seconds > 0) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(timeout_seconds));
  }
}

absl::Status Client::Outcome(const grpc::ClientContext& context, const grpc::Status& status) const {
  absl::Status outcome = rpc::FromGrpc(context, status);
  if (outcome.code() == absl::StatusCode::kUnavailable && GetErrorInfo(outcome).reason.empty()) {
    return MakeError(
        absl::StatusCode::kUnavailable, "NO_CONTROLLER",
        fmt::format("the controller at {} does not answer: {}", server_, status.error_message()),
        "Check that slipway-controller runs there and that the CA file belongs to it.");
  }
  return outcome;
}

}  // namespace slipway::cli
