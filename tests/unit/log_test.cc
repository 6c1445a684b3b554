#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <string_view>

#include "agent/core/log_sender.h"
#include "common/crypto/hash.h"
#include "common/loghash/segment_hasher.h"
#include "controller/logs/log_cursor.h"

namespace slipway {
namespace {

using logs::LogCursor;

std::string Noise(std::size_t size) {
  std::mt19937 random(5);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST_CASE("SegmentHasher: the root is the hash of the segments' hashes", "[unit][log]") {
  const std::string log = Noise(loghash::kSegmentBytes + 1000);
  const std::string_view view = log;
  const auto first = crypto::Sha256Of(view.substr(0, loghash::kSegmentBytes));
  const auto second = crypto::Sha256Of(view.substr(loghash::kSegmentBytes));
  CHECK(loghash::RootOf(log) == crypto::Sha256Of(first.Bytes() + second.Bytes()));
  CHECK(loghash::RootOf(view.substr(0, loghash::kSegmentBytes)) == crypto::Sha256Of(first.Bytes()));
  CHECK(loghash::RootOf("") == crypto::Sha256Of(""));
}

TEST_CASE("SegmentHasher: neither the split of the bytes nor a resumption changes the root",
          "[unit][log]") {
  const std::string log = Noise(2 * loghash::kSegmentBytes + 77);
  loghash::SegmentHasher pieces;
  std::mt19937 random(9);
  for (std::string_view rest = log; !rest.empty();) {
    const auto size = std::min<std::size_t>(rest.size(), 1 + random() % 700'000);
    pieces.Update(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  CHECK(pieces.next() == log.size());
  loghash::SegmentHasher resumed(pieces.state());
  CHECK(resumed.next() == pieces.open_segment_start());
  resumed.Update(std::string_view(log).substr(pieces.open_segment_start()));
  CHECK(resumed.Finish() == loghash::RootOf(log));
  CHECK(pieces.Finish() == loghash::RootOf(log));
}

TEST_CASE("LogCursor: an overlap is trimmed, a gap dropped, and both are answered", "[unit][log]") {
  LogCursor cursor({TaskId("t"), Attempt(1)}, 100, {.ack_every_bytes = 50});
  const auto overlap = cursor.OnChunk(90, 20);
  CHECK((overlap.skip == 10 && overlap.take == 10 && overlap.ack_now));
  const auto gap = cursor.OnChunk(200, 5);
  CHECK((gap.take == 0 && gap.ack_now));
  const auto repeated = cursor.OnChunk(90, 20);
  CHECK((repeated.take == 0 && repeated.ack_now));
  const auto question = cursor.OnChunk(0, 0);
  CHECK((question.take == 0 && question.ack_now));
  CHECK(cursor.received() == 110);
  CHECK(cursor.durable() == 100);
}

TEST_CASE("LogCursor: acks follow received bytes in steps and every durable advance",
          "[unit][log]") {
  LogCursor cursor({TaskId("t"), Attempt(1)}, 0, {.ack_every_bytes = 50});
  CHECK_FALSE(cursor.OnChunk(0, 49).ack_now);
  CHECK(cursor.OnChunk(49, 1).ack_now);
  CHECK(cursor.Ack().received == 50);
  CHECK_FALSE(cursor.OnChunk(50, 1).ack_now);
  CHECK(cursor.OnSynced(51));
  CHECK_FALSE(cursor.OnSynced(51));
  const auto ack = cursor.Ack();
  CHECK((ack.received == 51 && ack.durable == 51));
}

TEST_CASE("LogSender: it asks where to resume before it sends", "[unit][log]") {
  agent::LogSender sender(1000);
  sender.OnGrew(0, 500);
  const auto question = sender.Next();
  REQUIRE(question.has_value());
  CHECK(question->offset == question->end);
  CHECK_FALSE(sender.Next().has_value());
  sender.OnAck(300, 200);
  const auto range = sender.Next();
  REQUIRE(range.has_value());
  CHECK((range->offset == 300 && range->end == 500));
  CHECK_FALSE(sender.Next().has_value());
}

TEST_CASE("LogSender: no more than the window is on its way", "[unit][log]") {
  agent::LogSender sender(100);
  sender.OnGrew(0, 1000);
  (void)sender.Next();
  sender.OnAck(0, 0);
  CHECK(sender.Next()->end == 100);
  CHECK_FALSE(sender.Next().has_value());
  sender.OnAck(60, 0);
  CHECK(sender.Next()->end == 160);
}

TEST_CASE("LogSender: a lost ack or lost bytes make it ask again at the second sync",
          "[unit][log]") {
  agent::LogSender sender(1000);
  sender.OnGrew(0, 500);
  (void)sender.Next();
  sender.OnAck(0, 0);
  (void)sender.Next();
  sender.OnAck(500, 100);
  sender.OnSync();
  CHECK_FALSE(sender.Next().has_value());
  sender.OnSync();
  const auto question = sender.Next();
  REQUIRE(question.has_value());
  CHECK(question->offset == question->end);
  CHECK(sender.OnAck(500, 500));
  CHECK(sender.durable() == 500);
}

TEST_CASE("LogSender: an old ack never leads below what is durable", "[unit][log]") {
  agent::LogSender sender(1000);
  sender.OnGrew(0, 500);
  (void)sender.Next();
  sender.OnAck(400, 400);
  (void)sender.Next();
  sender.OnAck(100, 0);
  CHECK_FALSE(sender.Next().has_value());
  CHECK(sender.durable() == 400);
}

TEST_CASE("LogSender: bytes that the spool lost are counted", "[unit][log]") {
  agent::LogSender sender(1000);
  sender.OnGrew(300, 500);
  (void)sender.Next();
  CHECK(sender.lost() == 0);
  sender.OnAck(200, 200);
  CHECK(sender.lost() == 100);
  CHECK_FALSE(sender.Next().has_value());
}

}  // namespace
}  // namespace slipway
