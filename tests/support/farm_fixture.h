#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/link/identity.h"
#include "common/protocol/attempt_result.h"
#include "controller/app.h"
#include "slipway/v1/agent_admin.grpc.pb.h"
#include "slipway/v1/agent_images.grpc.pb.h"
#include "slipway/v1/application.grpc.pb.h"
#include "slipway/v1/catalog.grpc.pb.h"
#include "slipway/v1/release.grpc.pb.h"
#include "slipway/v1/task.grpc.pb.h"
#include "tests/support/fake_agent.h"
#include "tests/support/postgres_fixture.h"

namespace slipway::testing {

// A port of this machine that nobody uses at the moment.
int FreePort();

// A person's side of the wire: every call with the admin's token and a deadline. Thread-safe.
class FarmClient {
 public:
  FarmClient(int port, const std::string& ca_pem, std::string token);

  [[nodiscard]] std::unique_ptr<grpc::ClientContext> Context(
      std::chrono::seconds deadline = std::chrono::seconds(30)) const;

  absl::Status CreateApplication(const std::string& name);
  absl::Status CreateTarget(const v1::Target& target);
  absl::StatusOr<v1::Farm> GetFarm();
  absl::StatusOr<v1::Application> GetApplication(const std::string& name);
  absl::StatusOr<std::string> NewJoinToken();
  absl::StatusOr<v1::SubmitRunResponse> Submit(const v1::SubmitRunRequest& request);
  absl::StatusOr<v1::SubmitRunsResponse> SubmitMany(const v1::SubmitRunsRequest& request);
  absl::StatusOr<v1::Task> GetTask(const std::string& id);
  absl::StatusOr<v1::Task> Cancel(const std::string& id, const std::string& reason = "");
  // The last message of WatchRun, once the run is finished.
  absl::StatusOr<v1::WatchRunResponse> Watch(const std::string& run);
  // Reads to the end; `on_slice` hears every message.
  absl::Status ReadLog(const v1::ReadLogRequest& request,
                       const std::function<void(const v1::ReadLogResponse&)>& on_slice);
  absl::StatusOr<v1::Archived> GetArchived(const std::string& name);
  absl::StatusOr<v1::ClosePageResponse> ClosePage(const std::string& name);
  absl::StatusOr<v1::Script> GetScript(const std::string& task);
  absl::StatusOr<v1::ResolvePublishResponse> Resolve(const v1::ResolvePublishRequest& request);
  // Brings the product into the new directory `path`, checked against `manifest`.
  absl::Status Download(const std::string& name, const Sha256Digest& manifest,
                        const std::string& path);

  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::TaskService::Stub& tasks() { return *tasks_; }
  v1::ApplicationService::Stub& applications() { return *applications_; }
  v1::CatalogService::Stub& catalog() { return *catalog_; }
  v1::ReleaseService::Stub& releases() { return *releases_; }
  v1::AgentAdminService::Stub& agents() { return *agents_; }
  v1::AgentImageService::Stub& agent_images() { return *agent_images_; }

 private:
  const std::string token_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::TaskService::Stub> tasks_;
  const std::unique_ptr<v1::ApplicationService::Stub> applications_;
  const std::unique_ptr<v1::CatalogService::Stub> catalog_;
  const std::unique_ptr<v1::ReleaseService::Stub> releases_;
  const std::unique_ptr<v1::AgentAdminService::Stub> agents_;
  const std::unique_ptr<v1::AgentImageService::Stub> agent_images_;
};

v1::SubmitRunRequest SubmitOf(const std::string& application, bool publish,
                              const std::string& request_id = "request-1");

// A real controller over TLS in this process, on a database of its own, with a publish target for
// "weixin". Its port stays the same over restarts. Thread-compatible.
class FarmFixture {
 public:
  enum class Database {
    kShared,    // a fresh database of the test process's one server
    kEmbedded,  // the controller's own cluster
  };
  explicit FarmFixture(Database database = Database::kShared);
  ~FarmFixture();
  FarmFixture(const FarmFixture&) = delete;
  FarmFixture& operator=(const FarmFixture&) = delete;

  void Start();
  void Stop();
  // REQUIRES: Start.
  absl::Status Reload();
  // The controller as a program of its own, with the same data; ended by Kill or destruction.
  void StartProgram(const std::string& binary);
  // kill -9.
  void KillProgram();

  // The controller said that it cannot go on.
  [[nodiscard]] std::optional<absl::Status> fatal() const;
  [[nodiscard]] controller::Options& options() { return options_; }
  [[nodiscard]] int port() const { return port_; }
  // REQUIRES: Start; the port is another one after each.
  [[nodiscard]] int http_port() const;
  [[nodiscard]] std::string data_dir() const { return options_.data_dir; }
  [[nodiscard]] std::string server() const { return "localhost:" + std::to_string(port_); }
  [[nodiscard]] std::string ca_pem() const;
  [[nodiscard]] FarmClient& client() { return *client_; }

  // A fresh identity, joined with a fresh token.
  link::Identity Join(const std::string& name);

 private:
  void MakeClient();
  // Its database outlives it, so only its first start makes the target.
  void EnsureTarget();

  ClusterHome home_;
  controller::Options options_;
  int port_ = 0;
  int joined_ = 0;
  bool has_target_ = false;
  mutable std::mutex mu_;
  std::optional<absl::Status> fatal_;
  std::unique_ptr<controller::App> app_;
  pid_t program_ = -1;
  std::unique_ptr<FarmClient> client_;
};

// Does a whole build of `product`: log, archive, result. The product's digest.
Sha256Digest DoBuild(FakeAgent& agent, const AttemptKey& key, const std::string& product,
                     std::string_view log, const std::string& sealed_credential = "");

// A successful result of a build whose log is `log` and whose product is `manifest`.
protocol::AttemptResult BuildResult(std::string_view log, const Sha256Digest& manifest,
                                    std::string sealed_credential = "",
                                    std::string app_id = "wx0123456789abcdef");
protocol::AttemptResult PublishResult(std::string_view log);
protocol::AttemptResult FailedResult(std::string_view log, protocol::FailureClass klass);

}  // namespace slipway::testing
