#include "controller/store/pg/embedded_cluster.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "controller/store/pg/cluster_files.h"
#include "controller/store/pg/server_process.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::store::pg {
namespace {

namespace fs = std::filesystem;
using testing::ClusterHome;
using testing::RunSql;
using testing::StatusIs;
using testing::WaitUntil;

// Starts the cluster in a process of its own and ends that with SIGKILL once the server is up, as a
// controller would be.
void StartInProcessThatIsKilled(const EmbeddedClusterOptions& options, const std::string& sql) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto cluster = EmbeddedCluster::Start(options);
    if (!cluster.ok()) _exit(1);
    if (!RunSql((*cluster)->ConnectionString(), sql).ok()) _exit(2);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("EmbeddedCluster: a fresh cluster is private, UTF-8, durable and not run by root",
          "[db]") {
  ClusterHome home;
  EmbeddedClusterOptions options = home.Options();
  options.durable = true;
  auto cluster = EmbeddedCluster::Start(options);
  REQUIRE_OK(cluster);
  CHECK_FALSE((*cluster)->adopted());
  const auto settings = RunSql((*cluster)->ConnectionString(), R"(
      SELECT current_user, current_database(), current_setting('server_encoding'),
             current_setting('listen_addresses'), current_setting('fsync'),
             current_setting('synchronous_commit'), current_setting('jit'),
             (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
             (SELECT datcollate FROM pg_database WHERE datname = current_database()))");
  REQUIRE_OK(settings);
  CHECK(settings->at(0) ==
        std::vector<std::string>{"slipway", "slipway", "UTF8", "", "on", "on", "off", "f", "C"});
  const auto identity = IdentifyProcess((*cluster)->server_pid());
  REQUIRE(identity.has_value());
  CHECK(identity->uid != 0);
  struct stat run {};
  REQUIRE(stat((home.root() / "run").c_str(), &run) == 0);
  CHECK((run.st_mode & 0777) == 0700);
  REQUIRE_OK((*cluster)->Stop());
}

TEST_CASE("EmbeddedCluster: nobody but the controller's account gets in", "[db]") {
  if (geteuid() != 0) return;
  ClusterHome home;
  auto cluster = EmbeddedCluster::Start(home.Options());
  REQUIRE_OK(cluster);
  const auto user = ChooseClusterUser("");
  REQUIRE_OK(user);
  // The server's own account passes the socket's directory, but is not the mapped one.
  const fs::path output = home.dir() / "psql.out";
  const absl::Status status =
      RunToEnd({.program = (*cluster)->bin_dir() / "psql",
                .arguments = {"-w", "-c", "SELECT 1", (*cluster)->ConnectionString()},
                .user = *user,
                .output_file = output},
               std::chrono::seconds(20));
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInternal, "Peer authentication failed"));
  REQUIRE_OK((*cluster)->Stop());
}

TEST_CASE("EmbeddedCluster: what was committed is there after stop and start", "[db]") {
  ClusterHome home;
  {
    auto cluster = EmbeddedCluster::Start(home.Options());
    REQUIRE_OK(cluster);
    const pid_t pid = (*cluster)->server_pid();
    REQUIRE_OK(RunSql((*cluster)->ConnectionString(), "CREATE TABLE kept AS SELECT 7 AS n"));
    REQUIRE_OK((*cluster)->Stop());
    CHECK_FALSE(IdentifyProcess(pid).has_value());
    CHECK_OK((*cluster)->Stop());
  }
  auto again = EmbeddedCluster::Start(home.Options());
  REQUIRE_OK(again);
  CHECK_FALSE((*again)->adopted());
  const auto rows = RunSql((*again)->ConnectionString(), "SELECT n FROM kept");
  REQUIRE_OK(rows);
  CHECK(rows->at(0).at(0) == "7");
  REQUIRE_OK((*again)->Stop());
}

