#include <catch2/catch.hpp>
#include <chrono>

#include "controller/cli/bench/figures.h"
#include "controller/cli/bench/first_output.h"

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

TEST_CASE(
    "slipway-bench: a build's own output begins behind the agent's lines, however they are cut") {
  const std::string log = "slipway: fetched 1\nslipway: running\nslip\nslipway: archived\n";
  const std::size_t first = log.find("slip\n") + 4;  // until then it may be the agent's mark
  for (std::size_t size = 1; size <= log.size(); ++size) {
    FirstOutput output;
    int found = 0;
    for (std::size_t at = 0; at < log.size(); at += size) {
      if (!output.Accept(std::string_view(log).substr(at, size))) continue;
      ++found;
      CHECK(at <= first);
      CHECK(first < at + size);
    }
    CHECK(found == 1);
  }
  FirstOutput silent;
  CHECK_FALSE(silent.Accept("slipway: fetched 1\nslipway: archived\n"));
  CHECK_FALSE(silent.Accept("slipway"));
  CHECK(silent.Accept("s: said"));
  CHECK_FALSE(silent.Accept("only once"));
}

}  // namespace
}  // namespace slipway::bench
