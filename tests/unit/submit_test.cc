#include "controller/api/submit.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "tests/support/status_matchers.h"

namespace slipway::api {
namespace {

using testing::StatusIs;

runs::Target TargetOf(const std::string& platform, const std::string& name) {
  runs::Target target;
  target.platform = platform;
  target.name = name;
  return target;
}

v1::SubmitRunRequest Good() {
  v1::SubmitRunRequest request;
  request.set_request_id("r");
  request.set_application("shop");
  request.add_platforms("weixin");
  return request;
}

absl::StatusOr<Expanded> Expand(const v1::SubmitRunRequest& request) {
  static const runs::Targets targets(
      {TargetOf("weixin", "weixin"), TargetOf("weixin", "staging"), TargetOf("alipay", "alipay")});
  domain::Application application;
  application.id = ApplicationId("app-1");
  application.name = "shop";
  domain::Account account;
  account.name = "mei";
  return api::Expand(request, application, account, targets, WallTime(std::chrono::seconds(7)));
}

TEST_CASE("Expand: a build per platform, and its publish that waits for it", "[unit]") {
  v1::SubmitRunRequest request = Good();
  request.add_platforms("alipay");
  request.set_publish(true);
  request.set_ref("main");
  const auto expanded = Expand(request);
  REQUIRE_OK(expanded);
  CHECK(expanded->run.submitted_by == "mei");
  CHECK(expanded->run.application_name == "shop");
  REQUIRE(expanded->tasks.size() == 4);
  for (std::size_t i = 0; i < 4; i += 2) {
    const domain::Task& build = expanded->tasks[i];
    const domain::Task& publish = expanded->tasks[i + 1];
    CHECK(build.kind == domain::TaskKind::kBuild);
    CHECK(build.state == domain::TaskState::kQueued);
    CHECK(build.target.empty());
    CHECK(publish.kind == domain::TaskKind::kPublish);
    CHECK(publish.state == domain::TaskState::kWaiting);
    CHECK(publish.depends_on == build.id);
    CHECK(publish.platform == build.platform);
    CHECK(publish.run == expanded->run.id);
    CHECK(publish.target == publish.platform);
  }
}

TEST_CASE("Expand: a named target of the platform is taken", "[unit]") {
  v1::SubmitRunRequest request = Good();
  request.set_publish(true);
  request.set_target("staging");
  const auto expanded = Expand(request);
  REQUIRE_OK(expanded);
  CHECK(expanded->tasks[1].target == "staging");
}

TEST_CASE("Expand: every refusal names its field", "[unit]") {
  struct Case {
    const char* field;
    std::function<void(v1::SubmitRunRequest&)> spoil;
  };
  const std::string nul("a\0b", 3);
  for (const Case& c : {
           Case{"request_id", [](auto& r) { r.clear_request_id(); }},
           Case{"request_id", [](auto& r) { r.set_request_id(std::string(129, 'x')); }},
           Case{"request_id", [&](auto& r) { r.set_request_id(nul); }},
           Case{"ref", [](auto& r) { r.set_ref(std::string(257, 'x')); }},
           Case{"ref", [](auto& r) { r.set_ref("--upload-pack=x"); }},
           Case{"ref", [&](auto& r) { r.set_ref(nul); }},
           Case{"version", [](auto& r) { r.set_version(std::string(65, '1')); }},
           Case{"version", [&](auto& r) { r.set_version(nul); }},
           Case{"version", [](auto& r) { r.set_version("1.0\x1b[31m"); }},
           Case{"version", [](auto& r) { r.set_version("1.0\n2.0"); }},
           Case{"ref", [](auto& r) { r.set_ref("main\x7f"); }},
           Case{"description", [](auto& r) { r.set_description("\x1b]0;title\x07"); }},
           Case{"description", [](auto& r) { r.set_description(std::string(1025, 'x')); }},
           Case{"description", [](auto& r) { r.set_description("\xff"); }},
           Case{"platforms", [](auto& r) { r.clear_platforms(); }},
           Case{"platforms", [](auto& r) { r.set_platforms(0, ""); }},
           Case{"platforms", [](auto& r) { r.set_platforms(0, "WeiXin"); }},
           Case{"platforms", [](auto& r) { r.set_platforms(0, "../weixin"); }},
           Case{"platforms", [](auto& r) { r.set_platforms(0, std::string(33, 'x')); }},
           Case{"platforms", [](auto& r) { r.add_platforms("weixin"); }},
           Case{"platforms",
                [](auto& r) {
                  for (int i = 0; i < 32; ++i) r.add_platforms("p" + std::to_string(i));
                }},
           Case{"target", [](auto& r) { r.set_target("weixin"); }},
       }) {
    v1::SubmitRunRequest request = Good();
    REQUIRE_OK(Expand(request));
    c.spoil(request);
    INFO(c.field << ": " << request.ShortDebugString());
    const absl::Status status = Expand(request).status();
    CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
    CHECK(std::string(status.message()).rfind(std::string(c.field) + ":", 0) == 0);
  }
}

TEST_CASE("Expand: a publish without a configured target is refused with what to do", "[unit]") {
  v1::SubmitRunRequest request = Good();
  request.set_publish(true);
  request.set_platforms(0, "douyin");
  CHECK_THAT(Expand(request).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NO_TARGET"));
  request.set_platforms(0, "alipay");
  request.set_target("staging");
  CHECK_THAT(Expand(request).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "'staging'"));
}

}  // namespace
}  // namespace slipway::api