TEST_CASE("EmbeddedCluster: a server survives the SIGKILL of its controller and is adopted",
          "[db]") {
  ClusterHome home;
  StartInProcessThatIsKilled(home.Options(), "CREATE TABLE kept AS SELECT 8 AS n");
  const auto file = ReadPostmasterFile(home.root() / "data");
  REQUIRE(file.has_value());
  auto cluster = EmbeddedCluster::Start(home.Options());
  REQUIRE_OK(cluster);
  CHECK((*cluster)->adopted());
  CHECK((*cluster)->server_pid() == file->pid);
  const auto rows = RunSql((*cluster)->ConnectionString(), "SELECT n FROM kept");
  REQUIRE_OK(rows);
  CHECK(rows->at(0).at(0) == "8");
  REQUIRE_OK((*cluster)->Stop());
  CHECK(WaitUntil([&] { return !IdentifyProcess(file->pid).has_value(); }));
}

TEST_CASE("EmbeddedCluster: recovers when the server was killed with its controller", "[db]") {
  ClusterHome home;
  StartInProcessThatIsKilled(home.Options(), "CREATE TABLE kept AS SELECT 9 AS n");
  const auto file = ReadPostmasterFile(home.root() / "data");
  REQUIRE(file.has_value());
  REQUIRE(kill(file->pid, SIGKILL) == 0);
  // No wait here: the server's other processes may still be alive when Start looks.
  auto cluster = EmbeddedCluster::Start(home.Options());
  REQUIRE_OK(cluster);
  CHECK_FALSE((*cluster)->adopted());
  const auto rows = RunSql((*cluster)->ConnectionString(), "SELECT n FROM kept");
  REQUIRE_OK(rows);
  CHECK(rows->at(0).at(0) == "9");
  REQUIRE_OK((*cluster)->Stop());
}

TEST_CASE("EmbeddedCluster: a stale postmaster.pid that names a foreign process is not believed",
          "[db]") {
  ClusterHome home;
  {
    auto cluster = EmbeddedCluster::Start(home.Options());
    REQUIRE_OK(cluster);
    REQUIRE_OK((*cluster)->Stop());
  }
  // This very process: certainly alive, certainly no server.
  std::ofstream(home.root() / "data" / "postmaster.pid")
      << getpid() << "\n"
      << (home.root() / "data").string() << "\n0\n5432\n/nowhere\n\n0\nready\n";
  auto cluster = EmbeddedCluster::Start(home.Options());
  REQUIRE_OK(cluster);
  CHECK_FALSE((*cluster)->adopted());
  CHECK((*cluster)->server_pid() != getpid());
  REQUIRE_OK((*cluster)->Stop());
}

TEST_CASE("EmbeddedCluster: an initdb that was cut off leaves nothing in the way", "[db]") {
  ClusterHome home;
  fs::create_directories(home.root() / "data.new" / "base");
  fs::permissions(home.root(), fs::perms(0711));
  auto cluster = EmbeddedCluster::Start(home.Options());
  REQUIRE_OK(cluster);
  REQUIRE_OK((*cluster)->Stop());
}

TEST_CASE("EmbeddedCluster: a second owner of the same directory is refused", "[db]") {
  ClusterHome home;
  auto cluster = EmbeddedCluster::Start(home.Options());
  REQUIRE_OK(cluster);
  CHECK_THAT(EmbeddedCluster::Start(home.Options()).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "CLUSTER_IN_USE"));
  REQUIRE_OK((*cluster)->Stop());
}

TEST_CASE("EmbeddedCluster: a path too long for a socket address gets a short runtime directory",
          "[db]") {
  ClusterHome home;
  EmbeddedClusterOptions options = home.Options();
  const fs::path longer = home.dir() / std::string(100, 'x');
  REQUIRE(mkdir(longer.c_str(), 0711) == 0);
  options.root_dir = longer / "postgres";
  const auto layout = MakeLayout(options.root_dir, "");
  REQUIRE_OK(layout);
  auto cluster = EmbeddedCluster::Start(options);
  REQUIRE_OK(cluster);
  CHECK(fs::exists(layout->run / ".s.PGSQL.5432"));
  CHECK_OK(RunSql((*cluster)->ConnectionString(), "SELECT 1"));
  REQUIRE_OK((*cluster)->Stop());
  fs::remove_all(layout->run);
}

