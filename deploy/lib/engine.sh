#!/usr/bin/env bash
# Makes sure that a Docker Engine answers, and stops only one that it started itself.
#
#   deploy/lib/engine.sh up       use the engine that answers, else install docker.io and start dockerd
#   deploy/lib/engine.sh down     stop dockerd if, and only if, `up` had started it
#   deploy/lib/engine.sh status   one line; exit status 0 when an engine answers
#
# Or source it and call engine_up / engine_down / engine_answers.
#
# DOCKER_HOST            only unix:// sockets are used; default unix:///var/run/docker.sock
# SLIPWAY_STATE          where dockerd's pid file and log go; default /var/lib/slipway
# SLIPWAY_DOCKERD_ROOT   a dockerd started here keeps everything of its own below this directory
#                        (data, exec root, pid file, bridge slipway0), for a second engine beside a
#                        foreign one. Docker's firewall chains have fixed names: where both share a
#                        network namespace, starting the second resets the published ports of the first.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then set -euo pipefail; fi
engine_lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$engine_lib/common.sh"

engine_socket() {
  local host=${DOCKER_HOST:-unix:///var/run/docker.sock}
  case $host in
    unix://*) echo "${host#unix://}" ;;
    *) die "DOCKER_HOST is $DOCKER_HOST; Slipway talks to the engine through a Unix socket" "Unset DOCKER_HOST or set it to unix:///path/of/docker.sock." ;;
  esac
}

