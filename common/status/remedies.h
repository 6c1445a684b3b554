#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

// What to do about a reason, in English and in Chinese: the one table, the same for every service
// and program. docs/errors.md shows its English half beside what each reason means.
namespace slipway {

// One sentence each.
struct Remedy {
  std::string_view english;
  std::string_view chinese;
};

// nullopt: the reason is not listed, or leaves nothing to do. Thread-safe.
[[nodiscard]] std::optional<Remedy> RemedyFor(std::string_view reason);

// When the same call is worth another try, for reasons that pass by themselves: what the table
// says, or what another program sent (WithRetryAfter). nullopt: waiting alone changes nothing, or
// nobody knows. Thread-safe.
[[nodiscard]] std::optional<std::chrono::milliseconds> RetryAfter(const absl::Status& status);
[[nodiscard]] absl::Status WithRetryAfter(absl::Status status, std::chrono::milliseconds wait);

// Of every entry of the table, in order.
[[nodiscard]] std::vector<std::string_view> ReasonsWithRemedy();

// The status with a remedy in Chinese beside its own, as another program sent it. Ok stays ok, and
// an empty remedy changes nothing.
[[nodiscard]] absl::Status WithRemedyZh(absl::Status status, std::string_view remedy);
// What WithRemedyZh added; empty when nothing.
[[nodiscard]] std::string GetRemedyZh(const absl::Status& status);

}  // namespace slipway
