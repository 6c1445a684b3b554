#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "common/config/document.h"
#include "controller/cli/progress.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;

// What a hostile farm might say of itself.
constexpr char kHostile[] =
    "a\x1b]0;title\x07\x1b[2Jb\xc2\x9b"
    "31mc\x7f";

void MakeHostile(Fixture& f) {
  f.farm.access.Add("evil", "evil's password");
  auto& account = f.farm.access.accounts["evil"].account;
  account.set_full_name(kHostile);
  account.set_department(kHostile);
  f.farm.access.tokens["evil-token"].set_account("evil");
  f.farm.access.tokens["evil-token"].set_name(kHostile);
  f.farm.access.groups["g"].set_name(kHostile);
  v1::Grant grant;
  grant.set_account(kHostile);
  grant.add_operations(v1::OPERATION_PUBLISH);
  grant.set_pages(kHostile);
  f.farm.access.grants.push_back(grant);
  f.farm.Update([](FakeFarm& farm) { farm.application.set_description(kHostile); });
}

std::vector<std::vector<std::string>> Listings() {
  return {{"accounts", "list"},
          {"accounts", "show", "evil"},
          {"groups", "list"},
          {"grants", "list"},
          {"tokens", "list"},
          {"apps"},
          {"whoami"},
          {"tasks"},
          {"apps", "show", "pocket-shop"}};
}

TEST_CASE("slipway: no control character of the farm reaches a terminal, in any format",
          "[unit][cli]") {
  Fixture f;
  MakeHostile(f);
  for (const std::vector<std::string>& words : Listings()) {
    for (const char* format : {"table", "json", "yaml"}) {
      auto with_format = words;
      with_format.insert(with_format.end(), {"-o", format});
      CliRun run(f.controller, with_format, {.terminal = true, .no_color = "1"});
      CHECK(run.Wait() == 0);
      INFO(words.front() << " " << format << ":\n" << run.out.text());
      for (const char* bad : {"\x1b", "\x07", "\xc2\x9b", "\x7f"}) CHECK_FALSE(run.out.Has(bad));
    }
  }
}

TEST_CASE("slipway: nothing is coloured and no bar is drawn where it is piped", "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  const testing::TempDir dir;
  auto all = Listings();
  all.pop_back();
  all.push_back({"archive", "get", kRelease, "--dir", dir / "out"});
  all.push_back({"tasks", "show", "nope"});
  MakeHostile(f);
  for (const std::vector<std::string>& words : all) {
    CliRun run(f.controller, words);
    run.Wait();
    INFO(words.front());
    CHECK_FALSE(run.out.Has("\x1b"));
    CHECK_FALSE(run.err.Has("\x1b"));
  }
  CliRun terminal(f.controller, {"tasks", "show", "nope"}, {.terminal = true});
  terminal.Wait();
  CHECK(terminal.err.Has("\x1b["));
}

TEST_CASE("slipway -o: JSON and YAML are one document, and --json is short for -o json",
          "[unit][cli]") {
  Fixture f;
  f.farm.application.set_description("no: 12");
  CliRun json(f.controller, {"apps", "show", "pocket-shop", "-o", "json"});
  CliRun brief(f.controller, {"apps", "show", "pocket-shop", "--json"});
  CliRun yaml(f.controller, {"apps", "show", "pocket-shop", "--output", "yaml"});
  CliRun both(f.controller, {"apps", "--json", "-o", "yaml"});
  CliRun unknown(f.controller, {"apps", "-o", "xml"});
  CHECK(json.Wait() == 0);
  CHECK(brief.Wait() == 0);
  CHECK(yaml.Wait() == 0);
  CHECK(json.out.text() == brief.out.text());
  CHECK(both.Wait() == 2);
  CHECK(unknown.Wait() == 2);
  auto document = config::Document::Parse(yaml.out.text(), "out.yaml");
  REQUIRE_OK(document);
  CHECK(document->Root().GetString("name", "") == "pocket-shop");
  CHECK(document->Root().GetString("description", "") == "no: 12");
}

TEST_CASE("slipway cancel --wait: stays until the task has ended", "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  CliRun cancel(f.controller, {"cancel", kBuild, "--wait"});
  REQUIRE(testing::WaitUntil([&] {
    const std::lock_guard lock(f.farm.mu);
    return !f.farm.cancels.empty();
  }));
  f.End(kBuild, v1::TASK_STATE_CANCELED);
  CHECK(cancel.Wait() == 0);
  CHECK_THAT(cancel.out.text(), Contains("is canceled"));
  f.Begin(kPublish);
  CliRun busy(f.controller, {"cancel", kPublish, "--wait", "--patience", "50ms"});
  CHECK(busy.Wait() == 1);
  CHECK_THAT(busy.out.text(), Contains("its end is asked for"));
}

TEST_CASE("Progress: how far it is, and how much where nobody knows", "[unit][cli]") {
  const Text english(Language::kEnglish);
  CHECK_THAT(DrawProgress(50, 200, english),
             Contains("25%") && Contains("50 B of 200 B") && Contains("[######···"));
  CHECK_THAT(DrawProgress(300, 200, english), Contains("100%"));
  CHECK_THAT(DrawProgress(300, 0, Text(Language::kChinese)), Contains("已接收 300 B"));
  std::ostringstream piped;
  {
    ProgressBar bar(piped, false, english);
    bar.Show(1, 2);
  }
  CHECK(piped.str().empty());
  std::ostringstream terminal;
  {
    ProgressBar bar(terminal, true, english);
    bar.Show(1, 2);
  }
  CHECK_THAT(terminal.str(), Contains("50%") && Catch::EndsWith("\r\x1b[K"));
}

}  // namespace
}  // namespace slipway::cli
