#include "tests/integration/agent_program.h"

#include <filesystem>
#include <fstream>

#include "common/process/process.h"

namespace slipway::testing {
namespace {

using Catch::Matchers::Contains;
using namespace std::chrono_literals;

constexpr char kGoodScript[] =
    "set -e\n"
    "echo building $SLIPWAY_PLATFORM $SLIPWAY_APP_ID as $(id -u) home $HOME\n"
    "mkdir -p $SLIPWAY_OUTPUT/pages\n"
    "echo hello > $SLIPWAY_OUTPUT/app.js\n"
    "echo page > $SLIPWAY_OUTPUT/pages/index.js\n"
    "echo '{\"version\": \"1.2.3\", \"qr\": \"look here\"}' > $SLIPWAY_RESULT\n";

TEST_CASE("slipway-agent: a commit becomes an archived product", "[integration]") {
  AgentFarm farm;
  farm.CommitScript(kGoodScript);
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  const v1::AttemptResult result = farm.Build(farm.BuildSpec(), key);
  INFO(farm.controller().Log(key) << farm.Output());
  REQUIRE_FALSE(result.has_failure());
  CHECK(result.exit_code() == 0);
  CHECK(result.build().version() == "1.2.3");
  CHECK(result.build().script_qr() == "look here");
  CHECK(result.build().app_id() == "wx123");
  CHECK(result.build().commit().size() == 40);
  CHECK(result.build().commit_subject() == "A commit");
  CHECK_THAT(result.build().image_digest(), Catch::StartsWith("sha256:"));
  CHECK(result.build().artifact_files() == 2);
  CHECK(farm.controller().Product(Sha256Digest::FromBytes(result.build().manifest()).value()) ==
        std::map<std::string, std::string>{{"app.js", "hello\n"}, {"pages/index.js", "page\n"}});
  const std::string log = farm.controller().Log(key);
  CHECK_THAT(log, Contains("slipway: fetched ") &&
                      Contains("building weixin wx123 as 1000 home /slipway/home\n") &&
                      Contains("slipway: archived 2 files"));
  CHECK(farm.controller().Steps(key) ==
        std::vector<std::string>{"1 fetch started", "1 fetch succeeded", "2 prepare started",
                                 "2 prepare succeeded", "3 script started", "3 script succeeded",
                                 "4 archive started", "4 archive succeeded"});
  CHECK(farm.controller().WaitUntilForgotten(key));
  CHECK(WaitUntil([&] { return farm.Containers() == 0; }));
  CHECK(WaitUntil([&] { return std::filesystem::is_empty(farm.data_dir() + "/attempts"); }));
  CHECK(farm.Kill(SIGTERM) == 0);
}

TEST_CASE("slipway-agent: each failure has its class, its words and a remedy", "[integration]") {
  struct Case {
    const char* what;
    const char* script;
    const char* build;
    v1::FailureClass klass;
    const char* reason;
    const char* words;  // in message or tool words
  };
  const std::vector<Case> cases = {
      {"a failing script", "echo it broke; exit 3\n", "", v1::FAILURE_CLASS_BUILD, "SCRIPT_FAILED",
       "it broke"},
      {"the script's own reason",
       "echo '{\"error\": \"lint found 3\"}' > $SLIPWAY_RESULT; exit 1\n", "",
       v1::FAILURE_CLASS_BUILD, "SCRIPT_FAILED", "lint found 3"},
      {"a hostile result file", "ln -s /etc/passwd $SLIPWAY_RESULT; mkdir dist; echo 1 >dist/a\n",
       "", v1::FAILURE_CLASS_BUILD, "SCRIPT_RESULT_INVALID", "result.json"},
      {"no output directory", "echo nothing made\n", "", v1::FAILURE_CLASS_BUILD, "NO_OUTPUT",
       "dist"},
      {"an empty output directory", "mkdir dist\n", "", v1::FAILURE_CLASS_BUILD, "NO_OUTPUT",
       "empty"},
      {"an output that leads outside", "ln -s /etc dist\n", "", v1::FAILURE_CLASS_POLICY,
       "OUTPUT_OUTSIDE", "dist"},
      {"a product with a socket in it", "mkdir dist; mkfifo dist/pipe\n", "",
       v1::FAILURE_CLASS_POLICY, "ARTIFACT_REFUSED", "pipe"},
      {"the run limit", "echo waiting; trap '' TERM; while :; do echo .; sleep 0.2; done\n", "",
       v1::FAILURE_CLASS_TIMEOUT, "RUN_TIMEOUT", "1s"},
      {"the no-output limit", "echo quiet now; sleep 60\n", "  no_output_timeout: 1s\n",
       v1::FAILURE_CLASS_TIMEOUT, "NO_OUTPUT_TIMEOUT", "1s"},
      {"the memory limit", "head -c 400m /dev/zero | tail -c 390m | wc -c; exit 1\n", "",
       v1::FAILURE_CLASS_POLICY, "MEMORY_LIMIT", "128MiB"},
      {"the disk limit", "for i in 1 2 3 4 5 6; do head -c 30m /dev/zero > f$i; done; sleep 60\n",
       "", v1::FAILURE_CLASS_POLICY, "DISK_LIMIT", "64MiB"},
  };
  AgentFarm farm;
  farm.StartAndConnect();
  for (const Case& c : cases) {
    INFO(c.what);
    farm.CommitScript(c.script, c.build);
    if (std::string(c.reason) == "RUN_TIMEOUT") {
      std::string yaml = ReadFile(farm.repository() + "/slipway.yaml");
      yaml.replace(yaml.find("timeout: 60s"), 12, "timeout: 1s ");
      farm.Commit({{"slipway.yaml", yaml}});
    }
    const AttemptKey key = farm.Key();
    const v1::AttemptResult result = farm.Build(farm.BuildSpec(), key);
    INFO(farm.controller().Log(key));
    REQUIRE(result.has_failure());
    INFO(result.failure().DebugString());
    CHECK(result.failure().failure_class() == c.klass);
    CHECK(result.failure().reason() == c.reason);
    CHECK_THAT(result.failure().message() + result.failure().tool_words(), Contains(c.words));
    CHECK_FALSE(result.failure().remedy().empty());
    CHECK_FALSE(result.failure().remedy_zh().empty());
    CHECK_THAT(farm.controller().Log(key), Contains(c.reason));
    CHECK(farm.controller().WaitUntilForgotten(key));
  }
  CHECK(WaitUntil([&] { return farm.Containers() == 0; }));
}

TEST_CASE("slipway-agent: what is wrong before the script runs is told as such", "[integration]") {
  AgentFarm farm;
  farm.CommitScript(kGoodScript);
  farm.StartAndConnect();
  const auto expect = [&](const v1::TaskSpec& spec, v1::FailureClass klass,
                          const std::string& reason, const std::string& words) {
    const v1::AttemptResult result = farm.Build(spec, farm.Key());
    REQUIRE(result.has_failure());
    INFO(result.failure().DebugString());
    CHECK(result.failure().failure_class() == klass);
    CHECK(result.failure().reason() == reason);
    CHECK_THAT(result.failure().message(), Contains(words));
    CHECK_FALSE(result.failure().remedy().empty());
  };
  expect(farm.BuildSpec("no-such-branch"), v1::FAILURE_CLASS_BUILD, "REF_UNKNOWN",
         "no-such-branch");
  v1::TaskSpec spec = farm.BuildSpec();
  spec.mutable_build()->set_repository("https://127.0.0.1:1/nothing.git");
  expect(spec, v1::FAILURE_CLASS_NETWORK, "REPOSITORY_UNREACHABLE", "127.0.0.1");
  spec = farm.BuildSpec();
  spec.set_platform("alipay");
  expect(spec, v1::FAILURE_CLASS_BUILD, "UNKNOWN_PLATFORM", "weixin");
  spec = farm.BuildSpec();
  spec.mutable_build()->set_publish_follows(true);
  expect(spec, v1::FAILURE_CLASS_CREDENTIAL, "NO_CREDENTIAL", "key.sealed");
  farm.Commit({{"slipway.yaml",
                "version: 1\nbuild: {image: slipway-test-min:1, script: build.sh}\n"
                "platforms:\n  weixin: {output: ../../etc}\n"}});
  const v1::AttemptResult hostile = farm.Build();
  CHECK(hostile.failure().failure_class() == v1::FAILURE_CLASS_BUILD);
  CHECK_THAT(hostile.failure().message(), Contains("slipway.yaml:4:") && Contains("output"));
  farm.Commit({{"slipway.yaml",
                "version: 1\nbuild: {image: slipway-missing:9, script: build.sh}\n"
                "platforms:\n  weixin: {output: dist}\n"}});
  expect(farm.BuildSpec(), v1::FAILURE_CLASS_POLICY, "IMAGE_MISSING", "slipway-missing:9");
}

TEST_CASE("slipway-agent: a wrong flag is named, with exit 2", "[integration]") {
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"--frobnicate"}, {"join"}, {"jion", "x"}}) {
    process::Command command;
    command.argv = {SLIPWAY_AGENT_BINARY};
    command.argv.insert(command.argv.end(), wrong.begin(), wrong.end());
    const auto run = process::Run(command);
    REQUIRE_OK(run);
    CHECK(run->exit_code == 2);
    CHECK_THAT(run->err, Contains("slipway-agent --help"));
  }
}

