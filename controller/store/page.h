#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace slipway::store {

// Which part of a list is wanted.
struct PageRequest {
  int size = 100;       // 1 … 1000
  std::string token{};  // as given by the page before; empty: the first
};

// Part of a list. Whoever walks all pages meets every object that was there all the time just once,
// whatever comes and goes meanwhile.
template <typename Object>
struct Page {
  std::vector<Object> objects;
  std::string next_page_token;  // empty: no more
  std::int64_t total = 0;       // on all pages
};

}  // namespace slipway::store
