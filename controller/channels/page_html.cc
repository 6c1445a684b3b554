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
      "<h1>{}</h1>\n<p><a class=\"get\" href=\"{}/file\">{}</a></p>\n<table>\n{}</table>\n{}"
      "<div class=\"code\"><p>{}</p>{}</div>\n",
      title, Escaped(facts.link), words("Download", "下载"), FactRows(facts, words),
      facts.cipher.empty() ? ""
                           : fmt::format("<p>{}</p>\n", Escaped(HowToOpen(facts.cipher, words))),
      words("Scan to open on a phone:", "扫码在手机上打开："), code);
  return Page(words, title, body);
}

std::string PasswordHtml(const std::string& link, std::string_view language, bool wrong) {
  const Words words(language);
  const char* const title = words("This page has a password", "此页面受密码保护");
  return Page(
      words, title,
      fmt::format("<h1>{}</h1>\n<p>{}</p>\n<form method=\"post\" action=\"{}\">"
                  "<label>{} <input type=\"password\" name=\"password\" "
                  "autocomplete=\"off\" autofocus required></label> "
                  "<button>{}</button></form>\n",
                  title,
                  wrong ? words("That was not it.", "密码不正确。")
                        : words("Ask who sent you the link for it.", "请向发送链接的人索取密码。"),
                  Escaped(link), words("Password", "密码"), words("Open", "打开")));
}

std::string CodeHtml(const qr::ReleaseCode& code, const std::string& text, bool known,
                     std::string_view language) {
  const Words words(language);
  const std::string title = Escaped(fmt::format("{} {}", code.application, code.version));
  std::string rows;
  const auto row = [&](const char* label, const std::string& value) {
    rows += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", label, Escaped(value));
  };
  row(words("Release", "发布"), code.release.value());
  row(words("Application", "应用"), code.application);
  row(words("Platform", "平台"), code.platform);
  row(words("Version", "版本"), code.version);
  row(words("Digest of the product", "产物摘要"), code.digest.ToString());
  const char* const word =
      known
          ? words("This farm has made this release.", "此发布由本农场生成。")
          : words("This farm knows no such release: the code is from another one, or was changed.",
                  "本农场没有这一发布：二维码来自其他农场或已被改动。");
  return Page(words, title,
              fmt::format("<h1>{}</h1>\n<p>{}</p>\n<table>\n{}</table>\n<p>{}<br>"
                          "<code>slipway archive show '{}'</code></p>\n",
                          title, word, rows,
                          words("Whoever has an account here finds the exact product with:",
                                "拥有账号者可用以下命令找到对应的产物："),
                          Escaped(text)));
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
  return "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
         "frame-ancestors 'none'; base-uri 'none'";
}

}  // namespace slipway::channels
