#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/store/pg/os_user.h"

namespace slipway::store::pg {

// A program to start in a session of its own, with a clean signal mask, an environment of only
// LC_ALL, PATH and TZ, working directory "/", no input, and output and errors in one file.
struct ProgramToRun {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  OsUser user;
  // Truncated at the start. Opened by this process, so `user` needs no right to it.
  std::filesystem::path output_file;
};

// One process that this object watches, whether it was started here or found. It holds a pidfd, so
// a reused process id is never mistaken for it. Destruction neither ends nor waits for the process.
// Thread-compatible.
class ServerProcess {
 public:
  // The process outlives the caller, even a caller ended by SIGKILL.
  static absl::StatusOr<ServerProcess> Spawn(const ProgramToRun& program);
  // kNotFound: there is no such process.
  static absl::StatusOr<ServerProcess> Attach(pid_t pid);

  ServerProcess(ServerProcess&& other) noexcept;
  ServerProcess& operator=(ServerProcess&& other) noexcept;
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Waits at most `limit` for the process to end and reaps it when it is our child. False: it still
  // runs.
  bool WaitForEnd(Duration limit);
  // Exit code, or 128 + signal; -1 when it runs or was nobody's child of ours.
  [[nodiscard]] int exit_code() const { return exit_code_; }
  // Ok when the process has ended already.
  absl::Status Signal(int signal_number);

 private:
  ServerProcess(pid_t pid, int fd, bool is_child) : pid_(pid), fd_(fd), is_child_(is_child) {}

  pid_t pid_ = -1;
  int fd_ = -1;
  bool is_child_ = false;
  int exit_code_ = -1;
};

// Runs to the end. An exit code other than 0 or the deadline is an error quoting the output's end.
absl::Status RunToEnd(const ProgramToRun& program, Duration deadline);

// The last part of a log, at most `max_bytes`, for an error message; empty when there is none.
std::string TailOfFile(const std::filesystem::path& file, std::size_t max_bytes);

// The arguments of a running process and its uid; nullopt when it is gone. Readable for every
// process on any machine, unlike its working directory or program.
struct ProcessIdentity {
  uid_t uid = 0;
  std::vector<std::string> arguments;
};
std::optional<ProcessIdentity> IdentifyProcess(pid_t pid);

}  // namespace slipway::store::pg
