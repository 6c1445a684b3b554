#pragma once

#include <cstddef>
#include <string_view>

namespace slipway::bench {

// Finds in a build's log where the build's own output begins: behind the agent's lines, which begin
// with "slipway: ". Whoever builds something that prints such lines first is found too late. Pure;
// confined to one thread.
class FirstOutput {
 public:
  // The next bytes of the log. True once: with them it is certain that the build has said
  // something.
  [[nodiscard]] bool Accept(std::string_view bytes);

 private:
  std::size_t matched_ = 0;  // bytes of the agent's mark at the beginning of this line
  bool found_ = false;
};

}  // namespace slipway::bench
