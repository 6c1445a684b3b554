#include <catch2/catch.hpp>
#include <mutex>
#include <optional>
#include <string>

#include "agent/link/channel.h"
#include "agent/link/link.h"
#include "agent/link/renewer.h"
#include "common/crypto/pki.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/enrollment.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

absl::StatusOr<v1::ChangeAgentsResponse> Change(FarmFixture& farm, const std::string& agent,
                                                v1::AgentAction action,
                                                const std::string& reason = "a reason") {
  const auto context = farm.client().Context();
  v1::ChangeAgentsRequest request;
  request.add_agents(agent);
  request.set_action(action);
  request.set_reason(reason);
  v1::ChangeAgentsResponse response;
  SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(
      *context, farm.client().agents().ChangeAgents(context.get(), request, &response)));
  return response;
}

absl::StatusOr<v1::Agent> Get(FarmFixture& farm, const std::string& agent) {
  const auto context = farm.client().Context();
  v1::GetAgentRequest request;
  request.set_agent(agent);
  v1::Agent response;
  SLIPWAY_RETURN_IF_ERROR(
      rpc::FromGrpc(*context, farm.client().agents().GetAgent(context.get(), request, &response)));
  return response;
}

// What became of a stream that this identity asks for.
absl::Status TryStream(const link::Identity& identity) {
  FakeAgent agent(identity);
  if (agent.Reconnect(seconds(3))) return absl::OkStatus();
  const auto end = agent.WaitEnded(seconds(3));
  return end ? *end : absl::UnavailableError("it hangs");
}

absl::Status Confirm(const link::Identity& identity) {
  const auto stub = v1::EnrollmentService::NewStub(link::MakeChannel(identity));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(10));
  v1::ConfirmResponse response;
  return rpc::FromGrpc(context, stub->Confirm(&context, {}, &response));
}

