#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/open_streams.h"
#include "controller/api/stream_rights.h"
#include "controller/work/work_pool.h"

namespace slipway::api {

// A server stream that writes one message, waits until that is on its way, and asks for the next;
// when there is none it waits to be woken. A slow reader therefore holds one message and nothing
// else.
//
// NextNow() runs on whatever thread has a reason to go on, and must not block; Next() runs on the
// pool, so it may read disk and database. One of them at a time. Derived classes are made by
// std::make_shared and started by Start(). Thread-safe.
template <typename Response>
class FollowStream : public grpc::ServerWriteReactor<Response> {
 public:
  enum class Then { kWrite, kWait, kFinish };

  FollowStream(grpc::CallbackServerContext& context, work::WorkPool& pool, OpenStreams& streams)
      : context_(context), pool_(pool), streams_(streams) {}

  void Start(std::shared_ptr<FollowStream> self) {
    self_ = self;
    weak_ = self;
    open_ = streams_.Add([stream = weak_](const absl::Status& why) {
      if (const auto alive = stream.lock()) alive->EndEarly(why);
    });
    if (open_) {
      Wake();
    } else {
      EndEarly(OpenStreams::Stopping());
    }
  }

  // Something may have changed. From any thread.
  void Wake() {
    {
      const std::lock_guard lock(mu_);
      again_ = true;
      if (ended_ || busy_) return;
      busy_ = true;
    }
    GoOn();
  }

  void OnWriteDone(bool ok) final {
    if (!ok) {
      const std::lock_guard lock(mu_);
      over_ = ClientLeft();
    }
    GoOn();
  }

  void OnCancel() final { EndEarly(ClientLeft()); }

  void OnDone() final {
    open_.reset();
    right_.reset();
    Unsubscribe();
    const auto self = std::move(self_);
  }

 protected:
  // Fills in the next message (kWrite), or says that there is none now (kWait), or that the stream
  // is over (kFinish, with its status).
  virtual Then Next(Response& response, absl::Status& status) = 0;
  // The same from what is in memory: kWrite or kWait; nothing: Next has to look. `woken`: Wake was
  // called since the last look.
  virtual std::optional<Then> NextNow(Response& /*response*/, bool /*woken*/) {
    return std::nullopt;
  }
  // Wake is not called any more after this returns.
  virtual void Unsubscribe() = 0;

  // Asks `check` now, and again as StreamRights does; its error ends the stream. Returns the first
  // answer.
  absl::Status EndUnless(StreamRights& rights, StreamRights::Check check) {
    SLIPWAY_ASSIGN_OR_RETURN(
        right_, rights.Watch(std::move(check), [stream = weak_](const absl::Status& why) {
          if (const auto alive = stream.lock()) alive->EndEarly(why);
        }));
    return absl::OkStatus();
  }

  [[nodiscard]] grpc::CallbackServerContext& context() { return context_; }
  // For wake-up calls from outside, which must not keep the stream alive.
  [[nodiscard]] std::weak_ptr<FollowStream> weak() { return weak_; }

 private:
  static absl::Status ClientLeft() { return absl::CancelledError("the client has left"); }

  // Before what is followed has ended: now, or after the step or write that is under way.
  void EndEarly(const absl::Status& why) {
    const std::lock_guard lock(mu_);
    if (!over_) over_ = why;
    if (!busy_) End(*over_);
  }

  // With busy_ set by the caller or by what called it.
  void GoOn() {
    for (bool again = true; again;) {
      response_.Clear();
      bool woken = false;
      {
        const std::lock_guard lock(mu_);
        if (over_) {
          End(*over_);
          return;
        }
        woken = std::exchange(again_, false);
      }
      const std::optional<Then> then = NextNow(response_, woken);
      if (!then) {
        pool_.Post([self = weak_.lock()] {
          if (self) self->Step();
        });
        return;
      }
      again = Do(*then, absl::OkStatus());
    }
  }

  void Step() {
    {
      const std::lock_guard lock(mu_);
      again_ = false;
      if (over_) {
        End(*over_);
        return;
      }
    }
    absl::Status status;
    const Then then = Next(response_, status);
    if (Do(then, status)) GoOn();
  }

  // True: there is something to do already.
  bool Do(Then then, const absl::Status& status) {
    const std::lock_guard lock(mu_);
    switch (then) {
      case Then::kWrite: this->StartWrite(&response_); return false;
      case Then::kFinish: End(status); return false;
      case Then::kWait: break;
    }
    busy_ = over_ || again_;
    return busy_;
  }

  // REQUIRES: mu_ is held and no write is pending.
  void End(const absl::Status& status) {
    if (ended_) return;
    ended_ = true;
    busy_ = true;
    this->Finish(rpc::ToGrpc(context_, status));
  }

  grpc::CallbackServerContext& context_;
  work::WorkPool& pool_;
  OpenStreams& streams_;
  std::shared_ptr<void> open_;   // among streams_
  std::shared_ptr<void> right_;  // among the rights that are asked again
  std::shared_ptr<FollowStream> self_;
  std::weak_ptr<FollowStream> weak_;
  Response response_;  // owned by the step or the pending write

  std::mutex mu_;
  bool busy_ = false;                 // a look is posted or under way, or a write is pending
  bool again_ = false;                // Wake was called since the last look
  std::optional<absl::Status> over_;  // why the stream ends before what it follows
  bool ended_ = false;
};

}  // namespace slipway::api
