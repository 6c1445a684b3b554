#include <catch2/catch.hpp>
#include <chrono>

#include "controller/cli/bench/figures.h"

namespace slipway::bench {
namespace {

using namespace std::chrono_literals;

TEST_CASE("slipway-bench: percentiles are samples, by the nearest rank") {
  std::vector<Duration> samples;
  for (int i = 100; i >= 1; --i) samples.push_back(i * 1ms);
  CHECK(Percentile(samples, 0.5) == 50ms);
  CHECK(Percentile(samples, 0.99) == 99ms);
  CHECK(Percentile(samples, 1) == 100ms);
  CHECK(Percentile({7ms}, 0.01) == 7ms);
  CHECK(Percentile({}, 0.5) == 0ms);
}

TEST_CASE("slipway-bench: figures are a table for people and one object for programs") {
  std::vector<Figure> figures = {{"tasks_per_s", "tasks", 3123.4, "tasks/s"}};
  AddPercentiles(figures, "submit", "submit → answer", {1ms, 2ms, 3ms});
  CHECK(RenderFigures(figures, cli::Text(cli::Language::kEnglish)) ==
        "FIGURE                VALUE\n"
        "tasks                 3123 tasks/s\n"
        "submit → answer, p50  2.00 ms\n"
        "submit → answer, p99  3.00 ms\n");
  CHECK(FiguresToJson(figures) ==
        "{\"tasks_per_s\":3.1234E3,\"submit_p50_ms\":2E0,\"submit_p99_ms\":3E0}\n");
}

}  // namespace
}  // namespace slipway::bench
