#include "tests/support/farm_fixture.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <utility>

#include "agent/link/enroll.h"
#include "common/loghash/segment_hasher.h"
#include "common/manifest/tree_receiver.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

using std::chrono::seconds;

std::shared_ptr<grpc::Channel> TrustingChannel(int port, const std::string& ca_pem) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ca_pem;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return grpc::CreateCustomChannel(fmt::format("localhost:{}", port), grpc::SslCredentials(tls),
                                   arguments);
}

protocol::AttemptResult ResultOf(std::string_view log) {
  protocol::AttemptResult result;
  const WallTime now = SystemClock().Wall();
  result.exit_code = 0;
  result.started_at = now - seconds(1);
  result.finished_at = now;
  result.log.size = log.size();
  result.log.root = loghash::RootOf(log);
  return result;
}

}  // namespace

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(fd, raw, length) == 0);
  REQUIRE(getsockname(fd, raw, &length) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

FarmClient::FarmClient(int port, const std::string& ca_pem, std::string token)
    : token_(std::move(token)),
      channel_(TrustingChannel(port, ca_pem)),
      tasks_(v1::TaskService::NewStub(channel_)),
      applications_(v1::ApplicationService::NewStub(channel_)),
      catalog_(v1::CatalogService::NewStub(channel_)),
      releases_(v1::ReleaseService::NewStub(channel_)),
      agents_(v1::AgentAdminService::NewStub(channel_)),
      agent_images_(v1::AgentImageService::NewStub(channel_)) {}

std::unique_ptr<grpc::ClientContext> FarmClient::Context(seconds deadline) const {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + deadline);
  context->set_wait_for_ready(true);
  if (!token_.empty()) context->AddMetadata("authorization", "Bearer " + token_);
  return context;
}

absl::Status FarmClient::CreateApplication(const std::string& name) {
  const auto context = Context();
  v1::CreateApplicationRequest request;
  v1::Application response;
  request.set_name(name);
  request.set_repository("https://git.example/" + name + ".git");
  return rpc::FromGrpc(*context,
                       applications_->CreateApplication(context.get(), request, &response));
}

absl::Status FarmClient::CreateTarget(const v1::Target& target) {
  const auto context = Context();
  v1::CreateTargetRequest request;
  v1::Target response;
  *request.mutable_target() = target;
  return rpc::FromGrpc(*context, catalog_->CreateTarget(context.get(), request, &response));
}

absl::StatusOr<v1::Farm> FarmClient::GetFarm() {
  const auto context = Context();
  v1::Farm farm;
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, applications_->GetFarm(context.get(), {}, &farm)));
  return farm;
}

absl::StatusOr<v1::Application> FarmClient::GetApplication(const std::string& name) {
  const auto context = Context();
  v1::GetApplicationRequest request;
  v1::Application response;
  request.set_name(name);
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, applications_->GetApplication(context.get(), request, &response)));
  return response;
}

absl::StatusOr<std::string> FarmClient::NewJoinToken() {
  const auto context = Context();
  v1::CreateJoinTokenResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, agents_->CreateJoinToken(context.get(), {}, &response)));
  return response.token();
}

absl::StatusOr<v1::SubmitRunResponse> FarmClient::Submit(const v1::SubmitRunRequest& request) {
  const auto context = Context();
  v1::SubmitRunResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, tasks_->SubmitRun(context.get(), request, &response)));
  return response;
}

absl::StatusOr<v1::SubmitRunsResponse> FarmClient::SubmitMany(
    const v1::SubmitRunsRequest& request) {
  const auto context = Context();
  v1::SubmitRunsResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, tasks_->SubmitRuns(context.get(), request, &response)));
  return response;
}

absl::StatusOr<v1::Task> FarmClient::GetTask(const std::string& id) {
  const auto context = Context();
  v1::GetTaskRequest request;
  v1::Task task;
  request.set_id(id);
  SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(*context, tasks_->GetTask(context.get(), request, &task)));
  return task;
}

absl::StatusOr<v1::Task> FarmClient::Cancel(const std::string& id, const std::string& reason) {
  const auto context = Context();
  v1::CancelTaskRequest request;
  v1::CancelTaskResponse response;
  request.set_id(id);
  request.set_reason(reason);
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, tasks_->CancelTask(context.get(), request, &response)));
  return response.task();
}

