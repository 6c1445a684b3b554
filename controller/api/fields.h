#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/map.h>

#include <cstddef>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"

// What fields of more than one request may hold. Every error is kInvalidArgument, reason BAD_FIELD,
// and begins with the field's name. Pure functions.
namespace slipway::api {

using Labels = std::map<std::string, std::string>;

[[nodiscard]] absl::Status BadField(const char* field, const std::string& why);

enum class Lines { kOne, kMany };
// At most `limit` bytes of UTF-8 without control characters; kMany allows line breaks and tabs.
[[nodiscard]] absl::Status CheckText(const char* field, const std::string& text, std::size_t limit,
                                     Lines lines = Lines::kOne);

// A branch, tag or commit; may be empty.
[[nodiscard]] absl::Status CheckRef(const std::string& ref);

// Of a creation: empty, or at most 128 bytes.
[[nodiscard]] absl::Status CheckRequestId(const std::string& request_id);

// At most 32 labels; keys and values as an agent may have them, keys without '='.
[[nodiscard]] absl::StatusOr<Labels> RequirementsFrom(
    const char* field, const google::protobuf::Map<std::string, std::string>& labels);

// At most as many as slipway.yaml may declare, with names and values as it may have them; whether
// the build that is asked for has them is told when its commit is known.
[[nodiscard]] absl::StatusOr<std::map<std::string, std::string>> ParametersFrom(
    const char* field, const google::protobuf::Map<std::string, std::string>& parameters);

// 1 second to 30 days; zero: no limit.
[[nodiscard]] absl::StatusOr<Duration> QueueTimeoutFrom(const char* field,
                                                        const google::protobuf::Duration& timeout);

}  // namespace slipway::api
