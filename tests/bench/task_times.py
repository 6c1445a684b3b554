"""Times of a task, as the controller tells them."""

import datetime
import json

from figure import CannotMeasure


def seconds_of(timestamp):
    """Of a proto timestamp, whose fraction has 0, 3, 6 or 9 digits."""
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    begin = datetime.datetime.fromisoformat(whole + "+00:00").timestamp()
    return begin + (float("0." + fraction) if fraction else 0.0)


def step_of(task, name):
    """(begin, end) of a step, in seconds since 1970."""
    for step in task["steps"]:
        if step["name"] == name:
            return seconds_of(step["started_at"]), seconds_of(step["finished_at"])
    raise CannotMeasure(f"{task['id']} has no step {name}: {json.dumps(task, indent=1)}")


def detail_of(task, name):
    return next(step.get("detail", "") for step in task["steps"] if step["name"] == name)
