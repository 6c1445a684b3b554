#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <mutex>
#include <ostream>
#include <stop_token>
#include <streambuf>
#include <string>
#include <thread>
#include <vector>

#include "common/crypto/credential.h"
#include "common/process/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::TempDir;
using testing::WaitUntil;
using testing::WriteFile;
using namespace std::chrono_literals;

std::ptrdiff_t Count(const std::string& text, const std::string& part) {
  std::ptrdiff_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::vector<std::string> SubmitAndFollow() {
  return {"submit", "--app", "pocket-shop", "--platform", "weixin", "--publish", "--follow"};
}

TEST_CASE("slipway submit --follow: steps, log, release and code; exit 0", "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  CliRun cli(f.controller, SubmitAndFollow());
  REQUIRE(WaitUntil([&] { return cli.out.Has("waits for an agent"); }));
  f.Begin(kBuild);
  f.Append(kBuild, "compiling…\n");
  REQUIRE(WaitUntil([&] { return cli.out.Has("compiling…\n"); }));
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  f.Begin(kPublish);
  f.Append(kPublish, "uploading\n");
  f.End(kPublish, v1::TASK_STATE_SUCCEEDED);
  CHECK(cli.Wait() == 0);
  INFO(cli.err.text());
  CHECK_THAT(cli.out.text(),
             Contains("run-1") && Contains(kBuild) && Contains("uploading\n") &&
                 Contains("✓ weixin publish → production") && Contains("version") &&
                 Contains("1.4.2") && Contains(Fixture::MakeManifest().Digest().ToString()) &&
                 Contains("2 files, 18 B") && Contains("weixin, target production") &&
                 Contains("https://example.invalid/shop") && Contains(kQrText) &&
                 Contains("slipway qr rel-1"));
  // Half blocks of the code; without a terminal nothing steers one.
  CHECK(cli.out.Has("\xe2\x96"));
  CHECK_FALSE(cli.out.Has("\x1b"));
  REQUIRE(f.farm.submits.size() == 1);
  CHECK(f.farm.submits[0].publish());
  CHECK(f.farm.submits[0].request_id().size() == 36);
}

TEST_CASE("slipway submit --follow: a failure says why and what to do; exit 1", "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  f.farm.Update([](FakeFarm& farm) {
    v1::Failure& failure = *farm.tasks[kBuild].mutable_result()->mutable_failure();
    failure.set_failure_class(v1::FAILURE_CLASS_BUILD);
    failure.set_message("the script ended with exit code 7");
    failure.set_tool_words("npm ERR! missing script");
    failure.set_remedy("Mend scripts/build.sh.");
    failure.set_remedy_zh("请修复 scripts/build.sh。");
  });
  f.End(kBuild, v1::TASK_STATE_FAILED);
  f.End(kPublish, v1::TASK_STATE_SKIPPED);
  CliRun cli(f.controller, SubmitAndFollow());
  CHECK(cli.Wait() == 1);
  CHECK_THAT(cli.out.text(), Contains("build (the script") && Contains("exit code 7") &&
                                 Contains("| npm ERR! missing script") &&
                                 Contains("Mend scripts/build.sh.") &&
                                 Contains("slipway logs task-1-build"));
  CHECK_FALSE(cli.out.Has("slipway qr"));

  auto chinese = SubmitAndFollow();
  chinese.insert(chinese.end(), {"--lang", "zh"});
  CliRun again(f.controller, chinese);
  CHECK(again.Wait() == 1);
  CHECK_THAT(again.out.text(), Contains("请修复 scripts/build.sh。") && Contains("已跳过"));
}

TEST_CASE("slipway submit --follow: an unknown publish is exit 4", "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  f.Begin(kPublish);
  f.End(kPublish, v1::TASK_STATE_UNKNOWN);
  CliRun cli(f.controller, SubmitAndFollow());
  CHECK(cli.Wait() == 4);
  CHECK_THAT(cli.out.text(), Contains("? weixin publish → production: unknown"));
}

