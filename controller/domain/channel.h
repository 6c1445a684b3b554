#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"

namespace slipway::domain {

// Channels are targets at which the controller itself hands products to people and programs. Their
// platforms are no slipway.yaml's: these names are theirs alone. The database's is_channel knows
// them, too.
inline constexpr char kEmailPlatform[] = "email";
inline constexpr char kPagePlatform[] = "page";
inline constexpr char kWebhookPlatform[] = "webhook";
inline constexpr char kWecomPlatform[] = "wecom";
inline constexpr char kDingtalkPlatform[] = "dingtalk";
inline constexpr char kFeishuPlatform[] = "feishu";

// A robot writes into the chat of a group.
[[nodiscard]] constexpr bool IsRobotPlatform(std::string_view platform) {
  return platform == kWecomPlatform || platform == kDingtalkPlatform || platform == kFeishuPlatform;
}
[[nodiscard]] constexpr bool IsChannelPlatform(std::string_view platform) {
  return platform == kEmailPlatform || platform == kPagePlatform || platform == kWebhookPlatform ||
         IsRobotPlatform(platform);
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

// How the packages of a run are made and guarded, for its channels. Checked where the run was
// submitted.
struct Packaging {
  // "zip" or "tar.gz"; empty: zip.
  std::string form{};
  // crypto::PackageCipherName; empty: not encrypted.
  std::string cipher{};
  // Certificates in PEM.
  std::vector<std::string> recipients{};
  // The password of the encryption, sealed for the farm and the application; empty: none.
  std::string sealed_password{};
  // crypto::HashPassword of what visitors of pages have to say; empty: nothing.
  std::string page_password_hash{};
  friend bool operator==(const Packaging&, const Packaging&) = default;
};

}  // namespace slipway::domain
