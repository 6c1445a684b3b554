"""How soon builds on a real agent with Docker are under way and over, against `docker run --rm IMAGE true`.

The builds are as small as builds get: fetch a commit that the agent has, one `echo` in a container with
a network of its own, archive a product that the controller has, write the result to the database. The
commit is named in full, so that nobody asks the repository."""

import concurrent.futures
import contextlib
import os
import re
import signal
import statistics
import subprocess
import time

import load
from farm import until
from figure import SIZES, CannotMeasure
from reconnect import time_of
from repositories import IMAGE
from task_times import detail_of, seconds_of

APPLICATION = "starts"
YAML = (f"version: 1\nbuild:\n  image: {IMAGE}\n  timeout: 1m\n  network: bridge\n  run: echo here\n"
        "platforms:\n  demo:\n    output: out\n")
SLOTS = 2 * os.cpu_count()
# Containers that are made ahead of time are made when nothing else is going on.
WARM_PAUSE_MS = 1500
COLD_PAUSE_MS = 500


def docker_run(farm):
    """Seconds of one."""
    begin = time.monotonic()
    subprocess.run(["docker", "run", "--rm", "--label", f"io.slipway.bench={farm.tag}", IMAGE, "true"],
                   check=True, capture_output=True, timeout=300)
    return time.monotonic() - begin


def commit_of(farm):
    """The commit to build; makes the application first."""
    if not hasattr(farm, "starts_commit"):
        app = farm.application(APPLICATION)
        app.commit({"slipway.yaml": YAML, "out/ok": "ok\n"})
        farm.starts_commit = app.git(app.tree, "rev-parse", "HEAD")
    return farm.starts_commit


def build(farm, count, *more):
    """Figures of slipway-bench builds; every build of it succeeded, with its whole log and output of its own."""
    found = load.bench(farm, "builds", "--app", APPLICATION, "--platform", "demo", "--ref", commit_of(farm),
                       "--builds", count, *more)
    if found["builds"] != count or found["with_output"] != count:
        raise CannotMeasure(f"of {count} builds {found['builds']} ended, {found['with_output']} with output")
    return found


def tasks_of(farm, count):
    """The newest tasks of the application, with their steps."""
    listed = farm.json("tasks", "--app", APPLICATION)["tasks"][:count]
    return [farm.task(task["id"]) for task in listed]


@contextlib.contextmanager
def cold_agent(farm, name, slots=1):
    """Another agent, without containers that wait, and what `slipway-bench builds` needs to reach it alone."""
    ordinary = farm.agent_options, farm.docker_options
    farm.agent_options += f"slots: {slots}\nlabels: {{bench: {name}}}\n"
    farm.docker_options += ", warm_containers: 0"
    agent = farm.add_agent(name)
    farm.agent_options, farm.docker_options = ordinary
    farm.wait_agents()
    try:
        yield agent, ("--require", f"bench={name}")
    finally:
        agent.stop(number=signal.SIGQUIT)
        until("the agent to be offline", lambda: not any(
            one["name"] == name and one.get("online") for one in farm.json("agents")["agents"]))
        farm.agents.remove(agent)


# --- One after another ----------------------------------------------------------------------------


def engine_calls(log, offset):
    """[(begin, end)] of the calls to the Engine that the agent noted behind `offset` and that a build waits for."""
    calls = []
    with open(log, "rb") as file:
        file.seek(offset)
        for line in file.read().decode(errors="replace").splitlines():
            found = re.search(r' event=engine_call call="(?:GET|POST|DELETE) (/containers/(?!json)|/images/(?!json))\S*" .*ms=([0-9.]+)', line)
            if found:
                end = time_of(line)
                calls.append((end - float(found.group(2)) / 1000, end))
    return calls


def covered(spans, begin, end):
    """Seconds of [begin, end) that lie in any of the spans."""
    total, reached = 0.0, begin
    for first, last in sorted(spans):
        first, last = max(first, reached), min(last, end)
        if last > first:
            total += last - first
            reached = last
    return total