TEST_CASE("slipway-agent: only its own account may look into what it keeps", "[integration]") {
  AgentFarm farm;
  farm.CommitScript(kGoodScript);
  farm.StartAndConnect();
  (void)farm.Build();
  for (const char* name : {"", "/attempts", "/work/run", "/work/mirrors", "/work/trash"}) {
    INFO(name);
    CHECK(std::filesystem::status(farm.data_dir() + name).permissions() ==
          std::filesystem::perms::owner_all);
  }
}

TEST_CASE("slipway-agent: a canceled build ends, whatever it ignores", "[integration]") {
  AgentFarm farm;
  farm.CommitScript("trap '' TERM\necho started\n(trap '' TERM; setsid sleep 300) &\nsleep 300\n");
  farm.Configure("");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "started\n"));
  farm.controller().Cancel(key);
  const auto result = farm.controller().WaitForResult(key);
  REQUIRE(result);
  CHECK(result->failure().failure_class() == v1::FAILURE_CLASS_CANCELED);
  farm.CheckLog(key, *result);
  CHECK(WaitUntil([&] { return farm.Containers() == 0; }));
}

TEST_CASE("slipway-agent: killed in mid-script, its next life takes up the same container",
          "[integration]") {
  AgentFarm farm;
  farm.CommitScript(
      "echo first; i=0; while [ ! -e go ]; do i=$((i+1)); echo line $i; sleep 0.05; done\n"
      "mkdir dist; echo done > dist/app.js; echo last\n");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "line 5\n"));
  const std::string container = farm.ContainerIds();
  REQUIRE(container.size() == 64);
  farm.Kill(SIGKILL);
  CHECK(farm.ContainerIds() == container);
  // What the script prints meanwhile is not lost either.
  const auto more = Shell("docker exec " + container + " /bin/sleep 0.4");
  farm.StartAndConnect();
  REQUIRE(farm.controller().WaitForLog(key, "line 20\n"));
  CHECK(farm.ContainerIds() == container);
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /workspace/go"));
  const auto result = farm.controller().WaitForResult(key);
  REQUIRE(result);
  INFO(farm.Output() << farm.controller().Log(key));
  CHECK_FALSE(result->has_failure());
  farm.CheckLog(key, *result);
  const std::string log = farm.controller().Log(key);
  CHECK(log.find("first\n") == log.rfind("first\n"));
  for (int i = 1; i <= 20; ++i) {
    const std::string line = "\nline " + std::to_string(i) + "\n";
    REQUIRE(log.find(line) != std::string::npos);
    REQUIRE(log.find(line) == log.rfind(line));
  }
  CHECK(WaitUntil([&] { return farm.Containers() == 0; }));
}

