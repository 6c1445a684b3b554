#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "controller/domain/task.h"
#include "controller/store/viewer.h"

namespace slipway::store {

struct TaskFilter {
  Viewer viewer{};
  std::optional<RunId> run{};
  std::optional<ApplicationId> application{};
  std::vector<domain::TaskState> states{};  // empty: any
  // Newest first. At most this many; 1 … 1000.
  int page_size = 50;
  // As given by the previous page; empty: from the start.
  std::string page_token{};
};

struct TaskWithRun {
  domain::Task task;
  domain::Run run;
};

struct TaskPage {
  std::vector<TaskWithRun> tasks;
  std::string next_page_token;  // empty: no more
};

struct ReleaseFilter {
  Viewer viewer{};
  std::optional<ApplicationId> application{};
  std::string platform{};  // empty: any
  int page_size = 50;
  std::string page_token{};
};

struct ReleasePage {
  std::vector<domain::Release> releases;
  std::string next_page_token;
};

struct CommitOfApplication {
  ApplicationId application;
  std::string commit;  // 40 hex digits
};

// A build of a commit that succeeded, its product archived.
struct BuiltCommit {
  ApplicationId application;
  std::string commit;
  std::string platform;
  TaskId task;
  RunId run;
  std::string version;  // of the product
  WallTime built_at;
};

struct PlatformImage {
  std::string media_type;  // image/png or image/jpeg
  std::string bytes;       // at most protocol::kMaxCodeImageBytes
};

// What people read of runs, tasks and releases. Every read sees only committed rows.
// kNotFound names the id, with reason NO_SUCH_TASK, NO_SUCH_RUN or NO_SUCH_PRODUCT (a release);
// kInvalidArgument: a bad page token. Thread-safe.
class RunReader {
 public:
  virtual ~RunReader() = default;

  [[nodiscard]] virtual absl::StatusOr<TaskWithRun> GetTask(const TaskId& id) = 0;
  [[nodiscard]] virtual absl::StatusOr<domain::Run> GetRun(const RunId& id) = 0;
  // Of one run: builds before the publishes that depend on them.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::Task>> TasksOfRun(const RunId& id) = 0;
  [[nodiscard]] virtual absl::StatusOr<TaskPage> ListTasks(const TaskFilter& filter) = 0;
  // All attempts' steps of a task, in order of (attempt, number).
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::Step>> ListSteps(const TaskId& id) = 0;

  // The image of the platform's code that a publish or preview brought. kNotFound, reason NO_CODE:
  // it brought none, or there is no such task.
  [[nodiscard]] virtual absl::StatusOr<PlatformImage> ImageOf(const TaskId& id) = 0;

  // The script that somebody brought for this run. kNotFound, reason NO_SUCH_RUN: it has none.
  [[nodiscard]] virtual absl::StatusOr<std::string> ScriptOf(const RunId& id) = 0;

  [[nodiscard]] virtual absl::StatusOr<domain::Release> GetRelease(const ReleaseId& id) = 0;
  // How a publish of unknown outcome was resolved. kNotFound: it was not.
  [[nodiscard]] virtual absl::StatusOr<domain::Resolution> ResolutionOf(
      const TaskId& publish_task) = 0;
  // Of those of the tasks that were, each with its resolution.
  [[nodiscard]] virtual absl::StatusOr<std::map<TaskId, domain::Resolution>> ResolutionsOf(
      const std::vector<TaskId>& publish_tasks) = 0;
  // What a publish task made public. kNotFound: nothing (yet).
  [[nodiscard]] virtual absl::StatusOr<domain::Release> ReleaseOfTask(
      const TaskId& publish_task) = 0;
  // The newest that was made of a build's product. kNotFound: none was.
  [[nodiscard]] virtual absl::StatusOr<domain::Release> ReleaseOfBuild(const TaskId& build) = 0;
  [[nodiscard]] virtual absl::StatusOr<ReleasePage> ListReleases(const ReleaseFilter& filter) = 0;

  // Of each of the commits the build that ended last, by platform; of applications that the viewer
  // does not see, none. In the order of application, commit and platform.
  [[nodiscard]] virtual absl::StatusOr<std::vector<BuiltCommit>> BuiltOf(
      const Viewer& viewer, const std::vector<CommitOfApplication>& commits) = 0;
};

}  // namespace slipway::store