absl::StatusOr<v1::WatchRunResponse> FarmClient::Watch(const std::string& run) {
  const auto context = Context();
  v1::WatchRunRequest request;
  request.set_run(run);
  const auto stream = tasks_->WatchRun(context.get(), request);
  v1::WatchRunResponse message;
  v1::WatchRunResponse last;
  while (stream->Read(&message)) last = message;
  SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(*context, stream->Finish()));
  return last;
}

absl::Status FarmClient::ReadLog(const v1::ReadLogRequest& request,
                                 const std::function<void(const v1::ReadLogResponse&)>& on_slice) {
  const auto context = Context(seconds(120));
  const auto stream = tasks_->ReadLog(context.get(), request);
  v1::ReadLogResponse message;
  while (stream->Read(&message)) on_slice(message);
  return rpc::FromGrpc(*context, stream->Finish());
}

absl::StatusOr<v1::ClosePageResponse> FarmClient::ClosePage(const std::string& name) {
  const auto context = Context();
  v1::ClosePageRequest request;
  request.set_name(name);
  v1::ClosePageResponse closed;
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, releases_->ClosePage(context.get(), request, &closed)));
  return closed;
}

absl::StatusOr<v1::Script> FarmClient::GetScript(const std::string& task) {
  const auto context = Context();
  v1::GetScriptRequest request;
  request.set_task(task);
  v1::Script script;
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, tasks_->GetScript(context.get(), request, &script)));
  return script;
}

absl::StatusOr<v1::Archived> FarmClient::GetArchived(const std::string& name) {
  const auto context = Context();
  v1::GetArchivedRequest request;
  v1::Archived archived;
  request.set_name(name);
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, releases_->GetArchived(context.get(), request, &archived)));
  return archived;
}

absl::StatusOr<v1::ResolvePublishResponse> FarmClient::Resolve(
    const v1::ResolvePublishRequest& request) {
  const auto context = Context();
  v1::ResolvePublishResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, releases_->ResolvePublish(context.get(), request, &response)));
  return response;
}

absl::Status FarmClient::Download(const std::string& name, const Sha256Digest& manifest,
                                  const std::string& path) {
  const auto context = Context();
  v1::DownloadRequest request;
  request.set_name(name);
  const auto stream = releases_->Download(context.get(), request);
  manifest::TreeReceiver receiver(path, manifest);
  v1::DownloadResponse message;
  manifest::BlobRef blob;
  absl::Status status;
  while (stream->Read(&message)) {
    if (!status.ok()) continue;
    if (!message.manifest_part().empty()) status = receiver.AcceptManifest(message.manifest_part());
    for (const v1::BlobPiece& piece : message.pieces()) {
      if (!piece.digest().empty()) blob = {*Sha256Digest::FromBytes(piece.digest()), piece.size()};
      if (status.ok()) status = receiver.Accept({blob, piece.zstd(), piece.last()});
    }
  }
  SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(*context, stream->Finish()));
  SLIPWAY_RETURN_IF_ERROR(status);
  return receiver.Finish().status();
}

v1::SubmitRunRequest SubmitOf(const std::string& application, bool publish,
                              const std::string& request_id) {
  v1::SubmitRunRequest request;
  request.set_request_id(request_id);
  request.set_application(application);
  request.add_platforms("weixin");
  request.set_ref("main");
  request.set_publish(publish);
  return request;
}

FarmFixture::FarmFixture(Database database) : port_(FreePort()) {
  options_.data_dir = home_.dir().string();
  options_.listen = fmt::format("127.0.0.1:{}", port_);
  options_.http_listen = "127.0.0.1:0";
  if (database == Database::kShared) {
    options_.database_url = PostgresFixture::Get().NewDatabase();
  }
}

FarmFixture::~FarmFixture() {
  Stop();
  KillProgram();
}

void FarmFixture::Start() {
  auto app = controller::App::Start(options_, [this](const absl::Status& status) {
    const std::lock_guard lock(mu_);
    fatal_ = status;
  });
  REQUIRE_OK(app);
  app_ = *std::move(app);
  MakeClient();
  EnsureTarget();
}

void FarmFixture::Stop() {
  if (app_) app_->Stop();
  app_.reset();
}

