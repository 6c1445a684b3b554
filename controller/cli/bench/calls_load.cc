#include <fmt/format.h>

#include <vector>

#include "common/base/time.h"
#include "common/status/status.h"
#include "controller/cli/bench/loads.h"
#include "controller/cli/exit_code.h"

namespace slipway::bench {
namespace {

// Before those that count: the connection, and what the controller remembers.
constexpr int kWarmUp = 20;

absl::Status CallOnce(const Bench& bench, int page) {
  if (page == 0) {
    v1::Self self;
    return bench.client.Call(bench.client.sessions(), &v1::SessionService::Stub::GetSelf, {}, self);
  }
  v1::ListApplicationsRequest request;
  request.set_page_size(page);
  v1::ListApplicationsResponse response;
  return bench.client.Call(bench.client.applications(),
                           &v1::ApplicationService::Stub::ListApplications, request, response);
}

}  // namespace

Measured MeasureCalls(const Bench& bench, const CallsFlags& flags) {
  const SystemClock clock;
  std::vector<Duration> took;
  for (int i = -kWarmUp; i < flags.calls; ++i) {
    if (bench.client.stop().stop_requested()) return cli::InterruptedError();
    const MonoTime begin = clock.Mono();
    SLIPWAY_RETURN_IF_ERROR(CallOnce(bench, flags.page));
    if (i >= 0) took.push_back(clock.Mono() - begin);
  }
  std::vector<Figure> figures = {{"calls", bench.text("calls one after another", "依次进行的调用"),
                                  static_cast<double>(flags.calls), ""}};
  AddPercentiles(figures, "call", bench.text("call → answer", "调用 → 应答"), took);
  return figures;
}

}  // namespace slipway::bench
