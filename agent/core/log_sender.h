#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

// How far the log of one attempt has come on its way from spool to controller.
namespace slipway::agent {

// Offsets of one log; decides which bytes to send next. The controller's acks alone say where that
// is: after every connect it is asked before bytes are sent, and what stays unacknowledged from one
// sync to the next is sent again. Confined to the agent's main strand.
class LogSender {
 public:
  // Bytes [offset, end) to send; empty: a question where to resume.
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
  };

  explicit LogSender(std::uint64_t window_bytes) : window_bytes_(window_bytes) {}

  void OnGrew(std::uint64_t begin, std::uint64_t end) {
    begin_ = std::max(begin_, begin);
    end_ = std::max(end_, end);
    durable_ = std::max(durable_, begin);  // nothing else is ever freed
  }

  // The log is complete with `size` bytes. Also when the spool does not hold them any more, the
  // controller is asked for what it has.
  void OnEnded(std::uint64_t size) { size_ = std::max(size_, size); }

  // True: `durable` rose, so more of the spool may be freed.
  bool OnAck(std::uint64_t received, std::uint64_t durable) {
    // What is durable stays received: an ack below it is an old one that came late or twice.
    if (received < acked_durable_) return false;
    acked_durable_ = std::max(acked_durable_, durable);
    if (asked_ || received < acked_ || received > sent_) sent_ = received;
    asked_ = false;
    must_ask_ = false;
    acked_ = received;
    const bool rose = durable > durable_;
    durable_ = std::max(durable_, durable);
    return rose;
  }

  void OnConnected() {
    must_ask_ = true;
    asked_ = false;
  }

  // Called once per sync: when no ack has moved since the last one, bytes or acks are lost, so the
  // controller is asked again where it is.
  void OnSync() {
    if (durable_ < size() && acked_ == acked_at_sync_ && durable_ == durable_at_sync_)
      OnConnected();
    acked_at_sync_ = acked_;
    durable_at_sync_ = durable_;
  }

  // What to send now, if anything; counts it as sent.
  std::optional<Range> Next() {
    if (size() <= durable_) return std::nullopt;
    if (must_ask_) {
      if (asked_) return std::nullopt;
      asked_ = true;
      return Range{durable_, durable_};
    }
    const std::uint64_t limit = std::min(end_, acked_ + window_bytes_);
    if (sent_ >= limit || sent_ < begin_) return std::nullopt;
    const Range range{sent_, limit};
    sent_ = limit;
    return range;
  }

  // Bytes that the controller wants and the spool no longer has; 0 in any normal life.
  [[nodiscard]] std::uint64_t lost() const {
    return !must_ask_ && begin_ > acked_ ? begin_ - acked_ : 0;
  }
  // The controller has said on this stream what it has.
  [[nodiscard]] bool answered() const { return !must_ask_; }
  [[nodiscard]] std::uint64_t end() const { return end_; }
  [[nodiscard]] std::uint64_t durable() const { return durable_; }

 private:
  [[nodiscard]] std::uint64_t size() const { return std::max(end_, size_); }

  const std::uint64_t window_bytes_;
  std::uint64_t begin_ = 0;  // of the spool
  std::uint64_t end_ = 0;
  std::uint64_t size_ = 0;  // 0: it has not ended
  std::uint64_t durable_ = 0;
  std::uint64_t acked_ = 0;          // received, by the newest ack
  std::uint64_t acked_durable_ = 0;  // the highest that an ack of this process named
  std::uint64_t sent_ = 0;
  std::uint64_t acked_at_sync_ = 0;
  std::uint64_t durable_at_sync_ = 0;
  bool must_ask_ = true;  // no ack came since the stream was opened
  bool asked_ = false;
};

}  // namespace slipway::agent
