#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "absl/status/status.h"
#include "common/protocol/messages.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::link {

// One Connect call: messages out of a bounded queue, messages in to `received`, in order. Used up
// when it has ended. Thread-safe; Wait must have returned before it is destroyed.
class ConnectStream final
    : public grpc::ClientBidiReactor<v1::AgentMessage, v1::ControllerMessage> {
 public:
  // More than this waiting to be written means that the controller does not read.
  static constexpr std::size_t kMaxQueue = 1024;

  // `received` is called on gRPC's threads, one message at a time, never after Wait.
  ConnectStream(v1::AgentService::Stub& stub,
                std::function<void(protocol::ControllerMessage)> received);

  // Drops the message when the stream has ended; ends the stream when the queue is full.
  void Send(v1::AgentMessage message);
  void Cancel();
  // Until the call has ended, and why it has.
  [[nodiscard]] absl::Status Wait();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void WriteNext();  // REQUIRES: mu_

  const std::function<void(protocol::ControllerMessage)> received_;
  grpc::ClientContext context_;
  v1::ControllerMessage incoming_;  // owned by the pending read

  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<v1::AgentMessage> outgoing_;  // the front one is being written while writing_
  bool writing_ = false;
  bool ended_ = false;  // nothing may be written any more
  bool done_ = false;
  absl::Status why_;
};

}  // namespace slipway::link
