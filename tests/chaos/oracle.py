"""What must hold after a chaos run, whatever happened in it. Evidence is plain data, gathered by
evidence.py when the farm is whole and idle again; each check is a function of it and gives breaches in
words. `judge` runs all of them.

Evidence:
    record      what submitters asked and were answered: {request, sort, version, run, tasks, cancelled}
    unanswered  calls that were never answered
    runs        every stored run: {id, request}
    tasks       every task: {id, run, kind, state, attempt, group, failure_class, reason, message, missing, log_size,
                log_root, release, agent, began, ended}; group: (application, name of the concurrency group), which of a
                publish is its target's; log_root: hex, None: none was reported; began, ended: of the newest
                attempt, seconds since 1970
    again       {task: state} after one more kill -9 of the controller
    logs        {task: bytes as served, of the newest attempt}
    products    {build task: {path: bytes}} of succeeded builds
    accepted    versions that the stand-in accepted an upload of, one entry per upload
    previewed   versions that it made a preview of, one entry per preview
    releases    the farm's releases: {id, version, publish_task}
    audit       rows in order: (sequence, entry, hash)
    ended       programs that ended by themselves: (name, exit status)
    left        what is left of an idle or ended farm, in words
    faults      what the plan brought about: {fault, target, hit, begun, ended}; seconds since 1970
    busy_long_enough  whether a quiet farm would have finished builds
"""

import hashlib
import json

from workload import SORTS

FINAL = {"succeeded", "failed", "canceled", "skipped"}
ENGINE, DISK = {"engine-stop", "engine-kill"}, {"disk-agent"}
# Which faults of the plan may end an attempt of a task that would have ended otherwise, by the reason that it then has.
# None can bring about a reason that is not here. AGENT_LOST is not: no fault lasts as long as a lease.
BECAUSE = {
    "AGENT_FAILED": DISK,
    "CONTAINER_LOST": {"init-kill", "agent-kill"} | ENGINE,
    "CONTAINER_NAME_TAKEN": {"agent-kill"} | ENGINE,
    "CONTAINER_START_FAILED": {"init-kill"} | DISK | ENGINE,
    "CONTAINER_STOPPED": ENGINE,
    "DISK_FLOOR": DISK,
    "DISK_FULL": DISK,
    "ENGINE_CONNECTION_LOST": ENGINE,
    "ENGINE_RESTARTED": ENGINE,
    "ENGINE_TIMEOUT": ENGINE,
    "INIT_NOT_STARTED": {"init-kill", "init-freeze"} | DISK | ENGINE,
    "NO_DOCKER_ENGINE": ENGINE,
    # The stand-in is a container of the same Engine.
    "PLATFORM_UNREACHABLE": ENGINE,
    "PUBLISHER_FAILED": {"init-kill", "init-freeze", "agent-kill"} | DISK | ENGINE,
    # The controller took no product; it was the last of the attempts.
    "STORAGE_FULL": {"disk-controller"},
    "WORKSPACE_FAILED": DISK,
}
# What can hide the end of a publish, so that somebody has to say it.
HIDES = {"init-kill", "init-freeze", "agent-kill", "agent-freeze"} | DISK | ENGINE
# Until a fault that is over shows: an Engine, or an agent, that begins again.
ECHO_SECONDS = 30
SEGMENT = 4 << 20
FARM_LINE = b"slipway: "


def judge(evidence):
    """[(name of the check, breach in words)]; empty: all holds."""
    return [(name, words) for name, check in CHECKS.items() for words in check(evidence)]


# --- Tasks ----------------------------------------------------------------------------------------


def answered(e):
    yield from e["unanswered"]
    for entry in e["record"]:
        if not entry["run"]:
            yield f"{entry['request']} was never answered"


def one_run_per_request(e):
    runs = {}
    for run in e["runs"]:
        runs.setdefault(run["request"], []).append(run["id"])
    asked = {entry["request"]: entry for entry in e["record"]}
    for request, ids in runs.items():
        if request not in asked:
            yield f"run {ids[0]} was asked for by nobody ({request})"
        elif len(ids) > 1 or (asked[request]["run"] and asked[request]["run"] != ids[0]):
            yield f"{request} was answered with {asked[request]['run']}, stored are {', '.join(ids)}"
    for request, entry in asked.items():
        if entry["run"] and request not in runs:
            yield f"{request} was answered with {entry['run']}, which is not stored"


