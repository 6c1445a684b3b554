#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/hash.h"
#include "common/loghash/segment_hasher.h"
#include "tests/support/fake_controller.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_image.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {

inline int RunProgram(const std::vector<std::string>& argv, const std::string& output, pid_t* pid) {
  std::vector<char*> raw;
  raw.reserve(argv.size() + 1);
  for (const std::string& one : argv) raw.push_back(const_cast<char*>(one.c_str()));
  raw.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const int error = posix_spawn(pid, raw[0], &actions, nullptr, raw.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

inline int Await(pid_t pid) {
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// A farm of one: the fake controller, the real slipway-agent on the real Docker Engine, and a git
// repository. Whatever it leaves in the Engine is removed.
class AgentFarm {
 public:
  AgentFarm() {
    REQUIRE_OK(EnsureTestImage());
    WriteFile(config_, "slots: 2\ngit: {allow_file: true}\ndocker:\n  socket: " +
                           TestDockerSocket() + "\n  network: " + name_ + "\n" + more_config_);
    REQUIRE(Join({controller_.address(), "--token", controller_.token()}) == 0);
  }
  ~AgentFarm() {
    Kill(SIGKILL);
    // Those that wait or hold a network have no name of the test's, but something of it mounted.
    (void)Shell(
        "for c in $(docker ps -aq --filter label=io.slipway.agent=agent-test); do docker inspect"
        " --format '{{range .Mounts}}{{.Source}} {{end}}' $c | grep -q '" +
        data_dir() + "' && docker rm -f -v $c; done; docker network rm " + name_);
  }
  AgentFarm(const AgentFarm&) = delete;
  AgentFarm& operator=(const AgentFarm&) = delete;

  int Join(std::vector<std::string> arguments) {
    std::vector<std::string> argv = {SLIPWAY_AGENT_BINARY, "join"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    argv.insert(argv.end(), {"--data-dir", data_dir(), "--name", "test"});
    pid_t pid = 0;
    REQUIRE(RunProgram(argv, output_, &pid) == 0);
    return Await(pid);
  }
  void Start() {
    REQUIRE(RunProgram({SLIPWAY_AGENT_BINARY, "run", "--data-dir", data_dir(), "--config", config_},
                       output_, &pid_) == 0);
  }
  // Starts it and waits until it speaks to the controller.
  void StartAndConnect() {
    Start();
    const bool connected = controller_.WaitForStream(std::chrono::seconds(15));
    INFO(Output());
    REQUIRE(connected);
  }
  // Its exit status, when it ran.
  std::optional<int> Kill(int signal) {
    if (pid_ == 0) return std::nullopt;
    kill(pid_, signal);
    const int status = Await(pid_);
    pid_ = 0;
    return status;
  }
  pid_t pid() const { return pid_; }
  std::string Output() { return ReadFile(output_); }
  void Configure(const std::string& more) {
    more_config_ = more;
    WriteFile(config_, ReadFile(config_) + more);
  }

  // A commit of these files on branch main.
  void Commit(const std::map<std::string, std::string>& files) {
    for (const auto& [path, content] : files) WriteFile(repository() + "/" + path, content);
    REQUIRE_OK(Shell("cd " + repository() +
                     " && { [ -d .git ] || git init -q -b main; } && git add -A &&"
                     " git -c user.name=t -c user.email=t@example.org commit -qm 'A commit'"));
  }
  // A project whose script is `script`.
  void CommitScript(const std::string& script, const std::string& build = "",
                    const std::string& output = "dist") {
    Commit({{"slipway.yaml",
             "version: 1\nbuild:\n  image: slipway-test-min:1\n  script: build.sh\n"
             "  timeout: 60s\n  limits: {cpus: 1, memory: 128MiB, pids: 64, disk: 64MiB}\n" +
                 build + "platforms:\n  weixin: {app_id: wx123, output: " + output +
                 ", credential: key.sealed}\n"},
            {"build.sh", script}});
  }
  v1::TaskSpec BuildSpec(const std::string& ref = "main") {
    v1::TaskSpec spec;
    spec.set_application("app-1");
    spec.set_application_name("shop");
    spec.set_platform("weixin");
    spec.set_description("a description");
    spec.mutable_build()->set_repository(repository());
    spec.mutable_build()->set_ref(ref);
    return spec;
  }
  AttemptKey Key() { return {TaskId(name_ + "-" + std::to_string(++last_)), Attempt(1)}; }

  // Builds and waits; the log and the result must agree.
  v1::AttemptResult Build(const v1::TaskSpec& spec, const AttemptKey& key) {
    controller_.Queue(key, spec);
    const auto result = controller_.WaitForResult(key, std::chrono::seconds(90));
    INFO(Output());
    REQUIRE(result);
    CheckLog(key, *result);
    return *result;
  }
  v1::AttemptResult Build() { return Build(BuildSpec(), Key()); }
  void CheckLog(const AttemptKey& key, const v1::AttemptResult& result) {
    const std::string log = controller_.Log(key);
    CHECK(result.log().size() == log.size());
    CHECK(result.log().missing() == 0);
    CHECK(result.log().root() == loghash::RootOf(log).Bytes());
  }

  FakeController& controller() { return controller_; }
  std::string data_dir() const { return dir_ / "agent"; }
  std::string repository() const { return dir_ / "repository"; }
  std::string path(const std::string& name) const { return dir_ / name; }
  int Containers() {
    const auto list = Shell("docker ps -aq --filter name=" + name_ + " | wc -l");
    REQUIRE_OK(list);
    return std::stoi(*list);
  }
  std::string ContainerIds() {
    const auto list = Shell("docker ps -q --no-trunc --filter name=" + name_);
    REQUIRE_OK(list);
    return *list;
  }

 private:
  TempDir dir_;
  const std::string name_ = NewId("t-");
  const std::string config_ = dir_ / "config.yaml";
  const std::string output_ = dir_ / "output";
  std::string more_config_;
  FakeController controller_;
  pid_t pid_ = 0;
  int last_ = 0;
};

}  // namespace slipway::testing
