#include "controller/logs/log_followers.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace slipway::logs {

struct LogFollowers::Subscription {
  explicit Subscription(std::function<void()> fn) : wake(std::move(fn)) {}
  void Call() {
    const std::lock_guard lock(mu);
    if (wake) wake();
  }
  std::mutex mu;
  std::function<void()> wake;
};

class LogFollowers::Handle final : public LogFollow {
 public:
  Handle(LogFollowers& all, AttemptKey key, std::shared_ptr<Subscription> subscription,
         std::shared_ptr<LogTail> tail)
      : all_(all),
        key_(std::move(key)),
        subscription_(std::move(subscription)),
        tail_(std::move(tail)) {
    tail_->Join();
  }
  ~Handle() override {
    tail_->Leave();
    tail_.reset();
    all_.Leave(key_, subscription_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  std::optional<LogPiece> ReadTail(std::uint64_t offset) override { return tail_->Read(offset); }

 private:
  LogFollowers& all_;
  const AttemptKey key_;
  const std::shared_ptr<Subscription> subscription_;
  std::shared_ptr<LogTail> tail_;
};

LogFollowers::LogFollowers(Options options)
    : options_(options),
      tails_({.max_bytes = options.tail_bytes}),
      waker_([this] { WakeLoop(); }) {}

LogFollowers::~LogFollowers() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  waker_.join();
}

std::unique_ptr<LogFollow> LogFollowers::Follow(const AttemptKey& key, std::function<void()> wake) {
  auto subscription = std::make_shared<Subscription>(std::move(wake));
  std::shared_ptr<LogTail> tail;
  {
    const std::lock_guard lock(mu_);
    logs_[key].followers.push_back(subscription);
    tail = TailOfLocked(key);
  }
  return std::make_unique<Handle>(*this, key, std::move(subscription), std::move(tail));
}

std::shared_ptr<LogTail> LogFollowers::TailOf(const AttemptKey& key) {
  const std::lock_guard lock(mu_);
  return TailOfLocked(key);
}

std::shared_ptr<LogTail> LogFollowers::TailOfLocked(const AttemptKey& key) {
  std::weak_ptr<LogTail>& known = tail_of_[key];
  auto tail = known.lock();
  if (!tail) {
    tail = std::make_shared<LogTail>(tails_);
    known = tail;
  }
  return tail;
}

void LogFollowers::Leave(const AttemptKey& key, const std::shared_ptr<Subscription>& subscription) {
  {
    const std::lock_guard lock(mu_);
    auto& followers = logs_[key].followers;
    followers.erase(std::find(followers.begin(), followers.end(), subscription));
    // One that is due is forgotten by the waker.
    if (followers.empty() && !logs_[key].due) logs_.erase(key);
    if (const auto it = tail_of_.find(key); it != tail_of_.end() && it->second.expired()) {
      tail_of_.erase(it);
    }
  }
  const std::lock_guard lock(subscription->mu);
  subscription->wake = nullptr;
}

void LogFollowers::Grew(const AttemptKey& key) {
  const std::lock_guard lock(mu_);
  MakeDue(key);
}

void LogFollowers::Ended(const AttemptKey& key) {
  std::shared_ptr<LogTail> tail;
  {
    const std::lock_guard lock(mu_);
    if (const auto it = tail_of_.find(key); it != tail_of_.end()) {
      tail = it->second.lock();
      tail_of_.erase(it);
    }
    MakeDue(key);
  }
  if (tail) tail->Clear();
}

void LogFollowers::MakeDue(const AttemptKey& key) {
  const auto it = logs_.find(key);
  if (it == logs_.end() || it->second.due) return;
  it->second.due = true;
  const auto place = due_.emplace(it->second.rests_until, key).first;
  if (place == due_.begin()) changed_.notify_one();
}

void LogFollowers::WakeLoop() {
  std::unique_lock lock(mu_);
  while (!stopping_) {
    if (due_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const MonoTime now = clock_.Mono();
    const auto [when, key] = *due_.begin();
    if (when > now) {
      changed_.wait_for(lock, when - now);
      continue;
    }
    due_.erase(due_.begin());
    const auto it = logs_.find(key);
    it->second.due = false;
    const auto followers = it->second.followers;
    if (followers.empty()) {
      logs_.erase(it);
      continue;
    }
    const auto rest = followers.size() * std::chrono::microseconds(options_.rest_us_each);
    it->second.rests_until =
        now + std::min<Duration>(rest, std::chrono::milliseconds(options_.longest_rest_ms));
    lock.unlock();
    for (const auto& follower : followers) follower->Call();
    lock.lock();
  }
}

}  // namespace slipway::logs
