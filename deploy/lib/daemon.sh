# shellcheck shell=bash
# Long-running programs without a service manager: started detached, known again by pid *and* start
# time (so that a reused pid is never taken for ours), restarted only when something they depend on
# has changed. Source it after common.sh. All functions need root when the programs run as root.
#
# DAEMON_DIR holds per program NAME: NAME.pid ("PID STARTTIME"), NAME.print (what it was started
# from), NAME.log.

# When the process began, in clock ticks since boot; nothing when it is gone or a zombie.
daemon_start_time() {
  local line rest
  line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  rest=${line##*) }
  # shellcheck disable=SC2086
  set -- $rest
  [[ $1 != Z && $1 != X ]] || return 1
  echo "${20}"
}

# The pid of NAME when it runs.
daemon_pid() {
  local pid started
  read -r pid started 2>/dev/null <"$DAEMON_DIR/$1.pid" || return 1
  [[ $pid =~ ^[0-9]+$ && $(daemon_start_time "$pid") == "$started" ]] || return 1
  echo "$pid"
}

# daemon_print FILE_OR_TEXT...: a fingerprint of files (their bytes) and texts.
daemon_print() {
  local part
  for part in "$@"; do
    if [[ -f $part ]]; then sha256sum <"$part"; else echo "$part"; fi
  done | sha256sum | cut -d' ' -f1
}

# True when NAME runs and was started from the same things.
daemon_is_current() {
  daemon_pid "$1" >/dev/null && [[ $(cat "$DAEMON_DIR/$1.print" 2>/dev/null) == "$2" ]]
}

# daemon_start NAME PRINT COMMAND...: detached, with a log of its own. Returns at once.
daemon_start() {
  local name=$1 print=$2 log=$DAEMON_DIR/$1.log
  shift 2
  mkdir -p "$DAEMON_DIR"
  # One older log is enough to look at, and a farm that is started daily does not fill the disk.
  if [[ -s $log && $(stat -c %s "$log") -gt 10000000 ]]; then mv -f "$log" "$log.1"; fi
  # $1 is the child's own: it outlives this script, its session and its terminal. Descriptors above
  # 2 (locks of the caller) stay behind.
  # shellcheck disable=SC2016
  setsid --fork bash -c '
    directory=$1 name=$2 log=$3
    shift 3
    for descriptor in /proc/self/fd/*; do
      descriptor=${descriptor##*/}
      if ((descriptor > 2)); then eval "exec $descriptor>&-"; fi
    done
    cd /
    line=$(cat /proc/$$/stat)
    rest=${line##*) }
    set -- "$rest" "$@"
    started=$(cut -d" " -f20 <<<"$1")
    shift
    echo "$$ $started" >"$directory/$name.pid.part"
    mv "$directory/$name.pid.part" "$directory/$name.pid"
    exec "$@" >>"$log" 2>&1 </dev/null
  ' daemon "$DAEMON_DIR" "$name" "$log" "$@"
  echo "$print" >"$DAEMON_DIR/$name.print"
  daemon_has_pid_file() { [[ -s $DAEMON_DIR/$name.pid ]]; }
  wait_until 5 daemon_has_pid_file
}

# daemon_stop NAME SECONDS [SIGNAL]: SIGNAL (TERM), then KILL. True when it is gone (also when it never was there).
daemon_stop() {
  local name=$1 seconds=$2 signal=${3:-TERM} pid
  if pid=$(daemon_pid "$name"); then
    kill "-$signal" "$pid" 2>/dev/null || true
    daemon_gone() { ! daemon_pid "$name" >/dev/null; }
    if ! wait_until "$seconds" daemon_gone; then
      note "$name (pid $pid) did not end within $seconds s and is killed"
      kill -KILL "$pid" 2>/dev/null || true
      wait_until 5 daemon_gone || return 1
    fi
  fi
  rm -f "$DAEMON_DIR/$name.pid" "$DAEMON_DIR/$name.print"
}

# daemon_wait_for NAME SECONDS COMMAND...: until COMMAND succeeds. Gives up at once when NAME ends.
daemon_wait_for() {
  local name=$1 end
  end=$(($(date +%s%3N) + $2 * 1000))
  shift 2
  until "$@" >/dev/null 2>&1; do
    daemon_pid "$name" >/dev/null || return 1
    (($(date +%s%3N) < end)) || return 1
    sleep 0.1
  done
}

# daemon_die NAME WHAT: shows the end of NAME's log and ends this script.
daemon_die() {
  printf -- '--- last lines of %s\n' "$DAEMON_DIR/$1.log" >&2
  tail -n 20 "$DAEMON_DIR/$1.log" >&2 || true
  die "$2" "The lines above say why (whole log: $DAEMON_DIR/$1.log)."
}
