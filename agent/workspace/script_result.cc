#include "agent/workspace/script_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "common/status/status.h"

namespace slipway::workspace {
namespace {

namespace json = boost::json;

absl::Status Invalid(std::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, "SCRIPT_RESULT_INVALID",
                   fmt::format("the script's result file: {}", what),
                   R"(Write one JSON object such as {"version": "1.4.0"}.)");
}

absl::Status ReadString(const json::object& object, std::string_view key, std::string& value) {
  const json::value* found = object.if_contains(json::string_view(key.data(), key.size()));
  if (found == nullptr || found->is_null()) return absl::OkStatus();
  if (!found->is_string()) return Invalid(fmt::format("'{}' is not a string", key));
  value.assign(found->get_string().data(), found->get_string().size());
  return absl::OkStatus();
}

absl::Status CheckLine(std::string_view key, std::string_view value, std::size_t max) {
  if (value.size() > max) return Invalid(fmt::format("'{}' is longer than {} bytes", key, max));
  const bool control = std::any_of(value.begin(), value.end(),
                                   [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
  return control ? Invalid(fmt::format("'{}' has control characters", key)) : absl::OkStatus();
}

void CutText(std::string& text, std::size_t max) {
  if (text.size() <= max) return;
  while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xc0) == 0x80) --max;
  text.resize(max);
}

}  // namespace

absl::StatusOr<ScriptResult> ParseScriptResult(std::string_view text) {
  ScriptResult result;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return result;
  if (text.size() > kMaxScriptResultBytes) {
    return Invalid(fmt::format("larger than {} bytes", kMaxScriptResultBytes));
  }
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return Invalid("not valid JSON: " + error.message());
  const json::object* object = value.if_object();
  if (object == nullptr) return Invalid("not a JSON object");
  SLIPWAY_RETURN_IF_ERROR(ReadString(*object, "version", result.version));
  SLIPWAY_RETURN_IF_ERROR(ReadString(*object, "qr", result.qr));
  SLIPWAY_RETURN_IF_ERROR(ReadString(*object, "error", result.error));
  SLIPWAY_RETURN_IF_ERROR(CheckLine("version", result.version, 128));
  SLIPWAY_RETURN_IF_ERROR(CheckLine("qr", result.qr, 2048));
  CutText(result.error, 4096);
  return result;
}

}  // namespace slipway::workspace
