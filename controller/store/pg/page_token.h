#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/store/page.h"

// Where a page of a list ended. Private to this library.
namespace slipway::store::pg {

// Of the last object of a page, in the order of its list.
struct PageEnd {
  std::vector<std::int64_t> numbers{};
  std::string text{};
  bool first_page = true;  // there is none before
};

// "1800000000000000:login-…". kInvalidArgument BAD_PAGE_TOKEN: it is not `numbers` non-negative
// numbers and a text that can be stored. "": the first page.
[[nodiscard]] absl::StatusOr<PageEnd> ParsePageEnd(const std::string& token, std::size_t numbers);
[[nodiscard]] std::string PageTokenOf(const std::vector<std::int64_t>& numbers,
                                      const std::string& text);

// The rows of a page and, when there is one more than `size`, the token that goes on behind its
// last object, which token_of makes of (row, object).
template <typename Object, typename Rows, typename FromRow, typename TokenOf>
void FillPage(Page<Object>& page, const Rows& rows, int size, const FromRow& from_row,
              const TokenOf& token_of) {
  const auto most = static_cast<std::size_t>(size);
  for (const auto& row : rows) {
    if (page.objects.size() == most) break;
    page.objects.push_back(from_row(row));
  }
  if (rows.size() <= most || page.objects.empty()) return;
  page.next_page_token =
      token_of(rows[static_cast<typename Rows::size_type>(most - 1)], page.objects.back());
}

// For lists of falling positive numbers: the one below which the page begins.
[[nodiscard]] absl::StatusOr<std::int64_t> ParsePageToken(const std::string& token);

}  // namespace slipway::store::pg
