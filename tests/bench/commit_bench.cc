// What storing a change costs: batches of N changes of one kind, as a no-op build has them (its
// run, its offer, its start, its end) and all four mixed, committed by PgSchedulerStore to a
// durable cluster of its own. Prints per kind: changes per transaction, microseconds per change in
// all, of this process's processor time and of PostgreSQL's, a line each.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "controller/store/pg/migrator.h"
#include "controller/store/pg/pg_catalog_stores.h"
#include "controller/store/pg/pg_scheduler_store.h"
#include "tests/support/postgres_fixture.h"

namespace slipway {
namespace {

constexpr int kChangesPerKind = 20'000;

void Check(const absl::Status& status, std::string_view what) {
  if (status.ok()) return;
  fmt::print(stderr, "{}: {}\n", what, Describe(status));
  std::exit(1);
}

template <typename T>
T Check(absl::StatusOr<T> value, std::string_view what) {
  Check(value.status(), what);
  return *std::move(value);
}

// Nanoseconds on a processor of all processes below the server's.
std::int64_t ServerCpu(pid_t server) {
  std::int64_t sum = 0;
  std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", server));
  for (pid_t child = 0; list >> child;) {
    std::int64_t ran = 0;
    std::ifstream(fmt::format("/proc/{}/schedstat", child)) >> ran;
    sum += ran;
  }
  return sum;
}

std::int64_t OwnCpu() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

store::Cause CauseOf(std::string actor) {
  return {.actor = std::move(actor), .at = FromUnixMicros(1'800'000'000'000'000)};
}

AttemptKey KeyOf(int i, int attempt) {
  return {TaskId(fmt::format("task-{:08}", i)), Attempt(attempt)};
}

store::Change RunOf(int i) {
  domain::Run run{.id = RunId(fmt::format("run-{:08}", i)),
                  .application = ApplicationId("app-bench"),
                  .application_name = "bench",
                  .ref = "main",
                  .version = "",
                  .description = "",
                  .submitted_by = "admin",
                  .submitted_at = CauseOf("").at,
                  .request_id = fmt::format("request-{:08}", i)};
  domain::Task task;
  task.id = KeyOf(i, 0).task;
  task.run = run.id;
  task.application = run.application;
  task.platform = "web";
  task.requirements = {{"executor", "docker"}};
  task.state = domain::TaskState::kQueued;
  task.created_at = run.submitted_at;
  return store::CreateRun{CauseOf("admin"), std::move(run), {std::move(task)}};
}

store::Change OfferOf(int i) {
  return store::OfferTask{CauseOf("scheduler"), KeyOf(i, 1), AgentId("agent-bench"),
                          CauseOf("").at};
}

store::Change StartOf(int i) { return store::StartTask{CauseOf("agent:agent-bench"), KeyOf(i, 1)}; }

store::Change EndOf(int i) {
  protocol::AttemptResult result;
  result.build = protocol::BuildOutcome{};
  return store::FinishTask{.cause = CauseOf("agent:agent-bench"),
                           .key = KeyOf(i, 1),
                           .state = domain::TaskState::kSucceeded,
                           .result = std::move(result),
                           .release = std::nullopt};
}

class Bench {
 public:
  Bench() {
    auto options = home_.Options();
    options.durable = true;
    options.shared_buffers_mb = 128;
    cluster_ = Check(store::pg::EmbeddedCluster::Start(options), "PostgreSQL");
    const auto pool = testing::TestDatabaseOptions(cluster_->ConnectionString("slipway"));
    Check(store::pg::Migrate(pool, store::pg::BuiltInMigrations(), store::pg::MigrationMode::kApply)
              .status(),
          "migrating");
    Check(testing::RunSql(pool.connection, "UPDATE leadership SET holder = 'test'").status(),
          "naming the holder");
    database_ = Check(store::pg::Database::Open(pool), "the database");
    Check(store::pg::PgSchedulerStore(*database_).BecomeLeader().status(), "leading");
    Check(store::pg::PgApplicationStore(*database_)
              .Create({.id = ApplicationId("app-bench"),
                       .name = "bench",
                       .repository = "https://example.test/bench.git",
                       .description = "",
                       .created_at = FromUnixMicros(1),
                       .created_by = "admin"},
                      CauseOf("admin")),
          "the application");
  }

  void Measure(const char* name, std::size_t per_batch, const std::vector<store::Change>& changes) {
    store::pg::PgSchedulerStore store(*database_);
    const auto begin = std::chrono::steady_clock::now();
    const std::int64_t own = OwnCpu();
    const std::int64_t server = ServerCpu(cluster_->server_pid());
    for (std::size_t at = 0; at < changes.size(); at += per_batch) {
      const auto end =
          changes.begin() + static_cast<std::ptrdiff_t>(std::min(changes.size(), at + per_batch));
      const auto outcome =
          Check(store.Commit({changes.begin() + static_cast<std::ptrdiff_t>(at), end}), name);
      for (const absl::Status& status : outcome) Check(status, name);
    }
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    const auto count = static_cast<double>(changes.size());
    fmt::print("{:8} {:5} {:8.1f} {:8.1f} {:8.1f}\n", name, per_batch, took.count() / count,
               static_cast<double>(OwnCpu() - own) / count / 1000,
               static_cast<double>(ServerCpu(cluster_->server_pid()) - server) / count / 1000);
  }

  void Run(std::size_t per_batch) {
    const int first = next_;
    const int last = next_ += kChangesPerKind;
    const auto all = [&](auto make) {
      std::vector<store::Change> changes;
      for (int i = first; i < last; ++i) changes.push_back(make(i));
      return changes;
    };
    Measure("create", per_batch, all(RunOf));
    Measure("offer", per_batch, all(OfferOf));
    Measure("start", per_batch, all(StartOf));
    Measure("finish", per_batch, all(EndOf));
    Measure("mixed", per_batch, Mixed(static_cast<int>(per_batch)));
  }

 private:
  // As a farm under load: each batch creates some runs, offers those of the batch before, starts
  // those that were offered in it, and so on.
  std::vector<store::Change> Mixed(int per_batch) {
    std::vector<store::Change> changes;
    const int first = next_;
    const int last = next_ += kChangesPerKind / 4;
    const int lag = per_batch / 4;
    for (int i = first; i < last + 3 * lag; ++i) {
      const auto add = [&](int task, auto make) {
        if (task >= first && task < last) changes.push_back(make(task));
      };
      add(i, RunOf);
      add(i - lag, OfferOf);
      add(i - 2 * lag, StartOf);
      add(i - 3 * lag, EndOf);
    }
    return changes;
  }

  testing::ClusterHome home_;
  std::unique_ptr<store::pg::EmbeddedCluster> cluster_;
  std::unique_ptr<store::pg::Database> database_;
  int next_ = 0;
};

}  // namespace
}  // namespace slipway

int main(int argc, char** argv) {
  if (argc < 2 || std::atoi(argv[1]) < 4) {
    fmt::print(stderr, "usage: commit_bench CHANGES-PER-TRANSACTION…\n");
    return 2;
  }
  slipway::Bench bench;
  fmt::print("{:8} {:>5} {:>8} {:>8} {:>8}\n", "change", "batch", "µs each", "own CPU", "server");
  for (int i = 1; i < argc; ++i) bench.Run(static_cast<std::size_t>(std::atoi(argv[i])));
}
