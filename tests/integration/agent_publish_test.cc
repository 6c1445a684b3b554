#include <filesystem>

#include "tests/integration/agent_program.h"

namespace slipway::testing {
namespace {

using Catch::Matchers::Contains;
using namespace std::chrono_literals;

// A stand-in for a publisher image: `node` is a shell script that keeps the adapter's contract and
// does what the product's file `act` says.
constexpr char kAdapter[] =
    "#!/bin/sh\n"
    "echo adapter runs; key=$(cat /slipway/secrets/credential); echo the key is $key\n"
    "id -u; [ -w /slipway/product ] && echo writable\n"
    "cat $SLIPWAY_PUBLISH_REQUEST; echo\n";

std::string PublisherImage(const std::string& act = ". /slipway/product/act\n") {
  REQUIRE_OK(EnsureTestImage());
  // Named by what is in it: made once, and anew when this test changes.
  const std::string adapter = kAdapter + act;
  const std::string image =
      "slipway-test-publisher:" + crypto::Sha256Of(adapter).Hex().substr(0, 12);
  TempDir dir;
  WriteFile(dir / "node", adapter);
  REQUIRE_OK(Shell("docker image inspect " + image + " >/dev/null && exit 0; cd " + dir.path() +
                   " && chmod 755 node && id=$(docker create slipway-test-min:1 /bin/true)"
                   " && docker cp node $id:/bin/node && docker commit -c 'LABEL io.slipway.test=1'"
                   " $id " +
                   image + " && docker rm $id"));
  return image;
}

v1::TaskSpec PublishSpec(AgentFarm& farm, const std::string& act) {
  v1::TaskSpec spec;
  spec.set_application("app-1");
  spec.set_application_name("shop");
  spec.set_platform("weixin");
  spec.set_version("1.2.3");
  v1::PublishSpec& publish = *spec.mutable_publish();
  publish.set_manifest(farm.controller().PutProduct({{"act", act}, {"app.js", "x"}}).Bytes());
  publish.set_app_id("wx123");
  publish.set_image(PublisherImage());
  publish.set_network("bridge");
  publish.set_mode("upload");
  (*publish.mutable_options())["robot"] = "7";
  publish.mutable_deadline()->set_seconds(60);
  return spec;
}

// What slipway-init is in the one container there is.
std::string InitPid(AgentFarm& farm) {
  const auto pid = Shell("docker inspect -f '{{.State.Pid}}' " + farm.ContainerIds());
  REQUIRE_OK(pid);
  return *pid;
}

constexpr char kGood[] =
    "echo '{\"ok\": true, \"stage\": \"upload\", \"link\": \"https://example.org/x\","
    " \"uploadStarted\": true}' > /slipway/out/result.json\n";

TEST_CASE("slipway-agent: a publish runs once, with the secret masked and gone afterwards",
          "[integration]") {
  AgentFarm farm;
  farm.controller().SetSecret("top-secret-upload-key");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  const v1::AttemptResult result = farm.Build(PublishSpec(farm, kGood), key);
  const std::string log = farm.controller().Log(key);
  INFO(log << farm.Output());
  REQUIRE_FALSE(result.has_failure());
  CHECK(result.publish().link() == "https://example.org/x");
  CHECK_THAT(log, Contains("the key is ***") && Contains("\n1000\n") && Contains("\"robot\":7"));
  CHECK_THAT(log, !Contains("top-secret") && !Contains("writable"));
  CHECK_THAT(farm.Output(), !Contains("top-secret"));
  CHECK(farm.controller().permits_given() == 1);
  CHECK(farm.controller().Steps(key) ==
        std::vector<std::string>{"1 fetch started", "1 fetch succeeded", "2 prepare started",
                                 "2 prepare succeeded", "3 prove started", "3 prove succeeded",
                                 "4 upload started", "4 upload succeeded"});
  CHECK(WaitUntil([&] { return farm.Containers() == 0; }));
  const auto found = Shell("grep -rl top-secret " + farm.data_dir() + " || true");
  REQUIRE_OK(found);
  CHECK(found->empty());
}

TEST_CASE("slipway-agent: what the platform refused is told in its own words", "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  const v1::AttemptResult result = farm.Build(
      PublishSpec(farm,
                  "echo '{\"ok\": false, \"stage\": \"prove\", \"class\": \"credential\","
                  " \"reason\": \"sign invalid\", \"remedy\": \"seal it anew\", \"remedyZh\": "
                  "\"重新加密\"}' > /slipway/out/result.json; exit 1\n"),
      key);
  REQUIRE(result.has_failure());
  CHECK(result.failure().failure_class() == v1::FAILURE_CLASS_CREDENTIAL);
  CHECK(result.failure().tool_words() == "sign invalid");
  CHECK(result.failure().remedy() == "seal it anew");
  CHECK(result.failure().remedy_zh() == "重新加密");
  CHECK(farm.controller().Steps(key).back() == "3 prove failed");
}

TEST_CASE("slipway-agent: an adapter that lost the platform in mid-upload leaves it unknown",
          "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const v1::AttemptResult result =
      farm.Build(PublishSpec(farm,
                             "echo '{\"ok\": false, \"stage\": \"upload\", \"class\": \"network\","
                             " \"reason\": \"socket hang up\", \"remedy\": \"publish again\","
                             " \"uploadStarted\": true}' > /slipway/out/result.json; exit 1\n"),
                 farm.Key());
  REQUIRE(result.has_failure());
  CHECK(result.failure().failure_class() == v1::FAILURE_CLASS_PUBLISH_UNKNOWN);
  CHECK(result.failure().tool_words() == "socket hang up");
  CHECK_THAT(result.failure().remedy(), !Contains("publish again"));
}

TEST_CASE("slipway-agent: a client that ends without a word leaves the publish unknown",
          "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const v1::AttemptResult result = farm.Build(PublishSpec(farm, "exit 0\n"), farm.Key());
  REQUIRE(result.has_failure());
  CHECK(result.failure().failure_class() == v1::FAILURE_CLASS_PUBLISH_UNKNOWN);
}

TEST_CASE(
    "slipway-agent: killed while the client runs, it takes up the publish and never repeats it",
    "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(
      key, PublishSpec(farm, std::string("echo in the client; while [ ! -e /slipway/out/go ]; do"
                                         " sleep 0.05; done\n") +
                                 kGood));
  REQUIRE(farm.controller().WaitForLog(key, "in the client\n"));
  const std::string container = farm.ContainerIds();
  farm.Kill(SIGKILL);
  const std::string attempt =
      farm.data_dir() + "/attempts/" + key.task.value() + "-" + std::to_string(key.attempt.value());
  bool unreadable = false;
  SECTION("at once") {}
  SECTION("also when nothing can be saved") {
    REQUIRE(std::filesystem::create_directory(attempt + "/progress.new"));
  }
  SECTION("as soon as what it saved can be read") {
    std::filesystem::rename(attempt + "/progress", attempt + "/kept");
    REQUIRE(std::filesystem::create_directory(attempt + "/progress"));
    unreadable = true;
  }
  farm.StartAndConnect();
  const auto says = [&](const char* event) {
    return WaitUntil([&] { return farm.Output().find(event) != std::string::npos; });
  };
  if (unreadable) {
    REQUIRE(says("attempt_not_taken_up"));
    std::filesystem::remove(attempt + "/progress");
    std::filesystem::rename(attempt + "/kept", attempt + "/progress");
  }
  REQUIRE(says("attempt_adopted"));
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /slipway/out/go"));
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output() << farm.controller().Log(key));
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
  CHECK(result->publish().link() == "https://example.org/x");
  CHECK(farm.controller().permits_given() == 1);
  const std::string log = farm.controller().Log(key);
  CHECK(log.find("in the client\n") == log.rfind("in the client\n"));
}

