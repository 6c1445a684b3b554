#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "agent/executor/docker/docker_engine.h"
#include "tests/support/scripted_socket.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

// What becomes of calls when the socket, or who listens on it, is not as it should be.
namespace slipway::docker {
namespace {

using namespace std::chrono_literals;
using executor::ContainerEngine;
using executor::ContainerId;
using testing::ScriptedSocket;
using testing::StatusIs;
using testing::WaitUntil;
using Reply = ScriptedSocket::Reply;

constexpr Duration kTimeout = 10s;
constexpr char kRunning[] = R"({"State":{"Status":"running","Pid":4711}})";
const ContainerId kId("abc123");

Reply Pong(const std::string& api_version = "1.41") {
  return {.bytes = ScriptedSocket::Http(200, "\"OK\"", "Api-Version: " + api_version + "\r\n")};
}
Reply Answer(int status, const std::string& body) {
  return {.bytes = ScriptedSocket::Http(status, body)};
}

std::unique_ptr<ContainerEngine> Engine(const std::string& socket,
                                        std::size_t max_response_bytes = 1 << 20) {
  DockerOptions options;
  options.socket = socket;
  options.max_response_bytes = max_response_bytes;
  auto engine = MakeDockerEngine(options);
  REQUIRE_OK(engine);
  return *std::move(engine);
}

TEST_CASE("DockerEngine: an address that is no Unix socket's is refused", "[unit][docker]") {
  for (const std::string& socket : {std::string("tcp://127.0.0.1:2375"), std::string("docker.sock"),
                                    std::string(), "/" + std::string(200, 'x')}) {
    DockerOptions options;
    options.socket = socket;
    CHECK_THAT(MakeDockerEngine(options).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "docker.socket"));
  }
}

TEST_CASE("DockerEngine: without a socket it says where it looked and what to do",
          "[unit][docker]") {
  const auto ping = Engine("/nonexistent/docker.sock")->Ping(kTimeout);
  CHECK_THAT(ping.status(), StatusIs(absl::StatusCode::kUnavailable, "NO_DOCKER_ENGINE"));
  CHECK_THAT(Describe(ping.status()),
             Catch::Contains("no Docker Engine answers on /nonexistent/docker.sock") &&
                 Catch::Contains("start it") && Catch::Contains("docker.socket"));
}

TEST_CASE("DockerEngine: a socket that nobody listens on is no Engine", "[unit][docker]") {
  std::string directory = "/tmp/slipway-socket-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const std::string path = directory + "/file";
  REQUIRE(::mknod(path.c_str(), S_IFSOCK | 0600, 0) == 0);
  CHECK_THAT(Engine("unix://" + path)->Ping(kTimeout).status(),
             StatusIs(absl::StatusCode::kUnavailable, "NO_DOCKER_ENGINE"));
  ::unlink(path.c_str());
  ::rmdir(directory.c_str());
}

TEST_CASE("DockerEngine: a socket that it may not open names the docker group", "[unit][docker]") {
  if (::geteuid() != 0) return;  // only root can become somebody who may not
  ScriptedSocket server({});
  const auto engine = Engine(server.path());
  absl::Status status;
  // The system call changes this one thread; the library's function would change them all.
  std::thread([&] {
    if (::syscall(SYS_setresuid, 65534, 65534, 65534) == 0)
      status = engine->Ping(kTimeout).status();
  }).join();
  CHECK_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied, "ENGINE_SOCKET_DENIED"));
  CHECK_THAT(GetErrorInfo(status).remedy, Catch::Contains("docker group"));
}

