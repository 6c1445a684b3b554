#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace slipway::metrics {

using Labels = std::map<std::string, std::string>;

// Rises. Thread-safe.
class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Increment(double by = 1) = 0;
};

// Counts values in buckets. Thread-safe.
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

struct Sample {
  Labels labels;
  double value = 0;
};

enum class Kind { kGauge, kCounter };

// What the controller tells a Prometheus, in one place that every part can add to. What is counted
// as it happens has a Counter or a Histogram; what can be asked has a function that is called at
// each scrape. Names are unique; those of one kind are made once and live as long as this.
// Thread-safe.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The same name and labels give the same object.
  [[nodiscard]] Counter& AddCounter(const std::string& name, const std::string& help,
                                    const Labels& labels = {});
  [[nodiscard]] Histogram& AddHistogram(const std::string& name, const std::string& help,
                                        const std::vector<double>& bounds,
                                        const Labels& labels = {});

  // `read` is called from the thread that asks, must not block, and is not called any more once the
  // returned handle has died.
  [[nodiscard]] std::shared_ptr<void> AddSampled(std::string name, std::string help, Kind kind,
                                                 std::function<std::vector<Sample>()> read);

  // Everything in Prometheus's text format.
  [[nodiscard]] std::string Text() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

// Memory, processor time, open files and start of this process, under the names that Prometheus
// gives them. Reads /proc.
[[nodiscard]] std::vector<std::shared_ptr<void>> AddProcess(Registry& registry);

}  // namespace slipway::metrics
