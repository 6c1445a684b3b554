# shellcheck shell=bash
# What every script under deploy/ shares: messages with timing, root rights, waiting, locking.
# Source it from bash with `set -euo pipefail`; it changes no option and starts nothing.

SLIPWAY_STATE=${SLIPWAY_STATE:-/var/lib/slipway}
SLIPWAY_CACHE=${SLIPWAY_CACHE:-/var/cache/slipway}

slipway_started_ms=$(date +%s%3N)

# Prints "[  12.3 s] text" on stderr: progress is for people, stdout stays for results.
step() {
  local ms=$(($(date +%s%3N) - slipway_started_ms))
  printf '[%4d.%d s] %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*" >&2
}

# Like step, but without a time: details below the last step.
note() { printf '           %s\n' "$*" >&2; }

# die MESSAGE [REMEDY]: says what is wrong, then what to do about it.
die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  [[ -z ${2:-} ]] || printf '%*s  %s\n' "${#0}" '' "$2" | sed 's/^ */  → /' >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root: directly, or through sudo. Asks for a password at most once, on the
# terminal; a script without a terminal needs root or passwordless sudo.
as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif have sudo; then
    sudo -- "$@"
  else
    die "this needs root rights, and there is no sudo" "Run it as root, or install sudo and add yourself to the sudo group."
  fi
}

# wait_until SECONDS COMMAND...: true as soon as COMMAND succeeds, false when the time is over.
wait_until() {
  local end=$(($(date +%s%3N) + $1 * 1000))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(date +%s%3N) < end)) || return 1
    sleep 0.1
  done
}

# quietly LOGFILE COMMAND...: output goes to the log; shown only when the command fails.
quietly() {
  local log=$1 rc=0
  shift
  "$@" >"$log" 2>&1 </dev/null || rc=$?
  if ((rc != 0)); then
    printf -- '--- last lines of %s\n' "$log" >&2
    tail -n 40 "$log" >&2
  fi
  return $rc
}

# with_lock FILE COMMAND...: one at a time per FILE, across processes.
with_lock() {
  local file=$1
  shift
  (
    exec 9>"$file"
    flock 9
    "$@" 9>&-
  )
}