TEST_CASE("DockerEngine: a listener that never answers ends in the deadline", "[unit][docker]") {
  ScriptedSocket server({});
  const auto before = std::chrono::steady_clock::now();
  const auto ping = Engine(server.path())->Ping(100ms);
  const auto took = std::chrono::steady_clock::now() - before;
  CHECK_THAT(ping.status(), StatusIs(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT"));
  CHECK(took >= 100ms);
  CHECK(took < 5s);
}

TEST_CASE("DockerEngine: an answer that stops in the middle ends in the deadline",
          "[unit][docker]") {
  ScriptedSocket server({Pong(), {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"St"}});
  CHECK_THAT(Engine(server.path())->Inspect(kId, 100ms).status(),
             StatusIs(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT"));
}

TEST_CASE("DockerEngine: a listener that is no Engine is called so", "[unit][docker]") {
  for (const std::string& garbage :
       {std::string("SSH-2.0-OpenSSH_9.2\r\n\r\n"), std::string(100'000, 'x'),
        ScriptedSocket::Http(200, "hello")}) {
    ScriptedSocket server({{.bytes = garbage, .close_after = true}});
    const absl::Status status = Engine(server.path())->Ping(kTimeout).status();
    CHECK_FALSE(status.ok());
    CHECK_FALSE(absl::IsDeadlineExceeded(status));
    CHECK_THAT(GetErrorInfo(status).reason, Catch::StartsWith("ENGINE_ANSWER_"));
  }
  ScriptedSocket server({Pong(), Answer(200, "[1, 2")});
  CHECK_THAT(Engine(server.path())->Inspect(kId, kTimeout).status(),
             StatusIs(absl::StatusCode::kInternal, "ENGINE_ANSWER_INVALID"));
}

TEST_CASE("DockerEngine: a longer answer than allowed is not read", "[unit][docker]") {
  ScriptedSocket server({Pong(), Answer(200, std::string(2000, ' ') + kRunning)});
  CHECK_THAT(Engine(server.path(), 1000)->Inspect(kId, kTimeout).status(),
             StatusIs(absl::StatusCode::kResourceExhausted, "ENGINE_ANSWER_TOO_LARGE"));
}

TEST_CASE("DockerEngine: an Engine before 20.10 is refused, a newer one gets a version we know",
          "[unit][docker]") {
  ScriptedSocket old({Pong("1.40")});
  CHECK_THAT(Engine(old.path())->Inspect(kId, kTimeout).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "ENGINE_TOO_OLD"));

  ScriptedSocket recent({Pong("1.44"), Answer(200, kRunning)});
  CHECK_OK(Engine(recent.path())->Inspect(kId, kTimeout));
  CHECK_THAT(recent.requests().back(), Catch::StartsWith("GET /v1.44/containers/abc123/json "));

  ScriptedSocket future({Pong("1.99"), Answer(200, kRunning)});
  CHECK_OK(Engine(future.path())->Inspect(kId, kTimeout));
  CHECK_THAT(future.requests().back(), Catch::StartsWith("GET /v1.47/"));
}

TEST_CASE("DockerEngine: the Engine's own words are kept in every error", "[unit][docker]") {
  const auto code_of = [](int http_status) {
    const std::string body = R"({"message":"open /dev/mapper: no space left on device"})";
    ScriptedSocket server({Pong(), Answer(http_status, body)});
    const absl::Status status = Engine(server.path())->Inspect(kId, kTimeout).status();
    CHECK_THAT(std::string(status.message()), Catch::Contains("no space left on device"));
    return status.code();
  };
  CHECK(code_of(400) == absl::StatusCode::kInvalidArgument);
  CHECK(code_of(403) == absl::StatusCode::kPermissionDenied);
  CHECK(code_of(404) == absl::StatusCode::kNotFound);
  CHECK(code_of(409) == absl::StatusCode::kAborted);
  CHECK(code_of(500) == absl::StatusCode::kInternal);
  CHECK(code_of(503) == absl::StatusCode::kUnavailable);
}

TEST_CASE("DockerEngine: a start that fails for a missing network is not a missing container",
          "[unit][docker]") {
  ScriptedSocket server({Pong(), Answer(404, R"({"message":"network slipway not found"})"),
                         Answer(404, R"({"message":"No such container: abc123"})")});
  const auto engine = Engine(server.path());
  CHECK_THAT(engine->Start(kId, kTimeout),
             StatusIs(absl::StatusCode::kInternal, "CONTAINER_START_FAILED"));
  CHECK_THAT(engine->Start(kId, kTimeout), StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("DockerEngine: one connection serves many calls", "[unit][docker]") {
  ScriptedSocket server({Pong(), Answer(200, kRunning), Answer(200, kRunning)});
  const auto engine = Engine(server.path());
  CHECK_OK(engine->Inspect(kId, kTimeout));
  CHECK_OK(engine->Inspect(kId, kTimeout));
  CHECK(server.connections() == 1);
}

TEST_CASE("DockerEngine: a connection that the Engine closed meanwhile is replaced",
          "[unit][docker]") {
  Reply last = Answer(200, kRunning);
  last.close_after = true;
  ScriptedSocket server({Pong(), last, Answer(200, kRunning)});
  const auto engine = Engine(server.path());
  CHECK_OK(engine->Inspect(kId, kTimeout));
  REQUIRE(WaitUntil([&] { return server.closed() == 1; }));
  CHECK_OK(engine->Inspect(kId, kTimeout));
  CHECK(server.connections() == 2);
}

TEST_CASE("DockerEngine: a question that a closing connection swallowed is asked once more",
          "[unit][docker]") {
  const Reply swallowed = {.bytes = "", .close_after = true};
  ScriptedSocket server(
      {Pong(), Answer(200, kRunning), swallowed, Answer(200, kRunning), swallowed, swallowed});
  const auto engine = Engine(server.path());
  CHECK_OK(engine->Inspect(kId, kTimeout));
  CHECK_OK(engine->Inspect(kId, kTimeout));
  CHECK(server.connections() == 2);
  CHECK(engine->TimesLost() == 1);
  CHECK_THAT(engine->Inspect(kId, kTimeout).status(),
             StatusIs(absl::StatusCode::kUnavailable, "ENGINE_CONNECTION_LOST"));
  CHECK(server.requests().size() == 6);
}

TEST_CASE("DockerEngine: a call whose answer was lost is not made twice", "[unit][docker]") {
  ScriptedSocket server({Pong(), {.bytes = "", .close_after = true}, Answer(200, "{}")});
  const auto engine = Engine(server.path());
  CHECK_THAT(engine->Start(kId, kTimeout),
             StatusIs(absl::StatusCode::kUnavailable, "ENGINE_CONNECTION_LOST"));
  CHECK(server.requests().size() == 2);
}

// Listens and never accepts: a process that was stopped.
class DeafSocket {
 public:
  DeafSocket() {
    REQUIRE(::mkdtemp(directory_.data()) != nullptr);
    path_ = directory_ + "/s";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
  }
  ~DeafSocket() {
    ::close(fd_);
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }
  DeafSocket(const DeafSocket&) = delete;
  DeafSocket& operator=(const DeafSocket&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string directory_ = "/tmp/slipway-socket-XXXXXX";
  std::string path_;
  int fd_ = -1;
};

TEST_CASE(
    "DockerEngine: connecting to a hung Engine ends in the deadline, also when its queue is "
    "full",
    "[unit][docker]") {
  DeafSocket deaf;
  const auto engine = Engine(deaf.path());
  // The first ones wait in the listener's queue, the others cannot even connect.
  for (int i = 0; i < 5; ++i) {
    CHECK_THAT(engine->Ping(50ms).status(),
               StatusIs(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT"));
  }
  CHECK(engine->TimesLost() == 0);
}

TEST_CASE("DockerEngine: an Engine that was restarted between two calls is noticed",
          "[unit][docker]") {
  Reply last = Answer(200, kRunning);
  last.close_after = true;
  ScriptedSocket server({Pong(), Answer(200, kRunning), last, Answer(200, kRunning)});
  const auto engine = Engine(server.path());
  CHECK_OK(engine->Inspect(kId, kTimeout));
  CHECK(engine->TimesLost() == 0);
  CHECK_OK(engine->Inspect(kId, kTimeout));
  REQUIRE(WaitUntil([&] { return server.closed() == 1; }));
  CHECK_OK(engine->Inspect(kId, kTimeout));
  CHECK(engine->TimesLost() == 1);
}

TEST_CASE("DockerEngine: nobody there is a lost Engine, a refusal is not", "[unit][docker]") {
  const auto absent = Engine("/nonexistent/docker.sock");
  CHECK_FALSE(absent->Ping(kTimeout).ok());
  CHECK(absent->TimesLost() == 1);
  ScriptedSocket server({Pong(), Answer(500, R"({"message":"no"})")});
  const auto engine = Engine(server.path());
  CHECK_FALSE(engine->Inspect(kId, kTimeout).ok());
  CHECK(engine->TimesLost() == 0);
}

Reply Pulled(const std::string& last_line) {
  return Answer(200, R"({"status":"Pulling from team/node","id":"20"})"
                     "\r\n"
                     R"({"status":"Downloading","progressDetail":{"current":1,"total":2}})"
                     "\r\n" +
                         last_line + "\r\n");
}

TEST_CASE("DockerEngine: a pull is over when its last word has come, and good without an error",
          "[unit][docker]") {
  ScriptedSocket server({Pong(), Pulled(R"({"status":"Status: Downloaded newer image"})")});
  CHECK_OK(
      Engine(server.path())->PullImage("registry.example.org:5000/team/node:20", kTimeout, {}));
  CHECK_THAT(server.requests().back(),
             Catch::StartsWith("POST /v1.41/images/create?fromImage=registry.example.org%3A5000"
                               "%2Fteam%2Fnode&tag=20 "));
}

TEST_CASE("DockerEngine: a reference without a tag pulls one image, not all", "[unit][docker]") {
  ScriptedSocket server({Pong(), Pulled("{}"), Pulled("{}")});
  const auto engine = Engine(server.path());
  CHECK_OK(engine->PullImage("localhost:5000/node", kTimeout, {}));
  CHECK_THAT(server.requests().back(), Catch::Contains("tag=latest "));
  CHECK_OK(engine->PullImage("localhost:5000/node@sha256:0123", kTimeout, {}));
  CHECK_THAT(server.requests().back(), Catch::Contains("tag=sha256%3A0123 "));
}

TEST_CASE(
    "DockerEngine: what a registry says to a pull tells a missing image from a missing "
    "registry",
    "[unit][docker]") {
  const auto pull = [](const Reply& reply) {
    ScriptedSocket server({Pong(), reply});
    return Engine(server.path())->PullImage("localhost:5000/node:20", kTimeout, {});
  };
  CHECK_THAT(pull(Pulled(R"({"error":"manifest for localhost:5000/node:20 not found"})")),
             StatusIs(absl::StatusCode::kNotFound, "IMAGE_MISSING"));
  const absl::Status denied = pull(Answer(404, R"({"message":"pull access denied for node"})"
                                               "\n"));
  CHECK_THAT(denied, StatusIs(absl::StatusCode::kNotFound, "IMAGE_MISSING"));
  CHECK_THAT(std::string(denied.message()), Catch::Contains("pull access denied"));
  const absl::Status refused =
      pull(Answer(500, R"({"message":"Get \"http://localhost:5000/v2/\": connection refused"})"));
  CHECK_THAT(refused, StatusIs(absl::StatusCode::kUnavailable, "REGISTRY_UNREACHABLE"));
  CHECK_THAT(std::string(refused.message()), Catch::Contains("connection refused"));
}

TEST_CASE("DockerEngine: a pull that makes no progress ends with its deadline or a stop",
          "[unit][docker]") {
  const std::string begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}\r\n\r\n";
  ScriptedSocket server({Pong(), {.bytes = begun}, {.bytes = begun}});
  const auto engine = Engine(server.path());
  CHECK_THAT(engine->PullImage("localhost:5000/node:20", 100ms, {}),
             StatusIs(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT"));
  std::stop_source stop;
  std::thread stopper([&] {
    (void)testing::WaitUntil([&] { return server.requests().size() == 3; });
    stop.request_stop();
  });
  CHECK_THAT(engine->PullImage("localhost:5000/node:20", kTimeout, stop.get_token()),
             StatusIs(absl::StatusCode::kCancelled));
  stopper.join();
}

}  // namespace
}  // namespace slipway::docker
