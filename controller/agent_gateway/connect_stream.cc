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
#include "controller/agent_gateway/text.h"

namespace slipway::agent_gateway {
namespace {

// Messages that wait for a slow agent; then the stream ends, and the next one starts with an
// inventory.
constexpr std::size_t kMaxQueued = 4096;
constexpr std::size_t kMaxVersionBytes = 128;

using Reactor = grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>;

// At most one read and one write are pending. Finish is called once, when no write is pending,
// because gRPC drops a write that a Finish overtakes, and not before the caller is known, because
// the call's context dies soon after it. Everything is guarded by mu_; nothing is called into the
// scheduler or gateway while it is held.
class ConnectStream final : public Reactor, public AgentStream {
 public:
  ConnectStream(grpc::CallbackServerContext& context, Gateway& gateway)
      : context_(context), gateway_(gateway) {}

  // Keeps itself alive from here to OnDone.
  void Begin(std::shared_ptr<ConnectStream> self, const PeerCheck& peers) {
    self_ = std::move(self);
    gateway_.pools().database.Post([stream = self_, &peers] { stream->Admit(peers); });
  }

  void Send(scheduler::SessionSink::Body body) override {
    if (auto* desired = std::get_if<protocol::Desired>(&body)) {
      desired->sent_at = gateway_.clock().Wall();
      // With every answer, so that an agent that was away hears of them.
      if (desired->answers != 0) desired->images = gateway_.ImagesFor(agent_);
    }
    const std::lock_guard lock(mu_);
    if (!ended_ && queue_.size() >= kMaxQueued) {
      EndLocked(MakeError(absl::StatusCode::kResourceExhausted, "AGENT_TOO_SLOW",
                          "the agent reads too slowly"));
    }
    if (ended_) {
      WipeSecret(body);
      return;
    }
    protocol::ControllerMessage stamped = core_->Stamp(std::move(body));
    queue_.push_back(rpc::ToProto(stamped));
    WipeSecret(stamped.body);
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
    ReadNext();
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
  void Admit(const PeerCheck& peers) {
    absl::Status status;
    if (const auto agent = peers.Identify(context_); agent.ok()) {
      agent_ = agent->id;
      agent_name_ = agent->name;
      status = Enter();
    } else {
      status = agent.status();
    }
    const std::lock_guard lock(mu_);
    admitting_ = false;
    if (!status.ok()) EndLocked(status);
    if (ended_) {
      FinishOnce();
    } else {
      StartRead(&incoming_);
    }
  }

  absl::Status Enter() {
    SLIPWAY_ASSIGN_OR_RETURN(const SessionId session, gateway_.Open(agent_, self_));
    const std::lock_guard lock(mu_);
    core_.emplace(scheduler::Origin{agent_, session}, gateway_.epoch(), gateway_.clock().Mono(),
                  gateway_.options());
    return absl::OkStatus();
  }

  void ReadNext() {
    const std::lock_guard lock(mu_);
    if (!ended_) StartRead(&incoming_);
  }

  absl::Status Take() {
    SLIPWAY_ASSIGN_OR_RETURN(auto message, rpc::FromProto(incoming_));
    std::optional<SessionInput> input;
    {
      const std::lock_guard lock(mu_);
      if (ended_) return absl::OkStatus();
      SLIPWAY_ASSIGN_OR_RETURN(input,
                               core_->OnMessage(std::move(message), gateway_.clock().Mono()));
    }
    if (!input) return absl::OkStatus();
    auto* event = std::get_if<scheduler::Event>(&*input);
    if (event == nullptr) return absl::OkStatus();
    if (auto* taken = std::get_if<scheduler::InventoryReceived>(event)) {
      taken->agent_name = agent_name_;
      gateway_.NoteInventory(
          agent_, {.labels = taken->inventory.labels,
                   .version = StorableText(incoming_.inventory().agent_version(), kMaxVersionBytes),
                   .health = taken->inventory.health,
                   .images = taken->inventory.images});
    }
    if (!gateway_.scheduler().Post(std::move(*event))) {
      return MakeError(absl::StatusCode::kResourceExhausted, "CONTROLLER_BUSY",
                       "too many messages wait for the controller's database");
    }
    return absl::OkStatus();
  }

  void WriteNext() {
    if (writing_ || queue_.empty()) return;
    writing_ = true;
    grpc::WriteOptions options;
    // Goes out together with the next one.
    if (queue_.size() > 1) options.set_buffer_hint();
    StartWrite(&queue_.front(), options);
  }

  void EndLocked(const absl::Status& status) {
    if (ended_) return;
    ended_ = true;
    final_ = status;
    FinishOnce();
  }

  void FinishOnce() {
    if (writing_ || admitting_ || finished_) return;
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
  // Constant once admitted.
  AgentId agent_;
  std::string agent_name_;
  std::shared_ptr<ConnectStream> self_;
  v1::AgentMessage incoming_;  // owned by the pending read

  std::mutex mu_;
  std::optional<SessionCore> core_;
  std::deque<v1::ControllerMessage> queue_;
  bool admitting_ = true;  // the caller is not known yet
  bool writing_ = false;
  bool ended_ = false;
  bool finished_ = false;
  absl::Status final_;
};

}  // namespace

Reactor* NewConnectStream(grpc::CallbackServerContext& context, Gateway& gateway,
                          const PeerCheck& peers) {
  auto stream = std::make_shared<ConnectStream>(context, gateway);
  stream->Begin(stream, peers);
  return stream.get();
}

}  // namespace slipway::agent_gateway
