#include "tests/support/postgres_fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "common/base/check.h"
#include "common/status/status.h"
#include "controller/store/pg/migrator.h"
#include "controller/store/pg/pqxx_status.h"
#include "controller/store/pg/session.h"

namespace slipway::testing {
namespace {

// Waits for the test process to close the pipe or die, then ends the server whose command line
// names the directory, and removes it.
constexpr char kReaperScript[] = R"(
cat >/dev/null
pid=$(head -n 1 "$1/postgres/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && grep -qF "$1" "/proc/$pid/cmdline" 2>/dev/null; then
  kill -QUIT "$pid"
  tries=0
  while grep -qF "$1" "/proc/$pid/cmdline" 2>/dev/null && [ "$tries" -lt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
  done
fi
rm -rf "$1"
)";

template <typename T>
T OrDie(absl::StatusOr<T> value, std::string_view what) {
  if (!value.ok()) {
    std::fputs(fmt::format("{}: {}\n", what, Describe(value.status())).c_str(), stderr);
    std::exit(1);
  }
  return *std::move(value);
}

}  // namespace

ClusterHome::ClusterHome() {
  std::string name = "/tmp/slipway-pg-test-XXXXXX";
  SLIPWAY_CHECK(mkdtemp(name.data()) != nullptr);
  SLIPWAY_CHECK(chmod(name.c_str(), 0711) == 0);
  dir_ = name;
  int pipe_fds[2];
  SLIPWAY_CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[0], STDIN_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string shell = "sh";
  std::string flag = "-c";
  std::string script = kReaperScript;
  char* arguments[] = {shell.data(), flag.data(), script.data(),
                       shell.data(), name.data(), nullptr};
  SLIPWAY_CHECK(posix_spawn(&reaper_, "/bin/sh", &actions, &attributes, arguments, environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(pipe_fds[0]);
  alive_fd_ = pipe_fds[1];
}

ClusterHome::~ClusterHome() {
  close(alive_fd_);
  waitpid(reaper_, nullptr, 0);
}

store::pg::EmbeddedClusterOptions ClusterHome::Options() const {
  store::pg::EmbeddedClusterOptions options;
  options.root_dir = root();
  options.durable = false;
  options.shared_buffers_mb = 32;
  options.start_deadline = std::chrono::seconds(60);
  return options;
}

absl::StatusOr<TextRows> RunSql(const std::string& connection, const std::string& sql) {
  SLIPWAY_ASSIGN_OR_RETURN(
      auto session,
      store::pg::Session::Open({.connection = connection, .application_name = "test-sql"}));
  return store::pg::CatchPqxx([&]() -> absl::StatusOr<TextRows> {
    pqxx::nontransaction direct(session->connection());
    TextRows rows;
    for (const pqxx::row& row : direct.exec(sql)) {
      std::vector<std::string>& texts = rows.emplace_back();
      for (const pqxx::field& field : row) texts.emplace_back(field.c_str());
    }
    return rows;
  });
}

PostgresFixture& PostgresFixture::Get() {
  static PostgresFixture fixture;
  return fixture;
}

PostgresFixture::PostgresFixture()
    : cluster_(OrDie(store::pg::EmbeddedCluster::Start(home_.Options()), "test PostgreSQL")) {
  const std::string connection = Create("OWNER slipway");
  OrDie(store::pg::Migrate(TestDatabaseOptions(connection), store::pg::BuiltInMigrations(),
                           store::pg::MigrationMode::kApply),
        "migrating the template");
  // The pools of TestDatabaseOptions may begin terms.
  OrDie(RunSql(connection, "UPDATE leadership SET holder = 'test'"), "naming the holder");
  OrDie(RunSql(cluster_->AdminConnectionString(),
               "ALTER DATABASE test_1 RENAME TO template_migrated"),
        "naming the template");
}

std::string PostgresFixture::NewEmptyDatabase() { return Create("OWNER slipway"); }

std::string PostgresFixture::NewDatabase() {
  return Create("OWNER slipway TEMPLATE template_migrated");
}

std::string PostgresFixture::Create(std::string_view suffix) {
  const std::string name = fmt::format("test_{}", ++databases_);
  OrDie(
      RunSql(cluster_->AdminConnectionString(), fmt::format("CREATE DATABASE {} {}", name, suffix)),
      "making a test database");
  return cluster_->ConnectionString(name);
}

store::pg::DatabaseOptions TestDatabaseOptions(const std::string& connection) {
  store::pg::DatabaseOptions options;
  options.connection = connection;
  options.application_name = "test";
  options.max_connections = 4;
  options.acquire_timeout = std::chrono::seconds(5);
  options.lock_timeout = std::chrono::seconds(5);
  return options;
}

}  // namespace slipway::testing