TEST_CASE("slipway submit --follow: a controller that is killed and comes back costs no byte",
          "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  f.Begin(kBuild);
  f.Append(kBuild, "line 1\nhalf a ");
  CliRun cli(f.controller, SubmitAndFollow());
  REQUIRE(WaitUntil([&] { return cli.out.Has("half a "); }));
  f.controller.Stop();
  REQUIRE(WaitUntil([&] { return cli.out.Has("does not answer"); }));
  f.Append(kBuild, "line\nline 3\n");
  f.controller.Start();
  REQUIRE(WaitUntil([&] { return cli.out.Has("line 3\n"); }));
  REQUIRE(WaitUntil([&] { return cli.out.Has("connected again"); }));
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  f.Begin(kPublish);
  f.End(kPublish, v1::TASK_STATE_SUCCEEDED);
  CHECK(cli.Wait() == 0);

  const std::string out = cli.out.text();
  for (const std::string part : {"line 1\n", "half a ", "line\n", "line 3\n"}) {
    INFO(part);
    CHECK(out.find(part) != std::string::npos);
  }
  CHECK(out.find("line 1") == out.rfind("line 1"));
  CHECK(out.find("half a ") == out.rfind("half a "));
  // The first reading began at 0, whatever came later at the byte where that one was.
  const auto& reads = f.farm.log_reads;
  REQUIRE(reads.size() >= 2);
  CHECK(reads[0].offset() == 0);
  CHECK(reads[1].task() == kBuild);
  CHECK(reads[1].attempt() == 1);
  CHECK(reads[1].offset() == std::string("line 1\nhalf a ").size());
}

TEST_CASE("slipway submit --follow: after the patience it says how to follow again; exit 3",
          "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  f.Append(kBuild, "begun\n");
  auto arguments = SubmitAndFollow();
  arguments.push_back("--patience=300ms");
  CliRun cli(f.controller, arguments);
  REQUIRE(WaitUntil([&] { return cli.out.Has("begun\n"); }));
  f.controller.Stop();
  CHECK(cli.Wait() == 3);
  CHECK_THAT(cli.err.text(), Contains("slipway follow run-1") && Contains("does not answer"));
}

TEST_CASE("slipway submit --follow: Ctrl-C ends the following, not the run; exit 130",
          "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  CliRun cli(f.controller, SubmitAndFollow());
  REQUIRE(WaitUntil([&] { return cli.out.Has("runs on agent-1"); }));
  cli.Interrupt();
  CHECK(cli.Wait() == 130);
  CHECK_THAT(cli.err.text(), Contains("the run goes on") && Contains("slipway follow run-1"));
  CHECK(f.farm.cancels.empty());

  f.End(kBuild, v1::TASK_STATE_FAILED);
  f.End(kPublish, v1::TASK_STATE_SKIPPED);
  CliRun again(f.controller, {"follow", "run-1"});
  CHECK(again.Wait() == 1);
}

TEST_CASE("slipway submit: a lost answer is asked for again with the same request id",
          "[unit][cli]") {
  Fixture f;
  f.farm.unavailable_submits = 1;
  CliRun cli(f.controller, {"submit", "--app", "pocket-shop", "--platform", "weixin", "--json"});
  CHECK(cli.Wait() == 0);
  CHECK_THAT(cli.out.text(), Contains("\"run\": \"run-1\""));
  REQUIRE(f.farm.submits.size() == 2);
  CHECK(f.farm.submits[0].request_id() == f.farm.submits[1].request_id());
}

