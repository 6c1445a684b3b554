"""Buildbot of the Debian packages beside Slipway: no-op builds per second, and a log.

Master and worker are on this machine, as `create-master` and `create-worker` make them (SQLite); the
builds are put into the master's queue from inside, which spares it every client. A no-op build has no
step; the worker may run as many at once as it likes. The log is what one `cat` prints on the worker."""

import hashlib
import json
import shutil
import subprocess
import sys

import load
from farm import Failed, free_port, until
from figure import MB, SIZES, CannotMeasure
from repositories import noise, yaml
from task_times import seconds_of, step_of

PACKAGES = ("buildbot", "buildbot-worker")
PASSWORD = "bench"

MASTER = '''
import hashlib, json, os, time
from buildbot.plugins import schedulers, steps, util, worker
from buildbot.util.service import BuildbotService
from twisted.internet import defer, reactor, task
from twisted.python import log

SETTINGS = json.loads(%(settings)r)


class Driver(BuildbotService):
    name = "bench"

    def startService(self):
        reactor.callLater(1, self.begin)
        return super().startService()

    @defer.inlineCallbacks
    def begin(self):
        try:
            while not any(one["connected_to"] for one in (yield self.master.data.get(("workers",)))):
                yield task.deferLater(reactor, 0.2, lambda: None)
            yield self.run("noop", 2)
            begin = time.time()
            yield self.run("noop", SETTINGS["builds"])
            answer = {"builds_per_s": SETTINGS["builds"] / (time.time() - begin)}
            begin = time.time()
            yield self.run("log", 1)
            answer["log_s"] = time.time() - begin
            digest, size = yield self.digest_of_log()
            answer.update(log_sha256=digest, log_bytes=size)
        except Exception as problem:
            log.err()
            answer = {"error": repr(problem)}
        with open(SETTINGS["out"] + ".new", "w") as file:
            json.dump(answer, file)
        os.rename(SETTINGS["out"] + ".new", SETTINGS["out"])

    @defer.inlineCallbacks
    def run(self, name, count):
        builder = yield self.master.data.updates.findBuilderId(name)
        left, done = [count], defer.Deferred()

        def finished(key, build):
            if build["results"] != 0:
                done.errback(RuntimeError("a build of Buildbot failed"))
            left[0] -= 1
            if left[0] == 0:
                done.callback(None)

        consumer = yield self.master.mq.startConsuming(finished, ("builds", None, "finished"))
        stamp = {"codebase": "", "repository": "", "branch": None, "revision": None, "project": ""}
        for _ in range(count):
            yield self.master.data.updates.addBuildset(waited_for=False, scheduler="bench", sourcestamps=[stamp],
                                                       reason="bench", properties={}, builderids=[builder])
        yield done
        yield consumer.stopConsuming()

    @defer.inlineCallbacks
    def digest_of_log(self):
        builder = yield self.master.data.updates.findBuilderId("log")
        (build,) = yield self.master.data.get(("builders", builder, "builds"))
        # The first step of every build prepares the worker.
        step = (yield self.master.data.get(("builds", build["buildid"], "steps")))[-1]
        logs = yield self.master.data.get(("steps", step["stepid"], "logs"))
        stdio = next(one for one in logs if one["slug"] == "stdio")
        digest, size = hashlib.sha256(), 0
        for first in range(0, stdio["num_lines"], 10000):
            text = yield self.master.db.logs.getLogLines(stdio["logid"], first, min(first + 9999, stdio["num_lines"] - 1))
            for line in text.splitlines(keepends=True):
                if line.startswith("o"):
                    digest.update(line[1:].encode())
                    size += len(line[1:].encode())
        return digest.hexdigest(), size


def builder(name, *what):
    return util.BuilderConfig(name=name, workernames=["local"], factory=util.BuildFactory(list(what)), collapseRequests=False)


BuildmasterConfig = {
    "workers": [worker.Worker("local", SETTINGS["password"])],
    "protocols": {"pb": {"port": "tcp:%%d:interface=127.0.0.1" %% SETTINGS["port"]}},
    "builders": [builder("noop"), builder("log", steps.ShellCommand(command=["cat"] + SETTINGS["files"], logEnviron=False))],
    "schedulers": [schedulers.Triggerable(name="bench", builderNames=["noop", "log"])],  # Buildbot insists; Driver does it
    "services": [Driver()],
    "db": {"db_url": "sqlite:///state.sqlite"},
    "buildbotNetUsageData": None,
}
'''


