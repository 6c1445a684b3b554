#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>

#include "common/crypto/pki.h"
#include "common/process/process.h"
#include "controller/gateway/gzip.h"
#include "tests/integration/http_world.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

using Catch::Contains;
using std::chrono::milliseconds;
constexpr char kListTasks[] = "/slipway.v1.TaskService/ListTasks";

TEST_CASE("HTTP: a unary call in JSON is answered in JSON", "[integration][http]") {
  HttpWorld world;
  const auto answer = world.Post("ListTasks", R"({"application":"shop","page_size":3,"new":1})");
  CHECK(answer.status == 200);
  CHECK(answer.Get("content-type") == "application/json");
  CHECK(answer.Get("cache-control") == "no-store");
  CHECK(answer.Get("trailer-x-seen") == "yes");
  CHECK(answer.body == R"({"nextPageToken":"shop"})");
}

TEST_CASE("HTTP: a unary call in protobuf is answered in protobuf, its error in JSON",
          "[integration][http]") {
  HttpWorld world;
  const auto ask = [&](const std::string& body) {
    return world.Ask(HttpRequest(
        "POST", kListTasks,
        {{"Content-Type", "application/proto"}, {"Connect-Protocol-Version", "1"}}, body));
  };
  v1::ListTasksRequest request;
  request.set_application("shop");
  const auto good = ask(request.SerializeAsString());
  CHECK(good.status == 200);
  CHECK(good.Get("content-type") == "application/proto");
  v1::ListTasksResponse response;
  REQUIRE(response.ParseFromString(good.body));
  CHECK(response.next_page_token() == "shop");
  CHECK(ask("").status == 200);
  const auto bad = ask("\xff\xff");
  CHECK(bad.status == 400);
  CHECK(bad.Get("content-type") == "application/json");
  CHECK_THAT(bad.body, Contains(R"("code":"invalid_argument")"));
}

TEST_CASE("HTTP: an error carries its details and when to try again", "[integration][http]") {
  HttpWorld world;
  const auto answer = world.Post("ListTasks", R"({"application":"fail"})");
  CHECK(answer.status == 429);
  CHECK(answer.Get("retry-after") == "2");
  CHECK_THAT(answer.body,
             Contains(R"("code":"resource_exhausted","message":"the queue is full")") &&
                 Contains(R"("type":"slipway.v1.ErrorDetail","value":")") &&
                 Contains(R"("reason":"QUEUE_FULL")"));
}

TEST_CASE("HTTP: of a client's headers only the token goes on, and our own word about the client",
          "[integration][http]") {
  HttpWorld world;
  CHECK(world
            .Post("ListTasks", "{}",
                  {{"slipway-gateway", "forged"},
                   {"Slipway-Client", "10.0.0.1"},
                   {"X-Forwarded-For", "10.0.0.2"},
                   {"x-other", "1"},
                   {"Cookie", "a=b"},
                   {"Trailer-x", "1"},
                   {"grpc-timeout", "1n"}})
            .status == 200);
  auto metadata = world.tasks.metadata();
  metadata.erase("user-agent");
  CHECK(metadata == std::multimap<std::string, std::string>{{"authorization", "Bearer secret"},
                                                            {"slipway-client", "127.0.0.1"},
                                                            {"slipway-gateway", "the-token"}});
}

TEST_CASE("HTTP: a call that a page of another site could make is refused", "[integration][http]") {
  HttpWorld world;
  const auto ask = [&](const HttpHeaders& headers) {
    return world.Ask(HttpRequest("POST", kListTasks, headers, "{}")).status;
  };
  CHECK(ask({{"Content-Type", "application/json"}}) == 400);
  CHECK(ask({{"Content-Type", "text/plain"}, {"Connect-Protocol-Version", "1"}}) == 415);
  CHECK(ask({{"Content-Type", "application/json"}, {"Connect-Protocol-Version", "2"}}) == 400);
  CHECK(world.tasks.calls == 0);
  CHECK(ask({{"Content-Type", "application/json"}, {"Connect-Protocol-Version", "1"}}) == 200);
  CHECK(ask({{"Content-Type", "application/json"}, {"Authorization", "Bearer x"}}) == 200);
}

