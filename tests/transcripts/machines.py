"""Machines for stories about machines: Docker Engines of their own, a small disk, a registry, a clock
that is off. Only in a network and mount namespace of their own (tests/transcripts/record).
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

from farm import Failed, until

REGISTRY = "registry.example.org"
# Stands for a machine whose clock nobody keeps: what the program takes for the time of day is ahead.
CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec* now) {
  int (*real)(clockid_t, struct timespec*) = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const int result = real(id, now);
  if (result == 0 && id == CLOCK_REALTIME) now->tv_sec += atoi(getenv("CLOCK_AHEAD"));
  return result;
}
"""


def shell(command):
    done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Failed(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


class Engine:
    """A dockerd of its own, as it runs on one machine. `socket` is where it is found."""

    def __init__(self, name, folder, root):
        self.name, self.folder, self.root = name, folder, root
        self.socket = folder / f"{name}.sock"
        self.pid_file = folder / f"{name}.dockerd.pid"
        self.process = None

    def start(self):
        self.pid_file.unlink(missing_ok=True)
        with open(self.folder / f"{self.name}.dockerd.log", "ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "-H", f"unix://{self.socket}", "--data-root", str(self.root), "--exec-root",
                 str(self.folder / f"{self.name}.exec"), "--pidfile", str(self.pid_file), "--bridge=none",
                 "--iptables=false", "--insecure-registry", REGISTRY],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until(f"the Engine of {self.name}", self.answers, 60)

    def answers(self):
        return subprocess.run(["curl", "-sf", "--max-time", "3", "--unix-socket", str(self.socket), "http://engine/_ping"],
                              capture_output=True).stdout == b"OK"

    def stop(self):
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(60)

    def docker(self, *arguments):
        return shell(f"docker -H unix://{self.socket} " + " ".join(map(str, arguments)))

    def make_image(self, name, mebibytes):
        """An image that can build, of about that size."""
        context = self.folder / "context"
        context.mkdir()
        (context / "content").write_bytes(os.urandom(mebibytes << 20))
        (context / "Dockerfile").write_text("FROM slipway-test-min:1\nCOPY content /content\n")
        self.docker("build", "-q", "-t", name, context)
        shutil.rmtree(context)


class Machines:
    """`with Machines(folder) as machines:` has two Engines, `big` and `small`, the second with its disk of
    2 GiB at `small_disk`, and the registry REGISTRY, which holds node:20 and tools:3."""

    def __init__(self, folder):
        self.folder = folder / "machines"
        self.folder.mkdir()
        self.small_disk = self.folder / "disk"
        self.small_disk.mkdir()
        self.big = Engine("mill-1", self.folder, self.folder / "docker")
        self.small = Engine("mill-2", self.folder, self.small_disk / "docker")
        self.registry = None
        self.clock = self.folder / "clock.so"

    def __enter__(self):
        try:
            self.set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def set_up(self):
        names = self.folder / "hosts"
        names.write_text(f"127.0.0.1 localhost {REGISTRY}\n")
        shell(f"mount --bind {names} /etc/hosts")
        image = self.folder / "disk.img"
        shell(f"truncate -s 2G {image}; mkfs.ext4 -q -m 0 {image}; mount -o loop {image} {self.small_disk}")
        minimal = self.folder / "minimal.tar"
        shell(f"docker save -o {minimal} slipway-test-min:1")
        for engine in (self.big, self.small):
            engine.start()
            engine.docker("load", "-q", "-i", minimal)
        config = self.folder / "registry.yaml"
        config.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {self.folder}/registry}}}}\n"
                          "http: {addr: 127.0.0.1:80}\n")
        self.registry = subprocess.Popen(["docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL,
                                         stdout=open(self.folder / "registry.log", "wb"), stderr=subprocess.STDOUT)
        until("the registry", lambda: subprocess.run(["curl", "-sf", f"http://{REGISTRY}/v2/"], capture_output=True).returncode == 0)
        for name, mebibytes in ((f"{REGISTRY}/node:20", 150), (f"{REGISTRY}/tools:3", 250)):
            self.big.make_image(name, mebibytes)
            self.big.docker("push", "-q", name)
            self.big.docker("rmi", name)
        source = self.folder / "clock.c"
        source.write_text(CLOCK)
        shell(f"cc -shared -fPIC -o {self.clock} {source} -ldl")

    def __exit__(self, *_):
        for engine in (self.big, self.small):
            if engine.process is not None and engine.process.poll() is None:
                with contextlib.suppress(Failed):
                    os.kill(engine.process.pid, signal.SIGCONT)
                    shell(f"docker -H unix://{engine.socket} ps -aq | xargs -r docker -H unix://{engine.socket} rm -f")
            engine.stop()
        if self.registry is not None:
            self.registry.kill()
            self.registry.wait()
        subprocess.call(["umount", "-l", str(self.small_disk)], stderr=subprocess.DEVNULL)
        subprocess.call(["umount", "/etc/hosts"], stderr=subprocess.DEVNULL)

    def fill(self, free_mebibytes, name):
        """Somebody's file that leaves so much on the small disk; returns the command."""
        free = shutil.disk_usage(self.small_disk).free
        return f"fallocate -l {free // (1 << 20) - free_mebibytes}M {self.small_disk / name}"
