#pragma once

#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/base/time.h"
#include "controller/gateway/http_server.h"
#include "controller/metrics/registry.h"
#include "tests/support/fake_task_service.h"
#include "tests/support/http_client.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {

// The HTTP port on a free port of this machine, in front of a gRPC server with a fake service.
class HttpWorld {
 public:
  using Change = std::function<void(gateway::HttpOptions&)>;

  explicit HttpWorld(
      const Change& change = [](gateway::HttpOptions&) {},
      const crypto::KeyAndCertificate* tls = nullptr) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&tasks);
    server_ = builder.BuildAndStart();
    REQUIRE(server_ != nullptr);
    gateway::HttpOptions options;
    options.listen = "127.0.0.1:0";
    options.services = {v1::TaskService::service_full_name()};
    options.limits.tick = std::chrono::milliseconds(20);
    change(options);
    auto http = gateway::HttpServer::Start(
        options,
        {server_->InProcessChannel({}), crypto::SecretBytes::CopyOf("the-token"), registry, clock_,
         [this](auto answer) { answer(ready); }},
        tls);
    REQUIRE_OK(http);
    http_ = *std::move(http);
  }
  ~HttpWorld() {
    http_->Stop(std::chrono::milliseconds(100));
    http_.reset();
    server_->Shutdown();
  }
  HttpWorld(const HttpWorld&) = delete;
  HttpWorld& operator=(const HttpWorld&) = delete;

  [[nodiscard]] int port() const { return http_->port(); }
  [[nodiscard]] gateway::HttpServer& http() { return *http_; }

  // One request on a connection of its own.
  [[nodiscard]] HttpAnswer Ask(const std::string& request) const {
    HttpClient client(port());
    REQUIRE(client.Send(request));
    auto answer = client.Read();
    REQUIRE(answer.has_value());
    return *std::move(answer);
  }
  [[nodiscard]] HttpAnswer Post(const std::string& method, const std::string& body,
                                HttpHeaders headers = {}) const {
    return Ask(Unary(method, body, std::move(headers)));
  }

  // A unary call in JSON, as curl would send it.
  static std::string Unary(const std::string& method, const std::string& body,
                           HttpHeaders headers = {}) {
    headers.emplace_back("Content-Type", "application/json");
    headers.emplace_back("Authorization", "Bearer secret");
    return HttpRequest("POST", "/slipway.v1.TaskService/" + method, headers, body);
  }
  static std::string Stream(const std::string& method, const std::string& message,
                            HttpHeaders headers = {}) {
    headers.emplace_back("Content-Type", "application/connect+json");
    headers.emplace_back("Authorization", "Bearer secret");
    return HttpRequest("POST", "/slipway.v1.TaskService/" + method, headers, StreamBody(message));
  }

  FakeTaskService tasks;
  metrics::Registry registry;
  absl::Status ready;

 private:
  const SystemClock clock_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<gateway::HttpServer> http_;
};

}  // namespace slipway::testing
