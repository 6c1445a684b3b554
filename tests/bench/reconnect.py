"""How long after the controller answers again an agent is back and reconciled, when the controller was
killed in the middle of a build; results and logs must be complete. The controller was away for a moment,
for as long as the agent's pauses grow, and for longer than its keepalive."""

import datetime
import hashlib
import re
import time

from farm import lab
from suite import Failed, expect, until

OUTAGES = (0.0, 3.0, 20.0)  # seconds
TICKS_PER_SECOND = 20


def measure(farm, rounds, say):
    """(worst, facts)."""
    app = farm.application("reconnect")
    found = {outage: [] for outage in OUTAGES}
    for _ in range(rounds):
        for outage in OUTAGES:
            found[outage].append(one(farm, app, outage))
            say(f"reconnect: away for {outage:.0f} s, back after {found[outage][-1]:.2f} s")
    return max(map(max, found.values())), {"rounds_s": {f"away {outage:.0f} s": times for outage, times in found.items()}}


def one(farm, app, outage):
    ticks = int((outage + 4) * TICKS_PER_SECOND)
    branch = f"away-{outage:.0f}"
    app.commit({"slipway.yaml": lab(f"i=0\nwhile [ $i -lt {ticks} ]; do echo \"tick $i\"; i=$((i + 1)); sleep "
                                    f"{1 / TICKS_PER_SECOND}; done\nmkdir out; echo x >out/x")}, branch)
    run, tasks = farm.submit("reconnect", "demo", ref=branch)
    task = tasks[0]["id"]
    farm.wait_log(task, "tick 5")
    farm.controller.kill9()
    controller, agent = farm.controller.log.stat().st_size, farm.agents[0].log.stat().st_size
    time.sleep(outage)
    farm.start_controller()
    ready = until("the controller to be ready", lambda: said(farm.controller.log, controller, "ready"), 30)
    # The first message of a stream is the controller's answer to the agent's inventory.
    back = until("the agent to be back", lambda: said(farm.agents[0].log, agent, "link_up"), 60)
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED" and build["attempt"] == "1", build)
    wanted = b"".join(b"tick %d\n" % number for number in range(ticks))
    log = farm.log(task)
    at = log.find(b"tick 0\n")
    expect(hashlib.sha256(log[at:at + len(wanted)]).digest() == hashlib.sha256(wanted).digest(), log.decode())
    return max(0.0, back - ready)


def said(log, offset, event):
    """When the program first said it behind `offset`, in seconds since 1970; None: not yet."""
    with open(log, "rb") as file:
        file.seek(offset)
        for line in file.read().decode(errors="replace").splitlines():
            if re.search(rf"\bevent={event}\b", line):
                return time_of(line)
    return None


def time_of(line):
    words = line.split(" ", 1)[0]
    try:
        return datetime.datetime.fromisoformat(words.replace("Z", "+00:00")).timestamp()
    except ValueError:
        raise Failed(f"no time at the beginning of {line!r}") from None
