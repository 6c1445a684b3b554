// Posts to a real web server, which answers well, badly, late or not at all.
#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <string>
#include <vector>

#include "controller/channels/poster.h"
#include "tests/support/hook_server.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using Catch::Contains;
using channels::PostEnding;
using channels::PostVerdict;
using std::chrono::milliseconds;

class Voice final : public channels::AttemptVoice {
 public:
  bool canceled() const override { return cancel.load(); }
  void Step(std::uint32_t, const char*, protocol::StepState, const std::string&) override {}
  void Log(std::string_view line) override { log += std::string(line) + "\n"; }
  absl::StatusOr<std::variant<protocol::Permit, protocol::Failure>> AskLeave(
      const Sha256Digest&) override {
    return absl::CancelledError("nobody gives it");
  }
  bool Wait(Duration) override { return !cancel.load(); }

  std::atomic<bool> cancel{false};
  std::string log;
};

struct Sender {
  PostEnding Post(const std::string& platform = "webhook") {
    return channels::PostUntilTaken(
        {.platform = platform,
         .channel = channel,
         .ca_pem = ca_pem,
         .secret = "key-0123456789ab:signing-words",
         .hook = {.facts = {},
                  .id = "task-1",
                  .run = "run-1",
                  .build_task = "task-0",
                  .manifest = "00"},
         .deadline = deadline,
         .pauses = {milliseconds(1), milliseconds(1), milliseconds(1), milliseconds(1)}},
        clock, voice);
  }
  explicit Sender(const std::string& url) {
    channel.url = url;
    channel.plain = url.rfind("http://", 0) == 0;
  }
  domain::Channel channel;
  std::string ca_pem;
  Duration deadline = std::chrono::seconds(20);
  SystemClock clock;
  Voice voice;
};

TEST_CASE("Poster: a webhook that fails is told the same again until it takes it",
          "[integration]") {
  HookServer server;
  server.Answer("500 broken\n429\ndrop\n204\n");
  Sender sender(server.url() + "/hook?token=x");
  const PostEnding ending = sender.Post();
  INFO(sender.voice.log);
  CHECK(ending.verdict == PostVerdict::kTaken);
  const auto posts = server.Posts();
  REQUIRE(posts.size() == 4);
  for (const TakenPost& post : posts) {
    CHECK(post.path == "/hook?token=x");
    CHECK(post.Header("webhook-id") == "task-1");
    CHECK(post.body == posts[0].body);
  }
  CHECK_THAT(sender.voice.log, Contains("post 4 to") && !Contains("token=x"));
}

TEST_CASE("Poster: five tries are all, and what one of them may have come to stays in doubt",
          "[integration]") {
  HookServer server;
  Sender sender(server.url());
  server.Answer("429 later\n");
  CHECK(sender.Post().verdict == PostVerdict::kNotTaken);
  CHECK(server.Posts().size() == 5);
  server.Answer("429\n429\n429\n429\n429\n504 no answer from behind\n404 never heard of it\n");
  const PostEnding ending = sender.Post();
  CHECK(server.Posts().size() == 7);
  CHECK(ending.verdict == PostVerdict::kInDoubt);
  CHECK(ending.words == "never heard of it");
}

TEST_CASE("Poster: a no is a no, and a redirect is one", "[integration]") {
  HookServer server;
  Sender sender(server.url());
  server.Answer("410 gone\n302 there\n");
  CHECK(sender.Post().verdict == PostVerdict::kRefused);
  CHECK(sender.Post().verdict == PostVerdict::kRefused);
  CHECK(server.Posts().size() == 2);
}

TEST_CASE("Poster: a robot hears nothing twice, and what it says shows no key", "[integration]") {
  HookServer server;
  Sender sender(server.url());
  server.Answer(
      "drop\n200 {\"errcode\":93000,\"errmsg\":\"bad key-0123456789ab and signing-words\"}\n");
  CHECK(sender.Post("wecom").verdict == PostVerdict::kInDoubt);
  CHECK(server.Posts().size() == 1);
  const PostEnding refused = sender.Post("dingtalk");
  CHECK(refused.verdict == PostVerdict::kRefused);
  CHECK_THAT(refused.words, Contains("bad *** and ***"));
  CHECK_THAT(sender.voice.log, !Contains("key-0123456789ab") && !Contains("signing-words"));
}

TEST_CASE("Poster: who is not there was sent nothing", "[integration]") {
  std::string url;
  {
    const HookServer gone;
    url = gone.url();
  }
  Sender sender(url);
  const PostEnding ending = sender.Post("feishu");
  CHECK(ending.verdict == PostVerdict::kNotTaken);
  CHECK_THAT(ending.message, Contains("was not sent"));
}

TEST_CASE("Poster: one that says nothing is given up at the end of the time", "[integration]") {
  HookServer server;
  server.Answer("hang\n");
  Sender sender(server.url());
  sender.deadline = milliseconds(500);
  CHECK(sender.Post().verdict == PostVerdict::kInDoubt);
  CHECK(server.Posts().size() == 1);
}

TEST_CASE("Poster: over TLS only to a server whose certificate fits", "[integration]") {
  const TlsAuthority authority("hooks");
  HookServer server(authority.server);
  Sender sender(server.url());
  CHECK(sender.Post().verdict == PostVerdict::kNotTaken);
  CHECK(server.Posts().empty());
  sender.ca_pem = authority.authority;
  CHECK(sender.Post().verdict == PostVerdict::kTaken);
  CHECK(server.Posts().size() == 1);
}

}  // namespace
}  // namespace slipway::testing