# The question is asked of the API itself, so it also works before the docker client is installed.
engine_answers() {
  local socket
  socket=$(engine_socket)
  [[ -S $socket ]] || return 1
  if have curl; then
    [[ $(as_engine_user curl -sS --max-time 5 --unix-socket "$socket" http://engine/_ping 2>/dev/null) == OK ]]
  else
    have docker && as_engine_user docker -H "unix://$socket" version >/dev/null 2>&1
  fi
}

# Members of the group docker need no root.
as_engine_user() {
  if [[ -w $(engine_socket) ]]; then "$@"; else as_root "$@"; fi
}

# The docker client against that socket; every script under deploy/ uses this one.
engine_docker() { as_engine_user docker -H "unix://$(engine_socket)" "$@"; }

engine_dir() { echo "${SLIPWAY_STATE}/engine"; }

# The pid in a file, when it is a running NAME: neither a reused pid nor a zombie that nobody reaps.
engine_pid_in() { # FILE NAME
  local pid
  pid=$(as_root cat "$1" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ ]] || return 1
  # A zombie has no program any more; a replaced one reads "... (deleted)".
  [[ $(as_root readlink "/proc/$pid/exe" 2>/dev/null) =~ /"$2"(\ \(deleted\))?$ ]] || return 1
  echo "$pid"
}

# The pid of the dockerd we started, if it still is one.
engine_own_pid() { engine_pid_in "$(engine_dir)/dockerd.pid" dockerd; }

# dockerd believes its containerd's pid file: a killed containerd whose pid lives on (reused, or a
# zombie) is waited for in vain, and dockerd gives up after 15 s. A live containerd is adopted.
engine_forget_dead_containerd() { # EXEC_ROOT
  local runtime=$1/containerd
  as_root test -e "$runtime/containerd.pid" || return 0
  engine_pid_in "$runtime/containerd.pid" containerd >/dev/null && return 0
  as_root rm -f "$runtime"/containerd.pid "$runtime"/*.sock "$runtime"/*.sock.ttrpc
}

# dockerd needs the control groups mounted. A minimal root (chroot, container without systemd) has
# an empty /sys/fs/cgroup: mount what the kernel offers, the unified hierarchy only when no
# controller is bound to a v1 hierarchy elsewhere on the machine.
engine_mount_cgroups() {
  mountpoint -q /sys/fs/cgroup/memory 2>/dev/null && return 0
  [[ -s /sys/fs/cgroup/cgroup.controllers ]] && return 0
  [[ -r /proc/cgroups ]] || die "/proc/cgroups cannot be read: /proc is not mounted, or the kernel has no control groups" "Mount /proc in this root: mount -t proc proc /proc"
  [[ -d /sys/fs/cgroup ]] || as_root mount -t sysfs sysfs /sys 2>/dev/null || true
  [[ -d /sys/fs/cgroup ]] || die "/sys/fs/cgroup does not exist and /sys could not be mounted" "Mount /sys in this root, or use a Docker Engine that already runs (bind its /var/run/docker.sock)."
  step "engine: mounting the control groups on /sys/fs/cgroup"
  as_root bash -c '
    set -eu
    # Hierarchies in use, as "cpu,cpuacct": a controller can be mounted only together with its set.
    v1=$(awk -F: "\$1 != 0 && \$2 != \"\" && \$2 !~ /^name=/ { print \$2 }" /proc/self/cgroup)
    if [ -z "$v1" ]; then
      mountpoint -q /sys/fs/cgroup || mount -t cgroup2 -o nsdelegate none /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup
    else
      mountpoint -q /sys/fs/cgroup || mount -t tmpfs -o mode=755,size=1m cgroup /sys/fs/cgroup
      for controller in $v1 $(awk "!/^#/ && \$4 == 1 && \$2 == 0 { print \$1 }" /proc/cgroups); do
        mkdir -p "/sys/fs/cgroup/$controller"
        mountpoint -q "/sys/fs/cgroup/$controller" ||
          mount -t cgroup -o "$controller" "cgroup-$controller" "/sys/fs/cgroup/$controller" ||
          rmdir "/sys/fs/cgroup/$controller"  # taken by the unified hierarchy
      done
      mkdir -p /sys/fs/cgroup/systemd
      mountpoint -q /sys/fs/cgroup/systemd ||
        mount -t cgroup -o none,name=systemd cgroup-systemd /sys/fs/cgroup/systemd || rmdir /sys/fs/cgroup/systemd
    fi
    mountpoint -q /sys/fs/cgroup/memory || [ -s /sys/fs/cgroup/cgroup.controllers ]
  ' >&2 || die "the control groups could not be mounted (this needs CAP_SYS_ADMIN)" "Run outside of an unprivileged container, or give this root the socket of a Docker Engine that already runs."
}

# Tells this docker0 from one that another engine made, or this one before the machine's last start.
engine_docker0() { ip -o link show dev docker0 2>/dev/null | sed -n 's/.* link\/ether \([0-9a-f:]*\).*/\1/p'; }

# A second engine must not hand out addresses on the first one's docker0. True when slipway0 is there.
# A docker0 that our own dockerd left, stopped or killed, is used again: addresses stay as they were.
engine_own_bridge() {
  local docker0
  docker0=$(engine_docker0)
  [[ -n $docker0 && $docker0 != $(as_root cat "$(engine_dir)/docker0" 2>/dev/null) ]] || return 1
  [[ -e /proc/sys/net/ipv4/conf/slipway0 ]] && return 0
  as_root ip link add slipway0 type bridge
  as_root ip address add 10.213.0.1/24 dev slipway0
  as_root ip link set slipway0 up
  as_root touch "$(engine_dir)/bridge"
}

# engine_up: after it, an engine answers on the socket.
engine_up() {
  local dir log pid args=() exec_root=/var/run/docker
  if engine_answers; then
    step "engine: $(engine_docker version --format 'Docker Engine {{.Server.Version}}' 2>/dev/null || echo 'a Docker Engine') answers on $(engine_socket)"
    return 0
  fi
  if ! have dockerd || ! have docker; then
    "$engine_lib/../install-packages" --run
  fi
  dir=$(engine_dir)
  log=$dir/dockerd.log
  as_root mkdir -p "$dir"
  as_root chmod 0755 "$dir"
  if pid=$(engine_own_pid); then
    step "engine: dockerd (pid $pid), started here before, is still coming up"
  else
    # Unpacking an image changes the propagation of "/", which must be a mount of its own for that.
    mountpoint -q / || die "/ is not a mount point here (a plain chroot): dockerd could start, but not unpack images" "Before chroot, bind the directory onto itself: mount --bind ROOT ROOT"
    engine_mount_cgroups
    args=(-H "unix://$(engine_socket)" --pidfile "$dir/dockerd.pid")
    if [[ -n ${SLIPWAY_DOCKERD_ROOT:-} ]]; then
      exec_root=$SLIPWAY_DOCKERD_ROOT/exec
      args+=(--data-root "$SLIPWAY_DOCKERD_ROOT/data" --exec-root "$exec_root")
      engine_own_bridge && args+=(--bridge slipway0)
    fi
    # A dead daemon's socket and pid file only confuse; nobody answered on the socket a moment ago.
    as_root rm -f "$dir/dockerd.pid"
    engine_forget_dead_containerd "$exec_root"
    step "engine: starting dockerd (log: $log)"
    # systemd's unit, if it is there, is the better parent: it restarts the daemon after a reboot.
    if [[ -z ${SLIPWAY_DOCKERD_ROOT:-} && -z ${DOCKER_HOST:-} && -d /run/systemd/system ]] && as_root systemctl start docker.socket docker.service >&2; then
      as_root touch "$dir/systemd"
    else
      # Descriptors above 2 stay behind: the caller may hold a lock, and dockerd outlives it.
      # shellcheck disable=SC2016
      as_root setsid --fork bash -c '
        log=$1
        shift
        for descriptor in /proc/self/fd/*; do
          descriptor=${descriptor##*/}
          if ((descriptor > 2)); then eval "exec $descriptor>&-"; fi
        done
        ulimit -n 1048576 2>/dev/null || true
        exec dockerd "$@" >>"$log" 2>&1 </dev/null' dockerd "$log" "${args[@]}"
    fi
  fi
  if ! wait_until 60 engine_answers; then
    as_root tail -n 15 "$log" >&2 2>/dev/null || true
    engine_explain "$log"
  fi
  if [[ -n ${SLIPWAY_DOCKERD_ROOT:-} && ${#args[@]} -gt 0 && " ${args[*]} " != *" --bridge "* ]]; then
    engine_docker0 | as_root tee "$dir/docker0" >/dev/null
  fi
  step "engine: $(engine_docker version --format 'Docker Engine {{.Server.Version}}' 2>/dev/null || echo 'a Docker Engine') started on $(engine_socket)"
}

# Turns the usual reasons in dockerd's log into what to do.
engine_explain() {
  local text
  text=$(as_root tail -n 50 "$1" 2>/dev/null || true)
  case $text in
    *iptables*) die "dockerd did not start: it cannot set up its bridge with iptables" "Install iptables; a kernel without nf_tables needs: update-alternatives --set iptables /usr/sbin/iptables-legacy" ;;
    *[Dd]evices\ cgroup*) die "dockerd did not start: the devices control group is not mounted" "Mount it: mount -t cgroup -o devices devices /sys/fs/cgroup/devices" ;;
    *"pid file found"*) die "dockerd did not start: another dockerd runs with the same pid file" "Use that engine (set DOCKER_HOST to its socket), or set SLIPWAY_DOCKERD_ROOT for one of its own." ;;
    *"overlay"*"not supported"*) die "dockerd did not start: this file system does not carry overlayfs" "Put SLIPWAY_DOCKERD_ROOT on ext4 or xfs." ;;
    *) die "no Docker Engine answered on $(engine_socket) within 60 s (log: $1)" "Read the log above; 'dockerd --debug' in a terminal says more." ;;
  esac
}

