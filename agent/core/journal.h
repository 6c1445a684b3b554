#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/messages.h"

// What an agent must remember beyond its own death, as values. The core decides what is written and
// when it must be on the disk; the shell writes it.
namespace slipway::agent {

// Promised to the controller; synced before Accept is sent.
struct JournalAccepted {
  protocol::TaskKind kind = protocol::TaskKind::kBuild;
  friend bool operator==(const JournalAccepted&, const JournalAccepted&) = default;
};

// Start was ordered; synced before anything is started.
struct JournalRunning {
  std::string spec;
  friend bool operator==(const JournalRunning&, const JournalRunning&) = default;
};

// The marker of invariant 9; synced before the permit is given to the runner. From then on only a
// result that the client left behind can say that nothing was published.
struct JournalPublishStarted {
  std::string nonce;
  friend bool operator==(const JournalPublishStarted&, const JournalPublishStarted&) = default;
};

// The outbox; synced before the result is sent.
struct JournalFinished {
  protocol::AttemptResult result;
  friend bool operator==(const JournalFinished&, const JournalFinished&) = default;
};

// Container, workspace and spool are gone; nothing is left to remember.
struct JournalDeleted {
  friend bool operator==(const JournalDeleted&, const JournalDeleted&) = default;
};

// The highest epoch seen. Nothing waits for its sync.
struct JournalEpoch {
  Epoch epoch;
  friend bool operator==(const JournalEpoch&, const JournalEpoch&) = default;
};

struct JournalEntry {
  AttemptKey key;  // empty with JournalEpoch
  std::variant<JournalAccepted, JournalRunning, JournalPublishStarted, JournalFinished,
               JournalDeleted, JournalEpoch>
      what;
  friend bool operator==(const JournalEntry&, const JournalEntry&) = default;
};

// Position of an entry, rising by one with each entry of a process, from 1.
using JournalId = std::uint64_t;

}  // namespace slipway::agent
