#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The words of the Connect protocol: codes, media types, headers, error objects. Everything here is
// a pure function of its arguments. Thread-safe.
namespace slipway::gateway {

enum class Codec { kJson, kProto };

// What a content type asks for.
struct Media {
  Codec codec = Codec::kJson;
  bool stream = false;
  friend bool operator==(const Media&, const Media&) = default;
};

// nullopt: none of ours, answered with 415. Parameters are allowed when they say UTF-8 or nothing.
[[nodiscard]] std::optional<Media> ParseContentType(std::string_view value);
[[nodiscard]] std::string_view ContentTypeOf(const Media& media);

// "invalid_argument" and so on; "unknown" of what is no code.
[[nodiscard]] std::string_view CodeName(absl::StatusCode code);
// The HTTP status of a unary call that failed with the code.
[[nodiscard]] int HttpStatusOf(absl::StatusCode code);

// Something a failed call carries beside its message.
struct Detail {
  std::string type;   // full name of a message
  std::string value;  // its bytes
  std::string debug;  // the same as JSON; empty: not known
};

// A failed call. REQUIRES of all that takes one: the code is not kOk and the message is UTF-8.
struct Failure {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  std::string message;
  std::vector<Detail> details;
};
[[nodiscard]] Failure FailureOf(const absl::Status& status);

// Names in lower case, with "-bin" behind those of binary values; values as gRPC has them.
using Metadata = std::vector<std::pair<std::string, std::string>>;

// The Connect error object.
[[nodiscard]] std::string ErrorJson(const Failure& failure);
// The last message of a stream. Null: it went well.
[[nodiscard]] std::string EndOfStreamJson(const Failure* failure, const Metadata& trailers);

// Standard or URL-safe alphabet, with or without padding.
[[nodiscard]] std::string Base64(std::string_view bytes);
[[nodiscard]] std::optional<std::string> FromBase64(std::string_view text);

// Of `Connect-Timeout-Ms`. nullopt: empty, no time-out. kInvalidArgument: not 1 to 10 digits.
[[nodiscard]] absl::StatusOr<std::optional<std::chrono::milliseconds>> ParseTimeout(
    std::string_view value);

// Of `Content-Encoding` and its like: true for gzip. kUnimplemented names what is supported.
[[nodiscard]] absl::StatusOr<bool> ParseEncoding(std::string_view value);
// Whether a list such as "br, gzip;q=0.5" allows gzip.
[[nodiscard]] bool AcceptsGzip(std::string_view list);

// May stand in gRPC metadata: printable ASCII. gRPC ends the process over anything else.
[[nodiscard]] bool IsMetadataValue(std::string_view value);

}  // namespace slipway::gateway
