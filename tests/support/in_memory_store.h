#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/store/catalog_store.h"
#include "controller/store/image_order_store.h"
#include "controller/store/repository_credential_store.h"
#include "controller/store/run_reader.h"
#include "controller/store/scheduler_store.h"
#include "controller/store/target_store.h"

namespace slipway::testing {

// What the fakes below share: the contents of one database, which outlives the controllers on it.
// Thread-safe.
class InMemoryDatabase {
 public:
  InMemoryDatabase();
  ~InMemoryDatabase();
  InMemoryDatabase(const InMemoryDatabase&) = delete;
  InMemoryDatabase& operator=(const InMemoryDatabase&) = delete;

  // What each applied change that has a cause is about, oldest first.
  [[nodiscard]] std::vector<std::string> AuditedSubjects() const;
  // From now on `calls` calls of Commit fail after (`applied`) or before they took effect.
  void FailCommits(int calls, bool applied);

  struct State;
  [[nodiscard]] State& state() const { return *state_; }

 private:
  const std::unique_ptr<State> state_;
};

// The stores over one InMemoryDatabase, which must outlive them; every one stands for one
// process's. Thread-safe.
class InMemorySchedulerStore final : public store::SchedulerStore {
 public:
  explicit InMemorySchedulerStore(InMemoryDatabase& database) : state_(database.state()) {}
  absl::StatusOr<Epoch> BecomeLeader() override;
  absl::StatusOr<std::vector<absl::Status>> Commit(
      const std::vector<store::Change>& changes) override;
  // Everybody may do everything here.
  absl::StatusOr<std::vector<absl::Status>> CheckRights(
      const std::vector<store::Change>& changes) override {
    return std::vector<absl::Status>(changes.size());
  }
  absl::StatusOr<store::Unfinished> LoadUnfinished() override;

 private:
  InMemoryDatabase::State& state_;
  std::int64_t epoch_ = 0;
};

class InMemoryRunReader final : public store::RunReader {
 public:
  explicit InMemoryRunReader(InMemoryDatabase& database) : state_(database.state()) {}
  absl::StatusOr<store::TaskWithRun> GetTask(const TaskId& id) override;
  absl::StatusOr<store::PlatformImage> ImageOf(const TaskId& id) override;
  absl::StatusOr<domain::Release> ReleaseOfBuild(const TaskId& build) override;
  absl::StatusOr<std::string> ScriptOf(const RunId& id) override;
  absl::StatusOr<domain::Run> GetRun(const RunId& id) override;
  absl::StatusOr<std::vector<domain::Task>> TasksOfRun(const RunId& id) override;
  absl::StatusOr<store::TaskPage> ListTasks(const store::TaskFilter& filter) override;
  absl::StatusOr<std::vector<domain::Step>> ListSteps(const TaskId& id) override;
  absl::StatusOr<domain::Release> GetRelease(const ReleaseId& id) override;
  absl::StatusOr<domain::Resolution> ResolutionOf(const TaskId& publish_task) override;
  absl::StatusOr<std::map<TaskId, domain::Resolution>> ResolutionsOf(
      const std::vector<TaskId>& publish_tasks) override;
  absl::StatusOr<domain::Release> ReleaseOfTask(const TaskId& publish_task) override;
  absl::StatusOr<store::ReleasePage> ListReleases(const store::ReleaseFilter& filter) override;
  absl::StatusOr<std::vector<store::BuiltCommit>> BuiltOf(
      const store::Viewer& viewer, const std::vector<store::CommitOfApplication>& commits) override;

 private:
  InMemoryDatabase::State& state_;
};

class InMemoryApplicationStore final : public store::ApplicationStore {
 public:
  explicit InMemoryApplicationStore(InMemoryDatabase& database) : state_(database.state()) {}
  absl::StatusOr<domain::Application> Create(const domain::Application& application,
                                             const store::Cause& cause) override;
  absl::StatusOr<domain::Application> Update(const std::string& name,
                                             const store::ApplicationChange& change,
                                             const store::Cause& cause) override;
  absl::StatusOr<domain::Application> GetByName(const std::string& name) override;
  absl::StatusOr<domain::Application> Get(const ApplicationId& id) override;
  absl::StatusOr<store::ApplicationPage> List(const store::ApplicationFilter& filter) override;

