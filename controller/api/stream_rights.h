#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace slipway::api {

// Whether those who hold a stream open still may: asked again whenever somebody's rights may have
// become less, and when the login or token that a stream came with runs out. OpenStreams, its
// neighbour, ends all of them when the controller stops.
//
// It asks on one thread of its own, so that neither agents nor other calls wait behind it; one pass
// over all streams at a time, and after it one more when something has changed meanwhile, however
// often. Watches may outlive it. Thread-safe.
class StreamRights {
 public:
  // Until when the right lasts as far as is known now, WallTime() for no end; an error ends the
  // stream. Asked again at that time, because a login lasts longer when it is refreshed.
  using Check = std::function<absl::StatusOr<WallTime>()>;
  // Called once at most, from the thread of its own.
  using End = std::function<void(const absl::Status& why)>;

  // `clock` must outlive this.
  explicit StreamRights(const Clock& clock);
  StreamRights(const StreamRights&) = delete;
  StreamRights& operator=(const StreamRights&) = delete;
  // After it nothing is asked and no stream ended.
  ~StreamRights();

  // Somebody's rights may be less than before. Returns at once.
  void Changed();

  // Asks now, and returns the error if that is the answer. `end` is called unless the handle has
  // died before.
  [[nodiscard]] absl::StatusOr<std::shared_ptr<void>> Watch(Check check, End end);

 private:
  class Keeper;
  const std::shared_ptr<Keeper> keeper_;
};

// The right that a synchronous stream rests on, to be looked at before each message. Thread-safe.
class StreamRight {
 public:
  StreamRight(StreamRights& rights, StreamRights::Check check);
  // Ok, or why the stream ends.
  [[nodiscard]] absl::Status status() const;

 private:
  struct Word {
    std::mutex mu;
    absl::Status status;
  };
  const std::shared_ptr<Word> word_ = std::make_shared<Word>();
  std::shared_ptr<void> watch_;
};

}  // namespace slipway::api
