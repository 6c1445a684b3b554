#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "common/loghash/segment_hasher.h"
#include "controller/artifacts/directory_blob_store.h"
#include "controller/runs/run_orders.h"
#include "slipway/v1/agent.pb.h"
#include "tests/support/in_memory_store.h"
#include "tests/support/memory_artifact_index.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::runs {

using scheduler::LogState;
using scheduler::ResultReported;

inline const TaskId kBuild("task-build");
inline const TaskId kPublish("task-publish");
inline const ApplicationId kApplication("11111111-1111-4111-8111-111111111111");

// A run whose build has succeeded, on an empty archive.
struct Farm {
  explicit Farm(domain::TaskKind handing_over = domain::TaskKind::kPublish) {
    REQUIRE(scheduler_store.BecomeLeader().ok());
    domain::Application application;
    application.id = kApplication;
    application.name = "shop";
    application.repository = "https://git.example/shop.git";
    REQUIRE_OK(applications.Create(application, {"admin", FromUnixMicros(1)}));
    domain::Run run;
    run.id = RunId("run-1");
    run.application = kApplication;
    run.application_name = "shop";
    run.ref = "main";
    run.submitted_by = "admin";
    run.request_id = "r";
    domain::Task build;
    build.id = kBuild;
    build.run = run.id;
    build.application = kApplication;
    build.platform = "weixin";
    build.state = domain::TaskState::kQueued;
    domain::Task publish = build;
    publish.id = kPublish;
    publish.kind = handing_over;
    publish.depends_on = kBuild;
    publish.target = "weixin";
    publish.state = domain::TaskState::kWaiting;
    const store::Cause cause{"admin", WallTime()};
    Commit(store::CreateRun{cause, run, {build, publish}});
    const AttemptKey key{kBuild, Attempt(1)};
    Commit(store::OfferTask{cause, key, AgentId("agent-1"), WallTime()});
    Commit(store::StartTask{cause, key});
    protocol::AttemptResult result;
    result.build.emplace();
    result.build->manifest = *Sha256Digest::Parse(std::string(64, 'a'));
    result.build->version = "1.2.3";
    result.build->app_id = "wx1";
    result.build->publish_options = {"desc=a=b", "broken"};
    result.build->sealed_credential = "not a seal";
    Commit(store::FinishTask{cause, key, domain::TaskState::kSucceeded, result, std::nullopt});

    auto opened = artifacts::DirectoryBlobStore::Open(dir / "blobs");
    REQUIRE_OK(opened);
    blobs = *std::move(opened);
    auto made = logs::LogStore::Make({.root = dir / "logs"});
    REQUIRE_OK(made);
    logs = *std::move(made);
    archive = std::make_unique<artifacts::ArtifactArchive>(*blobs, index, clock);
    auto keys = crypto::CreateEncryptionCertificate(farm, clock.Wall());
    REQUIRE_OK(keys);
    sealing = *std::move(keys);
  }
  void Commit(store::Change change) {
    const auto statuses = scheduler_store.Commit({std::move(change)});
    REQUIRE_OK(statuses);
    REQUIRE_OK(statuses->at(0));
  }
  RunOrders Orders() {
    return RunOrders({reader, applications, credentials, *logs, *archive, watch, targets, clock,
                      farm, sealing, "https://farm.example"});
  }

  testing::TempDir dir;
  SystemClock clock;
  FarmId farm{"farm-1"};
  testing::InMemoryDatabase database;
  testing::InMemorySchedulerStore scheduler_store{database};
  testing::InMemoryRunReader reader{database};
  testing::InMemoryApplicationStore applications{database};
  testing::InMemoryRepositoryCredentialStore credentials{database};
  testing::MemoryArtifactIndex index;
  std::unique_ptr<artifacts::BlobStore> blobs;
  std::unique_ptr<artifacts::ArtifactArchive> archive;
  std::unique_ptr<logs::LogStore> logs;
  crypto::KeyAndCertificate sealing;
  TaskWatch watch;
  testing::InMemoryTargetStore targets{database};
};

inline ResultReported ReportOf(const TaskId& task) {
  ResultReported event;
  event.key = {task, Attempt(1)};
  event.result.log.root = loghash::RootOf("");
  return event;
}

}  // namespace slipway::runs
