#include "controller/listen.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "common/status/status.h"

namespace slipway::controller {

absl::Status CheckListen(const std::string& listen) {
  const auto colon = listen.rfind(':');
  const std::string port = colon == std::string::npos ? "" : listen.substr(colon + 1);
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty() || error != std::errc() || end != port.data() + port.size() || colon == 0) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_LISTEN",
                     fmt::format("'{}' is no address to listen on", listen),
                     "Use HOST:PORT, for example 0.0.0.0:7443.");
  }
  return absl::OkStatus();
}

crypto::ServerNames NamesFor(const std::vector<std::string>& names) {
  crypto::ServerNames all{{"localhost"}, {"127.0.0.1", "::1"}};
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) == 0 && host[0] != '\0') {
    all.dns.emplace_back(host.data());
  }
  for (const std::string& name : names) {
    const bool address = name.find(':') != std::string::npos ||
                         name.find_first_not_of("0123456789.") == std::string::npos;
    (address ? all.ips : all.dns).push_back(name);
  }
  return all;
}

}  // namespace slipway::controller
