#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"

namespace slipway::domain {

// Channels are targets at which the controller itself hands products to people. Their platforms are
// no slipway.yaml's: these names are theirs alone.
inline constexpr char kEmailPlatform[] = "email";
inline constexpr char kPagePlatform[] = "page";

// "email" or "page".
[[nodiscard]] constexpr bool IsChannelPlatform(std::string_view platform) {
  return platform == kEmailPlatform || platform == kPagePlatform;
}

// How a channel hands products on; channel.proto says what each means.
struct Channel {
  std::string url{};
  std::string user{};
  std::string from{};
  std::vector<std::string> to{};
  // Addresses, or "@domain".
  std::vector<std::string> may_reach{};
  // "en" or "zh-CN".
  std::string language = "en";
  std::uint64_t attach_up_to = std::uint64_t{10} << 20;
  Duration valid_for = std::chrono::hours(24 * 14);
  bool plain = false;
  friend bool operator==(const Channel&, const Channel&) = default;
};

}  // namespace slipway::domain
