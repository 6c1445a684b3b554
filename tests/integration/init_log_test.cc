#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <random>

#include "common/crypto/hash.h"
#include "tests/integration/init_container.h"

namespace slipway::testing {
namespace {

using init::Millis;
using init::StopReason;

// A file of bytes that do not repeat, readable by every step, and their digest.
Sha256Digest WriteNoise(const std::string& path, std::size_t size) {
  crypto::Sha256Hasher sha;
  std::mt19937_64 random(42);
  std::ofstream out(path, std::ios::binary);
  std::string block(1 << 20, '\0');
  for (std::size_t at = 0; at < size; at += block.size()) {
    for (std::size_t i = 0; i < block.size(); i += 8) {
      const std::uint64_t value = random();
      std::copy_n(reinterpret_cast<const char*>(&value), 8, &block[i]);
    }
    block.resize(std::min(block.size(), size - at));
    out.write(block.data(), static_cast<std::streamsize>(block.size()));
    sha.Update(block);
  }
  out.close();
  REQUIRE(chmod(path.c_str(), 0644) == 0);
  return sha.Finish();
}

// What an agent does with a log: read, hash, acknowledge, free. Until the step has ended and all is
// read.
struct Consumed {
  init::StepResult result;
  Sha256Digest sha256;
  std::uint64_t bytes = 0;
};
Consumed Consume(InitContainer& c) {
  Consumed consumed;
  crypto::Sha256Hasher sha;
  std::vector<char> buffer(256 << 10);
  bool ended = false;
  for (;;) {
    auto n = c.reader().Read(consumed.bytes, buffer.data(), buffer.size());
    REQUIRE_OK(n);
    if (*n > 0) {
      sha.Update({buffer.data(), *n});
      consumed.bytes += *n;
      if (!ended) REQUIRE_OK(c.client().SetDurable(consumed.bytes, In(5s)));
      REQUIRE_OK(c.reader().FreeBelow(consumed.bytes));
      continue;
    }
    if (ended && consumed.bytes == consumed.result.spool_end) break;
    REQUIRE_FALSE(ended);
    auto event = c.client().WaitEvent(In(20s));
    REQUIRE_OK(event);
    if (auto* exited = std::get_if<init::StepExited>(&*event)) {
      consumed.result = exited->result;
      ended = true;
    }
  }
  consumed.sha256 = sha.Finish();
  return consumed;
}

TEST_CASE("slipway-init: 200 MB of log arrive byte-exact through a small budget",
          "[integration][init]") {
  constexpr std::size_t kSize = std::size_t{200} << 20;
  ScratchDir data;
  const Sha256Digest expected = WriteNoise(data.path() + "/noise", kSize);
  InitContainer c("--mount type=bind,readonly,src=" + data.path() + "/noise,dst=/noise");
  REQUIRE_OK(c.client().SetMasks({"hunter2swordfish", "another-secret", "third secret"}, In(5s)));
  REQUIRE_OK(c.client().SetBudget(16 << 20, In(5s)));
  REQUIRE_OK(c.client().RunStep(c.Script("exec cat /noise"), In(5s)));
  const Consumed consumed = Consume(c);
  CHECK(consumed.result.exit_code == 0);
  CHECK(consumed.bytes == kSize);
  CHECK(consumed.sha256 == expected);
  struct stat st {};
  REQUIRE(stat((c.dir().path() + "/log").c_str(), &st) == 0);
  CHECK(st.st_blocks * 512 < (24 << 20));  // what was acknowledged does not take space
}

TEST_CASE("slipway-init: a secret split over two writes is masked, and counted as masked",
          "[integration][init]") {
  InitContainer c;
  REQUIRE_OK(c.client().SetMasks({"hunter2swordfish"}, In(5s)));
  REQUIRE_OK(c.client().AppendLog("agent: using hunter2swordfish\n", In(5s)));
  const auto result = c.Run("printf 'pw=hunter2'; sleep 0.3; echo swordfish; printf hunter2");
  const std::string expected = "agent: using ***\npw=***\nhunter2";
  CHECK(c.Log() == expected);
  CHECK(result.spool_end == expected.size());
  CHECK(Shell("grep -rc swordfish " + c.dir().path() + "/log").output == "0");
}

TEST_CASE("slipway-init: secrets go to tmpfs only, to the step's user only",
          "[integration][init]") {
  InitContainer c;
  init::WriteSecret secret{"/run/secrets/key", "s3cr3t\n", 0400, 1000, 1000};
  REQUIRE_OK(c.client().WriteSecret(secret, In(5s)));
  secret.bytes = "s3cr3t2\n";
  REQUIRE_OK(c.client().WriteSecret(secret, In(5s)));
  CHECK(c.Output(c.Run("cat /run/secrets/key; stat -c '%a %u %g' /run/secrets/key")) ==
        "s3cr3t2\n400 1000 1000\n");
  auto other = c.Script("cat /run/secrets/key");
  other.uid = 1001;
  CHECK(c.Run(other).exit_code == 1);

  CHECK(c.Run("ln -s /run/secrets /tmp/link; ln -s /tmp/stolen /run/secrets/trap").exit_code == 0);
  for (const char* path :
       {"/tmp/key", "/tmp/link/key", "key", "/run/secrets/", "/run/secrets/.."}) {
    INFO(path);
    secret.path = path;
    CHECK_THAT(c.client().WriteSecret(secret, In(5s)),
               StatusIs(absl::StatusCode::kInvalidArgument));
  }
  // A link left by an earlier step is replaced, not followed.
  secret.path = "/run/secrets/trap";
  REQUIRE_OK(c.client().WriteSecret(secret, In(5s)));
  CHECK(c.Run("test -f /run/secrets/trap && test ! -L /run/secrets/trap && test ! -e /tmp/stolen")
            .exit_code == 0);
}

TEST_CASE("slipway-init: an agent killed in mid-step finds everything again",
          "[integration][init]") {
  InitContainer c;
  c.Disconnect();
  int started[2];
  REQUIRE(pipe(started) == 0);
  const auto spec =
      c.Script("for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; sleep 0.1; done; exit 4");
  const pid_t agent = fork();
  REQUIRE(agent >= 0);
  if (agent == 0) {
    auto client = initlink::InitClient::Connect(c.dir(), In(5s));
    if (client.ok() && (*client)->RunStep(spec, In(5s)).ok()) (void)!write(started[1], "x", 1);
    pause();
    _exit(1);
  }
  char byte;
  REQUIRE(read(started[0], &byte, 1) == 1);
  REQUIRE(kill(agent, SIGKILL) == 0);
  REQUIRE(waitpid(agent, nullptr, 0) == agent);
  close(started[0]);
  close(started[1]);

  // A new agent knows nothing but the attempt directory.
  auto dir = initlink::ControlDir::Open(c.attempt_dir());
  REQUIRE_OK(dir);
  auto client = initlink::InitClient::Connect(*dir, In(5s));
  REQUIRE_OK(client);
  CHECK((*client)->hello().state == init::RunState::kRunning);
  CHECK((*client)->hello().step == spec.step);
  CHECK_THAT((*client)->RunStep(spec, In(5s)), StatusIs(absl::StatusCode::kAlreadyExists));
  const auto result = c.AwaitResultFile(spec.step);
  CHECK(result.exit_code == 4);
  std::string expected;
  for (int i = 1; i <= 10; ++i) expected += "line " + std::to_string(i) + "\n";
  CHECK(c.Output(result) == expected);
}

TEST_CASE("slipway-init: a newcomer replaces the connected agent", "[integration][init]") {
  InitContainer c;
  auto second = initlink::InitClient::Connect(c.dir(), In(5s));
  REQUIRE_OK(second);
  CHECK_THAT(c.client().GetStatus(In(5s)), StatusIs(absl::StatusCode::kUnavailable, "INIT_GONE"));
  CHECK_OK((*second)->GetStatus(In(5s)));
}

TEST_CASE("slipway-init: a full budget makes the step wait, durable offsets release it",
          "[integration][init]") {
  InitContainer c;
  constexpr std::uint64_t kBudget = 1 << 20;
  constexpr std::uint64_t kTotal = 8 << 20;
  REQUIRE_OK(c.client().SetBudget(kBudget, In(5s)));
  auto spec = c.Script("head -c 8388608 /dev/zero; echo done");
  spec.no_output_timeout = Millis(600);
  REQUIRE_OK(c.client().RunStep(spec, In(5s)));
  CHECK(c.Expect<init::Backpressure>().flags == init::kBudgetFull);
  // Longer than the no-output timeout: waiting for us is not the step's silence.
  CHECK_THAT(c.client().WaitEvent(In(1s)).status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  REQUIRE_OK(c.client().GetStatus(In(5s)));
  CHECK(c.client().hello().state == init::RunState::kRunning);
  CHECK(c.client().hello().backpressure == init::kBudgetFull);
  CHECK(c.client().hello().spool_end >= kBudget);
  CHECK(c.client().hello().spool_end < 2 * kBudget);
  const Consumed consumed = Consume(c);
  CHECK(consumed.result.reason == StopReason::kExited);
  CHECK(consumed.bytes == kTotal + 5);
  CHECK(consumed.sha256 == crypto::Sha256Of(std::string(kTotal, '\0') + "done\n"));
}

TEST_CASE("slipway-init: a full budget does not hold back the result", "[integration][init]") {
  InitContainer c;
  REQUIRE_OK(c.client().SetBudget(1000, In(5s)));
  const auto result = c.Run("head -c 700000 /dev/zero; sleep 0.1; head -c 300000 /dev/zero");
  CHECK(result.spool_end == 1'000'000);
  CHECK(c.Log().size() == 1'000'000);
}

TEST_CASE("slipway-init: a full disk makes the step wait and loses nothing",
          "[integration][init]") {
  ScratchDir mount_point;
  REQUIRE(mount("tmpfs", mount_point.path().c_str(), "tmpfs", 0, "size=12m,mode=0755") == 0);
  {
    InitContainer c("", mount_point.path());
    REQUIRE_OK(c.client().RunStep(c.Script("head -c 31457280 /dev/zero; echo done"), In(5s)));
    CHECK(c.Expect<init::Backpressure>().flags == init::kDiskFull);
    const Consumed consumed = Consume(c);
    CHECK(consumed.result.reason == StopReason::kExited);
    CHECK(consumed.bytes == 31457280 + 5);
    CHECK(consumed.sha256 == crypto::Sha256Of(std::string(31457280, '\0') + "done\n"));
    REQUIRE_OK(c.dir().ReadResult(1));
  }
  REQUIRE(umount(mount_point.path().c_str()) == 0);
}

TEST_CASE("slipway-init: the log's times follow the output", "[integration][init]") {
  InitContainer c;
  const auto result = c.Run("echo first; sleep 0.3; echo second");
  const auto marks = c.reader().TimesSince(0);
  REQUIRE_OK(marks);
  REQUIRE(marks->size() == 2);
  CHECK((*marks)[0].offset == 0);
  CHECK((*marks)[1].offset == 6);
  CHECK((*marks)[1].unix_us - (*marks)[0].unix_us >= 290'000);
  CHECK((*marks)[1].unix_us <= result.end_unix_us);
  const auto second = c.reader().TimesSince(8);
  REQUIRE_OK(second);
  CHECK(*second == std::vector<initlink::TimeMark>{(*marks)[1]});
}

TEST_CASE("slipway-init: whoever replaces the log in the container is noticed by the agent",
          "[integration][init]") {
  EnsureTestImage();
  for (const char* deed : {"mv log old; ln -s /etc/shadow log", "mv log old; ln old log",
                           "mv log old; cp old log", "mv log old; mkfifo log", "ln log second",
                           "rm log", "mv log.times t; ln -s log log.times"}) {
    INFO(deed);
    ScratchDir attempt;
    const auto prepared = initlink::ControlDir::Prepare(attempt.path());
    REQUIRE_OK(prepared);
    const auto early = initlink::SpoolReader::Open(*prepared);
    REQUIRE_OK(early);
    std::ofstream(prepared->path() + "/log") << "precious";
    // Docker's usual root, which may do more than any step.
    const ShellResult done =
        Shell("docker run --rm --label io.slipway.test=1 --network none --mount type=bind,src=" +
              prepared->path() + ",dst=/c slipway-test-min:1 /bin/sh -c 'cd /c && " + deed + "'");
    INFO(done.output);
    REQUIRE(done.status == 0);
    auto dir = initlink::ControlDir::Open(attempt.path());
    REQUIRE_OK(dir);
    CHECK_THAT(initlink::SpoolReader::Open(*dir).status(),
               StatusIs(absl::StatusCode::kFailedPrecondition, "CONTROL_DIR_TAMPERED"));
    // Who held the file open before still reads the true log.
    char buffer[32];
    const auto n = early->Read(0, buffer, sizeof(buffer));
    REQUIRE_OK(n);
    CHECK(std::string(buffer, *n) == "precious");
  }
}

TEST_CASE("slipway-init: no process of the container can talk to it", "[integration][init]") {
  InitContainer c;
  // Root with every capability and a view of the control directory, but inside the PID namespace.
  const std::string pid = Shell("docker inspect -f '{{.State.Pid}}' " + c.id()).output;
  const pid_t outer = fork();
  REQUIRE(outer >= 0);
  if (outer == 0) {
    const int ns = open(("/proc/" + pid + "/ns/pid").c_str(), O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWPID) != 0) _exit(2);
    const pid_t inner = fork();
    if (inner == 0) {
      const auto client = initlink::InitClient::Connect(c.dir(), In(500ms));
      // The deadline may come while the last attempt waits to be hung up on.
      _exit(client.status().code() == absl::StatusCode::kUnavailable ||
                    client.status().code() == absl::StatusCode::kDeadlineExceeded
                ? 0
                : 1);
    }
    int status = 0;
    waitpid(inner, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
  }
  int status = 0;
  REQUIRE(waitpid(outer, &status, 0) == outer);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  // Nor has it pushed the agent out.
  CHECK_OK(c.client().GetStatus(In(5s)));
}

TEST_CASE("slipway-init: figures", "[.][bench][init]") {
  InitContainer c;
  std::printf("%s\n", Shell("docker inspect -f '{{.State.Pid}}' " + c.id() +
                            " | xargs -I@ grep -E 'VmRSS|RssAnon|RssFile' /proc/@/status")
                          .output.c_str());
  const MonoTime start = SystemClock().Mono();
  for (int i = 0; i < 100; ++i) {
    auto spec = c.Script("");
    spec.argv = {"/bin/true"};
    c.Run(spec);
  }
  std::printf(
      "step start to result: %.2f ms\n",
      std::chrono::duration<double, std::milli>(SystemClock().Mono() - start).count() / 100);
  for (const std::vector<std::string>& secrets :
       {std::vector<std::string>{},
        {"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "correct horse", "AKIAIOSFODNN7EXAMPLE",
         "ab1!", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}}) {
    InitContainer big;
    REQUIRE_OK(big.client().SetMasks(secrets, In(5s)));
    REQUIRE_OK(big.client().SetBudget(std::uint64_t{1} << 40, In(5s)));
    const auto spec = big.Script(
        "yes '[webpack] built module ./src/pages/index-1234567.js in 123 ms (cached)' | head -c "
        "1000000000");
    const auto r = big.Run(spec);
    const std::string pid = Shell("docker inspect -f '{{.State.Pid}}' " + big.id()).output;
    const std::string ticks = Shell("cut -d' ' -f14,15 /proc/" + pid + "/stat").output;
    std::printf("%zu secrets: %.0f MB/s wall, init CPU ticks (user, system) %s for 1000 MB\n",
                secrets.size(), 1e9 / static_cast<double>(r.end_unix_us - r.start_unix_us),
                ticks.c_str());
  }
}

}  // namespace
}  // namespace slipway::testing
