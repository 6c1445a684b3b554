#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "controller/gateway/exchange.h"
#include "controller/gateway/http_message.h"
#include "controller/gateway/http_metrics.h"
#include "controller/gateway/linked_pages.h"
#include "controller/gateway/open_count.h"
#include "controller/metrics/registry.h"

namespace slipway::gateway {

// Asks whether the controller can serve and calls back once, from any thread.
using Readiness = std::function<void(std::function<void(const absl::Status&)>)>;

// What is not a call: /healthz, /readyz, /metrics, and what links lead to; 404 for the rest.
// Thread-safe.
class Pages {
 public:
  // All must outlive this and its exchanges.
  Pages(const metrics::Registry& registry, HttpMetrics& metrics, OpenCount& open, Readiness ready,
        std::shared_ptr<LinkedPages> linked)
      : registry_(registry),
        metrics_(metrics),
        open_(open),
        ready_(std::move(ready)),
        linked_(std::move(linked)) {}

  // Null: it was answered at once.
  [[nodiscard]] std::shared_ptr<Exchange> Answer(Request request,
                                                 std::shared_ptr<Responder> responder) const;

 private:
  const metrics::Registry& registry_;
  HttpMetrics& metrics_;
  OpenCount& open_;
  const Readiness ready_;
  const std::shared_ptr<LinkedPages> linked_;  // null: there are none
};

}  // namespace slipway::gateway
