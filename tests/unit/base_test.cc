#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/status/status.h"
#include "tests/support/status_matchers.h"

namespace slipway {
namespace {

using testing::StatusIs;

TEST_CASE("Sha256Digest: its text form comes back as the same value", "[unit][base]") {
  const std::string hex = "00ff" + std::string(56, 'a') + "1234";
  const auto digest = Sha256Digest::Parse("sha256:" + hex);
  REQUIRE(digest.has_value());
  CHECK(digest->Hex() == hex);
  CHECK(Sha256Digest::Parse(digest->ToString()) == digest);
  CHECK(Sha256Digest::FromBytes(digest->Bytes()) == digest);
}

TEST_CASE("Sha256Digest: a wrong length or a digit that is not hex is refused", "[unit][base]") {
  CHECK_FALSE(Sha256Digest::Parse("sha256:" + std::string(63, 'a')).has_value());
  CHECK_FALSE(Sha256Digest::Parse(std::string(63, 'a') + "g").has_value());
  CHECK_FALSE(Sha256Digest::FromBytes("short").has_value());
}

TEST_CASE("NewId: identifiers are unique, URL-safe and carry their prefix", "[unit][base]") {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = NewId("task-");
    CHECK(id.size() == 5 + 26);
    CHECK(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567-") == std::string::npos);
    seen.insert(id);
  }
  CHECK(seen.size() == 1000);
}

TEST_CASE("MakeError: reason and remedy survive added context", "[unit][status]") {
  const auto inner =
      MakeError(absl::StatusCode::kNotFound, "NO_SUCH_APP", "no application 'x'", "Make it first.");
  const auto outer = WithContext(inner, "submit");
  CHECK_THAT(outer, StatusIs(absl::StatusCode::kNotFound, "submit: no application 'x'"));
  CHECK(GetErrorInfo(outer).reason == "NO_SUCH_APP");
  CHECK(Describe(outer) == "submit: no application 'x'\n  → Make it first.");
}

}  // namespace
}  // namespace slipway
