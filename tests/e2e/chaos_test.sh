#!/usr/bin/env bash
# A minute of chaos (tests/chaos/run), the Engine's faults included: everything must hold. Then a short run with a
# planted bug, which the run must find, and one that is killed, which must leave nothing. SLIPWAY_CHAOS_SEED picks
# another seed; longer runs are tests/chaos/run's own business.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../../deploy/images/build"
passed=0 failed=0

if timeout --kill-after=20 540 "$here/../chaos/run" --engine own --seed "${SLIPWAY_CHAOS_SEED:-1}" --minutes 1 --idle-minutes 2; then
  echo "ok - a minute of chaos: nothing lost, doubled or left behind"
  passed=$((passed + 1))
else
  echo "not ok - a minute of chaos: exit $?"
  failed=$((failed + 1))
fi

status=0
report=$(timeout --kill-after=20 150 "$here/../chaos/run" --seed 1 --minutes 0.15 --idle-minutes 1 --agents 1 \
  --faults controller-kill --plant rot-log --no-keep) || status=$?
if [ "$status" -eq 1 ] && grep -q '^not ok - logs are what was written' <<<"$report"; then
  echo "ok - a planted bug (a disk that changes synced bytes of a log) is found"
  passed=$((passed + 1))
else
  printf 'not ok - a planted bug is found: exit %s\n%s\n' "$status" "$report"
  failed=$((failed + 1))
fi

# All that a run has on the machine names its folder, its farm's id or its network.
folder=$(mktemp -d /tmp/chaos.XXXXXX)
chmod 0755 "$folder"  # PostgreSQL is another user
trap 'rm -rf "$folder" "$folder.out"' EXIT
TMPDIR=$folder "$here/../chaos/run" --seed 1 --minutes 2 >"$folder.out" 2>&1 &
runner=$!
farm='' network=''
containers() { docker ps --all --quiet --filter "label=io.slipway.farm=$farm"; }
while kill -0 "$runner" 2>/dev/null; do
  farm=$(sed -n 's/^farm: *"\{0,1\}\([^"]*\).*/\1/p' "$folder"/slipway-e2e-*/agent-1/agent.yaml 2>/dev/null || true)
  network=$(sed -n 's/.*network: \(slipway-e2e-[^,]*\).*/\1/p' "$folder"/slipway-e2e-*/agent-1.yaml 2>/dev/null || true)
  [ -z "$farm" ] || [ -z "$(containers)" ] || break
  sleep 0.2
done
kill -KILL "$runner" || true
for ((i = 0; i < 300; i++)); do
  [ -n "$(ls "$folder")" ] || break
  sleep 0.2
done
left=$(
  ls "$folder"
  containers
  docker network ls --quiet --filter "name=$network"
  grep -F "$folder" /proc/mounts /proc/net/unix || true
  grep -lF "$folder/" /proc/[0-9]*/cmdline 2>/dev/null || true
)
if [ -n "$farm" ] && [ -n "$network" ] && [ -z "$left" ]; then
  echo "ok - a run that was killed in the middle leaves nothing behind"
  passed=$((passed + 1))
else
  printf 'not ok - a run that was killed in the middle leaves nothing behind (farm %s)\n%s\n' "${farm:-never came up}" "$left"
  cat "$folder.out"
  failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
