#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// Frames between slipway-init and the agent, and the result file: docs/init.md is the contract.
// Pure values and codec, standard library only, because it is linked into a static process 1.
// Every Decode treats its input as hostile. Thread-compatible.
namespace slipway::init {

inline constexpr std::uint32_t kProtocolVersion = 1;
// Type and body of one frame.
inline constexpr std::size_t kMaxFrame = std::size_t{1} << 20;
inline constexpr std::size_t kMaxAppendLog = std::size_t{64} << 10;
inline constexpr std::size_t kMaxMaskText = std::size_t{256} << 10;
inline constexpr std::size_t kMaxResultFile = std::size_t{64} << 10;
inline constexpr std::size_t kMaxHelloResults = 16;

using Millis = std::chrono::milliseconds;
// Chosen by the agent; init's Ack repeats it. 0 asks for no Ack.
using RequestId = std::uint32_t;

struct StepSpec {
  std::uint32_t step = 0;  // from 1, each number once per container
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "K=V"
  std::string cwd;               // absolute
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  Millis run_timeout{0};        // 0: none
  Millis no_output_timeout{0};  // 0: none
  Millis term_grace{10'000};
  Millis drain_time{2'000};
  std::uint64_t max_file_size = 0;  // bytes (RLIMIT_FSIZE); 0: none
  // CLOCK_BOOTTIME at which the program must have been started; init looks at the clock right
  // before it is. 0: any time.
  std::int64_t start_before_ns = 0;

  friend bool operator==(const StepSpec&, const StepSpec&) = default;
};

enum class StopReason : std::uint8_t {
  kExited = 1,
  kSignaled = 2,
  kRunTimeout = 3,
  kNoOutputTimeout = 4,
  kCanceled = 5,
  kStartFailed = 6,
  kTooLate = 7,  // nothing was started: start_before_ns had passed
};
// "exited", "run_timeout", … as docs/init.md spells them.
std::string_view ToString(StopReason reason);

enum class OomState : std::uint8_t { kUnknown = 0, kNo = 1, kYes = 2 };

struct StepResult {
  std::uint32_t step = 0;
  StopReason reason = StopReason::kExited;
  std::int32_t exit_code = 0;  // meaningful when signal is 0 and the step started
  std::int32_t signal = 0;
  std::string error;  // kStartFailed only
  std::uint64_t spool_begin = 0;
  std::uint64_t spool_end = 0;
  std::uint64_t user_us = 0;
  std::uint64_t system_us = 0;
  std::uint64_t max_rss_kib = 0;
  std::int64_t start_unix_us = 0;
  std::int64_t end_unix_us = 0;
  OomState oom = OomState::kUnknown;
  bool left_processes = false;  // somebody had to be killed after the step's own end

  friend bool operator==(const StepResult&, const StepResult&) = default;
};

// Commands, agent → init.
struct RunStep {
  StepSpec spec;
};
struct SetMasks {
  std::vector<std::string> secrets;
};
struct WriteSecret {
  std::string path;
  std::string bytes;
  std::uint32_t mode = 0400;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
struct AppendLog {
  std::string bytes;
};
struct Cancel {
  std::uint32_t step = 0;
  Millis grace{0};
};
struct SetDurable {
  std::uint64_t offset = 0;
};
struct SetBudget {
  std::uint64_t bytes = 0;
};
struct GetStatus {};
struct Shutdown {
  Millis grace{0};
};
struct MaskText {
  std::string bytes;
};
// The log is in the control directory now: of an init that was started with --wait.
struct OpenLog {};
using Command = std::variant<RunStep, SetMasks, WriteSecret, AppendLog, Cancel, SetDurable,
                             SetBudget, GetStatus, Shutdown, MaskText, OpenLog>;

// Events, init → agent.
enum class RunState : std::uint8_t { kIdle = 0, kRunning = 1, kEnding = 2 };
enum BackpressureFlag : std::uint8_t { kBudgetFull = 1, kDiskFull = 2 };

struct Hello {
  std::uint32_t version = kProtocolVersion;
  RunState state = RunState::kIdle;
  std::uint32_t step = 0;  // the running one; 0 when idle
  std::uint32_t pid = 0;
  std::uint64_t spool_end = 0;
  std::uint64_t durable = 0;
  std::uint64_t budget = 0;
  std::uint8_t backpressure = 0;    // BackpressureFlag bits
  std::vector<StepResult> results;  // the last kMaxHelloResults, oldest first
};
enum class AckCode : std::uint8_t {
  kOk = 0,
  kInvalid = 1,
  kBusy = 2,
  kAlreadyExists = 3,
  kNotFound = 4,
  kIoError = 5,
  kUnsupported = 6,
};
struct Ack {
  RequestId request = 0;
  AckCode code = AckCode::kOk;
  std::string message;
};
struct StepStarted {
  std::uint32_t step = 0;
  std::uint32_t pid = 0;
};
struct StepExited {
  StepResult result;
};
struct Doorbell {
  std::uint64_t spool_end = 0;
};
struct Backpressure {
  std::uint8_t flags = 0;  // BackpressureFlag bits; 0: released
};
struct Masked {
  RequestId request = 0;
  std::string bytes;
};
using Event = std::variant<Hello, Ack, StepStarted, StepExited, Doorbell, Backpressure, Masked>;

// Whole frames, length prefix included. The result may exceed kMaxFrame when the input is too
// large: check with FrameFits before sending.
std::string Encode(RequestId request, const Command& command);
std::string Encode(const Event& event);
bool FrameFits(std::string_view frame);

enum class DecodeError : std::uint8_t { kMalformed, kUnknownType };
struct DecodedCommand {
  RequestId request = 0;
  // Empty when the type is unknown; the request is then still readable.
  std::optional<Command> command;
};
// `frame` is type and body, without the length. nullopt: malformed.
std::optional<DecodedCommand> DecodeCommand(std::string_view frame);
// An unknown type is kUnknownType, to be ignored; kMalformed means the peer is broken.
std::variant<Event, DecodeError> DecodeEvent(std::string_view frame);

// Content of step-<n>.result.
std::string EncodeResultFile(const StepResult& result);
std::optional<StepResult> DecodeResultFile(std::string_view content);

// Overwrites and empties: for buffers that held secrets.
void Wipe(std::string& bytes);

// Cuts a byte stream into frames. Holds at most one frame plus one read. Wipes what it has given
// out.
class FrameBuffer {
 public:
  FrameBuffer() = default;
  FrameBuffer(const FrameBuffer&) = delete;
  FrameBuffer& operator=(const FrameBuffer&) = delete;
  ~FrameBuffer() { Wipe(buffer_); }

  void Append(std::string_view bytes);
  // The next whole frame (type and body), or nullopt. The view lives until the next call of any
  // member.
  std::optional<std::string_view> Next();
  // A length was 0 or above kMaxFrame: the stream is unusable from here on.
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  std::string buffer_;
  std::size_t consumed_ = 0;  // bytes of buffer_ given out by the last Next
  bool broken_ = false;
};

}  // namespace slipway::init