TEST_CASE("slipway-agent: prove and upload are told while the client is at them", "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(
      key,
      PublishSpec(farm, std::string("printf 'prove\nup' > /slipway/out/progress; echo proving\n"
                                    "while [ ! -e /slipway/out/go ]; do sleep 0.05; done\n"
                                    "printf 'load\n' >> /slipway/out/progress\n"
                                    "while [ ! -e /slipway/out/go2 ]; do sleep 0.05; done\n") +
                            kGood));
  REQUIRE(farm.controller().WaitForLog(key, "proving\n"));
  REQUIRE(WaitUntil([&] { return farm.controller().Steps(key).back() == "3 prove started"; }));
  const std::string container = farm.ContainerIds();
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /slipway/out/go"));
  REQUIRE(WaitUntil([&] { return farm.controller().Steps(key).back() == "4 upload started"; }));
  CHECK_FALSE(farm.controller().WaitForResult(key, std::chrono::seconds(0)));
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /slipway/out/go2"));
  REQUIRE(farm.controller().WaitForResult(key));
  const std::vector<std::string> steps = farm.controller().Steps(key);
  CHECK(std::vector<std::string>(steps.begin() + 4, steps.end()) ==
        std::vector<std::string>{"3 prove started", "3 prove succeeded", "4 upload started",
                                 "4 upload succeeded"});
}

