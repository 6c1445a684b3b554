#include "controller/agent_gateway/log_stream.h"

#include <fmt/format.h>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::agent_gateway {
namespace {

constexpr std::size_t kMaxChunk = 1U << 20;

using Reactor = grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>;

// Acks are positions, so only the newest one is kept while a write is pending. What reads the
// database or writes the disk runs on a pool, one thing at a time, and Finish waits for it: the
// call's context dies soon after.
class LogStream final : public Reactor, public OpenStream {
 public:
  LogStream(grpc::CallbackServerContext& context, Gateway& gateway, logs::LogStore& logs)
      : context_(context), gateway_(gateway), logs_(logs) {}

  void Begin(std::shared_ptr<LogStream> self, const PeerCheck& peers) {
    self_ = std::move(self);
    gateway_.pools().database.Post(
        [stream = self_, &peers] { stream->GoOn(stream->Admit(peers)); });
  }

  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mu_);
    if (!ok) EndLocked(absl::OkStatus());
    if (ended_) return;
    working_ = true;
    gateway_.pools().disk.Post([stream = self_] { stream->GoOn(stream->Take()); });
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mu_);
    writing_ = false;
    if (!ok && !ended_) {
      ended_ = true;
      final_ = absl::UnavailableError("the stream is broken");
    }
    if (ended_) {
      FinishOnce();
    } else {
      WriteNext();
    }
  }

  void OnCancel() override { End(absl::CancelledError("the agent has left")); }

  void End(const absl::Status& status) override {
    const std::lock_guard lock(mu_);
    EndLocked(status);
  }

  void OnDone() override {
    gateway_.Detach(this);
    if (log_) log_->SetAckSink(nullptr);
    const auto self = std::move(self_);
  }

 private:
  // After the work that `working_` stands for.
  void GoOn(const absl::Status& status) {
    const std::lock_guard lock(mu_);
    working_ = false;
    if (!status.ok()) EndLocked(status);
    if (ended_) {
      FinishOnce();
    } else {
      StartRead(&incoming_);
    }
  }

  absl::Status Admit(const PeerCheck& peers) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto agent, peers.Identify(context_));
    agent_ = agent.id;
    return gateway_.Attach(agent_, this, self_);
  }

  absl::Status Take() {
    if (!log_) SLIPWAY_RETURN_IF_ERROR(OpenLog());
    // Asked anew for every chunk: an agent that lost its lease may have the stream open still.
    SLIPWAY_RETURN_IF_ERROR(gateway_.scheduler().CheckCurrent(agent_, key_));
    if (incoming_.data().size() > kMaxChunk) {
      return MakeError(
          absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
          fmt::format("data: {} bytes, more than {}", incoming_.data().size(), kMaxChunk));
    }
    std::vector<logs::LogTime> times;
    times.reserve(static_cast<std::size_t>(incoming_.times_size()));
    for (const auto& time : incoming_.times()) times.push_back({time.offset(), time.unix_micros()});
    SLIPWAY_ASSIGN_OR_RETURN(const auto ack,
                             log_->Append(incoming_.offset(), incoming_.data(), times));
    if (ack) Acknowledge(*ack);
    return absl::OkStatus();
  }

  absl::Status OpenLog() {
    SLIPWAY_ASSIGN_OR_RETURN(key_, rpc::FromProto(incoming_.ref()));
    SLIPWAY_RETURN_IF_ERROR(gateway_.scheduler().CheckCurrent(agent_, key_));
    SLIPWAY_ASSIGN_OR_RETURN(log_, logs_.Open(key_));
    log_->SetAckSink([this](const protocol::LogAck& ack) { Acknowledge(ack); });
    return absl::OkStatus();
  }

  void Acknowledge(const protocol::LogAck& ack) {
    const std::lock_guard lock(mu_);
    if (ended_) return;
    pending_ = ack;
    WriteNext();
  }

  void WriteNext() {
    if (writing_ || !pending_) return;
    outgoing_.set_received(pending_->received);
    outgoing_.set_durable(pending_->durable);
    pending_.reset();
    writing_ = true;
    StartWrite(&outgoing_);
  }

  void EndLocked(const absl::Status& status) {
    if (ended_) return;
    ended_ = true;
    final_ = status;
    FinishOnce();
  }

  void FinishOnce() {
    if (writing_ || working_ || finished_) return;
    finished_ = true;
    Finish(rpc::ToGrpc(context_, final_));
  }

  grpc::CallbackServerContext& context_;
  Gateway& gateway_;
  logs::LogStore& logs_;
  std::shared_ptr<LogStream> self_;

  // Owned by the pending read or the work that follows it.
  v1::AppendLogRequest incoming_;
  AgentId agent_;
  AttemptKey key_;
  std::shared_ptr<logs::LogAppender> log_;

  std::mutex mu_;
  v1::AppendLogResponse outgoing_;
  std::optional<protocol::LogAck> pending_;
  bool working_ = true;  // first: who calls
  bool writing_ = false;
  bool ended_ = false;
  bool finished_ = false;
  absl::Status final_;
};

}  // namespace

Reactor* NewLogStream(grpc::CallbackServerContext& context, Gateway& gateway,
                      const PeerCheck& peers, logs::LogStore& logs) {
  auto stream = std::make_shared<LogStream>(context, gateway, logs);
  stream->Begin(stream, peers);
  return stream.get();
}

}  // namespace slipway::agent_gateway
