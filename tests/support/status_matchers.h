#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status/status.h"

namespace slipway::testing {

inline const absl::Status& AsStatus(const absl::Status& s) { return s; }
template <typename T>
const absl::Status& AsStatus(const absl::StatusOr<T>& s) {
  return s.status();
}

// CHECK_OK(expr) / REQUIRE_OK(expr): print the whole status when it is not ok.
#define CHECK_OK(expression)                                                  \
  do {                                                                        \
    const absl::Status slipway_s_ = ::slipway::testing::AsStatus(expression); \
    INFO(#expression << " gave " << slipway_s_.ToString());                   \
    CHECK(slipway_s_.ok());                                                   \
  } while (false)
#define REQUIRE_OK(expression)                                                \
  do {                                                                        \
    const absl::Status slipway_s_ = ::slipway::testing::AsStatus(expression); \
    INFO(#expression << " gave " << slipway_s_.ToString());                   \
    REQUIRE(slipway_s_.ok());                                                 \
  } while (false)

// StatusIs(code) or StatusIs(code, "part of the message or the reason").
class StatusIs : public Catch::MatcherBase<absl::Status> {
 public:
  explicit StatusIs(absl::StatusCode code, std::string part = "")
      : code_(code), part_(std::move(part)) {}
  bool match(const absl::Status& s) const override {
    return s.code() == code_ && (std::string(s.message()).find(part_) != std::string::npos ||
                                 GetErrorInfo(s).reason == part_);
  }
  std::string describe() const override {
    return "has code " + absl::StatusCodeToString(code_) +
           (part_.empty() ? "" : " and says \"" + part_ + "\"");
  }

 private:
  absl::StatusCode code_;
  std::string part_;
};

}  // namespace slipway::testing
