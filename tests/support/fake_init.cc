#include "tests/support/fake_init.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "common/base/check.h"

namespace slipway::testing {
namespace {

constexpr int kLookMs = 5;

void Say(int peer, const std::string& bytes) {
  (void)!send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

}  // namespace

FakeInit::FakeInit(const std::string& control, Script script) : script_(std::move(script)) {
  const init::Fd dir(open(control.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  listener_ = init::Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/init.sock", dir.get());
  struct stat st {};
  SLIPWAY_CHECK(fstat(dir.get(), &st) == 0);
  SLIPWAY_CHECK(
      bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  SLIPWAY_CHECK(fchownat(dir.get(), "init.sock", st.st_uid, st.st_gid, 0) == 0);
  SLIPWAY_CHECK(listen(listener_.get(), 4) == 0);
  thread_ = std::thread([this] { Serve(); });
}

void FakeInit::Die() {
  dead_ = true;
  if (thread_.joinable()) thread_.join();
  listener_.Reset();
}

bool FakeInit::Answer(int peer, init::FrameBuffer& input) const {
  char buffer[4096];
  const ssize_t n = recv(peer, buffer, sizeof(buffer), 0);
  if (n <= 0) return false;
  input.Append({buffer, static_cast<std::size_t>(n)});
  while (const auto frame = input.Next()) {
    const std::optional<init::DecodedCommand> decoded = init::DecodeCommand(*frame);
    if (!decoded || !decoded->command) return false;
    const auto* step = std::get_if<init::RunStep>(&*decoded->command);
    const bool refused = step != nullptr && script_.refuses_steps;
    if (decoded->request != 0) {
      const auto code = refused ? init::AckCode::kBusy : init::AckCode::kOk;
      Say(peer, init::Encode(init::Event(init::Ack{decoded->request, code, ""})));
    }
    if (step != nullptr && !refused && script_.end) {
      init::StepExited exited{*script_.end};
      exited.result.step = step->spec.step;
      Say(peer, init::Encode(init::Event(exited)));
    }
    if (std::holds_alternative<init::GetStatus>(*decoded->command)) {
      Say(peer, init::Encode(init::Event(init::Hello{})));
    }
  }
  return true;
}

void FakeInit::Serve() {
  init::Fd peer;
  std::optional<init::FrameBuffer> input;
  while (!dead_) {
    pollfd fds[] = {{listener_.get(), POLLIN, 0}, {peer.get(), POLLIN, 0}};
    if (poll(fds, 2, kLookMs) <= 0) continue;
    if (fds[1].revents != 0 && !Answer(peer.get(), *input)) peer.Reset();
    if (fds[0].revents != 0) {
      peer = init::Fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      input.emplace();
      Say(peer.get(), init::Encode(init::Event(init::Hello{})));
    }
  }
}

}  // namespace slipway::testing
