// What webhooks and robots are sent, and what their answers mean.
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <string>

#include "controller/channels/posts.h"

namespace slipway::channels {
namespace {

using Catch::Contains;
using outbound::PostEnd;
using outbound::PostOutcome;

constexpr WallTime kNow = WallTime(std::chrono::seconds(1'700'000'000));

Facts SomeFacts() {
  return {.application = "shop",
          .platform = "weixin",
          .version = "1.2.3",
          .commit = "c0ffee0123456789",
          .description = "[free](https://evil.example) *now*\n# more",
          .submitted_by = "梅",
          .file_name = "shop-weixin-1.2.3.zip.cms",
          .bytes = 1'234'567,
          .sha256 = *Sha256Digest::Parse(std::string(64, 'a')),
          .cipher = "aes-256-gcm",
          .link = "https://farm.example.org/p/abc",
          .expires_at = kNow};
}

HookFacts SomeHook() {
  return {.facts = SomeFacts(),
          .id = "task-1",
          .run = "run-1",
          .build_task = "task-0",
          .manifest = std::string(64, 'b')};
}

domain::Channel ChannelAt(std::string url) {
  domain::Channel channel;
  channel.url = std::move(url);
  return channel;
}

PostOutcome Answered(int status, std::string body = "") {
  PostOutcome outcome;
  outcome.end = PostEnd::kAnswered;
  outcome.status = status;
  outcome.body = std::move(body);
  return outcome;
}

boost::json::object Json(const outbound::Post& post) {
  return boost::json::parse(post.body).as_object();
}

std::string Text(const boost::json::value& value) {
  return boost::json::value_to<std::string>(value);
}

std::string Header(const outbound::Post& post, const std::string& name) {
  for (const std::string& header : post.headers) {
    if (header.rfind(name + ": ", 0) == 0) return header.substr(name.size() + 2);
  }
  return "";
}

}  // namespace

TEST_CASE("Posts: a webhook is told everything, signed over id, time and body", "[unit]") {
  domain::Channel channel = ChannelAt("https://hooks.example.com/x");
  const auto post = WebhookPost(channel, SomeHook(), "a key of some length", kNow);
  CHECK(post.url == "https://hooks.example.com/x");
  CHECK(Header(post, "webhook-id") == "task-1");
  CHECK(Header(post, "webhook-timestamp") == "1700000000");
  CHECK(Header(post, "webhook-signature").substr(0, 3) == "v1,");
  const auto body = Json(post);
  CHECK(Text(body.at("type")) == "product.handed_over");
  CHECK(Text(body.at("description")) == SomeFacts().description);
  CHECK(Text(body.at("file").at("sha256")) == std::string(64, 'a'));
  CHECK(Text(body.at("file").at("cipher")) == "aes-256-gcm");
  CHECK(Text(body.at("link")) == "https://farm.example.org/p/abc");
  // Another key or time is another signature; another try of the same moment is the same post.
  const std::string signature = Header(post, "webhook-signature");
  const auto again = WebhookPost(channel, SomeHook(), "a key of some length", kNow);
  CHECK(Header(again, "webhook-signature") == signature);
  const auto other = WebhookPost(channel, SomeHook(), "another key", kNow);
  CHECK(Header(other, "webhook-signature") != signature);
  const auto later =
      WebhookPost(channel, SomeHook(), "a key of some length", kNow + std::chrono::seconds(1));
  CHECK(Header(later, "webhook-signature") != signature);
}

TEST_CASE("Posts: the signature is what openssl makes of it", "[unit]") {
  // printf 'id-1.1700000000.{}' | openssl dgst -sha256 -hmac key -binary | base64, with the body
  // that is posted in the place of {}.
  domain::Channel channel = ChannelAt("https://hooks.example.com/x");
  const HookFacts hook{.facts = {}, .id = "id-1", .run = {}, .build_task = {}, .manifest = {}};
  const auto post = WebhookPost(channel, hook, "key", kNow);
  const std::string command = "printf '%s' 'id-1.1700000000." + post.body +
                              "' | openssl dgst -sha256 -hmac key -binary | base64 -w0";
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string made(100, '\0');
  made.resize(fread(made.data(), 1, made.size(), pipe));
  CHECK(pclose(pipe) == 0);
  CHECK(Header(post, "webhook-signature") == "v1," + made);
}

TEST_CASE("Posts: robots get the form, the key and the signature that their service wants",
          "[unit]") {
  const auto wecom = RobotPost("wecom", {}, SomeFacts(), "K-1", kNow);
  CHECK(wecom.url == "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=K-1");
  CHECK(Text(Json(wecom).at("msgtype")) == "markdown");

  const auto dingtalk = RobotPost("dingtalk", {}, SomeFacts(), "K-1:SECabc", kNow);
  CHECK_THAT(dingtalk.url,
             Contains("https://oapi.dingtalk.com/robot/send?access_token=K-1&timestamp="
                      "1700000000000&sign=") &&
                 !Contains("SECabc"));
  CHECK(Text(Json(dingtalk).at("markdown").at("title")) == "shop 1.2.3 (weixin)");
  CHECK_THAT(RobotPost("dingtalk", {}, SomeFacts(), "K-1", kNow).url, !Contains("sign="));

  const auto feishu = RobotPost("feishu", {}, SomeFacts(), "K-1:abc", kNow);
  CHECK(feishu.url == "https://open.feishu.cn/open-apis/bot/v2/hook/K-1");
  CHECK(Text(Json(feishu).at("timestamp")) == "1700000000");
  CHECK(Json(feishu).at("sign").as_string().size() == 44);
  CHECK(Text(Json(feishu).at("content").at("post").at("en_us").at("title")) ==
        "shop 1.2.3 (weixin)");
  domain::Channel chinese;
  chinese.language = "zh-CN";
  CHECK_THAT(RobotPost("feishu", chinese, SomeFacts(), "K-1", kNow).body,
             Contains("zh_cn") && Contains("打开发布页") && !Contains("sign"));

  CHECK(RobotPost("wecom", ChannelAt("https://proxy.example/wecom?a=b"), SomeFacts(), "K", kNow)
            .url == "https://proxy.example/wecom?a=b&key=K");
}

TEST_CASE("Posts: nothing that people wrote is taken for a link or heading", "[unit]") {
  for (const char* platform : {"wecom", "dingtalk"}) {
    const std::string body = RobotPost(platform, {}, SomeFacts(), "K", kNow).body;
    CHECK_THAT(body, Contains("\\\\[free\\\\]\\\\(https://evil.example\\\\)") &&
                         Contains("\\\\# more") && !Contains("\\n# more"));
  }
}

TEST_CASE("Posts: an answer decides only what it can", "[unit]") {
  PostOutcome nothing;
  CHECK(JudgeWebhook(nothing) == PostVerdict::kNotTaken);
  PostOutcome lost;
  lost.end = PostEnd::kUnknown;
  CHECK(JudgeWebhook(lost) == PostVerdict::kInDoubt);
  for (const int status : {200, 202, 204}) {
    CHECK(JudgeWebhook(Answered(status)) == PostVerdict::kTaken);
  }
  for (const int status : {301, 400, 401, 404, 410}) {
    CHECK(JudgeWebhook(Answered(status)) == PostVerdict::kRefused);
  }
  for (const int status : {408, 429}) {
    CHECK(JudgeWebhook(Answered(status)) == PostVerdict::kNotTaken);
  }
  for (const int status : {500, 502, 503, 504}) {
    CHECK(JudgeWebhook(Answered(status)) == PostVerdict::kInDoubt);
  }
}

TEST_CASE("Posts: a robot's yes and no are in the body of its answer", "[unit]") {
  CHECK(JudgeRobot("wecom", Answered(200, R"({"errcode":0,"errmsg":"ok"})")) ==
        PostVerdict::kTaken);
  CHECK(JudgeRobot("wecom", Answered(200, R"({"errcode":93000,"errmsg":"invalid"})")) ==
        PostVerdict::kRefused);
  CHECK(JudgeRobot("wecom", Answered(200, R"({"errcode":45009})")) == PostVerdict::kNotTaken);
  CHECK(JudgeRobot("dingtalk", Answered(200, R"({"errcode":310000})")) == PostVerdict::kRefused);
  CHECK(JudgeRobot("dingtalk", Answered(200, R"({"errcode":130101})")) == PostVerdict::kNotTaken);
  CHECK(JudgeRobot("feishu", Answered(200, R"({"code":19021})")) == PostVerdict::kRefused);
  CHECK(JudgeRobot("feishu", Answered(200, R"({"StatusCode":0})")) == PostVerdict::kTaken);
  CHECK(JudgeRobot("feishu", Answered(200, "<html>")) == PostVerdict::kInDoubt);
  CHECK(JudgeRobot("feishu", Answered(200, "{}")) == PostVerdict::kInDoubt);
  CHECK(JudgeRobot("feishu", Answered(404, "{}")) == PostVerdict::kRefused);
}

}  // namespace slipway::channels
