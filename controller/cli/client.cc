#include "controller/cli/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::cli {
namespace {

// Pages of tasks with sealed credentials, whole runs: large, but not without limit.
constexpr int kMaxMessageBytes = 64 << 20;
// All tries together stay within the half minute in which the same refresh token is taken again.
constexpr int kRefreshTries = 3;
constexpr int kRefreshSeconds = 7;
constexpr Duration kRefreshPause = std::chrono::milliseconds(500);

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server, const std::string& ca_pem) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ca_pem;
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
  return grpc::CreateCustomChannel(server, grpc::SslCredentials(tls), arguments);
}

}  // namespace

std::unique_ptr<Client> Client::Make(const Access& access, Text text, std::stop_token stop) {
  auto channel = MakeChannel(access.server, access.ca_pem);
  std::unique_ptr<TokenSource> tokens;
  if (access.api_token.empty()) {
    // Lost answers are asked for again at once: half a minute later the same token is a thief's.
    const auto refresh = [channel, server = access.server, text,
                          stop](const std::string& token) -> absl::StatusOr<v1::LoginResponse> {
      const auto stub = v1::SessionService::NewStub(channel);
      v1::RefreshRequest request;
      request.set_refresh_token(token);
      absl::Status outcome;
      for (int i = 0; i < kRefreshTries; ++i) {
        if (i > 0 && !WaitForChannel(*channel, stop, kRefreshPause)) return InterruptedError();
        grpc::ClientContext context;
        SetDeadline(context, kRefreshSeconds);
        const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
        v1::LoginResponse response;
        const grpc::Status status = stub->Refresh(&context, request, &response);
        outcome = Explain(context, status, server, text, stop);
        if (outcome.ok()) return response;
        if (!IsPassing(outcome) || stop.stop_requested()) break;
      }
      return outcome;
    };
    tokens = std::make_unique<LoginTokens>(*access.contexts, access.context, refresh, stop);
  } else {
    tokens = std::make_unique<FixedToken>(access.api_token);
  }
  return std::unique_ptr<Client>(new Client(access.server, std::move(channel), access.context,
                                            std::move(tokens), text, std::move(stop)));
}

std::unique_ptr<Client> Client::MakeWithoutToken(const std::string& server,
                                                 const std::string& ca_pem, Text text,
                                                 std::stop_token stop) {
  return std::unique_ptr<Client>(
      new Client(server, MakeChannel(server, ca_pem), "", nullptr, text, std::move(stop)));
}

Client::Client(std::string server, std::shared_ptr<grpc::Channel> channel, std::string context,
               std::unique_ptr<TokenSource> tokens, Text text, std::stop_token stop)
    : server_(std::move(server)),
      channel_(std::move(channel)),
      context_(std::move(context)),
      tokens_(std::move(tokens)),
      text_(text),
      stop_(std::move(stop)),
      sessions_(v1::SessionService::NewStub(channel_)),
      accounts_(v1::AccountService::NewStub(channel_)),
      tasks_(v1::TaskService::NewStub(channel_)),
      applications_(v1::ApplicationService::NewStub(channel_)),
      releases_(v1::ReleaseService::NewStub(channel_)),
      agents_(v1::AgentAdminService::NewStub(channel_)),
      agent_images_(v1::AgentImageService::NewStub(channel_)),
      audit_(v1::AuditService::NewStub(channel_)),
      catalog_(v1::CatalogService::NewStub(channel_)),
      overviews_(v1::OverviewService::NewStub(channel_)) {}

absl::Status Client::Authorize(grpc::ClientContext& context) const {
  if (!tokens_) return absl::OkStatus();
  const auto token = tokens_->Token();
  if (!token.ok()) {
    return token.status().code() == absl::StatusCode::kUnauthenticated
               ? NotLoggedIn(context_, text_)
               : token.status();
  }
  context.AddMetadata("authorization", "Bearer " + *token);
  return absl::OkStatus();
}

void Client::SetDeadline(grpc::ClientContext& context, int timeout_seconds) {
  if (timeout_seconds > 0) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(timeout_seconds));
  }
}

void Client::Prepare(grpc::ClientContext& context, int timeout_seconds) const {
  // A stream without a token is refused by the controller, which the stream's end tells.
  Authorize(context).IgnoreError();
  SetDeadline(context, timeout_seconds);
}

absl::Status Client::Explain(const grpc::ClientContext& context, const grpc::Status& status,
                             const std::string& server, Text text, const std::stop_token& stop) {
  if (status.ok()) return absl::OkStatus();
  if (status.error_code() == grpc::StatusCode::CANCELLED && stop.stop_requested()) {
    return InterruptedError();
  }
  absl::Status outcome = rpc::FromGrpc(context, status);
  const bool silent = outcome.code() == absl::StatusCode::kUnavailable ||
                      outcome.code() == absl::StatusCode::kDeadlineExceeded;
  if (silent && GetErrorInfo(outcome).reason.empty()) {
    outcome = MakeError(
        outcome.code(), "NO_CONTROLLER",
        fmt::format(fmt::runtime(
                        text("the controller at {} does not answer: {}", "控制器 {} 没有应答：{}")),
                    server, status.error_message()),
        text("Check that slipway-controller runs there and that the CA file belongs to it.",
             "请确认 slipway-controller 正在该地址运行，并且 CA 文件与之匹配。"));
  }
  return ControllerError(std::move(outcome));
}

absl::Status Client::Outcome(const grpc::ClientContext& context, const grpc::Status& status) const {
  absl::Status outcome = Explain(context, status, server_, text_, stop_);
  if (outcome.code() != absl::StatusCode::kUnauthenticated) return outcome;
  if (!tokens_) return NotLoggedInError(std::move(outcome));
  return context_.empty() ? outcome : NotLoggedIn(context_, text_);
}

bool Client::RenewToken(const absl::Status& status) const {
  return status.code() == absl::StatusCode::kUnauthenticated && tokens_ && tokens_->Renew();
}

bool Client::WaitToRetry(const std::stop_token& stop, Duration duration) const {
  return WaitForChannel(*channel_, stop, duration);
}

bool Client::WaitForChannel(grpc::Channel& channel, const std::stop_token& stop,
                            Duration duration) {
  // How late a stop may be noticed.
  constexpr Duration kSlice = std::chrono::milliseconds(100);
  const SystemClock clock;
  const MonoTime end = clock.Mono() + duration;
  bool was_away = false;
  for (MonoTime now = clock.Mono(); now < end && !stop.stop_requested(); now = clock.Mono()) {
    const Duration slice = std::min(end - now, kSlice);
    const grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY && was_away) break;
    was_away = was_away || state != GRPC_CHANNEL_READY;
    const auto deadline = std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::microseconds>(slice);
    channel.WaitForStateChange(state, deadline);
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
