#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "controller/gateway/gzip.h"
#include "tests/integration/http_world.h"
#include "tests/support/wait_until.h"

// What strangers may try: each costs them their connection or an error, and the server nothing.
namespace slipway::testing {
namespace {

using Catch::Contains;
using std::chrono::milliseconds;

constexpr char kStart[] = "POST /slipway.v1.TaskService/ListTasks HTTP/1.1\r\nHost: test\r\n";
constexpr char kJson[] = "Content-Type: application/json\r\nAuthorization: x\r\n";

TEST_CASE("HTTP: headers beyond the limit are refused before they are all here",
          "[integration][http]") {
  HttpWorld world;
  const auto one = world.Ask(std::string(kStart) + "X-A: " + std::string(20 << 10, 'a'));
  CHECK(one.status == 431);
  CHECK(one.Get("connection") == "close");
  std::string many = kStart;
  while (many.size() < 40 << 10) many += "X-A: b\r\n";
  CHECK(world.Ask(many).status == 431);
  CHECK(world.Ask("GET /" + std::string(20 << 10, 'a')).status == 431);
  // Between chunks, and behind them.
  const std::string chunked = std::string(kStart) + kJson + "Transfer-Encoding: chunked\r\n\r\n";
  CHECK(world.Ask(chunked + "2;" + std::string(20 << 10, 'a')).status >= 400);
  CHECK(world.Ask(chunked + "2\r\n{}\r\n0\r\nX-A: " + std::string(20 << 10, 'a')).status >= 400);
  CHECK(world.tasks.calls == 0);
}

TEST_CASE("HTTP: a body beyond the limit is refused by its length, or where it passes the limit",
          "[integration][http]") {
  HttpWorld world([](auto& options) { options.limits.max_body_bytes = 1000; });
  const auto announced =
      world.Ask(std::string(kStart) + kJson + "Content-Length: 99999999999\r\n\r\n");
  CHECK(announced.status == 429);
  CHECK_THAT(announced.body, Contains("resource_exhausted"));
  const auto chunked =
      world.Ask(std::string(kStart) + kJson + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n" +
                std::string(1000, ' ') + "\r\n1\r\n \r\n0\r\n\r\n");
  CHECK(chunked.status == 429);
  const auto stream =
      world.Ask(HttpRequest("POST", "/slipway.v1.TaskService/ReadLog",
                            {{"Content-Type", "application/connect+json"}, {"Authorization", "x"}},
                            std::string(1001, 'x')));
  CHECK(stream.status == 200);
  CHECK_THAT(stream.body, Contains(R"({"error":{"code":"resource_exhausted")"));
  CHECK(world.Post("ListTasks", "{}" + std::string(998, ' ')).status == 200);
}

TEST_CASE("HTTP: all bodies together are limited", "[integration][http]") {
  HttpWorld world([](auto& options) { options.limits.max_buffered_bytes = 100'000; });
  HttpClient holder(world.port());
  REQUIRE(holder.Send(std::string(kStart) + kJson + "Content-Length: 200000\r\n\r\n" +
                      std::string(99'000, ' ')));
  const std::string big = "{}" + std::string(50'000, ' ');
  CHECK(WaitUntil([&] { return world.Post("ListTasks", big).status == 429; }));
  holder.Close();
  CHECK(WaitUntil([&] { return world.Post("ListTasks", big).status == 200; }));
}

TEST_CASE("HTTP: bombs in gzip and envelopes are refused", "[integration][http]") {
  HttpWorld world([](auto& options) { options.limits.max_message_bytes = 1 << 20; });
  const std::string bomb = gateway::Gzip(std::string(256 << 20, ' '));
  const auto unary = world.Post("ListTasks", bomb, {{"Content-Encoding", "gzip"}});
  CHECK(unary.status == 429);
  CHECK_THAT(unary.body, Contains("resource_exhausted"));
  const auto stream = [&](const std::string& body) {
    return world
        .Ask(HttpRequest("POST", "/slipway.v1.TaskService/ReadLog",
                         {{"Content-Type", "application/connect+json"},
                          {"Connect-Content-Encoding", "gzip"},
                          {"Authorization", "x"}},
                         body))
        .body;
  };
  CHECK_THAT(stream(StreamBody(bomb, 1)), Contains("resource_exhausted"));
  CHECK_THAT(stream(std::string("\0\xff\xff\xff\xff{}", 7)), Contains("resource_exhausted"));
  CHECK_THAT(stream(StreamBody("{}", 2)), Contains("invalid_argument"));
  CHECK_THAT(stream(StreamBody("{}", 4)), Contains("invalid_argument"));
  CHECK_THAT(stream(StreamBody("{}") + StreamBody("{}")), Contains("invalid_argument"));
  CHECK_THAT(stream("\0\0"), Contains("invalid_argument"));
  // Compressed although nobody said how.
  CHECK_THAT(
      world
          .Ask(HttpRequest("POST", "/slipway.v1.TaskService/ReadLog",
                           {{"Content-Type", "application/connect+json"}, {"Authorization", "x"}},
                           StreamBody(gateway::Gzip("{}"), 1)))
          .body,
      Contains("invalid_argument"));
  CHECK(world.tasks.calls == 0);
}

TEST_CASE("HTTP: JSON that a lenient parser would take is refused", "[integration][http]") {
  HttpWorld world;
  for (const std::string& bad :
       {std::string(1000, '[') + std::string(1000, ']'), std::string(1 << 20, '['),
        std::string(R"({"application":"a","application":"b"})"),
        std::string("{\"application\":\"\xff\"}"), std::string("{application:\"a\"}"),
        std::string("{\"application\":\"a\"} {}"), std::string("{\"pageSize\":\"x\"}"),
        std::string("[]"), std::string("")}) {
    INFO(bad.substr(0, 60));
    const auto answer = world.Post("ListTasks", bad);
    CHECK(answer.status == 400);
    CHECK_THAT(answer.body, Contains(R"("code":"invalid_argument")"));
  }
  CHECK(world.tasks.calls == 0);
}

TEST_CASE("HTTP: slow headers, slow bodies and idle connections are ended", "[integration][http]") {
  HttpWorld world([](auto& options) {
    options.limits.header_timeout = milliseconds(100);
    options.limits.body_timeout = milliseconds(150);
    options.limits.idle_timeout = milliseconds(100);
  });
  HttpClient silent(world.port());
  CHECK(silent.ReadsEnd());
  HttpClient headers(world.port());
  REQUIRE(headers.Send(kStart));
  auto answer = headers.Read();
  REQUIRE(answer.has_value());
  CHECK(answer->status == 408);
  CHECK(headers.ReadsEnd());
  HttpClient body(world.port());
  REQUIRE(body.Send(std::string(kStart) + kJson + "Content-Length: 10\r\n\r\n{"));
  answer = body.Read();
  REQUIRE(answer.has_value());
  CHECK(answer->status == 504);
  CHECK(body.ReadsEnd());
  HttpClient idle(world.port());
  REQUIRE(idle.Send(HttpWorld::Unary("ListTasks", "{}")));
  REQUIRE(idle.Read().has_value());
  CHECK(idle.ReadsEnd());
}

TEST_CASE("HTTP: requests whose end two readers could see in different places are refused",
          "[integration][http]") {
  HttpWorld world;
  const std::string rest = "\r\n2\r\n{}\r\n0\r\n\r\n";
  for (const char* headers :
       {"Transfer-Encoding: gzip\r\n", "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n", "Content-Length: +2\r\n",
        "Content-Length: 2, 3\r\n", "Host: other\r\n", "Authorization: y\r\n",
        "Content-Type: text/plain\r\n", "X A: b\r\n"}) {
    INFO(headers);
    HttpClient client(world.port());
    REQUIRE(client.Send(std::string(kStart) + kJson + headers + rest));
    const auto answer = client.Read();
    REQUIRE(answer.has_value());
    CHECK(answer->status == 400);
    CHECK(client.ReadsEnd());
  }
  for (const char* bad :
       {"\r\n\r\nx", "GET / HTTP/2.0\r\n\r\n", "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    INFO(bad);
    CHECK(world.Ask(bad).status == 400);
  }
  CHECK(world.tasks.calls == 0);
}

TEST_CASE("HTTP: a token that gRPC would not carry is refused", "[integration][http]") {
  HttpWorld world;
  for (const char* value : {"Bearer \xc3\xa4", "Bearer \xff", "Bearer a\tb"}) {
    const auto answer = world.Ask(
        HttpRequest("POST", "/slipway.v1.TaskService/ListTasks",
                    {{"Content-Type", "application/json"}, {"Authorization", value}}, "{}"));
    INFO(value);
    CHECK(answer.status == 400);
  }
  CHECK(world.tasks.calls == 0);
}

TEST_CASE("HTTP: pipelined requests are answered one after the other", "[integration][http]") {
  HttpWorld world;
  std::string all;
  for (int i = 0; i < 200; ++i) {
    all += HttpWorld::Unary("ListTasks", R"({"application":"n)" + std::to_string(i) + "\"}");
  }
  HttpClient client(world.port());
  REQUIRE(client.Send(all));
  for (int i = 0; i < 200; ++i) {
    const auto answer = client.Read();
    REQUIRE(answer.has_value());
    CHECK(answer->body == R"({"nextPageToken":"n)" + std::to_string(i) + "\"}");
  }
}

TEST_CASE("HTTP: a request that comes byte by byte is the same request", "[integration][http]") {
  HttpWorld world;
  HttpClient client(world.port());
  for (const char c : HttpWorld::Unary("ListTasks", R"({"application":"shop"})")) {
    REQUIRE(client.Send(std::string(1, c)));
  }
  const auto answer = client.Read();
  REQUIRE(answer.has_value());
  CHECK(answer->body == R"({"nextPageToken":"shop"})");
  REQUIRE(client.Send(std::string(kStart) + kJson + "Transfer-Encoding: chunked\r\n\r\n"));
  for (const char c : std::string("1\r\n{\r\n1;x=y\r\n}\r\n0\r\nAuthorization: late\r\n\r\n")) {
    REQUIRE(client.Send(std::string(1, c)));
  }
  CHECK(client.Read()->status == 200);
  CHECK(world.tasks.metadata().find("authorization")->second == "x");
}

TEST_CASE("HTTP: older and half versions of clients are served", "[integration][http]") {
  HttpWorld world;
  HttpClient old(world.port());
  REQUIRE(old.Send("GET /healthz HTTP/1.0\r\n\r\n"));
  CHECK(old.Read()->body == "alive\n");
  CHECK(old.ReadsEnd());
  const std::string body = StreamBody(R"({"task":"three"})");
  HttpClient stream(world.port());
  REQUIRE(
      stream.Send("POST /slipway.v1.TaskService/ReadLog HTTP/1.0\r\nContent-Type: "
                  "application/connect+json\r\nAuthorization: x\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n" + body));
  CHECK(stream.ReadHead()->Get("transfer-encoding").empty());
  for (int i = 0; i < 3; ++i) CHECK(stream.ReadMessage()->flags == 0);
  CHECK(stream.ReadMessage()->bytes == "{}");
  CHECK(stream.ReadsEnd());
  HttpClient expecting(world.port());
  REQUIRE(expecting.Send(std::string(kStart) + kJson +
                         "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
  CHECK(expecting.ReadHead()->status == 100);
  REQUIRE(expecting.Send("{}"));
  CHECK(expecting.Read()->status == 200);
  HttpClient head(world.port());
  REQUIRE(head.Send("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const auto answer = head.ReadHead();
  REQUIRE(answer.has_value());
  CHECK(answer->Get("content-length") == "6");
  CHECK(head.ReadsEnd());
}

TEST_CASE("HTTP: a slow reader holds the service up and no memory", "[integration][http]") {
  HttpWorld world;
  HttpClient client(world.port());
  REQUIRE(client.Send(HttpWorld::Stream("ReadLog", R"({"task":"endless"})")));
  REQUIRE(client.ReadHead().has_value());
  // The kernel's buffers take some megabytes; then nothing is written any more.
  int before = -1;
  REQUIRE(WaitUntil([&] {
    const int now = world.tasks.written;
    return std::exchange(before, now) == now && now > 10;
  }));
  const int stopped = world.tasks.written;
  CHECK(stopped < 1000);
  for (int i = 0; i < 2 * stopped; ++i) REQUIRE(client.ReadMessage().has_value());
  CHECK(WaitUntil([&] { return world.tasks.written > stopped; }));
}

TEST_CASE("HTTP: a reader who takes nothing for too long is sent away", "[integration][http]") {
  HttpWorld world([](auto& options) { options.limits.write_timeout = milliseconds(200); });
  HttpClient client(world.port());
  REQUIRE(client.Send(HttpWorld::Stream("ReadLog", R"({"task":"endless"})")));
  CHECK(WaitUntil([&] { return world.tasks.cancelled == 1; }));
}

TEST_CASE("HTTP: streams and connections are limited in number", "[integration][http]") {
  HttpWorld world([](auto& options) {
    options.limits.max_streams = 2;
    options.limits.max_connections = 4;
  });
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 2; ++i) {
    auto& client = *clients.emplace_back(std::make_unique<HttpClient>(world.port()));
    REQUIRE(client.Send(HttpWorld::Stream("ReadLog", R"({"task":"quiet"})")));
    REQUIRE(client.ReadHead().has_value());
    REQUIRE(client.ReadMessage().has_value());
  }
  auto& third = *clients.emplace_back(std::make_unique<HttpClient>(world.port()));
  REQUIRE(third.Send(HttpWorld::Stream("ReadLog", R"({"task":"quiet"})")));
  CHECK_THAT(third.Read()->body, Contains("resource_exhausted"));
  auto& fourth = *clients.emplace_back(std::make_unique<HttpClient>(world.port()));
  REQUIRE(fourth.Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(fourth.Read()->status == 200);
  HttpClient fifth(world.port());
  CHECK(fifth.ReadsEnd());
  clients.erase(clients.begin());
  CHECK(WaitUntil([&] {
    HttpClient again(world.port());
    return again.Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") && again.Read().has_value();
  }));
}

}  // namespace
}  // namespace slipway::testing
