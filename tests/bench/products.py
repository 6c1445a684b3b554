"""What products cost beside their scripts: one of which a hundredth has changed, the next one of an application with
build caches, and three platforms from one commit."""

import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

import starts
from farm import REPOSITORY, tree_of
from figure import MB, SIZES, CannotMeasure
from repositories import import_commits, noise, yaml
from task_times import detail_of, seconds_of, step_of

FILE_BYTES = 8000
PROJECT = REPOSITORY / "deploy/demo/tea-timer"
UNI_IMAGE = "slipway-builder-uni:1"


def page(number, content):
    return f"site/{number % 10}/{number % 100}/page-{number}.js", noise(content, FILE_BYTES)


def archived(farm, app, sent):
    """Seconds of the archive step, which hashes, sends and has all durable; `sent` blobs went."""
    run, _ = farm.submit(app, "demo")
    farm.slipway("follow", run)  # nobody polls while it is measured
    (task,) = farm.finish(run)
    detail = detail_of(task, "archive")
    if f" sent {sent} blob" not in detail:
        raise CannotMeasure(f"not what was to be sent, {sent} blobs: {detail}")
    begin, end = step_of(task, "archive")
    return end - begin


def changed(farm, rounds, say):
    """Pairs of seconds: the product with a hundredth of its files changed, and the whole one that nobody has seen."""
    app, count = farm.application("changed"), SIZES["pages"]
    found = []
    for number in range(rounds + 1):
        import_commits(app, [[page(i, f"{number} {i}") for i in range(count)] + [("slipway.yaml", yaml("true", output="site").encode())]])
        whole = archived(farm, "changed", count)
        import_commits(app, [[page(i, f"{number} {i} changed") for i in range(0, count, 100)]])
        part = archived(farm, "changed", count // 100)
        say(f"changed: {part * 1000:.0f} ms, the whole {count * FILE_BYTES // MB} MB {whole * 1000:.0f} ms")
        if number > 0:
            found.append((part, whole))
    return found


# What a build without its caches would have to make: 2,000 files.
MODULES = ("if [ -d node_modules ]; then echo found; else mkdir node_modules; cd node_modules; "
           "for i in $(seq 2000); do echo $i >$i; done; cd ..; fi; echo word >$npm_config_cache/word; mkdir out; cp word out/")


def cached(farm, rounds, say):
    """Seconds from submit to the product but for the script, one for each build: a commit nobody has built, in a container
    that waits, with the caches that the build before it left."""
    app, count, found = farm.application("cached"), SIZES["warm"], []
    caches = "caches:\n  npm: true\n  modules: {path: node_modules, key: [package-lock.json]}\n"
    import_commits(app, [[("slipway.yaml", (yaml(MODULES) + caches).encode()), ("package-lock.json", b"{}\n"), ("word", b"0\n")]])
    farm.slipway("follow", farm.submit("cached", "demo")[0])
    for number in range(rounds + 1):
        times = []
        for i in range(count):
            import_commits(app, [[("word", f"{number} {i}\n".encode())]])
            time.sleep(0.5)  # a container is made behind each build
            run, _ = farm.submit("cached", "demo")
            farm.slipway("follow", run)
            (task,) = farm.finish(run)
            log = farm.log(task["id"]).decode(errors="replace")
            if "found" not in log.split() or "warm container" not in detail_of(task, "prepare"):
                raise CannotMeasure(f"no cache, or no container that waited: {detail_of(task, 'prepare')}\n{log[-500:]}")
            begin, end = step_of(task, "script")
            times.append(seconds_of(task["finished_at"]) - seconds_of(task["created_at"]) - (end - begin))
        say(f"cached: all but the script p50 {statistics.median(times) * 1000:.0f} ms, most {max(times) * 1000:.0f} ms")
        if number > 0:
            found.append(statistics.median(times))
    return found


def cpu_of(log):
    """Seconds that the script's processes took, as the shell's `times` says in its last two lines."""
    lines = re.findall(r"^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$", log, re.M)
    if len(lines) != 2:
        raise CannotMeasure(f"the script did not say what it took:\n{log[-500:]}")
    return sum(60 * int(minutes) + float(seconds) for line in lines for minutes, seconds in (line[:2], line[2:]))


def bare(farm, files, targets):
    """Seconds that the same scripts take when `docker run` starts them at once."""
    running = []
    with tempfile.TemporaryDirectory(dir=farm.folder) as folder:
        os.chmod(folder, 0o755)
        for name in targets:
            for path, content in files.items():
                file = pathlib.Path(folder, name, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content if isinstance(content, bytes) else content.encode())
        subprocess.run(["chown", "-R", "1000:1000", folder], check=True)
        started = time.monotonic()
        for name, target in targets.items():
            running.append(subprocess.Popen(
                ["docker", "run", "--rm", "--network", "none", "--label", "io.slipway.role=test", "--user", "1000:1000", "--workdir", "/workspace",
                 "--env", "HOME=/tmp", "--env", "NO_COLOR=1", "--env", f"SLIPWAY_PLATFORM={name}", "--env", f"UNI_TARGET={target}",
                 "--volume", f"{folder}/{name}:/workspace", UNI_IMAGE, "sh", "-e", "scripts/build.sh"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT))
        if any(process.wait(600) for process in running):
            raise CannotMeasure("a script failed with docker run")
        return time.monotonic() - started


def platforms(farm, rounds, say):
    """Rounds of {name: seconds}: all three platforms of the demonstration from submit to the last product, half of
    the processor time of their scripts, and these scripts alone with `docker run`."""
    files = {name: content for name, content in tree_of(PROJECT).items() if not name.startswith(("node_modules/", "dist/"))}
    text = files["slipway.yaml"]
    text = text.decode() if isinstance(text, bytes) else text
    text = re.sub(r"^    (credential|publish): .*\n", "", text, flags=re.M)
    text = text.replace("  script: scripts/build.sh\n", "  run: sh -e scripts/build.sh && times\n")
    app = farm.application("platforms")
    app.commit({**files, "slipway.yaml": text})
    targets = dict(re.findall(r"^  (\w+):\n    app_id(?:.*\n)*?    env: \{UNI_TARGET: ([\w-]+)", text, re.M))
    other = farm.add_agent("second")
    farm.wait_agents()
    found = []
    try:
        for number in range(rounds + 1):
            run, _ = farm.submit("platforms", ",".join(targets))
            farm.slipway("follow", run)  # nobody polls while it is measured
            tasks = farm.finish(run)
            if any(task["state"] != "TASK_STATE_SUCCEEDED" for task in tasks) or len({task["agent"] for task in tasks}) != 2:
                raise CannotMeasure(f"{[(task['platform'], task['state'], task['agent']) for task in tasks]}")
            wall = max(seconds_of(task["finished_at"]) for task in tasks) - min(seconds_of(task["created_at"]) for task in tasks)
            cpu = sum(cpu_of(farm.log(task["id"]).decode(errors="replace")) for task in tasks)
            docker = bare(farm, files, targets)
            say(f"platforms: {wall:.1f} s, their scripts took {cpu:.1f} s of processors; with docker run {docker:.1f} s")
            if number > 0:
                found.append({"wall": wall, "half": cpu / 2, "docker": docker})
    finally:
        other.stop()
        farm.agents.remove(other)
    return found


def figure_hot(farm, rounds, say, figure):
    found = starts.hot(farm, rounds, say)
    yield figure("hot_p50", "a version packaged again and again: submit → product at a follower, p50", "", 20).number(
        statistics.median(one["p50"] for one in found) * 1000, "ms", least=False)
    yield figure("hot", "the same, p50", "the same, built", None).ratio([(one["p50"], one["built"]) for one in found], faster=False)


def figure_changed(farm, rounds, say, figure):
    count = SIZES["pages"]
    yield figure("changed", f"a product of {count:,} files, {count * FILE_BYTES // MB} MB, a hundredth of them changed: manifest, hashes, upload",
                 "the whole of it, never seen", 0.25).ratio(changed(farm, rounds, say), faster=False)


def figure_cached(farm, rounds, say, figure):
    yield figure("cached", "the next build with its caches, of a new commit, in a warm container: all but the script, p50", "", 150).number(
        statistics.median(cached(farm, rounds, say)) * 1000, "ms", least=False)


def figure_platforms(farm, rounds, say, figure):
    found = platforms(farm, rounds, say)
    yield figure("platforms", "three platforms of one uni-app project on two agents, submit → last product",
                 "half of their scripts' processor time", 1.1).ratio([(one["wall"], one["half"]) for one in found], faster=False)
    yield figure("platforms_docker", "the same", "`docker run` of the three at once, of trees that lie there", None).ratio(
        [(one["wall"], one["docker"]) for one in found], faster=False)


FIGURES = {"hot": figure_hot, "changed": figure_changed, "cached": figure_cached, "platforms": figure_platforms}
