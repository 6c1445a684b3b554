#include "tests/unit/cli_fake_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "common/rpc/grpc_status.h"
#include "common/status/remedies.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli_fake_submits.h"

namespace slipway::testing {
namespace {

using grpc::ServerContext;

// The token of the file, or whatever else the farm gave.
grpc::Status Authorize(ServerContext& context, FakeFarm& farm) {
  if (!CallerOf(farm.access, context).empty()) return grpc::Status::OK;
  return rpc::ToGrpc(context, MakeError(absl::StatusCode::kUnauthenticated, "BAD_TOKEN",
                                        "the API token is not valid", "Ask an admin for one."));
}

grpc::Status NotFound(ServerContext& context, const std::string& what) {
  const std::string reason = "NO_SUCH_" + absl::AsciiStrToUpper(what);
  return rpc::ToGrpc(context,
                     MakeError(absl::StatusCode::kNotFound, reason, "there is no such " + what));
}

#define SLIPWAY_AUTHORIZE(context)                                                  \
  do {                                                                              \
    if (auto refused = Authorize(*(context), farm_); !refused.ok()) return refused; \
  } while (false)

// Until something changes; false when the call is over.
bool WaitForChange(FakeFarm& farm, std::unique_lock<std::mutex>& lock, ServerContext& context) {
  farm.changed.wait_for(lock, std::chrono::milliseconds(10));
  return !context.IsCancelled();
}

class Tasks final : public FakeSubmits {
 public:
  explicit Tasks(FakeFarm& farm) : FakeSubmits(farm), farm_(farm) {}

  grpc::Status SubmitRun(ServerContext* context, const v1::SubmitRunRequest* request,
                         v1::SubmitRunResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.submits.push_back(*request);
    if (request->application() != farm_.application.name()) {
      return rpc::ToGrpc(*context,
                         MakeError(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION",
                                   "there is no application 'nope'", "`slipway apps` lists them."));
    }
    if (farm_.unavailable_submits > 0) {
      --farm_.unavailable_submits;
      return {grpc::StatusCode::UNAVAILABLE, "the database has not answered yet"};
    }
    if (farm_.full_submits > 0) {
      --farm_.full_submits;
      return rpc::ToGrpc(
          *context, WithRetryAfter(MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                                             "too many submits are waiting"),
                                   kFullFor));
    }
    response->set_run("run-1");
    for (const auto& [id, task] : farm_.tasks) *response->add_tasks() = task;
    return grpc::Status::OK;
  }

  grpc::Status GetTask(ServerContext* context, const v1::GetTaskRequest* request,
                       v1::Task* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    const auto it = farm_.tasks.find(request->id());
    if (it == farm_.tasks.end()) return NotFound(*context, "task");
    *response = it->second;
    return grpc::Status::OK;
  }

  grpc::Status GetPlatformImage(ServerContext* context, const v1::GetPlatformImageRequest* request,
                                v1::PlatformImage* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    *response = farm_.codes[request->task()];
    return response->image().empty() ? NotFound(*context, "image") : grpc::Status::OK;
  }

  grpc::Status ExplainTask(ServerContext* context, const v1::ExplainTaskRequest* request,
                           v1::ExplainTaskResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    const auto it = farm_.tasks.find(request->id());
    if (it == farm_.tasks.end()) return NotFound(*context, "task");
    *response = farm_.explanations[request->id()];
    *response->mutable_task() = it->second;
    return grpc::Status::OK;
  }

