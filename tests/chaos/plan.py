"""What happens when in a chaos run: drawn from a seed alone, so that the same seed gives the same plan.

A longer run's plan begins with the shorter one's: events are drawn one after the other, and no draw
looks at the end. Reads no clock, touches nothing.
"""

import dataclasses
import random


@dataclasses.dataclass(frozen=True)
class Kind:
    """One sort of fault. `part`: what it takes hold of; two faults never hold the same part at once.
    `each`: every agent has such a part. `shortest`, `longest`: seconds until it ends."""
    part: str
    each: bool
    weight: int
    shortest: float
    longest: float
    what: str


FAULTS = {
    "agent-kill": Kind("agent", True, 4, 0.2, 4, "kill -9 of an agent, started again at the end"),
    "agent-freeze": Kind("agent", True, 3, 0.5, 8, "SIGSTOP of an agent, SIGCONT at the end"),
    "controller-kill": Kind("controller", False, 4, 0.2, 4, "kill -9 of the controller, started again at the end"),
    "controller-freeze": Kind("controller", False, 3, 0.5, 8, "SIGSTOP of the controller, SIGCONT at the end"),
    "init-kill": Kind("init", False, 2, 0, 0, "kill -9 of one container's slipway-init"),
    "init-freeze": Kind("init", False, 3, 0.5, 6, "SIGSTOP of one container's slipway-init, SIGCONT at the end"),
    "database-stop": Kind("database", False, 2, 0, 0, "immediate stop of PostgreSQL"),
    "net-cut": Kind("net", True, 3, 0.2, 6, "every connection of an agent reset, new ones refused"),
    "net-slow": Kind("net", True, 2, 1, 8, "an agent's bytes pass slowly and late"),
    "net-half-open": Kind("net", True, 2, 1, 20, "connections stay, new ones are accepted, no byte passes"),
    "net-split-up": Kind("net", True, 2, 1, 12, "no byte from an agent to the controller"),
    "net-split-down": Kind("net", True, 2, 1, 12, "no byte from the controller to an agent"),
    "disk-agent": Kind("disk", True, 2, 1, 5, "an agent's file system is full"),
    "disk-controller": Kind("controller-disk", False, 1, 1, 4, "the controller's and PostgreSQL's file system is full"),
    "engine-stop": Kind("engine", False, 2, 0.5, 3, "dockerd ends, started again at the end"),
    "engine-kill": Kind("engine", False, 2, 0.5, 3, "kill -9 of dockerd, started again at the end"),
}
# These hit everybody on the machine, unless the engine is the suite's own.
ENGINE_FAULTS = ("engine-stop", "engine-kill")

FIRST = 3.0  # seconds in which the first builds begin
SHORTEST_GAP, LONGEST_GAP = 0.5, 5.0


@dataclasses.dataclass(frozen=True)
class Event:
    number: int
    at: float  # seconds since the beginning
    fault: str
    target: str  # a part's name: agent-1, net-2, controller, …
    seconds: float
    choice: float  # in [0, 1): which of several, where that shows only when it happens

    def __str__(self):
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.number:3}  {self.at:6.1f} s  {self.fault} {self.target}{lasting}"


def make_plan(seed, seconds, agents, faults):
    """The events of a run, in order. REQUIRES: `faults` are keys of FAULTS."""
    draw = random.Random(f"slipway chaos {seed}")
    kinds = sorted(faults)
    weights = [FAULTS[name].weight for name in kinds]
    held_until = {}
    events = []
    at = FIRST
    while kinds and at < seconds:
        name = draw.choices(kinds, weights)[0]
        kind = FAULTS[name]
        target = f"{kind.part}-{draw.randint(1, agents)}" if kind.each else kind.part
        # Mostly short: long ones hide what the next ones would do.
        lasting = round(kind.shortest + (kind.longest - kind.shortest) * draw.random() ** 2, 1)
        choice = draw.random()
        if held_until.get(target, 0) <= at:
            held_until[target] = at + lasting + 0.5
            events.append(Event(len(events) + 1, round(at, 1), name, target, lasting, choice))
        at += draw.uniform(SHORTEST_GAP, LONGEST_GAP)
    return events
