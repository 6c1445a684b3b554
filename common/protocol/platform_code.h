#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/time.h"

namespace slipway::protocol {

// Codes that WeChat answers are JPEGs of some 20 to 60 KB.
inline constexpr std::size_t kMaxCodeImageBytes = std::size_t{128} << 10;

// A platform's own code for what was handed over to it, in each form that the platform gave.
struct PlatformCode {
  // To be drawn as a QR code.
  std::string text = {};
  // Address of an image, https or http.
  std::string image_url = {};
  // "image/png" or "image/jpeg"; empty: the platform gave no image.
  std::string image_type = {};
  // The image's bytes, at most kMaxCodeImageBytes. Only on the way from the platform to the
  // database: what is read of a result has the type alone.
  std::string image = {};
  // Until when it works; WallTime(): the platform does not say.
  WallTime expires_at = {};

  [[nodiscard]] bool empty() const {
    return text.empty() && image_url.empty() && image_type.empty();
  }
  friend bool operator==(const PlatformCode&, const PlatformCode&) = default;
};

// The type by the bytes' own beginning; empty: neither PNG nor JPEG.
[[nodiscard]] inline std::string_view CodeImageType(std::string_view bytes) {
  if (bytes.substr(0, 8) == std::string_view("\x89PNG\r\n\x1a\n", 8)) return "image/png";
  if (bytes.substr(0, 3) == std::string_view("\xff\xd8\xff", 3)) return "image/jpeg";
  return {};
}

}  // namespace slipway::protocol
