#!/usr/bin/env bash
# A minute of chaos (tests/chaos/run): everything must hold. Then a short run with a planted bug, which the
# run must find. SLIPWAY_CHAOS_SEED picks another seed; longer runs are tests/chaos/run's own business.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../../deploy/images/build"
passed=0 failed=0

if timeout --kill-after=20 150 "$here/../chaos/run" --seed "${SLIPWAY_CHAOS_SEED:-1}" --minutes 1 --idle-minutes 0.75; then
  echo "ok - a minute of chaos: nothing lost, doubled or left behind"
  passed=$((passed + 1))
else
  echo "not ok - a minute of chaos: exit $?"
  failed=$((failed + 1))
fi

status=0
report=$(timeout --kill-after=20 90 "$here/../chaos/run" --seed 1 --minutes 0.15 --idle-minutes 0.5 --agents 1 \
  --faults controller-kill --plant rot-log --no-keep) || status=$?
if [ "$status" -eq 1 ] && grep -q '^not ok - logs are what was written' <<<"$report"; then
  echo "ok - a planted bug (a disk that changes synced bytes of a log) is found"
  passed=$((passed + 1))
else
  printf 'not ok - a planted bug is found: exit %s\n%s\n' "$status" "$report"
  failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