def one_terminal_state(e):
    """Final, or a publish of unknown outcome; entered once; the same after a restart."""
    stored = {task["id"]: task for task in e["tasks"]}
    finished = {}
    for _, text, _ in e["audit"]:
        entry = json.loads(text)
        if entry.get("action") == "finish_task":
            finished.setdefault(entry["subject"], []).append(entry["state"])
    for entry in e["record"]:
        for task in entry["tasks"]:
            if task not in stored:
                yield f"task {task} of {entry['request']} was answered and is not stored"
    # A publish of unknown outcome holds its target, and no other, until somebody resolves it.
    held = {task["group"] for task in stored.values() if task["state"] == "unknown"}
    for task in stored.values():
        name, state = task["id"], task["state"]
        times = finished.get(name, [])
        if state == "unknown" and task["kind"] == "publish":
            if times:
                yield f"{name} is unknown and was finished as {', '.join(times)}"
        elif state == "queued" and task["kind"] == "publish" and task["group"] in held:
            pass
        elif state not in FINAL:
            yield f"{name} never ended: it is {state}"
        elif times != [state]:
            yield f"{name} is {state}, and was finished {len(times)} times: {', '.join(times)}"
        if e["again"].get(name) != state:
            yield f"{name} was {state}, and after a restart {e['again'].get(name, 'gone')}"


def met(e, task, faults):
    """The faults, of these, that can have met the task's newest attempt: at its agent or at all agents, while it ran
    or shortly before. One that takes hold of a container hits only whom it names."""
    for one in e["faults"]:
        part, _, number = one["target"].rpartition("-")
        elsewhere = number.isdigit() and task["agent"] and task["agent"] != f"agent-{number}"
        other = part == "" and one["target"] == "init" and not one["hit"].endswith(f" {task['id']}-{task['attempt']}")
        late = one["begun"] > task["ended"] or one["ended"] + ECHO_SECONDS < task["began"]
        if not (one["hit"].startswith("nothing") or elsewhere or other or late) and one["fault"] in faults:
            yield one


def explained(e, task):
    return any(met(e, task, BECAUSE.get(task["reason"], set())))


def lost_sight_of(e):
    """Publishes whose outcome was unknown for a while, or still is."""
    for _, text, _ in e["audit"]:
        entry = json.loads(text)
        if entry.get("action") == "mark_unknown":
            yield entry["subject"]


def expected_end(e):
    """Every end is what the task does by itself, what was asked for, or what faults explain."""
    sorts = {task: entry for entry in e["record"] for task in entry["tasks"]}
    builds = {task["run"]: task for task in e["tasks"] if task["kind"] == "build"}
    unseen = set(lost_sight_of(e))
    for task in e["tasks"]:
        if task["id"] in unseen and not any(met(e, task, HIDES)):
            yield f"{task['id']}: its outcome was unknown, which no fault explains"
        entry = sorts.get(task["id"])
        if entry is None:
            continue
        name, state, why = task["id"], task["state"], f"{task['failure_class']} {task['reason']}"
        well = SORTS[entry["sort"]].ends_well
        if state == "succeeded" and not well:
            yield f"{name} ({entry['sort']}) succeeded"
        elif state == "failed" and task["reason"] == "PUBLISH_NOT_DONE" and task["id"] in unseen:
            pass  # found so by the workload; what is at the platform is another check's
        elif state == "failed" and (well or task["failure_class"] != "build") and not explained(e, task):
            yield f"{name} ({entry['sort']}) failed with {why}, which no fault explains"
        elif state == "canceled" and not entry["cancelled"]:
            yield f"{name} ({entry['sort']}) was cancelled by nobody"
        elif state == "skipped" and builds.get(task["run"], task)["state"] == "succeeded":
            yield f"{name} was skipped though its build succeeded"


# --- Logs and products ----------------------------------------------------------------------------


def body_of(log):
    """The script's own bytes: behind the farm's first lines, before its last ones."""
    at = 0
    while log.startswith(FARM_LINE, at):
        end = log.find(b"\n", at)
        if end < 0:
            return b""
        at = end + 1
    end = log.find(FARM_LINE, at)
    return log[at:end] if end >= 0 else log[at:]


def root_of(log):
    digests = (hashlib.sha256(log[at:at + SEGMENT]).digest() for at in range(0, len(log), SEGMENT))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def logs_are_what_was_written(e):
    sorts = {task: SORTS[entry["sort"]] for entry in e["record"] for task in entry["tasks"]}
    for task in e["tasks"]:
        sort, name = sorts.get(task["id"]), task["id"]
        if sort is None or task["attempt"] == 0:
            continue
        log = e["logs"].get(name, b"")
        if task["log_size"] is not None and len(log) != task["log_size"] and not task["missing"]:
            yield f"{name}: {len(log)} bytes are served, {task['log_size']} were reported"
        if task["missing"] and not any(met(e, task, {"disk-agent"})):
            yield f"{name}: {task['missing']} bytes of its log are missing, and its agent's disk was not full"
        if task["log_root"] is not None and not task["missing"] and root_of(log) != task["log_root"]:
            yield f"{name}: the log that is served is not what its agent reported"
        if task["kind"] != "build" or not sort.script or task["missing"]:
            continue
        body = body_of(log)
        if task["state"] == "succeeded" or (task["state"] == "failed" and task["failure_class"] == "build"):
            wanted, got = hashlib.sha256(sort.log).hexdigest(), hashlib.sha256(body).hexdigest()
            if wanted != got:
                yield f"{name} ({sort.name}): SHA-256 of its log is {got}, the build wrote {wanted} ({len(body)} of {len(sort.log)} bytes)"
        elif not sort.log.startswith(body):
            yield f"{name} ({sort.name}): its log of {len(body)} bytes is no beginning of what the build wrote"


