// A log on its way from the agent's sender to the controller's cursor over a line that drops,
// repeats and reorders, with crashes of both ends: the controller's bytes are always a beginning of
// the log, nothing is freed that is not on its disk, and a quiet line brings all of it.
#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <variant>

#include "agent/core/log_sender.h"
#include "common/base/check.h"
#include "common/loghash/segment_hasher.h"
#include "controller/logs/log_cursor.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

const AttemptKey kKey{TaskId("task"), Attempt(1)};
constexpr std::size_t kMaxLog = 4096;
constexpr std::size_t kMaxInFlight = 32;

struct Line {
  std::deque<protocol::LogChunk> chunks;
  std::deque<protocol::LogAck> acks;
};

class Farm {
 public:
  explicit Farm(std::uint64_t window) : window_(window) { AgentRestarts(); }

  void Grow(std::string_view bytes) {
    if (log_.size() + bytes.size() > kMaxLog) return;
    log_ += bytes;
    sender_->OnGrew(begin_, log_.size());
    Pump();
  }
  void Connect() {
    line_ = {};
    sender_->OnConnected();
    Pump();
  }
  void AgentRestarts() {
    sender_.emplace(window_);
    sender_->OnGrew(begin_, log_.size());
    Connect();
  }
  void Sync() {
    sender_->OnSync();
    Pump();
  }
  // `machine`: what was not synced is lost.
  void ControllerRestarts(bool machine) {
    if (machine) stored_.resize(synced_);
    synced_ = stored_.size();
    cursor_.emplace(kKey, synced_, Options());
    Connect();
  }
  void DiskSyncs() {
    synced_ = stored_.size();
    if (cursor_->OnSynced(synced_)) line_.acks.push_back(cursor_->Ack());
  }
  void DeliverChunk(std::size_t which, bool keep) {
    if (line_.chunks.empty()) return;
    const auto at = line_.chunks.begin() + static_cast<std::ptrdiff_t>(which % line_.chunks.size());
    const protocol::LogChunk chunk = *at;
    if (!keep) line_.chunks.erase(at);
    const logs::ChunkVerdict verdict = cursor_->OnChunk(chunk.offset, chunk.data.size());
    SLIPWAY_CHECK(verdict.skip + verdict.take <= chunk.data.size());
    if (verdict.take > 0) SLIPWAY_CHECK(chunk.offset + verdict.skip == stored_.size());
    stored_ += chunk.data.substr(verdict.skip, verdict.take);
    SLIPWAY_CHECK(cursor_->received() == stored_.size());
    SLIPWAY_CHECK(log_.starts_with(stored_));
    if (verdict.ack_now) line_.acks.push_back(cursor_->Ack());
  }
  void DeliverAck(std::size_t which, bool keep) {
    if (line_.acks.empty()) return;
    const auto at = line_.acks.begin() + static_cast<std::ptrdiff_t>(which % line_.acks.size());
    const protocol::LogAck ack = *at;
    if (!keep) line_.acks.erase(at);
    SLIPWAY_CHECK(ack.durable <= ack.received);
    if (sender_->OnAck(ack.received, ack.durable)) {
      begin_ = std::max(begin_, sender_->durable());
      SLIPWAY_CHECK(begin_ <= synced_);
    }
    SLIPWAY_CHECK(sender_->lost() == 0);
    Pump();
  }
  void DropChunk() {
    if (!line_.chunks.empty()) line_.chunks.pop_front();
  }
  void DropAck() {
    if (!line_.acks.empty()) line_.acks.pop_front();
  }

  // Nothing goes wrong any more.
  void Settle() {
    for (int round = 0; sender_->durable() < log_.size(); ++round) {
      SLIPWAY_CHECK(round < 100);
      Connect();
      // Within one connection the window moves on by itself.
      for (int step = 0; step < 10'000 && sender_->durable() < log_.size(); ++step) {
        if (line_.chunks.empty() && line_.acks.empty() && synced_ == stored_.size()) break;
        while (!line_.chunks.empty()) DeliverChunk(0, false);
        DiskSyncs();
        while (!line_.acks.empty()) DeliverAck(0, false);
      }
    }
    SLIPWAY_CHECK(stored_ == log_ && synced_ == log_.size());
    // The root does not depend on how the bytes came.
    loghash::SegmentHasher hasher;
    for (std::string_view rest = stored_; !rest.empty();) {
      const std::string_view piece = rest.substr(0, 7);
      hasher.Update(piece);
      rest.remove_prefix(piece.size());
    }
    SLIPWAY_CHECK(hasher.Finish() == loghash::RootOf(log_));
  }

 private:
  static logs::LogCursorOptions Options() { return {.ack_every_bytes = 64}; }

  void Pump() {
    while (const auto range = sender_->Next()) {
      SLIPWAY_CHECK(range->offset <= range->end && range->end <= log_.size());
      SLIPWAY_CHECK(range->offset >= begin_);
      line_.chunks.push_back(
          {kKey, range->offset, log_.substr(range->offset, range->end - range->offset)});
    }
    if (line_.chunks.size() > kMaxInFlight) line_.chunks.resize(kMaxInFlight);
  }

  const std::uint64_t window_;
  std::string log_;
  std::uint64_t begin_ = 0;  // of the spool
  std::optional<agent::LogSender> sender_;
  Line line_;
  std::string stored_;
  std::size_t synced_ = 0;
  std::optional<logs::LogCursor> cursor_{std::in_place, kKey, 0, Options()};
};

void Check(ByteSource in) {
  Farm farm(1 + in.Byte());
  while (!in.empty()) {
    const std::uint8_t what = in.Byte();
    const bool flag = (what & 0x80) != 0;
    switch ((what & 0x7f) % 10) {
      case 0: farm.Grow(in.Bytes(in.Byte())); break;
      case 1: farm.DeliverChunk(in.Byte(), flag); break;
      case 2: farm.DeliverAck(in.Byte(), flag); break;
      case 3: farm.DropChunk(); break;
      case 4: farm.DropAck(); break;
      case 5: farm.DiskSyncs(); break;
      case 6: farm.Sync(); break;
      case 7: farm.Connect(); break;
      case 8: farm.AgentRestarts(); break;
      default: farm.ControllerRestarts(flag); break;
    }
  }
  farm.Settle();
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({data, size});
  return 0;
}
