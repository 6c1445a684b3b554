#!/usr/bin/env bash
# deploy/lib/engine.sh against a dockerd that only answers /_ping: what it starts, adopts and leaves
# behind. One line "ok"/"not ok" per claim, at the end "N passed, M failed".
#
# The stand-in's program is a copy of python3 named dockerd, because engine.sh knows its processes by
# their program. The real dockerd is started by engine.sh wherever these tests run.
set -euo pipefail
# Bridges are made and removed here.
if [[ -z ${SLIPWAY_OWN_NETWORK:-} ]]; then SLIPWAY_OWN_NETWORK=1 exec unshare --net "$0" "$@"; fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
engine=$here/../../deploy/lib/engine.sh
passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1"; }
claim() { # TEXT COMMAND...
  local text=$1
  shift
  if "$@"; then ok "$text"; else not_ok "$text"; fi
}

work=$(mktemp -d "${TMPDIR:-/tmp}/slipway-engine.XXXXXX")
cleanup() {
  local file pid
  for file in "$work"/state/engine/dockerd.pid "$work"/*.child; do
    if pid=$(cat "$file" 2>/dev/null); then kill -KILL "$pid" 2>/dev/null || true; fi
  done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

mkdir -p "$work/bin" "$work/real" "$work/root/exec/containerd"
cp "$(readlink -f /usr/bin/python3)" "$work/real/dockerd"
cp "$work/real/dockerd" "$work/real/containerd"
cat >"$work/bin/dockerd" <<SCRIPT
#!/bin/sh
exec $work/real/dockerd $work/dockerd.py "\$@"
SCRIPT
printf '#!/bin/sh\necho "Docker Engine stand-in"\n' >"$work/bin/docker"
chmod +x "$work/bin/dockerd" "$work/bin/docker"
cat >"$work/dockerd.py" <<'PYTHON'
import os, socketserver, subprocess, sys
from http.server import BaseHTTPRequestHandler
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if "--bridge" not in arguments and not os.path.exists("/proc/sys/net/ipv4/conf/docker0"):
    subprocess.run(["ip", "link", "add", "docker0", "type", "bridge"], check=True)
open(arguments["--pidfile"], "w").write(str(os.getpid()))
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")
    def address_string(self):
        return "client"
path = arguments["-H"].removeprefix("unix://")
if os.path.exists(path):
    os.unlink(path)
socketserver.UnixStreamServer(path, Handler).serve_forever()
PYTHON

export PATH=$work/bin:$PATH
export SLIPWAY_STATE=$work/state SLIPWAY_DOCKERD_ROOT=$work/root DOCKER_HOST=unix://$work/docker.sock
pid_file=$work/root/exec/containerd/containerd.pid
own_pid() { cat "$work/state/engine/dockerd.pid"; }
up() { "$engine" up >"$work/up.log" 2>&1 || { cat "$work/up.log"; return 1; }; }
reset() { kill -KILL "$(own_pid)"; while kill -0 "$(own_pid)" 2>/dev/null; do sleep 0.05; done; rm -f "$work/docker.sock"; }

# The caller's lock must be free as soon as the caller is gone.
(exec 7>"$work/lock"; flock -n 7; up)
claim "an engine that was started answers" "$engine" status
claim "a started engine does not keep its caller's lock" flock -n "$work/lock" true

first=$(own_pid)
up
claim "an engine that answers is not started again" test "$(own_pid)" = "$first"

# A reused pid: containerd's file names a process that is no containerd.
reset
echo $$ >"$pid_file"
touch "$work/root/exec/containerd/containerd.sock"
up
claim "the pid file of a containerd that is gone is removed" test ! -e "$pid_file"
claim "its socket as well" test ! -e "$work/root/exec/containerd/containerd.sock"

# A zombie: killed, and its parent never asks.
reset
"$work/real/dockerd" -c "
import os, subprocess, time
child = subprocess.Popen(['$work/real/containerd', '-c', 'import time; time.sleep(600)'])
child.kill()
open('$pid_file', 'w').write(str(child.pid))
open('$work/parent.child', 'w').write(str(os.getpid()))
time.sleep(600)" &
while [ ! -s "$work/parent.child" ]; do sleep 0.05; done
zombie=$(cat "$pid_file")
while [ "$(awk '{ print $3 }' "/proc/$zombie/stat")" != Z ]; do sleep 0.05; done
up
claim "a zombie is no containerd either" test ! -e "$pid_file"

# A containerd that lives is dockerd's to adopt.
reset
"$work/real/containerd" -c 'import time; time.sleep(600)' &
echo $! | tee "$work/containerd.child" >"$pid_file"
up
claim "the pid file of a living containerd stays" test -e "$pid_file"

reset
up
claim "killed and started again, it keeps its bridge" test ! -e /proc/sys/net/ipv4/conf/slipway0
claim "down stops what up has started" "$engine" down
up
claim "stopped and started again, it keeps its bridge" test ! -e /proc/sys/net/ipv4/conf/slipway0
"$engine" down 2>/dev/null
ip link delete docker0
ip link add docker0 type bridge
up
claim "beside the bridge of another engine it has one of its own" test -e /proc/sys/net/ipv4/conf/slipway0
"$engine" down 2>/dev/null
claim "which it takes away with itself" test ! -e /proc/sys/net/ipv4/conf/slipway0
claim "after it no engine answers" bash -c "! '$engine' status >/dev/null"

echo
echo "$passed passed, $failed failed"
((failed == 0))
