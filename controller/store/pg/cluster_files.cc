#include "controller/store/pg/cluster_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <vector>

#include "common/status/status.h"
#include "controller/store/pg/server_process.h"

namespace slipway::store::pg {
namespace {

namespace fs = std::filesystem;

constexpr char kPathReason[] = "CLUSTER_PATH";
constexpr std::size_t kMaxSmallFile = 8 * 1024;

// FNV-1a: short and the same in every build, which std::hash does not promise.
std::uint64_t HashText(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211ULL;
  return hash;
}

// libpq reads a comma as a list of hosts, the server a quote as the end of the directory.
bool FitsSocketAddress(const fs::path& dir) {
  const std::string socket = fmt::format("{}/.s.PGSQL.{}", dir.string(), kSocketPort);
  return socket.size() < sizeof(sockaddr_un{}.sun_path) &&
         socket.find_first_of(",\"\n") == std::string::npos;
}

bool MayTraverse(const struct stat& info, const OsUser& user) {
  if (info.st_uid == user.uid) return (info.st_mode & S_IXUSR) != 0;
  if (std::find(user.groups.begin(), user.groups.end(), info.st_gid) != user.groups.end()) {
    return (info.st_mode & S_IXGRP) != 0;
  }
  return (info.st_mode & S_IXOTH) != 0;
}

std::optional<int> ParseInt(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// The quoting of postgresql.conf, which pg_hba.conf shares.
std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  return quoted + "'";
}

absl::Status WriteWhole(const fs::path& file, const std::string& text) {
  const fs::path fresh = file.string() + ".new";
  std::ofstream out(fresh, std::ios::trunc | std::ios::binary);
  out << text;
  out.close();
  if (!out) return ErrnoError(errno, fmt::format("writing {}", fresh.string()));
  // The server's account reads these; they hold no secret.
  if (chmod(fresh.c_str(), 0644) != 0)
    return ErrnoError(errno, fmt::format("chmod {}", fresh.string()));
  if (rename(fresh.c_str(), file.c_str()) != 0) {
    return ErrnoError(errno, fmt::format("renaming {}", fresh.string()));
  }
  return absl::OkStatus();
}

std::vector<fs::path> ServerLogsOldestFirst(const fs::path& log_dir) {
  std::vector<fs::path> logs;
  std::error_code error;
  for (fs::directory_iterator it(log_dir, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".log") logs.push_back(it->path());
  }
  std::sort(logs.begin(), logs.end());
  return logs;
}

}  // namespace

absl::StatusOr<ClusterLayout> MakeLayout(const fs::path& root, const fs::path& runtime_dir) {
  std::error_code error;
  ClusterLayout layout;
  layout.root = fs::weakly_canonical(fs::absolute(root), error);
  if (error) return ErrnoError(error.value(), fmt::format("resolving {}", root.string()));
  if (layout.root.string().find_first_of("\n\r") != std::string::npos) {
    return MakeError(absl::StatusCode::kInvalidArgument, kPathReason,
                     "the data directory of the embedded PostgreSQL has a line break in its name");
  }
  layout.data = layout.root / "data";
  layout.conf = layout.root / "conf";
  layout.log = layout.root / "log";
  layout.startup_log = layout.root / "startup.log";
  layout.lock = layout.root / "lock";
  layout.cluster_name = fmt::format("slipway-{:016x}", HashText(layout.root.string()));
  if (!runtime_dir.empty()) {
    layout.run = fs::absolute(runtime_dir, error);
    if (!FitsSocketAddress(layout.run)) {
      return MakeError(
          absl::StatusCode::kInvalidArgument, kPathReason,
          fmt::format("{} cannot be the address of a Unix socket: it is too long, or has "
                      "a comma, a quote or a line break",
                      layout.run.string()),
          "Choose a runtime directory of at most 90 bytes, for example in /run.");
    }
    return layout;
  }
  layout.run = layout.root / "run";
  if (!FitsSocketAddress(layout.run)) {
    layout.run = geteuid() == 0 ? fs::path("/run") / layout.cluster_name
                                : fs::path("/tmp") / layout.cluster_name;
  }
  return layout;
}

absl::Status CheckTraversable(const fs::path& dir, const OsUser& user) {
  fs::path at;
  for (const fs::path& part : dir) {
    at /= part;
    struct stat info {};
    if (stat(at.c_str(), &info) != 0) return ErrnoError(errno, at.string());
    if (!S_ISDIR(info.st_mode)) {
      return MakeError(absl::StatusCode::kFailedPrecondition, kPathReason,
                       fmt::format("{} is not a directory", at.string()));
    }
    if (!MayTraverse(info, user)) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, kPathReason,
          fmt::format("the embedded PostgreSQL runs as '{}', which cannot pass through {}",
                      user.name, at.string()),
          fmt::format("Run: chmod o+x '{}' (it lets nobody list or read it), or put the "
                      "data directory elsewhere.",
                      at.string()));
    }
  }
  return absl::OkStatus();
}

