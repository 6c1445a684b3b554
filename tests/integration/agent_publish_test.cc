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
    "cat $SLIPWAY_PUBLISH_REQUEST; echo\n"
    ". /slipway/product/act\n";

std::string PublisherImage() {
  REQUIRE_OK(EnsureTestImage());
  // Named by what is in it: made once, and anew when this test changes.
  const std::string image =
      "slipway-test-publisher:" + crypto::Sha256Of(kAdapter).Hex().substr(0, 12);
  TempDir dir;
  WriteFile(dir / "node", kAdapter);
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
  farm.StartAndConnect();
  REQUIRE(WaitUntil([&] { return farm.Output().find("attempt_adopted") != std::string::npos; }));
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /slipway/out/go"));
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output() << farm.controller().Log(key));
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
  CHECK(farm.controller().permits_given() == 1);
  const std::string log = farm.controller().Log(key);
  CHECK(log.find("in the client\n") == log.rfind("in the client\n"));
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
  CHECK(farm.controller().permits_given() == 1);
}

}  // namespace
}  // namespace slipway::testing
