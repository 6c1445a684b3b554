#include "agent/link/connect_stream.h"

#include <utility>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::link {

ConnectStream::ConnectStream(v1::AgentService::Stub& stub,
                             std::function<void(protocol::ControllerMessage)> received)
    : received_(std::move(received)) {
  stub.async()->Connect(&context_, this);
  // Writes are started from outside the reactions; the hold is given back when reading ends.
  AddHold();
  StartRead(&incoming_);
  StartCall();
}

void ConnectStream::Send(v1::AgentMessage message) {
  const std::lock_guard lock(mu_);
  if (ended_) return;
  if (outgoing_.size() >= kMaxQueue) {
    why_ = MakeError(absl::StatusCode::kResourceExhausted, "",
                     "the controller does not read what the agent says");
    context_.TryCancel();
    return;
  }
  outgoing_.push_back(std::move(message));
  if (!writing_) WriteNext();
}

void ConnectStream::Cancel() { context_.TryCancel(); }

absl::Status ConnectStream::Wait() {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [this] { return done_; });
  return why_;
}

void ConnectStream::WriteNext() {
  writing_ = true;
  grpc::WriteOptions options;
  // Goes out together with the next one.
  if (outgoing_.size() > 1) options.set_buffer_hint();
  StartWrite(&outgoing_.front(), options);
}

void ConnectStream::OnReadDone(bool ok) {
  if (ok) {
    absl::StatusOr<protocol::ControllerMessage> message = rpc::FromProto(incoming_);
    if (message.ok()) {
      incoming_.Clear();
      received_(*std::move(message));
      StartRead(&incoming_);
      return;
    }
    context_.TryCancel();
    const std::lock_guard lock(mu_);
    why_ = WithContext(message.status(), "a message of the controller makes no sense");
  }
  {
    const std::lock_guard lock(mu_);
    ended_ = true;
  }
  RemoveHold();
}

void ConnectStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mu_);
  writing_ = false;
  outgoing_.pop_front();
  if (ok && !ended_ && !outgoing_.empty()) WriteNext();
}

void ConnectStream::OnDone(const grpc::Status& status) {
  const std::lock_guard lock(mu_);
  if (why_.ok()) why_ = rpc::FromGrpc(context_, status);
  if (why_.ok()) why_ = absl::UnavailableError("the controller ended the stream");
  done_ = true;
  changed_.notify_all();
}

}  // namespace slipway::link
