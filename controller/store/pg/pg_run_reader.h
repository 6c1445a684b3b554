#pragma once

#include <string>
#include <vector>

#include "controller/store/pg/database.h"
#include "controller/store/run_reader.h"

namespace slipway::store::pg {

// The RunReader in PostgreSQL. Lists continue from the last row seen, so that rows that come
// meanwhile neither shift nor repeat what follows.
//
// Thread-safe. `database` must outlive it.
class PgRunReader final : public RunReader {
 public:
  explicit PgRunReader(Database& database) : database_(database) {}

  absl::StatusOr<TaskWithRun> GetTask(const TaskId& id) override;
  absl::StatusOr<PlatformImage> ImageOf(const TaskId& id) override;
  absl::StatusOr<domain::Release> ReleaseOfBuild(const TaskId& build) override;
  absl::StatusOr<std::string> ScriptOf(const RunId& id) override;
  absl::StatusOr<domain::Run> GetRun(const RunId& id) override;
  absl::StatusOr<std::vector<domain::Task>> TasksOfRun(const RunId& id) override;
  absl::StatusOr<TaskPage> ListTasks(const TaskFilter& filter) override;
  absl::StatusOr<std::vector<domain::Step>> ListSteps(const TaskId& id) override;
  absl::StatusOr<domain::Release> GetRelease(const ReleaseId& id) override;
  absl::StatusOr<domain::Resolution> ResolutionOf(const TaskId& publish_task) override;
  absl::StatusOr<std::map<TaskId, domain::Resolution>> ResolutionsOf(
      const std::vector<TaskId>& publish_tasks) override;
  absl::StatusOr<domain::Release> ReleaseOfTask(const TaskId& publish_task) override;
  absl::StatusOr<ReleasePage> ListReleases(const ReleaseFilter& filter) override;
  absl::StatusOr<std::vector<BuiltCommit>> BuiltOf(
      const Viewer& viewer, const std::vector<CommitOfApplication>& commits) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
