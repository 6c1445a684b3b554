#include "agent/link/renewer.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/crypto/pki.h"
#include "common/log/log.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/enrollment.grpc.pb.h"

namespace slipway::link {
namespace {

using namespace std::chrono_literals;

constexpr auto kCallTime = 5s;
constexpr Duration kShortestPause = 500ms;
constexpr Duration kLongestPause = 10min;
// A clock that is set or a machine that slept is noticed after this long at the latest.
constexpr Duration kLongestSleep = 1min;

Duration Part(Duration whole, double part) {
  return std::chrono::duration_cast<Duration>(whole * part);
}

absl::Status Ended() {
  return MakeError(
      absl::StatusCode::kUnauthenticated, "CERTIFICATE_EXPIRED",
      "the agent's certificate has ended without being renewed",
      "Compare the clocks; then revoke the agent and join the machine anew, with a new "
      "token and an empty data directory.");
}

}  // namespace

WallTime RenewAt(WallTime issued, WallTime not_after, double random) {
  const Duration lifetime = not_after - issued;
  return issued + Part(lifetime, 2.0 / 3.0) + Part(lifetime, random / 20.0);
}

Renewer::Renewer(Identity identity, RenewerOptions options, Channels& channels,
                 std::function<void(const absl::Status&)> ended)
    : options_(std::move(options)),
      channels_(channels),
      ended_(std::move(ended)),
      identity_(std::move(identity)),
      random_(std::hash<std::string>()(NewUuid())) {}

Renewer::~Renewer() { Stop(); }

void Renewer::Start() {
  worker_ = std::thread([this] { Run(); });
}

void Renewer::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (worker_.joinable()) worker_.join();
}

bool Renewer::Pause(Duration time) {
  std::unique_lock lock(mu_);
  return !wake_.wait_for(lock, std::clamp(time, Duration::zero(), kLongestSleep),
                         [this] { return stopping_; });
}

double Renewer::Random() { return std::uniform_real_distribution<double>(0, 1)(random_); }

void Renewer::Run() {
  const auto read = [this] {
    const auto facts = crypto::ReadCertificate(identity_.certificate_pem);
    if (!facts.ok()) return false;  // it was read and checked when it was loaded or issued
    issued_ = facts->not_before + crypto::kClockSkew;
    not_after_ = facts->not_after;
    return true;
  };
  if (!read()) return;
  WallTime renew_at = RenewAt(issued_, not_after_, Random());
  while (true) {
    const WallTime now = clock_.Wall();
    if (now >= not_after_) return ended_(Ended());
    if (now < renew_at) {
      if (!Pause(renew_at - now)) return;
      continue;
    }
    const Duration lifetime = not_after_ - issued_;
    const absl::Status status = confirmed_ ? Renew() : Confirm();
    if (!status.ok()) {
      log::Warn("certificate_not_renewed", {{"why", Describe(status)}});
      renew_at =
          now + std::clamp(Part(lifetime, 0.01 + Random() / 100), kShortestPause, kLongestPause);
    } else if (confirmed_) {
      log::Info("certificate_confirmed");
      renew_at = RenewAt(issued_, not_after_, Random());
    } else {
      if (!read()) return;
      log::Info("certificate_renewed",
                {{"until_unix", std::to_string(ToUnixMicros(not_after_) / 1'000'000)}});
      renew_at = now + std::min(options_.settle, Part(not_after_ - issued_, 0.05));
    }
  }
}

absl::Status Renewer::Renew() {
  SLIPWAY_ASSIGN_OR_RETURN(crypto::KeyAndRequest key, crypto::CreateKeyAndRequest());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
  v1::RenewRequest request;
  request.set_csr(key.request_pem);
  v1::RenewResponse response;
  const auto stub = v1::EnrollmentService::NewStub(channels_.Control());
  SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(context, stub->Renew(&context, request, &response)));
  Identity next = identity_.Copy();
  next.key_pem = std::move(key.key_pem);
  next.certificate_pem = response.certificate();
  SLIPWAY_RETURN_IF_ERROR(crypto::VerifyIssuedBy(next.certificate_pem, next.ca_pem, clock_.Wall()));
  SLIPWAY_RETURN_IF_ERROR(crypto::CheckKeyMatches(next.key_pem.view(), next.certificate_pem));
  // On the disk before it is used: with its first use the farm takes no other.
  SLIPWAY_RETURN_IF_ERROR(SaveRenewed(options_.data_dir, next));
  channels_.Use(next);
  identity_ = std::move(next);
  confirmed_ = false;
  return absl::OkStatus();
}

absl::Status Renewer::Confirm() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
  v1::ConfirmResponse response;
  const auto stub = v1::EnrollmentService::NewStub(channels_.Control());
  SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(context, stub->Confirm(&context, {}, &response)));
  confirmed_ = true;
  return absl::OkStatus();
}

}  // namespace slipway::link
