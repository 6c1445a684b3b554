"""The figures of tests/bench/run, and the table that it prints."""

import statistics

MB = 1_000_000

# How much is done per round. Smaller ones (--smoke) show that a bench works; their figures mean nothing.
SIZES = {"builds": 5, "warm": 20, "tasks": 20_000, "finished": 1_000_000, "queued": 100_000, "upload": 400 * MB, "buildbot": 40, "applications": 10_000, "grants": 100_000,
         "pages": 10_000, "calls": 2000, "followers": 2000, "buildbot_log": 10 * MB}
SMOKE = {"builds": 2, "warm": 3, "tasks": 300, "finished": 2000, "queued": 500, "upload": 8 * MB, "buildbot": 2, "buildbot_log": MB, "applications": 200,
         "grants": 2000, "pages": 200, "calls": 50, "followers": 60}


class CannotMeasure(Exception):
    pass


def millis(seconds):
    return f"{seconds * 1000:,.{1 if seconds < 0.02 else 0}f} ms"


def spread(values):
    return f"{min(values):.3f} … {max(values):.3f}"


class Figure:
    """`goal`: a number, or None for what is only told. The methods fill in what was measured, in the
    unit that the goal has; `measured` is that of Slipway alone, for comparing two commits."""

    def __init__(self, name, what, against, goal):
        self.name, self.what, self.against, self.goal = name, what, against, goal
        self.ours = self.theirs = self.value = ""
        self.met, self.facts = None, {}
        self.measured, self.more_is_better = None, False

    def ratio(self, rounds, faster):
        """`rounds`: (ours, theirs) in seconds. `faster`: the goal is a least speed-up, else a greatest
        share of the other's time."""
        ours, theirs = (statistics.median(column) for column in zip(*rounds))
        self.ours, self.theirs = millis(ours), millis(theirs)
        self.facts["rounds_ms"] = [[round(o * 1000, 1), round(t * 1000, 1)] for o, t in rounds]
        self.measured = ours
        return self._compared([t / o if faster else o / t for o, t in rounds], faster)

    def rates(self, rounds, unit):
        """`rounds`: (ours, theirs), more is better; the goal is a least multiple of the other's."""
        ours, theirs = (statistics.median(column) for column in zip(*rounds))
        self.ours, self.theirs = f"{ours:,.1f} {unit}", f"{theirs:,.1f} {unit}"
        self.facts["rounds"] = [[round(o, 2), round(t, 2)] for o, t in rounds]
        self.measured, self.more_is_better = ours, True
        return self._compared([o / t for o, t in rounds], faster=True, word="")

    def seconds(self, worst, facts):
        """The goal is an upper bound in seconds, which the worst of all rounds must keep."""
        self.ours = self.value = f"{worst:.2f} s"
        self.measured = worst
        if self.goal is not None:
            self.met, self.goal = worst <= self.goal, f"≤ {self.goal} s"
        self.facts.update(facts)
        return self

    def number(self, value, unit, least):
        """`least`: the goal is a lower bound, else an upper one."""
        self.ours = self.value = f"{value:,.{0 if value >= 100 else 1}f} {unit}"
        self.measured, self.more_is_better = value, least
        if self.goal is not None:
            self.met = value >= self.goal if least else value <= self.goal
            self.goal = f"{'≥' if least else '≤'} {self.goal:,} {unit}"
        self.facts["number"] = round(value, 3)
        return self

    def bytes(self, value):
        self.ours, self.value = f"{value / MB:.1f} MB", f"{value / MB:.1f} MB"
        self.measured = value
        if self.goal is not None:
            self.met, self.goal = value <= self.goal, f"≤ {self.goal / MB:.0f} MB"
        self.facts["bytes"] = int(value)
        return self

    def _compared(self, ratios, faster, word=" faster"):
        ratio = statistics.median(ratios)
        self.value = f"{ratio:.2f} ×{word}" if faster else f"{ratio:.3f} ×"
        if self.goal is not None:
            self.met = ratio >= self.goal if faster else ratio <= self.goal
            self.goal = f"≥ {self.goal} ×{word}" if faster else f"≤ {self.goal:.3g} ×"
        self.facts["ratio"], self.facts["spread"] = round(ratio, 4), spread(ratios)
        return self

    def verdict(self):
        return "" if self.met is None else "met" if self.met else "MISSED"

    def json(self):
        return {"name": self.name, "what": self.what, "against": self.against, "ours": self.ours, "theirs": self.theirs,
                "value": self.value, "goal": self.goal, "met": self.met, "measured": self.measured,
                "more_is_better": self.more_is_better, **self.facts}


def print_table(figures):
    rows = [("figure", "Slipway", "against", "", "result", "goal", "")]
    for f in figures:
        compared = f.theirs != ""
        rows.append((f.what, f.ours, f.against, f.theirs, f.value if compared else "", f.goal or "–", f.verdict()))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
