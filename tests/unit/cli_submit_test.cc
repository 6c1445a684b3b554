// What the commands that submit ask the controller for, and what they say.
#include <catch2/catch.hpp>
#include <string>

#include "tests/support/temp_dir.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::TempDir;
using testing::WriteFile;

v1::SubmittedRun Made(const std::string& run) {
  v1::SubmittedRun made;
  made.mutable_run()->set_run(run);
  return made;
}

v1::SubmittedRun Refused(const std::string& message) {
  v1::SubmittedRun refused;
  refused.mutable_error()->set_code(9);
  refused.mutable_error()->set_message(message);
  return refused;
}

TEST_CASE("slipway run-script: brings a file of any name as it is", "[unit][cli]") {
  Fixture f;
  const TempDir dir;
  const std::string bytes("#!/bin/sh\n\0\xff\n", 13);
  WriteFile(dir / "检查 it's.sh", bytes);
  CliRun cli(f.controller, {"run-script", dir / "检查 it's.sh", "--app", "pocket-shop", "--ref",
                            "v1", "--param", "entry=kiosk", "--platform", "weixin"});
  CHECK(cli.Wait() == 0);
  INFO(cli.err.text());
  REQUIRE(f.farm.scripts.size() == 1);
  const v1::RunScriptRequest& asked = f.farm.scripts[0];
  CHECK(asked.name() == "检查 it's.sh");
  CHECK(asked.script() == bytes);
  CHECK(asked.ref() == "v1");
  CHECK(asked.platform() == "weixin");
  CHECK(asked.parameters().at("entry") == "kiosk");
  CHECK_FALSE(asked.request_id().empty());
  CHECK_THAT(cli.out.text(), Contains("slipway follow run-1"));
}

TEST_CASE("slipway run-script: what is no script of at most 1 MiB never leaves", "[unit][cli]") {
  Fixture f;
  const TempDir dir;
  WriteFile(dir / "large", std::string((1 << 20) + 1, 'x'));
  CliRun large(f.controller, {"run-script", dir / "large", "--app", "pocket-shop"});
  CHECK(large.Wait() == 2);
  CHECK_THAT(large.err.text(), Contains("more than 1 MiB"));
  CliRun none(f.controller, {"run-script", dir / "none", "--app", "pocket-shop"});
  CHECK(none.Wait() == 2);
  CHECK_THAT(none.err.text(), Contains("cannot read a script"));
  CHECK(f.farm.scripts.empty());
}

TEST_CASE("slipway publish: to the platform, unless only channels are named", "[unit][cli]") {
  Fixture f;
  CHECK(CliRun(f.controller, {"publish", "rel-1"}).Wait() == 0);
  CHECK(CliRun(f.controller, {"publish", "rel-1", "--preview"}).Wait() == 0);
  CHECK(CliRun(f.controller, {"publish", "rel-1", "--channel", "email/qa=a@example.com,b@x.org",
                              "--package-format", "tar.gz"})
            .Wait() == 0);
  CHECK(CliRun(f.controller, {"publish", "rel-1", "--channel", "page", "--target", "weixin"})
            .Wait() == 0);
  REQUIRE(f.farm.publishes.size() == 4);
  CHECK(f.farm.publishes[0].publish());
  CHECK(f.farm.publishes[0].product() == "rel-1");
  CHECK_FALSE(f.farm.publishes[1].publish());
  CHECK(f.farm.publishes[1].preview());
  CHECK_FALSE(f.farm.publishes[2].publish());
  CHECK(f.farm.publishes[2].channels(0).recipients_size() == 2);
  CHECK(f.farm.publishes[2].packaging().form() == v1::PACKAGE_FORM_TAR_GZ);
  CHECK(f.farm.publishes[3].publish());
  CHECK(f.farm.publishes[3].channels_size() == 1);
}

TEST_CASE("slipway submit: several versions are a run each, and a refusal is told beside the rest",
          "[unit][cli]") {
  Fixture f;
  f.farm.submitted = {Made("run-7"), Refused("no such thing")};
  CliRun cli(f.controller, {"submit", "--app", "pocket-shop", "--platform", "weixin", "--ref", "v1",
                            "--ref", "v2", "--request-id", "mine"});
  CHECK(cli.Wait() == 3);
  CHECK_THAT(cli.out.text(), Contains("v1: run run-7") && Contains("v2: "));
  CHECK_THAT(cli.err.text(), Contains("no such thing"));
  REQUIRE(f.farm.submits.size() == 2);
  CHECK(f.farm.submits[0].ref() == "v1");
  CHECK(f.farm.submits[1].ref() == "v2");
  CHECK(f.farm.submits[0].request_id() == "mine/1");
  CHECK(f.farm.submits[1].request_id() == "mine/2");
}

TEST_CASE("slipway submit: all stands alone, and packages are for channels", "[unit][cli]") {
  Fixture f;
  CliRun both(f.controller, {"submit", "--app", "pocket-shop", "--platform", "all,weixin"});
  CHECK(both.Wait() == 2);
  CHECK_THAT(both.err.text(), Contains("all stands alone"));
  CliRun packages(f.controller, {"submit", "--app", "pocket-shop", "--platform", "weixin",
                                 "--package-format", "tar.gz"});
  CHECK(packages.Wait() == 2);
  CHECK_THAT(packages.err.text(), Contains("--channel"));
  CHECK(f.farm.submits.empty());
}

TEST_CASE("slipway submit-again: asks for what failed, and tells each run", "[unit][cli]") {
  Fixture f;
  f.farm.submitted = {Made("run-8"), Made("run-9")};
  CliRun cli(f.controller, {"submit-again", "run-1", "--only-failed"});
  CHECK(cli.Wait() == 0);
  CHECK_THAT(cli.out.text(), Contains("run-8") && Contains("run-9"));
  REQUIRE(f.farm.repeats.size() == 1);
  CHECK(f.farm.repeats[0].only_failed());
  CHECK(f.farm.repeats[0].run() == "run-1");
}

}  // namespace
}  // namespace slipway::cli
