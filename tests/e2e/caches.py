"""Build caches: the next build of an application finds what the last one left, nobody else does, and
neither kill -9 nor what a script plants in them does harm."""

import re

from farm import Farm, Suite, docker, expect, expect_in, failure_of, lab, until

suite = Suite()
case = suite.case
apps = {}

CACHES = "caches:\n  npm: true\n  ccache: true\n  modules: {path: node_modules, key: [package-lock.json]}\n"
# Says what it finds, and leaves something of its own.
SCRIPT = """echo "found npm $(cat $npm_config_cache/word 2>/dev/null || echo nothing)"
echo "found ccache $(cat $CCACHE_DIR/word 2>/dev/null || echo nothing)"
echo "found modules $(cat node_modules/word 2>/dev/null || echo nothing)"
echo "places $SLIPWAY_CACHE $npm_config_cache $CCACHE_DIR"
mkdir -p node_modules
for place in "$npm_config_cache" "$CCACHE_DIR" node_modules; do cat word >"$place/word"; done
mkdir out; echo x >out/x"""


def files(word, script=SCRIPT, caches=CACHES, lock="one\n", **more):
    return {"slipway.yaml": lab(script, tail=caches, **more), "word": f"{word}\n", "package-lock.json": lock}


def build(farm, app, ref="main"):
    run, _ = farm.submit(app, "demo", ref=ref)
    (task,) = farm.finish(run)
    return task, farm.log(task["id"]).decode()


def good(farm, app, ref="main"):
    task, log = build(farm, app, ref)
    expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task), log)
    return task, log


def found(log):
    """{cache: word} as the script said."""
    return dict(re.findall(r"^found (\S+) (\S+)$", log, re.M))


def every(word):
    return {"npm": word, "ccache": word, "modules": word}


def prepared(task):
    (step,) = [step for step in task["steps"] if step["name"] == "prepare"]
    return step["detail"]


def data(farm):
    return farm.folder / "agent-1"


def kept(farm):
    """Names of the caches that the agent keeps."""
    return sorted(slot.name.split(".")[0] for slot in (data(farm) / "work/caches").glob("*/*/*"))


def only(farm, task):
    """The task's container, when the Engine has removed those of earlier builds: a removal that the
    agent's death breaks off is the Engine's business."""
    (container,) = until("the container alone", lambda: (
        lambda mine: mine if mine and len(farm.containers()) == len(mine) == 1 else None)(farm.containers(task)), 20)
    return container


@case("a second build finds what the first one left, in a container that was started before anybody knew whose it would be")
def second_hits(farm):
    mine = apps["first"] = farm.application("first")
    mine.commit(files("one"))
    first, log = good(farm, "first")
    expect(found(log) == every("nothing"), log)
    expect_in("cache modules: miss", log)
    expect_in("places /slipway/cache /slipway/cache/npm /slipway/cache/ccache", log)
    expect_in("kept for the next build: ccache, modules, npm", log)
    until("a container to wait", farm.warm, 30)
    mine.commit(files("two"))
    second, log = good(farm, "first")
    expect("warm container" in prepared(second), prepared(second))
    expect(found(log) == every("one"), log)
    expect(re.search(r"^slipway: cache modules: hit \(", log, re.M), log)
    third, log = good(farm, "first")
    expect(found(log) == every("two"), log)


@case("what is cached is no part of the product unless it lies in the product's folder")
def product(farm):
    task, _ = good(farm, "first")
    target = farm.folder / "product"
    farm.slipway("archive", "get", task["id"], "--dir", str(target))
    expect(sorted(p.name for p in target.rglob("*")) == ["x"], list(target.rglob("*")))
    # The whole tree: the folder is in it, the tools' caches are not.
    apps["first"].commit(files("whole", script=SCRIPT.replace("mkdir out; echo x >out/x", "echo x >x"), output="."), "whole")
    task, log = good(farm, "first", "whole")
    expect(found(log)["modules"] == "two", log)
    target = farm.folder / "whole"
    farm.slipway("archive", "get", task["id"], "--dir", str(target))
    names = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()}
    expect(names == {"x", "word", "package-lock.json", "slipway.yaml", "node_modules/word"}, names)
    _, log = good(farm, "first")
    expect(found(log) == every("whole"), log)


