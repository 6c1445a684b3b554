#include "tests/support/test_image.h"

#include <cstdlib>

#include "common/process/process.h"
#include "common/status/status.h"

namespace slipway::testing {

absl::StatusOr<std::string> Shell(const std::string& script) {
  process::Command command;
  command.argv = {"/bin/sh", "-c", "exec 2>&1\n" + script};
  for (const char* name : {"PATH", "HOME", "DOCKER_HOST"}) {
    if (const char* const value = std::getenv(name)) command.env[name] = value;
  }
  SLIPWAY_ASSIGN_OR_RETURN(process::Result result, process::Run(command));
  while (result.out.ends_with('\n')) result.out.pop_back();
  if (!result.Succeeded()) return absl::InternalError(script + ": " + result.out);
  return result.out;
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
