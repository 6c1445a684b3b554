// Where a script that somebody brought lies, and what runs it.
#include "agent/runner/brought_script.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::runner {
namespace {

using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

struct Home {
  Home() { std::filesystem::create_directory(dir / "home"); }
  absl::Status Place(const BroughtScript& script) const {
    return PlaceScript(script, dir.path(), dir / "home");
  }
  TempDir dir;
};

TEST_CASE("BroughtScript: whatever it is called, it lies under its name and may be executed",
          "[unit]") {
  for (const std::string& name :
       {std::string("check"), std::string("-rf"), std::string("检查 全部 '\"$(x).sh"),
        std::string("..."), std::string(255, 'n')}) {
    CAPTURE(name);
    const Home home;
    REQUIRE_OK(home.Place({.name = name, .bytes = std::string("#!/bin/sh\n\0", 11)}));
    const std::string path = home.dir / "home/.slipway-script/" + name;
    CHECK(ReadFile(path) == std::string("#!/bin/sh\n\0", 11));
    struct stat about {};
    REQUIRE(stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 07777) == 0755);
    CHECK_FALSE(std::filesystem::exists(home.dir / "script.new"));
  }
}

TEST_CASE("BroughtScript: one that lies there may be running and is left alone", "[unit]") {
  const Home home;
  REQUIRE_OK(home.Place({.name = "a", .bytes = "first"}));
  REQUIRE_OK(home.Place({.name = "a", .bytes = "second"}));
  CHECK(ReadFile(home.dir / "home/.slipway-script/a") == "first");
  // Also when nothing can be written any more: the agent may have been restarted on a full disk.
  REQUIRE_OK(
      PlaceScript({.name = "a", .bytes = "second"}, home.dir / "nowhere", home.dir / "home"));
}

TEST_CASE("BroughtScript: what a container put in its place leads nowhere else", "[unit]") {
  const Home home;
  const TempDir elsewhere;
  REQUIRE(symlink(elsewhere.path().c_str(), (home.dir / "home/.slipway-script").c_str()) == 0);
  REQUIRE_OK(home.Place({.name = "a", .bytes = "x"}));
  CHECK(std::filesystem::is_empty(elsewhere.path()));
}

TEST_CASE("BroughtScript: what a crash left half done is begun anew", "[unit]") {
  const Home home;
  std::filesystem::create_directory(home.dir / "script.new");
  WriteFile(home.dir / "script.new/a", "half");
  REQUIRE_OK(home.Place({.name = "a", .bytes = "whole"}));
  CHECK(ReadFile(home.dir / "home/.slipway-script/a") == "whole");
}

TEST_CASE("BroughtScript: it runs by itself when it says with what, else with the shell",
          "[unit]") {
  const std::string path = "/slipway/home/.slipway-script/a b";
  CHECK(ArgvOf({.name = "a b", .bytes = "#!/usr/bin/env python3\n"}) ==
        std::vector<std::string>{path});
  CHECK(ArgvOf({.name = "a b", .bytes = "echo\n"}) == std::vector<std::string>{"/bin/sh", path});
}

}  // namespace
}  // namespace slipway::runner
