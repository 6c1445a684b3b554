#include "controller/channels/page_html.h"

#include <fmt/format.h>

namespace slipway::channels {
namespace {

constexpr char kStyle[] =
    "body{font-family:sans-serif;margin:2rem auto;max-width:44rem;padding:0 1rem;color:#222}"
    "h1{font-size:1.4rem}th{text-align:left;padding:.25rem 1rem .25rem 0;vertical-align:top;"
    "white-space:nowrap}td{overflow-wrap:anywhere}"
    ".get{display:inline-block;background:#0b57d0;color:#fff;padding:.7rem 1.4rem;"
    "border-radius:.4rem;text-decoration:none}"
    ".code svg{width:14rem;height:14rem}"
    "@media (max-width:40rem),(pointer:coarse){.code{display:none}}"
    "@media (prefers-color-scheme:dark){body{background:#111;color:#ddd}.code "
    "svg{background:#fff}}";

std::string Page(const Words& words, std::string_view title, std::string_view body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<meta name=\"robots\" content=\"noindex\"><title>{}</title><style>{}</style></head>\n"
      "<body>\n{}</body></html>\n",
      words.tag(), title, kStyle, body);
}

}  // namespace

std::string PageHtml(const Facts& facts, std::string_view language, std::string_view code) {
  const Words words(language);
  const std::string title = Escaped(fmt::format("{} {}", facts.application, facts.version));
  const std::string body = fmt::format(
      "<h1>{}</h1>\n<p><a class=\"get\" href=\"{}/file\">{}</a></p>\n<table>\n{}</table>\n"
      "<div class=\"code\"><p>{}</p>{}</div>\n",
      title, Escaped(facts.link), words("Download", "下载"), FactRows(facts, words),
      words("Scan to open on a phone:", "扫码在手机上打开："), code);
  return Page(words, title, body);
}

std::string NoPageHtml(std::string_view language) {
  const Words words(language);
  const char* const title = words("Nothing is here", "页面不存在");
  return Page(words, title,
              fmt::format("<h1>{}</h1>\n<p>{}</p>\n", title,
                          words("There is no such page, or its time is over. Ask who sent the link "
                                "for a new one.",
                                "该页面不存在或已过期，请向发送链接的人索取新的链接。")));
}

std::string_view PagePolicy() {
  return "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
         "frame-ancestors 'none'; base-uri 'none'";
}

}  // namespace slipway::channels
