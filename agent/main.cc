#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "agent/app.h"
#include "agent/link/enroll.h"
#include "agent/options.h"
#include "common/config/units.h"
#include "common/log/log.h"
#include "common/rpc/deadlock_search.h"
#include "common/rpc/grpc_log.h"
#include "common/status/status.h"
#include "common/supervisor/notifier.h"

namespace slipway::agent {
namespace {

constexpr char kDefaultDataDir[] = "/var/lib/slipway-agent";

// As of `slipway`.
constexpr int kWrongUsage = 2;

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "slipway-agent: %s\n", Describe(status).c_str());
  return 1;
}

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "agent";
  return name;
}

// What flags say on top of the file; absent: the file's word stands.
struct RunFlags {
  std::string data_dir = kDefaultDataDir;
  std::string config;
  std::optional<std::string> work_dir;
  std::optional<std::uint32_t> slots;
  std::vector<std::string> labels;
  std::optional<std::string> docker_socket;
  std::optional<std::string> network;
  std::optional<std::string> init_binary;
  std::optional<std::string> server_name;
  std::optional<std::string> log_level;
  bool allow_file = false;
};

absl::StatusOr<Options> OptionsOf(const RunFlags& flags) {
  Options options;
  std::error_code error;
  options.data_dir = std::filesystem::absolute(flags.data_dir, error).lexically_normal().string();
  const bool chosen = !flags.config.empty();
  SLIPWAY_RETURN_IF_ERROR(
      LoadOptions(chosen ? flags.config : options.data_dir + "/config.yaml", chosen, options));
  if (flags.work_dir) options.work_dir = *flags.work_dir;
  if (flags.slots) options.slots = *flags.slots;
  if (flags.docker_socket) options.docker_socket = *flags.docker_socket;
  if (flags.network) options.network = *flags.network;
  if (flags.init_binary) options.init_binary = *flags.init_binary;
  if (flags.server_name) options.server_name = *flags.server_name;
  if (flags.log_level) options.log_level = *flags.log_level;
  options.git_allow_file = options.git_allow_file || flags.allow_file;
  for (const std::string& label : flags.labels) {
    const std::size_t equals = label.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return MakeError(absl::StatusCode::kInvalidArgument, "",
                       "--label " + label + ": must be NAME=VALUE");
    }
    options.labels.insert_or_assign(label.substr(0, equals), label.substr(equals + 1));
  }
  if (!options.work_dir.empty()) {
    options.work_dir = std::filesystem::absolute(options.work_dir, error).string();
  }
  return options;
}

// Signals are taken by a thread of their own; every other thread is started with them blocked.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGQUIT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  return signals;
}

// The first SIGTERM or SIGINT drains, the second ends builds, which then go elsewhere; the third
// one and SIGQUIT end this process alone.
void TakeSignals(const sigset_t& signals, const supervisor::Notifier& notifier, App& app) {
  for (int asked = 1;; ++asked) {
    int signal = 0;
    sigwait(&signals, &signal);
    const bool at_once = signal == SIGQUIT || asked > 2;
    const char* how = at_once      ? "at once; builds go on"
                      : asked == 1 ? "when drained"
                                   : "soon; builds are ended and go elsewhere";
    log::Info("stopping", {{"signal", std::to_string(signal)}, {"how", how}});
    notifier.Stopping(std::string("ends ") + how);
    if (at_once) return app.RequestStop();
    asked == 1 ? app.RequestDrain() : app.RequestHurry();
  }
}

int RunAgent(const RunFlags& flags) {
  // Credentials pass through this process: no core file and no debugger of its own user.
  prctl(PR_SET_DUMPABLE, 0);
  // Threads that mostly wait need no heap of their own each.
  mallopt(M_ARENA_MAX, 2);
  rpc::TurnOffDeadlockSearch();
  const sigset_t signals = BlockSignals();
  const supervisor::Notifier notifier({.notify_socket = getenv("NOTIFY_SOCKET"),
                                       .watchdog_usec = getenv("WATCHDOG_USEC"),
                                       .watchdog_pid = getenv("WATCHDOG_PID")});
  // Not for git and what it starts.
  unsetenv("NOTIFY_SOCKET");
  absl::StatusOr<Options> options = OptionsOf(flags);
  if (!options.ok()) return Complain(options.status());
  const std::optional<log::Level> level = log::ParseLevel(options->log_level);
  if (!level) {
    return Complain(
        MakeError(absl::StatusCode::kInvalidArgument, "",
                  "--log-level " + options->log_level + ": must be debug, info, warn or error"));
  }
  log::SetLevel(*level);
  absl::StatusOr<std::unique_ptr<App>> app = App::Create(*std::move(options));
  if (!app.ok()) return Complain(app.status());
  std::thread([&] { TakeSignals(signals, notifier, **app); }).detach();
  notifier.Ready("started");
  const int status = (*app)->Run(notifier);
  notifier.Stopping("ending");
  if (status == App::kRefused) (void)Complain((*app)->refusal());
  const bool clean = (*app)->Stop();
  log::Info("stopped", {{"clean", clean ? "yes" : "no"}});
  // The signal thread may still be waiting, and calls to the Engine or git may be under way.
  std::fflush(nullptr);
  _exit(status);
}

