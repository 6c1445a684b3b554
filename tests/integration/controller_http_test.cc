#include <fmt/format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <future>
#include <string>

#include "common/crypto/pki.h"
#include "common/process/process.h"
#include "controller/app.h"
#include "controller/options.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/http_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::testing {
namespace {

using Catch::Contains;
using controller::Options;

HttpAnswer Ask(const FarmFixture& farm, const std::string& request) {
  HttpClient client(farm.http_port());
  REQUIRE(client.Send(request));
  auto answer = client.Read();
  REQUIRE(answer.has_value());
  return *std::move(answer);
}

HttpAnswer Call(const FarmFixture& farm, const std::string& method, const std::string& body) {
  const std::string token = ReadFile(farm.data_dir() + "/admin.token");
  return Ask(farm, HttpRequest("POST", "/slipway.v1." + method,
                               {{"Content-Type", "application/json"},
                                {"Authorization", "Bearer " + token.substr(0, token.find('\n'))}},
                               body));
}

// A call of a service whose stubs are not compiled here.
std::string RawCall(const FarmFixture& farm, const std::string& path, grpc::Status& status) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = farm.ca_pem();
  grpc::GenericStub stub(grpc::CreateChannel(farm.server(), grpc::SslCredentials(tls)));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  grpc::ByteBuffer request(nullptr, 0);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, path, {}, &request, &response,
                 [&done](const grpc::Status& end) { done.set_value(end); });
  status = done.get_future().get();
  grpc::Slice slice;
  if (!status.ok() || !response.DumpToSingleSlice(&slice).ok()) return "";
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

