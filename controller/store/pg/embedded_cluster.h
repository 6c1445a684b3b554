#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace slipway::store::pg {

struct EmbeddedClusterOptions {
  // Holds all of the cluster, e.g. <controller data>/postgres. Made when missing; its parents must
  // be passable (x) for the account of the server.
  std::filesystem::path root_dir;
  // Where the socket lies; empty means <root_dir>/run, or a short directory in /run or /tmp when
  // that is too long for a socket address.
  std::filesystem::path runtime_dir;
  // Account of the server; empty means the controller's own, or when that is root
  // "slipway-postgres", or "postgres".
  std::string os_user;
  // Where the versions of PostgreSQL are installed, each as N/bin.
  std::filesystem::path install_root = "/usr/lib/postgresql";
  // For initdb, and again for the server to accept connections (recovery after a crash included).
  Duration start_deadline = std::chrono::seconds(120);
  // For the clean end; after it the server is told to give up at once.
  Duration stop_deadline = std::chrono::seconds(30);
  // False trades crash safety for speed. Only for tests.
  bool durable = true;
  int shared_buffers_mb = 64;
  int max_connections = 40;
};

// A private PostgreSQL server made and run for one controller: real server processes under an
// account of their own, reachable only through a Unix socket, only by the controller's account. Not
// to be mixed up with a Debian cluster: none of those is made or touched.
//
// Invariants: at most one object per root_dir on a machine (a lock is held as long as it lives).
// The server outlives this object and this process; the next Start adopts it. Only Stop ends it.
//
// Thread-compatible.
class EmbeddedCluster {
 public:
  // Makes the cluster when there is none, adopts the server of an earlier controller when it still
  // runs, otherwise starts it; returns when it accepts connections and the database exists.
  // kFailedPrecondition with reason CLUSTER_USER, CLUSTER_PATH, CLUSTER_OWNER, CLUSTER_IN_USE,
  // CLUSTER_DAMAGED or POSTGRES_MISSING: a person must act, see the remedy.
  // kUnavailable CLUSTER_START: the server ended or did not accept in time; quotes its log. After a
  // missed deadline it is left running, so that a long recovery is not begun again.
  static absl::StatusOr<std::unique_ptr<EmbeddedCluster>> Start(
      const EmbeddedClusterOptions& options);

  EmbeddedCluster(const EmbeddedCluster&) = delete;
  EmbeddedCluster& operator=(const EmbeddedCluster&) = delete;
  ~EmbeddedCluster();

  // Ends the server: open transactions are rolled back, the data written. Idempotent.
  // kDeadlineExceeded: it still runs.
  absl::Status Stop();

  // For libpq: the role that owns the schema, in `database`.
  [[nodiscard]] std::string ConnectionString(std::string_view database = "slipway") const;
  // For libpq: the superuser, for backups and for tests that make databases.
  [[nodiscard]] std::string AdminConnectionString(std::string_view database = "postgres") const;

  [[nodiscard]] pid_t server_pid() const;
  // True when the server was running already.
  [[nodiscard]] bool adopted() const;
  // Where pg_dump, psql and pg_upgrade of the server's version are.
  [[nodiscard]] const std::filesystem::path& bin_dir() const;

 private:
  class Impl;
  explicit EmbeddedCluster(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::store::pg
