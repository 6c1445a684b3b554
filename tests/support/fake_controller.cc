#include "tests/support/fake_controller.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <utility>

#include "common/crypto/hash.h"
#include "common/manifest/blob_piece.h"
#include "common/manifest/manifest.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "tests/support/tree.h"

namespace slipway::testing {
namespace {

using Stream = grpc::ServerReaderWriter<v1::ControllerMessage, v1::AgentMessage>;

struct Task {
  v1::TaskSpec spec;
  bool cancel = false;
  bool accepted = false;
  std::optional<v1::AttemptResult> result;
  int results = 0;
  std::string log;
  std::vector<std::string> steps;
};

constexpr char kSecret[] = "join-once";

}  // namespace

struct FakeController::State {
  std::mutex mu;
  std::condition_variable changed;
  std::map<AttemptKey, Task> tasks;
  std::set<AttemptKey> held;  // of the newest inventory
  std::map<Sha256Digest, std::string> manifests;
  std::map<Sha256Digest, std::string> blobs;
  std::string secret = "secret";
  bool hold_durable = false;
  std::optional<AttemptKey> failing_log;
  std::atomic<int> streams_seen{0};
  std::optional<std::vector<v1::ImageOrder>> images;
  std::chrono::seconds clock_ahead{0};
  v1::Inventory inventory;
  bool hold_permits = false;
  std::optional<v1::PermitRequest> asked;
  int asks = 0;
  int permits = 0;
  Stream* stream = nullptr;

  FarmId farm{"farm-test"};
  crypto::KeyAndCertificate ca;
  crypto::KeyAndCertificate server_key;
  int port = 0;
  std::unique_ptr<Agents> agents;
  std::unique_ptr<Enrollment> enrollment;
  std::unique_ptr<grpc::Server> server;

  template <typename Predicate>
  bool Wait(std::chrono::seconds patience, Predicate predicate) {
    std::unique_lock lock(mu);
    return changed.wait_for(lock, patience, predicate);
  }
  void Desire(v1::Desired& desired, const AttemptKey& key, const Task& task, v1::Want want) {
    v1::DesiredAttempt& line = *desired.add_attempts();
    *line.mutable_ref() = rpc::ToProto(key);
    const bool preview = task.spec.publish().mode() == "preview";
    line.set_kind(preview                   ? v1::TASK_KIND_PREVIEW
                  : task.spec.has_publish() ? v1::TASK_KIND_PUBLISH
                  : task.spec.has_probe()   ? v1::TASK_KIND_PROBE
                                            : v1::TASK_KIND_BUILD);
    line.set_want(want);
    if (want == v1::WANT_START) *line.mutable_spec() = task.spec;
  }
  // Answers the newest request. REQUIRES: mu.
  void GivePermit(std::chrono::milliseconds valid_for) {
    ++permits;
    v1::ControllerMessage message;
    message.set_epoch(1);
    v1::Permit& permit = *message.mutable_permit();
    *permit.mutable_ref() = asked->ref();
    permit.set_nonce("nonce");
    permit.set_answers(asked->sequence());
    permit.set_secret(secret);
    *permit.mutable_valid_for() = rpc::ToProtoDuration(valid_for);
    stream->Write(message);
  }
  // REQUIRES: mu.
  void Push(const AttemptKey& key, v1::Want want) {
    if (stream == nullptr) return;
    v1::ControllerMessage message;
    message.set_epoch(1);
    message.mutable_desired()->mutable_sync_after()->set_seconds(2);
    Desire(*message.mutable_desired(), key, tasks[key], want);
    stream->Write(message);
  }
};

class FakeController::Agents final : public FakeCredentialCall {
 public:
  Agents(State& state, Credential& credential) : FakeCredentialCall(credential), state_(state) {}

  grpc::Status Connect(grpc::ServerContext*, Stream* stream) override {
    v1::AgentMessage message;
    ++state_.streams_seen;
    while (stream->Read(&message)) {
      const std::lock_guard lock(state_.mu);
      state_.stream = stream;
      if (message.has_inventory()) Answer(*stream, message.inventory());
      if (message.has_accept()) {
        const AttemptKey key = rpc::FromProto(message.accept().ref()).value();
        state_.tasks[key].accepted = true;
        state_.Push(key, v1::WANT_START);
      }
      if (message.has_step()) NoteStep(message.step());
      if (message.has_result()) {
        const AttemptKey key = rpc::FromProto(message.result().ref()).value();
        Task& task = state_.tasks[key];
        task.result = message.result().result();
        ++task.results;
        state_.Push(key, v1::WANT_FORGET);
      }
      if (message.has_permit_request()) {
        state_.asked = message.permit_request();
        ++state_.asks;
        if (!state_.hold_permits) state_.GivePermit(std::chrono::seconds(60));
      }
      state_.changed.notify_all();
    }
    const std::lock_guard lock(state_.mu);
    if (state_.stream == stream) state_.stream = nullptr;
    return grpc::Status::OK;
  }