  grpc::Status ListTasks(ServerContext* context, const v1::ListTasksRequest* request,
                         v1::ListTasksResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    if (!request->run().empty() && request->run() != "run-1") return NotFound(*context, "run");
    const std::lock_guard lock(farm_.mu);
    for (const auto& [id, task] : farm_.tasks) {
      if (request->states().empty() ||
          std::count(request->states().begin(), request->states().end(), task.state()) > 0) {
        *response->add_tasks() = task;
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status CancelTask(ServerContext* context, const v1::CancelTaskRequest* request,
                          v1::CancelTaskResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.cancels.push_back(*request);
    *response->mutable_task() = farm_.tasks[request->id()];
    return grpc::Status::OK;
  }

  grpc::Status WatchRun(ServerContext* context, const v1::WatchRunRequest* request,
                        grpc::ServerWriter<v1::WatchRunResponse>* writer) override {
    SLIPWAY_AUTHORIZE(context);
    if (request->run() != "run-1") return NotFound(*context, "run");
    std::string last;
    std::unique_lock lock(farm_.mu);
    while (true) {
      v1::WatchRunResponse response;
      bool finished = true;
      for (const auto& [id, task] : farm_.tasks) {
        *response.add_tasks() = task;
        finished = finished && cli::IsFinished(task.state());
      }
      response.set_finished(finished);
      if (std::string bytes = response.SerializeAsString(); bytes != last) {
        last = std::move(bytes);
        lock.unlock();
        if (!writer->Write(response)) return grpc::Status::CANCELLED;
        lock.lock();
      }
      if (finished) return grpc::Status::OK;
      if (!WaitForChange(farm_, lock, *context)) return grpc::Status::CANCELLED;
    }
  }

  grpc::Status ReadLog(ServerContext* context, const v1::ReadLogRequest* request,
                       grpc::ServerWriter<v1::ReadLogResponse>* writer) override {
    SLIPWAY_AUTHORIZE(context);
    std::unique_lock lock(farm_.mu);
    farm_.log_reads.push_back(*request);
    const auto task = farm_.tasks.find(request->task());
    if (task == farm_.tasks.end()) return NotFound(*context, "task");
    const std::int64_t attempt =
        request->attempt() == 0 ? task->second.attempt() : request->attempt();
    std::uint64_t offset = request->offset();
    while (true) {
      const FakeFarm::Log log = farm_.logs[{request->task(), attempt}];
      v1::ReadLogResponse response;
      response.set_offset(offset);
      response.set_attempt(attempt);
      const bool more = offset < log.data.size();
      if (more) {
        // A line at a time: many answers, and what a reader adds lies between lines.
        const std::size_t end = std::min(log.data.find('\n', offset), log.data.size() - 1);
        response.set_data(log.data.substr(offset, end + 1 - offset));
        offset += response.data().size();
      } else if (log.sealed || !request->follow()) {
        response.set_complete(log.sealed && log.complete);
        response.set_missing(log.missing);
      } else {
        if (!WaitForChange(farm_, lock, *context)) return grpc::Status::CANCELLED;
        continue;
      }
      lock.unlock();
      if (!writer->Write(response)) return grpc::Status::CANCELLED;
      if (!more) return grpc::Status::OK;
      lock.lock();
    }
  }

 private:
  FakeFarm& farm_;
};

class Applications final : public v1::ApplicationService::Service {
 public:
  explicit Applications(FakeFarm& farm) : farm_(farm) {}
  grpc::Status GetApplication(ServerContext* context, const v1::GetApplicationRequest* request,
                              v1::Application* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    if (request->name() != farm_.application.name()) return NotFound(*context, "application");
    *response = farm_.application;
    return grpc::Status::OK;
  }
  grpc::Status UpdateApplication(ServerContext* context,
                                 const v1::UpdateApplicationRequest* request,
                                 v1::Application* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.updates.push_back(*request);
    *farm_.application.mutable_requirements() = request->requirements();
    *response = farm_.application;
    return grpc::Status::OK;
  }
  grpc::Status SetRepositoryCredential(ServerContext* context,
                                       const v1::SetRepositoryCredentialRequest* request,
                                       v1::Application* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.repository_credentials.push_back(request->sealed());
    *response = farm_.application;
    return grpc::Status::OK;
  }
  grpc::Status ListApplications(ServerContext* context, const v1::ListApplicationsRequest*,
                                v1::ListApplicationsResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    *response->add_applications() = farm_.application;
    return grpc::Status::OK;
  }
  grpc::Status GetFarm(ServerContext* context, const v1::GetFarmRequest*,
                       v1::Farm* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    *response = farm_.farm;
    return grpc::Status::OK;
  }

 private:
  FakeFarm& farm_;
};

class Releases final : public v1::ReleaseService::Service {
 public:
  explicit Releases(FakeFarm& farm) : farm_(farm) {}
  grpc::Status GetArchived(ServerContext* context, const v1::GetArchivedRequest* request,
                           v1::Archived* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    const auto it = farm_.products.find(request->name());
    if (it != farm_.products.end()) *response = it->second.archived;
    return it == farm_.products.end() ? NotFound(*context, "product") : grpc::Status::OK;
  }
  grpc::Status ResolvePublish(ServerContext* context, const v1::ResolvePublishRequest* request,
                              v1::ResolvePublishResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.resolves.push_back(*request);
    v1::Task& task = farm_.tasks[request->task()];
    if (request->has_probe()) {
      response->set_probe_run("run-1");
    } else {
      task.set_state(request->has_published() ? v1::TASK_STATE_SUCCEEDED : v1::TASK_STATE_FAILED);
      if (request->has_published()) task.set_release("rel-1");
    }
    *response->mutable_task() = task;
    return grpc::Status::OK;
  }
  grpc::Status DownloadPackage(ServerContext* context, const v1::DownloadPackageRequest* request,
                               grpc::ServerWriter<v1::DownloadPackageResponse>* writer) override {
    SLIPWAY_AUTHORIZE(context);
    return farm_.package(*request, *writer);
  }
  grpc::Status Download(ServerContext* context, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadResponse>* writer) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    const auto it = farm_.products.find(request->name());
    if (it == farm_.products.end() || ++farm_.downloads > 5) return NotFound(*context, "product");
    v1::DownloadResponse response;
    response.set_manifest_part(it->second.manifest);
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
    for (const v1::BlobPiece& piece : it->second.pieces) {
      response.Clear();
      *response.add_pieces() = piece;
      if (!writer->Write(response)) return grpc::Status::CANCELLED;
    }
    return grpc::Status::OK;
  }

 private:
  FakeFarm& farm_;
};

class AgentImages final : public v1::AgentImageService::Service {
 public:
  explicit AgentImages(FakeFarm& farm) : farm_(farm) {}
  grpc::Status PrepareImages(ServerContext* context, const v1::PrepareImagesRequest* request,
                             v1::PrepareImagesResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.prepares.push_back(*request);
    for (const v1::AgentImage& image : farm_.images) *response->add_images() = image;
    return grpc::Status::OK;
  }
  grpc::Status ListImages(ServerContext* context, const v1::ListImagesRequest*,
                          v1::ListImagesResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    ++farm_.image_lists;
    for (const v1::AgentImage& image : farm_.images) *response->add_images() = image;
    return grpc::Status::OK;
  }
  grpc::Status ForgetImage(ServerContext* context, const v1::ForgetImageRequest* request,
                           v1::ForgetImageResponse*) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    const auto forgotten = std::erase_if(
        farm_.images, [&](const auto& image) { return image.image() == request->image(); });
    return forgotten == 0 ? NotFound(*context, "image") : grpc::Status::OK;
  }

 private:
  FakeFarm& farm_;
};

class Agents final : public v1::AgentAdminService::Service {
 public:
  explicit Agents(FakeFarm& farm) : farm_(farm) {}
  grpc::Status ListAgents(ServerContext* context, const v1::ListAgentsRequest* request,
                          v1::ListAgentsResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    for (const auto& [name, agent] : farm_.agents) {
      const bool gone = agent.mode() == v1::AGENT_MODE_REVOKED;
      if (!gone || request->include_gone()) *response->add_agents() = agent;
    }
    return grpc::Status::OK;
  }
  grpc::Status GetAgent(ServerContext* context, const v1::GetAgentRequest* request,
                        v1::Agent* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    const auto it = farm_.agents.find(request->agent());
    if (it == farm_.agents.end()) return NotFound(*context, "agent");
    *response = it->second;
    return grpc::Status::OK;
  }
  // Every agent there is, whatever was named; those that are active change.
  grpc::Status ChangeAgents(ServerContext* context, const v1::ChangeAgentsRequest* request,
                            v1::ChangeAgentsResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.agent_changes.push_back(*request);
    for (auto& [name, agent] : farm_.agents) {
      v1::ChangedAgent& changed = *response->add_agents();
      changed.set_changed(agent.mode() == v1::AGENT_MODE_ACTIVE);
      if (changed.changed()) agent.set_mode(v1::AGENT_MODE_DRAINING);
      *changed.mutable_agent() = agent;
    }
    return grpc::Status::OK;
  }
  grpc::Status ListJoinTokens(ServerContext* context, const v1::ListJoinTokensRequest* request,
                              v1::ListJoinTokensResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    for (const v1::JoinToken& token : farm_.join_tokens) {
      if (token.state() == "open" || request->include_closed()) *response->add_tokens() = token;
    }
    return grpc::Status::OK;
  }
  grpc::Status RevokeJoinToken(ServerContext* context, const v1::RevokeJoinTokenRequest* request,
                               v1::RevokeJoinTokenResponse*) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.revoked_tokens.push_back(request->id());
    return grpc::Status::OK;
  }

