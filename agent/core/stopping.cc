#include "agent/core/agent_impl.h"

// How an agent ends: drained, in a hurry, or thrown out.
namespace slipway::agent {

using protocol::TaskKind;

void AgentCore::Impl::On(DrainRequested&) {
  if (!draining_) {
    draining_ = true;
    // Before the inventory, by which the controller would have them started.
    for (const auto& [key, attempt] : attempts_) {
      if (attempt.accept_synced) HandBack(attempt);
    }
    if (connected_) Sync();
  }
  SayIfDrained();
}

void AgentCore::Impl::On(HurryRequested&) {
  DrainRequested drain;
  On(drain);
  hurrying_ = true;
  for (auto& [key, attempt] : attempts_) {
    const bool published = attempt.kind == TaskKind::kPublish && attempt.client_may_run;
    if (attempt.deleting || attempt.result || attempt.canceling || published) continue;
    // What has not been started ends when the order to start it comes.
    if (!attempt.started) continue;
    attempt.canceling = true;
    attempt.hurried = true;
    actions_.push_back(CancelAttempt{key});
  }
}

void AgentCore::Impl::On(Disowned&) {
  draining_ = true;
  for (auto& [key, attempt] : attempts_) {
    if (!attempt.deleting) Forget(attempt);
  }
  SayIfDrained();
}

void AgentCore::Impl::HandBack(const Attempt& attempt) {
  if (attempt.deleting || attempt.spec || attempt.result) return;
  SendMessage(protocol::Refuse{attempt.key, "the agent is being stopped"});
}

void AgentCore::Impl::SayIfDrained() {
  if (draining_ && attempts_.empty()) actions_.push_back(Drained{});
}

}  // namespace slipway::agent
