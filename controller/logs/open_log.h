#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/crypto/hash.h"
#include "common/fs/unique_fd.h"
#include "controller/logs/log_cursor.h"
#include "controller/logs/log_store.h"
#include "controller/logs/log_tail.h"

namespace slipway::logs {

// The files of a log that somebody appends to, with the hash of the open segment. Whoever appends
// holds a generation; a newer one makes the older fail. Thread-safe.
class OpenLog {
 public:
  // Goes on behind the `size` bytes in `dir`, whose full segments have the digests `closed`. What
  // was written and hashed goes to `tail` as well.
  OpenLog(AttemptKey key, std::string dir, std::uint64_t size, std::vector<Sha256Digest> closed,
          std::shared_ptr<LogTail> tail);

  // Feeds the hash with what the open segment holds already. Call it once, before anything else.
  absl::Status Resume();

  // As LogAppender::Append.
  absl::StatusOr<std::optional<protocol::LogAck>> Append(std::uint64_t generation,
                                                         std::uint64_t offset,
                                                         std::string_view data,
                                                         const std::vector<LogTime>& times);
  // Makes everything received so far durable. The sink is called without mu_.
  absl::Status Sync();

  void SetSink(std::uint64_t generation, LogAppender::AckSink sink);
  std::uint64_t NewGeneration();

  struct Position {
    std::uint64_t received = 0;
    std::uint64_t durable = 0;
  };
  [[nodiscard]] Position position() const;
  // A write or sync went wrong, so that only the disk knows what is there.
  [[nodiscard]] bool failed() const;
  // Nothing is appended any more: what is received from here on is what the log is.
  void EndAppends();
  // The digest of the last segment, nullopt when all are full. REQUIRES: EndAppends, and once.
  [[nodiscard]] std::optional<Sha256Digest> FinishLastSegment();
  // The end did not work out: only the disk knows what is there, and another OpenLog goes on.
  void Abandon(absl::Status why);

 private:
  absl::Status Write(std::uint64_t offset, std::string_view data,
                     const std::vector<LogTime>& times);
  absl::Status CloseSegment();
  absl::Status WriteTimes(const std::vector<LogTime>& times);

  const std::string dir_;
  const std::shared_ptr<LogTail> tail_;

  // Held while the sink runs, so that changing it waits; taken before mu_.
  std::mutex sink_mu_;
  LogAppender::AckSink sink_;

  mutable std::mutex mu_;
  std::uint64_t generation_ = 0;
  bool ended_ = false;
  absl::Status failed_;
  std::vector<Sha256Digest> closed_;
  crypto::Sha256Hasher open_hash_;
  std::uint64_t open_hash_bytes_ = 0;
  LogCursor cursor_;
  std::shared_ptr<fs::UniqueFd> segment_;
  std::shared_ptr<fs::UniqueFd> hashes_;
  std::shared_ptr<fs::UniqueFd> times_;
  std::vector<std::shared_ptr<fs::UniqueFd>> unsynced_;
  bool new_names_ = true;
};

}  // namespace slipway::logs
