#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/cli/text.h"

namespace slipway::cli {

// For --since and --until: a duration before `now` ("2h", "7d"), or "2024-05-01", "2024-05-01
// 12:30" or "2024-05-01 12:30:05" in the local time zone, in UTC with a "Z" behind; "T" for the
// blank. A usage error names the flag.
[[nodiscard]] absl::StatusOr<google::protobuf::Timestamp> ReadTime(const std::string& text,
                                                                   const char* flag, WallTime now,
                                                                   Text t);

}  // namespace slipway::cli
