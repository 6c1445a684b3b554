#include "controller/gateway/http_metrics.h"

#include <fmt/format.h>

#include <utility>

#include "controller/gateway/connect.h"

namespace slipway::gateway {
namespace {

constexpr char kRequests[] = "slipway_http_requests_total";
constexpr char kRequestsHelp[] = "Calls and pages answered over HTTP, by method and code.";

const std::vector<double>& Buckets() {
  static const auto* const kBuckets = new std::vector<double>{
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60};
  return *kBuckets;
}

std::vector<metrics::Sample> One(double value) { return {{{}, value}}; }

}  // namespace

HttpMetrics::HttpMetrics(metrics::Registry& registry, const MethodTable& table)
    : registry_(registry) {
  for (const Method& method : table.methods()) {
    auto& of = *methods_.emplace_back(std::make_unique<OfMethod>());
    of.name = method.path.substr(1);
  }
  using metrics::Kind;
  sampled_.push_back(registry.AddSampled("slipway_http_connections", "Open HTTP connections.",
                                         Kind::kGauge, [this] { return One(connections); }));
  sampled_.push_back(registry.AddSampled("slipway_http_open_streams",
                                         "Server-streaming calls open over HTTP.", Kind::kGauge,
                                         [this] { return One(streams); }));
  sampled_.push_back(registry.AddSampled("slipway_http_refused_connections_total",
                                         "Connections sent away because there were too many.",
                                         Kind::kCounter,
                                         [this] { return One(static_cast<double>(refused)); }));
}

void HttpMetrics::Called(const Method& method, absl::StatusCode code, Duration took) {
  OfMethod& of = *methods_.at(method.index);
  const std::size_t number = std::min(static_cast<std::size_t>(code), kCodes - 1);
  metrics::Counter* counter = of.codes.at(number);
  if (counter == nullptr) {
    counter = &registry_.AddCounter(kRequests, kRequestsHelp,
                                    {{"method", of.name}, {"code", std::string(CodeName(code))}});
    of.codes.at(number) = counter;
  }
  counter->Increment();
  // How long a stream lasts says nothing about the server.
  if (method.streams) return;
  metrics::Histogram* seconds = of.seconds;
  if (seconds == nullptr) {
    seconds = &registry_.AddHistogram("slipway_http_request_seconds",
                                      "Time from a unary call's last byte to its answer.",
                                      Buckets(), {{"method", of.name}});
    of.seconds = seconds;
  }
  seconds->Observe(std::chrono::duration<double>(took).count());
}

void HttpMetrics::Answered(std::string_view page, int status) {
  registry_
      .AddCounter(kRequests, kRequestsHelp,
                  {{"method", std::string(page)}, {"code", std::to_string(status)}})
      .Increment();
}

}  // namespace slipway::gateway
