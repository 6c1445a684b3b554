#pragma once

#include <string>
#include <string_view>

#include "controller/channels/texts.h"

namespace slipway::channels {

// The page of a product; its download is at `file` below its own address. Needs no script. `code`:
// an SVG image of the link, which phones do not show. Pure.
[[nodiscard]] std::string PageHtml(const Facts& facts, std::string_view language,
                                   std::string_view code);
// What is said when there is no such page.
[[nodiscard]] std::string NoPageHtml(std::string_view language);
// For the header Content-Security-Policy of both.
[[nodiscard]] std::string_view PagePolicy();

}  // namespace slipway::channels
