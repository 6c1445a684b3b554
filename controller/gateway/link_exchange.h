#pragma once

#include <memory>

#include "controller/gateway/exchange.h"
#include "controller/gateway/http_metrics.h"
#include "controller/gateway/linked_pages.h"

namespace slipway::gateway {

// Answers a request that LinkedPages are for, a file piece by piece: one lies in memory, however
// slow the reader. `open` lives as long as pages are waited for. REQUIRES: a GET, HEAD or POST.
[[nodiscard]] std::shared_ptr<Exchange> StartLink(const std::shared_ptr<LinkedPages>& pages,
                                                  Request request, HttpMetrics& metrics,
                                                  std::shared_ptr<void> open,
                                                  std::shared_ptr<Responder> responder);

}  // namespace slipway::gateway
