"""A product that the farm has never seen, against a bare gRPC stream of as many bytes."""

import statistics
import subprocess

from figure import MB, SIZES, CannotMeasure
from repositories import import_commits, yaml
from task_times import detail_of, step_of

FILES = 8


def measure(farm, bench, finish, rounds, say):
    """Pairs of MB/s: the archive step of such a build, which hashes, sends and has all of it durable at the
    controller, and `bench` (stream_bench). `finish`: waits for a run and gives its build."""
    size = SIZES["upload"]
    # Random, so that nothing is known and nothing shrinks.
    script = f"mkdir out; for i in {' '.join(map(str, range(FILES)))}; do head -c {size // FILES} /dev/urandom >out/$i; done"
    import_commits(farm.application("upload"), [[("slipway.yaml", yaml(script).encode())]])
    found = []
    for number in range(rounds + 1):
        # Before and after, because the load of a shared machine changes.
        before = bare(bench, size)
        task = finish(farm, farm.submit("upload", "demo")[0])
        stream = statistics.mean((before, bare(bench, size)))
        begin, end = step_of(task, "archive")
        detail = detail_of(task, "archive")
        speed = size / MB / (end - begin)
        say(f"upload: {speed:.0f} MB/s, bare stream {stream:.0f} MB/s: {detail}")
        if f" sent {FILES} blobs" not in detail:
            raise CannotMeasure(f"not all of the product was sent: {detail}")
        if number > 0:
            found.append((speed, stream))
    return found


def bare(bench, size):
    try:
        return float(subprocess.check_output([bench, str(size)], text=True, timeout=300))
    except OSError as problem:
        raise CannotMeasure(f"{bench}: {problem}") from problem