TEST_CASE("slipway-agent: what came to be after it had looked is removed when it ends",
          "[integration]") {
  AgentFarm farm;
  farm.StartAndConnect();
  // As the Engine makes it for a process that was killed while it asked.
  const auto made = [](const std::string& farm_id) {
    const auto id = Shell(
        "docker create --label io.slipway.agent=agent-test --label io.slipway.farm=" + farm_id +
        " --label io.slipway.kind=warm slipway-test-min:1 true");
    REQUIRE_OK(id);
    return id->substr(0, id->find('\n'));
  };
  const std::string own = made(farm.controller().farm().value());
  const std::string foreign = made(NewId("farm-"));
  CHECK(farm.Kill(SIGQUIT) == 0);
  CHECK(Shell("docker ps -aq --no-trunc --filter id=" + own).value().empty());
  CHECK_FALSE(Shell("docker ps -aq --no-trunc --filter id=" + foreign).value().empty());
  REQUIRE_OK(Shell("docker rm " + foreign));
}

TEST_CASE("slipway-agent: a container that is stopped after its script takes nothing off the log",
          "[integration]") {
  AgentFarm farm;
  farm.CommitScript(
      "echo first; while [ ! -e go ]; do sleep 0.05; done\n"
      "mkdir dist; echo done > dist/app.js; echo last\n");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "first\n"));
  const std::string container = farm.ContainerIds();
  farm.controller().StopServer();
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /workspace/go"));
  const std::string spool = farm.data_dir() + "/attempts/" + key.task.value() + "-1/control/log";
  REQUIRE(WaitUntil([&] { return ReadFile(spool).find("script ended") != std::string::npos; }));
  // slipway-init ends in good order. It may be gone already.
  (void)Shell("docker stop " + container);
  farm.controller().StartServer();
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output() << farm.controller().Log(key));
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
  farm.CheckLog(key, *result);
  CHECK_THAT(farm.controller().Log(key), Contains("last\n") && Contains("script ended"));
}