TEST_CASE("Controller: revoking ends the agent's streams at once; its build goes to another",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  const link::Identity identity = farm.Join("builder");
  FakeAgent agent(identity, 1);
  REQUIRE(agent.Reconnect());
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  REQUIRE_OK(farm.client().Submit(SubmitOf("shop", false)));
  const auto work = agent.WaitStart();
  REQUIRE(work);
  const auto log = agent.OpenLog(work->key);
  REQUIRE(log->Resume());
  FakeAgent other(farm.Join("other"), 1);
  REQUIRE(other.Reconnect());

  const auto changed = Change(farm, "builder", v1::AGENT_ACTION_REVOKE, "stolen");
  REQUIRE_OK(changed);
  REQUIRE(changed->agents_size() == 1);
  CHECK(changed->agents(0).changed());
  CHECK(changed->agents(0).agent().mode() == v1::AGENT_MODE_REVOKED);
  const auto end = agent.WaitEnded(seconds(5));
  REQUIRE(end);
  CHECK_THAT(*end, StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  CHECK_THAT(*end, StatusIs(absl::StatusCode::kUnauthenticated, "stolen"));
  CHECK(link::RefusedForGood(*end));
  CHECK_THAT(log->Finish(), StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  const auto again = other.WaitStart();
  REQUIRE(again);
  CHECK(again->key == AttemptKey{work->key.task, Attempt(2)});

  CHECK_THAT(TryStream(identity), StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  CHECK_THAT(Confirm(identity), StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  // Also not from a controller that has not seen it happen.
  farm.Stop();
  farm.Start();
  CHECK_THAT(TryStream(identity), StatusIs(absl::StatusCode::kUnauthenticated, "AGENT_REVOKED"));
  // Asking again is no change, and the name is free.
  const auto same = Change(farm, identity.agent.value(), v1::AGENT_ACTION_REVOKE);
  REQUIRE_OK(same);
  CHECK_FALSE(same->agents(0).changed());
  CHECK_OK(TryStream(farm.Join("builder")));
  CHECK(Get(farm, "builder")->mode() == v1::AGENT_MODE_ACTIVE);
  CHECK_THAT(Change(farm, identity.agent.value(), v1::AGENT_ACTION_RESUME).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "AGENT_GONE"));
}

TEST_CASE("Controller: a certificate renews itself under a stream that stays", "[integration]") {
  FarmFixture farm;
  farm.options().agent_certificate_lifetime = seconds(15);
  farm.Start();
  const link::Identity first = farm.Join("builder");
  const std::string dir = farm.data_dir() + "/agent-1";
  FakeAgent agent(first);
  REQUIRE(agent.Reconnect());
  link::Channels channels(first);
  std::optional<absl::Status> ended;
  link::Renewer renewer(first.Copy(), {.data_dir = dir}, channels,
                        [&](const absl::Status& why) { ended = why; });
  renewer.Start();
  std::string certificate;
  REQUIRE(WaitUntil(
      [&] {
        const auto now = link::LoadIdentity(dir);
        if (now.ok()) certificate = now->certificate_pem;
        return certificate != first.certificate_pem;
      },
      seconds(20)));
  REQUIRE(WaitUntil(
      [&] {
        const auto shown = Get(farm, "builder");
        return shown.ok() && !shown->certificate_renewing();
      },
      seconds(20)));
  // The stream of the old one lives, a new one with it does not.
  agent.SendInventory();
  CHECK(Get(farm, "builder")->online());
  CHECK_FALSE(agent.WaitEnded(seconds(1)));
  CHECK_THAT(Confirm(first), StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_REPLACED"));
  const auto renewed = link::LoadIdentity(dir);
  REQUIRE_OK(renewed);
  CHECK(renewed->agent == first.agent);
  CHECK_OK(Confirm(*renewed));
  renewer.Stop();
  CHECK_FALSE(ended);
}

TEST_CASE("Controller: an agent that died between two steps of a renewal still has a certificate",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  const link::Identity first = farm.Join("builder");
  const auto renew = [&](const link::Identity& with) {
    const auto key = crypto::CreateKeyAndRequest();
    REQUIRE_OK(key);
    const auto stub = v1::EnrollmentService::NewStub(link::MakeChannel(with));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(10));
    v1::RenewRequest request;
    request.set_csr(key->request_pem);
    v1::RenewResponse response;
    REQUIRE_OK(rpc::FromGrpc(context, stub->Renew(&context, request, &response)));
    link::Identity next = with.Copy();
    next.certificate_pem = response.certificate();
    next.key_pem = crypto::SecretBytes::CopyOf(key->key_pem.view());
    return next;
  };
  // The answer never reached the disk: the old one is good, and renews again.
  const link::Identity lost = renew(first);
  CHECK_OK(TryStream(first));
  const link::Identity second = renew(first);
  CHECK_OK(TryStream(first));
  CHECK_THAT(TryStream(lost), StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_REPLACED"));
  // It is on the disk, and the agent died before it confirmed.
  CHECK_OK(TryStream(second));
  CHECK_THAT(TryStream(first),
             StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_REPLACED"));
  CHECK_OK(TryStream(renew(second)));
}

TEST_CASE("Controller: a certificate that nobody renewed is refused when it has ended",
          "[integration]") {
  FarmFixture farm;
  farm.options().agent_certificate_lifetime = seconds(5);
  farm.Start();
  const link::Identity identity = farm.Join("builder");
  std::optional<absl::Status> ended;
  std::mutex mu;
  link::Channels channels(identity);
  farm.Stop();
  link::Renewer renewer(identity.Copy(), {.data_dir = farm.data_dir() + "/agent-1"}, channels,
                        [&](const absl::Status& why) {
                          const std::lock_guard lock(mu);
                          ended = why;
                        });
  renewer.Start();
  REQUIRE(WaitUntil(
      [&] {
        const std::lock_guard lock(mu);
        return ended.has_value();
      },
      seconds(30)));
  CHECK_THAT(*ended, StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_EXPIRED"));
  CHECK(link::RefusedForGood(*ended));
}

TEST_CASE(
    "Controller: a paused agent is offered nothing, also after a restart, until it is resumed",
    "[integration]") {
  FarmFixture farm;
  farm.Start();
  FakeAgent agent(farm.Join("builder"), 1);
  REQUIRE(agent.Reconnect());
  CHECK_THAT(Change(farm, "builder", v1::AGENT_ACTION_PAUSE, "").status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "reason"));
  CHECK_THAT(Change(farm, "b*", v1::AGENT_ACTION_RETIRE).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "named"));
  REQUIRE_OK(Change(farm, "b*", v1::AGENT_ACTION_PAUSE, "fan"));
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  REQUIRE_OK(farm.client().Submit(SubmitOf("shop", false)));
  farm.Stop();
  farm.Start();
  REQUIRE(agent.Reconnect());
  const auto shown = Get(farm, "builder");
  REQUIRE_OK(shown);
  CHECK(shown->mode() == v1::AGENT_MODE_PAUSED);
  CHECK(shown->mode_reason() == "fan");
  CHECK(shown->mode_by() == "admin");
  CHECK(shown->has_mode_since());
  CHECK_FALSE(agent.WaitStart(seconds(1)));
  REQUIRE_OK(Change(farm, "builder", v1::AGENT_ACTION_RESUME));
  const auto work = agent.WaitStart();
  REQUIRE(work);
  const auto busy = Get(farm, "builder");
  REQUIRE_OK(busy);
  REQUIRE(busy->held_size() == 1);
  CHECK(busy->held(0).task() == work->key.task.value());
  CHECK(busy->held(0).application() == "shop");
}

TEST_CASE("Controller: who changed what of an agent is in the audit trail", "[integration]") {
  FarmFixture farm;
  farm.Start();
  const link::Identity identity = farm.Join("builder");
  REQUIRE_OK(Change(farm, "builder", v1::AGENT_ACTION_DRAIN, "new kernel"));
  REQUIRE_OK(Change(farm, "builder", v1::AGENT_ACTION_RETIRE, "old"));
  const auto rows =
      RunSql(farm.options().database_url,
             "SELECT entry::jsonb ->> 'action', entry::jsonb ->> 'actor', "
             "coalesce(entry::jsonb ->> 'mode', ''), coalesce(entry::jsonb ->> 'why', '') "
             "FROM audit WHERE entry::jsonb ->> 'subject' = '" +
                 identity.agent.value() + "' ORDER BY sequence");
  REQUIRE_OK(rows);
  REQUIRE(rows->size() == 4);
  CHECK(rows->at(0).at(0) == "join");
  CHECK(rows->at(1) ==
        std::vector<std::string>{"set_agent_mode", "admin", "draining", "new kernel"});
  CHECK(rows->at(2) == std::vector<std::string>{"set_agent_mode", "admin", "retiring", "old"});
  CHECK(rows->at(3) == std::vector<std::string>{"set_agent_mode", "scheduler", "retired", "old"});
}

}  // namespace
}  // namespace slipway::testing
