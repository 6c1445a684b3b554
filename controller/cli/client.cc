#include "controller/cli/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::cli {
namespace {

// Pages of tasks with sealed credentials, whole runs: large, but not without limit.
constexpr int kMaxMessageBytes = 64 << 20;

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, const char* what, Text text) {
  constexpr std::size_t kLimit = 256 * 1024;
  std::ifstream in(path, std::ios::binary);
  std::string content(kLimit, '\0');
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (content.empty()) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "NO_CLIENT_FILE",
        fmt::format(fmt::runtime(text("cannot read {} from {}", "无法从 {1} 读取{0}")), what, path),
        text("Check the file's name and that you may read it.",
             "请检查文件名以及您是否有读取权限。")));
  }
  return content;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Make(const ClientOptions& options, Text text,
                                                     std::stop_token stop) {
  SLIPWAY_ASSIGN_OR_RETURN(
      std::string ca, ReadSmallFile(options.ca_file, text("the CA certificate", "CA 证书"), text));
  SLIPWAY_ASSIGN_OR_RETURN(
      std::string token,
      ReadSmallFile(options.token_file, text("the API token", "API 令牌"), text));
  token.resize(std::min(token.find_first_of("\r\n"), token.size()));
  // What HTTP/2 forbids in a header would otherwise end the process inside gRPC.
  const bool printable =
      token.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=") ==
      std::string::npos;
  if (token.empty() || !printable) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "NO_TOKEN",
        fmt::format(
            fmt::runtime(text("the first line of {} is no API token", "{} 的第一行不是 API 令牌")),
            options.token_file)));
  }
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = std::move(ca);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // How long one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A machine that vanished without a word is noticed by whoever follows a quiet build.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A proxy of the environment is for the internet, not for one's own controller.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  auto channel = grpc::CreateCustomChannel(options.server, grpc::SslCredentials(tls), arguments);
  return std::unique_ptr<Client>(
      new Client(options.server, token, std::move(channel), text, std::move(stop)));
}

Client::Client(std::string server, const std::string& token, std::shared_ptr<grpc::Channel> channel,
               Text text, std::stop_token stop)
    : server_(std::move(server)),
      authorization_("Bearer " + token),
      channel_(std::move(channel)),
      text_(text),
      stop_(std::move(stop)),
      tasks_(v1::TaskService::NewStub(channel_)),
      applications_(v1::ApplicationService::NewStub(channel_)),
      releases_(v1::ReleaseService::NewStub(channel_)),
      agents_(v1::AgentAdminService::NewStub(channel_)),
      agent_images_(v1::AgentImageService::NewStub(channel_)),
      audit_(v1::AuditService::NewStub(channel_)) {}

void Client::Prepare(grpc::ClientContext& context, int timeout_seconds) const {
  context.AddMetadata("authorization", authorization_);
  if (timeout_seconds > 0) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(timeout_seconds));
  }
}

absl::Status Client::Outcome(const grpc::ClientContext& context, const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  if (status.error_code() == grpc::StatusCode::CANCELLED && stop_.stop_requested()) {
    return InterruptedError();
  }
  absl::Status outcome = rpc::FromGrpc(context, status);
  const bool silent = outcome.code() == absl::StatusCode::kUnavailable ||
                      outcome.code() == absl::StatusCode::kDeadlineExceeded;
  if (silent && GetErrorInfo(outcome).reason.empty()) {
    outcome = MakeError(
        outcome.code(), "NO_CONTROLLER",
        fmt::format(fmt::runtime(text_("the controller at {} does not answer: {}",
                                       "控制器 {} 没有应答：{}")),
                    server_, status.error_message()),
        text_("Check that slipway-controller runs there and that the CA file belongs to it.",
              "请确认 slipway-controller 正在该地址运行，并且 CA 文件与之匹配。"));
  }
  return ControllerError(std::move(outcome));
}

bool Client::WaitToRetry(const std::stop_token& stop, Duration duration) const {
  // How late a stop may be noticed.
  constexpr Duration kSlice = std::chrono::milliseconds(100);
  const SystemClock clock;
  const MonoTime end = clock.Mono() + duration;
  bool was_away = false;
  for (MonoTime now = clock.Mono(); now < end && !stop.stop_requested(); now = clock.Mono()) {
    const Duration slice = std::min(end - now, kSlice);
    const grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY && was_away) break;
    was_away = was_away || state != GRPC_CHANNEL_READY;
    const auto deadline = std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::microseconds>(slice);
    channel_->WaitForStateChange(state, deadline);
  }
  return !stop.stop_requested();
}

bool IsPassing(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kResourceExhausted: return true;
    default: return false;
  }
}

}  // namespace slipway::cli