TEST_CASE("slipway-agent: a build goes on while the controller is away", "[integration]") {
  AgentFarm farm;
  farm.CommitScript(
      "echo first; while [ ! -e go ]; do sleep 0.05; done\n"
      "mkdir dist; echo done > dist/app.js; echo last\n");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "first\n"));
  const std::string container = farm.ContainerIds();
  farm.controller().StopServer();
  REQUIRE_OK(Shell("docker exec -u 1000:1000 " + container + " /bin/touch /workspace/go"));
  REQUIRE(WaitUntil([&] { return farm.Containers() == 0; }, 20s));
  farm.controller().StartServer();
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
  farm.CheckLog(key, *result);
}

TEST_CASE("slipway-agent: a log that the controller cannot store disturbs no other attempt",
          "[integration]") {
  AgentFarm farm;
  farm.CommitScript("echo words; mkdir dist; echo done > dist/app.js\n");
  farm.StartAndConnect();
  const AttemptKey broken = farm.Key();
  const AttemptKey sound{TaskId(broken.task.value() + "-2"), Attempt(1)};
  farm.controller().FailLog(broken);
  farm.controller().Queue(broken, farm.BuildSpec());
  REQUIRE(WaitUntil([&] { return farm.Output().find("log_stream_lost") != std::string::npos; }));
  farm.controller().Queue(sound, farm.BuildSpec());
  INFO(farm.Output());
  REQUIRE(farm.controller().WaitForResult(sound));
  CHECK(farm.controller().streams_seen() == 1);
  farm.controller().FailLog(std::nullopt);
  const auto result = farm.controller().WaitForResult(broken);
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
  farm.CheckLog(broken, *result);
}

