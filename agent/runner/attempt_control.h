#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

#include "common/base/time.h"
#include "common/crypto/secret.h"
#include "common/protocol/failure.h"

namespace slipway::runner {

// Leave to start the client of a publish.
struct ClientPermit {
  std::string nonce;
  crypto::SecretBytes secret;
  MonoTime valid_until;
  // The client is ended after this long; zero: as the task says.
  Duration deadline{};
};
using PermitAnswer = std::variant<ClientPermit, protocol::Failure>;

// What the outside tells the thread of one attempt. Requests only ever add up: abandoned and
// shutting down outweigh canceled. Thread-safe.
class AttemptControl {
 public:
  // End it and say what it came to.
  void RequestCancel() { Set(canceled_); }
  // Nobody wants to hear of it any more; everything of it is deleted afterwards.
  void RequestAbandon() { Set(abandoned_); }
  // The agent ends: leave everything as it is.
  void RequestShutdown() { Set(shutdown_); }

  [[nodiscard]] bool canceled() const { return Get(canceled_); }
  // The thread is to return at once, without a word.
  [[nodiscard]] bool leaving() const {
    const std::lock_guard lock(mu_);
    return abandoned_ || shutdown_;
  }
  // Requested with any of the three.
  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }

  // Sleeps. False: something was requested meanwhile, or before.
  [[nodiscard]] bool Wait(Duration duration) {
    std::unique_lock lock(mu_);
    return !changed_.wait_for(lock, duration, [this] { return Any(); });
  }

  void Answer(PermitAnswer answer) {
    const std::lock_guard lock(mu_);
    answer_.emplace(std::move(answer));
    changed_.notify_all();
  }
  // The answer, once; nullopt after `patience` or when something was requested.
  [[nodiscard]] std::optional<PermitAnswer> WaitForAnswer(Duration patience) {
    std::unique_lock lock(mu_);
    changed_.wait_for(lock, patience, [this] { return answer_.has_value() || Any(); });
    std::optional<PermitAnswer> answer = std::move(answer_);
    answer_.reset();
    return answer;
  }

 private:
  void Set(bool& flag) {
    {
      const std::lock_guard lock(mu_);
      flag = true;
    }
    stop_.request_stop();
    changed_.notify_all();
  }
  [[nodiscard]] bool Get(const bool& flag) const {
    const std::lock_guard lock(mu_);
    return flag;
  }
  [[nodiscard]] bool Any() const { return canceled_ || abandoned_ || shutdown_; }  // REQUIRES: mu_

  mutable std::mutex mu_;
  std::condition_variable changed_;
  bool canceled_ = false;
  bool abandoned_ = false;
  bool shutdown_ = false;
  std::optional<PermitAnswer> answer_;
  std::stop_source stop_;
};

}  // namespace slipway::runner
