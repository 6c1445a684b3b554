#include "controller/cli/bench/first_output.h"

namespace slipway::bench {
namespace {

constexpr std::string_view kAgentsMark = "slipway: ";

}  // namespace

bool FirstOutput::Accept(std::string_view bytes) {
  for (const char c : bytes) {
    if (found_) return false;
    if (matched_ == kAgentsMark.size()) {
      if (c == '\n') matched_ = 0;
    } else if (c == kAgentsMark[matched_]) {
      ++matched_;
    } else {
      found_ = true;
      return true;
    }
  }
  return false;
}

}  // namespace slipway::bench
