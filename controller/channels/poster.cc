#include "controller/channels/poster.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/str_replace.h"
#include "common/rpc/text.h"

namespace slipway::channels {
namespace {

// None at all would be no limit.
constexpr Duration kShortestTry = std::chrono::milliseconds(1);
constexpr Duration kLongestTry = std::chrono::seconds(30);
constexpr std::size_t kMostWords = 1024;

outbound::Post PostOf(const PostPlan& plan, WallTime now) {
  outbound::Post post =
      plan.platform == domain::kWebhookPlatform
          ? WebhookPost(plan.channel, plan.hook, plan.secret, now)
          : RobotPost(plan.platform, plan.channel, plan.hook.facts, plan.secret, now);
  post.ca_pem = plan.ca_pem;
  return post;
}

// Servers and libraries may repeat what they were told.
std::string WithoutSecrets(std::string text, std::string_view secret) {
  text.resize(std::min(text.size(), kMostWords));
  const auto colon = secret.find(':');
  for (const std::string_view part :
       {secret, secret.substr(0, colon),
        colon == std::string_view::npos ? secret : secret.substr(colon + 1)}) {
    if (part.empty()) continue;
    text = absl::StrReplaceAll(text, {{absl::string_view(part.data(), part.size()), "***"}});
  }
  return rpc::ValidUtf8(text);
}

std::string Said(const outbound::PostOutcome& outcome) {
  if (outcome.end == outbound::PostEnd::kAnswered) {
    return fmt::format("the answer was HTTP {}", outcome.status);
  }
  return outcome.end == outbound::PostEnd::kUnknown
             ? fmt::format("no answer came: {}", outcome.message)
             : fmt::format("it was not sent: {}", outcome.message);
}

}  // namespace

PostEnding PostUntilTaken(const PostPlan& plan, const Clock& clock, AttemptVoice& voice) {
  const bool webhook = plan.platform == domain::kWebhookPlatform;
  const MonoTime end = clock.Mono() + plan.deadline;
  const std::string shown = plan.channel.url.empty()
                                ? RobotAddress(plan.platform)
                                : plan.channel.url.substr(0, plan.channel.url.find('?'));
  bool in_doubt = false;
  PostEnding ending;
  for (std::size_t tried = 0;; ++tried) {
    voice.Log(fmt::format("post {} to {}", tried + 1, shown));
    const outbound::PostOutcome outcome =
        SendPost(PostOf(plan, clock.Wall()),
                 {.deadline = std::clamp<Duration>(end - clock.Mono(), kShortestTry, kLongestTry),
                  .canceled = [&voice] { return voice.canceled(); }});
    ending.verdict = webhook ? JudgeWebhook(outcome) : JudgeRobot(plan.platform, outcome);
    ending.message = WithoutSecrets(Said(outcome), plan.secret);
    ending.words = WithoutSecrets(outcome.body, plan.secret);
    voice.Log(ending.words.empty() ? ending.message
                                   : fmt::format("{}: {}", ending.message, ending.words));
    in_doubt = in_doubt || ending.verdict == PostVerdict::kInDoubt;
    if (ending.verdict == PostVerdict::kTaken || ending.verdict == PostVerdict::kRefused) break;
    if (ending.verdict == PostVerdict::kInDoubt && !webhook) break;
    if (tried >= plan.pauses.size()) break;
    const Duration pause = std::max(plan.pauses[tried], outcome.retry_after.value_or(Duration()));
    if (clock.Mono() + pause >= end || !voice.Wait(pause)) break;
  }
  // A try before the last one may have been taken all the same.
  if (ending.verdict != PostVerdict::kTaken && in_doubt) ending.verdict = PostVerdict::kInDoubt;
  return ending;
}

}  // namespace slipway::channels
