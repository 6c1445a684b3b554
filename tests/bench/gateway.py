"""What the HTTP port costs: a call as JSON beside the same one by gRPC, and the memory that followers of a log take."""

import asyncio
import base64
import json
import pathlib
import re
import shutil
import subprocess
import time

from access import http_port, start_with_reader
from farm import Failed, Farm
from figure import SIZES, CannotMeasure
from load import bench, command, of_status

# (name, path, message, options of slipway-bench calls)
CALLS = (("self", "SessionService/GetSelf", "{}", ()), ("page", "ApplicationService/ListApplications", '{"pageSize":100}', ("--page", 100)))
SECONDS = 3
LINES_PER_SECOND = 10
# Connections made at once: more than a listener queues are refused.
AT_ONCE = 50
FOLLOW_SECONDS = 20


def p50_by_http(port, token, path, message):
    """Seconds, of wrk with one connection."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is not installed: apt-get install wrk")
    script = pathlib.Path("/tmp") / f"slipway-bench-{port}.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{message}'\n"
                      f"wrk.headers['Authorization'] = 'Bearer {token}'\nwrk.headers['Content-Type'] = 'application/json'\n")
    try:
        done = subprocess.run(["wrk", "-t1", "-c1", f"-d{SECONDS}s", "--latency", "-s", str(script), f"http://127.0.0.1:{port}/slipway.v1.{path}"],
                              capture_output=True, text=True, timeout=60)
    finally:
        script.unlink()
    found = re.search(r"50%\s+([\d.]+)(us|ms|s)", done.stdout)
    if "Non-2xx" in done.stdout or done.returncode != 0 or not found:
        raise Failed(f"wrk: {done.stdout}{done.stderr}")
    return float(found.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1}[found.group(2)]


def measure(rounds, say):
    """{name of a call: rounds of (seconds by HTTP, by gRPC)}."""
    farm = Farm(agents=0)
    found = {name: [] for name, *_ in CALLS}
    try:
        token = start_with_reader(farm)
        port = http_port(farm)
        file = farm.folder / "reader.token"
        file.write_text(token + "\n")
        for _ in range(rounds):
            for name, path, message, options in CALLS:
                http = p50_by_http(port, token, path, message)
                grpc = bench(farm, "calls", "--calls", SIZES["calls"], *options, token=file)["call_p50_ms"] / 1000
                say(f"gateway, {name}: {http * 1000:.2f} ms by HTTP, {grpc * 1000:.2f} ms by gRPC")
                found[name].append((http, grpc))
    finally:
        for line in farm.close():
            say(f"left behind: {line}")
    return found


# --- Followers ------------------------------------------------------------------------------------


class Follower:
    """A stream of the log of a task over a connection of its own, by the Connect protocol as JSON."""

    def __init__(self):
        self.log = b""
        self.ended = False

    async def open(self, port, token, task):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        message = json.dumps({"task": task, "follow": True}).encode()
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self.writer.write((f"POST /slipway.v1.TaskService/ReadLog HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                           f"Content-Type: application/connect+json\r\nConnect-Protocol-Version: 1\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise Failed(f"ReadLog by HTTP: {head!r}")

    async def follow(self):
        buffered = b""
        while not self.ended:
            size = int((await self.reader.readline()).split(b";")[0], 16)
            buffered += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            while len(buffered) >= 5 and len(buffered) >= 5 + int.from_bytes(buffered[1:5], "big"):
                end = 5 + int.from_bytes(buffered[1:5], "big")
                message = json.loads(buffered[5:end])
                if buffered[0] & 2:
                    if message.get("error"):
                        raise Failed(f"a follower's stream ended: {message['error']}")
                    self.ended = True
                else:
                    self.log += base64.b64decode(message.get("data", ""))
                buffered = buffered[end:]
        self.writer.close()


async def follow_all(port, token, task, pid, count):
    """The highest RssAnon of the process while so many follow, and the logs they got."""
    followers = [Follower() for _ in range(count)]
    for first in range(0, count, AT_ONCE):
        await asyncio.gather(*(one.open(port, token, task) for one in followers[first:first + AT_ONCE]))
    streams = asyncio.gather(*(one.follow() for one in followers))
    peak = 0
    while not streams.done():
        peak = max(peak, of_status(pid, "RssAnon"))
        await asyncio.sleep(0.1)
    await streams
    return peak, {one.log for one in followers}


def task_of_load(farm):
    """The task that slipway-bench has begun."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for task in farm.json("tasks").get("tasks", []):
            if task["state"] == "TASK_STATE_RUNNING":
                return task["id"]
        time.sleep(0.2)
    raise Failed("slipway-bench began no build")


def followers(rounds, say):
    """The worst of the rounds, each on a farm of its own: bytes of RssAnon above those without followers."""
    found = []
    for _ in range(rounds):
        farm = Farm(agents=0)
        try:
            farm.start()
            pid = farm.controller.process.pid
            token = (farm.folder / "controller/admin.token").read_text().split()[0]
            load = subprocess.Popen(command(farm, "logs", "--logs", 1, "--followers", 1, "--lines", LINES_PER_SECOND, "--seconds", FOLLOW_SECONDS),
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                while "printing" not in (line := load.stderr.readline()):
                    if not line:
                        raise Failed("slipway-bench logs ended before it printed")
                task = task_of_load(farm)
                before = of_status(pid, "RssAnon")
                peak, logs = asyncio.run(follow_all(http_port(farm), token, task, pid, SIZES["followers"]))
            finally:
                load.communicate(timeout=120)
            if load.returncode != 0 or len(logs) != 1 or logs.pop().count(b"\n") < LINES_PER_SECOND * FOLLOW_SECONDS:
                raise Failed("not every follower got the whole log")
            say(f"followers: {(peak - before) / 1e6:.1f} MB for {SIZES['followers']}")
            found.append(peak - before)
        finally:
            for line in farm.close():
                say(f"left behind: {line}")
    return max(found)


# --- Figures: generators of what tests/bench/run prints -------------------------------------------


def measure_gateway(farm, rounds, say, figure):
    del farm
    found = measure(rounds, say)
    for name, what in (("self", "a small call (GetSelf)"), ("page", "a page of 100 applications")):
        yield figure(f"gateway_{name}", f"{what} as JSON by HTTP, one after another, p50", "the same by gRPC", 2).ratio(found[name], faster=False)


def measure_followers(farm, rounds, say, figure):
    del farm
    yield figure("followers", f"{SIZES['followers']:,} followers of one log by HTTP, each with every byte: peak of the controller above none", "",
                 100_000_000).bytes(followers(rounds, say))


FIGURES = {"gateway": measure_gateway, "followers": measure_followers}