def install():
    """Only when asked for."""
    subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES], check=True, stdout=sys.stderr, timeout=900)


def quietly(*command, cwd):
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")


def buildbot(farm, payload, times):
    """What Driver writes."""
    folder = farm.folder / "buildbot"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    master, worker, out = folder / "master", folder / "worker", folder / "answer.json"
    settings = {"port": free_port(), "password": PASSWORD, "builds": SIZES["buildbot"], "files": [str(payload)] * times,
                "out": str(out)}
    quietly("buildbot", "create-master", master, cwd=folder)
    quietly("buildbot-worker", "create-worker", worker, f"127.0.0.1:{settings['port']}", "local", PASSWORD, cwd=folder)
    (master / "master.cfg").write_text(MASTER % {"settings": json.dumps(settings)})
    running = []
    try:
        for command, place in (("buildbot", master), ("buildbot-worker", worker)):
            with open(folder / f"{command}.out", "wb") as log:
                running.append(subprocess.Popen([command, "start", "--nodaemon", str(place)], cwd=place, stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL))
        until("Buildbot to have built", lambda: out.exists() or any(process.poll() is not None for process in running), 900)
        if not out.exists():
            raise Failed(f"Buildbot ended:\n{(master / 'twistd.log').read_text()[-2000:]}")
        answer = json.loads(out.read_text())
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)
    if "error" in answer:
        raise Failed(f"Buildbot: {answer['error']}; see {master}/twistd.log")
    return answer


def slipways_log(farm, application, payload, times):
    """Seconds from the step that makes the container until the result is final; the bytes are compared."""
    run, tasks = farm.submit(application, "demo")
    farm.slipway("follow", run, check=False, timeout=300)
    (task,) = farm.finish(run)
    log = farm.log(tasks[0]["id"])
    if log.count(payload.read_bytes()) != times:
        raise CannotMeasure("Slipway's log is not what the build wrote")
    return seconds_of(task["finished_at"]) - step_of(task, "prepare")[0]


def measure(farm, rounds, say):
    """Rounds of {builds: (ours, Buildbot's) per second, log: likewise in MB/s}."""
    missing = [name for name in PACKAGES if shutil.which(name) is None]
    if missing:
        raise CannotMeasure(f"the Debian packages {' and '.join(PACKAGES)} are not installed; --install-buildbot installs them")
    size, ours_times, their_times = SIZES["buildbot_log"], 10, 1
    application = farm.application("buildbot")
    # A whole line at the end: Buildbot makes one of what is not.
    application.commit({"payload": noise("buildbot", size - 1) + b"\n",
                        "slipway.yaml": yaml("cat" + " payload" * ours_times + "; mkdir out; echo ok >out/ok")})
    payload = application.tree / "payload"
    wanted = hashlib.sha256(payload.read_bytes()).hexdigest()
    found = []
    for number in range(rounds + 1):
        ours = load.bench(farm, "tasks", "--tasks", SIZES["tasks"])["tasks_per_s"]
        seconds = slipways_log(farm, "buildbot", payload, ours_times)
        theirs = buildbot(farm, payload, their_times)
        if (theirs["log_sha256"], theirs["log_bytes"]) != (wanted, size * their_times):
            raise CannotMeasure(f"Buildbot's log is not what the build wrote: {theirs['log_bytes']:,} bytes of {size * their_times:,}")
        one = {"builds": (ours, theirs["builds_per_s"]),
               "log": (size * ours_times / MB / seconds, size * their_times / MB / theirs["log_s"])}
        say(f"buildbot: {one['builds'][1]:.1f} builds/s, log {one['log'][1]:.1f} MB/s; Slipway {ours:.0f} builds/s, log {one['log'][0]:.0f} MB/s")
        if number > 0:
            found.append(one)
    return found
