#include "controller/channels/posts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/base/check.h"
#include "common/crypto/hash.h"

namespace slipway::channels {
namespace {

namespace json = boost::json;

constexpr std::string_view kContentType = "Content-Type: application/json; charset=utf-8";

std::int64_t SecondsOf(WallTime time) { return ToUnixMicros(time) / 1'000'000; }

std::string Base64(const Sha256Digest& digest) {
  const auto bytes = digest.Bytes();
  return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
}

std::string PercentEncoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

// What people wrote stays text in a message of Markdown.
std::string Quoted(std::string_view text) {
  static constexpr std::string_view kMeaningful = "\\`*_[]()<>#|~@";
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      out += ' ';
      continue;
    }
    if (kMeaningful.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string TitleOf(const Facts& facts) {
  return fmt::format("{} {} ({})", facts.application, facts.version, facts.platform);
}

// Label and value each.
std::vector<std::pair<std::string, std::string>> LinesOf(const Facts& facts, const Words& words) {
  std::vector<std::pair<std::string, std::string>> lines;
  const auto add = [&](const char* label, std::string value) {
    if (!value.empty()) lines.emplace_back(label, std::move(value));
  };
  add(words("Commit", "提交"), facts.commit.substr(0, 12));
  add(words("Description", "说明"), facts.description);
  add(words("Submitted by", "提交人"), facts.submitted_by);
  add(words("File", "文件"), fmt::format("{} ({})", facts.file_name, SizeText(facts.bytes)));
  add(words("Available until", "有效期至"), TimeText(facts.expires_at));
  return lines;
}

std::string MarkdownOf(const Facts& facts, const Words& words) {
  std::string text = fmt::format("### {}\n", Quoted(TitleOf(facts)));
  for (const auto& [label, value] : LinesOf(facts, words)) {
    text += fmt::format("\n{}: {}\n", label, Quoted(value));
  }
  return text + fmt::format("\n[{}]({})", words("Open the page", "打开发布页"), facts.link);
}

// {key of the address, key that posts are signed with}
std::pair<std::string_view, std::string_view> SplitSecret(std::string_view secret) {
  const auto colon = secret.find(':');
  if (colon == std::string_view::npos) return {secret, {}};
  return {secret.substr(0, colon), secret.substr(colon + 1)};
}

outbound::Post JsonPost(const domain::Channel& channel, std::string url, const json::object& body) {
  return {.url = std::move(url),
          .headers = {std::string(kContentType)},
          .body = json::serialize(body),
          .ca_pem = {},
          .plain = channel.plain};
}

outbound::Post WecomPost(const domain::Channel& channel, std::string url, const Facts& facts,
                         std::string_view key) {
  url += fmt::format("{}key={}", url.find('?') == std::string::npos ? '?' : '&', key);
  return JsonPost(channel, std::move(url),
                  {{"msgtype", "markdown"},
                   {"markdown", {{"content", MarkdownOf(facts, Words(channel.language))}}}});
}

outbound::Post DingtalkPost(const domain::Channel& channel, std::string url, const Facts& facts,
                            std::string_view secret, WallTime now) {
  const auto [key, signing] = SplitSecret(secret);
  url += fmt::format("{}access_token={}", url.find('?') == std::string::npos ? '?' : '&', key);
  if (!signing.empty()) {
    const std::string at = std::to_string(ToUnixMicros(now) / 1000);
    const std::string signature =
        Base64(crypto::HmacSha256(signing, fmt::format("{}\n{}", at, signing)));
    url += fmt::format("&timestamp={}&sign={}", at, PercentEncoded(signature));
  }
  return JsonPost(
      channel, std::move(url),
      {{"msgtype", "markdown"},
       {"markdown",
        {{"title", TitleOf(facts)}, {"text", MarkdownOf(facts, Words(channel.language))}}}});
}

outbound::Post FeishuPost(const domain::Channel& channel, std::string url, const Facts& facts,
                          std::string_view secret, WallTime now) {
  const auto [key, signing] = SplitSecret(secret);
  if (url.back() != '/') url += '/';
  url += key;
  const Words words(channel.language);
  json::array content;
  for (const auto& [label, value] : LinesOf(facts, words)) {
    content.push_back(
        json::array{json::object{{"tag", "text"}, {"text", fmt::format("{}: {}", label, value)}}});
  }
  content.push_back(json::array{json::object{
      {"tag", "a"}, {"text", words("Open the page", "打开发布页")}, {"href", facts.link}}});
  const char* const language = channel.language == "zh-CN" ? "zh_cn" : "en_us";
  json::object body{
      {"msg_type", "post"},
      {"content",
       {{"post", {{language, {{"title", TitleOf(facts)}, {"content", std::move(content)}}}}}}}};
  if (!signing.empty()) {
    const std::string at = std::to_string(SecondsOf(now));
    body["timestamp"] = at;
    body["sign"] = Base64(crypto::HmacSha256(fmt::format("{}\n{}", at, signing), ""));
  }
  return JsonPost(channel, std::move(url), body);
}

// Of services that limit how often they are asked.
bool IsTooOften(std::string_view platform, std::int64_t code) {
  if (platform == domain::kWecomPlatform) return code == 45009;
  if (platform == domain::kDingtalkPlatform) return code == 130101 || code == 410100;
  return code == 11232 || code == 9499;
}

}  // namespace

outbound::Post WebhookPost(const domain::Channel& channel, const HookFacts& hook,
                           std::string_view key, WallTime now) {
  const Facts& facts = hook.facts;
  outbound::Post post = JsonPost(channel, channel.url,
                                 {{"type", "product.handed_over"},
                                  {"id", hook.id},
                                  {"application", facts.application},
                                  {"platform", facts.platform},
                                  {"version", facts.version},
                                  {"commit", facts.commit},
                                  {"description", facts.description},
                                  {"submitted_by", facts.submitted_by},
                                  {"run", hook.run},
                                  {"build_task", hook.build_task},
                                  {"manifest_sha256", hook.manifest},
                                  {"file",
                                   {{"name", facts.file_name},
                                    {"bytes", facts.bytes},
                                    {"sha256", facts.sha256.Hex()},
                                    {"cipher", facts.cipher}}},
                                  {"link", facts.link},
                                  {"link_expires_at", SecondsOf(facts.expires_at)}});
  const std::int64_t at = SecondsOf(now);
  const std::string signature =
      Base64(crypto::HmacSha256(key, fmt::format("{}.{}.{}", hook.id, at, post.body)));
  post.headers.push_back("webhook-id: " + hook.id);
  post.headers.push_back(fmt::format("webhook-timestamp: {}", at));
  post.headers.push_back("webhook-signature: v1," + signature);
  return post;
}

std::string RobotAddress(std::string_view platform) {
  if (platform == domain::kWecomPlatform) {
    return "https://qyapi.weixin.qq.com/cgi-bin/webhook/send";
  }
  if (platform == domain::kDingtalkPlatform) return "https://oapi.dingtalk.com/robot/send";
  return "https://open.feishu.cn/open-apis/bot/v2/hook";
}

outbound::Post RobotPost(std::string_view platform, const domain::Channel& channel,
                         const Facts& facts, std::string_view secret, WallTime now) {
  SLIPWAY_CHECK(domain::IsRobotPlatform(platform));
  std::string url = channel.url.empty() ? RobotAddress(platform) : channel.url;
  if (platform == domain::kWecomPlatform) return WecomPost(channel, std::move(url), facts, secret);
  if (platform == domain::kDingtalkPlatform) {
    return DingtalkPost(channel, std::move(url), facts, secret, now);
  }
  return FeishuPost(channel, std::move(url), facts, secret, now);
}

PostVerdict JudgeWebhook(const outbound::PostOutcome& outcome) {
  if (outcome.end == outbound::PostEnd::kNotSent) return PostVerdict::kNotTaken;
  if (outcome.end == outbound::PostEnd::kUnknown) return PostVerdict::kInDoubt;
  if (outcome.status >= 200 && outcome.status < 300) return PostVerdict::kTaken;
  static constexpr std::array kLater{408, 425, 429};
  if (std::find(kLater.begin(), kLater.end(), outcome.status) != kLater.end()) {
    return PostVerdict::kNotTaken;
  }
  // A proxy that gave up waiting, or a program that failed behind what it did.
  return outcome.status >= 500 ? PostVerdict::kInDoubt : PostVerdict::kRefused;
}

PostVerdict JudgeRobot(std::string_view platform, const outbound::PostOutcome& outcome) {
  const PostVerdict verdict = JudgeWebhook(outcome);
  if (verdict != PostVerdict::kTaken) return verdict;
  boost::system::error_code error;
  const json::value answer =
      json::parse(json::string_view(outcome.body.data(), outcome.body.size()), error);
  if (error || !answer.is_object()) return PostVerdict::kInDoubt;
  for (const char* const name : {"errcode", "code", "StatusCode"}) {
    const json::value* const code = answer.as_object().if_contains(name);
    if (code == nullptr || !code->is_int64()) continue;
    if (code->as_int64() == 0) return PostVerdict::kTaken;
    return IsTooOften(platform, code->as_int64()) ? PostVerdict::kNotTaken : PostVerdict::kRefused;
  }
  return PostVerdict::kInDoubt;
}

}  // namespace slipway::channels