TEST_CASE("slipway-agent: what the client says is masked although the agent forgot the secret",
          "[integration]") {
  AgentFarm farm;
  farm.controller().SetSecret("top-secret-upload-key");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(
      key, PublishSpec(farm,
                       "echo in the client; while [ ! -e /slipway/out/go ]; do sleep 0.05; done\n"
                       "echo \"{\\\"ok\\\": false, \\\"stage\\\": \\\"prove\\\", \\\"class\\\":"
                       " \\\"credential\\\", \\\"reason\\\": \\\"bad $key\\\"}\""
                       " > /slipway/out/result.json; exit 1\n"));
  REQUIRE(farm.controller().WaitForLog(key, "in the client\n"));
  const std::string container = farm.ContainerIds();
  farm.Kill(SIGKILL);
  farm.StartAndConnect();
  REQUIRE(WaitUntil([&] { return farm.Output().find("attempt_adopted") != std::string::npos; }));
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /slipway/out/go"));
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output() << farm.controller().Log(key));
  REQUIRE(result);
  CHECK(result->failure().tool_words() == "bad ***");
  CHECK(result->DebugString().find("top-secret") == std::string::npos);
  const auto found = Shell("grep -rl top-secret " + farm.data_dir() + "/journal* || true");
  REQUIRE_OK(found);
  CHECK(found->empty());
}

TEST_CASE("slipway-agent: frozen while its permit ran out, it does not start the client",
          "[integration]") {
  AgentFarm farm;
  farm.controller().HoldPermits();
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, PublishSpec(farm, kGood));
  REQUIRE(farm.controller().WaitForPermitRequest());
  REQUIRE(kill(farm.pid(), SIGSTOP) == 0);
  farm.controller().GivePermits(500ms);
  REQUIRE_OK(Shell("sleep 1"));
  REQUIRE(kill(farm.pid(), SIGCONT) == 0);
  // The late permit is passed over; a fresh one is used.
  REQUIRE_OK(Shell("sleep 1"));
  CHECK_THAT(farm.controller().Log(key), !Contains("adapter runs"));
  CHECK(farm.controller().asks() >= 2);
  farm.controller().GivePermits(60s);
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
}

TEST_CASE("slipway-agent: killed between permit and marker it asks again, and publishes once",
          "[integration]") {
  AgentFarm farm;
  farm.controller().HoldPermits();
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, PublishSpec(farm, kGood));
  REQUIRE(farm.controller().WaitForPermitRequest());
  // The permit is on its way to a process that never reads it.
  REQUIRE(kill(farm.pid(), SIGSTOP) == 0);
  farm.controller().GivePermits(60s);
  farm.Kill(SIGKILL);
  farm.Start();
  REQUIRE(WaitUntil([&] { return farm.Output().find("attempt_adopted") != std::string::npos; }));
  REQUIRE(farm.controller().WaitForStream());
  REQUIRE(WaitUntil([&] { return farm.controller().asks() >= 2; }));
  farm.controller().GivePermits(60s);
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
  const std::string log = farm.controller().Log(key);
  CHECK(log.find("adapter runs") == log.rfind("adapter runs"));
}

TEST_CASE("slipway-agent: killed between marker and start, the publish is unknown and ended",
          "[integration]") {
  AgentFarm farm;
  farm.controller().HoldPermits();
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, PublishSpec(farm, kGood));
  REQUIRE(farm.controller().WaitForPermitRequest());
  // A slipway-init that does not answer holds the agent between its marker and the start.
  const std::string init = InitPid(farm);
  REQUIRE_OK(Shell("kill -STOP " + init));
  farm.controller().GivePermits(60s);
  REQUIRE(WaitUntil([&] { return farm.controller().Steps(key).back() == "3 prove started"; }));
  farm.Kill(SIGKILL);
  REQUIRE_OK(Shell("kill -CONT " + init));
  farm.StartAndConnect();
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK(result->failure().failure_class() == v1::FAILURE_CLASS_PUBLISH_UNKNOWN);
  CHECK(result->client_ended());
  CHECK_THAT(farm.controller().Log(key), !Contains("adapter runs"));
  CHECK(farm.controller().permits_given() == 1);
}

