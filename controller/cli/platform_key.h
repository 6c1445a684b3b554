#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "controller/cli/text.h"

namespace slipway::cli {

struct UnusableKey {
  std::string why;
  std::string remedy;
};

// Whether a platform could be asked with this credential at all, found before it is sealed and
// nobody sees it any more. nullopt: it could, or it belongs to a platform of whose credentials
// nothing is known here. Thread-safe.
[[nodiscard]] std::optional<UnusableKey> CheckPlatformKey(std::string_view platform,
                                                          std::string_view key, Text text);

}  // namespace slipway::cli
