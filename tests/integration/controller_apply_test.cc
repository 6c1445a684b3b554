// slipway apply, diff and export against the real controller.
#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "controller/cli/program.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tree.h"

namespace slipway::testing {
namespace {

using Catch::Contains;

constexpr char kFarm[] = R"(kind: environment
name: production
description: What users get
---
kind: target
platform: weixin
name: live
environment: production
image: publisher:1
ca_file: ca.pem
deadline: 5m
---
kind: application
name: bakery
repository: https://git.example/bakery.git
require: {zone: north}
)";
constexpr char kPem[] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

struct Said {
  int code = 0;
  std::string out;
  std::string err;
};

struct Farm {
  Farm() {
    fixture.Start();
    WriteFile(dir / "ca.pem", kPem);
    WriteFile(dir / "farm.yaml", kFarm);
  }
  Said Slipway(std::vector<std::string> arguments, const std::string& input = "",
               bool terminal = false) {
    for (const std::string& flag :
         {"--server=" + fixture.server(), "--ca=" + fixture.data_dir() + "/ca.pem",
          "--token-file=" + fixture.data_dir() + "/admin.token"}) {
      arguments.push_back(flag);
    }
    std::ostringstream out;
    std::ostringstream err;
    std::istringstream in(input);
    cli::Surroundings surroundings{.out = out,
                                   .err = err,
                                   .out_is_terminal = terminal,
                                   .environment = [](const char*) { return std::string(); },
                                   .stop = {},
                                   .in = &in};
    const int code = cli::RunProgram(arguments, surroundings);
    INFO(out.str() << err.str());
    return {code, out.str(), err.str()};
  }
  std::string file() const { return dir / "farm.yaml"; }

  TempDir dir;
  FarmFixture fixture;
};

}  // namespace

TEST_CASE("slipway apply: makes the farm be as the file says, once", "[integration]") {
  Farm farm;
  const Said tried = farm.Slipway({"apply", "-f", farm.file(), "--dry-run"});
  CHECK(tried.code == 0);
  CHECK_THAT(tried.out, Contains("+++ target weixin/live") && Contains("nothing was changed"));
  const Said differs = farm.Slipway({"diff", "-f", farm.file()});
  CHECK(differs.code == 7);
  CHECK_THAT(differs.out,
             Contains("--- /dev/null\n+++ application bakery\n+kind: \"application\"") ||
                 Contains("--- /dev/null\n+++ application bakery\n+kind: application"));
  const Said made = farm.Slipway({"apply", "-f", farm.file()});
  CHECK(made.code == 0);
  CHECK_THAT(made.out, Contains("created") && Contains("weixin/live") && Contains("bakery"));
  CHECK_OK(farm.fixture.client().GetApplication("bakery"));
  const Said again = farm.Slipway({"apply", "-f", farm.file()});
  CHECK(again.code == 0);
  CHECK(again.out == "no differences\n");
  CHECK(farm.Slipway({"diff", "-f", farm.file()}).code == 0);
}

TEST_CASE("slipway apply: a change shows what was before and after, in colours on a terminal",
          "[integration]") {
  Farm farm;
  REQUIRE(farm.Slipway({"apply", "-f", farm.file()}).code == 0);
  std::string changed = kFarm;
  changed.replace(changed.find("publisher:1"), 11, "publisher:2");
  changed.replace(changed.find("zone: north"), 11, "zone: south");
  const Said plain = farm.Slipway({"diff", "-f", "-"}, "kind: environment\nname: production\n");
  CHECK(plain.code == 7);
  CHECK_THAT(plain.out, Contains("-description: "));
  WriteFile(farm.dir / "farm.yaml", changed);
  const Said coloured = farm.Slipway({"diff", "-f", farm.file()}, "", true);
  CHECK(coloured.code == 7);
  CHECK_THAT(coloured.out, Contains("\x1b[31;1m-image: ") && Contains("\x1b[32m+image: "));
  const Said json = farm.Slipway({"apply", "-f", farm.file(), "-o", "json"});
  CHECK(json.code == 0);
  CHECK_THAT(json.out, Contains("\"update\"") && Contains("\"weixin/live\"") &&
                           Contains("\"done\": true") && Contains("publisher:2"));
  CHECK(farm.fixture.client().GetApplication("bakery")->requirements().at("zone") == "south");
}

