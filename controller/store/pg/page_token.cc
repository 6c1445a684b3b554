#include "controller/store/pg/page_token.h"

#include <charconv>
#include <limits>

#include "common/status/status.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

// No list reaches beyond the year 9999, and no time of the database much beyond it.
constexpr std::int64_t kMostMicros = 253'402'300'800'000'000;

absl::Status BadPageToken() {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN",
                   "the page token was not given by an earlier page of this list",
                   "List again from the start.");
}

}  // namespace

absl::StatusOr<PageEnd> ParsePageEnd(const std::string& token, std::size_t numbers) {
  PageEnd end;
  end.numbers.resize(numbers);
  if (token.empty()) return end;
  end.first_page = false;
  const char* at = token.data();
  const char* const last = token.data() + token.size();
  for (std::int64_t& number : end.numbers) {
    const auto [after, error] = std::from_chars(at, last, number);
    if (error != std::errc() || after == last || *after != ':') return BadPageToken();
    if (number < 0 || number > kMostMicros) return BadPageToken();
    at = after + 1;
  }
  end.text.assign(at, last);
  if (!IsStorableText(end.text)) return BadPageToken();
  return end;
}

std::string PageTokenOf(const std::vector<std::int64_t>& numbers, const std::string& text) {
  std::string token;
  for (const std::int64_t number : numbers) token += std::to_string(number) + ':';
  return token + text;
}

absl::StatusOr<std::int64_t> ParsePageToken(const std::string& token) {
  if (token.empty()) return std::numeric_limits<std::int64_t>::max();
  std::int64_t sequence = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), sequence);
  if (error != std::errc() || end != token.data() + token.size() || sequence <= 0) {
    return BadPageToken();
  }
  return sequence;
}

}  // namespace slipway::store::pg