TEST_CASE("slipway submit: a farm that is full is asked again when it says so", "[unit][cli]") {
  Fixture f;
  f.farm.full_submits = 1;
  const SystemClock clock;
  const MonoTime begin = clock.Mono();
  CliRun cli(f.controller, {"submit", "--app", "pocket-shop", "--platform", "weixin", "--json"});
  CHECK(cli.Wait() == 0);
  CHECK_THAT(cli.out.text(), Contains("\"run\": \"run-1\""));
  CHECK(f.farm.submits.size() == 2);
  CHECK(clock.Mono() - begin >= testing::kFullFor);
}

TEST_CASE("slipway: what the controller refuses is exit 3 with its reason and remedy",
          "[unit][cli]") {
  Fixture f;
  CliRun unknown(f.controller, {"submit", "--app", "nope", "--platform", "weixin"});
  CHECK(unknown.Wait() == 3);
  CHECK_THAT(unknown.err.text(), Contains("there is no application 'nope'") &&
                                     Contains("→ `slipway apps` lists them."));
  CliRun chinese(f.controller, {"submit", "--app", "nope", "--platform", "weixin", "--lang=zh"});
  CHECK(chinese.Wait() == 3);
  CHECK_THAT(chinese.err.text(), Contains("→ 用 `slipway apps` 查看应用"));

  const TempDir dir;
  WriteFile(dir / "token", "wrong\n");
  CliRun stranger({"tasks", "--server", f.controller.address(), "--ca", f.controller.ca_file(),
                   "--token-file", dir / "token"});
  CHECK(stranger.Wait() == 3);
  CHECK_THAT(stranger.err.text(), Contains("the API token is not valid"));

  FakeFarm other_farm;
  const FakeController other(other_farm);
  CliRun impostor({"tasks", "--server", f.controller.address(), "--ca", other.ca_file(),
                   "--token-file", f.controller.token_file()});
  CHECK(impostor.Wait() == 3);
  CHECK_THAT(impostor.err.text(), Contains("does not answer") && Contains("CA file"));
}

TEST_CASE("slipway: wrong usage is exit 2 and help is exit 0", "[unit][cli]") {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"submit"},
           {"tasks", "--limit", "0"},
           {"archive", "get", "rel-1"},
           {"archive", "get", "x", "--dir", "a", "--tar", "b"},
           {"logs", "x", "--offset", "-1"},
           {"agents", "token", "--lifetime", "soon"},
           {"agents", "drain"},
           {"agents", "pause", "mac-1"},
           {"agents", "pause", "x", "--reason", "y", "--timeout", "long"},
           {"tasks"}}) {
    CliRun cli(arguments);
    CHECK(cli.Wait() == 2);
    CHECK_FALSE(cli.err.text().empty());
  }
  CliRun help({"--lang", "zh", "submit", "--help"});
  CHECK(help.Wait() == 0);
  CHECK_THAT(help.out.text(), Contains("跟随到结束"));
  CliRun codes({"--help"});
  CHECK(codes.Wait() == 0);
  CHECK_THAT(codes.out.text(), Contains("4 outcome unknown"));
}

TEST_CASE("slipway: what is no command is named, with the nearest one", "[unit][cli]") {
  const auto problem = [](std::vector<std::string> arguments) {
    CliRun cli(std::move(arguments));
    CHECK(cli.Wait() == 2);
    CHECK(cli.err.Has("slipway --help"));
    return cli.err.text();
  };
  CHECK_THAT(problem({"tsaks"}), Contains("no command 'tsaks'; did you mean 'tasks'?"));
  CHECK_THAT(problem({"frobnicate", "--limit", "3"}), Contains("no command 'frobnicate'\n"));
  CHECK_THAT(problem({"archive", "shwo", "x"}),
             Contains("no command 'archive shwo'; did you mean 'archive show'?"));
  CHECK_THAT(problem({"tasks", "task-1"}), Contains("no command 'tasks task-1'"));
  CHECK_THAT(problem({"--bogus"}), Contains("'--bogus' was not expected"));
  CHECK_THAT(problem({"tsaks", "--lang", "zh"}),
             Contains("没有命令 'tsaks'；您是想用 'tasks' 吗？"));
}

