#include "controller/cli/process.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <stop_token>
#include <thread>

#include "common/rpc/deadlock_search.h"
#include "controller/cli/terminal.h"

namespace slipway::cli {
namespace {

// Turns SIGINT and SIGTERM into a stop request. Made before any other thread exists, so that no
// thread gets them.
class SignalWatch {
 public:
  SignalWatch() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signals_ = signalfd(-1, &signals, SFD_CLOEXEC);
    end_ = eventfd(0, EFD_CLOEXEC);
    thread_ = std::thread([this] {
      pollfd wait[2] = {{signals_, POLLIN, 0}, {end_, POLLIN, 0}};
      while (poll(wait, 2, -1) < 0) {
      }
      if (wait[0].revents != 0) stop_.request_stop();
    });
  }
  ~SignalWatch() {
    const std::uint64_t one = 1;
    if (write(end_, &one, sizeof one) == sizeof one) thread_.join();
    close(end_);
    close(signals_);
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }

 private:
  std::stop_source stop_;
  int signals_ = -1;
  int end_ = -1;
  std::thread thread_;
};

}  // namespace

int RunAsProcess(const char* name, int argc, char** argv, ProgramFunction& program) {
  // What gRPC has to say about a failed handshake is in the call's status already.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  rpc::TurnOffDeadlockSearch();
  const SignalWatch signals;
  std::ios::sync_with_stdio(false);
  Surroundings surroundings{
      .out = std::cout,
      .err = std::cerr,
      .out_is_terminal = isatty(STDOUT_FILENO) == 1,
      .err_is_terminal = isatty(STDERR_FILENO) == 1,
      .environment =
          [](const char* variable) {
            const char* value = getenv(variable);
            return std::string(value == nullptr ? "" : value);
          },
      .stop = signals.token(),
      .in = &std::cin,
  };
  if (HasTerminal()) {
    surroundings.ask = [stop = signals.token()](const std::string& question, bool secret) {
      return AskOnTerminal(question, secret, stop);
    };
  }
  const int code = program(std::vector<std::string>(argv + 1, argv + argc), surroundings);
  if (!std::cout.flush() && code == 0) {
    std::cerr << name << ": cannot write to standard output\n";
    return 1;
  }
  return code;
}

}  // namespace slipway::cli
