#include <catch2/catch.hpp>
#include <string>

#include "agent/link/channel.h"
#include "agent/link/enroll.h"
#include "common/crypto/pki.h"
#include "common/crypto/token.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/enrollment.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

absl::StatusOr<v1::JoinResponse> CallJoin(FarmFixture& farm, const std::string& secret,
                                          const std::string& name) {
  link::Identity stranger;
  stranger.server = farm.server();
  stranger.ca_pem = farm.ca_pem();
  const auto stub = v1::EnrollmentService::NewStub(link::MakeChannel(stranger));
  const auto key = crypto::CreateKeyAndRequest();
  REQUIRE_OK(key);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  v1::JoinRequest request;
  request.set_token_secret(secret);
  request.set_csr(key->request_pem);
  request.set_name(name);
  v1::JoinResponse response;
  SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(context, stub->Join(&context, request, &response)));
  return response;
}

std::string NewSecret(FarmFixture& farm) {
  const auto token = farm.client().NewJoinToken();
  REQUIRE_OK(token);
  const auto parsed = link::ParseJoinToken(*token);
  REQUIRE_OK(parsed);
  return std::string(parsed->secret.view());
}

TEST_CASE("Controller: a wrong, a used and an expired join token are refused in the same words",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  const std::string used = NewSecret(farm);
  REQUIRE_OK(CallJoin(farm, used, "first"));

  const std::string expired = NewSecret(farm);
  REQUIRE_OK(RunSql(farm.options().database_url,
                    "UPDATE join_tokens SET expires_at = now() - interval '1 second', "
                    "created_at = now() - interval '1 hour' WHERE used_at IS NULL"));
  const absl::Status wrong = CallJoin(farm, "nobody-made-this", "second").status();
  CHECK_THAT(wrong, StatusIs(absl::StatusCode::kPermissionDenied, "BAD_TOKEN"));
  CHECK(CallJoin(farm, used, "second").status() == wrong);
  CHECK(CallJoin(farm, expired, "second").status() == wrong);
}