void AddRunFlags(CLI::App& command, RunFlags& flags) {
  command.add_option("--data-dir", flags.data_dir, "Where join left this agent")
      ->capture_default_str();
  command.add_option("--config", flags.config, "Options file (default: DATA_DIR/config.yaml)");
  command.add_option("--work-dir", flags.work_dir,
                     "Mirrors and work trees (default: DATA_DIR/work)");
  command.add_option("--slots", flags.slots, "Tasks at once (default: 2)");
  command.add_option("--label", flags.labels, "NAME=VALUE that tasks may require; repeatable");
  command.add_option("--docker-socket", flags.docker_socket,
                     "Docker Engine (default: /var/run/docker.sock)");
  command.add_option("--network", flags.network,
                     "Name of the agent's own bridge network (default: slipway)");
  command.add_option("--init-binary", flags.init_binary,
                     "slipway-init (default: beside this program)");
  command.add_option("--server-name", flags.server_name,
                     "Name to expect in the controller's certificate");
  command.add_option("--log-level", flags.log_level, "debug, info, warn or error (default: info)");
  command.add_flag("--allow-file-repositories", flags.allow_file,
                   "Take repositories of this machine (file:// and /paths)");
}

int Main(int argc, char** argv) {
  CLI::App cli("Runs builds and publishes of a Slipway farm on this machine.", "slipway-agent");
  cli.set_version_flag("--version", SLIPWAY_VERSION);
  cli.require_subcommand(0, 1);
  RunFlags run_flags;
  AddRunFlags(cli, run_flags);
  CLI::App* run = cli.add_subcommand("run", "Run the agent (also without any command)");
  AddRunFlags(*run, run_flags);

  link::JoinOrder order;
  order.data_dir = kDefaultDataDir;
  order.name = HostName();
  CLI::App* join = cli.add_subcommand("join", "Make this machine an agent of a farm, once");
  join->add_option("server", order.server, "The controller, HOST:PORT")->required();
  join->add_option("--token", order.token, "What `slipway agents token` printed")->required();
  join->add_option("--data-dir", order.data_dir, "Where to keep key, certificates and work")
      ->capture_default_str();
  join->add_option("--name", order.name, "Shown to people, unique in the farm")
      ->capture_default_str();
  join->add_option("--server-name", order.server_name,
                   "Name to expect in the controller's certificate (default: HOST)");
  cli.footer(
      "SIGTERM or SIGINT: takes no new work, finishes what runs, ends with 0; again: ends builds, "
      "which\n"
      "go elsewhere; a third time, or SIGQUIT: ends at once, and builds go on until the next "
      "start.\n"
      "Exit status 77: the farm does not want this agent any more; the message says why.\n"
      "Options file (YAML): work_dir, slots, labels{}, server_name, log_level, init_binary,\n"
      "ca_bundle, log_budget, docker{socket, network, subnet, allow_host_network,\n"
      "engine_path_map[{agent, engine}], pull, registries[], pull_timeout},\n"
      "max_limits{cpus, memory, pids, disk}, disk_pressure{bytes, percent},\n"
      "disk_floor{bytes, percent}, health{interval, engine_patience}, git{allow_file,\n"
      "allow_http, fetch_timeout, environment{}}.");
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // --help and --version.
    if (e.get_exit_code() == 0) return cli.exit(e);
    std::fprintf(stderr, "slipway-agent: %s\n  → slipway-agent --help shows what there is\n",
                 e.what());
    return kWrongUsage;
  }
  // Who sets it wants gRPC's own lines.
  if (getenv("GRPC_VERBOSITY") == nullptr) rpc::RouteGrpcLog();
  if (!join->parsed()) return RunAgent(run_flags);
  // A person waits for one answer.
  log::SetLevel(log::Level::kError);
  if (const absl::Status joined = link::Join(order); !joined.ok()) return Complain(joined);
  std::printf("%s has joined the farm at %s; start it with: slipway-agent run --data-dir %s\n",
              order.name.c_str(), order.server.c_str(), order.data_dir.c_str());
  return 0;
}

}  // namespace
}  // namespace slipway::agent

int main(int argc, char** argv) { return slipway::agent::Main(argc, argv); }
