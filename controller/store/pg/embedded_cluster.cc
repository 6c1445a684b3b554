#include "controller/store/pg/embedded_cluster.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "common/status/status.h"
#include "controller/store/pg/cluster_files.h"
#include "controller/store/pg/pqxx_status.h"
#include "controller/store/pg/server_process.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

namespace fs = std::filesystem;

constexpr char kOwnerRole[] = "slipway";
constexpr char kAdminRole[] = "slipway_admin";
constexpr char kDatabase[] = "slipway";
constexpr std::size_t kLogsKept = 5;
constexpr Duration kPollInterval = std::chrono::milliseconds(20);
// Between the loss of a server's connection and the end of its process.
constexpr Duration kLastBreath = std::chrono::seconds(2);
// After the order to give up at once; the server then only has to exit.
constexpr Duration kQuitDeadline = std::chrono::seconds(10);

absl::Status StartError(std::string_view message, const ClusterLayout& layout) {
  const std::string words = LastServerWords(layout);
  return MakeError(absl::StatusCode::kUnavailable, "CLUSTER_START",
                   words.empty() ? std::string(message) : fmt::format("{}:\n{}", message, words),
                   fmt::format("See {} and {}.", layout.startup_log.string(), layout.log.string()));
}

// Held as long as an object uses the cluster; the kernel gives it back with the process.
class ClusterLock {
 public:
  static absl::StatusOr<ClusterLock> Take(const ClusterLayout& layout) {
    ClusterLock lock(open(layout.lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (lock.fd_ < 0) return ErrnoError(errno, fmt::format("opening {}", layout.lock.string()));
    if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "CLUSTER_IN_USE",
                       fmt::format("another controller uses {}", layout.root.string()),
                       "Stop it first, or give this one a data directory of its own.");
    }
    return lock;
  }
  ClusterLock(ClusterLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ClusterLock(const ClusterLock&) = delete;
  ClusterLock& operator=(const ClusterLock&) = delete;
  ~ClusterLock() {
    if (fd_ >= 0) close(fd_);
  }

 private:
  explicit ClusterLock(int fd) : fd_(fd) {}
  int fd_;
};

bool IsServerOf(const ProcessIdentity& identity, const fs::path& data, uid_t uid) {
  if (identity.uid != uid || identity.arguments.empty()) return false;
  if (fs::path(identity.arguments[0]).filename() != "postgres") return false;
  for (std::size_t i = 1; i + 1 < identity.arguments.size(); ++i) {
    if (identity.arguments[i] == "-D") return identity.arguments[i + 1] == data.string();
  }
  return false;
}

// The server that postmaster.pid speaks of, when it really is one of this cluster: after a crash of
// the machine the number may belong to anybody.
absl::StatusOr<std::optional<ServerProcess>> FindRunningServer(const ClusterLayout& layout,
                                                               const OsUser& user) {
  const auto file = ReadPostmasterFile(layout.data);
  if (!file || file->pid <= 0) return std::nullopt;
  auto process = ServerProcess::Attach(file->pid);
  if (absl::IsNotFound(process.status())) return std::nullopt;
  if (!process.ok()) return process.status();
  // Asked after the pidfd is held, so that the answer is about the same process.
  const auto identity = IdentifyProcess(file->pid);
  if (!identity || !IsServerOf(*identity, layout.data, user.uid)) return std::nullopt;
  return std::optional<ServerProcess>(*std::move(process));
}

bool IsChildOfCluster(pid_t pid, const ClusterLayout& layout, const OsUser& user) {
  const auto identity = IdentifyProcess(pid);
  return identity && identity->uid == user.uid && !identity->arguments.empty() &&
         identity->arguments[0].starts_with(fmt::format("postgres: {}: ", layout.cluster_name));
}

std::vector<pid_t> ChildrenOfCluster(const ClusterLayout& layout, const OsUser& user) {
  std::vector<pid_t> children;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const pid_t pid = static_cast<pid_t>(std::atoi(it->path().filename().c_str()));
    if (pid > 0 && IsChildOfCluster(pid, layout, user)) children.push_back(pid);
  }
  return children;
}

// When the main server process was killed, the others still have the data open for a moment; until
// they are gone nobody may start a new one. They end by themselves when they notice.
absl::Status WaitForOrphans(const ClusterLayout& layout, const OsUser& user, Duration limit) {
  const SystemClock clock;
  const MonoTime deadline = clock.Mono() + limit;
  for (const pid_t pid : ChildrenOfCluster(layout, user)) {
    auto process = ServerProcess::Attach(pid);
    if (!process.ok() || !IsChildOfCluster(pid, layout, user)) continue;
    if (!process->WaitForEnd(deadline - clock.Mono())) {
      return StartError(fmt::format("process {} of the earlier server does not end", pid), layout);
    }
  }
  return absl::OkStatus();
}

