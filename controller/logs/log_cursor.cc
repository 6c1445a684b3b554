#include "controller/logs/log_cursor.h"

#include <utility>

#include "common/base/check.h"

namespace slipway::logs {

LogCursor::LogCursor(AttemptKey key, std::uint64_t stored, LogCursorOptions options)
    : key_(std::move(key)),
      options_(options),
      received_(stored),
      durable_(stored),
      acked_received_(stored) {}

ChunkVerdict LogCursor::OnChunk(std::uint64_t offset, std::size_t size) {
  const std::uint64_t end = offset + size;
  if (offset > received_ || end <= received_) return {.ack_now = true};
  ChunkVerdict verdict;
  verdict.skip = static_cast<std::size_t>(received_ - offset);
  verdict.take = size - verdict.skip;
  received_ = end;
  verdict.ack_now = verdict.skip > 0 || received_ - acked_received_ >= options_.ack_every_bytes;
  return verdict;
}

bool LogCursor::OnSynced(std::uint64_t durable) {
  SLIPWAY_CHECK(durable <= received_);
  if (durable <= durable_) return false;
  durable_ = durable;
  return true;
}

protocol::LogAck LogCursor::Ack() {
  acked_received_ = received_;
  return {.key = key_, .received = received_, .durable = durable_};
}

}  // namespace slipway::logs
