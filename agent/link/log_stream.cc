#include "agent/link/log_stream.h"

#include <algorithm>
#include <utility>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::link {

LogStream::LogStream(AttemptKey key, LogSource& source, Callbacks callbacks)
    : key_(std::move(key)), source_(source), callbacks_(std::move(callbacks)) {}

void LogStream::Begin(v1::AgentService::Stub& stub) {
  self_ = shared_from_this();
  stub.async()->AppendLog(&context_, this);
  // Writes are started from outside the reactions; the hold is given back when reading ends.
  AddHold();
  StartRead(&incoming_);
  StartCall();
}

void LogStream::Send(std::uint64_t offset, std::uint64_t end) {
  const std::lock_guard lock(mu_);
  if (ended_) return;
  if (!ranges_.empty() && offset < end && ranges_.back().end == offset &&
      ranges_.back().offset < ranges_.back().end) {
    ranges_.back().end = end;
  } else {
    ranges_.push_back({offset, end});
  }
  if (!writing_) WriteNext();
}

bool LogStream::FillPiece() {
  Range& range = ranges_.front();
  outgoing_.clear_times();
  outgoing_.set_offset(range.offset);
  std::string& data = *outgoing_.mutable_data();
  data.resize(std::min<std::uint64_t>(kPieceBytes, range.end - range.offset));
  if (data.empty()) {
    ranges_.pop_front();
    return true;
  }
  const absl::StatusOr<std::size_t> n =
      source_.ReadLog(key_, range.offset, data.data(), data.size());
  if (!n.ok() || *n == 0) return false;
  data.resize(*n);
  for (const LogMark& mark : source_.LogMarks(key_, range.offset, range.offset + *n)) {
    v1::LogTime& time = *outgoing_.add_times();
    time.set_offset(mark.offset);
    time.set_unix_micros(mark.unix_micros);
  }
  range.offset += *n;
  if (range.offset == range.end) ranges_.pop_front();
  return true;
}

void LogStream::WriteNext() {
  while (!ranges_.empty()) {
    if (!FillPiece()) {
      // The core asks again when no ack comes.
      ranges_.pop_front();
      continue;
    }
    if (!named_) {
      *outgoing_.mutable_ref() = rpc::ToProto(key_);
    } else {
      outgoing_.clear_ref();
    }
    named_ = true;
    writing_ = true;
    StartWrite(&outgoing_);
    return;
  }
  outgoing_.Clear();
}

void LogStream::OnReadDone(bool ok) {
  if (ok) {
    const protocol::LogAck ack{
        .key = key_, .received = incoming_.received(), .durable = incoming_.durable()};
    callbacks_.acked(*this, ack);
    StartRead(&incoming_);
    return;
  }
  {
    const std::lock_guard lock(mu_);
    ended_ = true;
  }
  RemoveHold();
}

void LogStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mu_);
  writing_ = false;
  if (ok && !ended_) WriteNext();
}

void LogStream::OnDone(const grpc::Status& status) {
  const std::shared_ptr<LogStream> self = std::move(self_);
  callbacks_.ended(*this, rpc::FromGrpc(context_, status));
}

}  // namespace slipway::link
