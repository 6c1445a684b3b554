#include "common/status/remedies.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "common/status/status.h"

namespace slipway {
namespace {

// Reason → the cell "what to do" of docs/errors.md.
std::map<std::string, std::string> Listed() {
  std::ifstream in(SLIPWAY_SOURCE_DIR "/docs/errors.md");
  REQUIRE(in);
  std::map<std::string, std::string> listed;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("| `", 0) != 0) continue;
    const std::string reason = line.substr(3, line.find('`', 3) - 3);
    const std::size_t begin = line.rfind(" | ") + 3;
    REQUIRE(line.substr(line.size() - 2) == " |");
    listed[reason] = line.substr(begin, line.size() - 2 - begin);
  }
  return listed;
}

TEST_CASE("Remedies: docs/errors.md shows the table, reason by reason", "[unit]") {
  const auto listed = Listed();
  CHECK(listed.size() > 100);
  for (const auto& [reason, cell] : listed) {
    INFO(reason);
    const auto remedy = RemedyFor(reason);
    if (cell == "–") {
      CHECK_FALSE(remedy);
    } else {
      REQUIRE(remedy);
      CHECK(std::string(remedy->english) == cell);
    }
  }
  for (const std::string_view reason : ReasonsWithRemedy()) {
    INFO(reason);
    CHECK(listed.contains(std::string(reason)));
  }
}

TEST_CASE("Remedies: every one is said in Chinese too", "[unit]") {
  for (const std::string_view reason : ReasonsWithRemedy()) {
    INFO(reason);
    const Remedy remedy = RemedyFor(reason).value();
    CHECK_FALSE(remedy.english.empty());
    // 。 or a command at the end.
    CHECK((remedy.chinese.ends_with("。") || reason == "NOT_JOINED"));
  }
  CHECK_FALSE(RemedyFor("NO_SUCH_REASON"));
  CHECK_FALSE(RemedyFor(""));
}

TEST_CASE("Remedies: what passes by itself says when to try again", "[unit]") {
  using std::chrono_literals::operator""ms;
  const auto full = MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", "too many");
  CHECK(RetryAfter(full) == 2000ms);
  CHECK(RetryAfter(WithRetryAfter(full, 300ms)) == 300ms);
  CHECK_FALSE(RetryAfter(MakeError(absl::StatusCode::kResourceExhausted, "STORAGE_FULL", "no")));
  CHECK_FALSE(RetryAfter(absl::UnavailableError("x")));
  CHECK(RetryAfter(WithContext(full, "submit")) == 2000ms);
  CHECK(WithRetryAfter(absl::OkStatus(), 1ms).ok());
}

TEST_CASE("Remedies: a status carries the Chinese one beside its own", "[unit]") {
  const absl::Status plain = absl::NotFoundError("x");
  CHECK(GetRemedyZh(plain).empty());
  CHECK(GetRemedyZh(WithRemedyZh(plain, "请重试。")) == "请重试。");
  CHECK(WithRemedyZh(plain, "") == plain);
  CHECK(WithRemedyZh(absl::OkStatus(), "请重试。").ok());
}

}  // namespace
}  // namespace slipway
