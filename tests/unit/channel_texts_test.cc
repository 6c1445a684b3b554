// What mails and pages say.
#include <catch2/catch.hpp>
#include <string>

#include "controller/channels/mail_text.h"
#include "controller/channels/page_html.h"
#include "controller/channels/texts.h"

namespace slipway::channels {
namespace {

using Catch::Contains;

Facts SomeFacts() {
  return {.application = "shop",
          .platform = "weixin",
          .version = "1.2.3",
          .commit = "c0ffee",
          .description = "<script>alert('\"&')</script>",
          .submitted_by = "梅",
          .file_name = "shop-weixin-1.2.3.zip",
          .bytes = 1'234'567,
          .sha256 = *Sha256Digest::Parse(std::string(64, 'a')),
          .link = "https://farm.example.org/p/abc",
          .expires_at = FromUnixMicros(1'700'000'000'000'000)};
}

TEST_CASE("Texts: sizes and times as people read them", "[unit]") {
  CHECK(SizeText(0) == "0 B");
  CHECK(SizeText(999) == "999 B");
  CHECK(SizeText(1000) == "1.0 kB");
  CHECK(SizeText(999'949) == "999.9 kB");
  CHECK(SizeText(999'950) == "1.0 MB");
  CHECK(SizeText(std::uint64_t{3} << 50) == "3377.7 TB");
  CHECK(TimeText(FromUnixMicros(1'700'000'000'000'000)) == "2023-11-14 22:13 UTC");
}

TEST_CASE("Texts: nothing that people wrote is taken for HTML", "[unit]") {
  for (const std::string& html :
       {MailTextOf(SomeFacts(), "en", true).html, PageHtml(SomeFacts(), "en", "<svg/>"),
        PageHtml(SomeFacts(), "zh-CN", "<svg/>")}) {
    CHECK_THAT(html, !Contains("<script>") &&
                         Contains("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;"));
  }
}

TEST_CASE("Texts: a mail says what it brings, in its channel's language", "[unit]") {
  const MailText english = MailTextOf(SomeFacts(), "en", true);
  CHECK(english.subject == "shop 1.2.3 (weixin)");
  CHECK_THAT(english.text, Contains("The package is attached") &&
                               Contains("https://farm.example.org/p/abc") &&
                               Contains("Available until: 2023-11-14 22:13 UTC") &&
                               Contains("SHA-256: aaaa") && Contains("(1.2 MB)"));
  CHECK_THAT(english.html, Contains("lang=\"en\"") && Contains("cid:code"));
  CHECK_THAT(MailTextOf(SomeFacts(), "en", false).text, !Contains("attached"));
  const MailText chinese = MailTextOf(SomeFacts(), "zh-CN", false);
  CHECK_THAT(chinese.text, Contains("应用: shop") && Contains("提交人: 梅") &&
                               Contains("安装包请从此处下载") && !Contains("Application"));
  CHECK_THAT(chinese.html, Contains("lang=\"zh-CN\""));
}

TEST_CASE("Texts: a page needs no script and hides its code on phones", "[unit]") {
  const std::string page = PageHtml(SomeFacts(), "en", "<svg id=\"it\"/>");
  CHECK_THAT(page, Contains("href=\"https://farm.example.org/p/abc/file\"") &&
                       Contains("<svg id=\"it\"/>") && !Contains("<script") &&
                       Contains("@media (max-width:40rem),(pointer:coarse){.code{display:none}}"));
  CHECK_THAT(NoPageHtml("zh-CN"), Contains("该页面不存在或已过期"));
}

}  // namespace
}  // namespace slipway::channels