# engine_down: stops what engine_up started. A foreign engine is left alone.
engine_down() {
  local pid dir
  dir=$(engine_dir)
  if as_root test -e "$dir/systemd"; then
    step "engine: stopping docker.service, which was started here"
    as_root systemctl stop docker.socket docker.service
    as_root rm -f "$dir/systemd"
    return 0
  fi
  if ! pid=$(engine_own_pid); then
    step "engine: not started here, left alone"
    return 0
  fi
  step "engine: stopping dockerd (pid $pid)"
  as_root kill -TERM "$pid"
  engine_pid_gone() { ! engine_own_pid >/dev/null; }
  wait_until 60 engine_pid_gone || die "dockerd (pid $pid) did not stop within 60 s" "Look for containers that cannot be stopped: docker ps"
  as_root rm -f "$dir/dockerd.pid"
  if as_root test -e "$dir/bridge"; then
    as_root ip link delete slipway0 2>/dev/null || true
    as_root rm -f "$dir/bridge"
  fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  case ${1:-} in
    up) engine_up ;;
    down) engine_down ;;
    status)
      if engine_answers; then
        echo "a Docker Engine answers on $(engine_socket)$(engine_own_pid >/dev/null && echo ' (started here)')"
      else
        echo "no Docker Engine answers on $(engine_socket)"
        exit 1
      fi
      ;;
    *) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
fi
