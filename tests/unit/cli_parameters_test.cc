#include <catch2/catch.hpp>
#include <string>

#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/render_parameters.h"

namespace slipway::cli {
namespace {

using Catch::Contains;

View PlainView(Language language = Language::kEnglish) {
  return {Text(language), Style(false), WallTime(std::chrono::seconds(1'700'000'100))};
}

TEST_CASE("RenderParameters: what a build can be told, in the reader's language", "[unit][cli]") {
  v1::ApplicationOverview shop;
  CHECK_THAT(RenderParameters(shop, PlainView()), Contains("no parameters that you may set"));
  v1::BuildParameter& entry = *shop.add_build_parameters();
  entry.set_name("entry");
  entry.set_type(v1::BUILD_PARAMETER_TYPE_CHOICE);
  entry.add_choices("src/main.js");
  entry.add_choices("src/kiosk.js");
  entry.set_default_value("src/main.js");
  entry.mutable_label()->set_en("Program entry");
  entry.mutable_label()->set_zh("程序入口");
  entry.mutable_help()->set_en("Only in English");
  v1::BuildParameter& banner = *shop.add_build_parameters();
  banner.set_name("banner");
  banner.set_type(v1::BUILD_PARAMETER_TYPE_TEXT);
  banner.set_pattern("[a-z]*");
  banner.set_max_bytes(40);
  v1::BuildParameter& theme = *shop.add_build_parameters();
  theme.set_name("theme");
  theme.set_type(v1::BUILD_PARAMETER_TYPE_FILE);
  theme.set_under("themes");
  theme.add_choices("themes/red.json");
  CHECK_THAT(RenderParameters(shop, PlainView()),
             Contains("entry  Program entry") && Contains("one of src/main.js, src/kiosk.js") &&
                 Contains("text, at most 40 bytes, that matches [a-z]*") &&
                 Contains("a file below themes: themes/red.json"));
  CHECK_THAT(RenderParameters(shop, PlainView(Language::kChinese)),
             Contains("entry  程序入口") && Contains("Only in English") && Contains("以下之一"));
}

TEST_CASE("A product is shown with the parameters that made it", "[unit][cli]") {
  v1::Archived archived;
  (*archived.mutable_parameters())["entry"] = "src/kiosk.js";
  (*archived.mutable_parameters())["banner"] = "";
  CHECK_THAT(RenderArchived(archived, PlainView()),
             Contains("banner=") && Contains("entry=src/kiosk.js"));
  v1::Task task;
  (*task.mutable_parameters())["entry"] = "asked";
  CHECK_THAT(RenderTask(task, PlainView()), Contains("entry=asked"));
  (*task.mutable_result()->mutable_build()->mutable_parameters())["entry"] = "got";
  CHECK_THAT(RenderTask(task, PlainView()), Contains("entry=got") && !Contains("entry=asked"));
}

TEST_CASE("--param: NAME=VALUE, each name once", "[unit][cli]") {
  google::protobuf::Map<std::string, std::string> parameters;
  const Text text(Language::kEnglish);
  REQUIRE(ReadParameters({"a=1=2", "b="}, text, parameters).ok());
  CHECK(parameters["a"] == "1=2");
  CHECK(parameters.at("b").empty());
  for (const char* wrong : {"c", "=x", "a=3"}) {
    INFO(wrong);
    CHECK_FALSE(ReadParameters({wrong}, text, parameters).ok());
  }
}

}  // namespace
}  // namespace slipway::cli
