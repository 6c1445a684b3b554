#include "controller/api/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "common/project/parameters.h"
#include "common/rpc/convert.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/agent_gateway/message_check.h"

namespace slipway::api {
namespace {

constexpr std::size_t kMaxRequirements = 32;
constexpr Duration kShortestWait = std::chrono::seconds(1);
constexpr Duration kLongestWait = std::chrono::hours(24 * 30);

// Names go into logs, environments and terminals; a description may have lines.
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
// Two- and three-byte characters that change how others look: U+0080 to U+009F, and those that
// override or isolate the direction of writing. With them a name can look like another one.
bool HasHiddenControl(std::string_view text) {
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto byte = [&](std::size_t at) {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
    };
    if (byte(i) == 0xc2 && byte(i + 1) <= 0x9f) return true;
    if (byte(i) != 0xe2) continue;
    if (byte(i + 1) == 0x80 && byte(i + 2) >= 0xa8 && byte(i + 2) <= 0xae) return true;
    if (byte(i + 1) == 0x81 && byte(i + 2) >= 0xa6 && byte(i + 2) <= 0xa9) return true;
  }
  return false;
}
bool IsControlInText(char c) { return IsControl(c) && c != '\n' && c != '\t'; }

}  // namespace

absl::Status BadField(const char* field, const std::string& why) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                   fmt::format("{}: {}", field, why));
}

absl::Status CheckText(const char* field, const std::string& text, std::size_t limit, Lines lines) {
  if (text.size() > limit) {
    return BadField(field, fmt::format("{} bytes, at most {} are allowed", text.size(), limit));
  }
  if (rpc::ValidUtf8(text) != text) return BadField(field, "holds bytes that are not text");
  if (std::any_of(text.begin(), text.end(), lines == Lines::kOne ? IsControl : IsControlInText)) {
    return BadField(field, "holds control characters");
  }
  if (lines == Lines::kOne && HasHiddenControl(text)) {
    return BadField(field, "holds invisible characters that control how others are shown");
  }
  return absl::OkStatus();
}

absl::Status CheckRef(const std::string& ref) {
  SLIPWAY_RETURN_IF_ERROR(CheckText("ref", ref, 256));
  return ref.rfind('-', 0) == 0 ? BadField("ref", "must not begin with '-'") : absl::OkStatus();
}

absl::Status CheckRequestId(const std::string& request_id) {
  return CheckText("request_id", request_id, 128);
}

absl::StatusOr<Labels> RequirementsFrom(
    const char* field, const google::protobuf::Map<std::string, std::string>& labels) {
  if (labels.size() > kMaxRequirements) {
    return BadField(field, fmt::format("at most {} labels", kMaxRequirements));
  }
  Labels wanted;
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.find('=') != std::string::npos) {
      return BadField(field, fmt::format("'{}' is no name of a label", rpc::ValidUtf8(key)));
    }
    for (const std::string& text : {key, value}) {
      SLIPWAY_RETURN_IF_ERROR(CheckText(field, text, agent_gateway::kMaxLabelBytes));
    }
    wanted.emplace(key, value);
  }
  return wanted;
}

absl::StatusOr<std::map<std::string, std::string>> ParametersFrom(
    const char* field, const google::protobuf::Map<std::string, std::string>& parameters) {
  if (parameters.size() > project::kMaxParameters) {
    return BadField(field, fmt::format("at most {} parameters", project::kMaxParameters));
  }
  std::map<std::string, std::string> values;
  for (const auto& [name, value] : parameters) {
    if (!project::IsParameterName(name)) {
      return BadField(field,
                      fmt::format("'{}' is no name of a parameter; use [a-z][a-z0-9-]{{0,31}}",
                                  rpc::ValidUtf8(name.substr(0, 64))));
    }
    const std::string place = fmt::format("{}.{}", field, name);
    SLIPWAY_RETURN_IF_ERROR(CheckText(place.c_str(), value, project::kMaxParameterValue));
    values.emplace(name, value);
  }
  if (project::BytesOf(values) > project::kMaxParameterBytes) {
    return BadField(field, fmt::format("at most {} bytes of names and values together",
                                       project::kMaxParameterBytes));
  }
  return values;
}

absl::StatusOr<Duration> QueueTimeoutFrom(const char* field,
                                          const google::protobuf::Duration& timeout) {
  // Before any arithmetic: seconds beyond that overflow nanoseconds.
  const bool representable = timeout.seconds() >= 0 && timeout.seconds() <= 1'000'000'000 &&
                             timeout.nanos() >= 0 && timeout.nanos() < 1'000'000'000;
  const Duration span = representable ? rpc::FromProto(timeout) : Duration(-1);
  if (span == Duration::zero()) return span;
  if (span < kShortestWait || span > kLongestWait) {
    return BadField(field, "not between 1 second and 30 days, and not zero (for ever)");
  }
  return span;
}

}  // namespace slipway::api
