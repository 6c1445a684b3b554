"""kill -9 of each part in the middle: builds go on, logs are complete, nothing is published twice."""

import hashlib
import os
import signal
import time

from farm import WEIXIN, Farm, Suite, docker, expect, failure_of, lab, until

suite = Suite()
case = suite.case
apps = {}

# Lines at a steady pace for some seconds, with a hash that the script itself knows.
TICKING = """i=0
while [ $i -lt 120 ]; do echo "tick $i of the build that goes on"; i=$((i + 1)); sleep 0.05; done
mkdir out; echo x >out/x; echo last-line"""
# The address of its interface, which no other network namespace has.
SAY = 'echo "eth0 $(cat /sys/class/net/eth0/address)"'
WANTED = b"".join(b"tick %d of the build that goes on\n" % number for number in range(120)) + b"last-line\n"


def begin(farm, branch, text=TICKING):
    """A build in the middle of its script, with somebody following: (run, task, container, follower)."""
    if "lab" not in apps:
        apps["lab"] = farm.application("lab")
    apps["lab"].commit({"slipway.yaml": lab(text)}, branch)
    return begin_ref(farm, "lab", branch)


def begin_ref(farm, application, ref):
    run, tasks = farm.submit(application, "demo", ref=ref)
    task = tasks[0]["id"]
    follower = farm.follow(run)
    farm.wait_log(task, "tick 10 ")
    # One of the pool gets its name a moment later.
    (container,) = until("the container", lambda: farm.containers(task), 20)
    return run, task, container, follower


def went_on(farm, run, task, container, follower, containers_seen):
    """The same container came to its end, the log is complete, and the follower saw all of it."""
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED", failure_of(build))
    expect(build["attempt"] == "1", build["attempt"])
    expect(containers_seen == {container}, containers_seen, container)
    log = farm.log(task)
    expect(hashlib.sha256(log[log.index(b"tick 0 "):][:len(WANTED)]).digest() == hashlib.sha256(WANTED).digest(), log.decode())
    expect(len(log) == int(build["result"]["log"]["size"]) and not build["result"]["log"].get("missing", "0").strip("0"), build)
    expect(follower.wait(60) == 0, follower.output.read_text())
    seen = follower.output.read_text()
    ticks = [line for line in seen.splitlines() if line.startswith("tick ")]
    expect(ticks == WANTED.decode().splitlines()[:-1], seen)
    farm.slipway("archive", "show", task)
    farm.no_containers()


def watch(farm, task, seen):
    seen.update(farm.containers(task))


@case("kill -9 of the agent in mid-build: the same container goes on, the log is complete")
def agent(farm):
    run, task, container, follower = begin(farm, "agent")
    farm.agents[0].kill9()
    seen = set(farm.containers())
    time.sleep(1)  # the build writes into its spool while nobody watches
    farm.agents[0].start()
    farm.wait_agents()
    watch(farm, task, seen)
    went_on(farm, run, task, container, follower, seen)


def address_of(farm, application, branch):
    """(task, the address of its interface) of a build that prints it first and last."""
    run, tasks = farm.submit(application, "demo", ref=branch)
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED", failure_of(build))
    return build, address_in(farm.log(build["id"]))


def address_in(log):
    said = [line.split()[1] for line in log.decode().splitlines() if line.startswith("eth0 ")]
    expect(len(said) == 2 and said[0] == said[1], said)
    return said[0]


def prepared(build):
    (prepare,) = [step for step in build["steps"] if step["name"] == "prepare"]
    return prepare["detail"]


def joined(build):
    return "kept network" in prepared(build)


def warm(build):
    return "warm container" in prepared(build)


@case("the next build of an application joins the network that was kept, no other one does, and kill -9 of the agent leaves it to the build")
def kept_network(shared):
    del shared  # a container that waits has a network of its own
    farm = Farm(agents=1, docker_options=", warm_containers: 0")
    suite.more_farms.append(farm)
    farm.start()
    text = f"{SAY}\n{TICKING}\n{SAY}"
    mine, other = farm.application("joined"), farm.application("stranger")
    for application in (mine, other):
        application.commit({"slipway.yaml": lab(f"{SAY}; {SAY}; mkdir out; echo x >out/x", more="  network: bridge\n")}, "short")
    mine.commit({"slipway.yaml": lab(text, more="  network: bridge\n")}, "long")
    first, own = address_of(farm, "joined", "short")
    expect(not joined(first), first["steps"])
    until("a network to be kept", lambda: len(farm.holders()) == 1, 20)
    second, kept = address_of(farm, "joined", "short")
    if not joined(second):  # the agent had not heard yet that it runs
        second, kept = address_of(farm, "joined", "short")
    expect(joined(second) and kept != own, prepared(second), kept, own)
    stranger, strange = address_of(farm, "stranger", "short")
    expect(not joined(stranger) and strange != kept, strange)

    run, tasks = farm.submit("joined", "demo", ref="long")
    task = tasks[0]["id"]
    farm.wait_log(task, "tick 10 ")
    farm.agents[0].kill9()
    farm.agents[0].start()
    farm.wait_agents()
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED" and build["attempt"] == "1" and joined(build), failure_of(build))
    expect(address_in(farm.log(task)) == kept, kept)
    farm.no_containers()
    # What an earlier process kept is given up with the last build that used it.
    until("the old network to be given up", lambda: len(farm.holders()) == 0, 20)


