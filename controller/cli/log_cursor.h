#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slipway::cli {

// Where a reader stands in one attempt's log, over any number of connections. Pure; confined to one
// thread.
class LogCursor {
 public:
  // `attempt` 0: the newest one, known with the first answer.
  LogCursor(std::int64_t attempt, std::uint64_t offset) : attempt_(attempt), next_(offset) {}

  struct Piece {
    std::string_view fresh;     // bytes not seen before; part of what was given to Accept
    std::uint64_t skipped = 0;  // bytes that should have come before them
    bool restarted = false;     // they are the beginning of a newer attempt's log
  };
  // What an answer of the controller adds. Bytes seen already are dropped.
  Piece Accept(std::int64_t attempt, std::uint64_t offset, std::string_view data) {
    Piece piece;
    if (attempt != attempt_ && attempt != 0) {
      piece.restarted = attempt_ != 0;
      if (piece.restarted) next_ = 0;
      attempt_ = attempt;
    }
    if (data.empty()) return piece;
    if (offset > next_) {
      piece.skipped = offset - next_;
      next_ = offset;
    }
    const std::uint64_t seen = next_ - offset;
    if (seen < data.size()) {
      piece.fresh = data.substr(static_cast<std::size_t>(seen));
      next_ += piece.fresh.size();
    }
    return piece;
  }

  // What to ask for: the attempt that was begun, from the first byte not seen.
  [[nodiscard]] std::int64_t attempt() const { return attempt_; }
  [[nodiscard]] std::uint64_t next() const { return next_; }

 private:
  std::int64_t attempt_;
  std::uint64_t next_;
};

}  // namespace slipway::cli
