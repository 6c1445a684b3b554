#include "agent/init/protocol.h"

#include <string.h>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace slipway::init {
namespace {

enum class CommandType : std::uint8_t {
  kRunStep = 1,
  kSetMasks = 2,
  kWriteSecret = 3,
  kAppendLog = 4,
  kCancel = 5,
  kSetDurable = 6,
  kSetBudget = 7,
  kGetStatus = 8,
  kShutdown = 9,
  kMaskText = 10,
  kOpenLog = 11,
};
enum class EventType : std::uint8_t {
  kHello = 65,
  kAck = 66,
  kStepStarted = 67,
  kStepExited = 68,
  kDoorbell = 69,
  kBackpressure = 70,
  kMasked = 71,
};

constexpr std::string_view kResultMagic = "SLWR";
// Of a result, after spool_end: zero when written, any value when read.
constexpr std::size_t kReservedBytes = 32;
constexpr std::size_t kLengthSize = 4;
// An item of a list takes at least its own length field, which bounds counts before memory is
// taken.
constexpr std::size_t kMinItem = 4;

class Writer {
 public:
  explicit Writer(std::size_t header) : out_(header, '\0') {}

  template <typename T>
  void Int(T value) {
    using U = std::make_unsigned_t<T>;
    auto u = static_cast<U>(value);
    for (std::size_t i = 0; i < sizeof(U); ++i) {
      out_.push_back(static_cast<char>(u & 0xff));
      u = static_cast<U>(u >> (sizeof(U) > 1 ? 8 : 0));
    }
  }
  void String(std::string_view s) {
    Int(static_cast<std::uint32_t>(s.size()));
    out_.append(s);
  }
  void Raw(std::string_view s) { out_.append(s); }
  void Duration(Millis d) { Int(static_cast<std::uint64_t>(std::max<Millis::rep>(d.count(), 0))); }
  void List(const std::vector<std::string>& items) {
    Int(static_cast<std::uint32_t>(items.size()));
    for (const auto& item : items) String(item);
  }
  std::string Frame() && {
    const auto length = static_cast<std::uint32_t>(out_.size() - kLengthSize);
    for (std::size_t i = 0; i < kLengthSize; ++i) {
      out_[i] = static_cast<char>((length >> (8 * i)) & 0xff);
    }
    return std::move(out_);
  }
  std::string Bytes() && { return std::move(out_); }

