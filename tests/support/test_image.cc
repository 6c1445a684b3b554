#include "tests/support/test_image.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace slipway::testing {

absl::StatusOr<std::string> Shell(const std::string& command) {
  FILE* const pipe = ::popen(("exec 2>&1\n" + command).c_str(), "re");
  if (!pipe) return absl::InternalError("no shell");
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  while (output.ends_with('\n')) output.pop_back();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return absl::InternalError(command + ": " + output);
  return output;
}

absl::Status EnsureTestImage() {
  static const absl::Status made = Shell(std::string("image=") + kTestImage + R"(
    set -e
    exec 9>/tmp/.slipway-test-image.lock
    flock 9
    docker image inspect "$image" >/dev/null 2>&1 && exit 0
    test -x /bin/busybox || { echo 'no /bin/busybox: apt-get install busybox-static'; exit 1; }
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    mkdir -p "$root/bin" "$root/etc" "$root/proc" "$root/sys" "$root/dev"
    mkdir -m 1777 "$root/tmp"
    cp /bin/busybox "$root/bin/busybox"
    for applet in $(/bin/busybox --list); do
      test "$applet" = busybox || ln -s busybox "$root/bin/$applet"
    done
    echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    tar -C "$root" -c . | docker import --change 'LABEL io.slipway.test=1' \
      --change 'ENV PATH=/bin' --change 'CMD ["/bin/sh"]' - "$image"
  )")
                                       .status();
  return made;
}

std::string TestDockerSocket() {
  const char* const host = std::getenv("DOCKER_HOST");
  return host && *host ? host : "/var/run/docker.sock";
}

}  // namespace slipway::testing
