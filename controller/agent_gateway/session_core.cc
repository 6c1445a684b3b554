#include "controller/agent_gateway/session_core.h"

#include <algorithm>
#include <utility>

#include "common/status/status.h"
#include "controller/agent_gateway/message_check.h"

namespace slipway::agent_gateway {

using scheduler::Event;

SessionCore::SessionCore(scheduler::Origin self, Epoch epoch, MonoTime now, SessionOptions options)
    : self_(std::move(self)), epoch_(epoch), options_(options), silent_since_(now) {}

absl::StatusOr<std::optional<SessionInput>> SessionCore::OnMessage(protocol::AgentMessage message,
                                                                   MonoTime now) {
  SLIPWAY_RETURN_IF_ERROR(CheckAndClean(message));
  auto* inventory = std::get_if<protocol::Inventory>(&message);
  if (inventory == nullptr && sequence_ == 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NO_INVENTORY",
                     "the first message of a stream must be an inventory");
  }
  if (inventory != nullptr) {
    if (inventory->sequence <= sequence_) return std::nullopt;
    sequence_ = inventory->sequence;
    silent_since_ = now;
    return SessionInput(Event(scheduler::InventoryReceived{self_, std::move(*inventory)}));
  }
  return std::visit(
      [&](auto& body) -> std::optional<SessionInput> {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, protocol::Accept>) {
          return SessionInput(Event(scheduler::Accepted{self_, body.key}));
        } else if constexpr (std::is_same_v<Body, protocol::Refuse>) {
          return SessionInput(Event(scheduler::Refused{self_, body.key, std::move(body.reason)}));
        } else if constexpr (std::is_same_v<Body, protocol::StepReport>) {
          return SessionInput(Event(scheduler::StepReported{self_, std::move(body)}));
        } else if constexpr (std::is_same_v<Body, protocol::ResultReport>) {
          scheduler::ResultReported event;
          event.from = self_;
          event.key = body.key;
          event.result = std::move(body.result);
          return SessionInput(Event(std::move(event)));
        } else if constexpr (std::is_same_v<Body, protocol::PermitRequest>) {
          return SessionInput(Event(scheduler::PermitRequested{.from = self_,
                                                               .key = body.key,
                                                               .manifest = body.manifest,
                                                               .nonce = {},
                                                               .sequence = body.sequence,
                                                               .deadline = {}}));
        } else if constexpr (std::is_same_v<Body, protocol::LogChunk>) {
          return SessionInput(std::move(body));
        } else {
          return std::nullopt;
        }
      },
      message);
}

protocol::ControllerMessage SessionCore::Stamp(
    std::variant<protocol::Desired, protocol::LogAck, protocol::Permit, protocol::PermitDenied>
        body) const {
  if (auto* desired = std::get_if<protocol::Desired>(&body)) {
    desired->sync_after = std::min(desired->sync_after, options_.sync_interval);
  }
  return {epoch_, std::move(body)};
}

absl::Status SessionCore::OnTick(MonoTime now) const {
  if (now < NextDeadline()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kDeadlineExceeded, "AGENT_SILENT",
                   established() ? "no inventory came for too long"
                                 : "no inventory came after the stream was opened");
}

MonoTime SessionCore::NextDeadline() const {
  return silent_since_ +
         (established() ? options_.silence_timeout : options_.first_inventory_timeout);
}

SessionTable::Opened SessionTable::Open(const AgentId& agent) {
  Opened opened{SessionId(++last_), Current(agent)};
  current_[agent] = opened.session;
  return opened;
}

bool SessionTable::Close(const AgentId& agent, SessionId session) {
  if (Current(agent) != session) return false;
  current_.erase(agent);
  return true;
}

std::optional<SessionId> SessionTable::Current(const AgentId& agent) const {
  const auto it = current_.find(agent);
  if (it == current_.end()) return std::nullopt;
  return it->second;
}

}  // namespace slipway::agent_gateway
