#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "agent/link/log_source.h"
#include "common/protocol/messages.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::link {

// One AppendLog call: sends the ranges it is given, read piece by piece from the spool when the one
// before has been written, so that its memory is one piece. Keeps itself alive until the call has
// ended. Thread-safe.
class LogStream final : public grpc::ClientBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>,
                        public std::enable_shared_from_this<LogStream> {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

  // Both are called on gRPC's threads. `ended` is the last call; with it the stream lets go of
  // itself.
  struct Callbacks {
    std::function<void(LogStream&, const protocol::LogAck&)> acked;
    std::function<void(LogStream&, const absl::Status&)> ended;
  };
  LogStream(AttemptKey key, LogSource& source, Callbacks callbacks);

  void Begin(v1::AgentService::Stub& stub);
  // [offset, end); empty: asks where to resume.
  void Send(std::uint64_t offset, std::uint64_t end);
  void Cancel() { context_.TryCancel(); }
  [[nodiscard]] const AttemptKey& key() const { return key_; }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
  };
  void WriteNext();  // REQUIRES: mu_
  // The next piece of the front range into outgoing_; false: the spool does not have it.
  [[nodiscard]] bool FillPiece();  // REQUIRES: mu_

  const AttemptKey key_;
  LogSource& source_;
  const Callbacks callbacks_;
  grpc::ClientContext context_;
  v1::AppendLogResponse incoming_;  // owned by the pending read
  std::shared_ptr<LogStream> self_;

  std::mutex mu_;
  v1::AppendLogRequest outgoing_;  // owned by the pending write
  std::deque<Range> ranges_;
  bool named_ = false;  // the first message went out
  bool writing_ = false;
  bool ended_ = false;
};

}  // namespace slipway::link
