#include "controller/cli/bench/mock_farm.h"

#include <chrono>
#include <utility>

#include "common/base/ids.h"
#include "common/crypto/hash.h"
#include "common/loghash/segment_hasher.h"
#include "common/manifest/manifest.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/bench/enroll.h"

namespace slipway::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTick = 100ms;
constexpr Duration kEndPatience = 10s;

absl::Status Archive(v1::AgentService::Stub& stub, const v1::AttemptRef& ref) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 30s);
  const auto stream = stub.FindMissingBlobs(&context);
  v1::FindMissingBlobsRequest request;
  *request.mutable_ref() = ref;
  request.set_manifest_part(manifest::Manifest().Encode());
  stream->Write(request);
  stream->WritesDone();
  v1::FindMissingBlobsResponse response;
  while (stream->Read(&response)) {
  }
  return rpc::FromGrpc(context, stream->Finish());
}

}  // namespace

MockFarm::MockFarm(const cli::Client& client, const cli::Access& options, FarmOptions farm)
    : client_(client), options_(std::move(farm)), name_(NewId("bench-").substr(0, 14)) {
  role_.server = options.server;
  role_.slots = options_.slots;
  // Agents of another executor than docker take only what names it.
  role_.labels = {{"executor", "slipway-bench"}, {"bench", name_}};
  role_.work = [this](v1::AgentService::Stub& stub, const v1::AttemptRef& ref) {
    return Work(stub, ref);
  };
  role_.stored = options_.stored;
  role_.linked = [this](bool is_up) {
    {
      const std::lock_guard lock(mu_);
      up_ += is_up ? 1 : -1;
    }
    changed_.notify_all();
  };
}

absl::StatusOr<std::unique_ptr<MockFarm>> MockFarm::Join(const cli::Client& client,
                                                         const cli::Access& options,
                                                         FarmOptions farm) {
  // Its destructor dismisses those that joined before an error.
  std::unique_ptr<MockFarm> made(new MockFarm(client, options, std::move(farm)));
  SLIPWAY_ASSIGN_OR_RETURN(const auto identities,
                           Enroll(client, options, made->name_, made->options_.agents));
  for (const MockIdentity& identity : identities) {
    made->agents_.push_back(std::make_shared<MockAgent>(identity, made->role_));
  }
  made->ticker_ =
      std::jthread([farm = made.get()](const std::stop_token& stop) { farm->TickLoop(stop); });
  return made;
}

MockFarm::~MockFarm() {
  ticker_ = {};
  for (const auto& agent : agents_) agent->Stop();
  const MonoTime end = clock_.Mono() + kEndPatience;
  for (const auto& agent : agents_) {
    std::unique_lock lock(mu_);
    while (!agent->ended() && clock_.Mono() < end) changed_.wait_for(lock, 10ms);
  }
  Dismiss(client_, name_, options_.agents).IgnoreError();
}

void MockFarm::Connect() {
  const std::lock_guard lock(mu_);
  connect_ = true;
}

absl::Status MockFarm::CreateApplication() {
  v1::CreateApplicationRequest request;
  request.set_name(name_);
  request.set_repository("https://bench.invalid/nothing.git");
  request.set_description("made by slipway-bench");
  v1::Application application;
  return client_.Call(client_.applications(), &v1::ApplicationService::Stub::CreateApplication,
                      request, application);
}

void MockFarm::Nudge() {
  for (const auto& agent : agents_) agent->Nudge();
}

bool MockFarm::WaitForUp(int agents, Duration patience) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, client_.stop(), patience, [&] { return up_ >= agents; });
}

int MockFarm::up() {
  const std::lock_guard lock(mu_);
  return up_;
}

std::vector<AttemptTimes> MockFarm::TakeTimes() {
  std::vector<AttemptTimes> all;
  for (const auto& agent : agents_) {
    for (AttemptTimes& times : agent->TakeTimes()) all.push_back(std::move(times));
  }
  return all;
}

void MockFarm::TickLoop(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    bool connect = false;
    {
      std::unique_lock lock(mu_);
      tick_.wait_for(lock, stop, kTick, [] { return false; });
      connect = connect_;
    }
    if (!connect) continue;
    for (const auto& agent : agents_) agent->Tick(clock_.Mono());
  }
}

absl::StatusOr<v1::AttemptResult> MockFarm::Work(v1::AgentService::Stub& stub,
                                                 const v1::AttemptRef& ref) {
  static const Sha256Digest kProduct = manifest::Manifest().Digest();
  static const Sha256Digest kEmptyLog = loghash::RootOf("");
  std::optional<v1::LogSummary> log;
  if (options_.log) {
    log = options_.log(stub, ref, [this] { Nudge(); });
  } else {
    log.emplace().set_root(rpc::ToProto(kEmptyLog));
  }
  {
    const std::lock_guard lock(mu_);
    if (product_ == Product::kNone) {
      product_ = Product::kOnItsWay;
      archiver_ = std::jthread([this, &stub, ref] {
        const bool archived = Archive(stub, ref).ok();
        {
          const std::lock_guard locked(mu_);
          product_ = archived ? Product::kArchived : Product::kNone;
        }
        Nudge();
      });
    }
    if (product_ != Product::kArchived) return absl::UnavailableError("no product yet");
  }
  if (!log) return absl::UnavailableError("the log is not whole yet");
  v1::AttemptResult result;
  result.set_exit_code(0);
  *result.mutable_log() = *std::move(log);
  v1::BuildOutcome& build = *result.mutable_build();
  build.set_commit("0000000000000000000000000000000000000000");
  build.set_manifest(rpc::ToProto(kProduct));
  build.set_version("bench");
  return result;
}

}  // namespace slipway::bench
