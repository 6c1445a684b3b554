#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace slipway::testing {

// A machine's worth of busybox (2 MB): /bin/sh, sleep, nc and the rest, no user but root.
inline constexpr char kTestImage[] = "slipway-test-min:1";

// Makes kTestImage unless the Docker Engine has it. It stays there for other tests; remove it with
// `docker image prune -a --filter label=io.slipway.test=1`. Needs Debian's busybox-static and the
// docker command. Safe to call from several processes at once.
[[nodiscard]] absl::Status EnsureTestImage();

// The socket that tests talk to: DOCKER_HOST or the default.
[[nodiscard]] std::string TestDockerSocket();

// Runs `script` in a shell and gives what it printed on both outputs, without the last newline.
// kInternal with that text: it failed.
[[nodiscard]] absl::StatusOr<std::string> Shell(const std::string& script);

}  // namespace slipway::testing
