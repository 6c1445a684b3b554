#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "common/config/document.h"
#include "common/config/units.h"
#include "tests/support/status_matchers.h"

namespace slipway::config {
namespace {

using testing::StatusIs;
using namespace std::chrono_literals;

std::string ErrorOf(const std::string& text) {
  return std::string(Document::Parse(text, "f.yaml").status().message());
}

TEST_CASE("ParseDuration: reads what people write", "[unit][config]") {
  CHECK(*ParseDuration("90s") == 90s);
  CHECK(*ParseDuration("20m") == 20min);
  CHECK(*ParseDuration("1h30m") == 90min);
  CHECK(*ParseDuration("250ms") == 250ms);
  CHECK(*ParseDuration("1d2h3m4s5ms") == 24h + 2h + 3min + 4s + 5ms);
  CHECK(*ParseDuration("0s") == 0s);
}

TEST_CASE("ParseDuration: refuses what could mean two things", "[unit][config]") {
  for (const char* text : {"", "5", "s", "-5s", "1.5h", "5 s", "5m1h", "5s5s", "5y", "5S",
                           "99999999999999999999s", "9999999d", "5s "}) {
    INFO(text);
    CHECK_THAT(ParseDuration(text).status(), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_CASE("FormatDuration: gives what ParseDuration reads", "[unit][config]") {
  for (const Duration d : {Duration(0s), Duration(90s), Duration(1500ms), Duration(49h + 1ms)}) {
    CHECK(*ParseDuration(FormatDuration(d)) == d);
  }
  CHECK(FormatDuration(90s) == "1m30s");
}

TEST_CASE("ParseSize: reads binary and decimal units", "[unit][config]") {
  CHECK(*ParseSize("4096") == 4096);
  CHECK(*ParseSize("512MiB") == 512LL << 20);
  CHECK(*ParseSize("1.5GiB") == 3LL << 29);
  CHECK(*ParseSize("1GB") == 1'000'000'000);
  CHECK(*ParseSize("2TB") == 2'000'000'000'000);
  for (const char* text : {"", "GiB", "1 GiB", "-1", "1g", "1.5", "1.5B", "1.GiB", ".5GiB",
                           "9999999999999TiB", "999999999999999999999"}) {
    INFO(text);
    CHECK_THAT(ParseSize(text).status(), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_CASE("Document: getters give typed values and fallbacks", "[unit][config]") {
  auto document = Document::Parse(
      "name: slip\nport: 7443\nratio: 0.5\nsecure: true\nttl: 90s\nroom: 2GiB\n"
      "tags: [a, 'b']\nempty:\nenv: {A: x, B: 7, C: }\ntls: {cert: c.pem}\n"
      "agents:\n  - {name: one}\n  - {name: two}\n",
      "f.yaml");
  REQUIRE_OK(document);
  Section root = document->Root();
  CHECK(root.RequireString("name") == "slip");
  CHECK(root.GetInt("port", 1, 1, 65535) == 7443);
  CHECK(root.GetDouble("ratio", 0, 0, 1) == 0.5);
  CHECK(root.GetBool("secure", false));
  CHECK(root.GetDuration("ttl", 1s, 0s, 1h) == 90s);
  CHECK(root.GetSize("room", 0, 0, 1LL << 40) == 2LL << 30);
  CHECK(root.GetStrings("tags") == std::vector<std::string>{"a", "b"});
  CHECK(root.GetString("empty", "fallback") == "fallback");
  CHECK(root.GetString("absent", "fallback") == "fallback");
  CHECK(root.GetStringMap("env") ==
        std::map<std::string, std::string>{{"A", "x"}, {"B", "7"}, {"C", ""}});
  auto tls = root.FindSection("tls");
  REQUIRE(tls.has_value());
  CHECK(tls->GetString("cert", "") == "c.pem");
  auto agents = root.GetSections("agents");
  REQUIRE(agents.size() == 2);
  CHECK(agents[0].GetString("name", "") == "one");
  CHECK(agents[1].GetString("name", "") == "two");
  CHECK_OK(document->Finish());
}

TEST_CASE("Document: every mistake is told in one reading, with line, column and key path",
          "[unit][config]") {
  auto document = Document::Parse(
      "listen:\n  port: 99999\n  prot: 1\nsecure: maybe\nttl: 5\nwhat: [1]\ntls: on\n", "c.yaml");
  REQUIRE_OK(document);
  Section root = document->Root();
  auto listen = root.FindSection("listen");
  REQUIRE(listen.has_value());
  CHECK(listen->GetInt("port", 7443, 1, 65535) == 7443);
  CHECK_FALSE(root.GetBool("secure", false));
  CHECK(root.GetDuration("ttl", 1s, 0s, 1h) == 1s);
  CHECK(root.GetString("what", "x") == "x");
  CHECK_FALSE(root.FindSection("tls").has_value());
  CHECK(root.RequireString("data_dir").empty());
  const auto status = document->Finish();
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID"));
  CHECK(std::string(status.message()) ==
        "c.yaml:1:1: data_dir: required, but missing\n"
        "c.yaml:2:9: listen.port: '99999' is not allowed; use a whole number from 1 to 65535\n"
        "c.yaml:3:3: listen.prot: unknown key; did you mean 'port'?\n"
        "c.yaml:4:9: secure: 'maybe' is not allowed; use one of: true, false\n"
        "c.yaml:5:6: ttl: '5' is not a duration; write it like 90s, 20m or 1h30m\n"
        "c.yaml:6:7: what: expected a single value, found a list\n"
        "c.yaml:7:6: tls: expected a map, found a single value");
}

TEST_CASE("Document: dangerous or ambiguous YAML is refused where it stands", "[unit][config]") {
  CHECK_THAT(ErrorOf("a: &x 1\nb: *x\n"), Catch::Contains("f.yaml:1:4: anchors"));
  CHECK_THAT(ErrorOf("a: 1\nb: 2\na: 3\n"), Catch::Contains("f.yaml:3:1: 'a' is here twice"));
  CHECK_THAT(ErrorOf("a: !!python/object x\n"), Catch::Contains("tags"));
  CHECK_THAT(ErrorOf("a: 1\n---\nb: 2\n"), Catch::Contains("second document"));
  CHECK_THAT(ErrorOf("[1, 2]: x\n"), Catch::Contains("a key must be a name"));
  CHECK_THAT(ErrorOf("- a\n"), Catch::Contains("expected a map"));
  CHECK_THAT(ErrorOf(""), Catch::Contains("f.yaml:1:1: the file is empty"));
  CHECK_THAT(ErrorOf(std::string("a: b\nc: x\0y", 11)), Catch::Contains("f.yaml:2:5: control"));
  CHECK_THAT(ErrorOf("a: b\nc: \xff\xfe\n"), Catch::Contains("f.yaml:2:4: this is not UTF-8"));
  CHECK_THAT(ErrorOf("a: \xc0\xaf\n"), Catch::Contains("UTF-8"));
  CHECK_THAT(ErrorOf("a: b\nc: \"x\\0y\"\n"), Catch::Contains("f.yaml:2:4: NUL"));
  CHECK_THAT(ErrorOf("a: [1, 2\n"), Catch::Contains("not valid YAML"));
  CHECK_THAT(ErrorOf("a:\n\t- b\n  c\n"), Catch::Contains("f.yaml:"));
  CHECK_THAT(ErrorOf(std::string(300 * 1024, 'a')), Catch::Contains("larger than"));
  std::string deep;
  for (int i = 0; i < 17; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "k:\n";
  CHECK_THAT(ErrorOf(deep + std::string(17, ' ') + "k: 1\n"), Catch::Contains("levels"));
}

TEST_CASE("Document: a key or value with line ends cannot make up a mistake of its own",
          "[unit][config]") {
  auto document = Document::Parse("\"a\\nf.yaml:9:9: b\\x1b\": 1\n", "f.yaml");
  REQUIRE_OK(document);
  const std::string text(document->Finish().message());
  CHECK(text == "f.yaml:1:1: a\\nf.yaml:9:9: b\\x1b: unknown key; no keys are allowed here");
}

TEST_CASE("Document: text made to exhaust the parser ends soon", "[unit][config]") {
  const std::size_t n = 250 * 1024;
  const auto repeat = [&](const std::string& part) {
    std::string text;
    while (text.size() + part.size() < n) text += part;
    return text;
  };
  for (const char* part : {"[",   "{",    "- ", "? ", "a: ",    "{a: ",  "[a, ",      "&a ",
                           "*a ", "!a ",  "'",  "\"", "|\n",    "a\n",   "- - - a\n", "%TAG ! b\n",
                           "#",   "<<: ", "\\", "]",  "a: [\n", "? a\n", "---\n",     "}"}) {
    INFO(part);
    const auto start = std::chrono::steady_clock::now();
    const std::string text = repeat(part);
    (void)Document::Parse(text, "f.yaml");
    (void)Document::Parse("k: " + text, "f.yaml");
    CHECK(std::chrono::steady_clock::now() - start < 5s);
  }
}

TEST_CASE("Document: what no document can begin with is told, and reading ends", "[unit][config]") {
  for (const char* text :
       {",a: 1\n", "a: 1\n,b: 2\n", "]", "a: 1\n}\n", "---\n,\n", "a: 1\n...\n,"}) {
    INFO(text);
    CHECK_THAT(ErrorOf(text), Catch::StartsWith("f.yaml:"));
    CHECK_THAT(Document::ParseAll(text, "f.yaml").status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID"));
  }
  CHECK(Document::ParseAll("---\na: 1\n---\nb: 2\n...\nc: 3\n...\n", "f.yaml")->size() == 3);
}

TEST_CASE("Document: a file that is missing or not regular says so", "[unit][config]") {
  CHECK_THAT(Document::Load("/nonexistent/x.yaml").status(),
             StatusIs(absl::StatusCode::kNotFound, "/nonexistent/x.yaml"));
  CHECK_THAT(Document::Load("/dev/null").status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "not a regular file"));
}

TEST_CASE("NearestWord: finds a slip of the fingers and nothing far", "[unit][config]") {
  const std::vector<std::string> known{"timeout", "image", "script", "env"};
  CHECK(NearestWord("timeot", known) == "timeout");
  CHECK(NearestWord("scritp", known) == "script");
  CHECK(NearestWord("database", known).empty());
  CHECK(NearestWord("x", known).empty());
}

}  // namespace
}  // namespace slipway::config