@case("another application finds nothing, even of the same repository, and changes nothing")
def other(farm):
    farm.slipway("apps", "create", "second", "--repository", f"file://{apps['first'].bare}")
    _, log = good(farm, "second", "whole")
    expect(found(log) == every("nothing"), log)
    apps["first"].commit(files("three"))
    _, log = good(farm, "first")
    expect(found(log) == every("two"), log)


@case("--no-cache begins with empty caches, and what it leaves takes the place of the kept ones")
def without(farm):
    apps["first"].commit(files("fresh"))
    run, _ = farm.submit("first", "demo", "--no-cache", ref="main")
    (task,) = farm.finish(run)
    log = farm.log(task["id"]).decode()
    expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task), log)
    expect(found(log) == every("nothing"), log)
    _, log = good(farm, "first")
    expect(found(log) == every("fresh"), log)


@case("a changed lock file or image begins a folder anew; tools keep what they have")
def lock(farm):
    apps["first"].commit(files("locked", lock="two\n"), "lock")
    _, log = good(farm, "first", "lock")
    expect(found(log) == {"npm": "fresh", "ccache": "fresh", "modules": "nothing"}, log)
    _, log = good(farm, "first", "main")
    expect(found(log) == {"npm": "locked", "ccache": "locked", "modules": "fresh"}, log)


@case("two builds at once have a cache each, and neither sees the other's work")
def at_once(farm):
    slow = SCRIPT.replace("mkdir -p node_modules", "mkdir -p node_modules; sleep 2")
    app = apps["at-once"] = farm.application("at-once")
    for word in ("left", "right"):
        app.commit(files(word, script=slow + "\nfor place in $npm_config_cache node_modules; do cat $place/word; done"), word)
    runs = [farm.submit("at-once", "demo", ref=word)[0] for word in ("left", "right")]
    for run, word in zip(runs, ("left", "right")):
        (task,) = farm.finish(run)
        log = farm.log(task["id"]).decode()
        expect(task["state"] == "TASK_STATE_SUCCEEDED" and found(log) == every("nothing"), log)
        expect(log.splitlines().count(word) == 2, log)
    runs = [farm.submit("at-once", "demo", ref=word)[0] for word in ("left", "right")]
    words = set()
    for run in runs:
        (task,) = farm.finish(run)
        words.add(found(farm.log(task["id"]).decode())["npm"])
    expect(words == {"left", "right"}, words)


@case("a script that fails leaves the tools' caches; of a build that was cancelled nothing is kept")
def failing(farm):
    app = apps["failing"] = farm.application("failing")
    app.commit(files("good"))
    good(farm, "failing")
    app.commit(files("bad", script=SCRIPT + "\nexit 1"), "bad")
    task, log = build(farm, "failing", "bad")
    expect(failure_of(task)["reason"] == "SCRIPT_FAILED" and found(log) == every("good"), log)
    _, log = good(farm, "failing")
    expect(found(log) == {"npm": "bad", "ccache": "bad", "modules": "nothing"}, log)
    app.commit(files("canceled", script=SCRIPT + "\necho in-the-middle; sleep 60"), "long")
    run, tasks = farm.submit("failing", "demo", ref="long")
    farm.wait_log(tasks[0]["id"], "in-the-middle")
    farm.slipway("cancel", tasks[0]["id"])
    farm.finish(run)
    _, log = good(farm, "failing")
    expect(found(log) == every("nothing"), log)


