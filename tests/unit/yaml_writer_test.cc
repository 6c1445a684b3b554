#include "common/config/yaml_writer.h"

#include <catch2/catch.hpp>
#include <string>

#include "common/config/document.h"
#include "tests/support/status_matchers.h"

namespace slipway::config {
namespace {

TEST_CASE("YamlWriter: every string comes back as it was, as a string", "[unit][config]") {
  for (const std::string& text :
       std::initializer_list<std::string>{"plain",
                                          "",
                                          "no",
                                          "NULL",
                                          "~",
                                          "12",
                                          "0x1f",
                                          "1.5",
                                          "2024-05-01T00:00:00Z",
                                          "a: b",
                                          "- a",
                                          "# no comment",
                                          "'",
                                          "\"",
                                          "\\",
                                          "two\nlines\n",
                                          "two\nlines",
                                          "\n",
                                          " indented\n",
                                          "a\n  b\n",
                                          "a\n\nb\n",
                                          "tab\t",
                                          "\x1b[31m",
                                          "\x7f",
                                          "\xc2\x9b",
                                          "中文：名称",
                                          "*a",
                                          "&a",
                                          "!tag",
                                          "%x",
                                          "@x",
                                          "{}",
                                          "[]",
                                          "a #b",
                                          "-----BEGIN X-----\nMIIB\n-----END X-----\n"}) {
    INFO(text);
    YamlWriter yaml;
    yaml.BeginMap();
    yaml.Key("value");
    yaml.String(text);
    yaml.Key("behind");
    yaml.String("it");
    yaml.EndMap();
    const std::string written = yaml.Finish();
    INFO(written);
    CHECK(written.find('\x1b') == std::string::npos);
    CHECK(written.find('\x7f') == std::string::npos);
    CHECK(written.find("\xc2\x9b") == std::string::npos);
    auto document = Document::Parse(written, "written.yaml");
    REQUIRE_OK(document);
    Section root = document->Root();
    CHECK(root.GetString("value", "absent") == text);
    CHECK(root.GetString("behind", "absent") == "it");
    CHECK_OK(document->Finish());
  }
}

TEST_CASE("YamlWriter: maps, lists, numbers and what only looks like them", "[unit][config]") {
  YamlWriter yaml;
  yaml.BeginMap();
  yaml.Key("list");
  yaml.BeginList();
  yaml.String("12");
  yaml.Plain("12");
  yaml.Plain("true");
  yaml.EndList();
  yaml.Key("empty");
  yaml.BeginList();
  yaml.EndList();
  yaml.Key("map");
  yaml.BeginMap();
  yaml.EndMap();
  yaml.EndMap();
  CHECK(yaml.Finish() == "list:\n  - \"12\"\n  - 12\n  - true\nempty:\n  []\nmap:\n  {}\n");
}

}  // namespace
}  // namespace slipway::config
