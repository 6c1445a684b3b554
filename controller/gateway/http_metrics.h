#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "controller/gateway/method_table.h"
#include "controller/metrics/registry.h"

namespace slipway::gateway {

// What the HTTP port counts. Labels come from the table of methods, never from a client, so their
// number is bounded. Thread-safe.
class HttpMetrics {
 public:
  HttpMetrics(metrics::Registry& registry, const MethodTable& table);

  // A call has ended.
  void Called(const Method& method, absl::StatusCode code, Duration took);
  // Anything else was answered: "/metrics", "other".
  void Answered(std::string_view page, int status);

  std::atomic<int> connections{0};
  std::atomic<int> streams{0};
  std::atomic<std::uint64_t> refused{0};

 private:
  static constexpr std::size_t kCodes = 17;
  struct OfMethod {
    std::string name;
    // Made when first needed.
    std::array<std::atomic<metrics::Counter*>, kCodes> codes{};
    std::atomic<metrics::Histogram*> seconds = nullptr;
  };

  metrics::Registry& registry_;
  std::vector<std::unique_ptr<OfMethod>> methods_;
  std::vector<std::shared_ptr<void>> sampled_;
};

}  // namespace slipway::gateway