absl::Status MakePrivateDirectory(const fs::path& dir, const OsUser& user) {
  if (mkdir(dir.c_str(), 0700) == 0) {
    if (user.uid != geteuid() && chown(dir.c_str(), user.uid, user.gid) != 0) {
      const int error = errno;
      rmdir(dir.c_str());
      return ErrnoError(error, fmt::format("giving {} to {}", dir.string(), user.name));
    }
    return absl::OkStatus();
  }
  if (errno != EEXIST) return ErrnoError(errno, fmt::format("making {}", dir.string()));
  struct stat info {};
  if (lstat(dir.c_str(), &info) != 0) return ErrnoError(errno, dir.string());
  if (!S_ISDIR(info.st_mode)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "CLUSTER_OWNER",
                     fmt::format("{} is in the way: it is not a directory", dir.string()),
                     "Move it away.");
  }
  if (info.st_uid != user.uid) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "CLUSTER_OWNER",
        fmt::format("{} belongs to uid {}, but the embedded PostgreSQL runs as '{}' "
                    "(uid {})",
                    dir.string(), info.st_uid, user.name, user.uid),
        fmt::format("Name its owner as the user of the cluster, or run: chown -R {} '{}'",
                    user.name, dir.string()));
  }
  if ((info.st_mode & 077) != 0 && chmod(dir.c_str(), 0700) != 0) {
    return ErrnoError(errno, fmt::format("closing {} to others", dir.string()));
  }
  return absl::OkStatus();
}

absl::StatusOr<PostgresBinaries> FindPostgres(const fs::path& install_root, int major) {
  PostgresBinaries newest;
  std::error_code error;
  for (fs::directory_iterator it(install_root, error), end; !error && it != end;
       it.increment(error)) {
    const auto version = ParseInt(it->path().filename().string());
    if (!version || *version < kOldestPostgresMajor || (major != 0 && *version != major)) continue;
    const fs::path dir = it->path() / "bin";
    if (access((dir / "postgres").c_str(), X_OK) != 0 ||
        access((dir / "initdb").c_str(), X_OK) != 0) {
      continue;
    }
    if (*version > newest.major) newest = {.dir = dir, .major = *version};
  }
  if (newest.major != 0) return newest;
  if (major != 0) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "POSTGRES_MISSING",
        fmt::format(
            "the data was written by PostgreSQL {0}, and no PostgreSQL {0} is installed in {1}",
            major, install_root.string()),
        fmt::format("Install it (apt-get install postgresql-{}), or move the data to a newer "
                    "version with pg_upgrade.",
                    major));
  }
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "POSTGRES_MISSING",
      fmt::format("no PostgreSQL {} or newer is installed in {}", kOldestPostgresMajor,
                  install_root.string()),
      fmt::format("Install it (apt-get install postgresql-{}), or give the controller the "
                  "URL of a database.",
                  kOldestPostgresMajor));
}

absl::StatusOr<std::optional<int>> DataMajorVersion(const fs::path& data) {
  struct stat info {};
  if (lstat(data.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return ErrnoError(errno, data.string());
  }
  const auto major = ParseInt(TailOfFile(data / "PG_VERSION", kMaxSmallFile));
  if (!major) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "CLUSTER_DAMAGED",
        fmt::format("{} exists but holds no PostgreSQL cluster (PG_VERSION is missing or "
                    "unreadable)",
                    data.string()),
        "Restore it from a backup, or move it away to start with an empty database.");
  }
  return major;
}

