#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/initlink/control_dir.h"
#include "agent/initlink/init_client.h"
#include "agent/initlink/spool_reader.h"
#include "common/base/time.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {

using namespace std::chrono_literals;

inline MonoTime In(Duration d) { return SystemClock().Mono() + d; }

struct ShellResult {
  int status = -1;
  std::string output;
};
inline ShellResult Shell(const std::string& command) {
  ShellResult result;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  while (const std::size_t n = fread(buffer, 1, sizeof(buffer), pipe))
    result.output.append(buffer, n);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  while (!result.output.empty() && result.output.back() == '\n') result.output.pop_back();
  return result;
}

// A directory that is gone afterwards.
class ScratchDir {
 public:
  ScratchDir() {
    std::string name = (std::filesystem::temp_directory_path() / "slipway-init-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The smallest image a script can run in: busybox and nothing else. Kept for all tests.
inline void EnsureTestImage() {
  static const ShellResult made = Shell(R"(
    set -e
    docker image inspect slipway-test-min:1 >/dev/null 2>&1 && exit 0
    [ -x /bin/busybox ] || { echo 'install busybox-static'; exit 1; }
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    mkdir -p "$root"/bin "$root"/etc "$root"/proc "$root"/sys "$root"/dev
    mkdir -m 1777 "$root"/tmp
    cp /bin/busybox "$root"/bin/busybox
    for applet in $(/bin/busybox --list); do
      [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
    done
    tar -C "$root" -c . | docker import --change 'LABEL io.slipway.test=1' - slipway-test-min:1)");
  INFO(made.output);
  REQUIRE(made.status == 0);
}

// A container with slipway-init as process 1, an agent connected to it, and what the agent reads.
class InitContainer {
 public:
  static constexpr std::uint32_t kUid = 1000;

  // `attempt_dir`: an existing empty directory to use instead of an own one.
  explicit InitContainer(const std::string& docker_options = "", std::string attempt_dir = "")
      : attempt_dir_(attempt_dir.empty() ? scratch_.path() : std::move(attempt_dir)) {
    EnsureTestImage();
    auto dir = initlink::ControlDir::Prepare(attempt_dir_);
    REQUIRE_OK(dir);
    dir_.emplace(*std::move(dir));
    const ShellResult run = Shell(
        "docker run -d --label io.slipway.test=1 --network none --user 0:0 --cap-drop ALL"
        " --cap-add KILL --cap-add SETUID --cap-add SETGID --cap-add SETPCAP"
        " --security-opt no-new-privileges --pids-limit 64"
        " --tmpfs /run/secrets:uid=1000,gid=1000,mode=0700,size=1m"
        " --mount type=bind,readonly,src=" SLIPWAY_INIT_BINARY
        ",dst=/slipway/init"
        " --mount type=bind,src=" +
        dir_->path() + ",dst=/slipway/control " + docker_options +
        " slipway-test-min:1 /slipway/init");
    INFO(run.output);
    REQUIRE(run.status == 0);
    id_ = run.output;
    Connect();
    auto reader = initlink::SpoolReader::Open(*dir_);
    REQUIRE_OK(reader);
    reader_.emplace(*std::move(reader));
  }
  ~InitContainer() { Shell("docker rm -f -v " + id_); }
  InitContainer(const InitContainer&) = delete;
  InitContainer& operator=(const InitContainer&) = delete;

  void Connect() {
    auto client = initlink::InitClient::Connect(*dir_, In(10s));
    INFO(Shell("docker logs " + id_).output);
    REQUIRE_OK(client);
    client_ = *std::move(client);
  }
  void Disconnect() { client_.reset(); }

  // A step of `sh -c script` as a plain user.
  init::StepSpec Script(const std::string& script) {
    init::StepSpec spec;
    spec.step = ++last_step_;
    spec.argv = {"/bin/sh", "-c", script};
    spec.env = {"PATH=/bin"};
    spec.cwd = "/tmp";
    spec.uid = kUid;
    spec.gid = kUid;
    spec.term_grace = init::Millis(500);
    spec.drain_time = init::Millis(300);
    return spec;
  }

  // The next event of a kind; others are dropped.
  template <typename E>
  E Expect(Duration patience = 20s) {
    const MonoTime deadline = In(patience);
    for (;;) {
      auto event = client_->WaitEvent(deadline);
      REQUIRE_OK(event);
      if (auto* wanted = std::get_if<E>(&*event)) return std::move(*wanted);
    }
  }

  init::StepResult Run(const init::StepSpec& spec) {
    REQUIRE_OK(client_->RunStep(spec, In(10s)));
    return Expect<init::StepExited>().result;
  }
  init::StepResult Run(const std::string& script) { return Run(Script(script)); }

  // The result file, without any connection.
  init::StepResult AwaitResultFile(std::uint32_t step, Duration patience = 20s) {
    const MonoTime deadline = In(patience);
    for (;;) {
      auto result = dir_->ReadResult(step);
      if (result.ok()) return *result;
      REQUIRE_THAT(result.status(), StatusIs(absl::StatusCode::kNotFound));
      REQUIRE(SystemClock().Mono() < deadline);
      Shell("sleep 0.01");
    }
  }

  std::string Log(std::uint64_t begin = 0) {
    std::string text;
    char buffer[65536];
    for (;;) {
      auto n = reader_->Read(begin + text.size(), buffer, sizeof(buffer));
      REQUIRE_OK(n);
      if (*n == 0) return text;
      text.append(buffer, *n);
    }
  }
  // What step `r` printed.
  std::string Output(const init::StepResult& r) {
    return Log(r.spool_begin).substr(0, r.spool_end - r.spool_begin);
  }

  initlink::InitClient& client() { return *client_; }
  initlink::SpoolReader& reader() { return *reader_; }
  const initlink::ControlDir& dir() const { return *dir_; }
  const std::string& attempt_dir() const { return attempt_dir_; }
  const std::string& id() const { return id_; }

 private:
  ScratchDir scratch_;
  std::string attempt_dir_;
  std::optional<initlink::ControlDir> dir_;
  std::string id_;
  std::unique_ptr<initlink::InitClient> client_;
  std::optional<initlink::SpoolReader> reader_;
  std::uint32_t last_step_ = 0;
};

}  // namespace slipway::testing
