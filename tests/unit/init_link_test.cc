#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "agent/initlink/control_dir.h"
#include "agent/initlink/init_client.h"
#include "agent/initlink/spool_reader.h"
#include "tests/support/status_matchers.h"

namespace slipway::initlink {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using slipway::testing::StatusIs;

class Attempt {
 public:
  // `depth`: how many long folders stand above the attempt.
  explicit Attempt(int depth = 0) {
    std::string name = (fs::temp_directory_path() / "slipway-link-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    top_ = name;
    path_ = top_;
    for (int i = 0; i < depth; ++i) path_ /= std::string(60, 'd');
    fs::create_directories(path_);
  }
  ~Attempt() { fs::remove_all(top_); }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  [[nodiscard]] std::string path() const { return path_; }
  [[nodiscard]] fs::path control() const { return path_ / "control"; }
  void Put(const std::string& name, const std::string& content) const {
    std::ofstream(control() / name, std::ios::binary) << content;
    Own(name);
  }
  void Own(const std::string& name) const {
    struct stat st {};
    REQUIRE(stat(control().c_str(), &st) == 0);
    REQUIRE(lchown((control() / name).c_str(), st.st_uid, st.st_gid) == 0);
  }

 private:
  fs::path top_;
  fs::path path_;
};

absl::StatusCode CodeOf(const absl::Status& s) { return s.code(); }
const auto kTampered = StatusIs(absl::StatusCode::kFailedPrecondition, "CONTROL_DIR_TAMPERED");

TEST_CASE("ControlDir: what was prepared is found again, and prepared only once", "[unit][init]") {
  Attempt attempt;
  CHECK(CodeOf(ControlDir::Open(attempt.path()).status()) == absl::StatusCode::kNotFound);
  const auto prepared = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(prepared);
  CHECK(prepared->path() == attempt.control());
  CHECK((fs::status(attempt.control()).permissions() & fs::perms::mask) == fs::perms::owner_all);
  const auto again = ControlDir::Open(attempt.path());
  REQUIRE_OK(again);
  CHECK(again->owner_uid() == prepared->owner_uid());
  CHECK_OK(again->OpenLog());
  CHECK_OK(again->OpenTimes());
  CHECK(CodeOf(again->OpenSocket().status()) == absl::StatusCode::kNotFound);
  CHECK(CodeOf(ControlDir::Prepare(attempt.path()).status()) == absl::StatusCode::kAlreadyExists);

  // An interrupted Prepare leaves no id: the rest is made anew.
  fs::remove(fs::path(attempt.path()) / "control.id");
  attempt.Put("log", "stale");
  const auto renewed = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(renewed);
  CHECK(fs::file_size(attempt.control() / "log") == 0);
}

TEST_CASE("ControlDir: a directory in the place of the prepared one is refused", "[unit][init]") {
  Attempt attempt;
  REQUIRE_OK(ControlDir::Prepare(attempt.path()));
  fs::rename(attempt.control(), attempt.path() + "/old");
  fs::create_directory(attempt.control());
  CHECK_THAT(ControlDir::Open(attempt.path()).status(), kTampered);
  std::ofstream(attempt.path() + "/control.id") << "slipway-control 1\n1 2 x\n";
  CHECK(CodeOf(ControlDir::Open(attempt.path()).status()) == absl::StatusCode::kDataLoss);
}

TEST_CASE("ControlDir: only a file that init would write is a result", "[unit][init]") {
  Attempt attempt;
  const auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  CHECK(CodeOf(dir->ReadResult(1).status()) == absl::StatusCode::kNotFound);
  init::StepResult result;
  result.step = 1;
  result.exit_code = 5;
  attempt.Put("step-1.result", init::EncodeResultFile(result));
  const auto read = dir->ReadResult(1);
  REQUIRE_OK(read);
  CHECK(*read == result);

  attempt.Put("step-2.result", init::EncodeResultFile(result));  // of step 1
  CHECK_THAT(dir->ReadResult(2).status(), kTampered);
  attempt.Put("step-3.result", std::string(1 << 20, 'x'));
  CHECK_THAT(dir->ReadResult(3).status(), kTampered);
  fs::create_symlink("step-1.result", attempt.control() / "step-4.result");
  CHECK_THAT(dir->ReadResult(4).status(), kTampered);
  REQUIRE(mkfifo((attempt.control() / "step-5.result").c_str(), 0600) == 0);
  attempt.Own("step-5.result");
  CHECK_THAT(dir->ReadResult(5).status(), kTampered);
  fs::create_hard_link(attempt.control() / "step-1.result", attempt.control() / "step-6.result");
  CHECK_THAT(dir->ReadResult(6).status(), kTampered);
  CHECK_THAT(dir->ReadResult(1).status(), kTampered);
}

// A directory beside the attempt's, as a container that waits has it.
ControlDir Waiting(const Attempt& attempt) {
  fs::create_directory(attempt.path() + "/stall");
  auto waiting = ControlDir::PrepareWaiting(attempt.path() + "/stall");
  REQUIRE_OK(waiting);
  return *std::move(waiting);
}

TEST_CASE("ControlDir: a log moves into the directory of a container that waits", "[unit][init]") {
  Attempt attempt;
  auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  attempt.Put("log", "before\n");
  const auto open = dir->OpenLog();
  REQUIRE_OK(open);
  auto waiting = Waiting(attempt);
  const Fd theirs(::open(waiting.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE_OK(dir->Join(std::move(waiting)));

  // The container sees it, the descriptor that was open writes to it, and so do both ways to open.
  CHECK(faccessat(theirs.get(), "log", F_OK, 0) == 0);
  CHECK(pwrite(open->get(), "after\n", 6, 7) == 6);
  const auto again = ControlDir::Open(attempt.path());
  REQUIRE_OK(again);
  CHECK_OK(dir->OpenLog());
  CHECK_OK(dir->OpenTimes());
  CHECK_OK(again->OpenLog());
  CHECK_OK(again->OpenTimes());
  struct stat mine {};
  struct stat that {};
  REQUIRE(fstat(again->fd(), &mine) == 0);
  REQUIRE(fstat(theirs.get(), &that) == 0);
  CHECK(mine.st_ino == that.st_ino);
  std::ifstream log(attempt.control() / "log");
  CHECK(std::string(std::istreambuf_iterator<char>(log), {}) == "before\nafter\n");
  CHECK(fs::is_empty(attempt.path() + "/stall/control"));
}

TEST_CASE("ControlDir: after a kill in the middle of the move either directory is taken",
          "[unit][init]") {
  Attempt attempt;
  auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  attempt.Put("log", "before\n");
  const fs::path stall = fs::path(attempt.path()) / "stall";
  auto waiting = Waiting(attempt);
  // Each name of the log has been given, nothing else: what is left of the stall goes first.
  for (const char* name : {"log", "log.times"}) {
    fs::create_hard_link(attempt.control() / name, stall / "control" / name);
  }
  fs::remove_all(stall);
  {
    const auto again = ControlDir::Open(attempt.path());
    REQUIRE_OK(again);
    CHECK_OK(again->OpenLog());
  }
  auto second = Waiting(attempt);
  REQUIRE_OK(dir->Join(std::move(second)));
  // The exchange has happened, the old names are there still.
  for (const char* name : {"log", "log.times"}) {
    fs::create_hard_link(attempt.control() / name, stall / "control" / name);
  }
  fs::remove_all(stall);
  const auto again = ControlDir::Open(attempt.path());
  REQUIRE_OK(again);
  CHECK_OK(again->OpenLog());
  CHECK_OK(again->OpenTimes());
}

TEST_CASE("ControlDir: a move that fails leaves everything as it was", "[unit][init]") {
  Attempt attempt;
  auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  auto waiting = Waiting(attempt);
  fs::create_directory(attempt.path() + "/stall/control/log.times");
  CHECK_FALSE(dir->Join(std::move(waiting)).ok());
  CHECK_FALSE(fs::exists(attempt.path() + "/stall/control/log"));
  CHECK_OK(dir->OpenLog());
  const auto again = ControlDir::Open(attempt.path());
  REQUIRE_OK(again);
  CHECK_OK(again->OpenLog());
}

TEST_CASE("SpoolReader: reads by offset, frees below, and notices a cut log", "[unit][init]") {
  Attempt attempt;
  const auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  auto reader = SpoolReader::Open(*dir);
  REQUIRE_OK(reader);
  const std::string bytes(1 << 20, 'x');
  attempt.Put("log", bytes + "end");
  CHECK(*reader->End() == bytes.size() + 3);
  char buffer[8];
  CHECK(*reader->Read(bytes.size(), buffer, sizeof(buffer)) == 3);
  CHECK(*reader->Read(bytes.size() + 3, buffer, sizeof(buffer)) == 0);
  REQUIRE_OK(reader->FreeBelow(bytes.size()));
  CHECK(*reader->End() == bytes.size() + 3);
  CHECK(*reader->Read(bytes.size(), buffer, sizeof(buffer)) == 3);
  struct stat st {};
  REQUIRE(stat((attempt.control() / "log").c_str(), &st) == 0);
  CHECK(st.st_blocks * 512 < 65536);
  fs::resize_file(attempt.control() / "log", 10);
  CHECK_THAT(reader->Read(11, buffer, sizeof(buffer)).status(),
             StatusIs(absl::StatusCode::kDataLoss, "LOG_TRUNCATED"));
}

TEST_CASE("SpoolReader: finds the time mark that covers an offset", "[unit][init]") {
  Attempt attempt;
  const auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  const auto reader = SpoolReader::Open(*dir);
  REQUIRE_OK(reader);
  CHECK(reader->TimesSince(0)->empty());
  std::string records;
  std::vector<TimeMark> marks;
  for (std::uint64_t i = 0; i < 100; ++i) {
    marks.push_back({i * 10, static_cast<std::int64_t>(1000 + i)});
    for (const std::uint64_t v : {i * 10, 1000 + i}) {
      for (int b = 0; b < 8; ++b) records.push_back(static_cast<char>(v >> (8 * b)));
    }
  }
  attempt.Put("log.times", records + "half");
  CHECK(*reader->TimesSince(0) == marks);
  CHECK(*reader->TimesSince(989) == std::vector<TimeMark>{marks[98], marks[99]});
  CHECK(*reader->TimesSince(990) == std::vector<TimeMark>{marks[99]});
  CHECK(*reader->TimesSince(500, 2) == std::vector<TimeMark>{marks[50], marks[51]});
}

// Something that is not slipway-init at its socket: says `bytes` to whoever connects, and hangs up.
class Impostor {
 public:
  Impostor(const Attempt& attempt, std::vector<std::string> says) {
    const Fd dir(open(attempt.control().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    listener_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/init.sock", dir.get());
    REQUIRE(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(listener_.get(), 4) == 0);
    attempt.Own("init.sock");
    thread_ = std::thread([this, says = std::move(says)] {
      for (const auto& bytes : says) {
        const Fd peer(accept(listener_.get(), nullptr, nullptr));
        (void)!write(peer.get(), bytes.data(), bytes.size());
        char buffer[256];
        while (bytes.size() > 4 && read(peer.get(), buffer, sizeof(buffer)) > 0) {
        }
      }
    });
  }
  ~Impostor() { thread_.join(); }
  Impostor(const Impostor&) = delete;
  Impostor& operator=(const Impostor&) = delete;

 private:
  Fd listener_;
  std::thread thread_;
};

MonoTime In(Duration d) { return SystemClock().Mono() + d; }

TEST_CASE("InitClient: waits for init to come up, also behind a path beyond 108 bytes",
          "[unit][init]") {
  Attempt attempt(3);
  const auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  CHECK_THAT(InitClient::Connect(*dir, In(20ms)).status(),
             StatusIs(absl::StatusCode::kUnavailable, "INIT_GONE"));
  init::Hello hello;
  hello.spool_end = 12;
  // The first one hangs up without a word, as init does while it is going away.
  Impostor peer(attempt, {"", init::Encode(init::Event(hello))});
  const auto client = InitClient::Connect(*dir, In(5s));
  REQUIRE_OK(client);
  CHECK((*client)->hello().spool_end == 12);
  CHECK_THAT((*client)->WaitEvent(In(10ms)).status(),
             StatusIs(absl::StatusCode::kDeadlineExceeded));
  init::StepSpec huge;
  huge.step = 1;
  huge.argv = {std::string(2 << 20, 'x')};
  CHECK_THAT((*client)->RunStep(huge, In(5s)), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_CASE("InitClient: a peer that breaks the protocol is refused", "[unit][init]") {
  init::Hello other_version;
  other_version.version = 2;
  for (const std::string& says :
       {std::string("HTTP/1.1 400 Bad Request\r\n"), std::string(64, '\0'),
        init::Encode(init::Event(init::Doorbell{1})), init::Encode(init::Event(other_version))}) {
    Attempt attempt;
    const auto dir = ControlDir::Prepare(attempt.path());
    REQUIRE_OK(dir);
    Impostor peer(attempt, {says});
    CHECK_THAT(InitClient::Connect(*dir, In(5s)).status(),
               StatusIs(absl::StatusCode::kInternal, "INIT_PROTOCOL"));
  }
}

TEST_CASE("InitClient: a flood of events is cut off", "[unit][init]") {
  Attempt attempt;
  const auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  std::string flood = init::Encode(init::Event(init::Hello{}));
  for (int i = 0; i < 5000; ++i) flood += init::Encode(init::Event(init::StepStarted{1, 2}));
  Impostor peer(attempt, {flood});
  const auto client = InitClient::Connect(*dir, In(5s));
  if (client.ok()) {
    CHECK_THAT((*client)->GetStatus(In(5s)), StatusIs(absl::StatusCode::kInternal));
  } else {
    CHECK_THAT(client.status(), StatusIs(absl::StatusCode::kInternal));
  }
}

TEST_CASE("InitClient: a log that is held up a thousand times does not hide the step's end",
          "[unit][init]") {
  Attempt attempt;
  const auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  std::string events = init::Encode(init::Event(init::Hello{}));
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    events += init::Encode(init::Event(init::Backpressure{init::kBudgetFull}));
    events += init::Encode(init::Event(init::Backpressure{0}));
    events += init::Encode(init::Event(init::Doorbell{i}));
  }
  events += init::Encode(init::Event(init::StepExited{}));
  Impostor peer(attempt, {events});
  const auto client = InitClient::Connect(*dir, In(5s));
  REQUIRE_OK(client);
  int before = 0;
  for (;; ++before) {
    const auto event = (*client)->WaitEvent(In(5s));
    REQUIRE_OK(event);
    if (std::holds_alternative<init::StepExited>(*event)) break;
  }
  CHECK(before < 1000);
}

TEST_CASE("InitClient: after a flood what came before it is given out, then the reason",
          "[unit][init]") {
  Attempt attempt;
  const auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  const std::string hello = init::Encode(init::Event(init::Hello{}));
  std::string flood;
  for (int i = 0; i < 5000; ++i) flood += init::Encode(init::Event(init::StepStarted{1, 2}));
  Impostor peer(attempt, {hello + flood});
  const auto client = InitClient::Connect(*dir, In(5s));
  REQUIRE_OK(client);
  absl::Status last;
  for (int i = 0; i < 5001 && last.ok(); ++i) last = (*client)->WaitEvent(In(5s)).status();
  CHECK_THAT(last, StatusIs(absl::StatusCode::kInternal, "INIT_PROTOCOL"));
}

TEST_CASE("InitClient: does not follow a link in the place of the socket", "[unit][init]") {
  Attempt attempt;
  const auto dir = ControlDir::Prepare(attempt.path());
  REQUIRE_OK(dir);
  fs::create_symlink("/var/run/docker.sock", attempt.control() / "init.sock");
  CHECK_THAT(InitClient::Connect(*dir, In(1s)).status(), kTampered);
}

}  // namespace
}  // namespace slipway::initlink
