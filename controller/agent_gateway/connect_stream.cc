#include "controller/agent_gateway/connect_stream.h"

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "common/crypto/secret.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::agent_gateway {
namespace {

// Messages that wait for a slow agent; then the stream ends, and the next one starts with an
// inventory.
constexpr std::size_t kMaxQueued = 4096;

using Reactor = grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>;

// At most one read and one write are pending. Finish is called once, when no write is pending,
// because gRPC drops a write that a Finish overtakes. Everything is guarded by mu_; nothing is
// called into the scheduler or gateway while it is held.
class ConnectStream final : public Reactor, public AgentStream {
 public:
  ConnectStream(grpc::CallbackServerContext& context, Gateway& gateway)
      : context_(context), gateway_(gateway) {}

  // Keeps itself alive from here to OnDone.
  void Begin(std::shared_ptr<ConnectStream> self, const absl::StatusOr<domain::Agent>& agent) {
    self_ = std::move(self);
    if (!agent.ok()) {
      End(agent.status());
      return;
    }
    if (gateway_.stopping()) {
      End(MakeError(absl::StatusCode::kUnavailable, "STOPPING", "the controller is stopping"));
      return;
    }
    agent_ = agent->id;
    const SessionId session = gateway_.Open(agent_, self_);
    {
      const std::lock_guard lock(mu_);
      core_.emplace(scheduler::Origin{agent_, session}, gateway_.epoch(), gateway_.clock().Mono(),
                    gateway_.options());
    }
    StartRead(&incoming_);
  }

  void Send(scheduler::SessionSink::Body body) override {
    const std::lock_guard lock(mu_);
    if (ended_) return;
    if (queue_.size() >= kMaxQueued) {
      EndLocked(MakeError(absl::StatusCode::kResourceExhausted, "AGENT_TOO_SLOW",
                          "the agent reads too slowly"));
      return;
    }
    queue_.push_back(rpc::ToProto(core_->Stamp(std::move(body))));
    WriteNext();
  }

  void End(const absl::Status& status) override {
    const std::lock_guard lock(mu_);
    EndLocked(status);
  }

  void Tick(MonoTime now) override {
    const std::lock_guard lock(mu_);
    if (ended_ || !core_) return;
    if (const absl::Status status = core_->OnTick(now); !status.ok()) EndLocked(status);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      // The agent has left, or the call is broken.
      End(absl::OkStatus());
      return;
    }
    if (const absl::Status status = Take(); !status.ok()) {
      End(status);
      return;
    }
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mu_);
    writing_ = false;
    Wipe(queue_.front());
    queue_.pop_front();
    if (!ok && !ended_) EndLocked(absl::UnavailableError("the stream is broken"));
    if (ended_) {
      FinishOnce();
    } else {
      WriteNext();
    }
  }

  void OnCancel() override { End(absl::CancelledError("the agent has left")); }

  void OnDone() override {
    std::optional<scheduler::Origin> opened;
    bool established = false;
    {
      const std::lock_guard lock(mu_);
      if (core_) opened = core_->self();
      established = core_ && core_->established();
      for (auto& message : queue_) Wipe(message);
    }
    if (opened) gateway_.Close(opened->agent, opened->session);
    if (established) gateway_.scheduler().Post(scheduler::SessionClosed{*opened});
    const auto self = std::move(self_);
  }

 private:
  absl::Status Take() {
    SLIPWAY_ASSIGN_OR_RETURN(auto message, rpc::FromProto(incoming_));
    if (const auto* inventory = std::get_if<protocol::Inventory>(&message)) {
      gateway_.NoteInventory(agent_, inventory->labels, incoming_.inventory().agent_version());
    }
    std::optional<SessionInput> input;
    {
      const std::lock_guard lock(mu_);
      if (ended_) return absl::OkStatus();
      SLIPWAY_ASSIGN_OR_RETURN(input,
                               core_->OnMessage(std::move(message), gateway_.clock().Mono()));
    }
    if (!input) return absl::OkStatus();
    if (auto* event = std::get_if<scheduler::Event>(&*input)) {
      gateway_.scheduler().Post(std::move(*event));
    }
    return absl::OkStatus();
  }

  void WriteNext() {
    if (writing_ || queue_.empty()) return;
    writing_ = true;
    StartWrite(&queue_.front());
  }

  void EndLocked(const absl::Status& status) {
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

  static void Wipe(v1::ControllerMessage& message) {
    if (!message.has_permit()) return;
    std::string& secret = *message.mutable_permit()->mutable_secret();
    crypto::Wipe(secret.data(), secret.size());
  }

  grpc::CallbackServerContext& context_;
  Gateway& gateway_;
  AgentId agent_;  // constant after Begin
  std::shared_ptr<ConnectStream> self_;
  v1::AgentMessage incoming_;  // owned by the pending read

  std::mutex mu_;
  std::optional<SessionCore> core_;
  std::deque<v1::ControllerMessage> queue_;
  bool writing_ = false;
  bool ended_ = false;
  bool finished_ = false;
  absl::Status final_;
};

}  // namespace

Reactor* NewConnectStream(grpc::CallbackServerContext& context, Gateway& gateway,
                          const PeerCheck& peers) {
  auto stream = std::make_shared<ConnectStream>(context, gateway);
  stream->Begin(stream, peers.Identify(context));
  return stream.get();
}

}  // namespace slipway::agent_gateway
