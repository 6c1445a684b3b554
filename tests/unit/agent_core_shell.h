#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "agent/core/agent_core.h"

namespace slipway::agent {

inline AttemptKey Key(const std::string& task = "t", std::int64_t attempt = 1) {
  return {TaskId(task), Attempt(attempt)};
}

// A core with a shell that does nothing but keep the actions of the last event.
struct Shell {
  explicit Shell(std::vector<JournalEntry> entries = {}, std::uint32_t slots = 1)
      : core({.slots = slots, .labels = {}, .sync_interval = std::chrono::seconds(15)}),
        journal(std::move(entries)) {
    Keep(core.Load(journal, now));
  }

  void Do(Event event) {
    actions.clear();
    Keep(core.Apply(std::move(event), now, WallTime(now.time_since_epoch())));
  }
  void Keep(std::vector<Action> more) {
    for (Action& action : more) {
      if (const auto* write = std::get_if<WriteJournal>(&action)) {
        journal.push_back(write->entry);
        last = write->id;
      }
      actions.push_back(std::move(action));
    }
  }
  void Synced() { Do(JournalSynced{last}); }
  void Tell(decltype(protocol::ControllerMessage::body) body, std::int64_t epoch = 1) {
    Do(Received{{Epoch(epoch), std::move(body)}});
  }
  void Tell(protocol::Want want, AttemptKey key,
            protocol::TaskKind kind = protocol::TaskKind::kBuild, std::int64_t epoch = 1) {
    protocol::Desired desired{.answers = 0, .attempts = {}, .sync_after = std::chrono::seconds(15)};
    desired.attempts.push_back({key, kind, want, "spec"});
    Tell(desired, epoch);
  }
  // Held, started, its journal synced.
  void Run(AttemptKey key, protocol::TaskKind kind = protocol::TaskKind::kBuild) {
    Do(Connected{});
    Tell(protocol::Want::kOffer, key, kind);
    Synced();
    Tell(protocol::Want::kStart, key, kind);
    Synced();
    REQUIRE(Found<StartAttempt>() != nullptr);
  }

  template <typename T>
  [[nodiscard]] const T* Found() const {
    for (const Action& action : actions) {
      if (const auto* found = std::get_if<T>(&action)) return found;
    }
    return nullptr;
  }
  template <typename T>
  [[nodiscard]] const T* Sent() const {
    for (const Action& action : actions) {
      const auto* send = std::get_if<Send>(&action);
      if (send == nullptr) continue;
      if (const auto* found = std::get_if<T>(&send->message)) return found;
    }
    return nullptr;
  }

  MonoTime now = MonoTime(std::chrono::seconds(1000));
  AgentCore core;
  std::vector<JournalEntry> journal;
  JournalId last = 0;
  std::vector<Action> actions;
};

}  // namespace slipway::agent