TEST_CASE("HTTP: path, method and content type are judged in this order", "[integration][http]") {
  HttpWorld world;
  for (const char* path :
       {"/", "/x", "/slipway.v1.TaskService/Nothing", "/slipway.v1.taskservice/ListTasks",
        "/slipway.v1.AgentService/Connect", "/slipway.v1.EnrollmentService/Join",
        "/slipway.v1.ApplicationService/GetFarm"}) {
    INFO(path);
    const auto answer = world.Ask(HttpRequest("POST", path, {}, ""));
    CHECK(answer.status == 404);
    CHECK_THAT(answer.body, Contains("unimplemented"));
  }
  const auto ask = [&](const char* method, const char* name, const char* type) {
    return world.Ask(HttpRequest(method, std::string("/slipway.v1.TaskService/") + name,
                                 {{"Content-Type", type}, {"Authorization", "x"}}, ""));
  };
  CHECK(ask("PUT", "ListTasks", "application/json").Get("allow") == "GET, POST");
  CHECK(ask("GET", "CancelTask", "application/json").status == 405);
  CHECK(ask("GET", "ReadLog", "application/connect+json").Get("allow") == "POST");
  for (const char* type : {"application/xml", "application/connect+json", "application/grpc"}) {
    const auto answer = ask("POST", "ListTasks", type);
    CHECK(answer.status == 415);
    CHECK(answer.Get("accept-post") == "application/json, application/proto");
  }
  CHECK(ask("POST", "ReadLog", "application/json").status == 415);
}

TEST_CASE("HTTP: what only reads can be asked with GET", "[integration][http]") {
  HttpWorld world;
  const auto get = [&](const std::string& query) {
    return world.Ask(HttpRequest("GET", kListTasks + query, {}, ""));
  };
  const auto json = get("?connect=v1&encoding=json&message=%7B%22application%22%3A%22shop%22%7D");
  CHECK(json.status == 200);
  CHECK(json.body == R"({"nextPageToken":"shop"})");
  // {"application":"shop"} as protobuf: 0a 04 s h o p.
  const auto proto = get("?base64=1&message=CgRzaG9w&encoding=proto");
  CHECK(proto.status == 200);
  CHECK(proto.Get("content-type") == "application/proto");
  CHECK(get("?encoding=xml&message=").status == 415);
  CHECK(get("").status == 400);
  CHECK(get("?encoding=json&message=%7B%22a%22%3A1%2C%22a%22%3A1%7D").status == 400);
}

