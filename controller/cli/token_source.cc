#include "controller/cli/token_source.h"

#include <fmt/format.h>

#include <utility>

#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::cli {
namespace {

// A call that begins with less than this may arrive too late.
constexpr Duration kMargin = std::chrono::seconds(30);
// A token is not replaced twice within this time, whatever this machine's clock says of its end.
constexpr Duration kPause = std::chrono::seconds(10);

}  // namespace

StoredLogin ToStored(const v1::LoginResponse& response) {
  return {.access_token = response.access_token(),
          .access_expires_at = rpc::FromProto(response.access_expires_at()),
          .refresh_token = response.refresh_token(),
          .refresh_expires_at = rpc::FromProto(response.refresh_expires_at())};
}

absl::Status NotLoggedIn(const std::string& context, Text text) {
  return NotLoggedInError(
      MakeError(absl::StatusCode::kUnauthenticated, "NOT_LOGGED_IN",
                fmt::format(fmt::runtime(text("nobody is logged in to '{}', or the login has ended",
                                              "尚未登录 '{}'，或登录已失效")),
                            context),
                fmt::format(fmt::runtime(text("Log in: slipway login --context {}",
                                              "请登录：slipway login --context {}")),
                            context)));
}

LoginTokens::LoginTokens(ContextStore store, std::string context, Refresh refresh,
                         std::stop_token stop)
    : store_(std::move(store)),
      context_(std::move(context)),
      refresh_(std::move(refresh)),
      stop_(std::move(stop)) {}

bool LoginTokens::IsFresh() const {
  if (!login_) return false;
  if (advanced_ && clock_.Mono() - *advanced_ < kPause) return true;
  return clock_.Wall() + kMargin < login_->access_expires_at;
}

absl::StatusOr<std::string> LoginTokens::Token() {
  const std::lock_guard lock(mu_);
  if (!login_) {
    SLIPWAY_ASSIGN_OR_RETURN(const Context context, store_.Load(context_));
    login_ = context.login;
  }
  if (!IsFresh()) SLIPWAY_RETURN_IF_ERROR(Advance(login_ ? login_->access_token : ""));
  return login_->access_token;
}

bool LoginTokens::Renew() {
  const std::lock_guard lock(mu_);
  // Another thread's call was refused for the same token, which is replaced by now.
  if (advanced_ && clock_.Mono() - *advanced_ < kPause) return true;
  return login_ && Advance(login_->access_token).ok();
}

absl::Status LoginTokens::Advance(const std::string& refused) {
  SLIPWAY_ASSIGN_OR_RETURN(const FileLock held, store_.Lock(context_, stop_));
  SLIPWAY_ASSIGN_OR_RETURN(Context context, store_.Load(context_));
  login_ = context.login;
  if (login_ && login_->access_token != refused && IsFresh()) return absl::OkStatus();
  if (!login_) return absl::UnauthenticatedError("");
  const auto response = refresh_(login_->refresh_token);
  if (!response.ok()) return response.status();
  login_ = ToStored(*response);
  advanced_ = clock_.Mono();
  context.login = login_;
  return store_.Save(context);
}

}  // namespace slipway::cli
