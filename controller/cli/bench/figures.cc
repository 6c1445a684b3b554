#include "controller/cli/bench/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <utility>

#include "controller/cli/table.h"

namespace slipway::bench {
namespace {

double Millis(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::string Number(double value) {
  const double size = std::abs(value);
  return size >= 100 ? fmt::format("{:.0f}", value)
                     : fmt::format("{:.{}f}", value, size >= 10 ? 1 : 2);
}

}  // namespace

Duration Percentile(std::vector<Duration> samples, double share) {
  if (samples.empty()) return Duration::zero();
  const auto rank =
      static_cast<std::size_t>(std::ceil(share * static_cast<double>(samples.size())));
  const std::size_t index = std::clamp<std::size_t>(rank, 1, samples.size()) - 1;
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(index),
                   samples.end());
  return samples[index];
}

void AddPercentiles(std::vector<Figure>& figures, const std::string& key, const std::string& name,
                    const std::vector<Duration>& samples) {
  figures.push_back({key + "_p50_ms", name + ", p50", Millis(Percentile(samples, 0.5)), "ms"});
  figures.push_back({key + "_p99_ms", name + ", p99", Millis(Percentile(samples, 0.99)), "ms"});
}

std::string RenderFigures(const std::vector<Figure>& figures, cli::Text text) {
  cli::Table table({text("FIGURE", "指标"), text("VALUE", "数值")});
  for (const Figure& figure : figures) {
    table.Add({figure.name, Number(figure.value) + (figure.unit.empty() ? "" : " ") + figure.unit});
  }
  return table.Render();
}

std::string FiguresToJson(const std::vector<Figure>& figures) {
  boost::json::object object;
  for (const Figure& figure : figures) object[figure.key] = figure.value;
  std::string text = boost::json::serialize(object);
  text += '\n';
  return text;
}

}  // namespace slipway::bench
