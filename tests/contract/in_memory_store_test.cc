#include "tests/support/in_memory_store.h"

#include <catch2/catch.hpp>

#include "tests/contract/store_harness.h"
#include "tests/support/memory_artifact_index.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

struct InMemoryProcess final : StoreProcess {
  InMemoryProcess(InMemoryDatabase& database, MemoryArtifactIndex& index)
      : scheduler_(database),
        reader_(database),
        applications_(database),
        targets_(database),
        agents_(database),
        image_orders_(database),
        farm_(database),
        artifacts_(index) {}
  store::SchedulerStore& scheduler() override { return scheduler_; }
  store::RunReader& reader() override { return reader_; }
  store::ApplicationStore& applications() override { return applications_; }
  store::TargetStore& targets() override { return targets_; }
  store::AgentStore& agents() override { return agents_; }
  store::ImageOrderStore& image_orders() override { return image_orders_; }
  store::FarmStore& farm() override { return farm_; }
  artifacts::ArtifactIndex& artifacts() override { return artifacts_; }

  InMemorySchedulerStore scheduler_;
  InMemoryRunReader reader_;
  InMemoryApplicationStore applications_;
  InMemoryTargetStore targets_;
  InMemoryAgentStore agents_;
  InMemoryImageOrderStore image_orders_;
  InMemoryFarmStore farm_;
  MemoryArtifactIndex& artifacts_;
};

struct InMemoryHarness final : StoreHarness {
  std::unique_ptr<StoreProcess> NewProcess() override {
    return std::make_unique<InMemoryProcess>(database, index);
  }
  std::vector<std::string> AuditedSubjects() override { return database.AuditedSubjects(); }
  void MarkBlob(const Sha256Digest& digest) override { index.Mark(digest); }

  InMemoryDatabase database;
  MemoryArtifactIndex index;
};

}  // namespace

std::unique_ptr<StoreHarness> MakeStoreHarness() { return std::make_unique<InMemoryHarness>(); }

TEST_CASE("InMemorySchedulerStore: a commit in doubt may have happened or not", "[contract]") {
  InMemoryDatabase database;
  InMemorySchedulerStore store(database);
  REQUIRE_OK(store.BecomeLeader());
  store::CreateRun create;
  create.run.id = RunId("run-1");
  create.run.request_id = "one";
  database.FailCommits(1, /*applied=*/true);
  CHECK_THAT(store.Commit({create}).status(),
             StatusIs(absl::StatusCode::kUnknown, "COMMIT_IN_DOUBT"));
  CHECK_OK(InMemoryRunReader(database).GetRun(RunId("run-1")));
  create.run.id = RunId("run-2");
  create.run.request_id = "two";
  database.FailCommits(1, /*applied=*/false);
  CHECK_FALSE(store.Commit({create}).ok());
  CHECK_FALSE(InMemoryRunReader(database).GetRun(RunId("run-2")).ok());
}

}  // namespace slipway::testing
