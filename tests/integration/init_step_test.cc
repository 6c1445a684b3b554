#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "tests/integration/init_container.h"

namespace slipway::testing {
namespace {

using init::Millis;
using init::StopReason;

TEST_CASE("slipway-init: exit codes, signals and programs that do not start are told apart",
          "[integration][init]") {
  InitContainer c;
  const auto exited = c.Run("echo out; echo err >&2; exit 7");
  CHECK(exited.reason == StopReason::kExited);
  CHECK(exited.exit_code == 7);
  CHECK(exited.signal == 0);
  CHECK_FALSE(exited.left_processes);
  CHECK(exited.oom == init::OomState::kNo);
  CHECK(exited.end_unix_us >= exited.start_unix_us);
  CHECK(exited.max_rss_kib > 0);
  CHECK(c.Output(exited) == "out\nerr\n");

  const auto signaled = c.Run("kill -SEGV $$");
  CHECK(signaled.reason == StopReason::kSignaled);
  CHECK(signaled.signal == SIGSEGV);

  auto missing = c.Script("");
  missing.argv = {"no-such-tool"};
  const auto not_started = c.Run(missing);
  CHECK(not_started.reason == StopReason::kStartFailed);
  CHECK(not_started.error == "execve no-such-tool: No such file or directory");

  auto nowhere = c.Script("true");
  nowhere.cwd = "/nowhere";
  CHECK(c.Run(nowhere).error == "chdir /nowhere: No such file or directory");

  auto by_path = c.Script("");
  by_path.argv = {"echo", "found"};
  CHECK(c.Output(c.Run(by_path)) == "found\n");

  const auto stored = c.dir().ReadResult(1);
  REQUIRE_OK(stored);
  CHECK(*stored == exited);
}

std::int64_t BootTime(Duration from_now) { return In(from_now).time_since_epoch().count(); }

TEST_CASE("slipway-init: a program is not started after its latest start", "[integration][init]") {
  InitContainer c;
  auto in_time = c.Script("echo in time");
  in_time.start_before_ns = BootTime(30s);
  CHECK(c.Output(c.Run(in_time)) == "in time\n");

  auto late = c.Script("echo late");
  late.start_before_ns = BootTime(0s);
  const auto refused = c.Run(late);
  CHECK(refused.reason == StopReason::kTooLate);
  CHECK(c.Output(refused).empty());
  CHECK(c.AwaitResultFile(late.step) == refused);

  // Frozen with the order in its socket, and thawed when the time has passed.
  auto frozen = c.Script("echo frozen");
  const std::string pid = Shell("docker inspect -f '{{.State.Pid}}' " + c.id()).output;
  REQUIRE(Shell("kill -STOP " + pid).status == 0);
  frozen.start_before_ns = BootTime(300ms);
  CHECK_THAT(c.client().RunStep(frozen, In(500ms)), StatusIs(absl::StatusCode::kDeadlineExceeded));
  REQUIRE(Shell("kill -CONT " + pid).status == 0);
  const auto thawed = c.Expect<init::StepExited>().result;
  CHECK(thawed.step == frozen.step);
  CHECK(thawed.reason == StopReason::kTooLate);
  CHECK(c.Output(thawed).empty());
}

TEST_CASE("slipway-init: masks a text for whoever asks, also for an agent that came later",
          "[integration][init]") {
  InitContainer c;
  REQUIRE_OK(c.client().SetMasks({"hunter22"}, In(5s)));
  c.Disconnect();
  c.Connect();
  const auto masked = c.client().MaskText("the key is hunter22.", In(5s));
  REQUIRE_OK(masked);
  CHECK(*masked == "the key is ***.");
  CHECK(c.client().MaskText(std::string(init::kMaxMaskText, 'x'), In(5s))->size() ==
        init::kMaxMaskText);
  CHECK_THAT(c.client().MaskText(std::string(init::kMaxMaskText + 1, 'x'), In(5s)).status(),
             StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_CASE("slipway-init: one that waits takes its log later and runs nothing before",
          "[integration][init]") {
  ScratchDir attempt;
  auto mine = initlink::ControlDir::Prepare(attempt.path());
  REQUIRE_OK(mine);
  std::ofstream(attempt.path() + "/control/log") << "slipway: fetched\n";
  std::filesystem::create_directory(attempt.path() + "/stall");
  auto waiting = initlink::ControlDir::PrepareWaiting(attempt.path() + "/stall");
  REQUIRE_OK(waiting);
  EnsureTestImage();
  const ShellResult run = Shell(
      "docker run -d --label io.slipway.test=1 --network none --user 0:0 --cap-drop ALL"
      " --cap-add KILL --cap-add SETUID --cap-add SETGID --cap-add SETPCAP"
      " --security-opt no-new-privileges --pids-limit 64"
      " --mount type=bind,readonly,src=" SLIPWAY_INIT_BINARY
      ",dst=/slipway/init --mount type=bind,src=" +
      waiting->path() + ",dst=/slipway/control slipway-test-min:1 /slipway/init --wait");
  INFO(run.output);
  REQUIRE(run.status == 0);
  const absl::Cleanup remove = [&] { Shell("docker rm -f -v " + run.output); };
  auto client = initlink::InitClient::Connect(*waiting, In(10s));
  REQUIRE_OK(client);
  init::StepSpec step;
  step.step = 1;
  step.argv = {"/bin/sh", "-c", "echo in the container"};
  step.env = {"PATH=/bin"};
  step.cwd = "/tmp";
  step.uid = 1000;
  step.gid = 1000;
  CHECK_THAT((*client)->RunStep(step, In(5s)), StatusIs(absl::StatusCode::kInvalidArgument));
  CHECK_THAT((*client)->AppendLog("x", In(5s)), StatusIs(absl::StatusCode::kInvalidArgument));
  // There is none yet.
  CHECK_FALSE((*client)->OpenLog(In(5s)).ok());

  REQUIRE_OK(mine->Join(*std::move(waiting)));
  REQUIRE_OK((*client)->OpenLog(In(5s)));
  REQUIRE_OK((*client)->OpenLog(In(5s)));
  REQUIRE_OK((*client)->RunStep(step, In(5s)));
  for (;;) {
    auto event = (*client)->WaitEvent(In(20s));
    REQUIRE_OK(event);
    if (const auto* exited = std::get_if<init::StepExited>(&*event)) {
      CHECK(exited->result.exit_code == 0);
      break;
    }
  }
  CHECK_OK(mine->ReadResult(1));
  std::ifstream log(attempt.path() + "/control/log");
  CHECK(std::string(std::istreambuf_iterator<char>(log), {}) ==
        "slipway: fetched\nin the container\n");
  // An agent that came later finds it where the attempt is.
  const auto again = initlink::ControlDir::Open(attempt.path());
  REQUIRE_OK(again);
  CHECK_OK(initlink::InitClient::Connect(*again, In(5s)));
}

TEST_CASE("slipway-init: a step number runs once, and only one step at a time",
          "[integration][init]") {
  InitContainer c;
  const auto first = c.Script("sleep 30");
  REQUIRE_OK(c.client().RunStep(first, In(5s)));
  CHECK_THAT(c.client().RunStep(first, In(5s)), StatusIs(absl::StatusCode::kAlreadyExists));
  CHECK_THAT(c.client().RunStep(c.Script("true"), In(5s)),
             StatusIs(absl::StatusCode::kFailedPrecondition));
  CHECK_THAT(c.client().Cancel(99, Millis(0), In(5s)), StatusIs(absl::StatusCode::kNotFound));
  REQUIRE_OK(c.client().GetStatus(In(5s)));
  CHECK(c.client().hello().state == init::RunState::kRunning);
  CHECK(c.client().hello().step == 1);
  REQUIRE_OK(c.client().Cancel(1, Millis(5000), In(5s)));
  const auto canceled = c.Expect<init::StepExited>().result;
  CHECK(canceled.reason == StopReason::kCanceled);
  CHECK(canceled.signal == SIGTERM);

  auto as_owner = c.Script("true");
  as_owner.step = 10;
  as_owner.uid = c.dir().owner_uid();
  CHECK_THAT(c.client().RunStep(as_owner, In(5s)), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_CASE("slipway-init: a step has no capability, no new privileges and nothing of init's",
          "[integration][init]") {
  InitContainer c;
  for (const std::uint32_t uid : {1000U, 0U}) {
    INFO("uid " << uid);
    auto spec = c.Script(
        "grep -E '^(Cap|NoNewPrivs|Uid|Groups)' /proc/self/status; ls /proc/self/fd | wc -l;"
        "ls /slipway/control; cat /slipway/control/log; echo x > /slipway/control/step-9.result;"
        "kill -KILL 1; kill -TERM 1; cat /proc/1/environ; umask; echo still here");
    spec.uid = uid;
    const auto result = c.Run(spec);
    const std::string output = c.Output(result);
    INFO(output);
    CHECK(result.reason == StopReason::kExited);
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
      CHECK(output.find(std::string(set) + ":\t0000000000000000\n") != std::string::npos);
    }
    CHECK(output.find("NoNewPrivs:\t1\n") != std::string::npos);
    const std::string id = std::to_string(uid);
    CHECK(output.find("Uid:\t" + id + "\t" + id + "\t" + id + "\t" + id + "\n") !=
          std::string::npos);
    CHECK(output.find("ls: can't open '/slipway/control': Permission denied") != std::string::npos);
    CHECK(output.find("cat: can't open '/slipway/control/log': Permission denied") !=
          std::string::npos);
    CHECK(output.find("can't create /slipway/control/step-9.result: Permission denied") !=
          std::string::npos);
    CHECK(output.find("0022\nstill here\n") != std::string::npos);
    // 0, 1, 2 and the directory that ls reads.
    CHECK(output.find("\n4\n") != std::string::npos);
  }
  CHECK(c.Output(c.Run("echo and so is init")) == "and so is init\n");
}

TEST_CASE("slipway-init: daemons do not outlive the step and do not delay it",
          "[integration][init]") {
  InitContainer c;
  const MonoTime start = SystemClock().Mono();
  const auto result = c.Run(
      "setsid sh -c 'sleep 1000 & sleep 1000' & nohup sleep 1000 & "
      "(setsid sh -c \"trap '' TERM HUP; while :; do sleep 1; done\" >/dev/null 2>&1 &); exit 3");
  CHECK(SystemClock().Mono() - start < 3s);
  CHECK(result.reason == StopReason::kExited);
  CHECK(result.exit_code == 3);
  CHECK(result.left_processes);
  const std::string left = c.Output(c.Run("ps | grep -c '[s]leep 1000'"));
  CHECK(left == "0\n");
  // Zombies are reaped: only init, the shell and ps are left.
  CHECK(c.Output(c.Run("ps -o pid,stat | grep -c Z")) == "0\n");

  const MonoTime quiet = SystemClock().Mono();
  const auto closed = c.Run("setsid sleep 1000 >/dev/null 2>&1 & exit 0");
  CHECK(SystemClock().Mono() - quiet < 250ms);  // less than drain_time: nobody held the pipe
  CHECK(closed.left_processes);

  // What a straggler prints within the drain time is kept.
  const auto late = c.Run("(sleep 0.1; echo late) & exit 0");
  CHECK(c.Output(late) == "late\n");
  CHECK_FALSE(late.left_processes);
}

TEST_CASE("slipway-init: who ignores TERM is killed after the grace", "[integration][init]") {
  InitContainer c;
  const auto spec = c.Script("trap '' TERM; echo ready; while :; do sleep 0.05; done");
  REQUIRE_OK(c.client().RunStep(spec, In(5s)));
  c.Expect<init::Doorbell>();
  const MonoTime start = SystemClock().Mono();
  REQUIRE_OK(c.client().Cancel(spec.step, Millis(300), In(5s)));
  const auto result = c.Expect<init::StepExited>().result;
  const Duration took = SystemClock().Mono() - start;
  CHECK(took >= 300ms);
  CHECK(took < 3s);
  CHECK(result.reason == StopReason::kCanceled);
  CHECK(result.signal == SIGKILL);
}

TEST_CASE("slipway-init: deadlines are kept with no agent connected", "[integration][init]") {
  InitContainer c;
  auto slow = c.Script("while :; do echo tick; sleep 0.05; done");
  slow.run_timeout = Millis(400);
  slow.no_output_timeout = Millis(5000);
  REQUIRE_OK(c.client().RunStep(slow, In(5s)));
  c.Disconnect();
  const auto timed_out = c.AwaitResultFile(slow.step);
  CHECK(timed_out.reason == StopReason::kRunTimeout);
  CHECK(timed_out.end_unix_us - timed_out.start_unix_us >= 400'000);
  CHECK(c.Output(timed_out).rfind("tick\ntick\n", 0) == 0);

  c.Connect();
  CHECK(c.client().hello().state == init::RunState::kIdle);
  REQUIRE(c.client().hello().results.size() == 1);
  CHECK(c.client().hello().results[0] == timed_out);

  auto silent = c.Script("echo once; sleep 1000");
  silent.no_output_timeout = Millis(300);
  REQUIRE_OK(c.client().RunStep(silent, In(5s)));
  c.Disconnect();
  CHECK(c.AwaitResultFile(silent.step).reason == StopReason::kNoOutputTimeout);
}

TEST_CASE("slipway-init: a fork bomb ends with its step", "[integration][init]") {
  InitContainer c;
  auto bomb = c.Script("b() { b | b & }; b; sleep 1000");
  bomb.run_timeout = Millis(700);
  bomb.term_grace = Millis(100);
  const auto result = c.Run(bomb);
  CHECK(result.reason == StopReason::kRunTimeout);
  const auto after = c.Run("ps | wc -l");
  CHECK(after.exit_code == 0);
  CHECK(std::stoi(c.Output(after)) <= 6);
}

TEST_CASE("slipway-init: a file size limit holds", "[integration][init]") {
  InitContainer c;
  auto spec = c.Script("exec dd if=/dev/zero of=/tmp/big bs=64k count=64 2>/dev/null");
  spec.max_file_size = 1 << 20;
  CHECK(c.Run(spec).signal == SIGXFSZ);
}

TEST_CASE("slipway-init: shutdown ends the step as canceled and the container with 0",
          "[integration][init]") {
  InitContainer c;
  const auto spec = c.Script("trap '' TERM; sleep 1000");
  REQUIRE_OK(c.client().RunStep(spec, In(5s)));
  REQUIRE_OK(c.client().Shutdown(Millis(100), In(5s)));
  CHECK(Shell("docker wait " + c.id()).output == "0");
  const auto result = c.dir().ReadResult(spec.step);
  REQUIRE_OK(result);
  CHECK(result->reason == StopReason::kCanceled);
}

TEST_CASE("slipway-init: docker stop is an orderly shutdown", "[integration][init]") {
  InitContainer c;
  REQUIRE_OK(c.client().RunStep(c.Script("sleep 1000"), In(5s)));
  REQUIRE(Shell("docker stop -t 10 " + c.id()).status == 0);
  CHECK(Shell("docker inspect -f '{{.State.ExitCode}}' " + c.id()).output == "0");
  CHECK(c.AwaitResultFile(1).reason == StopReason::kCanceled);
}

TEST_CASE("slipway-init: memory that runs out is reported", "[integration][init]") {
  InitContainer c("--memory 64m --memory-swap 64m");
  const auto result = c.Run("head -c 200m /dev/zero | tail");
  CHECK(result.oom == init::OomState::kYes);
  CHECK(c.Run("true").oom == init::OomState::kNo);
}

TEST_CASE("slipway-init: refuses to run as anything but process 1", "[integration][init]") {
  const ShellResult refused = Shell(SLIPWAY_INIT_BINARY " --control /tmp");
  CHECK(refused.status == 2);
  CHECK(refused.output.find("not process 1") != std::string::npos);
}

}  // namespace
}  // namespace slipway::testing