@case("kill -9 of the agent in mid-build: the build goes on and what it leaves is whole")
def killed(farm):
    app = apps["killed"] = farm.application("killed")
    app.commit(files("before"))
    good(farm, "killed")
    app.commit(files("after", script=SCRIPT.replace("mkdir out", "echo tick; sleep 3; mkdir out")), "slow")
    run, tasks = farm.submit("killed", "demo", ref="slow")
    farm.wait_log(tasks[0]["id"], "tick")
    only(farm, tasks[0]["id"])
    farm.agents[0].kill9()
    farm.agents[0].start()
    farm.wait_agents()
    (task,) = farm.finish(run)
    expect(task["state"] == "TASK_STATE_SUCCEEDED" and task["attempt"] == "1", failure_of(task))
    expect_in("kept for the next build: ccache, modules, npm", farm.log(task["id"]).decode())
    _, log = good(farm, "killed")
    expect(found(log) == every("after"), log)


@case("of a build whose machine went down before its product was archived, nothing counts that its script left")
def machine(farm):
    app = apps["machine"] = farm.application("machine")
    app.commit(files("before"))
    good(farm, "machine")
    app.commit(files("torn", script=SCRIPT.replace("mkdir out", "echo tick; sleep 2; mkdir out")))
    run, tasks = farm.submit("machine", "demo", ref="main")
    task = tasks[0]["id"]
    farm.wait_log(task, "tick")
    only(farm, task)
    farm.agents[0].kill9()
    until("the script's end", lambda: list(data(farm).glob(f"**/{task}*/**/step-1.result")), 20)
    (progress,) = data(farm).glob(f"**/{task}*/progress")
    expect(re.search(r"^boot=\S{8,}$", progress.read_text(), re.M), progress.read_text())
    progress.write_text(re.sub(r"^boot=.*$", "boot=another", progress.read_text(), flags=re.M))
    farm.agents[0].start()
    farm.wait_agents()
    (ended,) = farm.finish(run)
    log = farm.log(task).decode()
    expect(ended["state"] == "TASK_STATE_SUCCEEDED" and ended["attempt"] == "2", failure_of(ended), ended["attempt"])
    expect(found(log) == every("nothing"), log)


@case("kill -9 of agent and container in mid-build leaves no torn cache, and no left-over")
def torn(farm):
    app = apps["torn"] = farm.application("torn")
    app.commit(files("whole"))
    good(farm, "torn")
    # Caches are half written while it waits; then both are killed.
    half = SCRIPT.replace("mkdir out", "rm $npm_config_cache/word node_modules/word; echo half >node_modules/half; echo tick; sleep 20; mkdir out")
    app.commit(files("half", script=half), "half")
    run, tasks = farm.submit("torn", "demo", ref="half")
    task = tasks[0]["id"]
    farm.wait_log(task, "tick")
    container = only(farm, task)
    farm.agents[0].kill9()
    docker("rm", "--force", container)
    # What a process leaves that is killed between two steps of keeping or lending.
    (own, *_) = (data(farm) / "work/caches").glob("*/*")
    begun = own / "npm.-.00000000.begun"
    begun.mkdir()
    stranger = data(farm) / "work/caches/another-farm/app/npm.-.00000000.x/data"
    stranger.mkdir(parents=True)
    farm.agents[0].start()
    farm.wait_agents()
    farm.slipway("cancel", task, check=False)
    farm.finish(run)
    app.commit(files("next", script='echo "there: $(ls $npm_config_cache node_modules 2>&1)"\n' + SCRIPT))
    _, log = good(farm, "torn")
    expect("half" not in log, log)
    # Of the build that was killed, or of its second attempt: the old content, or none at all.
    expect(set(found(log).values()) <= {"whole", "nothing"}, log)
    expect(not begun.exists() and not stranger.parents[2].exists())
    farm.no_containers()
    until("nothing to be lent any more", lambda: not list((data(farm) / "work/lent").iterdir()), 20)


