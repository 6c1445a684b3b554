"""How each fault of the plan is brought about and ended. begin() and end() return at once or within a
second; what a fault hit is returned as words for the report."""

import os
import pathlib
import re
import signal
import subprocess

from farm import REPOSITORY

GATE_MODES = {"net-cut": "cut", "net-slow": "slow", "net-half-open": "half-open",
              "net-split-up": "split-up", "net-split-down": "split-down"}
NOT_RUNNING = "nothing: it was not running"


class Faults:
    """`plant`: a bug planted on purpose, see PLANTS; "" for none."""

    def __init__(self, farm, plant=""):
        self.farm, self.plant = farm, plant
        self._frozen = {}  # number of the event → pid
        kill, freeze = (self._kill, self._start_again), (self._freeze_daemon, self._thaw)
        net, disk, engine = (self._set_gate, self._open_gate), (self._fill, self._free), (self._stop_engine, self._start_engine)
        # Fault → (what begins it and says in words what it hit, what ends it).
        self.acts = {
            "agent-kill": kill, "controller-kill": kill, "agent-freeze": freeze, "controller-freeze": freeze,
            "init-kill": (self._hit_init, self._nothing), "init-freeze": (self._hit_init, self._thaw),
            "database-stop": (self._stop_database, self._nothing),
            **dict.fromkeys(GATE_MODES, net), "disk-agent": disk, "disk-controller": disk,
            "engine-stop": engine, "engine-kill": engine,
        }

    def begin(self, event):
        """What it hit, in words."""
        # Asked before: afterwards the Engine may not answer any more.
        busy = self.farm.busy()
        begin, _ = self.acts[event.fault]
        return begin(event, busy)

    def end(self, event):
        _, end = self.acts[event.fault]
        end(event)

    # --- One by one ---

    @staticmethod
    def _words(busy):
        running = [f"{kind} {task}-{attempt}" for kind, task, attempt, _ in busy.values()]
        return "running: " + ", ".join(running) if running else "no container was running"

    @staticmethod
    def _number(event):
        return int(event.target.rpartition("-")[2])

    def _daemon(self, event):
        return self.farm.controller if event.target == "controller" else self.farm.agent(self._number(event))

    def _nothing(self, event):
        pass

    def _kill(self, event, busy):
        daemon = self._daemon(event)
        self.farm.down.add(daemon.name)
        if not daemon.running():
            return NOT_RUNNING
        daemon.kill9()
        if self.plant == "rot-log" and event.target == "controller":
            rot_log(self.farm.folder / "controller/logs")
        return self._words(busy)

    def _start_again(self, event):
        daemon = self._daemon(event)
        self.farm.down.discard(daemon.name)
        if not daemon.running():
            daemon.start()

    def _freeze_daemon(self, event, busy):
        daemon = self._daemon(event)
        if not daemon.running():
            return NOT_RUNNING
        self._freeze(event, daemon.process.pid)
        return self._words(busy)

    def _freeze(self, event, pid):
        os.kill(pid, signal.SIGSTOP)
        self._frozen[event.number] = pid

    def _thaw(self, event):
        pid = self._frozen.pop(event.number, None)
        if pid is not None:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def _hit_init(self, event, busy):
        if not busy:
            return "nothing: no container was running"
        container = sorted(busy, key=busy.get)[int(event.choice * len(busy))]
        kind, task, attempt, pid = busy[container]
        try:
            if container not in pathlib.Path(f"/proc/{pid}/cgroup").read_text():
                raise ProcessLookupError  # by now the number is another process's
            if event.fault == "init-kill":
                os.kill(pid, signal.SIGKILL)
            else:
                self._freeze(event, pid)
        except (ProcessLookupError, FileNotFoundError):
            return f"nothing: {kind} {task}-{attempt} had just ended"
        return f"{kind} {task}-{attempt}"

    def _stop_database(self, event, busy):
        pid = self.farm.postmaster()
        if pid is None:
            return NOT_RUNNING
        os.kill(pid, signal.SIGQUIT)
        return self._words(busy)

    def _set_gate(self, event, busy):
        self.farm.gate_of(self._number(event)).set(GATE_MODES[event.fault])
        return self._words(busy)

    def _open_gate(self, event):
        self.farm.gate_of(self._number(event)).set("open")

    def _filler(self, event):
        part = "controller" if event.target == "controller-disk" else f"agent-{self._number(event)}"
        return self.farm.folder / part / "filler"

    def _fill(self, event, busy):
        path = self._filler(event)
        free = os.statvfs(path.parent)
        size = free.f_bavail * free.f_frsize
        with open(path, "wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            except OSError:
                pass  # somebody else took some of it in the meantime
        return f"{size >> 20} MiB taken; {self._words(busy)}"

    def _free(self, event):
        self._filler(event).unlink(missing_ok=True)

    def _stop_engine(self, event, busy):
        return self._words(busy) if engine(event.fault.removeprefix("engine-")) else NOT_RUNNING

    def _start_engine(self, event):
        engine("start")
        # It lives in a container of the same Engine; its address and what it saw stay.
        self.farm.run_standin()


def engine(what):
    """stop, kill or start the suite's own dockerd. False: there was none to be killed."""
    script = str(REPOSITORY / "deploy/lib/engine.sh")
    if what == "kill":
        try:
            pid = int((pathlib.Path(os.environ["SLIPWAY_STATE"]) / "engine/dockerd.pid").read_text())
            if pathlib.Path(f"/proc/{pid}/comm").read_text() != "dockerd\n":
                return False
            os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True
    done = subprocess.run([script, "up" if what == "start" else "down"], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise OSError(f"the Engine does not {what}: {done.stderr}")
    return True


# --- Planted bugs: the suite must notice ----------------------------------------------------------

PLANTS = {"rot-log": "the controller's disk changes bytes of the newest log at each kill -9, though they were synced"}


def rot_log(logs):
    """Flips the last bytes of the newest segment file below `logs`."""
    segments = [path for path in logs.rglob("*") if re.fullmatch(r"\d{6}", path.name) and path.stat().st_size > 0]
    if segments:
        newest = max(segments, key=lambda path: path.stat().st_mtime)
        whole = newest.read_bytes()
        newest.write_bytes(whole[:-8] + bytes(byte ^ 1 for byte in whole[-8:]))
