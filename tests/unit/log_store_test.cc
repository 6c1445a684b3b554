#include "controller/logs/log_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "common/loghash/segment_hasher.h"
#include "controller/logs/closed_segments.h"
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
  // A result without a log, although one was delivered.
  CHECK(*store->Judge(Key(), {}) == LogVerdict::kDamaged);
  CHECK(*store->Judge(Key(), SummaryOf("abc")) == LogVerdict::kComplete);
  log->reset();
  store.reset();
  CHECK(*OpenStore(folder.path())->Judge(Key(), {}) == LogVerdict::kDamaged);
}

TEST_CASE("LogStore: a result without a log is complete when none ever came", "[unit][logs]") {
  const Folder folder;
  auto store = OpenStore(folder.path());
  CHECK(*store->Judge(Key(), {}) == LogVerdict::kComplete);
  CHECK_FALSE(fs::exists(folder.path() + "/task-a"));
}

TEST_CASE("LogStore: of a log that never came nothing is kept, unless bytes of it are missing",
          "[unit][logs]") {
  Folder folder;
  const auto store = OpenStore(folder.path());
  REQUIRE_OK(store->Seal(Key(), {.complete = true, .missing = 0}));
  CHECK_FALSE(fs::exists(folder.path() + "/task-a"));
  const auto slice = store->Read(Key(), 0, 100);
  REQUIRE_OK(slice);
  CHECK(slice->size == 0);
  REQUIRE_OK(store->Seal(Key(2), {.complete = false, .missing = 7}));
  const auto lost = store->Read(Key(2), 0, 100);
  REQUIRE_OK(lost);
  REQUIRE(lost->seal);
  CHECK(lost->seal->missing == 7);
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
  auto follow = store->Follow(Key(), [&] { ++woken; });
  auto log = store->Open(Key());
  REQUIRE_OK(log);
  REQUIRE_OK((*log)->Append(0, "x", {}));
  CHECK(WaitUntil([&] { return woken == 1; }));
  REQUIRE_OK(store->Seal(Key(), {.complete = false, .missing = 4}));
  CHECK(WaitUntil([&] { return woken == 2; }));
  CHECK_THAT((*log)->Append(1, "y", {}).status(), StatusIs(absl::StatusCode::kAborted));
  CHECK_THAT(store->Open(Key()).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "LOG_SEALED"));
  const auto slice = store->Read(Key(), 1, 10);
  REQUIRE_OK(slice);
  REQUIRE(slice->seal.has_value());
  CHECK(slice->seal->missing == 4);
  follow.reset();
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

// Changes the last byte of a file, as a disk that forgets does.
void Rot(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-1, std::ios::end);
  const char was = static_cast<char>(file.get());
  file.seekp(-1, std::ios::end);
  file.put(static_cast<char>(was ^ 1));
  REQUIRE(file.good());
}

// A sealed and compressed log of `text`.
void StoreSealed(const std::string& root, const std::string& text) {
  auto store = OpenStore(root);
  auto log = store->Open(Key());
  REQUIRE_OK(log);
  AppendInPieces(**log, text);
  REQUIRE_OK(store->Seal(Key(), {.complete = true}));
  REQUIRE(WaitUntil([&] { return fs::is_empty(root + "/.pending"); }));
}

// Puts the bytes of a compressed segment back raw, changed at their end: a frame of zstd that was
// changed does not unpack at all.
void RotPacked(const std::string& dir, std::uint64_t index) {
  const auto bytes = ReadSlice(dir, index * loghash::kSegmentBytes, loghash::kSegmentBytes);
  REQUIRE_OK(bytes);
  fs::remove(SegmentPath(dir, index) + ".zst");
  std::ofstream(SegmentPath(dir, index), std::ios::binary) << *bytes;
  Rot(SegmentPath(dir, index));
}

TEST_CASE("LogStore: a segment that the disk changed is an error, and the others are read",
          "[unit][logs]") {
  const Folder folder;
  const std::string dir = folder.path() + "/task-a/1";
  const std::string text = RandomText(2 * loghash::kSegmentBytes + 1000, 3);
  StoreSealed(folder.path(), text);
  // Of the three, the last one is shorter: its digest is in the seal.
  const auto rotten = GENERATE(0, 1, 2);
  RotPacked(dir, rotten);
  auto store = OpenStore(folder.path());
  for (int index = 0; index < 3; ++index) {
    const std::uint64_t begin = index * loghash::kSegmentBytes;
    const auto slice = store->Read(Key(), begin + 10, 100);
    if (index == rotten) {
      CHECK_THAT(slice.status(), StatusIs(absl::StatusCode::kDataLoss, "LOG_DAMAGED"));
      CHECK_THAT(std::string(slice.status().message()),
                 Catch::Contains(fmt::format("the log's from {} on", begin)));
    } else {
      REQUIRE_OK(slice);
      CHECK(slice->data == text.substr(begin + 10, 100));
    }
  }
}

