#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/messages.h"
#include "controller/logs/log_cursor.h"
#include "controller/logs/log_tail.h"

namespace slipway::logs {

// From this offset on, bytes were printed at or after this time.
struct LogTime {
  std::uint64_t offset = 0;
  std::int64_t unix_micros = 0;
};

// How a stored log compares with what the agent says it wrote.
enum class LogVerdict {
  kIncomplete,  // bytes are still on their way
  kComplete,    // size and root match, and all of it is durable
  kDamaged,     // it will never match: bytes are lost or differ
};

// How a log ended.
struct LogSeal {
  bool complete = false;
  std::uint64_t missing = 0;
};

// One attempt's log, open for appending. Owned by whoever appends; the store knows it while it
// lives. Thread-safe.
class LogAppender {
 public:
  using AckSink = std::function<void(const protocol::LogAck&)>;

  virtual ~LogAppender() = default;
  // Takes what is new of the chunk and says whether an ack is due. kResourceExhausted: the disk is
  // full; nothing of the chunk was taken, the agent keeps it and tries again.
  [[nodiscard]] virtual absl::StatusOr<std::optional<protocol::LogAck>> Append(
      std::uint64_t offset, std::string_view data, const std::vector<LogTime>& times) = 0;
  // Called from the store's sync thread when more became durable; empty function: nobody listens.
  // Returns when no call to the former sink is running.
  virtual void SetAckSink(AckSink sink) = 0;
};

// One follower of a log. Destroying it waits for a running wake.
class LogFollow {
 public:
  virtual ~LogFollow() = default;
  // What lies at `offset`, from memory that all followers share. Nothing: ask LogStore::Read.
  // Empty: the log has no more yet. Never blocks.
  [[nodiscard]] virtual std::optional<LogPiece> ReadTail(std::uint64_t offset) = 0;
};

// The logs of all attempts, as files of 4 MiB segments below one folder that only its owner enters:
// written as they come, synced in groups, compressed when sealed, readable at any offset at any
// time. Who follows a log gets what was appended last from memory, which all followers share and of
// which there is only so much; who lags behind that reads the files, as who comes later does, and
// all share the few segments that were read last. Nobody's slowness keeps anything in memory.
//
// Survives kill -9: what was acknowledged as durable is there, and the next Open goes on behind it.
// Thread-safe.
class LogStore {
 public:
  struct FollowerOptions {
    // What was appended last to the logs that are followed, in bytes for all of them together.
    std::size_t tail_bytes = std::size_t{16} << 20;
    // After its N followers were woken a log rests N times this long, and what comes meanwhile
    // reaches them together. Longer: many followers cost less and see lines later.
    int rest_us_each = 500;
    // However many there are.
    int longest_rest_ms = 250;
  };

  struct Options {
    std::string root;
    // Bytes become durable at most this long after they came. Longer: fewer syncs, larger spools.
    int sync_interval_ms = 10;
    FollowerOptions followers = {};
  };

  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LogStore>> Make(Options options);
  virtual ~LogStore() = default;

  // One appender per attempt at a time: a newer one makes the older fail with kAborted.
  // kFailedPrecondition: the log is sealed.
  [[nodiscard]] virtual absl::StatusOr<std::shared_ptr<LogAppender>> Open(
      const AttemptKey& key) = 0;

  // Compares with the durable part. Reads the disk at most for one segment.
  [[nodiscard]] virtual absl::StatusOr<LogVerdict> Judge(const AttemptKey& key,
                                                         const protocol::LogSummary& summary) = 0;

  // No more bytes will come. Wakes followers; compresses in the background. Idempotent. Of a log
  // that was never opened and is complete nothing is kept: it reads as empty and not sealed.
  [[nodiscard]] virtual absl::Status Seal(const AttemptKey& key, const LogSeal& seal) = 0;

  // The logs that take bytes: opened, also by an earlier process, and never sealed. Whoever knows
  // that an attempt is over seals what its end did not get to.
  [[nodiscard]] virtual std::vector<AttemptKey> Unsealed() const = 0;

  struct Slice {
    std::string data;             // empty: nothing at this offset yet
    std::uint64_t size = 0;       // bytes that can be read now
    std::optional<LogSeal> seal;  // once sealed
  };
  // At most `max` bytes (at most a segment) from `offset`. An attempt that never logged reads as
  // empty. kDataLoss, reason LOG_DAMAGED: the disk does not hold what was stored there; the message
  // says where. What lies in other segments can be read.
  [[nodiscard]] virtual absl::StatusOr<Slice> Read(const AttemptKey& key, std::uint64_t offset,
                                                   std::size_t max) = 0;

  // Calls `wake` (from any thread, never under a lock of the store) soon after the log grew or was
  // sealed, once for all that happened until then, until what is returned dies. `wake` must not
  // block.
  [[nodiscard]] virtual std::unique_ptr<LogFollow> Follow(const AttemptKey& key,
                                                          std::function<void()> wake) = 0;
};

}  // namespace slipway::logs