 private:
  FakeFarm& farm_;
};

class Audit final : public v1::AuditService::Service {
 public:
  explicit Audit(FakeFarm& farm) : farm_(farm) {}

  grpc::Status ListAuditEntries(ServerContext* context, const v1::ListAuditEntriesRequest* request,
                                v1::ListAuditEntriesResponse* response) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.audit_lists.push_back(*request);
    for (const v1::AuditEntry& entry : farm_.audit) {
      if (response->entries_size() < request->page_size()) {
        *response->add_entries() = entry;
      } else {
        response->set_next_page_token("more");
      }
    }
    return grpc::Status::OK;
  }
  grpc::Status VerifyAudit(ServerContext* context, const v1::VerifyAuditRequest* request,
                           grpc::ServerWriter<v1::VerifyAuditResponse>* writer) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.audit_checks.push_back(*request);
    v1::VerifyAuditResponse response;
    response.set_checked(1);
    response.set_newest(static_cast<std::int64_t>(farm_.audit.size()));
    writer->Write(response);
    response.set_done(true);
    if (!farm_.audit.empty()) {
      response.mutable_head()->set_sequence(farm_.audit.front().sequence());
      response.mutable_head()->set_hash(farm_.audit.front().hash());
    }
    if (farm_.audit_finding) *response.mutable_finding() = *farm_.audit_finding;
    writer->Write(response);
    return grpc::Status::OK;
  }
  grpc::Status ExportAudit(ServerContext* context, const v1::ExportAuditRequest* request,
                           grpc::ServerWriter<v1::ExportAuditResponse>* writer) override {
    SLIPWAY_AUTHORIZE(context);
    const std::lock_guard lock(farm_.mu);
    farm_.audit_exports.push_back(*request);
    for (auto entry = farm_.audit.rbegin(); entry != farm_.audit.rend(); ++entry) {
      v1::ExportAuditResponse response;
      v1::AuditLine& line = *response.add_lines();
      line.set_sequence(entry->sequence());
      line.set_entry(entry->entry());
      line.set_hash(entry->hash());
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

 private:
  FakeFarm& farm_;
};

}  // namespace

