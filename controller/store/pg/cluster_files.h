#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/store/pg/os_user.h"

// The files around an embedded cluster. Whatever the server's account can write is read here as
// hostile: bounded, without following links.
namespace slipway::store::pg {

// Oldest PostgreSQL that the schema is written for.
constexpr int kOldestPostgresMajor = 15;

// Port in the name of the socket; nothing listens on TCP.
constexpr int kSocketPort = 5432;

// Where the parts of one cluster lie. `root`, `conf` and `startup_log` belong to the controller;
// `data`, `log` and `run` to the server's account, closed to all others.
struct ClusterLayout {
  std::filesystem::path root;
  std::filesystem::path data;
  std::filesystem::path conf;
  std::filesystem::path log;
  std::filesystem::path run;
  std::filesystem::path startup_log;
  std::filesystem::path lock;
  // Names the cluster in process titles: "slipway-" and a hash of `root`.
  std::string cluster_name;
};

// `root` becomes absolute. An empty `runtime_dir` means <root>/run, or where that is too long for
// a socket address (107 bytes) a short directory named after the cluster in /run or /tmp.
// kInvalidArgument CLUSTER_PATH: the wanted runtime directory is too long.
absl::StatusOr<ClusterLayout> MakeLayout(const std::filesystem::path& root,
                                         const std::filesystem::path& runtime_dir);

// kFailedPrecondition CLUSTER_PATH: `user` cannot pass through `dir` or one of its parents; the
// remedy is the chmod that opens it.
absl::Status CheckTraversable(const std::filesystem::path& dir, const OsUser& user);

// Makes `dir` of mode 0700 for `user`, or checks that it is such a directory already.
// kFailedPrecondition CLUSTER_OWNER: it exists and is another's, or is no directory.
absl::Status MakePrivateDirectory(const std::filesystem::path& dir, const OsUser& user);

struct PostgresBinaries {
  std::filesystem::path dir;
  int major = 0;
};

// `major` 0 finds the newest installed version from kOldestPostgresMajor on, otherwise that one.
// kFailedPrecondition POSTGRES_MISSING: names the package to install.
absl::StatusOr<PostgresBinaries> FindPostgres(const std::filesystem::path& install_root, int major);

// The major version that wrote the data directory; nullopt: there is no data directory.
absl::StatusOr<std::optional<int>> DataMajorVersion(const std::filesystem::path& data);

// What a server says about itself in postmaster.pid.
struct PostmasterFile {
  pid_t pid = 0;
  std::filesystem::path data;
  std::filesystem::path socket_dir;
  bool ready = false;
};
// nullopt: no such file. A damaged one has pid 0.
std::optional<PostmasterFile> ReadPostmasterFile(const std::filesystem::path& data);

struct ServerSettings {
  bool durable = true;
  int shared_buffers_mb = 64;
  int max_connections = 40;
};
// Writes postgresql.conf, pg_hba.conf and pg_ident.conf: only `controller_user` may connect, known
// by the kernel's word on the socket (peer), as `owner_role` or `admin_role`.
absl::Status WriteServerConfiguration(const ClusterLayout& layout, const ServerSettings& settings,
                                      const std::string& controller_user,
                                      const std::string& owner_role, const std::string& admin_role);

// Deletes all but the newest `keep` server logs.
void PruneServerLogs(const std::filesystem::path& log_dir, std::size_t keep);
// The end of the newest server log, or of the start-up log.
std::string LastServerWords(const ClusterLayout& layout);

}  // namespace slipway::store::pg