TEST_CASE("EmbeddedCluster: data of a version that is not installed is refused by name", "[db]") {
  ClusterHome home;
  {
    auto cluster = EmbeddedCluster::Start(home.Options());
    REQUIRE_OK(cluster);
    REQUIRE_OK((*cluster)->Stop());
  }
  std::ofstream(home.root() / "data" / "PG_VERSION") << "99\n";
  const auto refused = EmbeddedCluster::Start(home.Options());
  CHECK_THAT(refused.status(), StatusIs(absl::StatusCode::kFailedPrecondition, "PostgreSQL 99"));
  CHECK(GetErrorInfo(refused.status()).remedy.find("postgresql-99") != std::string::npos);
}

TEST_CASE("EmbeddedCluster: a data directory of another account is refused", "[db]") {
  if (geteuid() != 0) return;
  ClusterHome home;
  {
    auto cluster = EmbeddedCluster::Start(home.Options());
    REQUIRE_OK(cluster);
    REQUIRE_OK((*cluster)->Stop());
  }
  REQUIRE(chown((home.root() / "data").c_str(), 12345, 12345) == 0);
  CHECK_THAT(EmbeddedCluster::Start(home.Options()).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "CLUSTER_OWNER"));
}

TEST_CASE("EmbeddedCluster: a parent that the server cannot pass is named with its chmod", "[db]") {
  if (geteuid() != 0) return;
  ClusterHome home;
  EmbeddedClusterOptions options = home.Options();
  const fs::path closed = home.dir() / "closed";
  REQUIRE(mkdir(closed.c_str(), 0700) == 0);
  options.root_dir = closed / "postgres";
  const auto refused = EmbeddedCluster::Start(options);
  CHECK_THAT(refused.status(), StatusIs(absl::StatusCode::kFailedPrecondition, closed.string()));
  CHECK(GetErrorInfo(refused.status()).remedy.find("chmod o+x") != std::string::npos);
}

TEST_CASE("EmbeddedCluster: without PostgreSQL the error names the package", "[db]") {
  ClusterHome home;
  EmbeddedClusterOptions options = home.Options();
  options.install_root = home.dir() / "nothing";
  const auto refused = EmbeddedCluster::Start(options);
  CHECK_THAT(refused.status(), StatusIs(absl::StatusCode::kFailedPrecondition, "POSTGRES_MISSING"));
  CHECK(GetErrorInfo(refused.status()).remedy.find("apt-get install postgresql-15") !=
        std::string::npos);
}

TEST_CASE("EmbeddedCluster: an unknown account, and root, are refused", "[db]") {
  if (geteuid() != 0) return;
  ClusterHome home;
  EmbeddedClusterOptions options = home.Options();
  options.os_user = "no-such-account";
  CHECK_THAT(EmbeddedCluster::Start(options).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "CLUSTER_USER"));
  options.os_user = "root";
  CHECK_THAT(EmbeddedCluster::Start(options).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "CLUSTER_USER"));
}

TEST_CASE("EmbeddedCluster: a server that ends while it starts is an error with its words",
          "[db]") {
  ClusterHome home;
  {
    auto cluster = EmbeddedCluster::Start(home.Options());
    REQUIRE_OK(cluster);
    REQUIRE_OK((*cluster)->Stop());
  }
  fs::remove(home.root() / "data" / "global" / "pg_control");
  CHECK_THAT(EmbeddedCluster::Start(home.Options()).status(),
             StatusIs(absl::StatusCode::kUnavailable, "could not find the database system"));
}

}  // namespace
}  // namespace slipway::store::pg