def products_are_archived(e):
    sorts = {task: SORTS[entry["sort"]] for entry in e["record"] for task in entry["tasks"]}
    for task in e["tasks"]:
        if task["kind"] != "build" or task["state"] != "succeeded":
            continue
        product = e["products"].get(task["id"])
        if not product:
            yield f"{task['id']} succeeded, and its product is not in the archive"
        elif task["id"] in sorts and sorts[task["id"]].product and product != {"product": sorts[task["id"]].product}:
            yield f"{task['id']}: the archive holds {sorted(product)}, other bytes than the build made"


# --- Releases -------------------------------------------------------------------------------------


def published_at_most_once(e):
    """At the stand-in at most once; never there without a record here; never here without being there."""
    released, here = {}, {task["id"]: task for task in e["tasks"]}
    for release in e["releases"]:
        released.setdefault(release["version"], []).append(release)
    publishes = {entry["version"]: here[entry["tasks"][1]] for entry in e["record"]
                 if entry["sort"] == "publish" and len(entry["tasks"]) == 2 and entry["tasks"][1] in here}
    for version in sorted(set(e["accepted"]) | set(released) | set(publishes)):
        there = e["accepted"].count(version)
        if there > 1:
            yield f"version {version} was uploaded {there} times"
        if len(released.get(version, [])) > 1:
            yield f"version {version} has {len(released[version])} releases"
        if released.get(version) and not there:
            yield f"version {version} is released here, and the stand-in never got it"
        publish = publishes.get(version)
        state = publish["state"] if publish else "not stored"
        if there and not released.get(version) and state != "unknown":
            yield f"version {version} is at the stand-in, and its task says {state}"
        if (state == "succeeded") != bool(released.get(version)):
            yield f"version {version}: its task is {state}, and it has {len(released.get(version, []))} releases"


def previews_change_nothing(e):
    """Made again however often: nobody remembers a permit or is in doubt, and nothing of it is public."""
    previews = {task["id"]: task for task in e["tasks"] if task["kind"] == "preview"}
    for _, text, _ in e["audit"]:
        entry = json.loads(text)
        if entry.get("subject") in previews and entry.get("action") in ("grant_permit", "mark_unknown"):
            yield f"preview {entry['subject']} has a row of the audit that only a publish may have: {entry['action']}"
    for release in e["releases"]:
        if release["publish_task"] in previews:
            yield f"preview {release['publish_task']} has release {release['id']}"
    for entry in e["record"]:
        if entry["sort"] != "preview":
            continue
        version = entry["version"]
        if version in e["accepted"]:
            yield f"version {version} was to be previewed, and was uploaded"
        for task in (previews[name] for name in entry["tasks"] if name in previews):
            if task["state"] == "succeeded" and version not in e["previewed"]:
                yield f"{task['id']} succeeded, and the stand-in made no preview of version {version}"
    asked = {entry["version"] for entry in e["record"] if entry["sort"] == "preview"}
    for version in sorted(set(e["previewed"]) - asked):
        yield f"version {version} was previewed, which nobody asked for"


# --- The rest -------------------------------------------------------------------------------------


def audit_is_a_chain(e):
    before, number = "", 0
    for sequence, entry, stored in e["audit"]:
        number += 1
        if sequence != number:
            yield f"the audit goes from row {number - 1} to row {sequence}"
            return
        before = hashlib.sha256(f"{before}\n{entry}".encode()).hexdigest()
        if before != stored:
            yield f"row {sequence} of the audit does not follow from the one before"
            return


def no_program_crashed(e):
    """A program may end with an error, which somebody reads; never by a signal of its own making."""
    for name, status in e["ended"]:
        if status < 0:
            yield f"{name} was ended by signal {-status}, which the plan did not send"
        elif status == 0:
            yield f"{name} ended with 0 though nobody asked it to"


def nothing_is_left(e):
    yield from e["left"]


def something_was_done(e):
    """A run in which nothing was built proves nothing."""
    if e["busy_long_enough"] and not any(task["state"] == "succeeded" for task in e["tasks"]):
        yield "not one task succeeded"


CHECKS = {check.__name__: check for check in (
    answered, one_run_per_request, one_terminal_state, expected_end, logs_are_what_was_written,
    products_are_archived, published_at_most_once, previews_change_nothing, audit_is_a_chain, no_program_crashed,
    nothing_is_left, something_was_done)}