TEST_CASE("slipway apply --prune: deletes what no file names, but no application",
          "[integration]") {
  Farm farm;
  REQUIRE(farm.Slipway({"apply", "-f", farm.file()}).code == 0);
  const std::string rest = "kind: target\nplatform: weixin\nimage: slipway/publisher:1\n";
  CHECK(farm.Slipway({"apply", "-f", "-"}, rest).out == "no differences\n");
  const Said pruned = farm.Slipway({"apply", "--prune", "-f", "-"}, rest);
  CHECK(pruned.code == 0);
  CHECK_THAT(pruned.out, Contains("--- target weixin/live") && Contains("+++ /dev/null"));
  CHECK_THAT(farm.Slipway({"targets"}).out, !Contains("live"));
  CHECK_THAT(farm.Slipway({"environments"}).out, !Contains("production"));
  CHECK_OK(farm.fixture.client().GetApplication("bakery"));
}

TEST_CASE("slipway export: what is written out is applied again without a difference",
          "[integration]") {
  Farm farm;
  REQUIRE(farm.Slipway({"apply", "-f", farm.file()}).code == 0);
  const Said exported = farm.Slipway({"export"});
  CHECK(exported.code == 0);
  CHECK_THAT(exported.out, Contains("BEGIN CERTIFICATE") && Contains("bakery"));
  CHECK(farm.Slipway({"diff", "--prune", "-f", "-"}, exported.out).code == 0);
}

TEST_CASE("slipway apply: every mistake of every file is told and nothing is done",
          "[integration]") {
  Farm farm;
  WriteFile(farm.dir / "other.yaml", "kind: target\nplatform: weixin\n");
  const Said said = farm.Slipway({"apply", "-f", farm.file(), "-f", farm.dir / "other.yaml", "-f",
                                  farm.dir / "nowhere.yaml", "-f", "-"},
                                 "kind: application\nname: bakery\nrepository: x\nextra: 1\n");
  CHECK(said.code == 2);
  CHECK_THAT(said.err,
             Contains("other.yaml:1:1: image: required") &&
                 Contains("nowhere.yaml cannot be read") &&
                 Contains("-:2:7: name: application 'bakery' is described more than once") &&
                 Contains("-:4:1: extra: unknown key"));
  CHECK_FALSE(farm.fixture.client().GetApplication("bakery").ok());
}

TEST_CASE("slipway targets: created, shown, changed and deleted by hand", "[integration]") {
  Farm farm;
  REQUIRE(farm.Slipway({"environments", "create", "test", "--order", "3"}).code == 0);
  CHECK(farm.Slipway({"environments", "set", "test", "--description", "For testers"}).code == 0);
  CHECK_THAT(farm.Slipway({"environments", "show", "test"}).out,
             Contains("For testers") && Contains("3"));
  CHECK(
      farm.Slipway({"targets", "create", "weixin/trial", "--image", "publisher:1", "--environment",
                    "test", "--ca-file", farm.dir / "ca.pem", "--require", "net=dmz"})
          .code == 0);
  CHECK_THAT(farm.Slipway({"targets", "show", "weixin/trial"}).out,
             Contains("net=dmz") && Contains("test"));
  CHECK(farm.Slipway({"targets", "set", "weixin/trial", "--image", "publisher:2", "--deadline",
                      "90s", "--ca-file", ""})
            .code == 0);
  const Said shown = farm.Slipway({"targets", "show", "weixin/trial", "-o", "json"});
  CHECK_THAT(shown.out, Contains("publisher:2") && Contains("\"90s\"") && Contains("net"));
  CHECK_THAT(farm.Slipway({"targets", "list", "--platform", "weixin"}).out,
             Contains("trial") && Contains("publisher:2"));
  CHECK(farm.Slipway({"environments", "delete", "test"}).code == 3);
  CHECK(farm.Slipway({"targets", "delete", "weixin/trial"}).code == 0);
  CHECK(farm.Slipway({"environments", "delete", "test"}).code == 0);
  const Said gone = farm.Slipway({"targets", "show", "weixin/trial"});
  CHECK(gone.code == 3);
  CHECK_THAT(gone.err, Contains("weixin/trial"));
}

}  // namespace slipway::testing
