"""A farm under the load of slipway-bench: tasks per second, many idle agents, logs and who follows them."""

import json
import os
import pathlib
import re
import statistics
import subprocess
import time

from farm import Failed, program
from figure import SIZES

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_AGENTS = 1000
# Twice as long as between two inventories of an agent, and then some.
IDLE_SECONDS = 40
FOLLOWERS = 500


def command(farm, *arguments, token=None):
    """Of slipway-bench; SLIPWAY_LOAD_FROM: of another build than the farm's, so that two farms get the same load."""
    other = os.environ.get("SLIPWAY_LOAD_FROM")
    return [f"{other}/bin/slipway-bench" if other else program("slipway-bench"), *farm.command(token=token)[1:], "--json", *map(str, arguments)]


def bench(farm, *arguments, token=None):
    """What it says; the token is in a file, the admin's unless told otherwise."""
    done = subprocess.run(command(farm, *arguments, token=token), capture_output=True, text=True, timeout=600)
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


def idle_agents(farm, agents, say):
    """{name: value} of so many agents that do nothing, and of their return after a kill -9."""
    pid = farm.controller.process.pid
    before = of_status(pid, "RssAnon")
    process = subprocess.Popen(command(farm, "agents", "--agents", agents, "--idle", IDLE_SECONDS, "--restart"),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    measured = {}
    for line in process.stderr:
        if line.startswith("connected"):
            time.sleep(5)
            begin, used = time.monotonic(), ticks(pid)
            time.sleep(30)
            measured["core_share"] = (ticks(pid) - used) / TICKS / (time.monotonic() - begin)
            measured["bytes_each"] = (of_status(pid, "RssAnon") - before) / agents
        elif line.startswith("restart"):
            farm.controller.kill9()
            farm.start_controller()
            begin = time.monotonic()
        elif line.startswith("all are back"):
            measured["back_s"] = time.monotonic() - begin
    process.stdout.read()
    if process.wait(600) != 0:
        raise Failed(f"slipway-bench agents: exit {process.returncode}")
    farm.controller.stop()  # what it has freed is still its own, and would count for the next figure
    farm.start_controller()
    say(f"{agents} idle agents: {measured}")
    return measured


# --- Figures: generators of what tests/bench/run prints -------------------------------------------


def measure_tasks(farm, rounds, say, figure):
    found = tasks(farm, rounds, say)
    median = {name: statistics.median(one[name] for one in found) for name in found[0]}
    yield figure("tasks_single", "no-op builds on mock agents, one submit call each, all states durable", "", 3000).number(
        median["single"], "tasks/s", least=True)
    yield figure("tasks_batched", "the same, 100 per call", "", 6000).number(median["batched"], "tasks/s", least=True)
    yield figure("tasks_assign", f"submit → offer among {IDLE_AGENTS:,} idle agents at 200 tasks/s, p99", "", 100).number(
        median["assign_p99_ms"], "ms", least=False)


def idle_figures(agents, back_goal):
    def measure(farm, rounds, say, figure):
        del rounds
        found = idle_agents(farm, agents, say)
        what = f"{agents:,} idle agents over mTLS"
        key = f"agents{agents}"
        yield figure(f"{key}_memory", f"{what}: RssAnon of the controller for each", "", 160).number(
            found["bytes_each"] / 1024, "KiB", least=False)
        yield figure(f"{key}_cpu", f"{what}: controller's share of a core", "", 5).number(found["core_share"] * 100, "%", least=False)
        yield figure(f"{key}_back", f"{what}: all back after a kill -9, from when the controller is ready", "", back_goal).number(
            found["back_s"], "s", least=False)
    return measure


def measure_viewers(farm, rounds, say, figure):
    """The controller's CPU with FOLLOWERS followers of one log against one; each checked byte by byte."""
    def seconds(followers):
        found = bench(farm, "logs", "--logs", 1, "--followers", followers, "--lines", 1000, "--seconds", 20,
                      "--controller-pid", farm.controller.process.pid)
        say(f"viewers: {found}")
        return found["controller_cpu_s"]

    pairs = [(seconds(FOLLOWERS), seconds(1)) for _ in range(rounds)]
    yield figure("viewers", f"controller's CPU while {FOLLOWERS} followers see 20 s of a log of 1,000 lines/s, each every byte",
                 "one follower", 2).ratio(pairs, faster=False)


def measure_line(farm, rounds, say, figure):
    found = [bench(farm, "logs", "--logs", 1, "--lines", 100, "--seconds", 10) for _ in range(rounds)]
    say(f"line: {found}")
    for name, goal in (("p50", 20), ("p99", 100)):
        yield figure(f"line_{name}", f"line at the controller → follower, {name}", "", goal).number(
            statistics.median(one[f"line_{name}_ms"] for one in found), "ms", least=False)


def measure_logs(farm, rounds, say, figure):
    found = [bench(farm, "logs", "--logs", 8, "--bytes", "200MB") for _ in range(rounds + 1)][1:]
    say(f"logs: {found}")
    yield figure("logs", "8 logs at once to disk and to a follower each, in sum", "", 150).number(
        statistics.median(one["seen_mb_per_s"] for one in found), "MB/s", least=True)


FIGURES = {"tasks": measure_tasks, "agents": idle_figures(IDLE_AGENTS, 8), "agents5000": idle_figures(5000, 45), "viewers": measure_viewers, "line": measure_line,
           "logs": measure_logs}
