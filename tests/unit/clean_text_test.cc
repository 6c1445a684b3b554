#include "common/git/clean_text.h"

#include <catch2/catch.hpp>
#include <string>

namespace slipway::git {
namespace {

TEST_CASE("CleanText: text of any script stays as it is", "[unit]") {
  for (const std::string text :
       {"plain", "Größe", "构建并发布", "हिन्दी", "\xF0\x9F\x9A\xA2 ship", ""}) {
    CHECK(CleanText(text, 100) == text);
  }
}

TEST_CASE("CleanText: bytes that are no UTF-8 are each a question mark", "[unit]") {
  CHECK(CleanText("a\xff"
                  "b",
                  10) == "a?b");
  CHECK(CleanText("\xc0\x80", 10) == "??");            // overlong
  CHECK(CleanText("\xe0\x80\x80", 10) == "???");       // overlong
  CHECK(CleanText("\xed\xa0\x80", 10) == "???");       // half of a surrogate pair
  CHECK(CleanText("\xf4\x90\x80\x80", 10) == "????");  // beyond Unicode
  CHECK(CleanText("x\xe4\xbd", 10) == "x??");          // cut off
  CHECK(CleanText(std::string("a\0b", 3), 10) == "a?b");
}

TEST_CASE("CleanText: what steers a terminal, reorders or hides is a question mark", "[unit]") {
  CHECK(CleanText("\x1b[2J\x7f\xc2\x9b", 10) == "?[2J??");
  for (const char* code : {"\xE2\x80\xAE", "\xE2\x81\xA6", "\xE2\x80\x8F", "\xE2\x80\x8B",
                           "\xEF\xBB\xBF", "\xD8\x9C", "\xE2\x80\xA8", "\xF3\xA0\x80\x81"}) {
    CHECK(CleanText(std::string("a") + code + "b", 10) == "a?b");
  }
  CHECK(CleanText("a\tb\nc\r\n", 10) == "a?b?c??");
  CHECK(CleanText("a\tb\nc\r\n", 10, TextLines::kMany) == "a\tb\nc?\n");
}

TEST_CASE("CleanText: what is cut is cut between characters", "[unit]") {
  CHECK(CleanText("构建", 5) == "构");
  CHECK(CleanText("构建", 6) == "构建");
  CHECK(CleanText("\xff\xff\xff", 2) == "??");
  CHECK(CleanText("abc", 0).empty());
}

}  // namespace
}  // namespace slipway::git
