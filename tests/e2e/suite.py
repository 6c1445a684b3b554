"""Claims, cases and their report, for the end-to-end tests."""

import os
import re
import signal
import subprocess
import sys
import time
import traceback

class Failed(Exception):
    """A claim that does not hold."""


def expect(claim, *facts):
    """Fails the case unless `claim` is true; `facts` are printed."""
    if not claim:
        caller = traceback.extract_stack()[-2]
        raise Failed(f"line {caller.lineno}: {caller.line}\n" + "\n".join(str(f) for f in facts))


def expect_in(part, whole):
    if part not in whole:
        caller = traceback.extract_stack()[-2]
        raise Failed(f"line {caller.lineno}: {part!r} is not in\n{whole}")


def until(what, condition, seconds=30.0):
    """Waits for condition() to be true and returns its value; a described failure when it is not."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failed(f"after {seconds} s still waiting for: {what}")
        time.sleep(0.05)


class Suite:
    """The cases of one script, in the order of their definition."""

    def __init__(self):
        self.cases = []
        self.more_farms = []  # that cases have started, closed at the end with the suite's own

    def case(self, title):
        def add(function):
            self.cases.append((title, function))
            return function
        return add

    def run(self, make_farm):
        """Runs all cases over one farm; exits with the script's status."""
        wanted = sys.argv[1] if len(sys.argv) > 1 else ""
        passed = failed = 0

        def report(title, problem, seconds, farm=None):
            nonlocal passed, failed
            if problem is None:
                passed += 1
                print(f"ok - {title} ({seconds:.1f} s)", flush=True)
                return
            failed += 1
            print(f"not ok - {title} ({seconds:.1f} s)", flush=True)
            print("".join(f"    {line}\n" for line in str(problem).rstrip().split("\n")), end="")
            if farm is not None:
                print(farm.evidence(), end="", flush=True)

        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(143))
        begin = time.monotonic()
        farm = None
        try:
            farm = make_farm()
            farm.start()
            for title, function in self.cases:
                if not re.search(wanted, title):
                    continue
                started = time.monotonic()
                problem = None
                try:
                    function(farm)
                except Failed as failure:
                    problem = failure
                except (subprocess.SubprocessError, OSError, KeyError, IndexError, ValueError):
                    problem = traceback.format_exc()
                report(title, problem, time.monotonic() - started, farm)
                farm.recover()
        except Failed as failure:
            report("the farm starts", failure, time.monotonic() - begin, farm)
        finally:
            if farm is not None:
                started = time.monotonic()
                left = [line for one in (farm, *self.more_farms)
                        for line in one.close(keep=failed > 0 and os.environ.get("SLIPWAY_KEEP"))]
                report("nothing of the farm is left", "\n".join(left) or None,
                       time.monotonic() - started)
        print(f"{passed} passed, {failed} failed")
        sys.exit(1 if failed else 0)
