#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/crypto/pki.h"
#include "slipway/v1/agent_admin.grpc.pb.h"
#include "slipway/v1/agent_images.grpc.pb.h"
#include "slipway/v1/application.grpc.pb.h"
#include "slipway/v1/audit.grpc.pb.h"
#include "slipway/v1/release.grpc.pb.h"
#include "slipway/v1/task.grpc.pb.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/cli_fake_access.h"

namespace slipway::testing {

// What a controller knows, for the fake services below; outlives restarts of the server.
struct FakeFarm {
  struct Log {
    std::string data;
    bool sealed = false;
    bool complete = true;
    std::uint64_t missing = 0;
  };
  struct Product {
    v1::Archived archived;
    std::string manifest;
    std::vector<v1::BlobPiece> pieces;
  };

  // Changes something and wakes the streams.
  template <typename Change>
  void Update(Change change) {
    const std::lock_guard lock(mu);
    change(*this);
    changed.notify_all();
  }

  // Own synchronisation.
  FakeAccess access;

  std::mutex mu;
  std::condition_variable changed;
  // Guarded by mu.
  std::map<std::string, v1::Task> tasks;
  std::map<std::string, v1::PlatformImage> codes;
  std::map<std::pair<std::string, std::int64_t>, Log> logs;
  std::map<std::string, Product> products;
  std::map<std::string, v1::Agent> agents;  // by name
  std::vector<v1::JoinToken> join_tokens;
  std::map<std::string, v1::ExplainTaskResponse> explanations;  // by task; the task is added
  v1::Application application;
  v1::Farm farm;
  std::vector<v1::AgentImage> images;
  std::vector<v1::AuditEntry> audit;  // newest first
  std::optional<v1::AuditFinding> audit_finding;
  // Sends packages.
  std::function<grpc::Status(const v1::DownloadPackageRequest& request,
                             grpc::ServerWriter<v1::DownloadPackageResponse>& writer)>
      package;
  // What was asked.
  std::vector<v1::PrepareImagesRequest> prepares;
  int image_lists = 0;
  std::vector<v1::SubmitRunRequest> submits;
  std::vector<v1::RunScriptRequest> scripts;
  std::vector<v1::PublishProductRequest> publishes;
  std::vector<v1::SubmitAgainRequest> repeats;
  std::vector<v1::SubmittedRun> submitted;  // what SubmitRuns and SubmitAgain answer
  std::vector<v1::CancelTaskRequest> cancels;
  std::vector<v1::UpdateApplicationRequest> updates;
  std::vector<std::string> repository_credentials;  // sealed
  std::vector<v1::ResolvePublishRequest> resolves;
  std::vector<v1::ReadLogRequest> log_reads;
  int downloads =
      0;  // begun; of the sixth on the product is gone, so that no client goes on for ever
  std::vector<v1::ChangeAgentsRequest> agent_changes;
  std::vector<std::string> revoked_tokens;
  std::vector<v1::ListAuditEntriesRequest> audit_lists;
  std::vector<v1::VerifyAuditRequest> audit_checks;
  std::vector<v1::ExportAuditRequest> audit_exports;
  int unavailable_submits = 0;  // so many are answered UNAVAILABLE, though they took effect
  int full_submits = 0;         // so many are answered QUEUE_FULL, to be tried again after kFullFor
};

// Longer than clients wait by themselves.
inline constexpr std::chrono::milliseconds kFullFor{700};

// A server with the real services' contracts on 127.0.0.1, with TLS by a CA of its own.
class FakeController {
 public:
  static constexpr char kToken[] = "test-token-1";

  explicit FakeController(FakeFarm& farm);
  ~FakeController();

  // Ends all calls at once, as a killed process does.
  void Stop();
  // On the same port.
  void Start();

  // Files for the flags --ca and --token-file.
  [[nodiscard]] std::string ca_file() const { return dir_ / "ca.pem"; }
  [[nodiscard]] std::string token_file() const { return dir_ / "token"; }
  [[nodiscard]] std::string address() const;

 private:
  struct Services;

  const TempDir dir_;
  crypto::KeyAndCertificate ca_;
  crypto::KeyAndCertificate certificate_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace slipway::testing
