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

// Acks are positions, so only the newest one is kept while a write is pending.
class LogStream final : public Reactor {
 public:
  LogStream(grpc::CallbackServerContext& context, Gateway& gateway, logs::LogStore& logs)
      : context_(context), gateway_(gateway), logs_(logs) {}

  void Begin(std::shared_ptr<LogStream> self, const absl::StatusOr<domain::Agent>& agent) {
    self_ = std::move(self);
    if (!agent.ok()) {
      End(agent.status());
      return;
    }
    agent_ = agent->id;
    StartRead(&incoming_);
  }

  void OnReadDone(bool ok) override {
    absl::Status status;
    if (ok) status = Take();
    if (!ok || !status.ok()) {
      End(status);
      return;
    }
    StartRead(&incoming_);
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

  void OnDone() override {
    if (log_) log_->SetAckSink(nullptr);
    const auto self = std::move(self_);
  }

 private:
  absl::Status Take() {
    if (!log_) SLIPWAY_RETURN_IF_ERROR(OpenLog());
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
    SLIPWAY_ASSIGN_OR_RETURN(const AttemptKey key, rpc::FromProto(incoming_.ref()));
    if (!gateway_.scheduler().IsCurrent(agent_, key)) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT",
                       fmt::format("attempt {} of {} is not this agent's current one",
                                   key.attempt.value(), key.task.value()));
    }
    SLIPWAY_ASSIGN_OR_RETURN(log_, logs_.Open(key));
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

  void End(const absl::Status& status) {
    const std::lock_guard lock(mu_);
    if (ended_) return;
    ended_ = true;
    final_ = status;
    FinishOnce();
  }

  void FinishOnce() {
    if (writing_ || finished_) return;
    finished_ = true;
    Finish(rpc::ToGrpc(context_, final_));
  }

  grpc::CallbackServerContext& context_;
  Gateway& gateway_;
  logs::LogStore& logs_;
  AgentId agent_;  // constant after Begin
  std::shared_ptr<LogStream> self_;
  v1::AppendLogRequest incoming_;  // owned by the pending read, like log_ by whoever handles it
  std::shared_ptr<logs::LogAppender> log_;

  std::mutex mu_;
  v1::AppendLogResponse outgoing_;
  std::optional<protocol::LogAck> pending_;
  bool writing_ = false;
  bool ended_ = false;
  bool finished_ = false;
  absl::Status final_;
};

}  // namespace

Reactor* NewLogStream(grpc::CallbackServerContext& context, Gateway& gateway,
                      const PeerCheck& peers, logs::LogStore& logs) {
  auto stream = std::make_shared<LogStream>(context, gateway, logs);
  stream->Begin(stream, peers.Identify(context));
  return stream.get();
}

}  // namespace slipway::agent_gateway