TEST_CASE("Controller HTTP: real services answer, and tell tokens apart", "[integration]") {
  FarmFixture farm;
  farm.Start();
  const auto made =
      Call(farm, "ApplicationService/CreateApplication",
           R"({"name":"web","repository":"https://git.example/web.git","queueTimeout":"90s"})");
  CHECK(made.status == 200);
  CHECK_THAT(made.body, Contains(R"("name":"web")") && Contains(R"("queueTimeout":"90s")"));
  CHECK_THAT(Call(farm, "ApplicationService/GetApplication", R"({"name":"web"})").body,
             Contains(R"("queueTimeout":"90s")"));
  const auto missing = Call(farm, "TaskService/GetTask", R"({"id":"task-x"})");
  CHECK(missing.status == 404);
  CHECK_THAT(missing.body, Contains("NO_SUCH_TASK"));
  const auto stranger =
      Ask(farm,
          HttpRequest("POST", "/slipway.v1.TaskService/ListTasks",
                      {{"Content-Type", "application/json"}, {"Authorization", "Bearer x"}}, "{}"));
  CHECK(stranger.status == 401);
  CHECK_THAT(stranger.body, Contains("BAD_TOKEN"));
  CHECK(Call(farm, "EnrollmentService/Join", "{}").status == 404);
  CHECK(Call(farm, "AgentAdminService/ListAgents", "{}").status == 200);
  CHECK(Call(farm, "AgentImageService/ListImages", "{}").status == 200);
  CHECK(Call(farm, "ReleaseService/ListReleases", "{}").status == 200);
}

TEST_CASE("Controller HTTP: pages tell whether it is ready and what it has to do",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  REQUIRE_OK(farm.client().Submit(SubmitOf("shop", true)));
  CHECK(Ask(farm, HttpRequest("GET", "/readyz", {}, "")).body == "ready\n");
  const std::string metrics = Ask(farm, HttpRequest("GET", "/metrics", {}, "")).body;
  for (const char* line :
       {"slipway_tasks_unfinished 2\n", "slipway_tasks_queued 1\n", "slipway_tasks_running 0\n",
        "slipway_agents_connected 0\n", "slipway_build_info{version=\"",
        "process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds "}) {
    CHECK_THAT(metrics, Contains(line));
  }
}

TEST_CASE("Controller: a follower over HTTP is told that the controller stops", "[integration]") {
  FarmFixture farm;
  farm.Start();
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  const auto run = farm.client().Submit(SubmitOf("shop", false));
  REQUIRE_OK(run);
  HttpClient client(farm.http_port());
  const std::string token = ReadFile(farm.data_dir() + "/admin.token");
  REQUIRE(
      client.Send(HttpRequest("POST", "/slipway.v1.TaskService/WatchRun",
                              {{"Content-Type", "application/connect+json"},
                               {"Authorization", "Bearer " + token.substr(0, token.find('\n'))}},
                              StreamBody(fmt::format(R"({{"run":"{}"}})", run->run())))));
  REQUIRE(client.ReadHead().has_value());
  const auto first = client.ReadMessage();
  REQUIRE(first.has_value());
  CHECK_THAT(first->bytes, Contains("TASK_STATE_QUEUED"));
  farm.Stop();
  const auto end = client.ReadMessage();
  REQUIRE(end.has_value());
  CHECK(end->flags == 2);
  CHECK_THAT(end->bytes, Contains(R"("code":"unavailable")"));
}

TEST_CASE("Controller: gRPC tells its schema and its health without a token", "[integration]") {
  FarmFixture farm;
  farm.Start();
  grpc::Status status;
  // HealthCheckResponse{status: SERVING}.
  CHECK(RawCall(farm, "/grpc.health.v1.Health/Check", status) == "\x08\x01");
  CHECK(status.ok());
  // A stream, which ends at once because nothing was asked.
  (void)RawCall(farm, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", status);
  CHECK(status.error_code() != grpc::StatusCode::UNIMPLEMENTED);
}

TEST_CASE(
    "Controller HTTP: under TLS with the farm's certificate, or with given ones that are "
    "read anew",
    "[integration]") {
  FarmFixture farm;
  const auto curl = [&farm](const std::string& ca) {
    process::Command command;
    command.argv = {
        "curl",     "-sS", "--noproxy",
        "*",        "-m",  "10",
        "--cacert", ca,    fmt::format("https://localhost:{}/healthz", farm.http_port())};
    const auto run = process::Run(command);
    REQUIRE_OK(run);
    return run->out;
  };
  farm.options().http_tls = Options::HttpTls::kOwn;
  farm.Start();
  CHECK(curl(farm.data_dir() + "/ca.pem") == "alive\n");
  farm.Stop();

  const WallTime now = SystemClock().Wall();
  TempDir dir;
  const auto write = [&](const std::string& ca_name) {
    const auto ca = crypto::CreateCa(FarmId("farm-2"), now);
    REQUIRE_OK(ca);
    const auto server = crypto::IssueServerCertificate(*ca, {{"localhost"}, {}}, now);
    REQUIRE_OK(server);
    WriteFile(dir / ca_name, ca->certificate_pem);
    WriteFile(dir / "server.pem", server->certificate_pem);
    WriteFile(dir / "server.key", server->key_pem.view());
  };
  write("first.pem");
  farm.options().http_tls = Options::HttpTls::kGiven;
  farm.options().http_certificate = dir / "server.pem";
  farm.options().http_key = dir / "server.key";
  farm.Start();
  CHECK(curl(dir / "first.pem") == "alive\n");
  write("second.pem");
  REQUIRE_OK(farm.Reload());
  CHECK(curl(dir / "second.pem") == "alive\n");
  WriteFile(dir / "server.key", "no key");
  CHECK_THAT(farm.Reload(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_HTTP_CERTIFICATE"));
  CHECK(curl(dir / "second.pem") == "alive\n");
}

TEST_CASE("Controller: HTTP can be switched off, and is not served to others in the open",
          "[integration]") {
  FarmFixture farm;
  farm.options().http_listen = "off";
  farm.Start();
  CHECK(farm.http_port() == 0);
  farm.Stop();
  const auto start = [&farm] {
    return controller::App::Start(farm.options(), [](const absl::Status&) {}).status();
  };
  farm.options().http_listen = "0.0.0.0:0";
  CHECK_THAT(start(), StatusIs(absl::StatusCode::kFailedPrecondition, "HTTP_PLAIN_REFUSED"));
  farm.options().http_allow_plain = true;
  CHECK_OK(start());
  farm.options().http_listen = "nowhere";
  CHECK_THAT(start(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LISTEN"));
  farm.options().http_listen = fmt::format("127.0.0.1:{}", farm.port());
  CHECK_THAT(start(), StatusIs(absl::StatusCode::kUnavailable, "CANNOT_LISTEN"));
}

TEST_CASE("Controller options: those of HTTP are read, and refused by key", "[integration]") {
  TempDir dir;
  const std::string path = dir / "controller.yaml";
  WriteFile(path,
            "http_listen: 0.0.0.0:80\nhttp_tls: given\nhttp_certificate: /c\nhttp_key: /k\n"
            "http_origins: [\"https://a.example\", \"http://localhost:5173\"]\n"
            "http_allow_plain: true\nhttp_max_streams: 7\n");
  const auto options = controller::LoadOptions(path);
  REQUIRE_OK(options);
  CHECK(options->http_listen == "0.0.0.0:80");
  CHECK(options->http_tls == Options::HttpTls::kGiven);
  CHECK(options->http_origins.size() == 2);
  CHECK(options->http_allow_plain);
  CHECK(options->http_max_streams == 7);
  for (const char* lines : {"http_origins: [\"*\"]\n", "http_origins: [a.example]\n",
                            "http_origins: [\"https://a.example/\"]\n", "http_tls: maybe\n",
                            "http_max_connections: 0\n"}) {
    WriteFile(path, lines);
    INFO(lines);
    CHECK_THAT(controller::LoadOptions(path).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "http_"));
  }
}

}  // namespace
}  // namespace slipway::testing
