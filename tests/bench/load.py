"""A farm under the load of slipway-bench: tasks per second, and many idle agents."""

import json
import os
import pathlib
import re
import subprocess
import time

from farm import Failed, program
from figure import SIZES

IDLE_AGENTS = 1000
IDLE_SECONDS = 20


def command(farm, *arguments):
    """Of slipway-bench; SLIPWAY_LOAD_FROM: of another build than the farm's, so that two farms get the same load."""
    other = os.environ.get("SLIPWAY_LOAD_FROM")
    return [f"{other}/bin/slipway-bench" if other else program("slipway-bench"), *farm.command()[1:], "--json", *map(str, arguments)]


def bench(farm, *arguments):
    done = subprocess.run(command(farm, *arguments), capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise Failed(f"slipway-bench {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def tasks(farm, rounds, say):
    """Rounds of {name: value} for single and batched submits, and for assignment among idle agents."""
    found = []
    for number in range(rounds + 1):
        single = bench(farm, "tasks", "--tasks", SIZES["tasks"])
        batched = bench(farm, "tasks", "--tasks", SIZES["tasks"], "--batch", 100, "--calls", 16, "--unfinished", 3000)
        among = bench(farm, "tasks", "--tasks", SIZES["tasks"] // 10, "--agents", IDLE_AGENTS, "--slots", 1, "--rate", 200)
        say(f"tasks: {single['tasks_per_s']:.0f}/s one by one, {batched['tasks_per_s']:.0f}/s in batches of 100; "
            f"assigned among {IDLE_AGENTS} idle agents in {among['assign_p50_ms']:.1f} ms, p99 {among['assign_p99_ms']:.1f} ms")
        if number > 0:
            found.append({"single": single["tasks_per_s"], "batched": batched["tasks_per_s"],
                          "assign_p99_ms": among["assign_p99_ms"]})
    return found


def of_status(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M).group(1)) * 1024


def ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def idle_agents(farm, ticks_per_second, say):
    """{name: value} of IDLE_AGENTS agents that do nothing, and of their return after a kill -9."""
    pid = farm.controller.process.pid
    before = of_status(pid, "RssAnon")
    process = subprocess.Popen(command(farm, "agents", "--agents", IDLE_AGENTS, "--idle", IDLE_SECONDS, "--restart"),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    measured = {}
    for line in process.stderr:
        if line.startswith("connected"):
            time.sleep(IDLE_SECONDS / 4)
            begin, used = time.monotonic(), ticks(pid)
            time.sleep(IDLE_SECONDS / 2)
            measured["core_share"] = (ticks(pid) - used) / ticks_per_second / (time.monotonic() - begin)
            measured["bytes_each"] = (of_status(pid, "RssAnon") - before) / IDLE_AGENTS
        elif line.startswith("restart"):
            farm.controller.kill9()
            farm.start_controller()
    out = process.stdout.read()
    if process.wait(600) != 0:
        raise Failed(f"slipway-bench agents: exit {process.returncode}")
    measured["back_s"] = json.loads(out)["back_s"]
    say(f"{IDLE_AGENTS} idle agents: {measured}")
    return measured
