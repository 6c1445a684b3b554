#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/init/protocol.h"
#include "agent/initlink/control_dir.h"
#include "common/base/time.h"

namespace slipway::initlink {

// One connection to the slipway-init of one container. Commands block until init has acknowledged
// them; events that arrive meanwhile wait for WaitEvent. Losing the connection stops nothing in the
// container: connect again and read hello().
//
// Errors of every call: kUnavailable INIT_GONE when the connection is lost (connect again, or look
// at the container), kDeadlineExceeded (the command may still be carried out), kInternal
// INIT_PROTOCOL when the peer breaks the protocol. Deadlines are SystemClock's. Thread-compatible.
class InitClient {
 public:
  // Waits for the socket to appear until `deadline` (a container needs a moment), then for Hello.
  // kUnavailable: nobody listens. kFailedPrecondition CONTROL_DIR_TAMPERED: not init's socket.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<InitClient>> Connect(const ControlDir& dir,
                                                                           MonoTime deadline);
  ~InitClient() = default;
  InitClient(const InitClient&) = delete;
  InitClient& operator=(const InitClient&) = delete;

  // The state at connect, and after each GetStatus.
  [[nodiscard]] const init::Hello& hello() const { return hello_; }
  // Readable when an event (or the end) waits. To be polled with others; call WaitEvent with a past
  // deadline before polling, because events may have been read already.
  [[nodiscard]] int fd() const { return socket_.get(); }

  // kAlreadyExists: this step number was started before; its state is in hello(), its end in the
  // result file. kFailedPrecondition: another step runs. kInvalidArgument: refused, or over 1 MiB.
  [[nodiscard]] absl::Status RunStep(const init::StepSpec& spec, MonoTime deadline);
  // Values under mask::kMinSecret bytes are not masked. kFailedPrecondition: a step runs.
  [[nodiscard]] absl::Status SetMasks(const std::vector<std::string>& secrets, MonoTime deadline);
  // kInvalidArgument: not an absolute path on tmpfs. kFailedPrecondition: a step runs.
  [[nodiscard]] absl::Status WriteSecret(const init::WriteSecret& secret, MonoTime deadline);
  // Words of the agent's own for the log, at most init::kMaxAppendLog bytes, masked as a whole.
  // kFailedPrecondition: a step runs.
  [[nodiscard]] absl::Status AppendLog(std::string_view bytes, MonoTime deadline);
  // `bytes`, at most init::kMaxMaskText, with the masks of this container's secrets.
  // kUnimplemented: an init of an older agent.
  [[nodiscard]] absl::StatusOr<std::string> MaskText(std::string_view bytes, MonoTime deadline);
  // The log is in the control directory now: for an init that was started with --wait. Idempotent.
  // kResourceExhausted: it cannot be opened.
  [[nodiscard]] absl::Status OpenLog(MonoTime deadline);
  // kNotFound: step `step` does not run (any more).
  [[nodiscard]] absl::Status Cancel(std::uint32_t step, init::Millis grace, MonoTime deadline);
  // The next two expect no answer.
  [[nodiscard]] absl::Status SetDurable(std::uint64_t offset, MonoTime deadline);
  [[nodiscard]] absl::Status SetBudget(std::uint64_t bytes, MonoTime deadline);
  // Renews hello().
  [[nodiscard]] absl::Status GetStatus(MonoTime deadline);
  // The container exits by itself soon after.
  [[nodiscard]] absl::Status Shutdown(init::Millis grace, MonoTime deadline);

  // The next event other than Hello, Ack and Masked. Of doorbells and back-pressure only the newest
  // waits, in the place of the first. kDeadlineExceeded: none came.
  [[nodiscard]] absl::StatusOr<init::Event> WaitEvent(MonoTime deadline);

 private:
  explicit InitClient(Fd socket) : socket_(std::move(socket)) {}

  [[nodiscard]] absl::Status Call(const init::Command& command, MonoTime deadline);
  [[nodiscard]] absl::Status Post(init::RequestId request, const init::Command& command,
                                  MonoTime deadline);
  // Handles what has arrived; waits for something if nothing has.
  [[nodiscard]] absl::Status ReceiveSome(MonoTime deadline);
  [[nodiscard]] absl::Status Handle(init::Event event);

  Fd socket_;
  init::FrameBuffer input_;
  absl::Status broken_;  // why nothing more can be read: frames were left unread
  init::RequestId last_request_ = 0;
  init::Ack ack_;
  init::Masked masked_;
  std::uint64_t hellos_ = 0;  // how many have come
  init::Hello hello_;
  std::deque<init::Event> events_;
};

}  // namespace slipway::initlink
