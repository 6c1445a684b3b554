#include "controller/api/fields.h"

#include <catch2/catch.hpp>
#include <string>

#include "controller/api/access_convert.h"
#include "tests/support/status_matchers.h"

namespace slipway::api {
namespace {

using testing::StatusIs;

TEST_CASE("Fields: names hold no characters that make others look like something else", "[unit]") {
  for (const char* name : {"Mei Lin 产品", "Zoë", "naïve–dash", "مي", "…"}) {
    CAPTURE(name);
    CHECK_OK(CheckName("name", name));
  }
  for (const char* name : {"a\u0085b", "a\u009fb", "admin\u202enimda", "a\u2066b\u2069", "a\u2028b",
                           "a\u202a", "a\tb", "a\nb"}) {
    CAPTURE(name);
    CHECK_THAT(CheckName("name", name), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  }
  CHECK_OK(CheckText("description", "two\nlines", 100, Lines::kMany));
}

TEST_CASE("Fields: a slash at the end of a grant's pages means nothing", "[unit]") {
  const auto pages = [](const char* text) {
    v1::Grant grant;
    grant.set_account("mei");
    grant.add_operations(v1::OPERATION_DEPLOY);
    grant.set_pages(text);
    const auto read = GrantFrom(grant);
    REQUIRE_OK(read);
    return read->pages;
  };
  CHECK(pages("/help/") == "/help");
  CHECK(pages("/help") == "/help");
  CHECK(pages("/help//first/") == "/help//first");
  CHECK(pages("/") == "");
}

}  // namespace
}  // namespace slipway::api
