#pragma once

#include <string>
#include <string_view>

#include "common/qr/release_code.h"
#include "controller/channels/texts.h"

namespace slipway::channels {

// The page of a product; its download is at `file` below its own address. Needs no script. `code`:
// an SVG image of the link, which phones do not show. Pure.
[[nodiscard]] std::string PageHtml(const Facts& facts, std::string_view language,
                                   std::string_view code);
// Asks for the page's password, by a form that posts to `link`. `wrong`: the last one was.
[[nodiscard]] std::string PasswordHtml(const std::string& link, std::string_view language,
                                       bool wrong);
// What a release's code says, for who followed it. `known`: this farm has made it.
[[nodiscard]] std::string CodeHtml(const qr::ReleaseCode& code, const std::string& text, bool known,
                                   std::string_view language);
// What is said when there is no such page.
[[nodiscard]] std::string NoPageHtml(std::string_view language);
// For the header Content-Security-Policy of both.
[[nodiscard]] std::string_view PagePolicy();

}  // namespace slipway::channels
