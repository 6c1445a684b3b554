#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "common/rpc/grpc_status.h"

namespace slipway::api {

// A unary call that several may end: its answer, its patience, the client who leaves. The first of
// them counts. While somebody works on it nobody else ends it, because request, response and
// context die soon after Finish; who wanted to is heard afterwards. Thread-safe.
class EndingCall : public grpc::ServerUnaryReactor {
 public:
  void OnCancel() final { EndEarly(absl::CancelledError("the client has left")); }
  void OnDone() final {
    alarm_.Cancel();
    const auto self = std::move(self_);
  }

 protected:
  explicit EndingCall(grpc::CallbackServerContext& context) : context_(context) {}

  // `self` lives until OnDone. `ring` is called after `patience`, unless the call is over by then.
  template <typename Call, typename Patience, typename Ring>
  void Keep(const std::shared_ptr<Call>& self, Patience patience, Ring ring) {
    self_ = self;
    alarm_.Set(std::chrono::system_clock::now() + patience,
               [call = std::weak_ptr(self), ring = std::move(ring)](bool rang) {
                 if (const auto alive = call.lock(); rang && alive) ring(alive);
               });
  }

  // False: the call is over, or somebody works on it.
  bool BeginWork() {
    const std::lock_guard lock(mu_);
    if (finished_ || working_) return false;
    working_ = true;
    return true;
  }
  void EndEarly(const absl::Status& why) {
    const std::lock_guard lock(mu_);
    EndEarlyLocked(why);
  }
  void EndEarlyLocked(const absl::Status& why) {
    if (!over_) over_ = why;
    if (!working_) FinishLocked(*over_);
  }
  void FinishLocked(const absl::Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(rpc::ToGrpc(context_, status));
  }

  grpc::CallbackServerContext& context_;
  std::mutex mu_;
  // Guarded by mu_.
  bool working_ = false;  // request, response and context are in use
  bool finished_ = false;
  std::optional<absl::Status> over_;  // why the call ends before its answer

 private:
  std::shared_ptr<EndingCall> self_;
  grpc::Alarm alarm_;
};

}  // namespace slipway::api
