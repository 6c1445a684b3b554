#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/events.h"
#include "agent/core/journal.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/messages.h"

namespace slipway::agent {

struct AgentOptions {
  // Attempts held at once that have not ended.
  std::uint32_t slots = 1;
  std::map<std::string, std::string> labels;
  // Time between inventories until the controller has said otherwise.
  Duration sync_interval = std::chrono::seconds(15);
  // Log bytes of one attempt on their way without an ack. Larger fills a longer line.
  std::uint64_t log_window_bytes = 8ULL << 20;
  // Starts of a publish that vanished before its marker, the first included.
  int max_publish_starts = 3;
};

// An attempt as the agent's own status page shows it.
struct AttemptView {
  AttemptKey key;
  protocol::TaskKind kind = protocol::TaskKind::kBuild;
  protocol::AttemptPhase phase = protocol::AttemptPhase::kAccepted;
  bool canceling = false;
  bool deleting = false;
  std::uint64_t log_end = 0;
  std::uint64_t log_durable = 0;
};

// The agent's side of the protocol: holds every attempt from the promise to its deletion, and
// decides what is journalled, started, sent and freed. Containers, files and sockets are the
// runner's and link's business.
//
// Invariants (docs/protocol.md): nothing is promised, started or reported before the journal entry
// that says so is on the disk; of a publish at most one permit is ever given, and only after its
// marker is synced; a result is kept and sent again until the controller says kForget; spool is
// freed only below what the controller has on its disk; a message of a lower epoch than the highest
// seen is ignored.
//
// Memory is bound to the attempts held, which the slots and the controller bound.
// Thread-compatible; confined to the agent's main strand. Reads no clock; `now` never goes back.
class AgentCore {
 public:
  explicit AgentCore(AgentOptions options);
  ~AgentCore();
  AgentCore(AgentCore&&) noexcept;
  AgentCore& operator=(AgentCore&&) noexcept;

  // Takes up where the journal ends; once, before the first Apply. REQUIRES: the entries are on the
  // disk (after a crash of the process alone they may be in the page cache only: sync before). A
  // journal from nowhere (entries about attempts never accepted) is taken as far as it makes sense.
  [[nodiscard]] std::vector<Action> Load(const std::vector<JournalEntry>& journal, MonoTime now);

  [[nodiscard]] std::vector<Action> Apply(Event event, MonoTime now, WallTime wall);

  // When to Apply a Tick at the latest; nullopt while disconnected.
  [[nodiscard]] std::optional<MonoTime> NextDeadline() const;

  // The shortest journal that loads to the present state, entries not yet synced included; to
  // rewrite the file when it has grown. It replaces the old one only after its own sync.
  [[nodiscard]] std::vector<JournalEntry> Snapshot() const;

  // By key.
  [[nodiscard]] std::vector<AttemptView> Attempts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::agent
