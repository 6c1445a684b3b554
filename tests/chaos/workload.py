"""What the farm is busy with during a chaos run: builds whose every byte of output is known, failing
ones, ones that are cancelled, and publishes to the stand-in and previews there. Submitters are persistent: they ask again,
with the same request id, until the controller has answered."""

import dataclasses
import hashlib
import json
import random
import subprocess
import threading
import time

from farm import WEIXIN, lab

POLL_SECONDS = 0.8
CALL_SECONDS = 20
CANCEL_AGAIN_SECONDS = 3
TARGETS = ("weixin", "second")  # of the farm
# Publishes that may wait at once: while one's outcome is unknown, others to its target wait with it, for minutes
# when the controller is restarted again and again, and the farm is to have work all the time.
PUBLISHES_UNDER_WAY = 2

TICKS = 80
TICKING = f"""i=0
while [ $i -lt {TICKS} ]; do echo "tick $i of the build that goes on"; i=$((i + 1)); sleep 0.05; done
mkdir out; echo ticked >out/product"""
TICKED = b"".join(b"tick %d of the build that goes on\n" % number for number in range(TICKS))

# More than one 4 MiB segment of the controller's log, in bursts.
BLOCK = b"".join(hashlib.sha256(b"line %d" % number).hexdigest().encode() + b"\n" for number in range(4096))
BLOCKS = 20
BULK = f"""i=0
while [ $i -lt {BLOCKS} ]; do cat block.txt; i=$((i + 1)); sleep 0.1; done
mkdir out; echo bulk >out/product"""

FAILING = """i=0
while [ $i -lt 20 ]; do echo "step $i before it breaks"; i=$((i + 1)); sleep 0.05; done
exit 7"""
FAILED = b"".join(b"step %d before it breaks\n" % number for number in range(20))

SLEEPING = """echo "asleep until somebody says so"
sleep 50
mkdir out; echo slept >out/product"""


@dataclasses.dataclass(frozen=True)
class Sort:
    name: str
    weight: int
    script: str
    log: bytes  # all that the script prints
    ends_well: bool
    product: bytes


SORTS = {sort.name: sort for sort in (
    Sort("ticking", 5, TICKING, TICKED, True, b"ticked\n"),
    Sort("bulk", 2, BULK, BLOCK * BLOCKS, True, b"bulk\n"),
    Sort("failing", 2, FAILING, FAILED, False, b""),
    Sort("sleeping", 2, SLEEPING, b"asleep until somebody says so\n", True, b"slept\n"),
    Sort("publish", 2, "", b"", True, b""),
    Sort("preview", 1, "", b"", True, b""),
)}


def accepted(farm, kind):
    """Versions that the stand-in accepted an "upload" of, or made a "preview" of; one entry per time. The platform gives
    previews no version of their own: theirs is in the description."""
    return [one["description" if kind == "preview" else "version"] for one in farm.published() if one["kind"] == kind]


