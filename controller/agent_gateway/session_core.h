#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/messages.h"
#include "controller/scheduler/events.h"

namespace slipway::agent_gateway {

struct SessionOptions {
  // Time between two inventories of an agent in quiet times. Each costs one message and some
  // lookups.
  Duration sync_interval = std::chrono::seconds(15);
  // A stream whose first inventory has not come after this long is ended.
  Duration first_inventory_timeout = std::chrono::seconds(10);
  // A stream that brought no inventory for this long is ended; well above sync_interval.
  Duration silence_timeout = std::chrono::seconds(60);
};

// What an agent message comes to: an event for the SchedulerCore (with the shell's fields still
// empty, see events.h), or a chunk for the log intake.
using SessionInput = std::variant<scheduler::Event, protocol::LogChunk>;

// One stream of one agent: checks what comes in, keeps the order of inventories, stamps what goes
// out. What the messages mean for tasks is the SchedulerCore's business; unknown task ids pass.
//
// An error ends the stream: its status is what the agent is told. kInvalidArgument: a message is
// malformed or too big; kFailedPrecondition: the first message is no inventory; kDeadlineExceeded:
// silence; kAborted, SESSION_REPLACED: the agent connected again.
//
// Owned by the stream's reactor. Thread-compatible; confined to the reactor's lock. Reads no clock.
class SessionCore {
 public:
  // `epoch`: of this controller's term; stamped on everything sent.
  SessionCore(scheduler::Origin self, Epoch epoch, MonoTime now, SessionOptions options = {});

  // Judges one message of the stream. nullopt: it is late or repeated, nothing to do. Texts from
  // outside come out as valid UTF-8 without NUL, cut to their limits, so that any store takes them.
  [[nodiscard]] absl::StatusOr<std::optional<SessionInput>> OnMessage(
      protocol::AgentMessage message, MonoTime now);

  // The message as it goes on the wire: with the epoch and the time of the next sync.
  [[nodiscard]] protocol::ControllerMessage Stamp(
      std::variant<protocol::Desired, protocol::LogAck, protocol::Permit, protocol::PermitDenied>
          body) const;

  // Ok, or why the stream must end now.
  [[nodiscard]] absl::Status OnTick(MonoTime now) const;
  [[nodiscard]] MonoTime NextDeadline() const;

  // An inventory was taken, so the scheduler knows the session: SessionClosed must follow the last
  // input.
  [[nodiscard]] bool established() const { return sequence_ > 0; }
  [[nodiscard]] const scheduler::Origin& self() const { return self_; }

 private:
  const scheduler::Origin self_;
  const Epoch epoch_;
  const SessionOptions options_;
  std::uint64_t sequence_ = 0;  // of the last inventory taken
  MonoTime silent_since_;
};

// Which session of which agent is the current one, across streams. Thread-compatible; confined to
// the registry's mutex.
class SessionTable {
 public:
  struct Opened {
    SessionId session;
    // The agent's older session, now replaced: its stream is to be ended.
    std::optional<SessionId> replaced;
  };
  // A new session number, never used before in this process.
  [[nodiscard]] Opened Open(const AgentId& agent);
  // False: it was replaced before, nothing changes.
  bool Close(const AgentId& agent, SessionId session);
  [[nodiscard]] std::optional<SessionId> Current(const AgentId& agent) const;
  [[nodiscard]] std::size_t size() const { return current_.size(); }

 private:
  std::map<AgentId, SessionId> current_;
  std::uint64_t last_ = 0;
};

}  // namespace slipway::agent_gateway