TEST_CASE("slipway-agent: a container that is killed from outside is a lost agent",
          "[integration]") {
  AgentFarm farm;
  farm.CommitScript("echo started; sleep 300\n");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "started\n"));
  REQUIRE_OK(Shell("docker rm -f " + farm.ContainerIds()));
  const auto result = farm.controller().WaitForResult(key);
  REQUIRE(result);
  CHECK(result->failure().failure_class() == v1::FAILURE_CLASS_AGENT_LOST);
  farm.CheckLog(key, *result);
}

TEST_CASE("slipway-agent: a container that is stopped from outside is a lost agent, not a cancel",
          "[integration]") {
  AgentFarm farm;
  farm.CommitScript("echo started; sleep 300\n");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "started\n"));
  // What the Engine does with every container when it is told to end.
  REQUIRE_OK(Shell("docker stop " + farm.ContainerIds()));
  const auto result = farm.controller().WaitForResult(key);
  REQUIRE(result);
  CHECK(result->failure().failure_class() == v1::FAILURE_CLASS_AGENT_LOST);
  CHECK(result->failure().reason() == "CONTAINER_STOPPED");
  farm.CheckLog(key, *result);
}

TEST_CASE("slipway-agent: a container that had to be killed ends for the reason it was killed for",
          "[integration]") {
  AgentFarm farm;
  farm.CommitScript(
      "echo started; sleep 3; for i in 1 2 3; do head -c 30m /dev/zero > f$i; done\n"
      "sleep 300\n");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "started\n"));
  // Process 1 does nothing from now on: it can neither end the script nor leave a result.
  REQUIRE_OK(Shell("kill -STOP $(docker inspect -f '{{.State.Pid}}' " + farm.ContainerIds() + ")"));
  v1::FailureClass klass = v1::FAILURE_CLASS_POLICY;
  std::string reason = "DISK_LIMIT";
  SECTION("a limit") {}
  SECTION("a cancel") {
    farm.controller().Cancel(key);
    klass = v1::FAILURE_CLASS_CANCELED;
    reason = "CANCELED";
  }
  const auto result = farm.controller().WaitForResult(key, 90s);
  INFO(farm.Output() << farm.controller().Log(key));
  REQUIRE(result);
  CHECK(result->failure().failure_class() == klass);
  CHECK(result->failure().reason() == reason);
  farm.CheckLog(key, *result);
  CHECK(WaitUntil([&] { return farm.Containers() == 0; }));
}

TEST_CASE("slipway-agent: a log larger than its budget waits for the controller and loses nothing",
          "[integration]") {
  AgentFarm farm;
  farm.Configure("log_budget: 1MiB\n");
  farm.CommitScript(
      "head -c 20000000 /dev/zero | tr '\\0' x\nmkdir dist; echo done > dist/app.js\n");
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  const v1::AttemptResult result = farm.Build(farm.BuildSpec(), key);
  CHECK_FALSE(result.has_failure());
  CHECK(result.log().size() > 20'000'000);
}