std::optional<PostmasterFile> ReadPostmasterFile(const fs::path& data) {
  const fs::path file = data / "postmaster.pid";
  struct stat info {};
  if (lstat(file.c_str(), &info) != 0) return std::nullopt;
  const std::vector<std::string> lines = Lines(TailOfFile(file, kMaxSmallFile));
  PostmasterFile result;
  if (!lines.empty()) result.pid = ParseInt(lines[0]).value_or(0);
  if (lines.size() > 1) result.data = lines[1];
  if (lines.size() > 4) result.socket_dir = lines[4];
  result.ready = lines.size() > 7 && lines[7].starts_with("ready");
  return result;
}

absl::Status WriteServerConfiguration(const ClusterLayout& layout, const ServerSettings& settings,
                                      const std::string& controller_user,
                                      const std::string& owner_role,
                                      const std::string& admin_role) {
  std::error_code error;
  fs::create_directories(layout.conf, error);
  if (error) return ErrnoError(error.value(), fmt::format("making {}", layout.conf.string()));
  if (chmod(layout.conf.c_str(), 0755) != 0) return ErrnoError(errno, layout.conf.string());
  const char* const durable = settings.durable ? "on" : "off";
  const std::string conf = fmt::format(
      R"(# Written at each start of slipway-controller; changes here are lost.
hba_file = {hba}
ident_file = {ident}
listen_addresses = ''
unix_socket_directories = {run}
unix_socket_permissions = 0700
port = {port}
cluster_name = {name}
max_connections = {connections}
shared_buffers = {buffers}MB
fsync = {durable}
full_page_writes = {durable}
synchronous_commit = on
max_wal_size = 1GB
wal_compression = lz4
dynamic_shared_memory_type = posix
jit = off
timezone = 'UTC'
lc_messages = 'C'
lc_monetary = 'C.UTF-8'
lc_numeric = 'C.UTF-8'
lc_time = 'C.UTF-8'
logging_collector = on
log_directory = {log}
log_filename = 'postgres-%Y%m%d-%H%M%S.log'
log_rotation_age = 0
log_rotation_size = 10MB
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%a '
)",
      fmt::arg("hba", Quoted((layout.conf / "pg_hba.conf").string())),
      fmt::arg("ident", Quoted((layout.conf / "pg_ident.conf").string())),
      fmt::arg("run", Quoted(fmt::format("\"{}\"", layout.run.string()))),
      fmt::arg("port", kSocketPort), fmt::arg("name", Quoted(layout.cluster_name)),
      fmt::arg("connections", settings.max_connections),
      fmt::arg("buffers", settings.shared_buffers_mb), fmt::arg("durable", durable),
      fmt::arg("log", Quoted(layout.log.string())));
  const std::string hba = fmt::format("local all {},{} peer map=slipway\n", owner_role, admin_role);
  const std::string ident = fmt::format("slipway \"{0}\" {1}\nslipway \"{0}\" {2}\n",
                                        controller_user, owner_role, admin_role);
  SLIPWAY_RETURN_IF_ERROR(WriteWhole(layout.conf / "postgresql.conf", conf));
  SLIPWAY_RETURN_IF_ERROR(WriteWhole(layout.conf / "pg_hba.conf", hba));
  return WriteWhole(layout.conf / "pg_ident.conf", ident);
}

void PruneServerLogs(const fs::path& log_dir, std::size_t keep) {
  const std::vector<fs::path> logs = ServerLogsOldestFirst(log_dir);
  for (std::size_t i = 0; i + keep < logs.size(); ++i) unlink(logs[i].c_str());
}

std::string LastServerWords(const ClusterLayout& layout) {
  constexpr std::size_t kWords = 2000;
  const std::string startup = TailOfFile(layout.startup_log, kWords);
  const std::vector<fs::path> logs = ServerLogsOldestFirst(layout.log);
  // The start-up log ends with the hint where the rest goes, once the collector runs.
  if (logs.empty() || startup.find("redirecting log output") == std::string::npos) return startup;
  return TailOfFile(logs.back(), kWords);
}

}  // namespace slipway::store::pg
