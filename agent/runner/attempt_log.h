#pragma once

#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/initlink/control_dir.h"
#include "agent/initlink/spool_reader.h"
#include "common/base/time.h"
#include "common/fs/unique_fd.h"
#include "common/loghash/segment_hasher.h"
#include "common/protocol/attempt_result.h"

namespace slipway::runner {

struct AttemptLogOptions {
  // How long Seal tries again on a file system that fails; then the log ends with bytes missing.
  Duration seal_patience = std::chrono::seconds(30);
  // Makes what the spool holds durable; as fdatasync.
  std::function<int(int fd)> sync = fdatasync;
};

// The log of one attempt: the spool that slipway-init writes while its container lives, with the
// agent's own lines before and after. Follows the spool on a thread of its own: syncs what has
// grown, hashes it, tells its end, and gives back the space of what the controller holds.
//
// A full disk, or one that fails, is no end of following: what failed is tried again, with pauses,
// and space that cannot be freed holds up nothing.
//
// The digests of closed segments are kept in <attempt>/log.segments and are on the disk before the
// bytes they cover are freed, so that the root survives a restart of the agent. Memory: one buffer.
// Thread-safe but for AppendLine and Seal, which belong to the attempt's thread.
class AttemptLog {
 public:
  // [begin, end): what the spool holds on the disk. Called on the log's thread.
  using Grew = std::function<void(std::uint64_t begin, std::uint64_t end)>;

  // Makes the control directory, or opens the one that is there; begins to follow and calls `grew`
  // once with what is there. Errors as ControlDir.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<AttemptLog>> Open(
      const std::string& attempt_dir, Grew grew, AttemptLogOptions options = {});
  // Of a log that cannot be opened: all that its spool holds is missing.
  [[nodiscard]] static protocol::LogSummary Unreadable(const std::string& attempt_dir);
  // Stops following.
  ~AttemptLog();
  AttemptLog(const AttemptLog&) = delete;
  AttemptLog& operator=(const AttemptLog&) = delete;

  // Of the attempt's thread, as Join.
  [[nodiscard]] const initlink::ControlDir& control() const { return control_; }
  // Moves the log into the control directory of a container that was made before. After an error
  // everything is as it was.
  [[nodiscard]] absl::Status Join(initlink::ControlDir waiting) {
    return control_.Join(std::move(waiting));
  }

  // The spool may have grown: looks soon instead of at its own time. Cheap.
  void Poke();

  // Where the spool ends, synced or not.
  [[nodiscard]] std::uint64_t Size() const;

  // "slipway: text" as a line of its own, told with what comes next, soon in any case. REQUIRES: no
  // step runs in a container of the attempt.
  [[nodiscard]] absl::Status AppendLine(std::string_view text);

  [[nodiscard]] absl::StatusOr<std::size_t> Read(std::uint64_t offset, char* buffer,
                                                 std::size_t size) const;
  [[nodiscard]] std::vector<initlink::TimeMark> Marks(std::uint64_t begin, std::uint64_t end) const;

  // The controller holds everything below.
  void SetDurable(std::uint64_t offset);
  [[nodiscard]] std::uint64_t durable() const;

  // The end of [begin, end), at most `size` bytes: a tool's last words.
  [[nodiscard]] std::string Tail(std::uint64_t begin, std::uint64_t end, std::size_t size) const;

  // Syncs and hashes the rest; what cannot be is tried again for a while, until `leaving`, and then
  // named as missing. REQUIRES: nobody writes any more. Call once.
  [[nodiscard]] protocol::LogSummary Seal(const std::function<bool()>& leaving = [] {
    return false;
  });

 private:
  AttemptLog(initlink::ControlDir control, initlink::SpoolReader reader,
             initlink::SpoolReader marks, initlink::Fd log, fs::UniqueFd segments,
             std::vector<fs::UniqueFd> unsynced, loghash::SegmentState state, Grew grew,
             AttemptLogOptions options);

  void Follow();
  [[nodiscard]] absl::Status SyncFoundations();
  // Brings hash and end up to what the file holds, at most `limit` bytes at a time. True: it grew.
  [[nodiscard]] absl::StatusOr<bool> Advance(std::uint64_t limit);
  [[nodiscard]] absl::Status FreeWhatIsDurable();
  [[nodiscard]] std::uint64_t FirstKept() const;

  // Constant after construction.
  const AttemptLogOptions options_;
  const SystemClock clock_;
  const Grew grew_;
  const initlink::Fd log_;
  const fs::UniqueFd segments_;
  const initlink::SpoolReader marks_;

  // Confined to the attempt's thread, but for its path, which never changes.
  initlink::ControlDir control_;

  // Confined to the thread that follows, and after it to Seal.
  initlink::SpoolReader reader_;
  loghash::SegmentHasher hasher_;
  std::vector<fs::UniqueFd> unsynced_;  // what has to be synced with the first bytes
  std::size_t segments_kept_;           // digests in log.segments
  std::uint64_t told_ = 0;
  std::uint64_t begin_ = 0;
  std::vector<char> buffer_;

  // Guarded by mu_.
  mutable std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool poked_ = false;
  std::uint64_t durable_ = 0;

  std::thread follower_;
};

}  // namespace slipway::runner