std::string Parameter(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string ConnectionFor(const fs::path& socket_dir, std::string_view role,
                          std::string_view database) {
  return fmt::format("host={} port={} user={} dbname={}", Parameter(socket_dir.string()),
                     kSocketPort, role, Parameter(database));
}

}  // namespace

class EmbeddedCluster::Impl {
 public:
  static absl::StatusOr<std::unique_ptr<Impl>> Make(const EmbeddedClusterOptions& options) {
    SLIPWAY_ASSIGN_OR_RETURN(OsUser user, ChooseClusterUser(options.os_user));
    SLIPWAY_ASSIGN_OR_RETURN(OsUser self, CurrentOsUser());
    SLIPWAY_ASSIGN_OR_RETURN(ClusterLayout layout,
                             MakeLayout(options.root_dir, options.runtime_dir));
    std::error_code error;
    const bool fresh = fs::create_directories(layout.root, error);
    if (error) return ErrnoError(error.value(), fmt::format("making {}", layout.root.string()));
    if (fresh && chmod(layout.root.c_str(), 0711) != 0)
      return ErrnoError(errno, layout.root.string());
    SLIPWAY_RETURN_IF_ERROR(CheckTraversable(layout.root, user));
    SLIPWAY_ASSIGN_OR_RETURN(ClusterLock lock, ClusterLock::Take(layout));
    return std::make_unique<Impl>(options, std::move(user), self.name, std::move(layout),
                                  std::move(lock));
  }

  Impl(EmbeddedClusterOptions options, OsUser user, std::string controller_user,
       ClusterLayout layout, ClusterLock lock)
      : options_(std::move(options)),
        user_(std::move(user)),
        controller_user_(std::move(controller_user)),
        lock_(std::move(lock)),
        layout_(std::move(layout)) {}

