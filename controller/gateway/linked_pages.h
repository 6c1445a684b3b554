#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "common/fs/unique_fd.h"
#include "controller/gateway/http_message.h"

namespace slipway::gateway {

// An answer to who followed a link: a whole one, or the head of a file.
struct LinkedAnswer {
  Response response;
  // Open for reading, when the body is its first `bytes`.
  fs::UniqueFd file{};
  std::uint64_t bytes = 0;
};

// What is behind links that people were sent, by the part of the path that only they know.
// Thread-safe.
class LinkedPages {
 public:
  virtual ~LinkedPages() = default;
  // Of what begins with kLinkPrefix or kCodePrefix; a POST only below the first. Blocks. Says
  // nothing of what a wrong path lacks.
  [[nodiscard]] virtual LinkedAnswer Open(const Request& request) = 0;
  // Runs work that blocks; whether it was taken.
  [[nodiscard]] virtual bool Run(std::function<void()> work) = 0;
};

// Of pages whose address is a secret.
inline constexpr std::string_view kLinkPrefix = "/p/";
// Of what QR codes of releases say.
inline constexpr std::string_view kCodePrefix = "/r/";

}  // namespace slipway::gateway
