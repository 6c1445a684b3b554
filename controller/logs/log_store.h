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

// The logs of all attempts, as files of 4 MiB segments below one folder that only its owner enters:
// written as they come, synced in groups, compressed when sealed, readable at any offset at any
// time. Followers cost next to no memory: each reads for itself, all share the few segments that
// were read last.
//
// Survives kill -9: what was acknowledged as durable is there, and the next Open goes on behind it.
// Thread-safe.
class LogStore {
 public:
  struct Options {
    std::string root;
    // Bytes become durable at most this long after they came. Longer: fewer syncs, larger spools.
    int sync_interval_ms = 10;
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

  // Calls `wake` (from any thread, never under a lock of the store) whenever the log grew or was
  // sealed, until the returned handle dies; destroying it waits for a running call.
  [[nodiscard]] virtual std::shared_ptr<void> Subscribe(const AttemptKey& key,
                                                        std::function<void()> wake) = 0;
};

}  // namespace slipway::logs