TEST_CASE(
    "LogStore: a sealed log that lost a segment or its digests is an error, not a shorter log",
    "[unit][logs]") {
  const Folder folder;
  const std::string dir = folder.path() + "/task-a/1";
  StoreSealed(folder.path(), RandomText(loghash::kSegmentBytes + 1000, 4));
  auto store = OpenStore(folder.path());
  fs::remove(dir + (GENERATE(true, false) ? "/hashes" : "/000000.zst"));
  CHECK_THAT(store->Read(Key(), 0, 100).status(),
             StatusIs(absl::StatusCode::kDataLoss, "LOG_DAMAGED"));
}

TEST_CASE("LogStore: of a log that still grows, closed segments are compared as well",
          "[unit][logs]") {
  const Folder folder;
  const std::string text = RandomText(loghash::kSegmentBytes + 1000, 5);
  {
    auto store = OpenStore(folder.path());
    auto log = store->Open(Key());
    REQUIRE_OK(log);
    AppendInPieces(**log, text);
  }
  Rot(folder.path() + "/task-a/1/000000");
  auto store = OpenStore(folder.path());
  CHECK_THAT(store->Read(Key(), 0, 100).status(),
             StatusIs(absl::StatusCode::kDataLoss, "LOG_DAMAGED"));
  const auto open = store->Read(Key(), loghash::kSegmentBytes, 1000);
  REQUIRE_OK(open);
  CHECK(open->data == text.substr(loghash::kSegmentBytes));
}

TEST_CASE("LogStore: who reads in small slices has each segment read and hashed once",
          "[unit][logs]") {
  const Folder folder;
  const std::string text = RandomText(loghash::kSegmentBytes + 1000, 6);
  StoreSealed(folder.path(), text);
  auto store = OpenStore(folder.path());
  REQUIRE_OK(store->Read(Key(), 0, 1));
  // What is in memory has been compared: the disk is not asked again.
  fs::remove(folder.path() + "/task-a/1/000000.zst");
  const auto next = store->Read(Key(), 1, 1000);
  REQUIRE_OK(next);
  CHECK(next->data == text.substr(1, 1000));
}

TEST_CASE("ClosedSegments: as many as asked for stay in memory, those that were used last",
          "[unit][logs]") {
  const Folder folder;
  for (int index = 0; index < 3; ++index) {
    std::ofstream(SegmentPath(folder.path(), index)) << "segment " << index;
  }
  ClosedSegments segments({.capacity = 2});
  const auto get = [&](std::uint64_t index) {
    return segments.Get(folder.path(), index, std::nullopt);
  };
  REQUIRE_OK(get(0));
  REQUIRE_OK(get(1));
  REQUIRE_OK(get(0));
  REQUIRE_OK(get(2));
  for (int index = 0; index < 3; ++index) fs::remove(SegmentPath(folder.path(), index));
  CHECK(**get(0) == "segment 0");
  CHECK(**get(2) == "segment 2");
  CHECK((*get(1))->empty());
}

TEST_CASE("LogStore: a seal of an earlier release has no digest of the last segment, and is read",
          "[unit][logs]") {
  const Folder folder;
  StoreSealed(folder.path(), "hello\n");
  const std::string path = folder.path() + "/task-a/1/seal";
  std::ofstream(path) << "complete 6 0\n";
  auto store = OpenStore(folder.path());
  CHECK(ReadAll(*store, Key()) == "hello\n");
  std::ofstream(path) << "complete 6 0 rubbish\n";
  CHECK_THAT(store->Read(Key(), 0, 1).status(),
             StatusIs(absl::StatusCode::kDataLoss, "LOG_DAMAGED"));
}

TEST_CASE("LogStore: a seal that could not be written leaves a log that goes on", "[unit][logs]") {
  const Folder folder;
  const std::string dir = folder.path() + "/task-a/1";
  auto store = OpenStore(folder.path());
  auto log = store->Open(Key());
  REQUIRE_OK(log);
  REQUIRE_OK((*log)->Append(0, "hello ", {}));
  // A directory where the seal's temporary file would be.
  fs::create_directories(dir + "/seal.tmp/full");
  CHECK_FALSE(store->Seal(Key(), {.complete = false}).ok());
  fs::remove_all(dir + "/seal.tmp");
  auto again = store->Open(Key());
  REQUIRE_OK(again);
  REQUIRE_OK((*again)->Append(6, "world", {}));
  REQUIRE_OK(store->Seal(Key(), {.complete = true}));
  CHECK(ReadAll(*store, Key()) == "hello world");
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
