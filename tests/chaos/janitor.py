#!/usr/bin/env python3
"""Takes away what a chaos run has on the machine, also when the run was killed: a process of its own
that is started first and learns by the end of a pipe that the run is over, however that came about.

    janitor = Janitor()
    janitor.tell(farm=folder, id=…, network=…)   # from here on it is cleared away, unless
    janitor.tell(closed=folder)                  # the farm has done so itself
    janitor.tell(engine=state)                   # an Engine of the run's own: always cleared away
    left = janitor.finish()

It lives through exec(): see passed_on() and handed_over().
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
HANDED_OVER = "SLIPWAY_CHAOS_JANITOR"


class Janitor:
    """The runner's end; `pipe`: its descriptor. Confined to one thread."""

    def __init__(self):
        reader, self.pipe = os.pipe()
        # In a session of its own: Ctrl-C is for the run.
        process = subprocess.Popen([sys.executable, "-B", str(HERE / "janitor.py")], stdin=reader, stdout=subprocess.DEVNULL,
                                   start_new_session=True)
        os.close(reader)
        self._pid = process.pid
        # The child is waited for by number, since a program after exec() has no such object.
        process.returncode = 0

    @staticmethod
    def handed_over():
        """The janitor of the program before exec(); None when there is none."""
        if HANDED_OVER not in os.environ:
            return None
        janitor = Janitor.__new__(Janitor)
        janitor.pipe, janitor._pid = map(int, os.environ.pop(HANDED_OVER).split(":"))
        os.set_inheritable(janitor.pipe, False)
        return janitor

    def passed_on(self):
        """What the environment needs so that the program after exec() has this janitor."""
        os.set_inheritable(self.pipe, True)
        return {HANDED_OVER: f"{self.pipe}:{self._pid}"}

    def tell(self, **what):
        os.write(self.pipe, json.dumps(what).encode() + b"\n")

    def finish(self):
        """True when nothing is left; the janitor has said on stderr what it could not take away."""
        os.close(self.pipe)
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status) == 0


# --- The process ----------------------------------------------------------------------------------


def main():
    farms, engine = {}, ""
    for line in sys.stdin:
        what = json.loads(line)
        engine = what.get("engine", engine)
        if "farm" in what:
            farms[what["farm"]] = what
        farms.pop(what.get("closed"), None)
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    if engine:
        os.environ.update(environment_of(engine))
    left = [line for farm in farms.values() for line in clear_farm(farm["farm"], farm["id"], farm["network"])]
    if engine:
        left += clear_engine(engine)
    for line in left:
        print(f"chaos: left behind: {line}", file=sys.stderr)
    return 1 if left else 0


def environment_of(engine):
    """With which deploy/lib/engine.sh and docker mean the Engine in the directory `engine`."""
    return {"SLIPWAY_STATE": engine, "SLIPWAY_DOCKERD_ROOT": f"{engine}/root", "DOCKER_HOST": f"unix://{engine}/docker.sock"}


def clear_farm(folder, farm_id, network):
    """Ends the farm in `folder` without its help. What is left, in words."""
    # PostgreSQL has memory outside of its processes, which it gives back at an immediate stop.
    for pid in pids_of(folder):
        if name_of(pid) == "postgres":
            send(pid, signal.SIGQUIT)
            send(pid, signal.SIGCONT)
    wait_until(lambda: not [pid for pid in pids_of(folder) if name_of(pid) == "postgres"], 5)
    kill_all(lambda: pids_of(folder))
    if pathlib.Path(folder, "cloud").is_dir():
        run(str(REPOSITORY / "deploy/demo/standin/stop"), f"{folder}/cloud")
    containers = run("docker", "ps", "--all", "--quiet", "--filter", f"label=io.slipway.farm={farm_id}").split() if farm_id else []
    if containers:
        run("docker", "rm", "--force", *containers)
    run("docker", "network", "rm", network)
    return clear_folder(folder)


def clear_engine(state):
    """Ends the dockerd in `state` and all that it runs. What is left, in words."""
    run(str(REPOSITORY / "deploy/lib/engine.sh"), "down")
    # A killed dockerd leaves what it ran, and so does a killed shim.
    containers = [path.name for path in pathlib.Path(state, "root/data/containers").glob("*")]
    kill_all(lambda: [*pids_of(state), *(pid for one in containers for pid in pids_in(one))])
    for one in containers:
        for group in pathlib.Path("/sys/fs/cgroup").glob(f"**/docker/{one}"):
            with contextlib.suppress(OSError):
                group.rmdir()
    return clear_folder(state)


def clear_folder(folder):
    for mount in reversed(mounts_below(folder)):
        run("umount", "--lazy", mount)
    # An Engine's images are a hundred thousand files.
    run("rm", "-rf", "--one-file-system", folder, seconds=600)
    left = [f"mount {mount}" for mount in mounts_below(folder)] + [f"process {pid}: {name_of(pid)}" for pid in pids_of(folder)]
    return left + ([f"directory {folder}"] if os.path.lexists(folder) else [])


# --- What the kernel knows ------------------------------------------------------------------------


def read(path):
    """Its bytes; none when the process has ended."""
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:
        return b""


def all_pids():
    # The runner, when it lives, has the Engine's directory in its environment and waits for us.
    ours = (os.getpid(), os.getppid())
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) not in ours]


def pids_of(folder):
    """Processes that name `folder` in their command line, or had it in their environment."""
    word = str(folder).encode()
    return [pid for pid in all_pids() if word in read(f"/proc/{pid}/cmdline") or word in read(f"/proc/{pid}/environ")]


def pids_in(container):
    return [pid for pid in all_pids() if container.encode() in read(f"/proc/{pid}/cgroup")]


def name_of(pid):
    return read(f"/proc/{pid}/comm").decode(errors="replace").strip()


def mounts_below(folder):
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    return [where for where in (line.split()[1] for line in lines) if where == folder or where.startswith(f"{folder}/")]


# --- Small tools ----------------------------------------------------------------------------------


def send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_all(find):
    """Until `find` finds none, also none that was just being started."""
    def none_left():
        found = find()
        for pid in found:
            send(pid, signal.SIGKILL)
        return not found
    wait_until(lambda: none_left() and (time.sleep(0.2) or none_left()), 20)


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def run(*command, seconds=120):
    """What it printed; nothing when it did not work, which the check of what is left will notice."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


if __name__ == "__main__":
    sys.exit(main())
