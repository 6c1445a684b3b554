#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "common/base/time.h"
#include "controller/cli/text.h"

namespace slipway::cli {

// A line at the bottom of a terminal that says how far something is; nothing where there is no
// terminal. It is gone when this is. Confined to one thread.
class ProgressBar {
 public:
  ProgressBar(std::ostream& out, bool terminal, Text text)
      : out_(out), terminal_(terminal), text_(text) {}
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` of `total` bytes; 0: nobody knows how many there are. Cheap to call often.
  void Show(std::uint64_t done, std::uint64_t total);

 private:
  std::ostream& out_;
  const bool terminal_;
  const Text text_;
  const SystemClock clock_;
  std::optional<MonoTime> drawn_;
};

// "[######··············]  30%  12 MiB of 40 MiB", or how much came where the total is not known.
[[nodiscard]] std::string DrawProgress(std::uint64_t done, std::uint64_t total, Text text);

}  // namespace slipway::cli
