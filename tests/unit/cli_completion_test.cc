#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/process/process.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::TempDir;
using testing::WriteFile;

std::string Script(const std::string& shell, std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"completion", shell};
  words.insert(words.end(), more.begin(), more.end());
  CliRun run(words);
  REQUIRE(run.Wait() == 0);
  return run.out.text();
}

process::Result Sh(std::vector<std::string> argv) {
  process::Command command;
  command.argv = std::move(argv);
  command.env = {{"PATH", "/usr/bin:/bin"}};
  auto result = process::Run(command);
  REQUIRE_OK(result);
  return *std::move(result);
}

// What bash offers for the words, the last of which is being typed.
std::string Offered(const std::string& words, int count) {
  const TempDir dir;
  WriteFile(dir / "run.sh", Script("bash") + "COMP_WORDS=(" + words +
                                ")\nCOMP_CWORD=" + std::to_string(count) +
                                "\n_slipway\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
  const auto result = Sh({"bash", dir / "run.sh"});
  INFO(result.err);
  CHECK(result.Succeeded());
  return result.out;
}

TEST_CASE("slipway completion: the scripts are good in their shells", "[unit][cli]") {
  const TempDir dir;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    for (const char* language : {"en", "zh"}) {
      const std::string file = dir / shell;
      WriteFile(file, Script(shell, {"--lang", language}));
      if (!std::filesystem::exists("/usr/bin/" + shell) &&
          !std::filesystem::exists("/bin/" + shell)) {
        WARN(shell + " is not installed: its script is not checked");
        continue;
      }
      const auto result = Sh({shell, "-n", file});
      INFO(shell << ": " << result.err);
      CHECK(result.Succeeded());
    }
  }
  CliRun unknown({"completion", "tcsh"});
  CHECK(unknown.Wait() == 2);
}

TEST_CASE("slipway completion bash: commands, flags and the words of flags", "[unit][cli]") {
  CHECK_THAT(Offered("slipway ''", 1),
             Contains("accounts\n") && Contains("login\n") && Contains("completion\n"));
  CHECK(Offered("slipway acc", 1) == "accounts\n");
  CHECK_THAT(Offered("slipway --server x grants ''", 4),
             Contains("add\n") && Contains("remove\n") && !Contains("login"));
  CHECK_THAT(Offered("slipway grants add li --", 4),
             Contains("--preset\n") && Contains("--pages\n") && Contains("--context\n"));
  CHECK(Offered("slipway grants add li --preset ''", 5) == "developer\nproduct\n");
  CHECK(Offered("slipway grants add li --op publish,de", 5) == "publish,deploy\n");
  CHECK(Offered("slipway tasks -o ''", 3) == "table\njson\nyaml\n");
  CHECK(Offered("slipway tasks --output = y", 4) == "yaml\n");
  CHECK(Offered("slipway completion z", 2) == "zsh\n");
  CHECK(Offered("slipway accounts create --kind s", 4) == "service\n");
  // A value that is also the name of a command is none.
  CHECK_THAT(Offered("slipway --context tasks ''", 3), Contains("accounts\n"));
}

TEST_CASE("slipway completion: zsh and fish have the same commands and words", "[unit][cli]") {
  for (const char* shell : {"zsh", "fish"}) {
    CHECK_THAT(Script(shell), Contains("reset-password") && Contains("developer product") &&
                                  Contains("table json yaml") && Contains("ca-fingerprint"));
  }
}

}  // namespace
}  // namespace slipway::cli