TEST_CASE("HTTP: messages are packed both ways when asked for", "[integration][http]") {
  HttpWorld world;
  const std::string body = gateway::Gzip(R"({"application":"many","pageSize":200})");
  const auto answer = world.Post("ListTasks", body,
                                 {{"Content-Encoding", "gzip"}, {"Accept-Encoding", "br, gzip"}});
  CHECK(answer.status == 200);
  CHECK(answer.Get("content-encoding") == "gzip");
  const auto text = gateway::Gunzip(answer.body, 1 << 20);
  REQUIRE_OK(text);
  CHECK_THAT(*text, Contains(R"({"id":"task-199"})"));
  const auto other = world.Post("ListTasks", "x", {{"Content-Encoding", "br"}});
  CHECK(other.status == 501);
  CHECK_THAT(other.body, Contains("gzip"));

  HttpClient stream(world.port());
  REQUIRE(stream.Send(HttpRequest("POST", "/slipway.v1.TaskService/ReadLog",
                                  {{"Content-Type", "application/connect+json"},
                                   {"Connect-Protocol-Version", "1"},
                                   {"Connect-Content-Encoding", "gzip"},
                                   {"Connect-Accept-Encoding", "gzip"}},
                                  StreamBody(gateway::Gzip(R"({"task":"endless"})"), 1))));
  const auto head = stream.ReadHead();
  REQUIRE(head.has_value());
  CHECK(head->Get("connect-content-encoding") == "gzip");
  const auto message = stream.ReadMessage();
  REQUIRE(message.has_value());
  CHECK(message->flags == 1);
  const auto unpacked = gateway::Gunzip(message->bytes, 1 << 20);
  REQUIRE_OK(unpacked);
  CHECK_THAT(*unpacked, Contains(R"("data":"eHh4)"));
}

TEST_CASE("HTTP: a stream ends with its end envelope, after success and after failure",
          "[integration][http]") {
  HttpWorld world;
  HttpClient client(world.port());
  REQUIRE(client.Send(HttpWorld::Stream("ReadLog", R"({"task":"three"})")));
  const auto head = client.ReadHead();
  REQUIRE(head.has_value());
  CHECK(head->status == 200);
  CHECK(head->Get("content-type") == "application/connect+json");
  CHECK(head->Get("transfer-encoding") == "chunked");
  CHECK(head->Get("x-accel-buffering") == "no");
  CHECK(head->Get("cache-control") == "no-store");
  for (const char* text : {R"({"data":"bGluZQ=="})", R"({"offset":"1","data":"bGluZQ=="})",
                           R"({"offset":"2","data":"bGluZQ=="})"}) {
    const auto message = client.ReadMessage();
    REQUIRE(message.has_value());
    CHECK(message->flags == 0);
    CHECK(message->bytes == text);
  }
  const auto end = client.ReadMessage();
  REQUIRE(end.has_value());
  CHECK(end->flags == 2);
  CHECK(end->bytes == "{}");

  const auto failed = world.Ask(HttpWorld::Stream("ReadLog", R"({"task":"fails"})"));
  CHECK(failed.status == 200);
  CHECK_THAT(failed.body, Contains(R"({"error":{"code":"data_loss","message":"damaged"}})"));
  // Found before there was a call: still 200 and an end envelope.
  const auto early = world.Ask(HttpWorld::Stream("ReadLog", R"({"task":1)"));
  CHECK(early.status == 200);
  CHECK(early.body[0] == 2);
  CHECK_THAT(early.body, Contains(R"("code":"invalid_argument")"));
}

TEST_CASE("HTTP: a stream in protobuf still ends in JSON", "[integration][http]") {
  HttpWorld world;
  v1::ReadLogRequest request;
  request.set_task("three");
  const auto answer = world.Ask(HttpRequest(
      "POST", "/slipway.v1.TaskService/ReadLog",
      {{"Content-Type", "application/connect+proto"}, {"Connect-Protocol-Version", "1"}},
      StreamBody(request.SerializeAsString())));
  CHECK(answer.Get("content-type") == "application/connect+proto");
  CHECK(answer.body.substr(answer.body.size() - 7) == std::string("\x02\0\0\0\x02{}", 7));
}

TEST_CASE("HTTP: a deadline ends a call, and a stream with its end envelope",
          "[integration][http]") {
  HttpWorld world;
  const auto unary =
      world.Post("ListTasks", R"({"application":"wait"})", {{"Connect-Timeout-Ms", "100"}});
  CHECK(unary.status == 504);
  CHECK_THAT(unary.body, Contains("deadline_exceeded"));
  const auto stream = world.Ask(
      HttpWorld::Stream("ReadLog", R"({"task":"quiet"})", {{"Connect-Timeout-Ms", "100"}}));
  CHECK_THAT(stream.body, Contains(R"({"error":{"code":"deadline_exceeded")"));
  CHECK(WaitUntil([&] { return world.tasks.cancelled == 2; }));
  CHECK(world.Post("ListTasks", "{}", {{"Connect-Timeout-Ms", "soon"}}).status == 400);
  HttpWorld hurried([](auto& options) { options.limits.unary_timeout = milliseconds(100); });
  CHECK(hurried.Post("ListTasks", R"({"application":"wait"})").status == 504);
}

TEST_CASE("HTTP: who leaves cancels what they asked for", "[integration][http]") {
  HttpWorld world;
  {
    HttpClient client(world.port());
    REQUIRE(client.Send(HttpWorld::Unary("ListTasks", R"({"application":"wait"})")));
    REQUIRE(WaitUntil([&] { return world.tasks.calls == 1; }));
  }
  CHECK(WaitUntil([&] { return world.tasks.cancelled == 1; }));
  {
    HttpClient client(world.port());
    REQUIRE(client.Send(HttpWorld::Stream("ReadLog", R"({"task":"quiet"})")));
    REQUIRE(client.ReadHead().has_value());
    REQUIRE(client.ReadMessage().has_value());
  }
  CHECK(WaitUntil([&] { return world.tasks.cancelled == 2; }));
}

TEST_CASE("HTTP: at shutdown streams are told, and what is under way is answered",
          "[integration][http]") {
  HttpWorld world;
  HttpClient stream(world.port());
  REQUIRE(stream.Send(HttpWorld::Stream("ReadLog", R"({"task":"quiet"})")));
  REQUIRE(stream.ReadHead().has_value());
  REQUIRE(stream.ReadMessage().has_value());
  HttpClient idle(world.port());
  REQUIRE(idle.Send(HttpWorld::Unary("ListTasks", "{}")));
  REQUIRE(idle.Read().has_value());
  HttpClient unary(world.port());
  REQUIRE(unary.Send(
      HttpWorld::Unary("ListTasks", R"({"application":"wait"})", {{"Connect-Timeout-Ms", "500"}})));
  REQUIRE(WaitUntil([&] { return world.tasks.calls == 3; }));

  world.http().Drain();
  const auto end = stream.ReadMessage();
  REQUIRE(end.has_value());
  CHECK(end->flags == 2);
  CHECK_THAT(end->bytes, Contains(R"({"error":{"code":"unavailable")"));
  CHECK(idle.ReadsEnd());
  const auto answer = unary.Read();
  REQUIRE(answer.has_value());
  CHECK(answer->status == 504);
  CHECK(answer->Get("connection") == "close");
  world.http().Stop(milliseconds(5000));
}

TEST_CASE("HTTP: pages of allowed origins may call, others are told nothing",
          "[integration][http]") {
  HttpWorld world([](auto& options) { options.origins = {"https://console.example.org"}; });
  const auto preflight = [&](const char* origin) {
    return world.Ask(HttpRequest("OPTIONS", kListTasks,
                                 {{"Origin", origin}, {"Access-Control-Request-Method", "POST"}},
                                 ""));
  };
  const auto allowed = preflight("https://console.example.org");
  CHECK(allowed.status == 204);
  CHECK(allowed.Get("access-control-allow-origin") == "https://console.example.org");
  CHECK_THAT(allowed.Get("access-control-allow-headers"), Contains("Authorization"));
  CHECK(allowed.Get("access-control-allow-credentials").empty());
  CHECK_THAT(allowed.Get("vary"), Contains("Origin"));
  const auto other = preflight("https://evil.example");
  CHECK(other.Get("access-control-allow-origin").empty());
  CHECK_THAT(other.Get("vary"), Contains("Origin"));
  const auto call = world.Post("ListTasks", "{}", {{"Origin", "https://console.example.org"}});
  CHECK(call.Get("access-control-allow-origin") == "https://console.example.org");
}

TEST_CASE("HTTP: pages for machines say how it is", "[integration][http]") {
  HttpWorld world;
  const auto get = [&](const char* path) { return world.Ask(HttpRequest("GET", path, {}, "")); };
  CHECK(get("/healthz").status == 200);
  CHECK(get("/readyz").status == 200);
  world.ready = absl::UnavailableError("no database");
  CHECK(get("/readyz").status == 503);
  CHECK_THAT(get("/readyz").body, Contains("no database"));
  CHECK(world.Ask(HttpRequest("POST", "/metrics", {}, "")).status == 405);
  CHECK(world.Post("ListTasks", R"({"application":"fail"})").status == 429);
  const std::string metrics = get("/metrics").body;
  CHECK_THAT(metrics,
             Contains("slipway_http_requests_total{code=\"resource_exhausted\",method=\"slipway.v1."
                      "TaskService/ListTasks\"} 1") &&
                 Contains("slipway_http_open_streams 0") &&
                 Contains("slipway_http_request_seconds_count{method=\"slipway.v1.TaskService/"
                          "ListTasks\"} 1"));
}

TEST_CASE("HTTP: without TLS only this machine is served unless told otherwise",
          "[integration][http]") {
  const SystemClock clock;
  metrics::Registry registry;
  gateway::HttpOptions options;
  options.listen = "0.0.0.0:0";
  const auto start = [&] {
    return gateway::HttpServer::Start(
        options,
        {grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()),
         crypto::SecretBytes::CopyOf("x"), registry, clock, [](const auto&) {}},
        nullptr);
  };
  CHECK_THAT(start().status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "HTTP_PLAIN_REFUSED"));
  options.allow_plain = true;
  const auto first = start();
  REQUIRE_OK(first);
  options.listen = fmt::format("0.0.0.0:{}", (*first)->port());
  CHECK_THAT(start().status(), StatusIs(absl::StatusCode::kUnavailable, "CANNOT_LISTEN"));
}

