#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/ids.h"
#include "common/protocol/messages.h"

namespace slipway::logs {

struct LogCursorOptions {
  // An ack that tells of nothing durable is sent after this many bytes at the latest. Smaller keeps
  // the agent's window moving, larger sends fewer messages.
  std::uint64_t ack_every_bytes = 1ULL << 20;
};

// What to do with one chunk: append `take` bytes of it from its byte `skip` on.
struct ChunkVerdict {
  std::size_t skip = 0;
  std::size_t take = 0;  // 0: the chunk brings nothing new, or lies behind a gap
  // Send Ack() now. An agent that resumes, or lost its place, waits for it.
  bool ack_now = false;
};

// How far the log of one attempt has come at the controller. It decides what is appended and what
// is acknowledged; a LogStore writes and syncs.
//
// Invariant: durable <= received; neither goes back; bytes are taken in order, each once.
// Owned by the log intake of one attempt. Confined to its strand. Reads no clock.
class LogCursor {
 public:
  // `stored`: size of the synced log found on disk; 0 for a new one.
  LogCursor(AttemptKey key, std::uint64_t stored, LogCursorOptions options = {});

  // Judges a chunk of `size` bytes at `offset`. The part below received() is trimmed, a chunk above
  // it dropped. An empty chunk asks where to resume. The caller appends exactly what the verdict
  // says before the next call; when the append fails it makes a new cursor from what is on disk.
  [[nodiscard]] ChunkVerdict OnChunk(std::uint64_t offset, std::size_t size);

  // Everything below `durable` has reached the disk. True: send Ack() now.
  // REQUIRES: durable <= received().
  [[nodiscard]] bool OnSynced(std::uint64_t durable);

  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t durable() const { return durable_; }

  // The ack to send now, and notes that it was sent.
  [[nodiscard]] protocol::LogAck Ack();

 private:
  const AttemptKey key_;
  const LogCursorOptions options_;
  std::uint64_t received_;
  std::uint64_t durable_;
  std::uint64_t acked_received_;
};

}  // namespace slipway::logs
