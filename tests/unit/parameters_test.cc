#include "common/project/parameters.h"

#include <catch2/catch.hpp>
#include <string>

#include "common/project/project_config.h"
#include "tests/support/status_matchers.h"

namespace slipway::project {
namespace {

using testing::StatusIs;

constexpr char kRest[] = R"(version: 1
build: {image: "slipway-builder:1", run: make}
platforms: {weixin: {output: dist}}
)";

constexpr char kFull[] = R"(parameters:
  entry:
    type: choice
    choices: [src/main.js, src/kiosk.js]
    default: src/main.js
    label: {en: Program entry, zh: 程序入口}
    help: {en: What starts first, zh: 首先启动的文件}
  minify: {type: bool, default: true, label: Minify}
  banner: {type: text, pattern: '[A-Za-z ]{0,40}', max_bytes: 40}
  theme-file: {type: file, under: ./themes/, default: themes/red.json}
)";

absl::StatusOr<ProjectConfig> Parse(const std::string& parameters) {
  return ParseProjectConfig(kRest + parameters);
}

std::string ErrorOf(const std::string& parameter) {
  return std::string(Parse("parameters:\n  " + parameter + "\n").status().message());
}

bool Says(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

absl::StatusOr<ParameterValues> Resolve(const ParameterValues& submitted) {
  const auto project = Parse(kFull);
  REQUIRE_OK(project);
  return ResolveParameters(project->parameters, submitted, [](const std::string& path) {
    return path == "themes/red.json" || path == "themes/x.json";
  });
}

TEST_CASE("Parameters: what slipway.yaml declares is read in its order", "[unit][project]") {
  const auto project = Parse(kFull);
  REQUIRE_OK(project);
  REQUIRE(project->parameters.size() == 4);
  const Parameter& entry = project->parameters[0];
  CHECK(entry.name == "entry");
  CHECK(entry.type == ParameterType::kChoice);
  CHECK(entry.choices == std::vector<std::string>{"src/main.js", "src/kiosk.js"});
  CHECK(entry.default_value == "src/main.js");
  CHECK(entry.label == LocalText{"Program entry", "程序入口"});
  CHECK(entry.help == LocalText{"What starts first", "首先启动的文件"});
  const Parameter& minify = project->parameters[1];
  CHECK(minify.type == ParameterType::kBool);
  CHECK(minify.default_value == "true");
  CHECK(minify.label == LocalText{"Minify", "Minify"});
  const Parameter& banner = project->parameters[2];
  CHECK(banner.pattern == "[A-Za-z ]{0,40}");
  CHECK(banner.max_bytes == 40);
  CHECK(banner.default_value.empty());
  CHECK(project->parameters[3].under == "themes");
  const auto none = Parse("");
  REQUIRE_OK(none);
  CHECK(none->parameters.empty());
}

TEST_CASE("Parameters: a bad declaration is refused at its key, with what is allowed",
          "[unit][project]") {
  Says(ErrorOf("Entry: {type: bool, default: true}"), "parameters.Entry: not a name");
  Says(ErrorOf("a_b: {type: bool, default: true}"), "not a name of a parameter");
  Says(ErrorOf("a: {type: number, default: 1}"), "parameters.a.type");
  Says(ErrorOf("a: {default: 1}"), "parameters.a.type: required: choice, bool, text or file");
  Says(ErrorOf("a: yes"), "parameters.a: expected a map");
  Says(ErrorOf("a:"), "expected a map with at least 'type'");
  Says(ErrorOf("a: {type: bool}"), "parameters.a.default: required");
  Says(ErrorOf("a: {type: bool, default: maybe}"), "'maybe' is not allowed; use true or false");
  Says(ErrorOf("a: {type: bool, default: true, choices: [a]}"), "parameters.a.choices");
  Says(ErrorOf("a: {type: bool, default: true, pattern: a}"), "parameters.a.pattern");
  Says(ErrorOf("a: {type: choice, default: x}"), "parameters.a.choices: required");
  Says(ErrorOf("a: {type: choice, choices: [y, z], default: x}"),
       "parameters.a.default: 'x' is not allowed; choose one of y, z");
  Says(ErrorOf("a: {type: choice, choices: [y, y], default: y}"), "'y' is there twice");
  Says(ErrorOf("a: {type: choice, choices: [y, \"a\\nb\"], default: y}"), "each is one line");
  Says(ErrorOf("a: {type: text, pattern: 'x+', default: y}"), "it has to match x+");
  Says(ErrorOf("a: {type: text, pattern: 'x+'}"), "parameters.a");
  Says(ErrorOf("a: {type: text, pattern: '(a'}"), "parameters.a.pattern: not an RE2 expression");
  Says(ErrorOf("a: {type: text, max_bytes: 2000}"), "parameters.a.max_bytes");
  Says(ErrorOf("a: {type: text, max_bytes: 2, default: abc}"), "3 bytes, at most 2");
  Says(ErrorOf("a: {type: text, default: \"a\\tb\"}"), "control characters");
  Says(ErrorOf("a: {type: file, under: ../x, default: a}"), "parameters.a.under");
  Says(ErrorOf("a: {type: file, under: themes, default: other/a}"), "name a file below themes/");
  Says(ErrorOf("a: {type: file, under: t, default: t/../../etc/passwd}"), "parameters.a.default");
  Says(ErrorOf("a: {type: bool, default: true, label: [x]}"), "parameters.a.label");
  Says(ErrorOf("a: {type: bool, default: true, label: {fr: x}}"), "fr");
  Says(ErrorOf("a: {type: bool, default: true, help: " + std::string(513, 'x') + "}"),
       "at most 512 bytes");
  std::string many = "parameters:\n";
  for (int i = 0; i < 33; ++i) many += "  p" + std::to_string(i) + ": {type: text}\n";
  CHECK_THAT(Parse(many).status(), StatusIs(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID"));
  std::string choices = "a";
  for (int i = 0; i < 64; ++i) choices += ", c" + std::to_string(i);
  Says(ErrorOf("a: {type: choice, choices: [" + choices + "], default: a}"), "more than 64");
}

TEST_CASE("Parameters: patterns that could take for ever, or all memory, cannot",
          "[unit][project]") {
  // What ends a backtracking matcher is linear here.
  Parameter text;
  text.max_bytes = 1024;
  for (const char* pattern : {"(a+)+b", "(a|aa)*b", "(.*)*x", "(a?){30}a{30}b"}) {
    CHECK_OK(CheckPattern(pattern));
    text.pattern = pattern;
    CHECK_FALSE(CheckParameter(text, std::string(1024, 'a')).ok());
  }
  for (const char* pattern : {"((a{1,100}){1,100}){1,100}", "(a)\\1", "(?=a)b", "a{5000}", "["}) {
    INFO(pattern);
    CHECK_FALSE(CheckPattern(pattern).ok());
  }
  CHECK_FALSE(CheckPattern(std::string(257, 'a')).ok());
  CHECK_FALSE(CheckPattern("a\nb").ok());
  CHECK_OK(CheckPattern("\\p{Han}{0,40}"));
}

TEST_CASE("ResolveParameters: what is left out has its default", "[unit][project]") {
  const auto values = Resolve({{"entry", "src/kiosk.js"}, {"banner", ""}});
  REQUIRE_OK(values);
  CHECK(*values == ParameterValues{{"banner", ""},
                                   {"entry", "src/kiosk.js"},
                                   {"minify", "true"},
                                   {"theme-file", "themes/red.json"}});
  CHECK_OK(Resolve({{"theme-file", "themes/x.json"}, {"minify", "false"}, {"banner", "Hi you"}}));
}

TEST_CASE("ResolveParameters: a bad value is refused with its name and what is allowed",
          "[unit][project]") {
  const auto refused = [](const ParameterValues& submitted) {
    const auto values = Resolve(submitted);
    CHECK_THAT(values.status(), StatusIs(absl::StatusCode::kInvalidArgument, "PARAMETER_INVALID"));
    return std::string(values.status().message());
  };
  Says(refused({{"entry", "src/other.js"}}),
       "parameter entry: 'src/other.js' is not allowed; choose one of src/main.js, src/kiosk.js");
  Says(refused({{"minify", "TRUE"}}), "parameter minify");
  // The whole value, not a part of it.
  Says(refused({{"banner", "Hello; rm -rf /"}}), "it has to match [A-Za-z ]{0,40}");
  Says(refused({{"banner", std::string(41, 'a')}}), "at most 40");
  Says(refused({{"theme-file", "themes/none.json"}}), "no regular file of this commit");
  Says(refused({{"theme-file", "themes/../secret"}}), "name a file below themes/");
  Says(refused({{"theme-file", "/themes/red.json"}}), "name a file below themes/");
  Says(refused({{"colour", "red"}}),
       "parameter 'colour' is not declared; slipway.yaml of this commit declares entry, minify, "
       "banner, theme-file");
  CHECK_THAT(ResolveParameters({}, {{"a", "b"}}, {}).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "PARAMETER_INVALID"));
}

TEST_CASE("ParameterVariable: a name is upper-cased and has no '-'", "[unit][project]") {
  CHECK(ParameterVariable("theme-file2") == "SLIPWAY_PARAM_THEME_FILE2");
}

}  // namespace
}  // namespace slipway::project
