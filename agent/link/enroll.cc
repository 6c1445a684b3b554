#include "agent/link/enroll.h"

#include <errno.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "agent/link/channel.h"
#include "agent/link/clock_check.h"
#include "agent/link/identity.h"
#include "common/crypto/pki.h"
#include "common/crypto/tls_probe.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/enrollment.grpc.pb.h"

namespace slipway::link {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;

constexpr std::string_view kPrefix = "SLP1-";
constexpr std::size_t kHexDigest = 64;
constexpr auto kTimeout = 15s;

absl::Status BadToken(std::string_view why) {
  return MakeError(StatusCode::kInvalidArgument, "BAD_TOKEN",
                   fmt::format("this is not a join token: {}", why),
                   "Copy the whole token that `slipway agents token` printed.");
}

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
absl::StatusOr<HostPort> SplitServer(std::string_view server) {
  const std::size_t colon = server.rfind(':');
  HostPort result;
  if (colon != std::string_view::npos) {
    const std::string_view digits = server.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), result.port);
    std::string_view host = server.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (error == std::errc() && end == digits.data() + digits.size() && result.port != 0 &&
        !host.empty()) {
      result.host = host;
      return result;
    }
  }
  return MakeError(StatusCode::kInvalidArgument, "", fmt::format("\"{}\" is not HOST:PORT", server),
                   "Give the controller's gRPC address, for example farm.example.org:7443.");
}

// The CA that the token names, out of what the server shows.
absl::StatusOr<std::string> FindCa(const HostPort& server, const Sha256Digest& wanted) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::vector<std::string> chain,
                           crypto::FetchPresentedChain(server.host, server.port, kTimeout));
  for (const std::string& pem : chain) {
    SLIPWAY_ASSIGN_OR_RETURN(const crypto::CertificateFacts facts, crypto::ReadCertificate(pem));
    if (facts.fingerprint == wanted) return pem;
  }
  return MakeError(StatusCode::kPermissionDenied, "WRONG_FARM",
                   fmt::format("{}:{} is not the farm that made this token, or somebody sits in "
                               "between; it was told nothing",
                               server.host, server.port),
                   "Check the address, and make a new token on that farm's controller.");
}

absl::StatusOr<v1::JoinResponse> CallJoin(const Identity& identity, const std::string& request_pem,
                                          const JoinToken& token) {
  const std::shared_ptr<grpc::Channel> channel = MakeChannel(identity);
  const auto stub = v1::EnrollmentService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  v1::JoinRequest request;
  request.set_token_secret(std::string(token.secret.view()));
  request.set_csr(request_pem);
  request.set_name(identity.name);
  v1::JoinResponse response;
  const absl::Status called = rpc::FromGrpc(context, stub->Join(&context, request, &response));
  crypto::Wipe(request.mutable_token_secret()->data(), request.token_secret().size());
  if (called.ok()) return response;
  if (called.code() == StatusCode::kUnavailable) {
    if (const std::string clock = ExplainByClock(identity, SystemClock().Wall()); !clock.empty()) {
      return MakeError(StatusCode::kUnavailable, "CONTROLLER_UNREACHABLE",
                       fmt::format("{}: {}", identity.server, clock));
    }
    return MakeError(StatusCode::kUnavailable, "CONTROLLER_UNREACHABLE",
                     fmt::format("{}: {}", identity.server, std::string(called.message())),
                     "If this speaks of a host name that does not match, use a name of the "
                     "controller's certificate, or --server-name.");
  }
  return called;
}

}  // namespace

absl::StatusOr<JoinToken> ParseJoinToken(std::string_view text) {
  if (!text.starts_with(kPrefix)) return BadToken("it does not begin with \"SLP1-\"");
  text.remove_prefix(kPrefix.size());
  if (text.size() < kHexDigest + 2 || text[kHexDigest] != '-') {
    return BadToken("it was cut or changed");
  }
  const std::optional<Sha256Digest> ca = Sha256Digest::Parse(text.substr(0, kHexDigest));
  if (!ca) return BadToken("it was cut or changed");
  return JoinToken{.ca = *ca, .secret = crypto::SecretBytes::CopyOf(text.substr(kHexDigest + 1))};
}

absl::Status Join(const JoinOrder& order) {
  SLIPWAY_ASSIGN_OR_RETURN(const JoinToken token, ParseJoinToken(order.token));
  SLIPWAY_ASSIGN_OR_RETURN(const HostPort server, SplitServer(order.server));
  if (HasIdentity(order.data_dir)) {
    SLIPWAY_ASSIGN_OR_RETURN(const Identity old, LoadIdentity(order.data_dir));
    return MakeError(StatusCode::kAlreadyExists, "ALREADY_JOINED",
                     fmt::format("{} is agent {} of the farm at {} already", order.data_dir,
                                 old.name, old.server),
                     "Use another --data-dir, or remove this one to join anew.");
  }
  std::error_code made;
  std::filesystem::create_directories(order.data_dir, made);
  if (made) return ErrnoError(made.value(), order.data_dir);
  if (chmod(order.data_dir.c_str(), 0700) != 0) return ErrnoError(errno, order.data_dir);

  Identity identity;
  identity.server = order.server;
  identity.server_name = order.server_name;
  identity.name = order.name;
  SLIPWAY_ASSIGN_OR_RETURN(identity.ca_pem, FindCa(server, token.ca));
  SLIPWAY_ASSIGN_OR_RETURN(crypto::KeyAndRequest key, crypto::CreateKeyAndRequest());
  SLIPWAY_ASSIGN_OR_RETURN(const v1::JoinResponse joined,
                           CallJoin(identity, key.request_pem, token));
  identity.key_pem = std::move(key.key_pem);
  identity.agent = AgentId(joined.agent_id());
  identity.farm = FarmId(joined.farm_id());
  identity.certificate_pem = joined.certificate();
  SLIPWAY_RETURN_IF_ERROR(
      crypto::VerifyIssuedBy(identity.certificate_pem, identity.ca_pem, SystemClock().Wall()));
  SLIPWAY_RETURN_IF_ERROR(
      crypto::CheckKeyMatches(identity.key_pem.view(), identity.certificate_pem));
  return SaveIdentity(order.data_dir, identity);
}

}  // namespace slipway::link
