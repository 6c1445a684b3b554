#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <stop_token>
#include <string>

#include "controller/cli/terminal.h"

namespace slipway::cli {
namespace {

using Catch::Contains;

// Reads until `part` has come, or the other end is closed; all that came.
std::string ReadUntil(int fd, const std::string& part) {
  std::string text;
  std::array<char, 256> piece{};
  while (part.empty() || text.find(part) == std::string::npos) {
    pollfd wait{fd, POLLIN, 0};
    if (poll(&wait, 1, 10'000) != 1) break;
    const ssize_t n = read(fd, piece.data(), piece.size());
    if (n <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  return text;
}

struct Asked {
  std::string screen;
  // What the program got, and whether the terminal shows what is typed again.
  std::string got;
};

// A process with a terminal of its own asks; the person types `typed`, which may be nothing.
Asked AskInTerminal(bool secret, const std::string& typed, const std::stop_token& stop) {
  std::array<int, 2> answer{};
  REQUIRE(pipe(answer.data()) == 0);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto line = AskOnTerminal("Password: ", secret, stop);
    termios now{};
    tcgetattr(STDIN_FILENO, &now);
    std::string got = line.ok() ? *line : "error";
    got += (now.c_lflag & ECHO) != 0 ? " (shown)" : " (hidden)";
    const bool told = write(answer[1], got.data(), got.size()) >= 0;
    _exit(told ? 0 : 1);
  }
  close(answer[1]);
  Asked asked;
  asked.screen = ReadUntil(terminal, stop.stop_requested() ? "" : "Password: ");
  if (!typed.empty()) {
    REQUIRE(write(terminal, typed.data(), typed.size()) == static_cast<ssize_t>(typed.size()));
  }
  asked.got = ReadUntil(answer[0], "");
  asked.screen += ReadUntil(terminal, "");
  close(answer[0]);
  close(terminal);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  return asked;
}

TEST_CASE("Terminal: a secret is not shown while it is typed, and later lines are", "[unit][cli]") {
  const Asked asked = AskInTerminal(true, "hunter2\n", {});
  CHECK(asked.got == "hunter2 (shown)");
  CHECK_THAT(asked.screen, Contains("Password: ") && !Contains("hunter2"));
}

TEST_CASE("Terminal: what is no secret is shown", "[unit][cli]") {
  const Asked asked = AskInTerminal(false, "wang\n", {});
  CHECK(asked.got == "wang (shown)");
  CHECK_THAT(asked.screen, Contains("wang"));
}

TEST_CASE("Terminal: Ctrl-C ends the question and leaves the terminal as it was", "[unit][cli]") {
  std::stop_source stop;
  stop.request_stop();
  CHECK(AskInTerminal(true, "", stop.get_token()).got == "error (shown)");
  // The end of input, Ctrl-D.
  CHECK(AskInTerminal(true, "\x04", {}).got == "error (shown)");
}

}  // namespace
}  // namespace slipway::cli