@case("builds of all applications take containers that waited; kill -9 of the agent leaves a build its own and no other")
def warm_container(shared):
    del shared
    farm = Farm(agents=1)
    suite.more_farms.append(farm)
    farm.start()
    mine, other = farm.application("first"), farm.application("second")
    for application in (mine, other):
        application.commit({"slipway.yaml": lab(f"{SAY}; cat file; {SAY}; mkdir out; echo x >out/x", more="  network: bridge\n"),
                            "file": f"content of {application.name}\n", "below/deep": "x\n"}, "short")
    mine.commit({"slipway.yaml": lab(f"{SAY}\n{TICKING}\n{SAY}", more="  network: bridge\n")}, "long")
    first, _ = address_of(farm, "first", "short")
    expect(not warm(first), first["steps"])
    until("a container to wait", farm.warm, 20)
    second, _ = address_of(farm, "second", "short")
    expect(warm(second), second["steps"])
    log = farm.log(second["id"]).decode()
    expect("content of second" in log and "content of first" not in log, log)
    expect(log.index("slipway: fetched") < log.index("content of second") < log.index("slipway: archived"), log)

    until("another to wait", farm.warm, 20)
    run, task, container, follower = begin_ref(farm, "first", "long")
    farm.agents[0].kill9()
    waited = set(farm.warm())
    farm.agents[0].start()
    farm.wait_agents()
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED" and build["attempt"] == "1" and warm(build), failure_of(build))
    log = farm.log(task)
    expect(hashlib.sha256(log[log.index(b"tick 0 "):][:len(WANTED)]).digest() == hashlib.sha256(WANTED).digest(), log.decode())
    expect(follower.wait(60) == 0, follower.output.read_text())
    farm.no_containers()
    # Nobody knows any more for whom those waited; what they had mounted is gone as well.
    until("those that waited to be gone", lambda: not waited & set(farm.warm()), 20)
    data = farm.folder / "agent-1"
    until("the stalls to be those of today", lambda: {p.name for p in (data / "warm").iterdir()} == {p.name for p in (data / "work/warm").iterdir()}
          and len(list((data / "warm").iterdir())) == len(farm.warm()), 20)


@case("kill -9 of the agent, and the build ends while it is away")
def agent_away(farm):
    run, task, container, follower = begin(farm, "away")
    farm.agents[0].kill9()
    def ended():
        (step,) = [*(farm.folder / "agent-1/attempts").glob("*/control/step-1.result")] or [None]
        return step
    until("the script to end without an agent", ended, 30)
    farm.agents[0].start()
    went_on(farm, run, task, container, follower, {container})


@case("kill -9 of the controller in mid-build: the same container goes on, the follower stays")
def controller(farm):
    run, task, container, follower = begin(farm, "controller")
    farm.controller.kill9()
    time.sleep(1)
    expect(follower.poll() is None, follower.output.read_text())
    seen = set(farm.containers())
    farm.start_controller()
    watch(farm, task, seen)
    went_on(farm, run, task, container, follower, seen)


@case("kill -9 of the controller, and the build ends while it is away")
def controller_away(farm):
    run, task, container, follower = begin(farm, "controller-away")
    farm.controller.kill9()
    until("the build to end without a controller", lambda: container not in farm.containers(), 30)
    farm.start_controller()
    went_on(farm, run, task, container, follower, {container})


@case("kill -9 of both in mid-build")
def both(farm):
    run, task, container, follower = begin(farm, "both")
    farm.agents[0].kill9()
    farm.controller.kill9()
    seen = set(farm.containers())
    farm.agents[0].start()
    farm.start_controller()
    farm.wait_agents()
    watch(farm, task, seen)
    went_on(farm, run, task, container, follower, seen)


