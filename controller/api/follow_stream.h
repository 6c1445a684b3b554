#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "common/rpc/grpc_status.h"
#include "controller/work/work_pool.h"

namespace slipway::api {

// A server stream that writes one message, waits until that is on its way, and asks for the next;
// when there is none it waits to be woken. A slow reader therefore holds one message and nothing
// else.
//
// Next() runs on the pool, one at a time, so it may read disk and database. Derived classes are
// made by std::make_shared and started by Start(). Thread-safe.
template <typename Response>
class FollowStream : public grpc::ServerWriteReactor<Response> {
 public:
  enum class Then { kWrite, kWait, kFinish };

  FollowStream(grpc::CallbackServerContext& context, work::WorkPool& pool)
      : context_(context), pool_(pool) {}

  void Start(std::shared_ptr<FollowStream> self) {
    self_ = self;
    weak_ = self;
    Wake();
  }

  // Something may have changed. From any thread.
  void Wake() {
    const std::lock_guard lock(mu_);
    if (ended_) return;
    if (busy_) {
      again_ = true;
      return;
    }
    busy_ = true;
    PostStep();
  }

  void OnWriteDone(bool ok) final {
    const std::lock_guard lock(mu_);
    if (!ok || ended_) {
      End(absl::CancelledError("the client has left"));
      return;
    }
    PostStep();
  }

  void OnCancel() final {
    const std::lock_guard lock(mu_);
    canceled_ = true;
    if (!busy_) End(absl::CancelledError("the client has left"));
  }

  void OnDone() final {
    Unsubscribe();
    const auto self = std::move(self_);
  }

 protected:
  // Fills in the next message (kWrite), or says that there is none now (kWait), or that the stream
  // is over (kFinish, with its status).
  virtual Then Next(Response& response, absl::Status& status) = 0;
  // Wake is not called any more after this returns.
  virtual void Unsubscribe() = 0;

  [[nodiscard]] grpc::CallbackServerContext& context() { return context_; }
  // For wake-up calls from outside, which must not keep the stream alive.
  [[nodiscard]] std::weak_ptr<FollowStream> weak() { return weak_; }

 private:
  void PostStep() {
    pool_.Post([self = weak_.lock()] {
      if (self) self->Step();
    });
  }

  void Step() {
    {
      const std::lock_guard lock(mu_);
      again_ = false;
      if (canceled_) {
        End(absl::CancelledError("the client has left"));
        return;
      }
    }
    response_.Clear();
    absl::Status status;
    const Then then = Next(response_, status);
    const std::lock_guard lock(mu_);
    switch (then) {
      case Then::kWrite: this->StartWrite(&response_); break;
      case Then::kFinish: End(status); break;
      case Then::kWait:
        if (canceled_) {
          End(absl::CancelledError("the client has left"));
        } else if (again_) {
          PostStep();
        } else {
          busy_ = false;
        }
        break;
    }
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
  std::shared_ptr<FollowStream> self_;
  std::weak_ptr<FollowStream> weak_;
  Response response_;  // owned by the step or the pending write

  std::mutex mu_;
  bool busy_ = false;  // a step is posted or running, or a write is pending
  bool again_ = false;
  bool canceled_ = false;
  bool ended_ = false;
};

}  // namespace slipway::api
