#include "controller/api/submit.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "tests/support/status_matchers.h"

namespace slipway::api {
namespace {

using testing::StatusIs;

domain::Target TargetOf(const std::string& platform, const std::string& name) {
  domain::Target target;
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
  domain::Target trial = TargetOf("weixin", "trial");
  trial.requirements = {{"net", "dmz"}};
  domain::Target mail = TargetOf("email", "qa");
  mail.requirements = {{"executor", "controller"}};
  mail.channel = domain::Channel{.from = "farm@example.com", .may_reach = {"@example.com"}};
  domain::Target page = TargetOf("page", "page");
  page.requirements = mail.requirements;
  page.channel.emplace();
  static const domain::Targets targets({mail, page, TargetOf("weixin", "weixin"),
                                        TargetOf("weixin", "staging"), trial,
                                        TargetOf("alipay", "alipay")});
  domain::Application application;
  application.id = ApplicationId("app-1");
  application.name = "shop";
  application.requirements = {{"zone", "north"}};
  application.queue_timeout = std::chrono::hours(1);
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

TEST_CASE("Expand: each product goes to each channel, whatever agents the builds need", "[unit]") {
  v1::SubmitRunRequest request = Good();
  request.add_platforms("alipay");
  request.set_publish(true);
  (*request.mutable_requirements())["executor"] = "host";
  request.add_channels()->set_channel("page");
  v1::ChannelUse& mail = *request.add_channels();
  mail.set_channel("email/qa");
  mail.add_recipients("mei@example.com");
  mail.add_recipients("MEI@example.com");
  mail.add_recipients("li@Example.com");
  const auto expanded = Expand(request);
  REQUIRE_OK(expanded);
  CHECK(expanded->run.recipients ==
        std::map<std::string, std::string>{{"email/qa", "mei@example.com,li@Example.com"}});
  REQUIRE(expanded->tasks.size() == 8);
  for (std::size_t i = 0; i < 8; i += 4) {
    const domain::Task& build = expanded->tasks[i];
    for (std::size_t j = i + 1; j < i + 4; ++j) {
      CHECK(expanded->tasks[j].kind == domain::TaskKind::kPublish);
      CHECK(expanded->tasks[j].depends_on == build.id);
    }
    CHECK(expanded->tasks[i + 1].platform == "page");
    CHECK(expanded->tasks[i + 2].platform == "email");
    CHECK(expanded->tasks[i + 2].target == "qa");
    CHECK(expanded->tasks[i + 2].requirements ==
          std::map<std::string, std::string>{{"executor", "controller"}});
    // Mails do not wait for each other.
    CHECK_FALSE(domain::GroupOf(expanded->tasks[i + 2]).has_value());
    CHECK(expanded->tasks[i + 3].platform == build.platform);
  }
}

TEST_CASE("Expand: a mail that nobody would get is refused", "[unit]") {
  v1::SubmitRunRequest request = Good();
  request.add_channels()->set_channel("email/qa");
  CHECK_THAT(Expand(request).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NO_RECIPIENT"));
}

TEST_CASE("Expand: a preview takes the place of the publish, on the same targets", "[unit]") {
  v1::SubmitRunRequest request = Good();
  request.set_preview(true);
  request.set_target("staging");
  const auto expanded = Expand(request);
  REQUIRE_OK(expanded);
  REQUIRE(expanded->tasks.size() == 2);
  CHECK(expanded->tasks[1].kind == domain::TaskKind::kPreview);
  CHECK(expanded->tasks[1].depends_on == expanded->tasks[0].id);
  CHECK(expanded->tasks[1].target == "staging");
  CHECK_FALSE(domain::GroupOf(expanded->tasks[1]));
  request.set_publish(true);
  CHECK_THAT(Expand(request).status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
}

TEST_CASE("Expand: a named target of the platform is taken", "[unit]") {
  v1::SubmitRunRequest request = Good();
  request.set_publish(true);
  request.set_target("staging");
  const auto expanded = Expand(request);
  REQUIRE_OK(expanded);
  CHECK(expanded->tasks[1].target == "staging");
}

TEST_CASE("Expand: parameters go with the run as they are", "[unit]") {
  v1::SubmitRunRequest request = Good();
  (*request.mutable_parameters())["program-entry"] = "src/kiosk.js";
  // Told from one that is left out.
  (*request.mutable_parameters())["banner"] = "";
  const auto expanded = Expand(request);
  REQUIRE_OK(expanded);
  CHECK(expanded->run.parameters ==
        std::map<std::string, std::string>{{"banner", ""}, {"program-entry", "src/kiosk.js"}});
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
           Case{"parameters", [](auto& r) { (*r.mutable_parameters())["Entry"] = "x"; }},
           Case{"parameters", [](auto& r) { (*r.mutable_parameters())[""] = "x"; }},
           Case{"parameters.a", [](auto& r) { (*r.mutable_parameters())["a"] = "x\ny"; }},
           Case{"parameters.a", [&](auto& r) { (*r.mutable_parameters())["a"] = nul; }},
           Case{"parameters.a",
                [](auto& r) { (*r.mutable_parameters())["a"] = std::string(1025, 'x'); }},
           Case{"parameters",
                [](auto& r) {
                  for (int i = 0; i < 33; ++i) {
                    (*r.mutable_parameters())["p" + std::to_string(i)] = "x";
                  }
                }},
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
           Case{"priority", [](auto& r) { r.set_priority(101); }},
           Case{"priority", [](auto& r) { r.set_priority(-101); }},
           Case{"group", [](auto& r) { r.set_group("publish:weixin/weixin"); }},
           Case{"group", [](auto& r) { r.set_group("-x"); }},
           Case{"group", [](auto& r) { r.set_group(std::string(64, 'x')); }},
           Case{"requirements", [](auto& r) { (*r.mutable_requirements())[""] = "x"; }},
           Case{"requirements", [](auto& r) { (*r.mutable_requirements())["a=b"] = "x"; }},
           Case{"requirements", [](auto& r) { (*r.mutable_requirements())["a"] = "x\n"; }},
           Case{"requirements",
                [](auto& r) { (*r.mutable_requirements())["a"] = std::string(129, 'x'); }},
           Case{"requirements",
                [](auto& r) {
                  for (int i = 0; i < 33; ++i) {
                    (*r.mutable_requirements())["k" + std::to_string(i)] = "x";
                  }
                }},
           Case{"queue_timeout", [](auto& r) { r.mutable_queue_timeout()->set_seconds(-1); }},
           Case{"queue_timeout", [](auto& r) { r.mutable_queue_timeout()->set_nanos(5); }},
           Case{"queue_timeout",
                [](auto& r) { r.mutable_queue_timeout()->set_seconds(30 * 86400 + 1); }},
           Case{"queue_timeout",
                [](auto& r) { r.mutable_queue_timeout()->set_seconds(INT64_MAX); }},
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

TEST_CASE("Expand: a build needs what application and submit require, a publish its target's too",
          "[unit]") {
  v1::SubmitRunRequest request = Good();
  request.set_publish(true);
  request.set_target("trial");
  request.set_priority(-7);
  request.set_group("nightly");
  (*request.mutable_requirements())["gpu"] = "1";
  const auto expanded = Expand(request);
  REQUIRE_OK(expanded);
  const domain::Task& build = expanded->tasks.at(0);
  const domain::Task& publish = expanded->tasks.at(1);
  CHECK(build.requirements == std::map<std::string, std::string>{
                                  {"executor", "docker"}, {"gpu", "1"}, {"zone", "north"}});
  CHECK(publish.requirements ==
        std::map<std::string, std::string>{
            {"executor", "docker"}, {"gpu", "1"}, {"net", "dmz"}, {"zone", "north"}});
  CHECK(build.priority == -7);
  CHECK(publish.priority == -7);
  CHECK(domain::GroupOf(build)->name == "nightly");
  CHECK(domain::GroupOf(publish)->name == "publish:weixin/trial");
  // Both waits are limited by the application; the build's has begun.
  CHECK(build.queue_timeout == std::chrono::hours(1));
  CHECK(publish.queue_timeout == std::chrono::hours(1));
  CHECK(build.queued_since == build.created_at);
  CHECK(publish.queued_since == WallTime());
}

TEST_CASE("Expand: a submit may choose another executor and another limit of the wait, or none",
          "[unit]") {
  v1::SubmitRunRequest request = Good();
  (*request.mutable_requirements())["executor"] = "host";
  request.mutable_queue_timeout()->set_seconds(90);
  auto expanded = Expand(request);
  REQUIRE_OK(expanded);
  CHECK(expanded->tasks.at(0).requirements.at("executor") == "host");
  CHECK(expanded->tasks.at(0).queue_timeout == std::chrono::seconds(90));
  request.mutable_queue_timeout()->Clear();
  expanded = Expand(request);
  REQUIRE_OK(expanded);
  CHECK(expanded->tasks.at(0).queue_timeout == Duration::zero());
}

TEST_CASE("Expand: requirements that no agent can meet together are refused by their names",
          "[unit]") {
  v1::SubmitRunRequest request = Good();
  (*request.mutable_requirements())["zone"] = "south";
  CHECK_THAT(Expand(request).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition,
                      "application 'shop' requires zone=north, the submit requires zone=south"));
  request = Good();
  request.set_publish(true);
  request.set_target("trial");
  (*request.mutable_requirements())["net"] = "lan";
  CHECK_THAT(Expand(request).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "target 'trial' requires net=dmz"));
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