  absl::Status Start() {
    SLIPWAY_ASSIGN_OR_RETURN(std::optional<int> major, DataMajorVersion(layout_.data));
    SLIPWAY_ASSIGN_OR_RETURN(binaries_, FindPostgres(options_.install_root, major.value_or(0)));
    if (!major) SLIPWAY_RETURN_IF_ERROR(InitializeData());
    SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(layout_.data, user_));
    SLIPWAY_ASSIGN_OR_RETURN(process_, FindRunningServer(layout_, user_));
    adopted_ = process_.has_value();
    if (adopted_) {
      const absl::Status status = AwaitDatabase();
      // One that was about to end when it was found makes room for a fresh one.
      if (status.ok() || (process_ && !process_->WaitForEnd(kLastBreath))) return status;
      process_.reset();
      adopted_ = false;
    }
    SLIPWAY_RETURN_IF_ERROR(StartServer());
    return AwaitDatabase();
  }

  absl::Status Stop() {
    if (!process_) return absl::OkStatus();
    // Open connections are cut and their transactions rolled back.
    SLIPWAY_RETURN_IF_ERROR(process_->Signal(SIGINT));
    if (!process_->WaitForEnd(options_.stop_deadline)) {
      SLIPWAY_RETURN_IF_ERROR(process_->Signal(SIGQUIT));
      if (!process_->WaitForEnd(kQuitDeadline)) {
        return absl::DeadlineExceededError(
            fmt::format("the embedded PostgreSQL (process {}) does not end", process_->pid()));
      }
    }
    process_.reset();
    return absl::OkStatus();
  }

  [[nodiscard]] std::string Connection(std::string_view role, std::string_view database) const {
    return ConnectionFor(layout_.run, role, database);
  }
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : -1; }
  [[nodiscard]] bool adopted() const { return adopted_; }
  [[nodiscard]] const fs::path& bin_dir() const { return binaries_.dir; }

 private:
  // Whole or not at all: a crash in the middle leaves only a directory that the next try replaces.
  absl::Status InitializeData() {
    const fs::path fresh = layout_.root / "data.new";
    std::error_code error;
    fs::remove_all(fresh, error);
    if (error) return ErrnoError(error.value(), fmt::format("removing {}", fresh.string()));
    SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(fresh, user_));
    ProgramToRun initdb{
        .program = binaries_.dir / "initdb",
        .arguments = {"-D", fresh.string(), "-U", kAdminRole, "--encoding=UTF8", "--locale=C.UTF-8",
                      "--lc-collate=C", "--auth-local=peer", "--auth-host=reject",
                      "--data-checksums", "--no-instructions"},
        .user = user_,
        .output_file = layout_.startup_log};
    if (!options_.durable) initdb.arguments.emplace_back("--no-sync");
    SLIPWAY_RETURN_IF_ERROR(
        WithContext(RunToEnd(initdb, options_.start_deadline), "making the embedded PostgreSQL"));
    if (rename(fresh.c_str(), layout_.data.c_str()) != 0) {
      return ErrnoError(errno, fmt::format("renaming {}", fresh.string()));
    }
    return absl::OkStatus();
  }

  absl::Status StartServer() {
    SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(layout_.log, user_));
    SLIPWAY_RETURN_IF_ERROR(MakePrivateDirectory(layout_.run, user_));
    SLIPWAY_RETURN_IF_ERROR(CheckTraversable(layout_.run.parent_path(), user_));
    SLIPWAY_RETURN_IF_ERROR(
        WriteServerConfiguration(layout_,
                                 {.durable = options_.durable,
                                  .shared_buffers_mb = options_.shared_buffers_mb,
                                  .max_connections = options_.max_connections},
                                 controller_user_, kOwnerRole, kAdminRole));
    PruneServerLogs(layout_.log, kLogsKept);
    SLIPWAY_RETURN_IF_ERROR(WaitForOrphans(layout_, user_, options_.start_deadline));
    // Nothing has the data open, so files that say otherwise are stale; the server itself would
    // believe them when their number belongs to another process now, or to one not reaped yet.
    const std::string socket = fmt::format(".s.PGSQL.{}", kSocketPort);
    for (const fs::path& stale : {layout_.data / "postmaster.pid", layout_.run / socket,
                                  layout_.run / (socket + ".lock")}) {
      if (unlink(stale.c_str()) != 0 && errno != ENOENT) {
        return ErrnoError(errno, fmt::format("removing the stale {}", stale.string()));
      }
    }
    SLIPWAY_ASSIGN_OR_RETURN(
        process_, ServerProcess::Spawn(
                      {.program = binaries_.dir / "postgres",
                       .arguments = {"-D", layout_.data.string(), "-c",
                                     fmt::format("config_file={}",
                                                 (layout_.conf / "postgresql.conf").string())},
                       .user = user_,
                       .output_file = layout_.startup_log}));
    return absl::OkStatus();
  }

  absl::Status AwaitDatabase() {
    SLIPWAY_RETURN_IF_ERROR(WaitUntilReady());
    return EnsureDatabase();
  }

  absl::Status WaitUntilReady() {
    const SystemClock clock;
    const MonoTime deadline = clock.Mono() + options_.start_deadline;
    for (;;) {
      const auto file = ReadPostmasterFile(layout_.data);
      if (file && file->pid == process_->pid() && file->ready) {
        // An adopted server listens where the controller that started it said.
        layout_.run = file->socket_dir;
        return absl::OkStatus();
      }
      if (process_->WaitForEnd(kPollInterval)) {
        const int exit_code = process_->exit_code();
        process_.reset();
        // Its logger writes the last words after it.
        (void)WaitForOrphans(layout_, user_, kLastBreath);
        return StartError(
            fmt::format("the embedded PostgreSQL ended while it started (exit code {})", exit_code),
            layout_);
      }
      if (clock.Mono() >= deadline) {
        return StartError(
            "the embedded PostgreSQL does not accept connections yet (it goes on "
            "starting, and the next start will find it)",
            layout_);
      }
    }
  }

  absl::Status EnsureDatabase() {
    SLIPWAY_ASSIGN_OR_RETURN(std::unique_ptr<Session> session,
                             Session::Open({.connection = Connection(kAdminRole, "postgres"),
                                            .application_name = "slipway-setup"}));
    return CatchPqxx([&]() -> absl::Status {
      pqxx::nontransaction direct(session->connection());
      if (direct.exec_params("SELECT 1 FROM pg_roles WHERE rolname = $1", kOwnerRole).empty()) {
        direct.exec(fmt::format("CREATE ROLE {} LOGIN", kOwnerRole));
      }
      if (direct.exec_params("SELECT 1 FROM pg_database WHERE datname = $1", kDatabase).empty()) {
        direct.exec(fmt::format("CREATE DATABASE {} OWNER {}", kDatabase, kOwnerRole));
      }
      return absl::OkStatus();
    });
  }

  // Constant after construction.
  const EmbeddedClusterOptions options_;
  const OsUser user_;
  const std::string controller_user_;
  const ClusterLock lock_;

  ClusterLayout layout_;
  PostgresBinaries binaries_;
  std::optional<ServerProcess> process_;
  bool adopted_ = false;
};

absl::StatusOr<std::unique_ptr<EmbeddedCluster>> EmbeddedCluster::Start(
    const EmbeddedClusterOptions& options) {
  SLIPWAY_ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl, Impl::Make(options));
  SLIPWAY_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<EmbeddedCluster>(new EmbeddedCluster(std::move(impl)));
}

EmbeddedCluster::EmbeddedCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EmbeddedCluster::~EmbeddedCluster() = default;

absl::Status EmbeddedCluster::Stop() { return impl_->Stop(); }

std::string EmbeddedCluster::ConnectionString(std::string_view database) const {
  return impl_->Connection(kOwnerRole, database);
}
std::string EmbeddedCluster::AdminConnectionString(std::string_view database) const {
  return impl_->Connection(kAdminRole, database);
}
pid_t EmbeddedCluster::server_pid() const { return impl_->pid(); }
bool EmbeddedCluster::adopted() const { return impl_->adopted(); }
const std::filesystem::path& EmbeddedCluster::bin_dir() const { return impl_->bin_dir(); }

}  // namespace slipway::store::pg
