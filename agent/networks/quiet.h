#pragma once

#include <string>
#include <string_view>

#include "agent/executor/container_spec.h"

namespace slipway::networks {

// Whether a table of sockets as /proc/PID/net/tcp, udp, raw and their like show it is empty but for
// those of the Engine's own name server, which listens on 127.0.0.11 in every namespace of a
// bridge. Pure.
[[nodiscard]] bool HasNoSockets(std::string_view table);

// Whether the network namespace of process `pid`, which must be of `container`, holds no socket:
// none that listens, none that was left by a process that is gone and waits for its last packets.
// False also when that cannot be seen, because the agent does not see the machine's processes.
[[nodiscard]] bool IsQuiet(const executor::ContainerId& container, int pid);

}  // namespace slipway::networks
