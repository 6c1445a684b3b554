"""A farm that can be broken: a gate in front of each agent, data directories on small file systems,
and a supervisor that starts again what has ended, as a service manager would."""

import os
import pathlib
import re
import signal
import subprocess
import time

from farm import Farm, docker, processes
from gate import Gate
from suite import Failed, until

AGENT_DISK = "128m"
CONTROLLER_DISK = "1g"
RESTART_PAUSE = 0.5
# Beside `weixin`: a publish of unknown outcome holds one target, the other must go on.
SECOND_TARGET = ("---\n{kind: target, name: second, platform: weixin, image: 'slipway-publisher-weixin:1', proxy: '{proxy}', ca_file: {ca}, "
                 "deadline: 2m}\n")
# The stand-in shows at once what reached it, and what waits for "not published" waits without work.
OPTIONS = "publish_margin: 10s\n"


class ChaosFarm(Farm):
    """`small_disks`: data directories on file systems of their own, which can be filled."""

    def __init__(self, agents, small_disks):
        super().__init__(agents=agents, standin=True, targets=SECOND_TARGET, controller_options=OPTIONS)
        self.small_disks = small_disks
        self.gates = {}
        self.mounts = []
        self.down = set()  # daemons that a fault holds down
        self.ended = []  # (daemon, exit status): those that ended by themselves
        self._restart_at = {}

    def start(self):
        if self.small_disks:
            self._mount(self.folder / "controller", CONTROLLER_DISK, "0711")
        super().start()

    def agent_server(self, name):
        if name not in self.gates:
            self.gates[name] = Gate(self.port)
            self.gates[name].start()
            if self.small_disks:
                self._mount(self.folder / name, AGENT_DISK, "0700")
        return f"127.0.0.1:{self.gates[name].port}"

    def _mount(self, path, size, mode):
        path.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode={mode}", "slipway-chaos", str(path)],
                              capture_output=True, text=True, timeout=10)
        if done.returncode != 0:
            raise Failed(f"cannot mount a small file system (this needs root): {done.stderr}")
        self.mounts.append(path)

    # --- Parts ---

    def daemons(self):
        return [self.controller, *self.agents]

    def agent(self, number):
        return self.agents[number - 1]

    def gate_of(self, number):
        return self.gates[f"agent-{number}"]

    def postmaster(self):
        """The server's process, or None when there is none right now."""
        try:
            pid = self.database()["pid"]
            return pid if str(self.folder) in pathlib.Path(f"/proc/{pid}/cmdline").read_text() else None
        except (OSError, ValueError, IndexError):
            return None

    def busy(self):
        """{container: (kind, task, attempt, pid of its slipway-init)} of those that run; empty when the
        Engine does not answer."""
        try:
            owners = self.owners()
            if not owners:
                return {}
            shown = docker("inspect", "--format", "{{.Id}} {{.State.Pid}}", *owners, check=False)
        except (Failed, subprocess.SubprocessError):
            return {}
        found = {}
        for line in shown.splitlines():
            container, pid = line.split()
            if pid != "0" and container in owners:
                found[container] = (*owners[container], int(pid))
        return found

    def supervise(self):
        """Starts again what ended without a fault that holds it down."""
        now = time.monotonic()
        for daemon in self.daemons():
            if daemon.process is None or daemon.running() or daemon.name in self.down:
                continue
            if daemon.name not in self._restart_at:
                self.ended.append((daemon.name, daemon.process.returncode))
                self._restart_at[daemon.name] = now + RESTART_PAUSE
            elif now >= self._restart_at[daemon.name]:
                del self._restart_at[daemon.name]
                daemon.start()

    def await_whole(self, seconds):
        """Returns when the controller answers and all agents are online, restarting what ends."""
        def whole():
            self.supervise()
            if not all(daemon.running() for daemon in self.daemons()):
                return False
            try:
                listed = self.json("agents").get("agents", [])
            except (Failed, ValueError, subprocess.TimeoutExpired):
                return False
            return sum(1 for one in listed if one.get("online")) >= len(self.agents)
        until("controller and agents to be back", whole, seconds)

    # --- The end ---

    def litter(self):
        """What an idle farm has no more use for, in words. REQUIRES: nothing is queued or running."""
        found = [f"container {container[:12]}" for container in self.containers()]
        for agent in self.agents:
            data = self.folder / agent.name
            for part in ("attempts", "work/run", "work/trash"):
                found += [f"{agent.name} keeps {part}/{entry.name}" for entry in sorted((data / part).glob("*"))]
        for top in ("controller/logs", "controller/blobs", "controller/keys", *(agent.name for agent in self.agents)):
            # Unlike rglob it bears that directories disappear while it walks.
            for folder, below, names in os.walk(self.folder / top):
                below[:] = [name for name in below if name != "mirrors"]
                found += [f"temporary file {pathlib.Path(folder, name).relative_to(self.folder)}" for name in sorted(names)
                          if name.endswith((".part", ".new", ".tmp"))]
        return found

    def close(self, keep=False):
        left = []
        for daemon in self.daemons():
            if daemon is not None and daemon.running():
                daemon.process.send_signal(signal.SIGCONT)
                # An agent would first finish what it builds.
                number = signal.SIGTERM if daemon is self.controller else signal.SIGQUIT
                if daemon.stop(number=number) is None:
                    left.append(f"{daemon.name} did not end on {number.name}")
        for gate in self.gates.values():
            gate.stop()
        left += [f"process {pid}: {line}" for pid, line in processes(str(self.folder)) if "standin" not in line]
        left += self._leftovers_of_the_kernel()
        for path in self.mounts:
            if keep:
                self._copy_out(path)
            subprocess.run(["umount", "-l", str(path)], capture_output=True, timeout=20)
        return left + [line for line in super().close(keep=keep) if not line.startswith("kept ")]

    def _leftovers_of_the_kernel(self):
        found = []
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
            where = line.split()[1]
            if str(self.folder) in where and pathlib.Path(where) not in self.mounts:
                found.append(f"mount {where}")
        for line in pathlib.Path("/proc/net/unix").read_text().splitlines():
            match = re.search(rf"({re.escape(str(self.folder))}\S*)$", line)
            if match:
                found.append(f"socket {match[1]}")
        return sorted(set(found))

    def _copy_out(self, path):
        """For the kept directory: the file system is in memory and ends with its mount."""
        aside = path.with_name(path.name + ".kept")
        subprocess.run(["cp", "-a", str(path), str(aside)], capture_output=True, timeout=120)