  grpc::Status AppendLog(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::AppendLogResponse, v1::AppendLogRequest>* stream) override {
    v1::AppendLogRequest request;
    std::optional<AttemptKey> key;
    while (stream->Read(&request)) {
      v1::AppendLogResponse ack;
      {
        const std::lock_guard lock(state_.mu);
        if (request.has_ref()) key = rpc::FromProto(request.ref()).value();
        if (state_.failing_log == key) return {grpc::StatusCode::INTERNAL, "Input/output error"};
        std::string& log = state_.tasks[*key].log;
        if (request.offset() == log.size()) log += request.data();
        ack.set_received(log.size());
        ack.set_durable(state_.hold_durable ? 0 : log.size());
        state_.changed.notify_all();
      }
      stream->Write(ack);
    }
    return grpc::Status::OK;
  }

  grpc::Status FindMissingBlobs(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::FindMissingBlobsResponse, v1::FindMissingBlobsRequest>* stream)
      override {
    v1::FindMissingBlobsRequest request;
    std::string text;
    while (stream->Read(&request)) text += request.manifest_part();
    const auto manifest = manifest::Manifest::Parse(text);
    if (!manifest.ok()) return {grpc::StatusCode::INVALID_ARGUMENT, "manifest"};
    const std::lock_guard lock(state_.mu);
    v1::FindMissingBlobsResponse response;
    for (const manifest::BlobRef& blob : manifest::DistinctBlobs(*manifest)) {
      if (!state_.blobs.contains(blob.digest)) *response.mutable_missing() += blob.digest.Bytes();
    }
    state_.manifests[manifest->Digest()] = text;
    stream->Write(response);
    return grpc::Status::OK;
  }

