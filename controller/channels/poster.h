#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "controller/channels/delivery.h"
#include "controller/channels/posts.h"

namespace slipway::channels {

// What is to be posted, and how long it may be tried.
struct PostPlan {
  std::string_view platform;
  const domain::Channel& channel;
  const std::string& ca_pem;
  std::string_view secret;
  HookFacts hook;
  Duration deadline;
  // Before the second try, the third and so on.
  std::vector<Duration> pauses;
};

// What came of it. No text has the channel's secret in it.
struct PostEnding {
  PostVerdict verdict = PostVerdict::kNotTaken;
  // For people; empty when it was taken.
  std::string message;
  // The server's last words; empty: it said nothing.
  std::string words;
};

// Posts to a webhook or robot until it is taken or refused, or the time is over. A webhook's
// receiver tells tries apart by their id, so it is tried again also when nobody knows; a robot
// would say it twice. Blocks. Thread-safe.
[[nodiscard]] PostEnding PostUntilTaken(const PostPlan& plan, const Clock& clock,
                                        AttemptVoice& voice);

}  // namespace slipway::channels
