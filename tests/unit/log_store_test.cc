#include "controller/logs/log_store.h"

#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "common/loghash/segment_hasher.h"
#include "controller/logs/segment_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::logs {
namespace {

using slipway::testing::StatusIs;
using slipway::testing::WaitUntil;
namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/slipway-logs-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<LogStore> OpenStore(const std::string& root) {
  auto store = LogStore::Make({.root = root, .sync_interval_ms = 1});
  REQUIRE_OK(store);
  return std::move(*store);
}

AttemptKey Key(int attempt = 1) { return {TaskId("task-a"), Attempt(attempt)}; }

std::string RandomText(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>('a' + random() % 26);
  return text;
}

std::string ReadAll(LogStore& store, const AttemptKey& key) {
  std::string all;
  while (true) {
    auto slice = store.Read(key, all.size(), 1 << 20);
    REQUIRE_OK(slice);
    if (slice->data.empty()) return all;
    all += slice->data;
  }
}

protocol::LogSummary SummaryOf(const std::string& log) {
  return {log.size(), loghash::RootOf(log), 0};
}

void AppendInPieces(LogAppender& log, const std::string& text, std::size_t from = 0) {
  std::size_t at = from;
  std::size_t piece = 1;
  while (at < text.size()) {
    piece = piece * 7 % 300'007 + 1;
    const std::string data = text.substr(at, piece);
    REQUIRE_OK(log.Append(at, data, {{at, 1'700'000'000'000'000}}));
    at += data.size();
  }
}

TEST_CASE(
    "LogStore: a log over several segments is read back byte by byte, before and after sealing",
    "[unit][logs]") {
  const Folder folder;
  auto store = OpenStore(folder.path());
  const std::string text = RandomText(9 * 1024 * 1024 + 17, 1);
  {
    auto log = store->Open(Key());
    REQUIRE_OK(log);
    AppendInPieces(**log, text);
  }
  CHECK(ReadAll(*store, Key()) == text);
  const auto verdict = store->Judge(Key(), SummaryOf(text));
  REQUIRE_OK(verdict);
  CHECK(*verdict == LogVerdict::kComplete);
  REQUIRE_OK(store->Seal(Key(), {.complete = true}));
  CHECK(WaitUntil([&] {
    return fs::exists(folder.path() + "/task-a/1/000002.zst") &&
           !fs::exists(folder.path() + "/task-a/1/000002");
  }));
  CHECK(ReadAll(*store, Key()) == text);
  const auto tail = store->Read(Key(), text.size() - 5, 100);
  REQUIRE_OK(tail);
  CHECK(tail->data == text.substr(text.size() - 5));
  REQUIRE(tail->seal.has_value());
  CHECK(tail->seal->complete);
}

TEST_CASE("Segment files: a file that could not be replaced leaves no temporary one",
          "[unit][logs]") {
  const Folder folder;
  // A directory that holds something cannot be replaced by a file.
  fs::create_directories(folder.path() + "/seal/full");
  CHECK_FALSE(WriteFileDurably(folder.path() + "/seal", "complete 1 0\n").ok());
  CHECK_FALSE(fs::exists(folder.path() + "/seal.tmp"));
  CHECK_OK(WriteFileDurably(folder.path() + "/other", "text"));
  CHECK_FALSE(fs::exists(folder.path() + "/other.tmp"));
}

TEST_CASE("LogStore: repeated, overlapping and early chunks change nothing", "[unit][logs]") {
  const Folder folder;
  auto store = OpenStore(folder.path());
  auto log = store->Open(Key());
  REQUIRE_OK(log);
  REQUIRE_OK((*log)->Append(0, "hello ", {}));
  REQUIRE_OK((*log)->Append(0, "hello ", {}));
  REQUIRE_OK((*log)->Append(3, "lo world", {}));
  const auto gap = (*log)->Append(100, "later", {});
  REQUIRE_OK(gap);
  REQUIRE(gap->has_value());
  CHECK((*gap)->received == 11);
  CHECK(ReadAll(*store, Key()) == "hello world");
}

TEST_CASE("LogStore: a new store goes on behind what an old one left and still knows the root",
          "[unit][logs]") {
  const Folder folder;
  const std::string text = RandomText(5 * 1024 * 1024, 2);
  const std::size_t half = 4'500'000;
  {
    auto store = OpenStore(folder.path());
    auto log = store->Open(Key());
    REQUIRE_OK(log);
    AppendInPieces(**log, text.substr(0, half));
  }
  fs::remove(folder.path() + "/task-a/1/hashes");
  auto store = OpenStore(folder.path());
  const auto early = store->Judge(Key(), SummaryOf(text));
  REQUIRE_OK(early);
  CHECK(*early == LogVerdict::kIncomplete);
  auto log = store->Open(Key());
  REQUIRE_OK(log);
  const auto where = (*log)->Append(0, "", {});
  REQUIRE_OK(where);
  REQUIRE(where->has_value());
  CHECK((*where)->received == half);
  CHECK((*where)->durable == half);
  AppendInPieces(**log, text, half);
  const auto verdict = store->Judge(Key(), SummaryOf(text));
  REQUIRE_OK(verdict);
  CHECK(*verdict == LogVerdict::kComplete);
}

TEST_CASE("LogStore: other bytes, too many bytes and known losses are judged damaged",
          "[unit][logs]") {
  const Folder folder;
  auto store = OpenStore(folder.path());
  auto log = store->Open(Key());
  REQUIRE_OK(log);
  REQUIRE_OK((*log)->Append(0, "abc", {}));
  CHECK(*store->Judge(Key(), SummaryOf("abd")) == LogVerdict::kDamaged);
  CHECK(*store->Judge(Key(), SummaryOf("ab")) == LogVerdict::kDamaged);
  CHECK(*store->Judge(Key(), {3, {}, 7}) == LogVerdict::kDamaged);
  CHECK(*store->Judge(Key(), SummaryOf("abc")) == LogVerdict::kComplete);
}

TEST_CASE("LogStore: bytes become durable by themselves and the sink hears of it", "[unit][logs]") {
  const Folder folder;
  auto store = OpenStore(folder.path());
  auto log = store->Open(Key());
  REQUIRE_OK(log);
  std::atomic<std::uint64_t> durable{0};
  (*log)->SetAckSink([&](const protocol::LogAck& ack) { durable = ack.durable; });
  REQUIRE_OK((*log)->Append(0, "twelve bytes", {}));
  CHECK(WaitUntil([&] { return durable == 12; }));
  (*log)->SetAckSink(nullptr);
}

TEST_CASE("LogStore: a newer appender takes over and the older one is told", "[unit][logs]") {
  const Folder folder;
  auto store = OpenStore(folder.path());
  auto old_log = store->Open(Key());
  REQUIRE_OK(old_log);
  REQUIRE_OK((*old_log)->Append(0, "one", {}));
  auto new_log = store->Open(Key());
  REQUIRE_OK(new_log);
  CHECK_THAT((*old_log)->Append(3, "two", {}).status(), StatusIs(absl::StatusCode::kAborted));
  REQUIRE_OK((*new_log)->Append(3, "two", {}));
  CHECK(ReadAll(*store, Key()) == "onetwo");
}

TEST_CASE("LogStore: followers are woken by growth and by the seal, and a sealed log takes nothing",
          "[unit][logs]") {
  const Folder folder;
  auto store = OpenStore(folder.path());
  std::atomic<int> woken{0};
  auto handle = store->Subscribe(Key(), [&] { ++woken; });
  auto log = store->Open(Key());
  REQUIRE_OK(log);
  REQUIRE_OK((*log)->Append(0, "x", {}));
  CHECK(woken == 1);
  REQUIRE_OK(store->Seal(Key(), {.complete = false, .missing = 4}));
  CHECK(woken == 2);
  CHECK_THAT((*log)->Append(1, "y", {}).status(), StatusIs(absl::StatusCode::kAborted));
  CHECK_THAT(store->Open(Key()).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "LOG_SEALED"));
  const auto slice = store->Read(Key(), 1, 10);
  REQUIRE_OK(slice);
  REQUIRE(slice->seal.has_value());
  CHECK(slice->seal->missing == 4);
  handle.reset();
  REQUIRE_OK(store->Seal(Key(), {.complete = true}));
  CHECK(woken == 2);
}

TEST_CASE(
    "LogStore: a log whose seal never came is known to the next store, and packed once sealed",
    "[unit][logs]") {
  const Folder folder;
  {
    auto store = OpenStore(folder.path());
    CHECK(store->Unsealed().empty());
    for (int attempt : {1, 2}) {
      auto log = store->Open(Key(attempt));
      REQUIRE_OK(log);
      REQUIRE_OK((*log)->Append(0, "hello\n", {}));
    }
    CHECK(store->Unsealed() == std::vector<AttemptKey>{Key(1), Key(2)});
    REQUIRE_OK(store->Seal(Key(1), {.complete = true}));
    CHECK(store->Unsealed() == std::vector<AttemptKey>{Key(2)});
  }
  auto store = OpenStore(folder.path());
  CHECK(store->Unsealed() == std::vector<AttemptKey>{Key(2)});
  REQUIRE_OK(store->Seal(Key(2), {.complete = true}));
  CHECK(store->Unsealed().empty());
  CHECK(WaitUntil([&] { return fs::is_empty(folder.path() + "/.pending"); }));
  CHECK(fs::exists(folder.path() + "/task-a/2/000000.zst"));
  CHECK(ReadAll(*store, Key(2)) == "hello\n");
}

TEST_CASE("LogStore: only its owner enters the folder, also one that others could enter",
          "[unit][logs]") {
  const Folder folder;
  fs::permissions(folder.path(), static_cast<fs::perms>(0755));
  auto store = OpenStore(folder.path());
  CHECK(fs::status(folder.path()).permissions() == fs::perms::owner_all);
}

}  // namespace
}  // namespace slipway::logs