TEST_CASE("slipway-agent: it says why it cannot start or join", "[integration]") {
  AgentFarm farm;
  const auto refuses = [&](const std::string& words) {
    farm.Start();
    CHECK(farm.Kill(0) == 1);
    CHECK_THAT(farm.Output(), Contains(words));
  };
  CHECK(farm.Join({farm.controller().address(), "--token", farm.controller().token()}) == 1);
  CHECK_THAT(farm.Output(), Contains("already"));
  std::filesystem::rename(farm.data_dir(), farm.path("old"));
  refuses("is not a directory");
  CHECK(farm.Join({farm.controller().address(), "--token", "SLP1-00"}) == 1);
  CHECK_THAT(farm.Output(), Contains("not a join token"));
  std::string token = farm.controller().token();
  CHECK(farm.Join({farm.controller().address(), "--token", token + "x"}) == 1);
  CHECK_THAT(farm.Output(), Contains("the token is not valid"));
  token[6] = token[6] == '0' ? '1' : '0';
  CHECK(farm.Join({farm.controller().address(), "--token", token}) == 1);
  CHECK_THAT(farm.Output(), Contains("not the farm that made this token"));
  CHECK(farm.Join({"127.0.0.1:1", "--token", farm.controller().token()}) == 1);
  CHECK_THAT(farm.Output(), Contains("127.0.0.1:1"));
  std::filesystem::remove_all(farm.data_dir());
  std::filesystem::rename(farm.path("old"), farm.data_dir());
  const std::string config = ReadFile(farm.path("config.yaml"));
  WriteFile(farm.path("config.yaml"), "docker: {socket: /nowhere/docker.sock}\n");
  refuses("/nowhere/docker.sock");
  WriteFile(farm.path("config.yaml"), "slots: many\n");
  refuses("config.yaml:1:");
  WriteFile(farm.path("config.yaml"), config);
  farm.StartAndConnect();
  REQUIRE(farm.controller().WaitForStream());
  pid_t second = 0;
  REQUIRE(RunProgram({SLIPWAY_AGENT_BINARY, "run", "--data-dir", farm.data_dir()},
                     farm.path("second"), &second) == 0);
  CHECK(Await(second) == 1);
  CHECK_THAT(ReadFile(farm.path("second")), Contains("another slipway-agent works in"));
}

long RssAnonKib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  long kib = 0;
  while (status >> word) {
    if (word == "RssAnon:") status >> kib;
  }
  return kib;
}

TEST_CASE("slipway-agent: at rest it takes little memory, also after work", "[integration]") {
  AgentFarm farm;
  farm.CommitScript(kGoodScript);
  farm.StartAndConnect();
  const long fresh = RssAnonKib(farm.pid());
  const AttemptKey key = farm.Key();
  REQUIRE_FALSE(farm.Build(farm.BuildSpec(), key).has_failure());
  REQUIRE(farm.controller().WaitUntilForgotten(key));
  const long used = RssAnonKib(farm.pid());
  WARN("RssAnon at rest: " << fresh << " KiB, after a build " << used << " KiB");
  CHECK(fresh > 0);
  CHECK(fresh <= 12 * 1024);
  CHECK(used <= 12 * 1024);
}

// Prints figures; the bound on memory is the requirement's.
TEST_CASE("slipway-agent: 500 MB of log flow in bounded memory", "[.][bench]") {
  AgentFarm farm;
  farm.CommitScript("head -c 500000000 /dev/zero\nmkdir dist; echo done > dist/app.js\n");
  farm.StartAndConnect();
  const long fresh = RssAnonKib(farm.pid());
  const AttemptKey key = farm.Key();
  const auto begin = std::chrono::steady_clock::now();
  farm.controller().Queue(key, farm.BuildSpec());
  long most = 0;
  REQUIRE(WaitUntil(
      [&] {
        most = std::max(most, RssAnonKib(farm.pid()));
        return farm.controller().results_of(key) > 0;
      },
      120s));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::ifstream stat("/proc/" + std::to_string(farm.pid()) + "/stat");
  std::string word;
  for (int i = 0; i < 13; ++i) stat >> word;
  long user = 0;
  long system = 0;
  stat >> user >> system;
  WARN("CPU of the agent: " << user * 10 << " ms user, " << system * 10 << " ms system");
  WARN("500 MB in " << took.count() << " s: " << 500 / took.count() << " MB/s; RssAnon " << fresh
                    << " -> " << most << " KiB");
  farm.CheckLog(key, *farm.controller().WaitForResult(key));
  CHECK(most - fresh <= 64 * 1024);
}

}  // namespace
}  // namespace slipway::testing
