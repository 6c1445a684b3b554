#include "controller/scheduler/announcer.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <variant>
#include <vector>

namespace slipway::scheduler {
namespace {

// Batches that wait to be told while one is.
constexpr std::size_t kMostUntold = 4;

bool IsPush(const Outgoing& message) {
  const auto* desired = std::get_if<protocol::Desired>(&message.body);
  return desired != nullptr && desired->answers == 0 && !desired->images;
}

// What a batch pushes to one session in a row, as one message.
std::vector<Outgoing> JoinPushes(std::vector<Outgoing> messages) {
  std::vector<Outgoing> joined;
  std::map<SessionId, std::size_t> open;  // where a push of the session may be added to
  std::set<std::pair<SessionId, AttemptKey>> told;
  for (Outgoing& message : messages) {
    const SessionId session = message.session;
    const auto it = open.find(session);
    if (!IsPush(message)) {
      if (it != open.end()) open.erase(it);
      joined.push_back(std::move(message));
      continue;
    }
    auto& desired = std::get<protocol::Desired>(message.body);
    // Of one attempt only one thing can be wanted in one message.
    const bool again =
        std::any_of(desired.attempts.begin(), desired.attempts.end(), [&](const auto& attempt) {
          return told.contains({session, attempt.key});
        });
    for (const auto& attempt : desired.attempts) told.emplace(session, attempt.key);
    if (it == open.end() || again) {
      open.insert_or_assign(session, joined.size());
      joined.push_back(std::move(message));
      continue;
    }
    auto& into = std::get<protocol::Desired>(joined[it->second].body);
    into.sync_after = std::min(into.sync_after, desired.sync_after);
    std::move(desired.attempts.begin(), desired.attempts.end(), std::back_inserter(into.attempts));
  }
  return joined;
}

}  // namespace

Announcer::Announcer(WorkOrders& orders, Answer answer)
    : orders_(orders), answer_(std::move(answer)) {}

Announcer::~Announcer() { Stop(); }

void Announcer::Start(SessionSink& sink) {
  sink_ = &sink;
  thread_ = std::thread([this] { Loop(); });
}

void Announcer::Tell(Effects effects) {
  {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [this] { return untold_.size() < kMostUntold; });
    untold_.push_back(std::move(effects));
  }
  changed_.notify_all();
}

void Announcer::Drain(const std::function<void()>& turn) {
  std::unique_lock lock(mu_);
  while (telling_ || !untold_.empty()) {
    changed_.wait(lock);
    turn();
  }
}

void Announcer::Hush() { hushed_ = true; }

void Announcer::Stop() {
  Hush();
  {
    const std::lock_guard lock(mu_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Announcer::Loop() {
  std::unique_lock lock(mu_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !untold_.empty(); });
    if (untold_.empty()) return;
    Effects effects = std::move(untold_.front());
    untold_.pop_front();
    telling_ = true;
    lock.unlock();
    changed_.notify_all();
    Perform(std::move(effects));
    lock.lock();
    telling_ = false;
    changed_.notify_all();
  }
}

void Announcer::Perform(Effects effects) {
  for (const AgentId& agent : effects.disconnected) sink_->Disconnect(agent);
  for (const DismissedAgent& gone : effects.dismissed) {
    sink_->Dismiss(gone.agent, gone.availability);
  }
  for (const Reply& reply : effects.replies) answer_(reply);
  for (Outgoing& message : JoinPushes(std::move(effects.sends))) {
    if (!hushed_) Dispatch(std::move(message));
  }
  if (!effects.changed.empty()) orders_.Changed(effects.changed);
  for (const TakenResult& result : effects.taken) orders_.ResultTaken(result);
}

void Announcer::Dispatch(Outgoing message) {
  if (auto* desired = std::get_if<protocol::Desired>(&message.body)) {
    for (auto& attempt : desired->attempts) {
      if (attempt.want != protocol::Want::kStart) continue;
      auto spec = orders_.SpecOf(attempt.key.task);
      // The agent hears "keep" and asks again with its next inventory.
      if (!spec.ok()) {
        attempt.want = protocol::Want::kKeep;
        desired->sync_after = std::min<Duration>(desired->sync_after, std::chrono::seconds(1));
        continue;
      }
      attempt.spec = std::move(*spec);
    }
  } else if (auto* permit = std::get_if<protocol::Permit>(&message.body)) {
    auto secret = orders_.SecretOf(permit->key.task);
    if (!secret.ok()) return;  // the agent asks again
    if (auto* failure = std::get_if<protocol::Failure>(&*secret)) {
      protocol::PermitDenied denied{permit->key, std::move(*failure)};
      message.body = std::move(denied);
    } else {
      permit->secret = std::move(std::get<std::string>(*secret));
    }
  }
  sink_->Send(message.session, std::move(message.body));
}

}  // namespace slipway::scheduler