@case("kill -9 of agent and controller while a script runs that somebody brought: it goes on, once, and its end is told")
def brought_script(farm):
    if "lab" not in apps:
        apps["lab"] = farm.application("lab")
    apps["lab"].commit({"slipway.yaml": lab("mkdir out; echo x >out/x")}, "script")
    path = farm.folder / "检查 twice?.sh"
    path.write_text("#!/bin/sh\n" + TICKING.replace("mkdir out; echo x >out/x; ", "") + "\nexit 7\n")
    said = farm.json("run-script", path, "--app", "lab", "--ref", "script")
    run, task = said["run"], said["tasks"][0]["id"]
    follower = farm.follow(run)
    farm.wait_log(task, "tick 10 ")
    (container,) = until("the container", lambda: farm.containers(task), 20)
    farm.agents[0].kill9()
    farm.controller.kill9()
    farm.start_controller()
    farm.agents[0].start()
    farm.wait_agents()
    seen = set(farm.containers(task))
    (script,) = farm.finish(run)
    expect(seen <= {container} and script["attempt"] == "1" and script["starts"] == 1, seen, script)
    expect(script["state"] == "TASK_STATE_FAILED" and script["result"]["exit_code"] == 7, script)
    log = farm.log(task)
    expect(log.count(b"tick 0 of") == 1 and log[log.index(b"tick 0 "):][:len(WANTED)] == WANTED, log.decode())
    follower.wait(60)


@case("kill -9 of PostgreSQL in mid-build: nothing is lost")
def database(farm):
    run, task, container, follower = begin(farm, "database")
    postmaster = int((farm.folder / "controller/postgres").rglob("postmaster.pid").__next__().read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    # The controller ends, or comes back by itself; a service manager starts what has ended.
    time.sleep(2)
    if not farm.controller.running():
        farm.start_controller()
    until("the controller to answer", lambda: farm.slipway("agents", check=False).returncode == 0
          or (not farm.controller.running() and farm.start_controller()), 60)
    went_on(farm, run, task, container, follower, {container})


@case("a container that somebody removes in mid-build: the build is tried again, and says so")
def container_gone(farm):
    run, task, container, _ = begin(farm, "container")
    docker("rm", "--force", container)
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED" and build["attempt"] == "2", build["state"], build["attempt"], failure_of(build))


@case("SIGQUIT of the agent leaves the build running")
def agent_stop(farm):
    run, task, container, follower = begin(farm, "stop")
    expect(farm.agents[0].stop(10, signal.SIGQUIT) == 0, farm.agents[0].tail())
    seen = set(farm.containers())
    farm.agents[0].start()
    went_on(farm, run, task, container, follower, seen | {container})


def publish_in_the_middle(farm, version):
    """A publish whose upload was accepted and whose answer is on its way: (run, publish task)."""
    if "shop" not in apps:
        apps["shop"] = farm.application("shop")
        apps["shop"].commit(farm.shop("shop"))
    farm.fault({"fault": "slow", "slowMs": 6000})
    run, tasks = farm.submit("shop", WEIXIN, "--publish", "--version", version)
    until("the upload to begin", lambda: any(one.get("version") == version for one in farm.uploads()), 180)
    return run, tasks[1]["id"]


def at_most_once(farm, run, version):
    _, publish = farm.finish(run, 240)
    uploads = [one for one in farm.uploads() if one.get("version") == version]
    expect(len(uploads) == 1, uploads)
    releases = [one for one in farm.releases() if one["version"] == version]
    if publish["state"] == "TASK_STATE_SUCCEEDED":
        expect(len(releases) == 1 and publish["release"] == releases[0]["id"], releases)
    else:
        expect(publish["state"] == "TASK_STATE_UNKNOWN" and not releases, publish["state"], failure_of(publish), releases)
    farm.no_containers()
    print(f"    ended as {publish['state']}")
    farm.free_target(publish)
    return publish


@case("kill -9 of the agent in mid-publish: one upload, released or unknown")
def publish_agent(farm):
    run, _ = publish_in_the_middle(farm, "1.0.1")
    farm.agents[0].kill9()
    time.sleep(1)
    farm.agents[0].start()
    at_most_once(farm, run, "1.0.1")


@case("kill -9 of the controller in mid-publish: one upload, one release")
def publish_controller(farm):
    run, _ = publish_in_the_middle(farm, "1.0.2")
    farm.controller.kill9()
    time.sleep(1)
    farm.start_controller()
    expect(at_most_once(farm, run, "1.0.2")["state"] == "TASK_STATE_SUCCEEDED")


@case("kill -9 of both in mid-publish, and the publish ends while they are away")
def publish_both(farm):
    run, task = publish_in_the_middle(farm, "1.0.3")
    farm.agents[0].kill9()
    farm.controller.kill9()
    time.sleep(9)  # longer than the platform takes
    farm.start_controller()
    farm.agents[0].start()
    at_most_once(farm, run, "1.0.3")


@case("the publish container killed in mid-upload: unknown, never again")
def publish_container(farm):
    run, task = publish_in_the_middle(farm, "1.0.4")
    (container,) = farm.containers(task)
    docker("rm", "--force", container)
    expect(at_most_once(farm, run, "1.0.4")["state"] == "TASK_STATE_UNKNOWN")


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=1, standin=True))