 private:
  InMemoryDatabase::State& state_;
};

// Grants are not known here, so none keeps an environment.
class InMemoryTargetStore final : public store::TargetStore {
 public:
  explicit InMemoryTargetStore(InMemoryDatabase& database) : state_(database.state()) {}
  absl::StatusOr<domain::Target> CreateTarget(const domain::Target& target,
                                              const store::Cause& cause) override;
  absl::StatusOr<domain::Target> UpdateTarget(const domain::Target& target,
                                              std::optional<std::int64_t> revision,
                                              const store::Cause& cause) override;
  absl::Status DeleteTarget(const std::string& platform, const std::string& name,
                            std::optional<std::int64_t> revision,
                            const store::Cause& cause) override;
  absl::StatusOr<domain::Target> SetTargetSecret(const std::string& platform,
                                                 const std::string& name, const std::string& sealed,
                                                 std::optional<std::int64_t> revision,
                                                 const store::Cause& cause) override;
  absl::StatusOr<std::string> SealedTargetSecret(const std::string& platform,
                                                 const std::string& name) override;
  absl::StatusOr<std::shared_ptr<const domain::Targets>> GetTargets() override;
  absl::StatusOr<domain::Environment> CreateEnvironment(const domain::Environment& environment,
                                                        const store::Cause& cause) override;
  absl::StatusOr<domain::Environment> UpdateEnvironment(const domain::Environment& environment,
                                                        std::optional<std::int64_t> revision,
                                                        const store::Cause& cause) override;
  absl::Status DeleteEnvironment(const std::string& name, std::optional<std::int64_t> revision,
                                 const store::Cause& cause) override;
  absl::StatusOr<std::vector<domain::Environment>> ListEnvironments() override;

 private:
  InMemoryDatabase::State& state_;
};

class InMemoryAgentStore final : public store::AgentStore {
 public:
  explicit InMemoryAgentStore(InMemoryDatabase& database) : state_(database.state()) {}
  absl::Status AddJoinToken(const domain::JoinToken& token, const store::Cause& cause) override;
  absl::StatusOr<store::Page<domain::JoinToken>> ListJoinTokens(
      bool open_only, WallTime now, const store::PageRequest& page) override;
  absl::StatusOr<domain::JoinTokenState> RevokeJoinToken(const std::string& short_id,
                                                         const store::Cause& cause) override;
  absl::StatusOr<domain::JoinTokenState> Join(const std::string& token_hash,
                                              const domain::Agent& agent, WallTime now) override;
  absl::StatusOr<domain::Agent> Get(const AgentId& id) override;
  absl::StatusOr<std::vector<domain::Agent>> List() override;
  absl::Status Touch(const Seen& seen, WallTime now) override;
  absl::Status AddSuccessor(const AgentId& id, const domain::AgentCertificate& successor,
                            WallTime now) override;
  absl::Status PromoteSuccessor(const AgentId& id, const std::string& fingerprint,
                                WallTime now) override;

 private:
  InMemoryDatabase::State& state_;
};

class InMemoryImageOrderStore final : public store::ImageOrderStore {
 public:
  explicit InMemoryImageOrderStore(InMemoryDatabase& database) : state_(database.state()) {}
  absl::StatusOr<std::vector<domain::ImageOrder>> Put(std::vector<domain::ImageOrder> orders,
                                                      const store::Cause& cause) override;
  absl::StatusOr<int> Remove(const std::string& image, const AgentId& agent,
                             const store::Cause& cause) override;
  absl::StatusOr<std::vector<domain::ImageOrder>> List() override;

 private:
  InMemoryDatabase::State& state_;
};

class InMemoryRepositoryCredentialStore final : public store::RepositoryCredentialStore {
 public:
  explicit InMemoryRepositoryCredentialStore(InMemoryDatabase& database)
      : state_(database.state()) {}
  absl::Status Set(const domain::Application& application,
                   const domain::RepositoryCredential& about, const std::string& sealed,
                   const store::Cause& cause) override;
  absl::StatusOr<bool> Remove(const domain::Application& application,
                              const store::Cause& cause) override;
  absl::StatusOr<std::optional<domain::RepositoryCredential>> Find(
      const ApplicationId& application) override;
  absl::StatusOr<std::string> Sealed(const ApplicationId& application) override;

 private:
  InMemoryDatabase::State& state_;
};

class InMemoryFarmStore final : public store::FarmStore {
 public:
  explicit InMemoryFarmStore(InMemoryDatabase& database) : state_(database.state()) {}
  absl::StatusOr<FarmId> GetOrCreateFarmId() override;

 private:
  InMemoryDatabase::State& state_;
};

}  // namespace slipway::testing
