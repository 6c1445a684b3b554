#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"

// Posts by HTTP to programs of others.
namespace slipway::outbound {

struct Post {
  // https://…, or http://… when `plain`.
  std::string url;
  // "Name: value" each.
  std::vector<std::string> headers{};
  std::string body{};
  // Certificates that the server's own has to come from, PEM; empty: those that the machine trusts.
  std::string ca_pem{};
  bool plain = false;
};

enum class PostEnd {
  kAnswered,  // `status` and `body` say how
  kNotSent,   // nothing of it was sent
  kUnknown,   // it, or a part of it, was sent, and no whole answer came
};

struct PostOutcome {
  PostEnd end = PostEnd::kNotSent;
  int status = 0;
  // Of the answer, its first 64 KiB.
  std::string body{};
  // What the answer asks to wait before the next try, at most an hour.
  std::optional<Duration> retry_after{};
  // Why there is no answer, for people; it may have the address in it, and so its secrets.
  std::string message{};
};

struct PostOptions {
  // For all of it.
  Duration deadline = std::chrono::seconds(30);
  // Asked once in a while: true ends the attempt.
  std::function<bool()> canceled = [] { return false; };
};

// Follows no redirects. Blocks. Thread-safe.
[[nodiscard]] PostOutcome SendPost(const Post& post, const PostOptions& options);

}  // namespace slipway::outbound
