#include "agent/networks/quiet.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

namespace slipway::networks {
namespace {

// 127.0.0.11 as these tables write it.
constexpr std::string_view kNameServer = "0B00007F:";

std::optional<std::string> Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in || !text) return std::nullopt;
  return text.str();
}

std::string_view NextWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

}  // namespace

bool HasNoSockets(std::string_view table) {
  bool heading = true;
  while (!table.empty()) {
    const std::size_t end = std::min(table.find('\n'), table.size());
    std::string_view line = table.substr(0, end);
    table.remove_prefix(std::min(end + 1, table.size()));
    if (heading || line.empty()) {
      heading = false;
      continue;
    }
    (void)NextWord(line);  // number of the slot
    const std::string_view local = NextWord(line);
    const std::string_view remote = NextWord(line);
    if (!local.starts_with(kNameServer) && !remote.starts_with(kNameServer)) return false;
  }
  return true;
}

bool IsQuiet(const executor::ContainerId& container, int pid) {
  if (pid <= 1) return false;
  const std::string process = fmt::format("/proc/{}", pid);
  // A number alone may be another process by now, or in another namespace.
  const auto cgroup = Read(process + "/cgroup");
  if (!cgroup || cgroup->find(container.value()) == std::string::npos) return false;
  for (const char* table :
       {"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6"}) {
    const std::string path = fmt::format("{}/net/{}", process, table);
    const auto text = Read(path);
    // A kernel without IPv6 has no tables of it.
    if (!text && !std::string_view(table).ends_with('6') && std::string_view(table) != "udplite") {
      return false;
    }
    if (text && !HasNoSockets(*text)) return false;
  }
  return true;
}

}  // namespace slipway::networks
