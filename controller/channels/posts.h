#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/time.h"
#include "controller/channels/texts.h"
#include "controller/domain/channel.h"
#include "controller/outbound/web_post.h"

// What webhooks and robots of chats are sent, and what their answers mean. Pure functions.
namespace slipway::channels {

// A product as a program is told of it.
struct HookFacts {
  Facts facts;
  // The same in every try of one delivery.
  std::string id;
  std::string run;
  std::string build_task;
  std::string manifest;  // hex
};

// A post signed as standardwebhooks.com describes: headers webhook-id, webhook-timestamp and
// webhook-signature, which is "v1," and the base64 of HMAC-SHA-256 over "<id>.<timestamp>.<body>".
[[nodiscard]] outbound::Post WebhookPost(const domain::Channel& channel, const HookFacts& hook,
                                         std::string_view key, WallTime now);

// A message with the facts and the link, as the service of `platform` wants it. `secret`: the key
// of the robot's address, and behind a ':' the one that posts are signed with. The address of the
// post has the key in it. REQUIRES: domain::IsRobotPlatform(platform).
[[nodiscard]] outbound::Post RobotPost(std::string_view platform, const domain::Channel& channel,
                                       const Facts& facts, std::string_view secret, WallTime now);

// Where a robot's posts go when its channel names no address; without its key.
[[nodiscard]] std::string RobotAddress(std::string_view platform);

enum class PostVerdict {
  kTaken,
  kRefused,
  kNotTaken,  // the same may be tried again
  kInDoubt,   // it may have been taken
};
[[nodiscard]] PostVerdict JudgeWebhook(const outbound::PostOutcome& outcome);
// Services answer 200 to everything; the body says what became of it.
[[nodiscard]] PostVerdict JudgeRobot(std::string_view platform,
                                     const outbound::PostOutcome& outcome);

}  // namespace slipway::channels
