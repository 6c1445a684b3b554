#include "controller/metrics/registry.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <sstream>
#include <utility>

namespace slipway::metrics {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Increment(double by) override { counter_.Increment(by); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

struct Sampled {
  std::string name;
  std::string help;
  Kind kind;
  std::function<std::vector<Sample>()> read;

  [[nodiscard]] prometheus::MetricFamily Collect() const {
    prometheus::MetricFamily family;
    family.name = name;
    family.help = help;
    family.type =
        kind == Kind::kGauge ? prometheus::MetricType::Gauge : prometheus::MetricType::Counter;
    for (const Sample& sample : read()) {
      prometheus::ClientMetric& metric = family.metric.emplace_back();
      for (const auto& [key, value] : sample.labels) metric.label.push_back({key, value});
      (kind == Kind::kGauge ? metric.gauge.value : metric.counter.value) = sample.value;
    }
    return family;
  }
};

}  // namespace

class Registry::Impl {
 public:
  prometheus::Registry registry;
  std::mutex mu;
  // By the objects of the library, which lives longer.
  std::map<prometheus::Counter*, std::unique_ptr<Counter>> counters;
  std::map<prometheus::Histogram*, std::unique_ptr<Histogram>> histograms;
  std::map<const Sampled*, std::unique_ptr<Sampled>> sampled;
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter& Registry::AddCounter(const std::string& name, const std::string& help,
                              const Labels& labels) {
  auto& counter =
      prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
  const std::lock_guard lock(impl_->mu);
  auto& ours = impl_->counters[&counter];
  if (!ours) ours = std::make_unique<PrometheusCounter>(counter);
  return *ours;
}

Histogram& Registry::AddHistogram(const std::string& name, const std::string& help,
                                  const std::vector<double>& bounds, const Labels& labels) {
  auto& histogram = prometheus::BuildHistogram()
                        .Name(name)
                        .Help(help)
                        .Register(impl_->registry)
                        .Add(labels, bounds);
  const std::lock_guard lock(impl_->mu);
  auto& ours = impl_->histograms[&histogram];
  if (!ours) ours = std::make_unique<PrometheusHistogram>(histogram);
  return *ours;
}

std::shared_ptr<void> Registry::AddSampled(std::string name, std::string help, Kind kind,
                                           std::function<std::vector<Sample>()> read) {
  auto sampled =
      std::make_unique<Sampled>(Sampled{std::move(name), std::move(help), kind, std::move(read)});
  const Sampled* const key = sampled.get();
  const std::lock_guard lock(impl_->mu);
  impl_->sampled.emplace(key, std::move(sampled));
  return {impl_.get(), [key](void* impl) {
            auto& owner = *static_cast<Impl*>(impl);
            const std::lock_guard removing(owner.mu);
            owner.sampled.erase(key);
          }};
}

std::string Registry::Text() const {
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  {
    // Held while they are read, so that none is read after its handle has died.
    const std::lock_guard lock(impl_->mu);
    for (const auto& [key, sampled] : impl_->sampled) families.push_back(sampled->Collect());
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace slipway::metrics
