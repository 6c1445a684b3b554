#pragma once

#include <catch2/catch.hpp>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/support/farm_fixture.h"
#include "tests/support/http_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::testing {

// A farm with an application whose products are handed to channels, and an agent that builds them.
class Shop {
 public:
  Shop() : agent_((Begin(), farm_.Join("builder")), 4) {
    REQUIRE_OK(farm_.client().CreateApplication("shop"));
    REQUIRE(agent_.Reconnect());
    WriteFile(product_ / "app.json", "{}\n");
    WriteFile(product_ / "pages/index.js", std::string(100'000, 'x'));
  }

  void AddPage() {
    v1::Target target;
    target.set_platform("page");
    target.set_name("page");
    target.mutable_channel()->set_language("zh-CN");
    REQUIRE_OK(farm_.client().CreateTarget(target));
  }
  v1::Target MailTarget(const std::string& server) {
    v1::Target target;
    target.set_platform("email");
    target.set_name("qa");
    target.mutable_channel()->set_url("smtp://" + server);
    target.mutable_channel()->set_from("farm@example.com");
    target.mutable_channel()->add_to("qa@example.com");
    target.mutable_channel()->add_may_reach("@example.com");
    target.mutable_channel()->set_plain(true);
    return target;
  }
  void AddMail(const std::string& server) {
    REQUIRE_OK(farm_.client().CreateTarget(MailTarget(server)));
  }

  static v1::SubmitRunRequest Request(std::initializer_list<const char*> channels) {
    v1::SubmitRunRequest request = SubmitOf("shop", false);
    request.set_description("为测试人员准备");
    for (const char* channel : channels) request.add_channels()->set_channel(channel);
    return request;
  }
  // The run's tasks at its end.
  std::vector<v1::Task> Run(const v1::SubmitRunRequest& request, bool good_build = true) {
    const auto submitted = farm_.client().Submit(request);
    REQUIRE_OK(submitted);
    const auto start = agent_.WaitStart();
    REQUIRE(start);
    // Nobody needs a platform's key.
    CHECK_FALSE(start->spec.build().publish_follows());
    if (good_build) {
      DoBuild(agent_, start->key, product_.path(), "a log\n");
    } else {
      REQUIRE(agent_.Report(start->key, FailedResult("", protocol::FailureClass::kBuild)));
    }
    const auto watched = farm_.client().Watch(submitted->run());
    REQUIRE_OK(watched);
    return {watched->tasks().begin(), watched->tasks().end()};
  }

  HttpAnswer Get(const std::string& path, const char* method = "GET",
                 const HttpHeaders& headers = {}, const std::string& body = "") {
    HttpClient client(farm_.http_port());
    REQUIRE(client.Send(HttpRequest(method, path, headers, body)));
    auto answer = std::string(method) == "HEAD" ? client.ReadHead() : client.Read();
    REQUIRE(answer.has_value());
    return *std::move(answer);
  }
  // What follows the address of the farm in a link.
  static std::string PathOf(const std::string& link) {
    const std::string base = "https://farm.example.org";
    REQUIRE(link.rfind(base + "/p/", 0) == 0);
    return link.substr(base.size());
  }
  std::string Log(const std::string& task) {
    v1::ReadLogRequest request;
    request.set_task(task);
    std::string log;
    CHECK_OK(farm_.client().ReadLog(
        request, [&](const v1::ReadLogResponse& slice) { log += slice.data(); }));
    return log;
  }
  FarmFixture& farm() { return farm_; }
  FakeAgent& agent() { return agent_; }
  [[nodiscard]] std::string product() const { return product_.path(); }

 private:
  void Begin() {
    farm_.options().public_url = "https://farm.example.org";
    farm_.Start();
  }

  FarmFixture farm_;
  FakeAgent agent_;
  TempDir product_;
};

}  // namespace slipway::testing
