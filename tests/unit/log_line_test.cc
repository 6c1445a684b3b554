#include <catch2/catch.hpp>
#include <string>

#include "common/log/log.h"

namespace slipway::log {
namespace {

TEST_CASE("Log: a plain event is key=value", "[unit]") {
  CHECK(FormatLine(Level::kInfo, "link_open", {{"server", "farm:7443"}, {"try", "3"}}) ==
        "level=info event=link_open server=farm:7443 try=3");
}

TEST_CASE("Log: a value cannot break out of its line or its field", "[unit]") {
  CHECK(FormatLine(Level::kWarn, "e", {{"v", "a b\nlevel=error \"x\\\x01"}, {"w", ""}}) ==
        "level=warn event=e v=\"a b\\nlevel=error \\\"x\\\\\\x01\" w=\"\"");
  CHECK(FormatLine(Level::kWarn, "e", {{"v", "a=b"}}) == "level=warn event=e v=\"a=b\"");
}

TEST_CASE("Log: a long value is cut", "[unit]") {
  const std::string line = FormatLine(Level::kError, "e", {{"v", std::string(100'000, 'x')}});
  CHECK(line.size() < 2200);
  CHECK(line.substr(line.size() - 4) == "…\"");
}

TEST_CASE("Log: level names are read back", "[unit]") {
  CHECK(ParseLevel("debug") == Level::kDebug);
  CHECK(ParseLevel("error") == Level::kError);
  CHECK(ParseLevel("loud") == std::nullopt);
}

}  // namespace
}  // namespace slipway::log
