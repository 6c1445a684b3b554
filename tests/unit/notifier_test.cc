#include "common/supervisor/notifier.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <string>

#include "tests/support/temp_dir.h"

namespace slipway::supervisor {
namespace {

using namespace std::chrono_literals;

// What a service manager would hear.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  }
  // The next message; empty: there is none.
  std::string Next() {
    char buffer[512];
    const ssize_t got = recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return got <= 0 ? "" : std::string(buffer, static_cast<std::size_t>(got));
  }

 private:
  fs::UniqueFd fd_;
};

TEST_CASE("Notifier: says in the service manager's words how the program is", "[unit]") {
  const testing::TempDir dir;
  const std::string path =
      GENERATE(false, true) ? "@slipway-test-" + std::to_string(getpid()) : dir / "notify";
  Manager manager(path);
  const Notifier notifier(
      {.notify_socket = path.c_str(), .watchdog_usec = nullptr, .watchdog_pid = nullptr});
  notifier.Ready("serving");
  CHECK(manager.Next() == "READY=1\nSTATUS=serving\n");
  notifier.Status("two\nlines");
  CHECK(manager.Next() == "STATUS=two lines\n");
  notifier.Alive();
  CHECK(manager.Next() == "WATCHDOG=1\n");
  notifier.Stopping("bye");
  CHECK(manager.Next() == "STOPPING=1\nSTATUS=bye\n");
  CHECK_FALSE(notifier.watchdog());
}

TEST_CASE("Notifier: is watched when the manager says so, and means this process", "[unit]") {
  const testing::TempDir dir;
  const std::string path = dir / "notify";
  const Manager manager(path);
  const std::string self = std::to_string(getpid());
  const auto watchdog = [&](const char* usec, const char* pid) {
    return Notifier({.notify_socket = path.c_str(), .watchdog_usec = usec, .watchdog_pid = pid})
        .watchdog();
  };
  CHECK(watchdog("2500000", self.c_str()) == Duration(2500ms));
  CHECK(watchdog("2500000", nullptr) == Duration(2500ms));
  CHECK_FALSE(watchdog("2500000", "1"));
  CHECK_FALSE(watchdog("soon", self.c_str()));
  CHECK_FALSE(watchdog("-1", self.c_str()));
  CHECK_FALSE(watchdog(nullptr, self.c_str()));
}

TEST_CASE("Notifier: nothing happens when nobody listens", "[unit]") {
  const std::string longer(200, 'x');
  for (const std::string& socket :
       {std::string("/nowhere/notify"), std::string("relative"), std::string(), "/" + longer}) {
    const Notifier notifier(
        {.notify_socket = socket.c_str(), .watchdog_usec = "1000000", .watchdog_pid = nullptr});
    notifier.Ready("serving");
    CHECK_FALSE(notifier.watchdog());
  }
}

}  // namespace
}  // namespace slipway::supervisor
