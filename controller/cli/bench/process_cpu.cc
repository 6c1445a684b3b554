#include "controller/cli/bench/process_cpu.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::bench {

absl::StatusOr<double> CpuSeconds(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/stat", pid);
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  // The program's name, in parentheses, may hold anything; utime is the 12th field behind it.
  const std::size_t end = text.rfind(')');
  std::istringstream fields(end == std::string::npos ? "" : text.substr(end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  if (!(fields >> user >> system)) {
    return cli::UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                                     fmt::format("--controller-pid: cannot read {}", path),
                                     "Give the process id of slipway-controller on this machine."));
  }
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace slipway::bench
