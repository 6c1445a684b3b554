#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/init/posix.h"

namespace slipway::init {

// How far the log may run ahead of what the controller holds. Pure. Thread-compatible.
class LogBudget {
 public:
  static constexpr std::uint64_t kDefaultBytes = std::uint64_t{64} << 20;

  // Offsets never move back; one beyond `end` counts as `end`.
  void SetDurable(std::uint64_t offset, std::uint64_t end) {
    if (offset > end) offset = end;
    if (offset > durable_) durable_ = offset;
  }
  void SetBytes(std::uint64_t bytes) { bytes_ = bytes; }
  [[nodiscard]] bool Full(std::uint64_t end) const { return end - durable_ >= bytes_; }
  [[nodiscard]] std::uint64_t durable() const { return durable_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint64_t durable_ = 0;
  std::uint64_t bytes_ = kDefaultBytes;
};

// Process 1's end of the log file: appends and counts masked bytes and keeps the sparse time
// index. Never loses a byte to a full disk: room is allocated before the bytes are read, and
// what still cannot be written is kept in memory (the backlog) until it can. Thread-compatible.
class Spool {
 public:
  // Room that Ready() promises; more than a full pipe and all that a masker may hold back.
  static constexpr std::uint64_t kReserve = std::uint64_t{4} << 20;

  // Opens `log` and `log.times` in `dir_fd`; goes on behind what the log holds already.
  // REQUIRED before anything is appended.
  [[nodiscard]] Problem Open(int dir_fd);
  [[nodiscard]] bool is_open() const { return times_.valid(); }

  // At least kReserve bytes can be appended without waiting for the disk. Asks the file system when
  // that is not yet known; false means ask again later.
  bool Ready();

  // Takes all of `bytes`, read at `unix_us`.
  void Append(std::string_view bytes, std::int64_t unix_us);
  // Tries to write the backlog; true when there is none left.
  bool FlushBacklog();

  // To disk: data and size.
  [[nodiscard]] Problem Sync();

  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  void RecordTime(std::int64_t unix_us);
  // Writes as much as goes; returns how much.
  std::size_t Write(std::string_view bytes);

  Fd log_;
  Fd times_;
  std::uint64_t end_ = 0;
  std::uint64_t allocated_ = 0;  // the file has room up to here
  bool can_allocate_ = true;
  std::uint64_t times_end_ = 0;
  std::int64_t last_time_us_ = 0;
  std::string backlog_;
};

}  // namespace slipway::init
