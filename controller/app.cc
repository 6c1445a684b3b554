#include "controller/app.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/crypto/key_file.h"
#include "common/crypto/token.h"
#include "common/fs/unique_fd.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "controller/access/access.h"
#include "controller/agent_gateway/agent_service.h"
#include "controller/agent_gateway/enrollment_service.h"
#include "controller/agent_gateway/gateway.h"
#include "controller/agent_gateway/peer.h"
#include "controller/api/account_service.h"
#include "controller/api/agent_admin_service.h"
#include "controller/api/agent_image_service.h"
#include "controller/api/application_service.h"
#include "controller/api/audit_service.h"
#include "controller/api/catalog_service.h"
#include "controller/api/open_streams.h"
#include "controller/api/overview_service.h"
#include "controller/api/release_service.h"
#include "controller/api/session_service.h"
#include "controller/api/standard_services.h"
#include "controller/api/task_service.h"
#include "controller/app_database.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/artifacts/directory_blob_store.h"
#include "controller/audit/refusal_writer.h"
#include "controller/catalog/version_reader.h"
#include "controller/channels/courier.h"
#include "controller/channels/release_pages.h"
#include "controller/data_folder.h"
#include "controller/farm_keys.h"
#include "controller/first_admin.h"
#include "controller/http_parts.h"
#include "controller/listen.h"
#include "controller/logs/log_store.h"
#include "controller/runs/run_orders.h"
#include "controller/scheduler/scheduler.h"
#include "controller/work/recurring.h"
#include "controller/work/work_pool.h"

namespace slipway::controller {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr int kMaxMessageBytes = 16 << 20;
constexpr char kNoHttp[] = "off";      // `http_listen` of a controller without HTTP
constexpr int kMaxServerThreads = 64;  // of synchronous calls, blob transfers among them
// Of calls that follow, and as many of those that submit, which read the database; of agents' logs,
// which write the disk.
constexpr int kReadThreads = 2;
constexpr int kLogThreads = 2;
constexpr auto kShutdownPatience = std::chrono::seconds(2);

class RealApp final : public App {
 public:
  RealApp(Options options, std::function<void(const absl::Status&)> on_fatal)
      : options_(std::move(options)), on_fatal_(std::move(on_fatal)) {}

  ~RealApp() override { Stop(); }

