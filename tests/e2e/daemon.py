"""A program of a farm, for the end-to-end tests."""

import os
import pathlib
import signal
import subprocess


class Daemon:
    """A program of the farm: started, stopped, killed, started again."""

    def __init__(self, name, command, log):
        self.name, self.command, self.log = name, command, log
        self.process = None

    def start(self, **environment):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, cwd="/",
                                            env=dict(os.environ, **environment))

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self, seconds=40, number=signal.SIGTERM):
        """The exit status; None when it had to be killed."""
        if self.process is None:
            return 0
        if self.running():
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill9()
            return None

    def tail(self, lines=12):
        try:
            text = pathlib.Path(self.log).read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
