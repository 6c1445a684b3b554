#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

namespace slipway::logs {

// Bytes of a log in memory, the same for all who read them.
struct LogPiece {
  std::string_view data;
  // `data` is valid while it lives, and never changes.
  std::shared_ptr<const void> owner;
  // Nothing lies behind it yet.
  bool last = true;
};

class LogTail;

// What was appended last to logs that somebody follows. The blocks of all logs together are
// bounded: the oldest goes when there is no room, whoever's it is. Must outlive its tails.
// Thread-safe.
class LogTails {
 public:
  struct Options {
    // Of all tails together. Smaller: who lags behind reads the disk earlier.
    std::size_t max_bytes = std::size_t{16} << 20;
    // A piece is at most that long, and what a reader that stands still holds on to.
    std::size_t block_bytes = std::size_t{64} << 10;
  };

  explicit LogTails(Options options) : options_(options) {}
  LogTails(const LogTails&) = delete;
  LogTails& operator=(const LogTails&) = delete;

  // Bytes that the tails hold. Blocks that only readers hold are not among them.
  [[nodiscard]] std::size_t bytes() const;

 private:
  friend class LogTail;
  struct Block;
  struct Held {
    std::shared_ptr<Block> block;
    std::list<LogTail*>::iterator place;  // in order_
  };

  const Options options_;
  mutable std::mutex mu_;      // of all tails too
  std::list<LogTail*> order_;  // whose each block is, oldest first
};

// The last bytes of one log, for as long as it has readers. Thread-safe.
class LogTail {
 public:
  explicit LogTail(LogTails& all) : all_(all) {}
  ~LogTail() { Clear(); }
  LogTail(const LogTail&) = delete;
  LogTail& operator=(const LogTail&) = delete;

  // Without readers nothing is kept. One Leave per Join.
  void Join();
  void Leave();

  // The bytes of the log from `offset` on; a gap, or a step back, begins the tail anew.
  void Append(std::uint64_t offset, std::string_view data);
  // Forgets what is there. What readers hold stays theirs.
  void Clear();

  // Nothing: only the disk has what lies at `offset`, or knows that nothing does. Empty: the log
  // has no more yet.
  [[nodiscard]] std::optional<LogPiece> Read(std::uint64_t offset) const;

 private:
  // All three REQUIRE: all_.mu_.
  void AddBlock();
  void DropFirst();
  void DropAll();

  LogTails& all_;
  int readers_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::deque<LogTails::Held> blocks_;  // each full but the last
};

}  // namespace slipway::logs