@case("links that a script plants in its caches lead the agent nowhere")
def links(farm):
    outside = farm.folder / "outside"
    outside.mkdir(mode=0o777)
    (outside / "word").write_text("secret\n")
    before = outside.stat().st_ctime_ns
    app = apps["links"] = farm.application("links")
    plant = (f"for place in $npm_config_cache $CCACHE_DIR; do ln -s {outside} $place/away || true; ln -s / $place/root || true; mkfifo $place/pipe || true; done\n"
             f"ln -s {outside} node_modules\n"
             "rm -rf $npm_config_cache 2>/dev/null || true; ln -s / $SLIPWAY_CACHE/planted 2>/dev/null || echo no-room-for-links\n"
             "mkdir out; echo x >out/x")
    app.commit(files("x", script=plant))
    _, log = good(farm, "links")
    expect_in("no-room-for-links", log)
    expect(re.search(r"cache modules: not kept", log), log)
    _, log = good(farm, "links")
    expect_in("cache ccache: hit", log)
    until("the caches to be measured", lambda: all((slot / "size").exists()
          for slot in (data(farm) / "work/caches").glob("*/*/*")), 30)
    sizes = [int((slot / "size").read_text()) for slot in (data(farm) / "work/caches").glob("*/*/*")]
    expect(all(size < 1 << 20 for size in sizes), sizes)
    expect((outside / "word").read_text() == "secret\n" and outside.stat().st_ctime_ns == before)


@case("a build that lacks a file of a key, or whose folder is in the commit, fails and says which")
def refused(farm):
    app = apps["refused"] = farm.application("refused")
    app.commit({"slipway.yaml": lab("exit 0", tail="caches: {modules: {path: node_modules, key: yarn.lock}}\n")})
    task, _ = build(farm, "refused")
    failure = failure_of(task)
    expect(failure["reason"] == "FILE_UNKNOWN" and failure["failure_class"] == "FAILURE_CLASS_BUILD", failure)
    expect("yarn.lock" in failure["message"] and "modules" in failure["message"], failure)
    app.commit({**files("x"), "node_modules/a": "x"})
    task, _ = build(farm, "refused")
    failure = failure_of(task)
    expect(failure["reason"] == "CACHE_PATH_TAKEN" and failure["failure_class"] == "FAILURE_CLASS_BUILD", failure)
    expect(failure["remedy"] and failure["remedy_zh"], failure)
    app.commit({"slipway.yaml": lab("exit 0", tail="caches: {npmm: true}\n")})
    failure = failure_of(build(farm, "refused")[0])
    expect(failure["reason"] == "CONFIG_INVALID" and "caches.npmm" in failure["message"], failure)


@case("a script that somebody brought finds and leaves no caches")
def brought(farm):
    path = farm.folder / "check.sh"
    path.write_text("#!/bin/sh\ncat $npm_config_cache/word; echo planted >$npm_config_cache/word\n")
    apps["first"].commit(files("own"))
    good(farm, "first")
    said = farm.json("run-script", path, "--app", "first", "--ref", "main")
    (script,) = farm.finish(said["run"])
    expect_in("cache npm: empty (a script that was brought gets none)", farm.log(script["id"]).decode())
    _, log = good(farm, "first")
    expect(found(log) == every("own"), log)


@case("above the limit the least recently used goes; turned off the agent keeps nothing, and builds still have the places")
def limits(shared):
    del shared
    farm = Farm(agents=1, agent_options="caches: {max_size_per_application: 4MiB}\n")
    suite.more_farms.append(farm)
    farm.start()
    app = farm.application("large")
    app.commit(files("small"), "small")
    good(farm, "large", "small")
    app.commit(files("large", script="head -c 3000000 /dev/zero >$CCACHE_DIR/zeros\nmkdir node_modules\n"
                     "head -c 3000000 /dev/zero >node_modules/zeros\n"
                     "mkdir out; echo x >out/x", lock="large\n"), "large")
    good(farm, "large", "large")
    until("what is too much to go", lambda: kept(farm) == ["modules", "modules", "npm"], 20)
    farm.agents[0].kill9()
    options = farm.folder / "agent-1.yaml"
    options.write_text(re.sub(r"caches:.*", "caches: off", options.read_text()))
    farm.agents[0].start()
    farm.wait_agents()
    expect(not (data(farm) / "work/caches").exists())
    _, log = good(farm, "large", "small")
    expect_in("cache npm: empty (this agent keeps none)", log)
    expect_in("places /slipway/cache /slipway/cache/npm", log)
    expect(not (data(farm) / "work/caches").exists())


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=1))
