#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "agent/init/spool.h"
#include "agent/init/step_core.h"

namespace slipway::init {
namespace {

using namespace std::chrono_literals;
using Action = StepCore::Action;

StepSpec Limits() {
  StepSpec spec;
  spec.run_timeout = Millis(60'000);
  spec.no_output_timeout = Millis(10'000);
  spec.term_grace = Millis(5'000);
  spec.drain_time = Millis(1'000);
  return spec;
}

const MonoTime kStart{1000s};

TEST_CASE("StepCore: a step whose last process has exited is over at once", "[unit][init]") {
  StepCore core(Limits(), kStart);
  CHECK(core.Advance(kStart + 1s) == Action::kNone);
  CHECK_FALSE(core.ending());
  core.OnChildExited(false, kStart + 2s);
  CHECK(core.ending());
  CHECK_FALSE(core.over());
  core.OnNobodyLeft();
  CHECK(core.over());
  CHECK(core.reason() == StopReason::kExited);
  CHECK_FALSE(core.left_processes());
}

TEST_CASE("StepCore: stragglers get the drain time, TERM, the drain time again, KILL",
          "[unit][init]") {
  StepCore core(Limits(), kStart);
  core.OnChildExited(true, kStart);
  CHECK(core.Advance(kStart + 999ms) == Action::kNone);
  CHECK(core.NextWake() == kStart + 1s);
  CHECK(core.Advance(kStart + 1s) == Action::kTerm);
  CHECK(core.Advance(kStart + 1500ms) == Action::kNone);
  CHECK(core.Advance(kStart + 2s) == Action::kKill);
  CHECK(core.Advance(kStart + 2s + 1ms) == Action::kNone);
  CHECK(core.Advance(kStart + 2s + StepCore::kSweep) == Action::kKill);
  core.OnNobodyLeft();
  CHECK(core.over());
  CHECK(core.reason() == StopReason::kSignaled);
  CHECK(core.left_processes());
}

TEST_CASE("StepCore: daemons that closed the pipe do not cost the drain time", "[unit][init]") {
  StepCore core(Limits(), kStart);
  core.OnPipeClosed(kStart);
  core.OnChildExited(false, kStart);
  CHECK(core.Advance(kStart + StepCore::kSettle) == Action::kTerm);

  StepCore later(Limits(), kStart);
  later.OnChildExited(false, kStart);
  later.OnPipeClosed(kStart + 100ms);
  CHECK(later.NextWake() == kStart + 100ms + StepCore::kSettle);
}

TEST_CASE("StepCore: deadlines send TERM, then KILL after the grace", "[unit][init]") {
  SECTION("run timeout") {
    StepSpec spec = Limits();
    spec.no_output_timeout = Millis(0);
    StepCore core(spec, kStart);
    CHECK(core.NextWake() == kStart + 60s);
    CHECK(core.Advance(kStart + 60s) == Action::kTerm);
    CHECK(core.Advance(kStart + 64s) == Action::kNone);
    CHECK(core.Advance(kStart + 65s) == Action::kKill);
    core.OnChildExited(true, kStart + 65s);
    core.OnNobodyLeft();
    CHECK(core.over());
    CHECK(core.reason() == StopReason::kRunTimeout);
  }
  SECTION("no output") {
    StepCore core(Limits(), kStart);
    core.OnOutput(kStart + 5s);
    CHECK(core.Advance(kStart + 14s) == Action::kNone);
    CHECK(core.Advance(kStart + 15s) == Action::kTerm);
    // A late answer does not change why it ended.
    core.OnCancel(0s, kStart + 15s);
    core.OnChildExited(false, kStart + 15s);
    CHECK(core.reason() == StopReason::kNoOutputTimeout);
  }
  SECTION("silence is not counted while nobody reads") {
    StepCore core(Limits(), kStart);
    core.SetReading(false, kStart + 1s);
    CHECK(core.Advance(kStart + 40s) == Action::kNone);
    core.SetReading(true, kStart + 45s);
    CHECK(core.Advance(kStart + 54s) == Action::kNone);
    CHECK(core.Advance(kStart + 55s) == Action::kTerm);
  }
  SECTION("the run timeout counts all the same") {
    StepCore core(Limits(), kStart);
    core.SetReading(false, kStart + 1s);
    CHECK(core.Advance(kStart + 60s) == Action::kTerm);
  }
}

TEST_CASE("StepCore: a second cancel may only shorten the grace", "[unit][init]") {
  StepCore core(Limits(), kStart);
  core.OnCancel(10s, kStart);
  CHECK(core.Advance(kStart) == Action::kTerm);
  core.OnCancel(60s, kStart + 1s);
  core.OnCancel(2s, kStart + 1s);
  CHECK(core.Advance(kStart + 2s) == Action::kNone);
  CHECK(core.Advance(kStart + 3s) == Action::kKill);
  CHECK(core.reason() == StopReason::kCanceled);
}

TEST_CASE("StepCore: a process that cannot be killed is given up", "[unit][init]") {
  StepCore core(Limits(), kStart);
  core.OnCancel(0s, kStart);
  CHECK(core.Advance(kStart) == Action::kKill);
  MonoTime now = kStart;
  int kills = 0;
  while (!core.over() && now < kStart + 1min) {
    now = core.NextWake();
    if (core.Advance(now) == Action::kKill) ++kills;
  }
  CHECK(now - kStart == StepCore::kGiveUp);
  CHECK(kills > 100);
  CHECK_FALSE(core.child_exited());
}

TEST_CASE("LogBudget: durable offsets never move back nor beyond the end", "[unit][init]") {
  LogBudget budget;
  budget.SetBytes(100);
  CHECK_FALSE(budget.Full(99));
  CHECK(budget.Full(100));
  budget.SetDurable(50, 100);
  CHECK_FALSE(budget.Full(149));
  CHECK(budget.Full(150));
  budget.SetDurable(10, 150);
  CHECK(budget.durable() == 50);
  budget.SetDurable(1'000'000, 150);
  CHECK(budget.durable() == 150);
  CHECK_FALSE(budget.Full(200));
}

class SpoolFiles {
 public:
  SpoolFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "slipway-spool-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
    std::ofstream(path_ / "log");
    std::ofstream(path_ / "log.times");
    fd_ = Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY));
  }
  ~SpoolFiles() { std::filesystem::remove_all(path_); }
  SpoolFiles(const SpoolFiles&) = delete;
  SpoolFiles& operator=(const SpoolFiles&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::filesystem::path operator/(const char* name) const { return path_ / name; }
  [[nodiscard]] std::string Content(const char* name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::filesystem::path path_;
  Fd fd_;
};

TEST_CASE("Spool: counts what the file holds, what was there before included", "[unit][init]") {
  SpoolFiles files;
  std::ofstream(files / "log") << "fetched\n";
  Spool spool;
  REQUIRE(spool.Open(files.fd()).empty());
  CHECK(spool.end() == 8);
  REQUIRE(spool.Ready());
  spool.Append("built\n", 1'000'000);
  spool.Append("tested\n", 1'009'999);  // too soon for a mark of its own
  spool.Append("packed\n", 1'010'000);
  CHECK(spool.Sync().empty());
  CHECK(files.Content("log") == "fetched\nbuilt\ntested\npacked\n");
  CHECK(spool.end() == 28);
  const std::string times = files.Content("log.times");
  REQUIRE(times.size() == 32);
  CHECK(times[0] == 8);
  CHECK(times[16] == 21);
}

TEST_CASE("Spool: refuses a log that is not a regular file", "[unit][init]") {
  SpoolFiles files;
  std::filesystem::remove(files / "log");
  std::filesystem::create_symlink(files / "log.times", files / "log");
  Spool spool;
  CHECK_FALSE(spool.Open(files.fd()).empty());
  std::filesystem::remove(files / "log");
  std::filesystem::create_directory(files / "log");
  CHECK_FALSE(Spool().Open(files.fd()).empty());
}

}  // namespace
}  // namespace slipway::init