 private:
  std::string out_;
};

// Reads past the end give zeros and make Done() false, so callers check once.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  template <typename T>
  T Int() {
    const std::string_view bytes = Take(sizeof(T));
    std::make_unsigned_t<T> value = 0;
    for (std::size_t i = bytes.size(); i > 0; --i) {
      value = static_cast<decltype(value)>((sizeof(T) > 1 ? value << 8 : 0) |
                                           static_cast<std::uint8_t>(bytes[i - 1]));
    }
    return static_cast<T>(value);
  }
  std::string String() { return std::string(Take(Int<std::uint32_t>())); }
  std::string_view Take(std::size_t n) {
    if (n > in_.size()) {
      ok_ = false;
      in_ = {};
      return {};
    }
    const std::string_view bytes = in_.substr(0, n);
    in_.remove_prefix(n);
    return bytes;
  }
  Millis Duration() {
    constexpr std::uint64_t kMax = std::uint64_t{1} << 40;  // 34 years: deadlines cannot overflow
    return Millis(static_cast<Millis::rep>(std::min(Int<std::uint64_t>(), kMax)));
  }
  std::uint32_t Count() {
    const auto n = Int<std::uint32_t>();
    if (n > in_.size() / kMinItem) Fail();
    return ok_ ? n : 0;
  }
  std::vector<std::string> List() {
    std::vector<std::string> items(Count());
    for (auto& item : items) item = String();
    return items;
  }
  // An enumerator up to `last`.
  template <typename E>
  E Enum(std::uint8_t first, E last) {
    const auto v = Int<std::uint8_t>();
    if (v < first || v > static_cast<std::uint8_t>(last)) Fail();
    return static_cast<E>(v);
  }
  void Fail() { ok_ = false; }
  [[nodiscard]] bool Done() const { return ok_ && in_.empty(); }
  [[nodiscard]] bool More() const { return ok_ && !in_.empty(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string_view in_;
  bool ok_ = true;
};

void Put(Writer& w, const StepResult& r) {
  w.Int(r.step);
  w.Int(static_cast<std::uint8_t>(r.reason));
  w.Int(r.exit_code);
  w.Int(r.signal);
  w.String(r.error);
  w.Int(r.spool_begin);
  w.Int(r.spool_end);
  w.Raw(std::string(kReservedBytes, '\0'));
  w.Int(r.user_us);
  w.Int(r.system_us);
  w.Int(r.max_rss_kib);
  w.Int(r.start_unix_us);
  w.Int(r.end_unix_us);
  w.Int(static_cast<std::uint8_t>(r.oom));
  w.Int(static_cast<std::uint8_t>(r.left_processes));
}

StepResult GetResult(Reader& in) {
  StepResult r;
  r.step = in.Int<std::uint32_t>();
  r.reason = in.Enum(1, StopReason::kTooLate);
  r.exit_code = in.Int<std::int32_t>();
  r.signal = in.Int<std::int32_t>();
  r.error = in.String();
  r.spool_begin = in.Int<std::uint64_t>();
  r.spool_end = in.Int<std::uint64_t>();
  in.Take(kReservedBytes);
  r.user_us = in.Int<std::uint64_t>();
  r.system_us = in.Int<std::uint64_t>();
  r.max_rss_kib = in.Int<std::uint64_t>();
  r.start_unix_us = in.Int<std::int64_t>();
  r.end_unix_us = in.Int<std::int64_t>();
  r.oom = in.Enum(0, OomState::kYes);
  r.left_processes = in.Int<std::uint8_t>() != 0;
  if (r.spool_begin > r.spool_end) in.Fail();
  return r;
}

// One overload per command and event: type and body.
CommandType Put(Writer& w, const RunStep& c) {
  const StepSpec& s = c.spec;
  w.Int(s.step);
  w.List(s.argv);
  w.List(s.env);
  w.String(s.cwd);
  w.Int(s.uid);
  w.Int(s.gid);
  w.Duration(s.run_timeout);
  w.Duration(s.no_output_timeout);
  w.Duration(s.term_grace);
  w.Duration(s.drain_time);
  w.Int(s.max_file_size);
  // Left out when it says nothing, so that a container of an older init still takes builds.
  if (s.start_before_ns != 0) w.Int(s.start_before_ns);
  return CommandType::kRunStep;
}
CommandType Put(Writer& w, const SetMasks& c) {
  w.List(c.secrets);
  return CommandType::kSetMasks;
}
CommandType Put(Writer& w, const WriteSecret& c) {
  w.String(c.path);
  w.String(c.bytes);
  w.Int(c.mode);
  w.Int(c.uid);
  w.Int(c.gid);
  return CommandType::kWriteSecret;
}
CommandType Put(Writer& w, const AppendLog& c) {
  w.String(c.bytes);
  return CommandType::kAppendLog;
}
CommandType Put(Writer& w, const Cancel& c) {
  w.Int(c.step);
  w.Duration(c.grace);
  return CommandType::kCancel;
}
CommandType Put(Writer& w, const SetDurable& c) {
  w.Int(c.offset);
  return CommandType::kSetDurable;
}
CommandType Put(Writer& w, const SetBudget& c) {
  w.Int(c.bytes);
  return CommandType::kSetBudget;
}
CommandType Put(Writer&, const GetStatus&) { return CommandType::kGetStatus; }
CommandType Put(Writer& w, const Shutdown& c) {
  w.Duration(c.grace);
  return CommandType::kShutdown;
}
CommandType Put(Writer& w, const MaskText& c) {
  w.String(c.bytes);
  return CommandType::kMaskText;
}
CommandType Put(Writer&, const OpenLog&) { return CommandType::kOpenLog; }

EventType Put(Writer& w, const Hello& e) {
  w.Int(e.version);
  w.Int(static_cast<std::uint8_t>(e.state));
  w.Int(e.step);
  w.Int(e.pid);
  w.Int(e.spool_end);
  w.Int(e.durable);
  w.Int(e.budget);
  w.Int(e.backpressure);
  w.Int(static_cast<std::uint32_t>(e.results.size()));
  for (const auto& r : e.results) Put(w, r);
  return EventType::kHello;
}
EventType Put(Writer& w, const Ack& e) {
  w.Int(e.request);
  w.Int(static_cast<std::uint8_t>(e.code));
  w.String(e.message);
  return EventType::kAck;
}
EventType Put(Writer& w, const StepStarted& e) {
  w.Int(e.step);
  w.Int(e.pid);
  return EventType::kStepStarted;
}
EventType Put(Writer& w, const StepExited& e) {
  Put(w, e.result);
  return EventType::kStepExited;
}
EventType Put(Writer& w, const Doorbell& e) {
  w.Int(e.spool_end);
  return EventType::kDoorbell;
}
EventType Put(Writer& w, const Backpressure& e) {
  w.Int(e.flags);
  return EventType::kBackpressure;
}
EventType Put(Writer& w, const Masked& e) {
  w.Int(e.request);
  w.String(e.bytes);
  return EventType::kMasked;
}

std::optional<Command> GetCommand(CommandType type, Reader& in) {
  switch (type) {
    case CommandType::kRunStep: {
      StepSpec s;
      s.step = in.Int<std::uint32_t>();
      s.argv = in.List();
      s.env = in.List();
      s.cwd = in.String();
      s.uid = in.Int<std::uint32_t>();
      s.gid = in.Int<std::uint32_t>();
      s.run_timeout = in.Duration();
      s.no_output_timeout = in.Duration();
      s.term_grace = in.Duration();
      s.drain_time = in.Duration();
      s.max_file_size = in.Int<std::uint64_t>();
      if (in.More()) {
        s.start_before_ns = in.Int<std::int64_t>();
        if (s.start_before_ns <= 0) in.Fail();
      }
      return RunStep{std::move(s)};
    }
    case CommandType::kSetMasks: return SetMasks{in.List()};
    case CommandType::kWriteSecret: {
      WriteSecret c;
      c.path = in.String();
      c.bytes = in.String();
      c.mode = in.Int<std::uint32_t>();
      c.uid = in.Int<std::uint32_t>();
      c.gid = in.Int<std::uint32_t>();
      return c;
    }
    case CommandType::kAppendLog: return AppendLog{in.String()};
    case CommandType::kCancel: {
      Cancel c;
      c.step = in.Int<std::uint32_t>();
      c.grace = in.Duration();
      return c;
    }
    case CommandType::kSetDurable: return SetDurable{in.Int<std::uint64_t>()};
    case CommandType::kSetBudget: return SetBudget{in.Int<std::uint64_t>()};
    case CommandType::kGetStatus: return GetStatus{};
    case CommandType::kShutdown: return Shutdown{in.Duration()};
    case CommandType::kMaskText: return MaskText{in.String()};
    case CommandType::kOpenLog: return OpenLog{};
  }
  return std::nullopt;
}

std::optional<Event> GetEvent(EventType type, Reader& in) {
  switch (type) {
    case EventType::kHello: {
      Hello e;
      e.version = in.Int<std::uint32_t>();
      e.state = in.Enum(0, RunState::kEnding);
      e.step = in.Int<std::uint32_t>();
      e.pid = in.Int<std::uint32_t>();
      e.spool_end = in.Int<std::uint64_t>();
      e.durable = in.Int<std::uint64_t>();
      e.budget = in.Int<std::uint64_t>();
      e.backpressure = in.Int<std::uint8_t>();
      const auto n = in.Count();
      if (n > kMaxHelloResults) in.Fail();
      for (std::uint32_t i = 0; i < n && in.ok(); ++i) e.results.push_back(GetResult(in));
      return e;
    }
    case EventType::kAck: {
      Ack e;
      e.request = in.Int<std::uint32_t>();
      e.code = in.Enum(0, AckCode::kUnsupported);
      e.message = in.String();
      return e;
    }
    case EventType::kStepStarted: {
      StepStarted e;
      e.step = in.Int<std::uint32_t>();
      e.pid = in.Int<std::uint32_t>();
      return e;
    }
    case EventType::kStepExited: return StepExited{GetResult(in)};
    case EventType::kDoorbell: return Doorbell{in.Int<std::uint64_t>()};
    case EventType::kBackpressure: return Backpressure{in.Int<std::uint8_t>()};
    case EventType::kMasked: {
      Masked e;
      e.request = in.Int<std::uint32_t>();
      e.bytes = in.String();
      return e;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view ToString(StopReason reason) {
  switch (reason) {
    case StopReason::kExited: return "exited";
    case StopReason::kSignaled: return "signaled";
    case StopReason::kRunTimeout: return "run_timeout";
    case StopReason::kNoOutputTimeout: return "no_output_timeout";
    case StopReason::kCanceled: return "canceled";
    case StopReason::kStartFailed: return "start_failed";
    case StopReason::kTooLate: return "too_late";
  }
  return "unknown";
}

std::string Encode(RequestId request, const Command& command) {
  Writer w(kLengthSize + 1);
  w.Int(request);
  const auto type = std::visit([&w](const auto& c) { return Put(w, c); }, command);
  std::string frame = std::move(w).Frame();
  frame[kLengthSize] = static_cast<char>(type);
  return frame;
}

std::string Encode(const Event& event) {
  Writer w(kLengthSize + 1);
  const auto type = std::visit([&w](const auto& e) { return Put(w, e); }, event);
  std::string frame = std::move(w).Frame();
  frame[kLengthSize] = static_cast<char>(type);
  return frame;
}

bool FrameFits(std::string_view frame) { return frame.size() <= kLengthSize + kMaxFrame; }

std::optional<DecodedCommand> DecodeCommand(std::string_view frame) {
  Reader in(frame);
  const auto type = static_cast<CommandType>(in.Int<std::uint8_t>());
  DecodedCommand decoded;
  decoded.request = in.Int<std::uint32_t>();
  if (!in.ok()) return std::nullopt;
  decoded.command = GetCommand(type, in);
  if (decoded.command && !in.Done()) return std::nullopt;
  return decoded;
}

std::variant<Event, DecodeError> DecodeEvent(std::string_view frame) {
  Reader in(frame);
  const auto type = static_cast<EventType>(in.Int<std::uint8_t>());
  if (!in.ok()) return DecodeError::kMalformed;
  std::optional<Event> event = GetEvent(type, in);
  if (!event) return DecodeError::kUnknownType;
  if (!in.Done()) return DecodeError::kMalformed;
  return *std::move(event);
}

std::string EncodeResultFile(const StepResult& result) {
  Writer w(0);
  w.Raw(kResultMagic);
  w.Int(kProtocolVersion);
  Put(w, result);
  return std::move(w).Bytes();
}

std::optional<StepResult> DecodeResultFile(std::string_view content) {
  if (content.size() > kMaxResultFile) return std::nullopt;
  Reader in(content);
  if (in.Take(kResultMagic.size()) != kResultMagic) return std::nullopt;
  if (in.Int<std::uint32_t>() != kProtocolVersion) return std::nullopt;
  StepResult result = GetResult(in);
  if (!in.Done()) return std::nullopt;
  return result;
}

void Wipe(std::string& bytes) {
  explicit_bzero(bytes.data(), bytes.size());
  bytes.clear();
}

void FrameBuffer::Append(std::string_view bytes) {
  if (consumed_ > 0) {
    explicit_bzero(buffer_.data(), consumed_);
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
  if (buffer_.size() + bytes.size() <= buffer_.capacity()) {
    buffer_.append(bytes);
    return;
  }
  // Growing would leave a copy of a secret in freed memory.
  std::string grown;
  grown.reserve(std::max(buffer_.size() + bytes.size(), 2 * buffer_.capacity()));
  grown.append(buffer_).append(bytes);
  Wipe(buffer_);
  buffer_ = std::move(grown);
}

std::optional<std::string_view> FrameBuffer::Next() {
  const std::string_view rest = std::string_view(buffer_).substr(consumed_);
  if (broken_ || rest.size() < kLengthSize) return std::nullopt;
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < kLengthSize; ++i) {
    length |= std::uint32_t{static_cast<std::uint8_t>(rest[i])} << (8 * i);
  }
  if (length == 0 || length > kMaxFrame) {
    broken_ = true;
    return std::nullopt;
  }
  if (rest.size() - kLengthSize < length) return std::nullopt;
  consumed_ += kLengthSize + length;
  return rest.substr(kLengthSize, length);
}

}  // namespace slipway::init
