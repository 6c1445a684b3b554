#include "common/rpc/bounds.h"

#include <fmt/format.h>

#include "common/rpc/text.h"
#include "common/status/status.h"

namespace slipway::rpc {

absl::Status Bad(std::string_view field, std::string_view why) {
  return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
                   fmt::format("{}: {}", field, why));
}

absl::Status CheckLength(std::string_view field, const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return absl::OkStatus();
  return Bad(field, fmt::format("{} bytes, more than {}", text.size(), limit));
}

std::string Cut(std::string_view text, std::size_t limit) {
  std::string valid = ValidUtf8(text);
  if (valid.size() <= limit) return valid;
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(valid[end]) & 0xc0) == 0x80) --end;
  valid.resize(end);
  return valid;
}

}  // namespace slipway::rpc
