#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/core/journal.h"

namespace slipway::journal {

struct JournalOptions {
  std::string path;
  // The file is worth rewriting once it is larger.
  std::uint64_t rewrite_above_bytes = 1U << 20;
};

// The agent's memory beyond its own death: an append-only file of JournalEntry, written and synced
// in groups by a thread of its own, so that whoever appends never waits for the disk.
//
// A torn end (a crash in the middle of a write) is cut off when the file is opened; nothing in it
// was ever reported as synced. Room on the file system is taken ahead, as far as there is some, so
// that what came of the attempts can be noted on a disk that has become full. One process owns the
// file (the agent's lock sees to it). Thread-safe.
class Journal {
 public:
  struct Opened {
    std::unique_ptr<Journal> journal;
    std::vector<agent::JournalEntry> entries;
    // Of a torn end.
    std::uint64_t cut_bytes = 0;
  };
  // Makes the file when it is missing. kDataLoss: the file is not a journal of this version.
  [[nodiscard]] static absl::StatusOr<Opened> Open(JournalOptions options);
  // Writes what was appended, then stops.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Begins to write. `synced` is called on the journal's thread with the id of the last entry that
  // is on the disk; `failed` once, when the file cannot be written: nothing is written after that,
  // and the process must end.
  void Start(std::function<void(agent::JournalId)> synced,
             std::function<void(const absl::Status&)> failed);

  // Ids rise by one per call.
  void Append(agent::JournalId id, const agent::JournalEntry& entry);

  // True: Rewrite would make the file smaller by a good part.
  [[nodiscard]] bool WantsRewrite() const;
  // Replaces the file by these entries, which stand for everything appended so far.
  void Rewrite(const std::vector<agent::JournalEntry>& entries);

 private:
  Journal(JournalOptions options, int fd, std::uint64_t size);
  void Work();
  // Best effort: on a file system that cannot, or is full, the next writes may fail.
  void KeepRoom();
  [[nodiscard]] absl::Status WriteBatch(const std::string& bytes);
  [[nodiscard]] absl::Status ReplaceFile(const std::string& content);

  // Constant after construction and Start.
  const JournalOptions options_;
  std::function<void(agent::JournalId)> synced_;
  std::function<void(const absl::Status&)> failed_;
  // Confined to the worker once it runs.
  int fd_;
  off_t room_end_ = 0;  // what was taken ahead ends there

  // Guarded by mu_.
  mutable std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::string pending_;           // records
  std::string replacement_;       // when not empty: a whole file, to be written before pending_
  agent::JournalId last_id_ = 0;  // of pending_ or replacement_
  agent::JournalId told_id_ = 0;  // what `synced` was last called with
  std::uint64_t size_ = 0;        // of the file with everything appended
  std::uint64_t rewritten_size_;  // of the file after the last rewrite

  std::thread worker_;
};

}  // namespace slipway::journal