TEST_CASE("slipway: a run that is not there is an error and goes nowhere", "[unit][cli]") {
  Fixture f;
  CliRun list(f.controller, {"tasks", "--run", "nope"});
  CHECK(list.Wait() == 3);
  CHECK_THAT(list.err.text(), Contains("no such run") && Contains("→ `slipway tasks`"));
  CliRun follow(f.controller, {"follow", "nope"});
  CHECK(follow.Wait() == 3);
  CHECK_THAT(follow.err.text(), Contains("no such run") && !Contains("goes on"));
}

TEST_CASE("slipway tasks: --state filters, show shows steps, cancel cancels", "[unit][cli]") {
  Fixture f;
  CliRun list(f.controller, {"tasks", "--state", "waiting"});
  CHECK(list.Wait() == 0);
  CHECK_THAT(list.out.text(), Contains(kPublish) && !Contains(kBuild));
  CliRun wrong(f.controller, {"tasks", "--state", "sleeping"});
  CHECK(wrong.Wait() == 2);
  CliRun show(f.controller, {"tasks", "show", kBuild});
  CHECK(show.Wait() == 0);
  CHECK_THAT(show.out.text(), Contains("weixin build") && Contains("queued"));
  CliRun cancel(f.controller, {"cancel", kBuild, "--reason", "wrong ref"});
  CHECK(cancel.Wait() == 0);
  REQUIRE(f.farm.cancels.size() == 1);
  CHECK(f.farm.cancels[0].reason() == "wrong ref");
  CliRun none(f.controller, {"tasks", "show", "task-9"});
  CHECK(none.Wait() == 3);
}

TEST_CASE("slipway releases resolve: what is said goes to the controller with its reason",
          "[unit][cli]") {
  Fixture f;
  f.farm.tasks[kPublish].set_state(v1::TASK_STATE_UNKNOWN);
  const auto resolve = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"releases", "resolve", kPublish};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  CliRun probe(f.controller, resolve({"--probe", "--reason", "lost"}));
  CHECK(probe.Wait() == 0);
  CHECK_THAT(probe.out.text(), Contains("slipway follow run-1"));
  CliRun published(f.controller, resolve({"--published", "--version", "1.4.3", "--link",
                                          "https://x", "--reason", "seen in the console"}));
  CHECK(published.Wait() == 0);
  CHECK_THAT(published.out.text(), Contains(kPublish) && Contains("is published: rel-1"));
  CliRun not_published(f.controller,
                       resolve({"--not-published", "--reason", "not there", "--lang", "zh"}));
  CHECK(not_published.Wait() == 0);
  CHECK_THAT(not_published.out.text(), Contains("未发布"));
  REQUIRE(f.farm.resolves.size() == 3);
  CHECK(f.farm.resolves[0].has_probe());
  CHECK(f.farm.resolves[1].published().version() == "1.4.3");
  CHECK(f.farm.resolves[1].published().link() == "https://x");
  CHECK(f.farm.resolves[1].reason() == "seen in the console");
  CHECK(f.farm.resolves[2].has_not_published());

  // Neither, both, no reason, or a version of what is not published.
  for (const auto& wrong :
       {resolve({"--reason", "r"}), resolve({"--published", "--not-published", "--reason", "r"}),
        resolve({"--published"}),
        resolve({"--not-published", "--version", "1", "--reason", "r"})}) {
    CliRun usage(f.controller, wrong);
    CHECK(usage.Wait() == 2);
  }
  CHECK(f.farm.resolves.size() == 3);
}

TEST_CASE("slipway releases resolve --probe --follow: unknown as before is exit 4", "[unit][cli]") {
  Fixture f;
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  f.End(kPublish, v1::TASK_STATE_UNKNOWN);
  CliRun cli(f.controller,
             {"releases", "resolve", kPublish, "--probe", "--follow", "--reason", "lost"});
  CHECK(cli.Wait() == 4);
  CHECK_THAT(cli.out.text(), Contains("is unknown as before"));
}