  absl::Status Run() {
    SLIPWAY_RETURN_IF_ERROR(CheckListen(options_.listen));
    if (options_.http_listen != kNoHttp) SLIPWAY_RETURN_IF_ERROR(CheckListen(options_.http_listen));
    // 1. The folder is ours alone. Passable, because the database server has an account of its own.
    SLIPWAY_RETURN_IF_ERROR(MakeFolder(options_.data_dir, 0711));
    SLIPWAY_ASSIGN_OR_RETURN(lock_, LockFolder(options_.data_dir));
    // 2. The database answers, has our schema, and we lead.
    SLIPWAY_RETURN_IF_ERROR(
        data_.Start(options_, [this](const absl::Status& status) { Fatal(status); }));
    // 3. Keys: who we are for agents and clients.
    SLIPWAY_RETURN_IF_ERROR(LoadIdentity());
    // 4. Logs and blobs.
    SLIPWAY_RETURN_IF_ERROR(OpenFiles());
    // 5. Scheduling, from the unfinished rows.
    SLIPWAY_RETURN_IF_ERROR(StartScheduling());
    // 6. The outside may come: gRPC, then HTTP, which is carried to it.
    SLIPWAY_ASSIGN_OR_RETURN(
        const auto certificate,
        crypto::IssueServerCertificate(keys_.ca, NamesFor(options_.names), clock_.Wall()));
    SLIPWAY_RETURN_IF_ERROR(Serve(certificate));
    return ServeHttp(certificate);
  }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    // 1. What is on its way to channels comes to its end, or is given up, while its word is taken.
    courier_.reset();
    // Agents, and whoever follows a run or a log, are sent away; over HTTP nothing new begins.
    if (gateway_) gateway_->Shutdown();
    streams_.EndAll();
    if (http_) http_->Drain();
    // 2. What was decided is committed; nothing more is decided. Before the server ends, because
    // calls that wait for a commit hold it up.
    if (scheduler_) scheduler_->Stop();
    // 3. Everybody else is sent away.
    if (server_) {
      using std::chrono::system_clock;
      server_->Shutdown(system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(
          clock_.Wall().time_since_epoch() + kShutdownPatience)));
      server_->Wait();
    }
    if (http_) http_->Stop();
    http_.reset();
    sampled_.clear();
    server_.reset();
    services_.reset();
    versions_.reset();
    gateway_.reset();
    scheduler_.reset();
    orders_.reset();
    submits_.reset();
    reads_.reset();
    log_writes_.reset();
    rights_changes_.reset();
    rights_.reset();
    housekeeping_.reset();
    // 4. What was refused, files, then leadership, then the database.
    auth_.reset();
    data_.EnterRefusalsIn(nullptr);
    refusals_.reset();
    access_.reset();
    archive_.reset();
    blobs_.reset();
    logs_.reset();
    data_.Stop(fatal_);
  }

  Duration idle_for() const override {
    return scheduler_ ? clock_.Mono() - scheduler_->last_turn() : Duration::zero();
  }
  absl::Status Reload() override {
    if (!http_ || options_.http_tls != Options::HttpTls::kGiven) return absl::OkStatus();
    SLIPWAY_ASSIGN_OR_RETURN(const auto certificate, ReadHttpCertificate(options_));
    return http_->UseCertificate(certificate);
  }
  int port() const override { return port_; }
  int http_port() const override { return http_ ? http_->port() : 0; }
  std::string ca_file() const override { return options_.data_dir + "/ca.pem"; }
  std::string token_file() const override { return options_.data_dir + "/admin.token"; }

 private:
  struct Services {
    Services(FarmId farm, RealApp& app, api::Deps deps)
        : peers(farm, app.data_.stores().agents, app.clock_,
                {.overlap = app.options_.agent_certificate_overlap}),
          agent({*app.gateway_, peers, *app.logs_, *app.archive_, app.data_.stores().reader,
                 deps.applications, *app.credentials_, app.data_.stores().prepared_images,
                 app.clock_}),
          enrollment(farm, {app.keys_.ca, app.data_.stores().agents, peers, app.clock_},
                     app.options_.agent_certificate_lifetime),
          task(deps),
          application(deps,
                      {farm, app.keys_.sealing.certificate_pem, kVersion,
                       app.options_.allow_local_repositories},
                      *app.credentials_),
          catalog({deps.auth, deps.targets, app.data_.stores().accounts, farm,
                   app.keys_.sealing.certificate_pem}),
          release(deps, *app.archive_, app.data_.stores().audit, app.data_.stores().release_pages),
          agent_admin(deps, *app.gateway_, app.keys_.ca_fingerprint),
          agent_images(deps, *app.gateway_, app.data_.stores().image_orders),
          session({deps.auth, app.data_.stores().accounts, app.data_.stores().logins,
                   deps.applications, app.clock_}),
          account({deps.auth, app.data_.stores().accounts, app.data_.stores().logins,
                   deps.applications, app.clock_}),
          audit(deps, app.data_.stores().audit),
          overview(deps, *app.versions_, app.data_.stores().cached_credentials, farm) {}
    agent_gateway::PeerCheck peers;
    agent_gateway::AgentService agent;
    agent_gateway::EnrollmentService enrollment;
    api::TaskService task;
    api::ApplicationService application;
    api::CatalogService catalog;
    api::ReleaseService release;
    api::AgentAdminService agent_admin;
    api::AgentImageService agent_images;
    api::SessionService session;
    api::AccountService account;
    api::AuditService audit;
    api::OverviewService overview;
  };

  absl::Status LoadIdentity() {
    SLIPWAY_ASSIGN_OR_RETURN(farm_, data_.stores().farm.GetOrCreateFarmId());
    const std::string dir = options_.data_dir + "/keys";
    SLIPWAY_RETURN_IF_ERROR(MakeFolder(dir, 0700));
    SLIPWAY_ASSIGN_OR_RETURN(const auto agents, data_.stores().agents.List());
    SLIPWAY_ASSIGN_OR_RETURN(const auto applications, data_.stores().applications.List({}));
    const bool in_use = !agents.empty() || applications.total > 0;
    SLIPWAY_ASSIGN_OR_RETURN(
        keys_, LoadOrCreateFarmKeys(
                   dir, farm_, clock_.Wall(),
                   in_use && !options_.new_keys ? MissingKeys::kRefuse : MissingKeys::kCreate));
    // For clients; readable by all, it is no secret.
    SLIPWAY_RETURN_IF_ERROR(crypto::WriteSecretFile(ca_file(), keys_.ca.certificate_pem));
    if (chmod(ca_file().c_str(), 0644) != 0) return ErrnoError(errno, ca_file());
    SLIPWAY_ASSIGN_OR_RETURN(auto session_key, LoadOrCreateSessionKey(dir + "/session.key"));
    access_ = std::make_unique<access::Access>(
        access::Access::Options{}, data_.stores().accounts, data_.stores().logins,
        access::SessionTokens(std::move(session_key)), clock_);
    refusals_ = std::make_unique<audit::RefusalWriter>(data_.stores().audit);
    data_.EnterRefusalsIn(refusals_.get());
    return EnsureFirstAdmin(
        data_.stores().accounts, data_.stores().logins,
        {.password_file = options_.data_dir + "/admin.password", .token_file = token_file()},
        clock_.Wall());
  }

  absl::Status OpenFiles() {
    SLIPWAY_ASSIGN_OR_RETURN(logs_, logs::LogStore::Make({.root = options_.data_dir + "/logs"}));
    SLIPWAY_ASSIGN_OR_RETURN(blobs_,
                             artifacts::DirectoryBlobStore::Open(options_.data_dir + "/blobs"));
    archive_ =
        std::make_unique<artifacts::ArtifactArchive>(*blobs_, data_.stores().artifacts, clock_);
    hot_.emplace(options_.hot, data_.stores().packagings, *archive_, registry_);
    SLIPWAY_ASSIGN_OR_RETURN(packages_,
                             channels::PackageFolder::Open(options_.data_dir + "/packages"));
    catalog::VersionReaderOptions reading = options_.repositories;
    reading.mirrors.work_dir = options_.data_dir + "/repositories";
    if (options_.allow_local_repositories) reading.mirrors.allowed_schemes.insert("file");
    credentials_.emplace(data_.stores().cached_credentials, farm_, keys_.sealing);
    reading.open_credential = credentials_->OpenerFor(data_.stores().cached_applications);
    SLIPWAY_ASSIGN_OR_RETURN(versions_, catalog::VersionReader::Create(std::move(reading), clock_));
    return absl::OkStatus();
  }

  absl::Status StartScheduling() {
    orders_.reset(new runs::RunOrders({data_.stores().reader, data_.stores().cached_applications,
                                       data_.stores().cached_credentials, *logs_, *archive_, watch_,
                                       data_.stores().cached_targets, clock_, farm_, keys_.sealing,
                                       options_.public_url}));
    scheduler::Scheduler::Options options;
    options.core.no_agent_grace = options_.no_agent_grace;
    options.core.max_unfinished = options_.max_unfinished;
    options.core.publish_margin = options_.publish_margin;
    options.on_lost_leadership = [this](const absl::Status& status) { Fatal(status); };
    scheduler_ = std::make_unique<scheduler::Scheduler>(std::move(options),
                                                        data_.stores().scheduler, *orders_, clock_);
    reads_ = std::make_unique<work::WorkPool>(kReadThreads);
    submits_ = std::make_unique<work::WorkPool>(kReadThreads);
    log_writes_ = std::make_unique<work::WorkPool>(kLogThreads);
    gateway_ = std::make_unique<agent_gateway::Gateway>(
        *scheduler_, data_.stores().agents, clock_,
        agent_gateway::Gateway::Pools{.database = *reads_, .disk = *log_writes_}, data_.epoch());
    SLIPWAY_ASSIGN_OR_RETURN(auto image_orders, data_.stores().image_orders.List());
    gateway_->SetImageOrders(std::move(image_orders));
    SLIPWAY_RETURN_IF_ERROR(scheduler_->Start(*gateway_));
    courier_ = channels::Courier::Start(
        {}, {*scheduler_, *gateway_, *logs_, clock_},
        {data_.stores().reader, data_.stores().cached_targets, data_.stores().release_pages,
         *archive_, *packages_, clock_, farm_, keys_.sealing, options_.public_url});
    return absl::OkStatus();
  }

  absl::Status Serve(const crypto::KeyAndCertificate& server) {
    grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = keys_.ca.certificate_pem;
    // With the CA, so that a joining agent can compare it with its token.
    tls.pem_key_cert_pairs.push_back(
        {std::string(server.key_pem.view()), server.certificate_pem + keys_.ca.certificate_pem});

    auth_ = std::make_unique<api::Authenticator>(*access_, *refusals_,
                                                 std::string(gateway_token_.view()));
    housekeeping_ = std::make_unique<work::Recurring>(work::Recurring::Options{},
                                                      [this] { return ForgetEnded(); });
    rights_ = std::make_unique<api::StreamRights>(clock_);
    rights_changes_ = access_->OnChange([this] { rights_->Changed(); });
    services_.reset(new Services(
        farm_, *this,
        {*auth_, *scheduler_, data_.stores().reader, data_.stores().cached_applications,
         data_.stores().agents, *logs_, watch_, data_.stores().cached_targets, *reads_, *submits_,
         streams_, *rights_, *hot_, clock_, farm_, keys_.sealing.certificate_pem}));

    api::ServeReflectionAndHealth();
    grpc::ServerBuilder builder;
    grpc::ResourceQuota quota("slipway");
    quota.SetMaxThreads(kMaxServerThreads);
    builder.SetResourceQuota(quota);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    // Otherwise a second controller would share the port unseen.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
    builder.AddListeningPort(options_.listen, grpc::SslServerCredentials(tls), &port_);
    for (grpc::Service* service : std::initializer_list<grpc::Service*>{
             &services_->agent, &services_->enrollment, &services_->task, &services_->application,
             &services_->release, &services_->agent_admin, &services_->agent_images,
             &services_->session, &services_->account, &services_->audit, &services_->catalog,
             &services_->overview}) {
      builder.RegisterService(service);
    }
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0) {
      return MakeError(absl::StatusCode::kUnavailable, "CANNOT_LISTEN",
                       fmt::format("cannot listen on {}: the port is taken or the address is not "
                                   "this machine's",
                                   options_.listen),
                       "`ss -ltnp` shows who has the port; --listen HOST:PORT takes another.");
    }
    return absl::OkStatus();
  }

  absl::Status ServeHttp(const crypto::KeyAndCertificate& certificate) {
    if (options_.http_listen == kNoHttp) return absl::OkStatus();
    sampled_ = AddControllerMetrics(registry_, *scheduler_, kVersion);
    ready_check_.reset(new ReadyCheck(
        {[this] { return idle_for(); }, [this] { return data_.Answers(); }, *reads_, clock_}));
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    arguments.SetMaxSendMessageSize(kMaxMessageBytes);
    // Every service but those that are only for agents: they know their callers by the certificate
    // of mutual TLS, which a call that comes over HTTP does not have.
    SLIPWAY_ASSIGN_OR_RETURN(
        http_,
        StartHttp(
            options_,
            {v1::TaskService::service_full_name(), v1::ApplicationService::service_full_name(),
             v1::ReleaseService::service_full_name(), v1::AgentAdminService::service_full_name(),
             v1::AgentImageService::service_full_name(), v1::SessionService::service_full_name(),
             v1::AccountService::service_full_name(), v1::AuditService::service_full_name(),
             v1::CatalogService::service_full_name(), v1::OverviewService::service_full_name()},
            {server_->InProcessChannel(arguments),
             crypto::SecretBytes::CopyOf(gateway_token_.view()), registry_, clock_,
             [this](auto answer) { ready_check_->Ask(std::move(answer)); },
             channels::NewReleasePages({data_.stores().release_pages, data_.stores().reader,
                                        *packages_, clock_, options_.public_url})},
            certificate));
    return absl::OkStatus();
  }

  // Sessions, pages, packages and packagings whose time is over; whether there are more.
  bool ForgetEnded() {
    const WallTime now = clock_.Wall();
    if (const auto needed = data_.stores().release_pages.ForgetExpired(now); needed.ok()) {
      packages_->KeepOnly(*needed, now);
    }
    hot_->Forget(now);
    return access_->ForgetEnded();
  }

  void Fatal(const absl::Status& status) {
    if (!fatal_.exchange(true)) on_fatal_(status);
  }

  // Constant after construction.
  const Options options_;
  const std::function<void(const absl::Status&)> on_fatal_;
  const SystemClock clock_;
  // By which services know that metadata `slipway-client` is the HTTP port's word.
  const crypto::SecretBytes gateway_token_ = crypto::NewToken("slgw_");

  std::atomic<bool> fatal_{false};
  bool stopped_ = false;
  int port_ = 0;
  FarmId farm_;
  FarmKeys keys_;
  runs::TaskWatch watch_;
  api::OpenStreams streams_;
  metrics::Registry registry_;

  // In the order of construction.
  fs::UniqueFd lock_;
  AppDatabase data_;
  std::unique_ptr<logs::LogStore> logs_;
  std::unique_ptr<artifacts::BlobStore> blobs_;
  std::unique_ptr<artifacts::ArtifactArchive> archive_;
  std::optional<channels::PackageFolder> packages_;
  std::optional<hot::HotCache> hot_;
  std::unique_ptr<runs::RunOrders> orders_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<work::WorkPool> reads_;
  std::unique_ptr<work::WorkPool> submits_;
  std::unique_ptr<work::WorkPool> log_writes_;
  std::optional<credentials::RepositoryCredentials> credentials_;
  std::unique_ptr<catalog::VersionReader> versions_;
  std::unique_ptr<agent_gateway::Gateway> gateway_;
  std::unique_ptr<channels::Courier> courier_;
  std::unique_ptr<access::Access> access_;
  std::unique_ptr<audit::RefusalWriter> refusals_;
  std::unique_ptr<api::Authenticator> auth_;
  std::unique_ptr<api::StreamRights> rights_;
  std::shared_ptr<void> rights_changes_;
  std::unique_ptr<work::Recurring> housekeeping_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::shared_ptr<void>> sampled_;
  std::unique_ptr<ReadyCheck> ready_check_;
  std::unique_ptr<gateway::HttpServer> http_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<App>> App::Start(const Options& options,
                                                std::function<void(const absl::Status&)> on_fatal) {
  auto app = std::make_unique<RealApp>(options, std::move(on_fatal));
  if (const absl::Status status = app->Run(); !status.ok()) {
    app->Stop();
    return status;
  }
  return std::unique_ptr<App>(std::move(app));
}

}  // namespace slipway::controller
