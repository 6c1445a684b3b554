#!/usr/bin/env python3
"""The report of a chaos run: what was done when, what each fault hit, what the oracle says.

    tests/chaos/report.py FILE...   a table of the runs, one line each, from what `run --json` wrote
"""

import collections
import json
import sys


def as_json(run):
    return json.dumps(run, indent=1, ensure_ascii=False)


# Sorts of faults, as columns of the table.
COLUMNS = {
    "kill -9": ("agent-kill", "controller-kill", "init-kill"), "freeze": ("agent-freeze", "controller-freeze", "init-freeze"),
    "PostgreSQL": ("database-stop",), "Engine": ("engine-stop", "engine-kill"),
    "network": ("net-cut", "net-slow", "net-half-open", "net-split-up", "net-split-down"),
    "disk full": ("disk-agent", "disk-controller"),
}


def as_table(runs):
    """Markdown. A fault counts when it met something."""
    lines = ["| seed | " + " | ".join(COLUMNS) + " | tasks | tried again | releases | log | result |",
             "|---" * (len(COLUMNS) + 6) + "|"]
    for run in sorted(runs, key=lambda one: one["seed"]):
        met = collections.Counter(event["fault"] for event in run["events"] if not event["hit"].startswith("nothing"))
        counts = [sum(met[name] for name in names) for names in COLUMNS.values()]
        result = "clean" if not run["breaches"] else ", ".join(sorted({name.replace("_", " ") for name, _ in run["breaches"]}))
        lines.append("| " + " | ".join(map(str, [run["seed"], *counts, len(run["tasks"]), run["retried"], run["releases"],
                                                  f"{run['log_bytes'] / 1e6:.0f} MB", result])) + " |")
    return "\n".join(lines)


def as_text(run):
    """`run`: see tests/chaos/run."""
    lines = [f"chaos: seed {run['seed']}, {run['seconds']:.0f} s, {run['agents']} agents, engine {run['engine']}"
             + (f", planted bug: {run['plant']}" if run["plant"] else "")]
    lines.append("")
    lines.append(f"{'#':>3}  {'begun':>8}  {'ended':>8}  fault")
    for event in run["events"]:
        ended = f"{event['ended']:6.1f} s" if event["ended"] is not None else "       -"
        lines.append(f"{event['number']:3}  {event['begun']:6.1f} s  {ended}  {event['fault']} {event['target']} → {event['hit']}")
    for name, status, at in run["restarts"]:
        lines.append(f"     {at:6.1f} s  {name} ended by itself with status {status} and was started again")
    lines.append("")
    states = collections.Counter(f"{task['kind']} {task['state']}" + (f" ({task['failure_class']} {task['reason']})"
                                 if task["failure_class"] else "") for task in run["tasks"])
    lines.append(f"{len(run['tasks'])} tasks of {run['submitted']} submits, {run['retried']} with more than one attempt, "
                 f"{run['log_bytes']:,} bytes of log; whole again after {run['whole_after']:.1f} s, idle after {run['idle_after']:.1f} s")
    lines += [f"  {count:4}  {name}" for name, count in sorted(states.items())]
    lines.append("")
    for name in run["checks"]:
        breaches = [words for check, words in run["breaches"] if check == name]
        lines.append(f"{'not ok' if breaches else 'ok'} - {name.replace('_', ' ')}")
        lines += [f"    {words}" for words in breaches]
    if run["breaches"]:
        reached = run["events"][-1]["number"] if run["events"] else 0
        lines.append("")
        lines.append(f"Again: {run['again']}")
        lines.append(f"The plan's first {reached} events led here; --events N plays only the first N.")
        if run["kept"]:
            lines.append(f"The farm's directory is kept: {run['kept']}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_table([json.load(open(path)) for path in sys.argv[1:]]))
