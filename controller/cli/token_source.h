#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/cli/context_store.h"
#include "slipway/v1/access.pb.h"
#include "slipway/v1/session.pb.h"

namespace slipway::cli {

// Where a client's calls get the token that they carry. Thread-safe.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  // For a call that begins now. Blocks while the token is being replaced.
  [[nodiscard]] virtual absl::StatusOr<std::string> Token() = 0;
  // The controller refused what Token() gave. True: it gives another one now.
  [[nodiscard]] virtual bool Renew() = 0;
};

// The token that somebody put into a file.
class FixedToken final : public TokenSource {
 public:
  explicit FixedToken(std::string token) : token_(std::move(token)) {}
  [[nodiscard]] absl::StatusOr<std::string> Token() override { return token_; }
  [[nodiscard]] bool Renew() override { return false; }

 private:
  const std::string token_;
};

// The access token of a context's login, which it replaces shortly before its end. Whoever spends
// the refresh token holds the context's lock and looks first whether another process has done so,
// because the controller takes a spent one that comes late for a thief's.
class LoginTokens final : public TokenSource {
 public:
  using Refresh = std::function<absl::StatusOr<v1::LoginResponse>(const std::string& token)>;

  LoginTokens(ContextStore store, std::string context, Refresh refresh, std::stop_token stop);

  [[nodiscard]] absl::StatusOr<std::string> Token() override;
  [[nodiscard]] bool Renew() override;

 private:
  // Both REQUIRE: mu_ is held.
  [[nodiscard]] bool IsFresh() const;
  // The next login: another process's, when that is not `refused`, else the controller's.
  [[nodiscard]] absl::Status Advance(const std::string& refused);

  const ContextStore store_;
  const std::string context_;
  const Refresh refresh_;
  const std::stop_token stop_;
  const SystemClock clock_;

  std::mutex mu_;
  // Guarded by mu_.
  std::optional<StoredLogin> login_;
  std::optional<MonoTime> advanced_;
};

// What the controller gave, to be stored.
[[nodiscard]] StoredLogin ToStored(const v1::LoginResponse& response);

// Nobody is logged in to `context`, or the login has ended.
[[nodiscard]] absl::Status NotLoggedIn(const std::string& context, Text text);

}  // namespace slipway::cli
