// slipway.yaml: a mistake is told with its line, and what is accepted keeps its promises.
#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/project/project_config.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

using project::BuildConfig;
using project::PlatformConfig;
using project::ProjectConfig;

// Cuts "N:" off the front of `text`; 0: there is no such number.
std::size_t TakeNumber(std::string_view& text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return 0;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.starts_with(':')) return 0;
  text.remove_prefix(1);
  return number;
}

// Every line of the message is "slipway.yaml:LINE:COLUMN: …", but for "… and N more" at its end.
void CheckMessage(std::string_view message, std::size_t lines) {
  SLIPWAY_CHECK(!message.empty());
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    if (message.empty() && line.starts_with("… and ")) return;
    constexpr std::string_view kFile = "slipway.yaml:";
    SLIPWAY_CHECK(line.starts_with(kFile));
    line.remove_prefix(kFile.size());
    const std::size_t number = TakeNumber(line);
    SLIPWAY_CHECK(number >= 1 && number <= lines);
    SLIPWAY_CHECK(TakeNumber(line) >= 1);
    SLIPWAY_CHECK(line.size() > 1 && line.front() == ' ');
  }
}

void CheckPath(const std::string& path, bool may_be_tree) {
  SLIPWAY_CHECK(!path.empty() && path.front() != '/' && path.back() != '/');
  SLIPWAY_CHECK(may_be_tree || path != ".");
  if (path == ".") return;
  const std::string slashed = "/" + path + "/";
  for (const char* part : {"/../", "/./", "//"}) {
    SLIPWAY_CHECK(slashed.find(part) == std::string::npos);
  }
}

void CheckBuild(const BuildConfig& build) {
  SLIPWAY_CHECK(!build.image.empty());
  SLIPWAY_CHECK(build.script.empty() != build.run.empty());
  if (!build.script.empty()) CheckPath(build.script, false);
  SLIPWAY_CHECK(build.timeout > Duration::zero() && build.no_output_timeout > Duration::zero());
  SLIPWAY_CHECK(build.limits.cpus > 0 && build.limits.memory > 0);
  SLIPWAY_CHECK(build.limits.pids > 0 && build.limits.disk > 0);
  for (const auto& [name, value] : build.env) {
    SLIPWAY_CHECK(!name.empty() && !name.starts_with("SLIPWAY_"));
    SLIPWAY_CHECK(name.find_first_of("=\n ") == std::string::npos);
    SLIPWAY_CHECK(value.find('\0') == std::string::npos);
  }
}

void CheckParameters(const ProjectConfig& config) {
  SLIPWAY_CHECK(config.parameters.size() <= project::kMaxParameters);
  for (const project::Parameter& parameter : config.parameters) {
    SLIPWAY_CHECK(project::IsParameterName(parameter.name));
    SLIPWAY_CHECK(project::CheckPattern(parameter.pattern).ok());
    const bool is_choice = parameter.type == project::ParameterType::kChoice;
    SLIPWAY_CHECK(is_choice == !parameter.choices.empty());
  }
  // Every default is allowed: whoever submits nothing gets a build.
  const auto values =
      project::ResolveParameters(config.parameters, {}, [](const std::string&) { return true; });
  SLIPWAY_CHECK(values.ok() && values->size() == config.parameters.size());
  for (const auto& [name, value] : *values) {
    SLIPWAY_CHECK(project::IsParameterValue(value));
    SLIPWAY_CHECK(project::ParameterVariable(name).find_first_of("=- ") == std::string::npos);
  }
}

void Check(std::string_view text) {
  const auto config = project::ParseProjectConfig(text);
  SLIPWAY_CHECK(config.ok() == project::ParseProjectConfig(text).ok());
  if (!config.ok()) {
    SLIPWAY_CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
    // A mark may stand behind the last line end.
    const auto lines = 2 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    const auto message = config.status().message();
    CheckMessage({message.data(), message.size()}, lines);
    return;
  }
  SLIPWAY_CHECK(!config->platforms.empty());
  CheckParameters(*config);
  for (const PlatformConfig& platform : config->platforms) {
    SLIPWAY_CHECK(config->Find(platform.name) == &platform);
    CheckPath(platform.output, true);
    if (!platform.credential.empty()) CheckPath(platform.credential, false);
    CheckBuild(platform.build);
  }
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
