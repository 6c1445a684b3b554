#include "controller/logs/log_tail.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "controller/logs/log_followers.h"
#include "controller/logs/log_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::logs {
namespace {

using slipway::testing::TempDir;
using slipway::testing::WaitUntil;

AttemptKey Key(int attempt = 1) { return {TaskId("task-a"), Attempt(attempt)}; }

struct Joined {
  explicit Joined(LogTails& all) : tail(all) { tail.Join(); }
  ~Joined() { tail.Leave(); }
  LogTail tail;
};

TEST_CASE("LogTail: a reader gets what was appended behind its place, in whole blocks at most",
          "[unit][logs]") {
  LogTails all({.max_bytes = 100, .block_bytes = 4});
  Joined log(all);
  log.tail.Append(10, "abcdef");
  CHECK_FALSE(log.tail.Read(9));
  const auto first = log.tail.Read(11);
  REQUIRE(first);
  CHECK(first->data == "bcd");
  CHECK_FALSE(first->last);
  const auto second = log.tail.Read(14);
  REQUIRE(second);
  CHECK(second->data == "ef");
  CHECK(second->last);
  REQUIRE(log.tail.Read(16));
  CHECK(log.tail.Read(16)->data.empty());
  CHECK_FALSE(log.tail.Read(17));
  // What a reader has stays as it is while more comes into the same block.
  log.tail.Append(16, "gh");
  CHECK(second->data == "ef");
  CHECK(log.tail.Read(14)->data == "efgh");
}

TEST_CASE("LogTail: all readers of a place get the same bytes, not copies", "[unit][logs]") {
  LogTails all({});
  Joined log(all);
  log.tail.Append(0, "hello");
  CHECK(log.tail.Read(0)->data.data() == log.tail.Read(0)->data.data());
}

TEST_CASE("LogTail: without readers nothing is kept, and what there was is forgotten",
          "[unit][logs]") {
  LogTails all({});
  LogTail log(all);
  log.Append(0, "abc");
  CHECK(all.bytes() == 0);
  log.Join();
  CHECK_FALSE(log.Read(0));
  log.Append(3, "def");
  CHECK(all.bytes() > 0);
  CHECK(log.Read(3)->data == "def");
  log.Leave();
  CHECK(all.bytes() == 0);
}

TEST_CASE("LogTail: after a gap or a step back it has only what came then", "[unit][logs]") {
  LogTails all({});
  Joined log(all);
  log.tail.Append(0, "abcdef");
  const std::uint64_t next = GENERATE(4, 100);
  log.tail.Append(next, "XY");
  CHECK_FALSE(log.tail.Read(0));
  CHECK(log.tail.Read(next)->data == "XY");
}

TEST_CASE("LogTails: together they hold no more than allowed; the oldest goes, whoever's it is",
          "[unit][logs]") {
  LogTails all({.max_bytes = 40, .block_bytes = 10});
  Joined quiet(all);
  Joined loud(all);
  quiet.tail.Append(0, "quiet");
  std::uint64_t offset = 0;
  for (int i = 0; i < 20; ++i, offset += 7) {
    loud.tail.Append(offset, "7 bytes");
    CHECK(all.bytes() <= 40);
  }
  CHECK_FALSE(quiet.tail.Read(0));
  CHECK_FALSE(loud.tail.Read(0));
  CHECK(loud.tail.Read(offset - 5)->data == "bytes");
  // It goes on where it is.
  quiet.tail.Append(5, " again");
  CHECK(quiet.tail.Read(5)->data == " again");
}

TEST_CASE("LogTails: a reader that stands still holds its own piece and nothing else",
          "[unit][logs]") {
  LogTails all({.max_bytes = 40, .block_bytes = 10});
  Joined log(all);
  log.tail.Append(0, "0123456789");
  auto held = log.tail.Read(0);
  std::weak_ptr<const void> next_block;
  for (std::uint64_t offset = 10; offset < 500; offset += 10) {
    log.tail.Append(offset, "abcdefghij");
    if (offset == 10) next_block = log.tail.Read(10)->owner;
  }
  CHECK(all.bytes() == 40);
  CHECK(held->data == "0123456789");
  CHECK(next_block.expired());
  const std::weak_ptr<const void> block = held->owner;
  CHECK_FALSE(block.expired());
  held.reset();
  CHECK(block.expired());
}

// A viewer: the tail when it has the place, else the files.
struct Viewer {
  std::unique_ptr<LogFollow> follow;
  std::uint64_t offset = 0;
  int from_tail = 0;
  int from_disk = 0;
};

// One message's worth. False: nothing there.
bool Look(LogStore& store, Viewer& viewer, const std::string& text) {
  if (const auto piece = viewer.follow->ReadTail(viewer.offset)) {
    if (piece->data.empty()) return false;
    REQUIRE(piece->data == std::string_view(text).substr(viewer.offset, piece->data.size()));
    viewer.offset += piece->data.size();
    ++viewer.from_tail;
    return true;
  }
  const auto slice = store.Read(Key(), viewer.offset, 100'000);
  REQUIRE_OK(slice);
  if (slice->data.empty()) return false;
  REQUIRE(slice->data == std::string_view(text).substr(viewer.offset, slice->data.size()));
  viewer.offset += slice->data.size();
  ++viewer.from_disk;
  return true;
}

TEST_CASE("LogStore: a viewer gets each byte once, wherever it changes between disk and tail",
          "[unit][logs]") {
  const auto seed = GENERATE(range(1, 4));
  CAPTURE(seed);
  std::mt19937 random(static_cast<unsigned>(seed));
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const TempDir dir;
  // Three blocks for all.
  auto store = LogStore::Make(
      {.root = dir / "logs", .sync_interval_ms = 1, .followers = {.tail_bytes = 3U << 16}});
  REQUIRE_OK(store);
  std::string text(6'000'000 + below(3'000'000), '\0');
  for (char& c : text) c = static_cast<char>('a' + random() % 26);
  auto log = (*store)->Open(Key());
  REQUIRE_OK(log);
  std::vector<Viewer> viewers;
  std::size_t written = 0;
  while (written < text.size()) {
    const std::size_t size = below(2) == 0 ? 1 + below(200) : 1 + below(300'000);
    const std::string_view data = std::string_view(text).substr(written, size);
    // Some bytes again, as after a broken stream.
    const std::size_t again = below(3) == 0 ? std::min<std::size_t>(written, below(5000)) : 0;
    REQUIRE_OK((*log)->Append(
        written - again, std::string_view(text).substr(written - again, again + data.size()), {}));
    written += data.size();
    if (viewers.size() < 6 && below(8) == 0) {
      viewers.push_back({.follow = (*store)->Follow(Key(), [] {}), .offset = below(written + 1)});
    }
    // Each at its own speed: the first keeps up, the last hardly ever looks.
    for (std::size_t i = 0; i < viewers.size(); ++i) {
      if (below(i * i + 1) != 0) continue;
      while (Look(**store, viewers[i], text) && below(4) != 0) {
      }
    }
  }
  REQUIRE_OK((*store)->Seal(Key(), {.complete = true}));
  int from_tail = 0;
  int from_disk = 0;
  for (Viewer& viewer : viewers) {
    while (Look(**store, viewer, text)) {
    }
    CHECK(viewer.offset == text.size());
    from_tail += viewer.from_tail;
    from_disk += viewer.from_disk;
  }
  CHECK(from_tail > 0);
  CHECK(from_disk > 0);
}

TEST_CASE("LogStore: who keeps up with a log is not served from the disk", "[unit][logs]") {
  const TempDir dir;
  auto store = LogStore::Make({.root = dir / "logs"});
  REQUIRE_OK(store);
  auto log = (*store)->Open(Key());
  REQUIRE_OK(log);
  const auto follow = (*store)->Follow(Key(), [] {});
  REQUIRE_OK((*log)->Append(0, "live\n", {}));
  const auto piece = follow->ReadTail(0);
  REQUIRE(piece);
  CHECK(piece->data == "live\n");
  // What is sealed is on the disk alone.
  REQUIRE_OK((*store)->Seal(Key(), {.complete = true}));
  CHECK_FALSE(follow->ReadTail(0));
  CHECK_FALSE(follow->ReadTail(5));
}

TEST_CASE("LogFollowers: what comes while a log rests reaches its followers in one wake",
          "[unit][logs]") {
  std::atomic<int> woken{0};
  std::atomic<int> others{0};
  SECTION("it rests for as long as it has followers") {
    LogFollowers followers({.rest_us_each = 2'000'000'000, .longest_rest_ms = 2'000'000});
    const auto follow = followers.Follow(Key(1), [&] { ++woken; });
    followers.Grew(Key(1));
    REQUIRE(WaitUntil([&] { return woken == 1; }));
    for (int i = 0; i < 100; ++i) followers.Grew(Key(1));
    // Another log is not kept back, and shows that the waker has looked.
    const auto other = followers.Follow(Key(2), [&] { ++others; });
    followers.Grew(Key(2));
    REQUIRE(WaitUntil([&] { return others == 1; }));
    CHECK(woken == 1);
  }
  SECTION("and no longer") {
    LogFollowers followers({.rest_us_each = 1'000'000'000, .longest_rest_ms = 1});
    const auto follow = followers.Follow(Key(1), [&] { ++woken; });
    for (int i = 1; i <= 5; ++i) {
      followers.Grew(Key(1));
      REQUIRE(WaitUntil([&] { return woken == i; }));
    }
  }
}

TEST_CASE("LogFollowers: nobody is woken after leaving, and the last one takes the tail along",
          "[unit][logs]") {
  LogFollowers followers({.longest_rest_ms = 0});
  std::atomic<int> woken{0};
  std::atomic<int> stays{0};
  auto leaves = followers.Follow(Key(), [&] { ++woken; });
  const auto stay = followers.Follow(Key(), [&] { ++stays; });
  const auto tail = followers.TailOf(Key());
  tail->Append(0, "abc");
  CHECK(leaves->ReadTail(0)->data == "abc");
  leaves.reset();
  followers.Grew(Key());
  REQUIRE(WaitUntil([&] { return stays == 1; }));
  CHECK(woken == 0);
  CHECK(stay->ReadTail(0)->data == "abc");
}

}  // namespace
}  // namespace slipway::logs