  grpc::Status PutBlobs(grpc::ServerContext*, grpc::ServerReader<v1::PutBlobsRequest>* reader,
                        v1::PutBlobsResponse* response) override {
    v1::PutBlobsRequest request;
    manifest::BlobVerifier verifier;
    manifest::BlobRef blob;
    std::string content;
    while (reader->Read(&request)) {
      for (const v1::BlobPiece& piece : request.pieces()) {
        if (!verifier.inside()) {
          blob = {.digest = Sha256Digest::FromBytes(piece.digest()).value(), .size = piece.size()};
          content.clear();
        }
        const absl::Status taken =
            verifier.Accept({.blob = blob, .zstd = piece.zstd(), .last = piece.last()},
                            [&](std::string_view bytes) {
                              content.append(bytes);
                              return absl::OkStatus();
                            });
        if (!taken.ok()) return {grpc::StatusCode::INVALID_ARGUMENT, "blob"};
        if (!piece.last()) continue;
        const std::lock_guard lock(state_.mu);
        state_.blobs[blob.digest] = content;
        response->set_stored(response->stored() + 1);
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status FinalizeArtifact(grpc::ServerContext*, const v1::FinalizeArtifactRequest*,
                                v1::FinalizeArtifactResponse*) override {
    return grpc::Status::OK;
  }

  grpc::Status FetchArtifact(grpc::ServerContext*, const v1::FetchArtifactRequest* request,
                             grpc::ServerWriter<v1::FetchArtifactResponse>* writer) override {
    std::string text;
    std::map<Sha256Digest, std::string> blobs;
    {
      const std::lock_guard lock(state_.mu);
      text = state_.manifests[Sha256Digest::FromBytes(request->manifest()).value()];
      blobs = state_.blobs;
    }
    v1::FetchArtifactResponse response;
    response.set_manifest_part(text);
    const auto manifest = manifest::Manifest::Parse(text);
    if (!manifest.ok()) return {grpc::StatusCode::NOT_FOUND, "no such product"};
    for (const manifest::BlobRef& blob : manifest::DistinctBlobs(*manifest)) {
      v1::BlobPiece& piece = *response.add_pieces();
      piece.set_digest(blob.digest.Bytes());
      piece.set_size(blob.size);
      piece.set_zstd(Compress(blobs[blob.digest]));
      piece.set_last(true);
    }
    writer->Write(response);
    return grpc::Status::OK;
  }

 private:
  void Answer(Stream& stream, const v1::Inventory& inventory) {
    v1::ControllerMessage message;
    message.set_epoch(1);
    v1::Desired& desired = *message.mutable_desired();
    desired.set_answers(inventory.sequence());
    desired.mutable_sync_after()->set_seconds(1);
    *desired.mutable_sent_at() = rpc::ToProto(SystemClock().Wall() + state_.clock_ahead);
    if (state_.images) {
      for (const auto& order : *state_.images) *desired.mutable_images()->add_orders() = order;
    }
    state_.inventory = inventory;
    state_.held.clear();
    for (const v1::AttemptStatus& status : inventory.attempts()) {
      const AttemptKey key = rpc::FromProto(status.ref()).value();
      state_.held.insert(key);
      const Task& task = state_.tasks[key];
      v1::Want want = v1::WANT_KEEP;
      if (task.result) {
        want = v1::WANT_FORGET;
      } else if (task.cancel) {
        want = v1::WANT_CANCEL;
      } else if (status.phase() == v1::ATTEMPT_PHASE_ACCEPTED) {
        want = v1::WANT_START;
      }
      state_.Desire(desired, key, task, want);
    }
    for (const auto& [key, task] : state_.tasks) {
      if (!task.accepted) state_.Desire(desired, key, task, v1::WANT_OFFER);
    }
    stream.Write(message);
  }

  void NoteStep(const v1::StepReport& step) {
    constexpr const char* kStates[] = {"?", "started", "succeeded", "failed"};
    const std::string text = std::to_string(step.number()) + " " + step.name() + " " +
                             kStates[static_cast<int>(step.state())];
    auto& steps = state_.tasks[rpc::FromProto(step.ref()).value()].steps;
    if (std::find(steps.begin(), steps.end(), text) == steps.end()) steps.push_back(text);
  }

  State& state_;
};

class FakeController::Enrollment final : public v1::EnrollmentService::Service {
 public:
  explicit Enrollment(State& state) : state_(state) {}

  grpc::Status Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                    v1::JoinResponse* response) override {
    if (request->token_secret() != kSecret) {
      return rpc::ToGrpc(*context, MakeError(absl::StatusCode::kPermissionDenied, "BAD_TOKEN",
                                             "the token is not valid", "Make a new one."));
    }
    const auto certificate = crypto::IssueAgentCertificate(
        state_.ca, request->csr(), state_.farm, AgentId("agent-test"), SystemClock().Wall());
    if (!certificate.ok()) return rpc::ToGrpc(*context, certificate.status());
    response->set_agent_id("agent-test");
    response->set_farm_id(state_.farm.value());
    response->set_certificate(*certificate);
    response->set_ca(state_.ca.certificate_pem);
    return grpc::Status::OK;
  }

 private:
  State& state_;
};

FakeController::FakeController() : state_(std::make_unique<State>()) {
  // Labels of containers hold farm and agent: those of another test must not look like ours.
  state_->farm = FarmId(NewId("farm-"));
  const WallTime now = SystemClock().Wall();
  auto ca = crypto::CreateCa(state_->farm, now);
  REQUIRE(ca.ok());
  state_->ca = *std::move(ca);
  auto server =
      crypto::IssueServerCertificate(state_->ca, {.dns = {"localhost"}, .ips = {"127.0.0.1"}}, now);
  REQUIRE(server.ok());
  state_->server_key = *std::move(server);
  StartServer();
}

FakeController::~FakeController() { StopServer(); }

std::string FakeController::address() const { return "127.0.0.1:" + std::to_string(state_->port); }

void FakeController::SetImages(std::vector<v1::ImageOrder> images) {
  const std::lock_guard lock(state_->mu);
  state_->images = std::move(images);
}

void FakeController::SetClockAhead(std::chrono::seconds ahead) {
  const std::lock_guard lock(state_->mu);
  state_->clock_ahead = ahead;
}

bool FakeController::WaitForInventory(const std::function<bool(const v1::Inventory&)>& holds,
                                      std::chrono::seconds patience) {
  return state_->Wait(patience, [&] { return holds(state_->inventory); });
}

v1::Inventory FakeController::LastInventory() {
  const std::lock_guard lock(state_->mu);
  return state_->inventory;
}

std::string FakeController::token() const {
  const auto facts = crypto::ReadCertificate(state_->ca.certificate_pem);
  return "SLP1-" + facts->fingerprint.Hex() + "-" + kSecret;
}
FarmId FakeController::farm() const { return state_->farm; }

void FakeController::StartServer() {
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = state_->ca.certificate_pem;
  tls.pem_key_cert_pairs.push_back(
      {std::string(state_->server_key.key_pem.view()),
       state_->server_key.certificate_pem + state_->ca.certificate_pem});
  state_->agents = std::make_unique<Agents>(*state_, repository_credential_);
  state_->enrollment = std::make_unique<Enrollment>(*state_);
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort("127.0.0.1:" + std::to_string(state_->port),
                           grpc::SslServerCredentials(tls), &state_->port);
  builder.RegisterService(state_->agents.get());
  builder.RegisterService(state_->enrollment.get());
  state_->server = builder.BuildAndStart();
  REQUIRE(state_->server != nullptr);
}

void FakeController::StopServer() {
  if (!state_->server) return;
  state_->server->Shutdown(std::chrono::system_clock::now());
  state_->server->Wait();
  state_->server.reset();
}

void FakeController::Queue(const AttemptKey& key, const v1::TaskSpec& spec) {
  const std::lock_guard lock(state_->mu);
  state_->tasks[key].spec = spec;
  state_->Push(key, v1::WANT_OFFER);
}

void FakeController::Cancel(const AttemptKey& key) {
  const std::lock_guard lock(state_->mu);
  state_->tasks[key].cancel = true;
  state_->Push(key, v1::WANT_CANCEL);
}

void FakeController::SetSecret(std::string secret) {
  const std::lock_guard lock(state_->mu);
  state_->secret = std::move(secret);
}

void FakeController::HoldPermits() {
  const std::lock_guard lock(state_->mu);
  state_->hold_permits = true;
}

void FakeController::GivePermits(std::chrono::milliseconds valid_for) {
  const std::lock_guard lock(state_->mu);
  state_->GivePermit(valid_for);
}

bool FakeController::WaitForPermitRequest(std::chrono::seconds patience) {
  return state_->Wait(patience, [&] { return state_->asked.has_value(); });
}

int FakeController::asks() {
  const std::lock_guard lock(state_->mu);
  return state_->asks;
}

void FakeController::FailLog(std::optional<AttemptKey> key) {
  const std::lock_guard lock(state_->mu);
  state_->failing_log = std::move(key);
}

int FakeController::streams_seen() { return state_->streams_seen; }

void FakeController::HoldDurable(bool hold) {
  const std::lock_guard lock(state_->mu);
  state_->hold_durable = hold;
}

std::optional<v1::AttemptResult> FakeController::WaitForResult(const AttemptKey& key,
                                                               std::chrono::seconds patience) {
  if (!state_->Wait(patience, [&] { return state_->tasks[key].result.has_value(); })) {
    return std::nullopt;
  }
  const std::lock_guard lock(state_->mu);
  return state_->tasks[key].result;
}

bool FakeController::WaitForLog(const AttemptKey& key, const std::string& text,
                                std::chrono::seconds patience) {
  return state_->Wait(patience,
                      [&] { return state_->tasks[key].log.find(text) != std::string::npos; });
}

bool FakeController::WaitForStream(std::chrono::seconds patience) {
  return state_->Wait(patience, [&] { return state_->stream != nullptr; });
}

bool FakeController::WaitUntilForgotten(const AttemptKey& key) {
  return state_->Wait(std::chrono::seconds(30), [&] { return !state_->held.contains(key); });
}

std::string FakeController::Log(const AttemptKey& key) {
  const std::lock_guard lock(state_->mu);
  return state_->tasks[key].log;
}

std::vector<std::string> FakeController::Steps(const AttemptKey& key) {
  const std::lock_guard lock(state_->mu);
  return state_->tasks[key].steps;
}

int FakeController::permits_given() {
  const std::lock_guard lock(state_->mu);
  return state_->permits;
}

int FakeController::results_of(const AttemptKey& key) {
  const std::lock_guard lock(state_->mu);
  return state_->tasks[key].results;
}

std::map<std::string, std::string> FakeController::Product(const Sha256Digest& digest) {
  const std::lock_guard lock(state_->mu);
  std::map<std::string, std::string> files;
  const auto manifest = manifest::Manifest::Parse(state_->manifests[digest]);
  if (!manifest.ok()) return {};
  for (const manifest::Entry& entry : manifest->entries()) {
    if (entry.kind != manifest::EntryKind::kFile) continue;
    if (!state_->blobs.contains(entry.digest)) return {};
    files[entry.path] = state_->blobs[entry.digest];
  }
  return files;
}

Sha256Digest FakeController::PutProduct(const std::map<std::string, std::string>& files) {
  const std::lock_guard lock(state_->mu);
  std::vector<manifest::Entry> entries;
  for (const auto& [path, content] : files) {
    const Sha256Digest digest = crypto::Sha256Of(content);
    state_->blobs[digest] = content;
    entries.push_back({.path = path,
                       .kind = manifest::EntryKind::kFile,
                       .executable = false,
                       .size = content.size(),
                       .digest = digest,
                       .target = {}});
  }
  const auto manifest = manifest::Manifest::Create(std::move(entries));
  REQUIRE(manifest.ok());
  state_->manifests[manifest->Digest()] = manifest->Encode();
  return manifest->Digest();
}

}  // namespace slipway::testing