def cold(farm, rounds, say):
    """Rounds of {name: seconds}: result, attempt (from when the agent took it), engine (calls of the agent to
    it), docker. `engine` is None with an agent that does not note them."""
    with cold_agent(farm, "cold") as (agent, there):
        count, log = SIZES["builds"], agent.log
        # The container of a build is removed behind its result, which is no part of the next one's start.
        there = (*there, "--pause", COLD_PAUSE_MS)
        build(farm, 2, *there)
        time.sleep(1)  # a network is kept from now on
        found = []
        for number in range(rounds + 1):
            offset = log.stat().st_size
            ours = build(farm, count, *there)
            calls = engine_calls(log, offset)
            tasks = tasks_of(farm, count)
            engine = [covered(calls, seconds_of(task["created_at"]), seconds_of(task["finished_at"])) for task in tasks]
            one = {"result": ours["result_p50_ms"] / 1000, "attempt": ours["attempt_p50_ms"] / 1000,
                   "engine": statistics.median(engine) if calls else None,
                   "docker": statistics.median(docker_run(farm) for _ in range(count))}
            steps = ", ".join(f"{name} {ours[f'step_{name}_p50_ms']:.0f}" for name in ("fetch", "prepare", "script", "archive"))
            say(f"cold: {one['result'] * 1000:.0f} ms, from the agent's yes {one['attempt'] * 1000:.0f} ms ({steps}), Engine "
                f"{(one['engine'] or 0) * 1000:.0f} ms; docker run {one['docker'] * 1000:.0f} ms; {detail_of(tasks[0], 'prepare')}")
            if number > 0:
                found.append(one)
        return found


# --- Nothing to build ---------------------------------------------------------------------------


def hot(farm, rounds, say):
    """Rounds of {name: seconds}: submit until the result is at a follower, of products that are at hand and of
    such that are built."""
    count = SIZES["builds"] * 5
    build(farm, 5)
    found = []
    for number in range(rounds + 1):
        ours = load.bench(farm, "builds", "--app", APPLICATION, "--platform", "demo", "--ref", commit_of(farm),
                          "--builds", count, "--hot-cache")
        if ours["with_output"] != 0:
            raise CannotMeasure(f"{ours['with_output']} of {count} builds ran")
        one = {"p50": ours["result_p50_ms"] / 1000, "p99": ours["result_p99_ms"] / 1000,
               "built": build(farm, SIZES["builds"])["result_p50_ms"] / 1000}
        say(f"hot: {one['p50'] * 1000:.1f} ms, p99 {one['p99'] * 1000:.1f} ms; built {one['built'] * 1000:.0f} ms")
        if number > 0:
            found.append(one)
    return found


# --- Many at once ---------------------------------------------------------------------------------


def parallel(farm, rounds, say):
    """Rounds of (ours, docker run) per second, SLOTS at once."""
    count = SIZES["builds"] * SLOTS
    with cold_agent(farm, "parallel", SLOTS) as (_, there):
        many = ("--at-once", SLOTS, "--warm-up", SLOTS, *there)
        build(farm, SLOTS, *many)
        time.sleep(2)  # networks are made
        pairs = []
        for number in range(rounds + 1):
            ours = build(farm, count, *many)["builds_per_s"]
            time.sleep(2)  # the last containers go behind their results
            with concurrent.futures.ThreadPoolExecutor(SLOTS) as pool:
                begin = time.monotonic()
                list(pool.map(lambda _: docker_run(farm), range(count)))
                theirs = count / (time.monotonic() - begin)
            say(f"parallel, {SLOTS} at once: {ours:.1f}/s, docker run {theirs:.1f}/s")
            if number > 0:
                pairs.append((ours, theirs))
        return pairs


# --- As people meet it ----------------------------------------------------------------------------


def warm(farm, rounds, say):
    """Rounds of {name: seconds}: first output at a follower, half of the builds and all but one in a hundred;
    docker."""
    count = SIZES["warm"]
    paced = ("--pause", WARM_PAUSE_MS)
    build(farm, 3, *paced)
    found = []
    for number in range(rounds + 1):
        ours = build(farm, count, *paced)
        one = {"p50": ours["output_p50_ms"] / 1000, "p99": ours["output_p99_ms"] / 1000,
               "docker": statistics.median(docker_run(farm) for _ in range(SIZES["builds"]))}
        say(f"warm: first output after {one['p50'] * 1000:.0f} ms, p99 {one['p99'] * 1000:.0f} ms, result after "
            f"{ours['result_p50_ms']:.0f} ms; docker run {one['docker'] * 1000:.0f} ms; {detail_of(tasks_of(farm, 1)[0], 'prepare')}")
        if number > 0:
            found.append(one)
    return found