TEST_CASE("HTTP: under TLS the certificate can be replaced while it is served",
          "[integration][http]") {
  const WallTime now = SystemClock().Wall();
  const FarmId farm("farm-1");
  const auto first_ca = crypto::CreateCa(farm, now);
  const auto second_ca = crypto::CreateCa(farm, now);
  const crypto::ServerNames names{{"localhost"}, {"127.0.0.1"}};
  const auto first = crypto::IssueServerCertificate(*first_ca, names, now);
  const auto second = crypto::IssueServerCertificate(*second_ca, names, now);
  REQUIRE_OK(first);
  REQUIRE_OK(second);
  TempDir dir;
  WriteFile(dir / "ca.pem", first_ca->certificate_pem);
  WriteFile(dir / "other.pem", second_ca->certificate_pem);
  HttpWorld world([](auto&) {}, &*first);
  const auto curl = [&](const char* ca, const std::string& path, const char* body) {
    process::Command command;
    command.argv = {"curl",
                    "-sS",
                    "--noproxy",
                    "*",
                    "-m",
                    "10",
                    "--cacert",
                    dir / ca,
                    "-H",
                    "Content-Type: application/json",
                    "-H",
                    "Authorization: Bearer x",
                    "-d",
                    body,
                    fmt::format("https://127.0.0.1:{}{}", world.port(), path)};
    const auto run = process::Run(command);
    REQUIRE_OK(run);
    return run->out + run->err;
  };
  CHECK(curl("ca.pem", kListTasks, R"({"application":"shop"})") == R"({"nextPageToken":"shop"})");
  CHECK(curl("ca.pem", kListTasks, R"({"application":"many","pageSize":3000})").size() > 50'000);
  CHECK_THAT(curl("other.pem", kListTasks, "{}"), Contains("certificate"));
  CHECK_THAT(world.http().UseCertificate({crypto::SecretBytes::CopyOf("x"), "y"}),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_HTTP_CERTIFICATE"));
  REQUIRE_OK(world.http().UseCertificate(*second));
  CHECK(curl("other.pem", kListTasks, "{}") == "{}");
}

}  // namespace
}  // namespace slipway::testing
