#include "controller/api/stream_rights.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace slipway::api {
namespace {

// The wall clock may be set, so no wait for it is longer.
constexpr Duration kLongestSleep = std::chrono::minutes(1);

}  // namespace

class StreamRights::Keeper {
 public:
  explicit Keeper(const Clock& clock) : clock_(clock) {}

  void Run() {
    std::unique_lock lock(mu_);
    while (!stop_) {
      if (changed_) {
        changed_ = false;
        std::vector<std::uint64_t> all;
        for (const auto& [id, stream] : streams_) all.push_back(id);
        Ask(all, lock);
      }
      const WallTime now = clock_.Wall();
      std::vector<std::uint64_t> due;
      for (const auto& [at, id] : due_) {
        if (at > now) break;
        due.push_back(id);
      }
      Ask(due, lock);
      if (changed_ || stop_) continue;
      Duration sleep = kLongestSleep;
      if (!due_.empty()) sleep = std::min<Duration>(sleep, due_.begin()->first - clock_.Wall());
      if (sleep > Duration::zero()) {
        woken_ = false;
        wake_.wait_for(lock, sleep, [this] { return woken_ || changed_ || stop_; });
      }
    }
  }

  void Stop() {
    {
      const std::lock_guard lock(mu_);
      stop_ = true;
    }
    wake_.notify_all();
  }

  void Changed() {
    {
      const std::lock_guard lock(mu_);
      changed_ = true;
    }
    wake_.notify_all();
  }

  std::uint64_t Add(std::shared_ptr<const Check> check, End end) {
    const std::lock_guard lock(mu_);
    const std::uint64_t id = ++last_;
    streams_.emplace(id, Stream{std::move(check), std::move(end), WallTime()});
    return id;
  }

  void Remove(std::uint64_t id) {
    const std::lock_guard lock(mu_);
    const auto it = streams_.find(id);
    if (it == streams_.end()) return;
    due_.erase({it->second.until, id});
    streams_.erase(it);
  }

  void SetEnd(std::uint64_t id, WallTime until) {
    {
      const std::lock_guard lock(mu_);
      SetEndLocked(id, until);
      woken_ = true;
    }
    wake_.notify_all();
  }

 private:
  struct Stream {
    std::shared_ptr<const Check> check;
    End end;
    WallTime until;  // WallTime(): without end
  };

  void SetEndLocked(std::uint64_t id, WallTime until) {
    const auto it = streams_.find(id);
    if (it == streams_.end()) return;
    due_.erase({it->second.until, id});
    it->second.until = until;
    if (until != WallTime()) due_.emplace(until, id);
  }

  // REQUIRES: `lock` is held; it is not while a check or an end runs.
  void Ask(const std::vector<std::uint64_t>& ids, std::unique_lock<std::mutex>& lock) {
    for (const std::uint64_t id : ids) {
      if (stop_) return;
      const auto it = streams_.find(id);
      if (it == streams_.end()) continue;
      const auto check = it->second.check;
      lock.unlock();
      const absl::StatusOr<WallTime> until = (*check)();
      lock.lock();
      if (until.ok()) {
        SetEndLocked(id, *until);
        continue;
      }
      const auto ended = streams_.find(id);
      if (ended == streams_.end()) continue;
      due_.erase({ended->second.until, id});
      const End end = std::move(ended->second.end);
      streams_.erase(ended);
      lock.unlock();
      end(until.status());
      lock.lock();
    }
  }

  const Clock& clock_;

  std::mutex mu_;
  std::condition_variable wake_;
  bool stop_ = false;
  bool changed_ = false;  // since the newest pass over all began
  bool woken_ = false;    // since the sleep began
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, Stream> streams_;
  std::set<std::pair<WallTime, std::uint64_t>> due_;  // by when they are to be asked

 public:
  std::thread thread;  // runs Run()
};

StreamRights::StreamRights(const Clock& clock) : keeper_(std::make_shared<Keeper>(clock)) {
  keeper_->thread = std::thread([keeper = keeper_.get()] { keeper->Run(); });
}

StreamRights::~StreamRights() {
  keeper_->Stop();
  keeper_->thread.join();
}

void StreamRights::Changed() { keeper_->Changed(); }

absl::StatusOr<std::shared_ptr<void>> StreamRights::Watch(Check check, End end) {
  const auto shared = std::make_shared<const Check>(std::move(check));
  // Before it is asked, so that no change falls between the two.
  const std::uint64_t id = keeper_->Add(shared, std::move(end));
  std::shared_ptr<void> handle(keeper_.get(),
                               [keeper = keeper_, id](void*) { keeper->Remove(id); });
  const absl::StatusOr<WallTime> until = (*shared)();
  if (!until.ok()) return until.status();
  if (*until != WallTime()) keeper_->SetEnd(id, *until);
  return handle;
}

StreamRight::StreamRight(StreamRights& rights, StreamRights::Check check) {
  auto watch = rights.Watch(std::move(check), [word = word_](const absl::Status& why) {
    const std::lock_guard lock(word->mu);
    word->status = why;
  });
  if (watch.ok()) {
    watch_ = *std::move(watch);
  } else {
    const std::lock_guard lock(word_->mu);
    word_->status = watch.status();
  }
}

absl::Status StreamRight::status() const {
  const std::lock_guard lock(word_->mu);
  return word_->status;
}

}  // namespace slipway::api
