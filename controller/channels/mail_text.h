#pragma once

#include <string>
#include <string_view>

#include "controller/channels/texts.h"

namespace slipway::channels {

struct MailText {
  std::string subject;
  std::string text;
  // Shows the image cid:code, the QR code of the link.
  std::string html;
};

// The mail about a product. `attached`: its package goes with it. Pure.
[[nodiscard]] MailText MailTextOf(const Facts& facts, std::string_view language, bool attached);

}  // namespace slipway::channels
