"""Processor time of what carries a log: of Slipway's parts and of the Docker Engine's."""

import os
import pathlib
import socket
import struct
import subprocess
import threading

TICKS = os.sysconf("SC_CLK_TCK")
DOCKER_SOCKET = "/var/run/docker.sock"


def seconds_of_process(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run_counted(command, **options):
    """Runs it to its end; the seconds of processor time of it and of what it waited for. Raises CalledProcessError."""
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime


def engine_processes():
    """dockerd, which is asked who it is, and its containerd."""
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect(DOCKER_SOCKET)
        pid = struct.unpack("3i", engine.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    children = " ".join(file.read_text() for file in pathlib.Path(f"/proc/{pid}/task").glob("*/children"))
    return [pid, *map(int, children.split())]


class ProcessWatch:
    """The processor time of all processes of a name while it is open, as far as it could be seen before they ended."""

    def __init__(self, name):
        self.name = name[:15] + "\n"  # as the kernel keeps it
        self.seconds = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _all(self):
        found = {}
        for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
            try:
                if comm.read_text() == self.name:
                    pid = int(comm.parent.name)
                    found[pid] = seconds_of_process(pid)
            except OSError:
                continue  # it has ended
        return found

    def _watch(self):
        seen = dict(self.before)
        while not self.over.wait(0.25):
            seen |= self._all()
        seen |= self._all()
        self.seconds = sum(seconds - self.before.get(pid, 0.0) for pid, seconds in seen.items())

    def __enter__(self):
        self.before = self._all()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
