#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/crypto/pki.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/logs/log_store.h"
#include "controller/runs/known_runs.h"
#include "controller/runs/task_watch.h"
#include "controller/scheduler/work_orders.h"
#include "controller/store/catalog_store.h"
#include "controller/store/repository_credential_store.h"
#include "controller/store/run_reader.h"
#include "controller/store/target_store.h"

namespace slipway::v1 {
class BuildSpec;
}

namespace slipway::runs {

// Knows what tasks mean: makes their specifications from the run and the build they depend on,
// opens the credential of a publish that holds its permit, compares logs, and makes the release
// row.
//
// The credential is opened here and nowhere else, only for a task whose permit is committed, and
// lives in memory until it is sent. Called as WorkOrders says.
class RunOrders final : public scheduler::WorkOrders {
 public:
  struct Deps {
    store::RunReader& reader;
    store::ApplicationStore& applications;
    store::RepositoryCredentialStore& credentials;
    logs::LogStore& logs;
    artifacts::ArtifactArchive& archive;
    TaskWatch& watch;
    store::TargetStore& targets;
    const Clock& clock;
    FarmId farm;
    const crypto::KeyAndCertificate& sealing;
    // Base URL of the console for QR codes; empty: codes in the farm's own scheme.
    std::string public_url;
  };

  explicit RunOrders(Deps deps);

  void Submitted(const scheduler::Submit& event) override;
  absl::Status Complete(scheduler::ResultReported& event) override;
  absl::StatusOr<std::optional<protocol::Failure>> Complete(
      scheduler::PermitRequested& event) override;
  absl::Status Complete(scheduler::Resolve& event) override;
  absl::StatusOr<std::string> SpecOf(const TaskId& task) override;
  absl::StatusOr<std::variant<std::string, protocol::Failure>> SecretOf(
      const TaskId& task) override;
  void ResultTaken(const scheduler::TakenResult& result) override;
  void Changed(const std::vector<TaskId>& tasks) override;
  // Seals the logs of attempts that are over: their result was taken by a commit in doubt, or never
  // came.
  void Loaded() override;

 private:
  // An error: the log cannot be read now.
  absl::StatusOr<logs::LogVerdict> JudgeLog(const scheduler::ResultReported& event);
  struct Publish {
    store::TaskWithRun publish;
    store::TaskWithRun build;
  };
  // A publish task with the build it depends on, which has succeeded; of a probe, the publish that
  // it is about.
  absl::StatusOr<Publish> LoadPublish(const TaskId& task);
  // A success without what success means is turned into a failure.
  // An agent from before parameters would build without them.
  static void CheckParameters(const domain::Run& run, protocol::AttemptResult& result);
  absl::Status CheckProduct(const ApplicationId& application, domain::TaskKind kind,
                            protocol::AttemptResult& result);
  // kNotFound: it is not.
  absl::Status CheckArchived(const ApplicationId& application, const Sha256Digest& manifest);
  [[nodiscard]] absl::StatusOr<std::string> BuildSpecOf(const domain::Run& run,
                                                        const std::string& platform,
                                                        bool publish_follows);
  [[nodiscard]] absl::StatusOr<std::string> ScriptSpecOf(const domain::Run& run,
                                                         const std::string& platform);
  absl::Status FillBuild(const domain::Run& run, bool publish_follows, v1::BuildSpec& build);
  absl::StatusOr<domain::Release> MakeRelease(const TaskId& task,
                                              const protocol::PublishOutcome& outcome,
                                              const std::string& version = "");
  // What a probe's answer says of its publish; nullopt: nothing.
  absl::StatusOr<std::optional<scheduler::Resolve>> ResolveBy(
      const store::TaskWithRun& probe, const protocol::AttemptResult& result);

  const Deps deps_;
  KnownRuns known_;
  // Products that were found in the archive a moment ago, when. The scheduler's thread's.
  std::map<std::pair<ApplicationId, Sha256Digest>, MonoTime> archived_;
  std::mutex mu_;
  // Readings in a row of logs that the disk did not give back; of attempts that are not over.
  std::map<AttemptKey, int> unreadable_;
};

}  // namespace slipway::runs
