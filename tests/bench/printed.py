"""How soon a line that a build prints reaches who watches: container, slipway-init, agent, controller, `slipway logs --follow`.

The line carries the machine's time since its boot, in hundredths of a second as /proc/uptime has it: what is measured is up to
10 ms too much."""

import statistics
import subprocess
import time

from figure import CannotMeasure
from repositories import IMAGE

LINES, PAUSE_US = 200, 50_000
SCRIPT = f"i=0; while [ $i -lt {LINES} ]; do read up idle </proc/uptime; echo at=$up; usleep {PAUSE_US}; i=$((i + 1)); done"


def delays(farm, rounds, finish, say):
    """Seconds of every line of all rounds."""
    application = farm.application("printed")
    application.commit({"slipway.yaml": f"version: 1\nbuild:\n  image: {IMAGE}\n  timeout: 2m\n  run: {SCRIPT}\n"
                                        "platforms:\n  demo:\n    output: out\n", "out/ok": "ok\n"})
    found = []
    for number in range(rounds + 1):
        run, tasks = farm.submit("printed", "demo")
        ours = []
        with subprocess.Popen(farm.command("logs", "--follow", tasks[0]["id"]), stdout=subprocess.PIPE, text=True) as viewer:
            for line in viewer.stdout:
                if line.startswith("at="):
                    ours.append(time.clock_gettime(time.CLOCK_BOOTTIME) - float(line[3:]))
        finish(farm, run, follow=False)
        if len(ours) != LINES:
            raise CannotMeasure(f"{len(ours)} of {LINES} lines were seen")
        ours.sort()
        say(f"printed: p50 {statistics.median(ours) * 1000:.1f} ms, p99 {ours[LINES * 99 // 100] * 1000:.1f} ms")
        if number > 0:
            found += ours
    return sorted(found)


def measure(farm, rounds, finish, say, figure):
    found = delays(farm, rounds, finish, say)
    what = "a line that a build prints → `slipway logs --follow`, real agent and container"
    yield figure("printed_p50", f"{what}: p50", "", 20).number(statistics.median(found) * 1000, "ms", least=False)
    yield figure("printed_p99", "the same: p99", "", 100).number(found[len(found) * 99 // 100] * 1000, "ms", least=False)