void FarmFixture::StartProgram(const std::string& binary) {
  const std::string config = options_.data_dir + "/controller.yaml";
  WriteFile(config,
            fmt::format("data_dir: {}\nlisten: {}\nhttp_listen: 127.0.0.1:0\n{}", options_.data_dir,
                        options_.listen,
                        options_.database_url.empty()
                            ? ""
                            : fmt::format("database_url: \"{}\"\n", options_.database_url)));
  std::string program = binary;
  std::string flag = "--config";
  std::string path = config;
  char* arguments[] = {program.data(), flag.data(), path.data(), nullptr};
  REQUIRE(posix_spawn(&program_, binary.c_str(), nullptr, nullptr, arguments, environ) == 0);
  const auto answers = [this] {
    std::error_code ignored;
    if (!std::filesystem::exists(options_.data_dir + "/admin.token", ignored)) return false;
    MakeClient();
    const auto context = client_->Context(seconds(1));
    v1::Farm farm;
    return client_->applications().GetFarm(context.get(), {}, &farm).ok();
  };
  REQUIRE(WaitUntil(answers, seconds(60)));
  EnsureTarget();
}

void FarmFixture::KillProgram() {
  if (program_ < 0) return;
  kill(program_, SIGKILL);
  waitpid(program_, nullptr, 0);
  program_ = -1;
}

void FarmFixture::MakeClient() {
  client_ =
      std::make_unique<FarmClient>(port_, ca_pem(), ReadFile(options_.data_dir + "/admin.token"));
}

void FarmFixture::EnsureTarget() {
  if (std::exchange(has_target_, true)) return;
  v1::Target target;
  target.set_platform("weixin");
  target.set_name("weixin");
  target.set_image("slipway/publisher:1");
  REQUIRE_OK(client_->CreateTarget(target));
}

absl::Status FarmFixture::Reload() { return app_->Reload(); }

int FarmFixture::http_port() const { return app_->http_port(); }

std::optional<absl::Status> FarmFixture::fatal() const {
  const std::lock_guard lock(mu_);
  return fatal_;
}

std::string FarmFixture::ca_pem() const { return ReadFile(options_.data_dir + "/ca.pem"); }

link::Identity FarmFixture::Join(const std::string& name) {
  const auto token = client_->NewJoinToken();
  REQUIRE_OK(token);
  const std::string dir = fmt::format("{}/agent-{}", options_.data_dir, ++joined_);
  REQUIRE_OK(link::Join({server(), "", *token, name, dir}));
  auto identity = link::LoadIdentity(dir);
  REQUIRE_OK(identity);
  return *std::move(identity);
}

Sha256Digest DoBuild(FakeAgent& agent, const AttemptKey& key, const std::string& product,
                     std::string_view log, const std::string& sealed_credential) {
  REQUIRE_OK(agent.AppendLog(key, log));
  const auto uploaded = agent.Upload(key, product);
  REQUIRE_OK(uploaded);
  REQUIRE(agent.Report(key, BuildResult(log, uploaded->manifest, sealed_credential)));
  return uploaded->manifest;
}

protocol::AttemptResult BuildResult(std::string_view log, const Sha256Digest& manifest,
                                    std::string sealed_credential, std::string app_id) {
  protocol::AttemptResult result = ResultOf(log);
  protocol::BuildOutcome& build = result.build.emplace();
  build.commit = std::string(40, 'c');
  build.commit_subject = "A subject";
  build.image = "slipway-builder:1";
  build.image_digest = "sha256:" + std::string(64, '1');
  build.manifest = manifest;
  build.version = "1.2.3";
  build.app_id = std::move(app_id);
  build.sealed_credential = std::move(sealed_credential);
  return result;
}

protocol::AttemptResult PublishResult(std::string_view log) {
  protocol::AttemptResult result = ResultOf(log);
  result.publish.emplace().link = "https://platform.example/42";
  return result;
}

protocol::AttemptResult FailedResult(std::string_view log, protocol::FailureClass klass) {
  protocol::AttemptResult result = ResultOf(log);
  result.exit_code = 1;
  result.failure = protocol::Failure{.klass = klass,
                                     .reason = "SOME_REASON",
                                     .message = "it did not work",
                                     .tool_words = "",
                                     .remedy = "",
                                     .remedy_zh = ""};
  return result;
}

}  // namespace slipway::testing