TEST_CASE("slipway logs: the exact bytes, from an offset, and exit 1 when some are missing",
          "[unit][cli]") {
  Fixture f;
  const std::string bytes("a\x1b[31m\0\xff\nb\r\n", 12);
  f.Begin(kBuild);
  f.Append(kBuild, bytes);
  CliRun growing(f.controller, {"logs", kBuild});
  CHECK(growing.Wait() == 0);
  CHECK(growing.out.text() == bytes);
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  CliRun rest(f.controller, {"logs", kBuild, "-f", "--offset", "3"});
  CHECK(rest.Wait() == 0);
  CHECK(rest.out.text() == bytes.substr(3));

  f.farm.Update([](FakeFarm& farm) {
    farm.logs[{kBuild, 1}].complete = false;
    farm.logs[{kBuild, 1}].missing = 42;
  });
  CliRun lost(f.controller, {"logs", kBuild, "-f"});
  CHECK(lost.Wait() == 1);
  CHECK(lost.out.text() == bytes);
  CHECK_THAT(lost.err.text(), Contains("42 bytes missing"));
}

TEST_CASE("slipway logs -f: byte for byte the same log, whatever happens to the controller",
          "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  std::string all = "first\nunfinis";
  f.Append(kBuild, all);
  CliRun cli(f.controller, {"logs", kBuild, "--follow"});
  REQUIRE(WaitUntil([&] { return cli.out.text() == all; }));
  for (int i = 0; i < 2; ++i) {
    f.controller.Stop();
    REQUIRE(WaitUntil([&] { return Count(cli.err.text(), "trying again") == i + 1; }));
    f.Append(kBuild, "hed\nmore");
    all += "hed\nmore";
    f.controller.Start();
    REQUIRE(WaitUntil([&] { return cli.out.text() == all; }));
  }
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  CHECK(cli.Wait() == 0);
  CHECK(cli.out.text() == all);
  CHECK(Count(cli.err.text(), "connected again") == 2);
}

// While the controller is away for long, attempts to connect must neither stop nor time out.
TEST_CASE("slipway logs -f: a controller that was away for seconds is found again soon",
          "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  f.Append(kBuild, "one\n");
  CliRun cli(f.controller, {"logs", kBuild, "--follow"});
  REQUIRE(WaitUntil([&] { return cli.out.Has("one"); }));
  f.controller.Stop();
  CHECK_FALSE(WaitUntil([&] { return cli.err.Has("connected again"); }, 4s));
  f.Append(kBuild, "two\n");
  f.controller.Start();
  CHECK(WaitUntil([&] { return cli.out.Has("two"); }, 5s));
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  CHECK(cli.Wait() == 0);
}

TEST_CASE("slipway qr: colours for a terminal that wants them, plain blocks otherwise",
          "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  CliRun piped(f.controller, {"qr", kRelease});
  CHECK(piped.Wait() == 0);
  CHECK(piped.out.Has("\xe2\x96"));
  CHECK_FALSE(piped.out.Has("\x1b"));
  CliRun terminal(f.controller, {"qr", kRelease}, {.terminal = true});
  CHECK(terminal.Wait() == 0);
  CHECK(terminal.out.Has("\x1b["));
  CliRun colourless(f.controller, {"qr", kRelease}, {.terminal = true, .no_color = "1"});
  CHECK(colourless.Wait() == 0);
  CHECK(colourless.out.text() == piped.out.text());
}

TEST_CASE("slipway version: the controller's too when there is one", "[unit][cli]") {
  Fixture f;
  CliRun both(f.controller, {"version"});
  CHECK(both.Wait() == 0);
  CHECK_THAT(both.out.text(), Contains("slipway ") && Contains("9.9.9"));
}

}  // namespace
}  // namespace slipway::cli
