#pragma once

#include <string>
#include <vector>

#include "common/base/time.h"
#include "controller/cli/text.h"

// What was measured, for people and for programs. Pure functions.
namespace slipway::bench {

// The value below which `share` (0 … 1) of the samples lie, by the nearest rank; zero of none.
[[nodiscard]] Duration Percentile(std::vector<Duration> samples, double share);

struct Figure {
  std::string key;   // of the JSON, unit included: "submit_p50_ms"
  std::string name;  // for people
  double value = 0;
  std::string unit;
};

// Adds KEY_p50_ms and KEY_p99_ms.
void AddPercentiles(std::vector<Figure>& figures, const std::string& key, const std::string& name,
                    const std::vector<Duration>& samples);

// A table with a heading in the language.
[[nodiscard]] std::string RenderFigures(const std::vector<Figure>& figures, cli::Text text);
// One JSON object, "KEY": VALUE; ends with a newline.
[[nodiscard]] std::string FiguresToJson(const std::vector<Figure>& figures);

}  // namespace slipway::bench