TEST_CASE("Controller: an agent's name is checked and taken once, and the token is then still good",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  REQUIRE_OK(CallJoin(farm, NewSecret(farm), "builder-1"));
  const std::string secret = NewSecret(farm);
  CHECK_THAT(CallJoin(farm, secret, "builder-1").status(),
             StatusIs(absl::StatusCode::kAlreadyExists));
  CHECK_THAT(CallJoin(farm, secret, "Builder 2").status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_AGENT_NAME"));
  CHECK_OK(CallJoin(farm, secret, "builder-2"));
}

TEST_CASE("Controller: a joined agent is online with its labels and version", "[integration]") {
  FarmFixture farm;
  farm.Start();
  FakeAgent agent(farm.Join("builder"), 3, {{"zone", "north"}});
  REQUIRE(agent.Reconnect());
  const auto context = farm.client().Context();
  v1::ListAgentsResponse agents;
  REQUIRE(farm.client().agents().ListAgents(context.get(), {}, &agents).ok());
  REQUIRE(agents.agents_size() == 1);
  CHECK(agents.agents(0).name() == "builder");
  CHECK(agents.agents(0).online());
  CHECK(agents.agents(0).slots() == 3);
  CHECK(agents.agents(0).version() == "fake");
  CHECK(agents.agents(0).labels().at("zone") == "north");
}

TEST_CASE("Controller: streams and blob calls without an agent's certificate are unauthenticated",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  link::Identity nobody;
  nobody.server = farm.server();
  nobody.ca_pem = farm.ca_pem();
  FakeAgent agent(nobody);
  agent.Connect();
  const auto end = agent.WaitEnded();
  REQUIRE(end);
  CHECK_THAT(*end, StatusIs(absl::StatusCode::kUnauthenticated, "NO_AGENT_CERTIFICATE"));

  const AttemptKey key{TaskId("task-1"), Attempt(1)};
  CHECK_THAT(agent.OpenLog(key)->Finish(),
             StatusIs(absl::StatusCode::kUnauthenticated, "NO_AGENT_CERTIFICATE"));

  // Before anything is sent, so that a stranger cannot hold a thread by being slow.
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  const auto stream = agent.stub().FindMissingBlobs(&context);
  v1::FindMissingBlobsResponse response;
  CHECK_FALSE(stream->Read(&response));
  CHECK_THAT(rpc::FromGrpc(context, stream->Finish()),
             StatusIs(absl::StatusCode::kUnauthenticated, "NO_AGENT_CERTIFICATE"));
}

TEST_CASE("Controller: a certificate of another CA does not get past the handshake",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  link::Identity forged = farm.Join("builder");
  const WallTime now = SystemClock().Wall();
  const auto ca = crypto::CreateCa(forged.farm, now);
  REQUIRE_OK(ca);
  auto key = crypto::CreateKeyAndRequest();
  REQUIRE_OK(key);
  const auto certificate =
      crypto::IssueAgentCertificate(*ca, key->request_pem, forged.farm, forged.agent, now);
  REQUIRE_OK(certificate);
  forged.certificate_pem = *certificate;
  forged.key_pem = std::move(key->key_pem);
  FakeAgent agent(forged);
  CHECK_FALSE(agent.channel()->WaitForConnected(std::chrono::system_clock::now() + seconds(2)));
}

TEST_CASE("Controller: a certificate that another one has replaced is refused", "[integration]") {
  FarmFixture farm;
  farm.Start();
  const link::Identity identity = farm.Join("builder");
  REQUIRE_OK(RunSql(farm.options().database_url,
                    "UPDATE agents SET certificate_fingerprint = repeat('0', 64)"));
  FakeAgent agent(identity);
  agent.Connect();
  const auto end = agent.WaitEnded();
  REQUIRE(end);
  CHECK_THAT(*end, StatusIs(absl::StatusCode::kUnauthenticated, "CERTIFICATE_REPLACED"));
}

TEST_CASE("Controller: the second stream of an agent replaces the first", "[integration]") {
  FarmFixture farm;
  farm.Start();
  const link::Identity identity = farm.Join("builder");
  FakeAgent first(identity);
  REQUIRE(first.Reconnect());
  FakeAgent second(identity);
  REQUIRE(second.Reconnect());
  const auto end = first.WaitEnded();
  REQUIRE(end);
  CHECK_THAT(*end, StatusIs(absl::StatusCode::kAborted, "SESSION_REPLACED"));

  // The end of the first must not make the second look gone.
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  REQUIRE_OK(farm.client().Submit(SubmitOf("shop", false)));
  CHECK(second.WaitStart());
}

TEST_CASE("Controller: a stream that does not begin with an inventory is refused",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  const link::Identity identity = farm.Join("builder");
  const auto stub = v1::AgentService::NewStub(link::MakeChannel(identity));
  grpc::ClientContext context;
  const auto stream = stub->Connect(&context);
  v1::AgentMessage message;
  message.mutable_accept()->mutable_ref()->set_task("task-1");
  message.mutable_accept()->mutable_ref()->set_attempt(1);
  stream->Write(message);
  CHECK_THAT(rpc::FromGrpc(context, stream->Finish()),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NO_INVENTORY"));
}

TEST_CASE("Controller: calls of people need a token that is known", "[integration]") {
  FarmFixture farm;
  farm.Start();
  FarmClient nobody(farm.port(), farm.ca_pem(), "");
  CHECK_THAT(nobody.GetFarm().status(), StatusIs(absl::StatusCode::kUnauthenticated, "NO_TOKEN"));
  FarmClient liar(farm.port(), farm.ca_pem(), "slt_wrong");
  CHECK_THAT(liar.GetFarm().status(), StatusIs(absl::StatusCode::kUnauthenticated, "BAD_TOKEN"));
  CHECK_THAT(liar.Watch("run-1").status(),
             StatusIs(absl::StatusCode::kUnauthenticated, "BAD_TOKEN"));
  v1::ReadLogRequest request;
  request.set_task("task-1");
  CHECK_THAT(liar.ReadLog(request, [](const auto&) {}),
             StatusIs(absl::StatusCode::kUnauthenticated, "BAD_TOKEN"));
}

}  // namespace
}  // namespace slipway::testing
