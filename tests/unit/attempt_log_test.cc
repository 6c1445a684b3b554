#include "agent/runner/attempt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

#include "agent/initlink/control_dir.h"
#include "common/loghash/segment_hasher.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::runner {
namespace {

using testing::TempDir;
using testing::WaitUntil;
using testing::WriteFile;

// What the log has told, waited for with a deadline.
class Told {
 public:
  AttemptLog::Grew Callback() {
    return [this](std::uint64_t begin, std::uint64_t end) {
      const std::lock_guard lock(mu_);
      begin_ = begin;
      end_ = end;
      changed_.notify_all();
    };
  }
  bool WaitForEnd(std::uint64_t end) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return end_ == end; });
  }
  std::uint64_t begin() {
    const std::lock_guard lock(mu_);
    return begin_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = UINT64_MAX;
};

void AppendToSpool(const TempDir& dir, const std::string& bytes) {
  std::ofstream out(dir / "control/log", std::ios::binary | std::ios::app);
  out << bytes;
  REQUIRE(out.flush().good());
}

TEST_CASE("AttemptLog: the root survives a restart although most of the spool was freed",
          "[unit]") {
  const TempDir dir;
  std::string whole;
  for (int i = 0; whole.size() < 9 * loghash::kSegmentBytes / 2; ++i) {
    whole += "line " + std::to_string(i) + "\n";
  }
  const std::string later = "after the restart\n";
  {
    Told told;
    auto log = AttemptLog::Open(dir.path(), told.Callback());
    REQUIRE_OK(log);
    REQUIRE(told.WaitForEnd(0));
    AppendToSpool(dir, whole);
    REQUIRE(told.WaitForEnd(whole.size()));
    (*log)->SetDurable(whole.size());
    REQUIRE(WaitUntil([&] {
      return std::filesystem::file_size(dir / "log.segments") == 4 * Sha256Digest::kSize;
    }));
    // Freed up to just before the open segment, but the last words can still be read.
    REQUIRE(WaitUntil([&] {
      char byte = 1;
      return (*log)->Read(0, &byte, 1).value() == 1 && byte == '\0';
    }));
    CHECK((*log)->Tail(0, whole.size(), 20) == whole.substr(whole.size() - 20));
  }
  Told told;
  auto log = AttemptLog::Open(dir.path(), told.Callback());
  REQUIRE_OK(log);
  REQUIRE(told.WaitForEnd(whole.size()));
  CHECK(told.begin() > 3 * loghash::kSegmentBytes);
  CHECK(told.begin() < 4 * loghash::kSegmentBytes);
  AppendToSpool(dir, later);
  REQUIRE_OK((*log)->AppendLine("ended"));
  const protocol::LogSummary summary = (*log)->Seal();
  const std::string all = whole + later + "slipway: ended\n";
  CHECK(summary.size == all.size());
  CHECK(summary.missing == 0);
  CHECK(summary.root == loghash::RootOf(all));
}

TEST_CASE("AttemptLog: a disk that is full for a while costs no byte and holds up no log",
          "[unit]") {
  const TempDir dir;
  std::atomic<bool> full = false;
  std::atomic<int> refused = 0;
  const AttemptLogOptions options{.seal_patience = std::chrono::seconds(30), .sync = [&](int fd) {
                                    if (!full) return fdatasync(fd);
                                    ++refused;
                                    errno = ENOSPC;
                                    return -1;
                                  }};
  Told told;
  auto log = AttemptLog::Open(dir.path(), told.Callback(), options);
  REQUIRE_OK(log);
  REQUIRE(told.WaitForEnd(0));
  full = true;
  AppendToSpool(dir, "first\n");
  REQUIRE(WaitUntil([&] { return refused >= 2; }));
  full = false;
  REQUIRE(told.WaitForEnd(6));
  // Full again when it ends.
  full = true;
  AppendToSpool(dir, "second\n");
  const int before = refused;
  protocol::LogSummary summary;
  std::thread sealing([&] { summary = (*log)->Seal(); });
  const bool tried = WaitUntil([&] { return refused >= before + 2; });
  full = false;
  sealing.join();
  CHECK(tried);
  CHECK(summary.missing == 0);
  CHECK(summary.root == loghash::RootOf("first\nsecond\n"));
}

TEST_CASE("AttemptLog: what can never be made durable is named as missing", "[unit]") {
  const TempDir dir;
  const auto broken = [](int) {
    errno = EIO;
    return -1;
  };
  for (const bool leaving : {false, true}) {
    auto log = AttemptLog::Open(
        dir.path(), [](std::uint64_t, std::uint64_t) {},
        {.seal_patience = leaving ? Duration(std::chrono::hours(1)) : Duration::zero(),
         .sync = broken});
    REQUIRE_OK(log);
    AppendToSpool(dir, "lost\n");
    const protocol::LogSummary summary = (*log)->Seal([&] { return leaving; });
    CHECK(summary.missing == summary.size);
    CHECK(summary.size == (leaving ? 10 : 5));
    CHECK(summary.root.IsZero());
  }
}

TEST_CASE("AttemptLog: space that cannot be freed holds up no log", "[unit]") {
  const TempDir dir;
  // The digests must be on the disk before anything is freed; a pipe takes none at an offset.
  REQUIRE(mkfifo((dir / "log.segments").c_str(), 0600) == 0);
  Told told;
  auto log = AttemptLog::Open(dir.path(), told.Callback());
  REQUIRE_OK(log);
  REQUIRE(told.WaitForEnd(0));
  const std::string whole(5 * loghash::kSegmentBytes / 2, 'x');
  AppendToSpool(dir, whole);
  REQUIRE(told.WaitForEnd(whole.size()));
  (*log)->SetDurable(whole.size());
  AppendToSpool(dir, "later\n");
  REQUIRE(told.WaitForEnd(whole.size() + 6));
  CHECK(told.begin() == 0);
  const protocol::LogSummary summary = (*log)->Seal();
  CHECK(summary.missing == 0);
  CHECK(summary.root == loghash::RootOf(whole + "later\n"));
}

TEST_CASE("AttemptLog: it goes on in the directory of a container that waited", "[unit]") {
  const TempDir dir;
  Told told;
  auto log = AttemptLog::Open(dir.path(), told.Callback());
  REQUIRE_OK(log);
  REQUIRE_OK((*log)->AppendLine("before"));
  REQUIRE(told.WaitForEnd(16));
  std::filesystem::create_directory(dir / "stall");
  auto waiting = initlink::ControlDir::PrepareWaiting(dir / "stall");
  REQUIRE_OK(waiting);
  REQUIRE_OK((*log)->Join(*std::move(waiting)));
  AppendToSpool(dir, "in the container\n");
  (*log)->Poke();
  REQUIRE(told.WaitForEnd(33));
  CHECK((*log)->Seal().root == loghash::RootOf("slipway: before\nin the container\n"));
}

TEST_CASE("AttemptLog: the farm's line begins a line of its own", "[unit]") {
  const TempDir dir;
  auto log = AttemptLog::Open(dir.path(), [](std::uint64_t, std::uint64_t) {});
  REQUIRE_OK(log);
  AppendToSpool(dir, "no newline");
  REQUIRE_OK((*log)->AppendLine("done"));
  CHECK((*log)->Seal().root == loghash::RootOf("no newline\nslipway: done\n"));
}

}  // namespace
}  // namespace slipway::runner
