#include "controller/cli/bench/enroll.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "common/crypto/pki.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "slipway/v1/enrollment.grpc.pb.h"

namespace slipway::bench {
namespace {

constexpr int kThreads = 4;
constexpr int kAgentsPerChange = 1000;

absl::StatusOr<MockIdentity> JoinAs(const std::string& name, const cli::Client& client,
                                    v1::EnrollmentService::Stub& enrollment) {
  v1::CreateJoinTokenResponse token;
  SLIPWAY_RETURN_IF_ERROR(client.Call(client.agents(),
                                      &v1::AgentAdminService::Stub::CreateJoinToken,
                                      v1::CreateJoinTokenRequest(), token));
  SLIPWAY_ASSIGN_OR_RETURN(crypto::KeyAndRequest key, crypto::CreateKeyAndRequest());
  v1::JoinRequest request;
  // "SLP1-CA-SECRET"; the CA is the one that the user's client trusts.
  request.set_token_secret(token.token().substr(token.token().rfind('-') + 1));
  request.set_csr(key.request_pem);
  request.set_name(name);
  v1::JoinResponse joined;
  SLIPWAY_RETURN_IF_ERROR(
      client.Call(enrollment, &v1::EnrollmentService::Stub::Join, request, joined));
  return MockIdentity{.id = joined.agent_id(),
                      .name = name,
                      .ca_pem = joined.ca(),
                      .certificate_pem = joined.certificate(),
                      .key_pem = std::move(key.key_pem)};
}

}  // namespace

absl::StatusOr<std::vector<MockIdentity>> Enroll(const cli::Client& client,
                                                 const cli::Access& options,
                                                 const std::string& prefix, int count) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = options.ca_pem;
  const auto enrollment = v1::EnrollmentService::NewStub(
      grpc::CreateChannel(options.server, grpc::SslCredentials(tls)));
  std::mutex mu;
  absl::Status failed;
  std::vector<MockIdentity> identities(static_cast<std::size_t>(count));
  std::atomic<int> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = next++; n < count && !client.stop().stop_requested(); n = next++) {
        auto identity = JoinAs(fmt::format("{}-{}", prefix, n + 1), client, *enrollment);
        const std::lock_guard lock(mu);
        if (identity.ok()) {
          identities[static_cast<std::size_t>(n)] = *std::move(identity);
        } else {
          failed = identity.status();
          next = count;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (!failed.ok()) return failed;
  if (client.stop().stop_requested()) return cli::InterruptedError();
  return identities;
}

absl::Status Dismiss(const cli::Client& client, const std::string& prefix, int count) {
  v1::ListAgentsResponse agents;
  SLIPWAY_RETURN_IF_ERROR(client.Call(client.agents(), &v1::AgentAdminService::Stub::ListAgents,
                                      v1::ListAgentsRequest(), agents));
  std::set<std::string> ours;
  for (int n = 1; n <= count; ++n) ours.insert(fmt::format("{}-{}", prefix, n));
  v1::ChangeAgentsRequest request;
  request.set_action(v1::AGENT_ACTION_REVOKE);
  request.set_reason("a mock agent of slipway-bench");
  const auto send = [&]() -> absl::Status {
    if (request.agents().empty()) return absl::OkStatus();
    v1::ChangeAgentsResponse changed;
    const absl::Status sent =
        client.Call(client.agents(), &v1::AgentAdminService::Stub::ChangeAgents, request, changed);
    request.clear_agents();
    return sent;
  };
  for (const v1::Agent& agent : agents.agents()) {
    if (!ours.contains(agent.name())) continue;
    request.add_agents(agent.id());
    if (request.agents_size() == kAgentsPerChange) SLIPWAY_RETURN_IF_ERROR(send());
  }
  return send();
}

}  // namespace slipway::bench
