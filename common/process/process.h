#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"

// Running one external program to its end.
namespace slipway::process {

struct Command {
  // argv[0] is the program: a path, or a name searched in the PATH of `env`. No shell sees it.
  std::vector<std::string> argv;
  // The whole environment; nothing is inherited.
  std::map<std::string, std::string> env;
  // Empty: the directory of this process.
  std::string cwd;
  // Open files of this process that the program gets under the same numbers. With any, neither it
  // nor what it starts writes core dumps: what they hold may be secret.
  std::vector<int> files = {};
  // Killed with this process, however that ends; what it has started itself is not.
  bool dies_with_caller = false;
  // From start to end of the program and of everything that holds its output open.
  Duration timeout = std::chrono::minutes(10);
  // Between SIGTERM and SIGKILL.
  Duration kill_grace = std::chrono::seconds(5);
  // Bytes kept of each stream: the last ones.
  std::size_t max_output = 64 * 1024;
};

struct Result {
  enum class End { kExited, kSignaled, kTimedOut, kStopped };

  End end = End::kExited;
  // Of kExited.
  int exit_code = 0;
  // Of kSignaled.
  int signal = 0;
  // The tail of each stream and how many bytes before it were dropped.
  std::string out;
  std::string err;
  std::uint64_t out_dropped = 0;
  std::uint64_t err_dropped = 0;

  [[nodiscard]] bool Succeeded() const { return end == End::kExited && exit_code == 0; }
};

// Runs the command in a process group of its own, with standard input from /dev/null and no other
// open file than `files`, and waits. At the deadline, or when `stop` is requested, the whole group
// gets SIGTERM and after the grace SIGKILL; a group whose leader has ended is killed at once. A
// program that fails is a Result; the errors are those of starting it: kNotFound (no such program),
// kPermissionDenied, kResourceExhausted. Thread-safe; blocks.
[[nodiscard]] absl::StatusOr<Result> Run(const Command& command, const std::stop_token& stop = {});

}  // namespace slipway::process
