"""Plays shell commands on a farm of real programs and writes down what was typed and what came back.

A transcript is Markdown: prose, and blocks of commands with their real output. The commands run in a
folder of their own, as a person's would who has ~/.config/slipway/client.yaml and the programs on PATH;
AGENT.pid and controller.pid there hold the process ids. Nothing of the output is changed or left out.
"""

import os
import pathlib
import subprocess

from farm import REPOSITORY, Failed, program, until

DOCS = REPOSITORY / "docs/operations"
STORIES = {}  # name → title, options of its farm, function


def story(name, title, **options):
    """Makes the function under it the story `name`."""
    def add(function):
        STORIES[name] = (title, options, function)
        return function
    return add


class Recorder:
    """Records one story: `with Recorder("lost-agents", "An agent is away", farm) as story:`."""

    def __init__(self, name, title, farm):
        self.path, self.farm = DOCS / f"{name}.md", farm
        self.lines = [f"# {title}", "", f"Recorded by `tests/transcripts/record {name}` on a farm of its own.", ""]
        self.in_block = False
        self.desk = farm.folder / "desk"
        self.background = {}

    def __enter__(self):
        self.desk.mkdir(exist_ok=True)
        programs = self.desk / "bin"
        programs.mkdir(exist_ok=True)
        for name in ("slipway", "slipway-agent", "slipway-controller"):
            (programs / name).symlink_to(program(name))
        (self.desk / "tests").symlink_to(REPOSITORY / "tests")
        settings = self.desk / ".config/slipway"
        settings.mkdir(parents=True)
        (settings / "client.yaml").write_text(
            f"server: 127.0.0.1:{self.farm.port}\nca: {self.farm.folder}/controller/ca.pem\n"
            f"token_file: {self.farm.folder}/controller/admin.token\n")
        self.environment = {"HOME": str(self.desk), "PATH": f"{programs}:{os.environ['PATH']}", "LANG": "C.UTF-8",
                            "TZ": "UTC", "NO_COLOR": "1", "SLIPWAY_LANG": "en"}
        self.pids()
        return self

    def __exit__(self, kind, *_):
        for process, _ in self.background.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        if kind is None:
            self.block(False)
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text("\n".join(self.lines).rstrip() + "\n")
            print(f"{self.path.relative_to(REPOSITORY)}: {len(self.lines)} lines")

    def pids(self):
        """Notes the process ids anew, after a program was started."""
        for daemon in [self.farm.controller, *self.farm.agents]:
            if daemon is not None and daemon.process is not None:
                (self.desk / f"{daemon.name}.pid").write_text(f"{daemon.process.pid}\n")

    def block(self, wanted):
        if wanted != self.in_block and self.lines[-1]:
            self.lines.append("")
        self.in_block = wanted

    def say(self, text):
        """A paragraph of prose."""
        self.block(False)
        self.lines += [" ".join(text.split()), ""]

    def show(self, command, output):
        self.block(True)
        self.lines.append(f"    $ {command}")
        self.lines += [f"    {line}".rstrip() for line in output.rstrip("\n").splitlines()]

    def run(self, command, status=0, show=True, seconds=400):
        """Runs a line of shell and records it; returns what it printed."""
        done = subprocess.run(["bash", "-c", command], cwd=self.desk, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
        if status is not None and done.returncode != status:
            raise Failed(f"{command}: exit {done.returncode}, expected {status}\n{done.stdout}")
        if show:
            self.show(command, done.stdout + (f"(exit status {status})\n" if status else ""))
        return done.stdout

    def begin(self, command):
        """Starts a line of shell in another terminal; `end` records it."""
        path = self.desk / f"terminal-{len(self.background)}"
        process = subprocess.Popen(["bash", "-c", command], cwd=self.desk, env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=open(path, "wb"), stderr=subprocess.STDOUT)
        self.background[command] = (process, path)
        return path

    def end(self, command, status=0, seconds=300):
        """Waits for what `begin` started and records it with all that it printed."""
        process, path = self.background.pop(command)
        if process.wait(seconds) != status:
            raise Failed(f"{command}: exit {process.returncode}, expected {status}\n{path.read_text()}")
        text = path.read_text()
        self.show(command, text + (f"(exit status {status})\n" if status else ""))
        return text

    def wait(self, what, condition, seconds=60):
        return until(what, condition, seconds)


def run_of(path):
    """The run that a `slipway submit --follow` in another terminal speaks of."""
    text = pathlib.Path(path).read_text()
    return next((word.strip(":,") for word in text.split() if word.startswith("run-")), "")
