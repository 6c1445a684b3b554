#include "common/rpc/grpc_log.h"

#include <grpc/support/log.h>

#include <mutex>
#include <string>

#include "common/log/log.h"

namespace slipway::rpc {
namespace {

constexpr Duration kHandshakePause = std::chrono::seconds(30);

void TellHandshakeFailure(const char* message) {
  static std::mutex mu;
  static Throttle throttle(kHandshakePause);
  std::optional<std::uint64_t> untold;
  {
    const std::lock_guard lock(mu);
    untold = throttle.Admit(SystemClock().Mono());
  }
  if (!untold) return;
  log::Warn("tls_handshake_failed", {{"why", message}, {"untold", std::to_string(*untold)}});
}

void OnGrpcLine(gpr_log_func_args* line) {
  if (IsHandshakeFailure(line->file, line->message)) {
    TellHandshakeFailure(line->message);
    return;
  }
  log::Log(log::Level::kDebug, "grpc",
           {{"at", std::string(line->file) + ":" + std::to_string(line->line)},
            {"says", line->message}});
}

}  // namespace

std::optional<std::uint64_t> Throttle::Admit(MonoTime now) {
  if (told_ && now - *told_ < pause_) {
    ++untold_;
    return std::nullopt;
  }
  told_ = now;
  const std::uint64_t untold = untold_;
  untold_ = 0;
  return untold;
}

bool IsHandshakeFailure(std::string_view source_file, std::string_view message) {
  return source_file.ends_with("ssl_transport_security.cc") &&
         message.find("andshake failed") != std::string_view::npos;
}

void RouteGrpcLog() { gpr_set_log_function(OnGrpcLine); }

}  // namespace slipway::rpc
