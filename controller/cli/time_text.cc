#include "controller/cli/time_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <optional>

#include "common/config/units.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::cli {
namespace {

std::optional<std::time_t> ReadDate(std::string text) {
  const bool utc = !text.empty() && text.back() == 'Z';
  if (utc) text.pop_back();
  std::replace(text.begin(), text.end(), 'T', ' ');
  for (const char* form : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    std::tm parts{};
    parts.tm_isdst = -1;
    const char* end = strptime(text.c_str(), form, &parts);
    if (end == nullptr || *end != '\0') continue;
    const std::time_t seconds = utc ? timegm(&parts) : std::mktime(&parts);
    if (seconds >= 0) return seconds;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<google::protobuf::Timestamp> ReadTime(const std::string& text, const char* flag,
                                                     WallTime now, Text t) {
  if (const auto before = config::ParseDuration(text); before.ok()) {
    return rpc::ToProto(now - *before);
  }
  const std::optional<std::time_t> seconds = ReadDate(text);
  if (!seconds) {
    return UsageError(
        MakeError(absl::StatusCode::kInvalidArgument, "BAD_TIME",
                  fmt::format(fmt::runtime(t("{}: '{}' is neither a span like 2h nor a time",
                                             "{}：'{}' 既不是 2h 这样的时长，也不是时间")),
                              flag, text),
                  t("Write 30m, 7d, 2024-05-01 or '2024-05-01 12:30'.",
                    "请写成 30m、7d、2024-05-01 或 '2024-05-01 12:30'。")));
  }
  google::protobuf::Timestamp time;
  time.set_seconds(*seconds);
  return time;
}

}  // namespace slipway::cli
