"""Gathers what the oracle judges, from a farm that is whole and idle again: through the API, the
stand-in's request log, Docker, the database past the controller, and the file system."""

import base64
import datetime
import re
import tempfile

from farm import tree_of
from suite import Failed, until
from workload import accepted

SETTLE_SECONDS = 20


def gather(farm, workload, faults, busy_long_enough):
    """Evidence, see oracle.py; `left` is only what an idle farm keeps. Ends with one more kill -9 of the
    controller, so that what it says is what it stored."""
    tasks = [read_task(task) for task in farm.json("tasks", "--limit", "1000")["tasks"]]
    evidence = {
        "record": workload.record, "unanswered": list(workload.unanswered), "tasks": tasks,
        "runs": [{"id": run, "request": request} for run, request in farm.query("SELECT id, request_id FROM runs")],
        "logs": {task["id"]: farm.slipway("logs", task["id"], text=False, check=False).stdout
                 for task in tasks if task["attempt"] > 0},
        "products": {task["id"]: product_of(farm, task["id"]) for task in tasks
                     if task["kind"] == "build" and task["state"] == "succeeded"},
        "accepted": accepted(farm, "upload"), "previewed": accepted(farm, "preview"),
        "releases": farm.json("archive", "list").get("releases", []),
        "faults": faults, "busy_long_enough": busy_long_enough,
    }
    try:
        until("nothing of ended tasks to be kept", lambda: not farm.litter(), SETTLE_SECONDS)
        evidence["left"] = []
    except Failed:
        evidence["left"] = farm.litter()
    farm.controller.kill9()
    farm.controller.start()
    farm.await_whole(60)
    evidence["again"] = {task["id"]: read_task(task)["state"] for task in farm.json("tasks", "--limit", "1000")["tasks"]}
    evidence["audit"] = [(int(sequence), entry, digest) for sequence, entry, digest in
                         farm.query("SELECT sequence, entry, hash FROM audit ORDER BY sequence")]
    evidence["ended"] = list(farm.ended)
    return evidence


def read_task(task):
    result = task.get("result", {})
    failure, log = result.get("failure", {}), result.get("log", {})
    # Not the result's own: one that no attempt's thread made has none.
    began = seconds_of(task.get("started_at") or task["created_at"])
    return {
        "id": task["id"], "run": task["run"], "kind": task["kind"].removeprefix("TASK_KIND_").lower(),
        "state": task["state"].removeprefix("TASK_STATE_").lower(), "attempt": int(task.get("attempt") or 0),
        "failure_class": failure.get("failure_class", "").removeprefix("FAILURE_CLASS_").lower(),
        "group": (task["application"], task.get("group", "")), "reason": failure.get("reason", ""),
        "message": failure.get("message", ""), "missing": int(log.get("missing") or 0),
        "log_size": int(log["size"]) if "size" in log else None, "release": task.get("release", ""),
        "log_root": base64.b64decode(log["root"]).hex() if log.get("root") else None, "agent": task.get("agent", ""),
        "began": began, "ended": seconds_of(task["finished_at"]) if task.get("finished_at") else float("inf"),
    }


def seconds_of(timestamp):
    """Protobuf's text, which may have nanoseconds."""
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*Z?$|Z$", r"\1+00:00", timestamp)).timestamp()


def product_of(farm, task):
    with tempfile.TemporaryDirectory(dir=farm.folder) as folder:
        done = farm.slipway("archive", "get", task, "--dir", f"{folder}/product", check=False)
        return tree_of(f"{folder}/product") if done.returncode == 0 else {}
