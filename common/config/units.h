#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/time.h"

// How people write durations and sizes in options files, slipway.yaml and flags. Pure functions.
namespace slipway::config {

// "90s", "20m", "1h30m", "250ms", "1d": whole numbers with d, h, m, s or ms, each unit at most
// once, largest first. kInvalidArgument: anything else, a bare number, or more than 10 years.
[[nodiscard]] absl::StatusOr<Duration> ParseDuration(std::string_view text);

// The shortest text that ParseDuration reads as `duration` cut to whole milliseconds; "0s" for
// nothing.
[[nodiscard]] std::string FormatDuration(Duration duration);

// Bytes: "4096", "512MiB", "2GiB", "1GB"; KiB, MiB, GiB, TiB are powers of 1024, kB, KB, MB, GB, TB
// powers of 1000, and a decimal fraction is allowed before a unit ("1.5GiB"). kInvalidArgument:
// anything else or more than 2^62.
[[nodiscard]] absl::StatusOr<std::int64_t> ParseSize(std::string_view text);

// "2GiB", "1.5GiB" or "777B": for messages.
[[nodiscard]] std::string FormatSize(std::int64_t bytes);

}  // namespace slipway::config
