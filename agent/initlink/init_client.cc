#include "agent/initlink/init_client.h"

#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>
#include <variant>

#include "common/status/status.h"

namespace slipway::initlink {
namespace {

using namespace std::chrono_literals;

// An honest init has few events at a time, since those that tell a state are merged.
constexpr std::size_t kMaxEvents = 1024;

// Whether a newer event of the same kind says all that this one does.
bool TellsState(const init::Event& event) {
  return std::holds_alternative<init::Doorbell>(event) ||
         std::holds_alternative<init::Backpressure>(event);
}

absl::Status Gone(std::string_view why) {
  return MakeError(absl::StatusCode::kUnavailable, "INIT_GONE",
                   fmt::format("lost the connection to slipway-init: {}", why));
}

absl::Status Broken(std::string_view why) {
  return MakeError(absl::StatusCode::kInternal, "INIT_PROTOCOL",
                   fmt::format("slipway-init broke its protocol: {}", why));
}

int PollTimeout(MonoTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SystemClock().Mono());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

// Ok, or kDeadlineExceeded.
absl::Status WaitFor(int fd, short events, MonoTime deadline) {
  for (;;) {
    pollfd p{fd, events, 0};
    const int n = poll(&p, 1, PollTimeout(deadline));
    if (n > 0) return absl::OkStatus();
    if (n < 0 && errno != EINTR) return ErrnoError(errno, "poll");
    if (SystemClock().Mono() >= deadline) {
      return MakeError(absl::StatusCode::kDeadlineExceeded, "",
                       "slipway-init did not answer in time");
    }
  }
}

absl::Status FromAck(const init::Ack& ack) {
  using absl::StatusCode;
  StatusCode code = StatusCode::kInternal;
  switch (ack.code) {
    case init::AckCode::kOk: return absl::OkStatus();
    case init::AckCode::kInvalid: code = StatusCode::kInvalidArgument; break;
    case init::AckCode::kBusy: code = StatusCode::kFailedPrecondition; break;
    case init::AckCode::kAlreadyExists: code = StatusCode::kAlreadyExists; break;
    case init::AckCode::kNotFound: code = StatusCode::kNotFound; break;
    case init::AckCode::kIoError: code = StatusCode::kResourceExhausted; break;
    case init::AckCode::kUnsupported: code = StatusCode::kUnimplemented; break;
  }
  return MakeError(code, "", "slipway-init: " + ack.message);
}

// kNotFound or kUnavailable: not (yet) there.
absl::StatusOr<Fd> ConnectOnce(const ControlDir& dir) {
  SLIPWAY_ASSIGN_OR_RETURN(const Fd path, dir.OpenSocket());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The real path may be longer than a socket address, and could be swapped after the check.
  snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", path.get());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "socket");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ECONNREFUSED || errno == EAGAIN) return Gone("nobody listens");
    return ErrnoError(errno, dir.path() + "/init.sock");
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<InitClient>> InitClient::Connect(const ControlDir& dir,
                                                                MonoTime deadline) {
  const SystemClock clock;
  Duration pause = 500us;
  for (;;) {
    absl::StatusOr<Fd> socket = ConnectOnce(dir);
    if (socket.ok()) {
      std::unique_ptr<InitClient> client(new InitClient(*std::move(socket)));
      absl::Status received;
      while (received.ok() && client->hellos_ == 0) received = client->ReceiveSome(deadline);
      if (client->hellos_ > 0) {
        if (client->hello_.version != init::kProtocolVersion) {
          return Broken(fmt::format("version {}", client->hello_.version));
        }
        return client;
      }
      if (received.code() != absl::StatusCode::kUnavailable) return received;
      socket = received;
    } else if (socket.status().code() != absl::StatusCode::kNotFound &&
               socket.status().code() != absl::StatusCode::kUnavailable) {
      return socket.status();
    }
    if (clock.Mono() + pause >= deadline) {
      return Gone(fmt::format("nobody answers at {}/init.sock", dir.path()));
    }
    poll(nullptr, 0, static_cast<int>(std::max<std::int64_t>(pause / 1ms, 1)));
    pause = std::min<Duration>(2 * pause, 20ms);
  }
}

absl::Status InitClient::Post(init::RequestId request, const init::Command& command,
                              MonoTime deadline) {
  std::string frame = init::Encode(request, command);
  absl::Status status;
  if (!init::FrameFits(frame)) {
    status = MakeError(absl::StatusCode::kInvalidArgument, "", "a command of more than 1 MiB",
                       "shorten the step's arguments, environment or secrets");
  }
  std::string_view rest = frame;
  while (status.ok() && !rest.empty()) {
    const ssize_t n = send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n > 0) {
      rest.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      status = WaitFor(socket_.get(), POLLOUT, deadline);
      // A command sent by half makes the connection useless.
      if (!status.ok() && rest.size() < frame.size()) shutdown(socket_.get(), SHUT_RDWR);
    } else if (errno != EINTR) {
      status = Gone(strerror(errno));
    }
  }
  init::Wipe(frame);
  return status;
}

absl::Status InitClient::Call(const init::Command& command, MonoTime deadline) {
  const init::RequestId request = ++last_request_ == 0 ? ++last_request_ : last_request_;
  SLIPWAY_RETURN_IF_ERROR(Post(request, command, deadline));
  while (ack_.request != request) SLIPWAY_RETURN_IF_ERROR(ReceiveSome(deadline));
  return FromAck(ack_);
}

absl::Status InitClient::ReceiveSome(MonoTime deadline) {
  if (!broken_.ok()) return broken_;
  char buffer[16 << 10];
  for (;;) {
    const ssize_t n = recv(socket_.get(), buffer, sizeof(buffer), 0);
    if (n > 0) {
      input_.Append({buffer, static_cast<std::size_t>(n)});
      break;
    }
    if (n == 0) return Gone("closed by the other side");
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      SLIPWAY_RETURN_IF_ERROR(WaitFor(socket_.get(), POLLIN, deadline));
    } else if (errno != EINTR) {
      return Gone(strerror(errno));
    }
  }
  while (const auto frame = input_.Next()) {
    auto decoded = init::DecodeEvent(*frame);
    if (auto* event = std::get_if<init::Event>(&decoded)) {
      broken_ = Handle(std::move(*event));
    } else if (std::get<init::DecodeError>(decoded) == init::DecodeError::kMalformed) {
      broken_ = Broken("an event that makes no sense");
    }
    if (!broken_.ok()) return broken_;
  }
  if (input_.broken()) broken_ = Broken("a frame of impossible length");
  return broken_;
}

absl::Status InitClient::Handle(init::Event event) {
  if (auto* hello = std::get_if<init::Hello>(&event)) {
    hello_ = std::move(*hello);
    ++hellos_;
    return absl::OkStatus();
  }
  if (hellos_ == 0) return Broken("it did not begin with Hello");
  if (auto* ack = std::get_if<init::Ack>(&event)) {
    ack_ = std::move(*ack);
    return absl::OkStatus();
  }
  if (auto* masked = std::get_if<init::Masked>(&event)) {
    masked_ = std::move(*masked);
    return absl::OkStatus();
  }
  if (TellsState(event)) {
    const auto older = std::find_if(events_.begin(), events_.end(), [&](const init::Event& e) {
      return e.index() == event.index();
    });
    if (older != events_.end()) {
      *older = std::move(event);
      return absl::OkStatus();
    }
  }
  if (events_.size() >= kMaxEvents) return Broken("too many events");
  events_.push_back(std::move(event));
  return absl::OkStatus();
}

absl::StatusOr<init::Event> InitClient::WaitEvent(MonoTime deadline) {
  while (events_.empty()) {
    // What arrived before the connection broke is still worth having.
    const absl::Status status = ReceiveSome(deadline);
    if (!status.ok() && events_.empty()) return status;
  }
  init::Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

absl::Status InitClient::RunStep(const init::StepSpec& spec, MonoTime deadline) {
  return Call(init::RunStep{spec}, deadline);
}

absl::Status InitClient::SetMasks(const std::vector<std::string>& secrets, MonoTime deadline) {
  return Call(init::SetMasks{secrets}, deadline);
}

absl::Status InitClient::WriteSecret(const init::WriteSecret& secret, MonoTime deadline) {
  return Call(secret, deadline);
}

absl::Status InitClient::AppendLog(std::string_view bytes, MonoTime deadline) {
  return Call(init::AppendLog{std::string(bytes)}, deadline);
}

absl::StatusOr<std::string> InitClient::MaskText(std::string_view bytes, MonoTime deadline) {
  SLIPWAY_RETURN_IF_ERROR(Call(init::MaskText{std::string(bytes)}, deadline));
  if (masked_.request != last_request_) return Broken("it masked nothing");
  return std::move(masked_.bytes);
}

absl::Status InitClient::OpenLog(MonoTime deadline) { return Call(init::OpenLog{}, deadline); }

absl::Status InitClient::Cancel(std::uint32_t step, init::Millis grace, MonoTime deadline) {
  return Call(init::Cancel{step, grace}, deadline);
}

absl::Status InitClient::SetDurable(std::uint64_t offset, MonoTime deadline) {
  return Post(0, init::SetDurable{offset}, deadline);
}

absl::Status InitClient::SetBudget(std::uint64_t bytes, MonoTime deadline) {
  return Post(0, init::SetBudget{bytes}, deadline);
}

absl::Status InitClient::GetStatus(MonoTime deadline) {
  const std::uint64_t before = hellos_;
  SLIPWAY_RETURN_IF_ERROR(Call(init::GetStatus{}, deadline));
  while (hellos_ == before) SLIPWAY_RETURN_IF_ERROR(ReceiveSome(deadline));
  return absl::OkStatus();
}

absl::Status InitClient::Shutdown(init::Millis grace, MonoTime deadline) {
  return Call(init::Shutdown{grace}, deadline);
}

}  // namespace slipway::initlink