class Workload:
    """`submitters` threads, each with one run at a time, and publishes beside them, until stop(). `record`: a list of
    what was submitted and answered, for the oracle; complete after stop()."""

    def __init__(self, farm, seed, submitters, publish):
        self.farm = farm
        self.record = []
        self.unanswered = []
        self._seed, self._publish = seed, publish
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._deadline = None
        self._publishes = threading.Semaphore(PUBLISHES_UNDER_WAY)
        self._threads = [threading.Thread(target=self._submit_all, args=(number,), name=f"submitter-{number}", daemon=True)
                         for number in range(submitters)]

    def prepare(self):
        """Repositories and applications, while nothing is broken yet."""
        app = self.farm.application("lab")
        for sort in SORTS.values():
            if sort.script:
                files = {"slipway.yaml": lab(sort.script, quiet="60s")}
                if sort.name == "bulk":
                    files["block.txt"] = BLOCK
                app.commit(files, sort.name)
        if self._publish:
            self.farm.application("shop").commit(self.farm.shop("shop"))

    def start(self):
        for thread in list(self._threads):
            thread.start()

    def stop(self, seconds):
        """No new submits; returns when every submitted run has ended, at the latest after `seconds`.
        Those that have not ended are the oracle's business."""
        self._deadline = time.monotonic() + seconds
        self._stop.set()
        # Submitters first: from then on there is no new publish.
        for thread in self._threads:
            thread.join(max(0.0, self._deadline - time.monotonic()) + CALL_SECONDS + 5)
            if thread.is_alive():
                self.unanswered.append(f"{thread.name} still waits for an answer")

    def abandon(self):
        """No call begins any more; nobody waits for those under way."""
        self._deadline = time.monotonic()
        self._stop.set()

    # --- One submitter ---

    def _submit_all(self, number):
        draw = random.Random(f"slipway workload {self._seed} {number}")
        names = [name for name, sort in SORTS.items() if self._publish or sort.script]
        count = 0
        while not self._stop.is_set():
            count += 1
            sort = SORTS[draw.choices(names, [SORTS[name].weight for name in names])[0]]
            cancel_after = draw.uniform(0.5, 4) if sort.name == "sleeping" else None
            target = draw.choice(TARGETS)
            request, version = f"chaos-{self._seed}-{number}-{count}", f"{number + 1}.{count}.0"
            if sort.name != "publish":
                self._one(sort, request, version, target, cancel_after)
            elif self._publishes.acquire(blocking=False):
                publish = threading.Thread(target=self._publish_one, args=(sort, request, version, target), name=request, daemon=True)
                # Appended before its submitter can end, so that stop() waits for it.
                self._threads.append(publish)
                publish.start()
            self._pause(draw.uniform(0, 0.5))

    def _publish_one(self, sort, request, version, target):
        try:
            self._one(sort, request, version, target, None)
        finally:
            self._publishes.release()

    def _one(self, sort, request, version, target, cancel_after):
        entry = {"request": request, "sort": sort.name, "version": version, "run": "", "tasks": [], "cancelled": False}
        with self._lock:
            self.record.append(entry)
        if sort.script:
            arguments = ("submit", "--app", "lab", "--platform", "demo", "--ref", sort.name)
        else:
            arguments = ("submit", "--app", "shop", "--platform", WEIXIN, f"--{sort.name}", "--target", target)
        answer = self._insist(*arguments, "--version", version, "--description", version, "--request-id", request)
        if answer is None:
            self.unanswered.append(f"submit {request}")
            return
        entry["run"] = answer["run"]
        entry["tasks"] = [task["id"] for task in answer["tasks"]]
        began = time.monotonic()
        while not self._late():
            tasks = self._ask("tasks", "--run", entry["run"])
            states = [task["state"] for task in tasks["tasks"]] if tasks else ["TASK_STATE_QUEUED"]
            if all(state in ENDED for state in states):
                if "TASK_STATE_UNKNOWN" in states and sort.name == "publish":
                    self._resolve(entry["tasks"][1], version)
                return
            begun = "TASK_STATE_RUNNING" in states or entry["cancelled"]
            if cancel_after is not None and begun and time.monotonic() - began > cancel_after:
                # Said before it is asked: when the answer is lost, the request may have been stored.
                entry["cancelled"] = True
                self._ask("cancel", entry["tasks"][0])
                cancel_after += CANCEL_AGAIN_SECONDS
            self._pause(POLL_SECONDS)

    def _resolve(self, task, version):
        """Says what the platform has: until somebody does, no other publish goes there."""
        while not self._late():
            there = version in accepted(self.farm, "upload")
            self._ask("releases", "resolve", task, "--published" if there else "--not-published", "--reason", "looked it up")
            now = self._ask("tasks", "show", task)
            if now and now["state"] != "TASK_STATE_UNKNOWN":
                return
            self._pause(2)

    def _late(self):
        return self._deadline is not None and time.monotonic() > self._deadline

    def _pause(self, seconds):
        # Not on the event: after stop() the last runs are still polled.
        time.sleep(seconds)

    def _insist(self, *arguments):
        while not self._late():
            answer = self._ask(*arguments)
            if answer is not None:
                return answer
            self._pause(0.5)
        return None

    def _ask(self, *arguments):
        """The answer, or None when there was none."""
        try:
            done = self.farm.slipway("--json", *arguments, check=False, timeout=CALL_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None


ENDED = {f"TASK_STATE_{state}" for state in ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED", "UNKNOWN")}