TEST_CASE("slipway-agent: a probe asks in a container of its own, without product and marker",
          "[integration]") {
  AgentFarm farm;
  farm.controller().SetSecret("top-secret-upload-key");
  farm.StartAndConnect();
  v1::TaskSpec spec = PublishSpec(farm, "");
  *spec.mutable_probe() = v1::PublishSpec(spec.publish());
  // No product, so the answer is the image's own.
  spec.mutable_probe()->set_image(PublisherImage(
      "[ -e /slipway/product ] && echo a product is there\n"
      "key=$(cat /slipway/secrets/credential)\n"
      "echo \"{\\\"ok\\\": true, \\\"probe\\\": {\\\"verdict\\\": \\\"published\\\", "
      "\\\"version\\\":"
      " \\\"1.2.3\\\", \\\"words\\\": \\\"seen with $key\\\"}}\" > /slipway/out/result.json\n"));
  const AttemptKey key = farm.Key();
  const v1::AttemptResult result = farm.Build(spec, key);
  const std::string log = farm.controller().Log(key);
  INFO(log << farm.Output());
  REQUIRE(result.has_probe());
  CHECK(result.probe().verdict() == v1::PROBE_VERDICT_PUBLISHED);
  CHECK(result.probe().words() == "seen with ***");
  CHECK_THAT(log, Contains("\"operation\":\"probe\"") && !Contains("a product is there"));
  CHECK(farm.controller().Steps(key) ==
        std::vector<std::string>{"1 prepare started", "1 prepare succeeded", "2 probe started",
                                 "2 probe succeeded"});
}

v1::TaskSpec PreviewSpec(AgentFarm& farm, const std::string& result) {
  v1::TaskSpec spec =
      PublishSpec(farm, "cat > /slipway/out/result.json <<'END'\n" + result + "\nEND\n");
  spec.mutable_publish()->set_mode("preview");
  return spec;
}

TEST_CASE("slipway-agent: a preview brings the platform's code", "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  const v1::AttemptResult result = farm.Build(
      PreviewSpec(farm, R"({"ok": true, "stage": "preview", "qrText": "https://example.org/7"})"),
      key);
  INFO(farm.controller().Log(key) << farm.Output());
  REQUIRE_FALSE(result.has_failure());
  CHECK(result.publish().code().text() == "https://example.org/7");
  CHECK_THAT(farm.controller().Log(key), Contains("\"mode\":\"preview\""));
  CHECK(farm.controller().Steps(key).back() == "4 preview succeeded");
}

// A preview whose adapter writes its code's image with `how`, before the result.
v1::AttemptResult PreviewWithImage(AgentFarm& farm, const std::string& how) {
  v1::TaskSpec spec = PublishSpec(farm, "cd /slipway/out\n" + how +
                                            "\necho '{\"ok\": true, \"stage\": \"preview\", "
                                            "\"qrFile\": \"code.img\"}' > result.json\n");
  spec.mutable_publish()->set_mode("preview");
  return farm.Build(spec, farm.Key());
}

TEST_CASE("slipway-agent: a preview brings the image of the platform's code", "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const auto png = PreviewWithImage(farm, R"(printf '\211PNG\r\n\032\n\000rest' > code.img)");
  INFO(farm.Output());
  REQUIRE_FALSE(png.has_failure());
  CHECK(png.publish().code().image_type() == "image/png");
  CHECK(png.publish().code().image() == std::string("\x89PNG\r\n\x1a\n\0rest", 13));
  const auto jpeg = PreviewWithImage(farm, R"(printf '\377\330\377\340' > code.img)");
  REQUIRE_FALSE(jpeg.has_failure());
  CHECK(jpeg.publish().code().image_type() == "image/jpeg");
}

