#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/store/pg/database.h"
#include "controller/store/pg/embedded_cluster.h"

namespace slipway::testing {

// A temporary directory for one embedded cluster, at root(). Destruction, or the end of this
// process however it comes (a helper process waits for it), ends the server in there and removes
// all.
class ClusterHome {
 public:
  ClusterHome();
  ClusterHome(const ClusterHome&) = delete;
  ClusterHome& operator=(const ClusterHome&) = delete;
  ~ClusterHome();

  [[nodiscard]] const std::filesystem::path& dir() const { return dir_; }
  [[nodiscard]] std::filesystem::path root() const { return dir_ / "postgres"; }
  // Settings for a fast test cluster in root().
  [[nodiscard]] store::pg::EmbeddedClusterOptions Options() const;

 private:
  std::filesystem::path dir_;
  int alive_fd_ = -1;
  int reaper_ = -1;
};

using TextRows = std::vector<std::vector<std::string>>;

// Runs any SQL; the rows of the last statement as text, NULL as "". Errors as statuses.
absl::StatusOr<TextRows> RunSql(const std::string& connection, const std::string& sql);

// The one server of this test process, without fsync. Started at first use; ends the process with a
// message when it cannot start.
class PostgresFixture {
 public:
  static PostgresFixture& Get();

  // Connection strings of an empty database, and of a copy of one with the schema migrated. Dropped
  // with the server.
  std::string NewEmptyDatabase();
  std::string NewDatabase();

  [[nodiscard]] const store::pg::EmbeddedCluster& cluster() const { return *cluster_; }

 private:
  PostgresFixture();
  std::string Create(std::string_view suffix);

  ClusterHome home_;
  std::unique_ptr<store::pg::EmbeddedCluster> cluster_;
  int databases_ = 0;
};

// Pool options for `connection` with short waits. A pool with them may begin terms in a NewDatabase
// as long as no Leadership was acquired there under another name.
store::pg::DatabaseOptions TestDatabaseOptions(const std::string& connection);

}  // namespace slipway::testing
