#include "common/process/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::process {
namespace {

using testing::StatusIs;
using namespace std::chrono_literals;

Command Shell(const std::string& script) {
  Command command;
  command.argv = {"/bin/sh", "-c", script};
  command.env = {{"PATH", "/usr/bin:/bin"}};
  command.timeout = 20s;
  command.kill_grace = 200ms;
  return command;
}

// True when no process of this number is left, or init has yet to reap it.
bool Gone(pid_t pid) {
  return testing::WaitUntil([&] {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    return !std::getline(stat, text) || text.find(") Z ") != std::string::npos;
  });
}

TEST_CASE("Run: gives both streams and the exit code", "[unit][process]") {
  const auto result = Run(Shell("echo out; echo err >&2; exit 7"));
  REQUIRE_OK(result);
  CHECK(result->end == Result::End::kExited);
  CHECK(result->exit_code == 7);
  CHECK(result->out == "out\n");
  CHECK(result->err == "err\n");
  CHECK_FALSE(result->Succeeded());
}

TEST_CASE("Run: a program that is given open files writes no core dump of what it reads there",
          "[unit][process]") {
  Command command = Shell("ulimit -S -c; ulimit -H -c");
  const auto without = Run(command);
  REQUIRE_OK(without);
  INFO(without->out);
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  command.files = {file};
  const auto with = Run(command);
  close(file);
  REQUIRE_OK(with);
  CHECK(with->out == "0\n0\n");
}

TEST_CASE("Run: a program that dies with its caller does so when that is killed",
          "[unit][process]") {
  const testing::TempDir dir;
  const std::string started = dir / "pid";
  const pid_t caller = fork();
  REQUIRE(caller >= 0);
  if (caller == 0) {
    Command command = Shell("echo $$ > " + started + ".new; mv " + started + ".new " + started +
                            "; exec sleep 1000");
    command.timeout = 1h;
    command.dies_with_caller = true;
    (void)Run(command);
    _exit(0);
  }
  const bool runs = testing::WaitUntil([&] { return std::filesystem::exists(started); });
  kill(caller, SIGKILL);
  waitpid(caller, nullptr, 0);
  REQUIRE(runs);
  CHECK(Gone(std::stoi(testing::ReadFile(started))));
}

TEST_CASE("Run: the program sees its own environment, directory and an empty input",
          "[unit][process]") {
  setenv("SLIPWAY_TEST_LEAK", "1", 1);
  Command command = Shell("pwd; cat; echo \"$A-$SLIPWAY_TEST_LEAK\"; ls /proc/self/fd | wc -l");
  command.env["A"] = "x y";
  command.cwd = "/usr";
  const auto result = Run(command);
  unsetenv("SLIPWAY_TEST_LEAK");
  REQUIRE_OK(result);
  // ls itself opens one.
  CHECK(result->out == "/usr\nx y-\n4\n");
}

TEST_CASE("Run: arguments reach the program unchanged", "[unit][process]") {
  Command command;
  command.argv = {"printf", "%s|", "a b", "$(id)", "", "*"};
  const auto result = Run(command);
  REQUIRE_OK(result);
  CHECK(result->out == "a b|$(id)||*|");
}

TEST_CASE("Run: of long output the tail is kept and the rest counted", "[unit][process]") {
  Command command = Shell("i=0; while [ $i -lt 20000 ]; do echo line$i; i=$((i+1)); done");
  command.max_output = 1000;
  const auto result = Run(command);
  REQUIRE_OK(result);
  CHECK(result->out.size() == 1000);
  CHECK(result->out.rfind("line19999\n") == 990);
  CHECK(result->out_dropped > 100'000);
}

TEST_CASE("Run: at the deadline a group that ignores TERM is killed", "[unit][process]") {
  Command command = Shell("trap '' TERM; sleep 60 & echo $!; while :; do sleep 60; done");
  command.timeout = 300ms;
  const auto start = std::chrono::steady_clock::now();
  const auto result = Run(command);
  REQUIRE_OK(result);
  CHECK(result->end == Result::End::kTimedOut);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  CHECK(Gone(std::stoi(result->out)));
}

TEST_CASE("Run: a program that writes without end meets its deadline", "[unit][process]") {
  Command command = Shell("exec cat /dev/zero");
  command.timeout = 300ms;
  const auto result = Run(command);
  REQUIRE_OK(result);
  CHECK(result->end == Result::End::kTimedOut);
}

TEST_CASE("Run: a stop request ends it", "[unit][process]") {
  std::stop_source stop;
  absl::StatusOr<Result> result = absl::UnknownError("not run");
  const auto start = std::chrono::steady_clock::now();
  const testing::TempDir temp;
  const std::string started = temp / "started";
  std::thread runner(
      [&] { result = Run(Shell("touch " + started + "; sleep 60"), stop.get_token()); });
  CHECK(testing::WaitUntil([&] { return std::filesystem::exists(started); }));
  stop.request_stop();
  runner.join();
  REQUIRE_OK(result);
  CHECK(result->end == Result::End::kStopped);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("Run: a daemon left behind in the group neither holds the call nor survives it",
          "[unit][process]") {
  const auto start = std::chrono::steady_clock::now();
  const auto result = Run(Shell("sleep 60 & echo $!"));
  REQUIRE_OK(result);
  CHECK(result->Succeeded());
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  CHECK(Gone(std::stoi(result->out)));
}

TEST_CASE("Run: a program killed by a signal says which", "[unit][process]") {
  const auto result = Run(Shell("kill -SEGV $$"));
  REQUIRE_OK(result);
  CHECK(result->end == Result::End::kSignaled);
  CHECK(result->signal == SIGSEGV);
}

TEST_CASE("Run: a missing program or directory is an error of the call", "[unit][process]") {
  Command command;
  command.argv = {"slipway-no-such-program"};
  CHECK_THAT(Run(command).status(), StatusIs(absl::StatusCode::kNotFound, "PROGRAM_MISSING"));
  command = Shell("true");
  command.cwd = "/nonexistent";
  CHECK_THAT(Run(command).status(), StatusIs(absl::StatusCode::kNotFound, "/nonexistent"));
}

TEST_CASE("Run: many at once do not mix", "[unit][process]") {
  std::vector<std::thread> threads;
  std::vector<int> wrong(8, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string word = std::to_string(t) + "." + std::to_string(i);
        const auto result = Run(Shell("echo " + word));
        if (!result.ok() || result->out != word + "\n") ++wrong[t];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(8, 0));
}

}  // namespace
}  // namespace slipway::process