struct FakeController::Services {
  explicit Services(FakeFarm& farm)
      : tasks(farm),
        applications(farm),
        releases(farm),
        agents(farm),
        agent_images(farm),
        audit(farm),
        sessions(MakeFakeSessions(farm.access)),
        accounts(MakeFakeAccounts(farm.access)) {}
  Tasks tasks;
  Applications applications;
  Releases releases;
  Agents agents;
  AgentImages agent_images;
  Audit audit;
  const std::unique_ptr<grpc::Service> sessions;
  const std::unique_ptr<grpc::Service> accounts;
};

FakeController::FakeController(FakeFarm& farm) : services_(std::make_unique<Services>(farm)) {
  const WallTime now = SystemClock().Wall();
  auto ca = crypto::CreateCa(FarmId("farm-1"), now);
  REQUIRE_OK(ca);
  ca_ = *std::move(ca);
  auto certificate = crypto::IssueServerCertificate(ca_, {{}, {"127.0.0.1"}}, now);
  REQUIRE_OK(certificate);
  certificate_ = *std::move(certificate);
  WriteFile(ca_file(), ca_.certificate_pem);
  WriteFile(token_file(), std::string(kToken) + "\n");
  farm.access.Add("root", "root's password");
  farm.access.tokens[kToken].set_account("root");
  Start();
}

FakeController::~FakeController() { Stop(); }

std::string FakeController::address() const { return fmt::format("127.0.0.1:{}", port_); }

void FakeController::Stop() {
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

void FakeController::Start() {
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({std::string(certificate_.key_pem.view()),
                                    certificate_.certificate_pem + ca_.certificate_pem});
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address(), grpc::SslServerCredentials(tls), &port_);
  for (grpc::Service* service : std::initializer_list<grpc::Service*>{
           &services_->tasks, &services_->applications, &services_->releases,
           &services_->agent_images, &services_->agents, &services_->audit,
           services_->sessions.get(), services_->accounts.get()}) {
    builder.RegisterService(service);
  }
  server_ = builder.BuildAndStart();
  REQUIRE(server_ != nullptr);
}

}  // namespace slipway::testing