TEST_CASE("slipway-agent: an image that is none, is elsewhere or holds the secret is no code",
          "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  for (const std::string how :
       {"echo '<svg/>' > code.img", "ln -s /etc/passwd code.img", ":", "mkfifo code.img",
        R"(printf '\377\330\377' > a; ln a code.img)",
        R"(printf '\377\330\377' > code.img; head -c 200000 /dev/zero >> code.img)",
        R"(printf '\377\330\377' > code.img; cat /slipway/secrets/credential >> code.img)"}) {
    INFO(how << farm.Output());
    const v1::AttemptResult result = PreviewWithImage(farm, how);
    REQUIRE(result.has_failure());
    CHECK(result.failure().reason() == "PREVIEW_FAILED");
    CHECK_FALSE(result.has_publish());
  }
}

TEST_CASE(
    "slipway-agent: a preview without a code, or that is none, has failed and is not in doubt",
    "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const std::pair<std::string, std::string> answers[] = {
      {R"({"ok": true, "stage": "preview", "link": "https://example.org/x"})", "PREVIEW_FAILED"},
      {R"({"ok": true, "stage": "upload", "qrText": "https://example.org/7"})", "NOT_A_PREVIEW"},
      {R"({"ok": false, "stage": "preview", "class": "publish_unknown", "uploadStarted": true})",
       "PREVIEW_FAILED"},
      {R"({"ok": false, "stage": "preview", "class": "network", "uploadStarted": true})",
       "PLATFORM_UNREACHABLE"},
      {"no word of sense", "PREVIEW_FAILED"}};
  for (const auto& [answer, reason] : answers) {
    const v1::AttemptResult result = farm.Build(PreviewSpec(farm, answer), farm.Key());
    INFO(answer);
    REQUIRE(result.has_failure());
    CHECK(result.failure().reason() == reason);
    CHECK(result.failure().failure_class() != v1::FAILURE_CLASS_PUBLISH_UNKNOWN);
    CHECK_THAT(result.failure().message(), !Contains("published"));
    CHECK_FALSE(result.has_publish());
  }
}

TEST_CASE("slipway-agent: killed while a preview's client runs, it takes the preview up",
          "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  v1::TaskSpec spec =
      PublishSpec(farm,
                  "echo in the client; while [ ! -e /slipway/out/go ]; do sleep 0.05; done\n"
                  "echo '{\"ok\": true, \"stage\": \"preview\", \"qrText\": \"code\"}'"
                  " > /slipway/out/result.json\n");
  spec.mutable_publish()->set_mode("preview");
  farm.controller().Queue(key, spec);
  REQUIRE(farm.controller().WaitForLog(key, "in the client\n"));
  const std::string container = farm.ContainerIds();
  farm.Kill(SIGKILL);
  farm.StartAndConnect();
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /slipway/out/go"));
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output() << farm.controller().Log(key));
  REQUIRE(result);
  CHECK(result->publish().code().text() == "code");
}

TEST_CASE("slipway-agent: a canceled preview is canceled, whatever its client calls the signal",
          "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  v1::TaskSpec spec =
      PublishSpec(farm,
                  "trap 'echo \"{\\\"ok\\\": false, \\\"stage\\\": \\\"preview\\\", \\\"class\\\": "
                  "\\\"network\\\"}\" > /slipway/out/result.json; exit 1' TERM\n"
                  "echo in the client; while :; do sleep 0.05; done\n");
  spec.mutable_publish()->set_mode("preview");
  farm.controller().Queue(key, spec);
  REQUIRE(farm.controller().WaitForLog(key, "in the client\n"));
  farm.controller().Cancel(key);
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output() << farm.controller().Log(key));
  REQUIRE(result);
  CHECK(result->failure().failure_class() == v1::FAILURE_CLASS_CANCELED);
}

TEST_CASE("slipway-agent: a publish whose container is lost after the permit is unknown",
          "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, PublishSpec(farm, "echo in the client; sleep 300\n"));
  REQUIRE(farm.controller().WaitForLog(key, "in the client\n"));
  const std::string container = farm.ContainerIds();
  farm.Kill(SIGKILL);
  REQUIRE_OK(Shell("docker rm -f " + container));
  farm.StartAndConnect();
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK(result->failure().failure_class() == v1::FAILURE_CLASS_PUBLISH_UNKNOWN);
  CHECK(result->client_ended());
  CHECK(farm.controller().permits_given() == 1);
}

}  // namespace
}  // namespace slipway::testing
