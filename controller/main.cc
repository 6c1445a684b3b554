#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/log/log.h"
#include "common/rpc/deadlock_search.h"
#include "common/rpc/grpc_log.h"
#include "common/status/status.h"
#include "common/supervisor/notifier.h"
#include "controller/app.h"
#include "controller/options.h"

namespace {

constexpr char kFooter[] = R"(
Without --database-url the controller starts and owns a private PostgreSQL in its data directory.
The first start writes DIR/ca.pem and DIR/admin.token, which clients need.
SIGTERM or SIGINT stops it cleanly; builds go on at their agents. SIGHUP makes it read the
certificate of its HTTP port anew.)";

// As of `slipway`.
constexpr int kWrongUsage = 2;

// Certificates are read anew.
void Reload(slipway::controller::App& app) {
  const absl::Status status = app.Reload();
  if (status.ok()) {
    slipway::log::Info("reloaded");
  } else {
    slipway::log::Error("reload_failed", {{"error", std::string(status.message())}});
  }
}

// Until one of `signals` that ends the program comes. Meanwhile tells a watchdog that the scheduler
// turns; one that hangs is not vouched for, and the controller is then ended and started again.
int WaitForSignal(const sigset_t& signals, const slipway::supervisor::Notifier& notifier,
                  slipway::controller::App& app) {
  if (!notifier.watchdog()) {
    int signal_number = 0;
    do {
      sigwait(&signals, &signal_number);
      if (signal_number == SIGHUP) Reload(app);
    } while (signal_number == SIGHUP);
    return signal_number;
  }
  using std::chrono::duration_cast;
  const auto pause = duration_cast<std::chrono::nanoseconds>(*notifier.watchdog() / 3);
  const auto seconds = duration_cast<std::chrono::seconds>(pause);
  const timespec wait{.tv_sec = seconds.count(), .tv_nsec = (pause - seconds).count()};
  while (true) {
    if (app.idle_for() < *notifier.watchdog()) notifier.Alive();
    const int signal_number = sigtimedwait(&signals, nullptr, &wait);
    if (signal_number == SIGHUP) Reload(app);
    if (signal_number > 0 && signal_number != SIGHUP) return signal_number;
  }
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "slipway-controller: %s\n", slipway::Describe(status).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  // Keys live in this process.
  prctl(PR_SET_DUMPABLE, 0);
  // One arena per core would cost megabytes for nothing.
  mallopt(M_ARENA_MAX, 2);
  slipway::rpc::TurnOffDeadlockSearch();
  // Segments of logs go back to the system when they are freed; left to itself malloc soon keeps
  // pieces of that size in its heap, as many as were ever in use at once.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  // Who sets it wants gRPC's own lines.
  if (getenv("GRPC_VERBOSITY") == nullptr) slipway::rpc::RouteGrpcLog();

  CLI::App cli{
      "The controller of a Slipway farm: schedules builds and publishes, keeps their logs "
      "and products."};
  cli.footer(kFooter);
  std::string config;
  std::string data_dir;
  std::string listen;
  std::string database_url;
  cli.add_option("--config", config, "YAML configuration, see docs/configuration.md");
  cli.add_option("--data-dir", data_dir, "Folder for everything the controller owns");
  cli.add_option("--listen", listen, "HOST:PORT of the gRPC listener (default 0.0.0.0:7443)");
  std::string http_listen;
  std::string http_tls;
  std::string http_certificate;
  std::string http_key;
  bool http_allow_plain = false;
  cli.add_option("--http-listen", http_listen,
                 "HOST:PORT of the HTTP port (default 127.0.0.1:7480), or off");
  cli.add_option("--http-tls", http_tls,
                 "off: plain HTTP (default); own: a certificate of the farm's CA; given: the files "
                 "of --http-certificate and --http-key")
      ->check(CLI::IsMember({"off", "own", "given"}));
  cli.add_option("--http-certificate", http_certificate,
                 "PEM file with the certificate of the HTTP port and those up to its CA");
  cli.add_option("--http-key", http_key, "PEM file with its private key");
  cli.add_flag("--http-allow-plain", http_allow_plain,
               "Serve HTTP without TLS to other machines, where a proxy adds TLS");
  cli.add_option("--database-url", database_url,
                 "libpq URL of a PostgreSQL server; better in the configuration when it holds a "
                 "password");
  bool new_keys = false;
  cli.add_flag("--new-keys", new_keys,
               "Make new farm keys when those of a farm in use are lost: every agent joins anew, "
               "every credential is sealed anew");
  cli.set_version_flag("--version", "slipway-controller 0.1.0");
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // --help and --version.
    if (e.get_exit_code() == 0) return cli.exit(e);
    std::fprintf(stderr,
                 "slipway-controller: %s\n  → slipway-controller --help shows what there is\n",
                 e.what());
    return kWrongUsage;
  }

  slipway::controller::Options options;
  if (!config.empty()) {
    auto loaded = slipway::controller::LoadOptions(config);
    if (!loaded.ok()) return Fail(loaded.status());
    options = *std::move(loaded);
  }
  if (!data_dir.empty()) options.data_dir = data_dir;
  if (!listen.empty()) options.listen = listen;
  if (!database_url.empty()) options.database_url = database_url;
  if (!http_listen.empty()) options.http_listen = http_listen;
  if (!http_tls.empty()) options.http_tls = *slipway::controller::ParseHttpTls(http_tls);
  if (!http_certificate.empty()) options.http_certificate = http_certificate;
  if (!http_key.empty()) options.http_key = http_key;
  if (http_allow_plain) options.http_allow_plain = true;
  options.new_keys = new_keys;
  if (options.data_dir.empty()) {
    return Fail(slipway::MakeError(absl::StatusCode::kInvalidArgument, "NO_DATA_DIR",
                                   "no data directory is given",
                                   "Give --data-dir DIR, or data_dir in the configuration."));
  }

  const slipway::supervisor::Notifier notifier({.notify_socket = getenv("NOTIFY_SOCKET"),
                                                .watchdog_usec = getenv("WATCHDOG_USEC"),
                                                .watchdog_pid = getenv("WATCHDOG_PID")});
  // Not for PostgreSQL, which would say that it is ready.
  unsetenv("NOTIFY_SOCKET");

  // Before any thread, so that all of them leave these signals to sigwait below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  std::atomic<bool> failed{false};
  auto app = slipway::controller::App::Start(options, [&failed](const absl::Status& status) {
    slipway::log::Error("fatal", {{"error", std::string(status.message())}});
    failed = true;
    kill(getpid(), SIGTERM);
  });
  if (!app.ok()) return Fail(app.status());
  slipway::log::Info("ready", {{"listen", options.listen},
                               {"port", std::to_string((*app)->port())},
                               {"http_listen", options.http_listen},
                               {"http_port", std::to_string((*app)->http_port())},
                               {"ca", (*app)->ca_file()},
                               {"admin_token_file", (*app)->token_file()}});
  notifier.Ready(fmt::format("serving on port {}", (*app)->port()));
  const int signal_number = WaitForSignal(signals, notifier, **app);
  slipway::log::Info("stopping", {{"signal", std::to_string(signal_number)}});
  notifier.Stopping("ending calls; builds go on at their agents");
  (*app)->Stop();
  slipway::log::Info("stopped");
  return failed ? 1 : 0;
}
