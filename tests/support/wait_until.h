#pragma once

#include <chrono>
#include <thread>

namespace slipway::testing {

// Asks until `predicate` holds: true. False after `timeout`; say then what was waited for. For what
// gives no event a test could wait on, such as a process or a file of somebody else.
template <typename Predicate>
[[nodiscard]] bool WaitUntil(Predicate predicate,
                             std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!predicate()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace slipway::testing
