"""The stories that docs/operations tells. Each plays on a farm of its own and says what it shows."""

import os
import signal
import time

from farm import BUILD, WEIXIN, Daemon, expect_in, lab, program, until
from leadership import Second
from machines import REGISTRY, Machines
from recorder import run_of, story

ONE_SLOT = "slots: 1\n"
TICKS = """i=0
while [ $i -lt 12 ]; do i=$((i + 1)); echo "step $i of 12"; sleep 1; done
mkdir out; echo x >out/x"""


def shop(farm, text=TICKS, **more):
    """The application `shop`, whose build takes twelve seconds."""
    application = farm.application("shop")
    application.commit({"slipway.yaml": lab(text, **more)})
    return application


def submit_followed(story, farm, command, words):
    """Starts a submit in another terminal; returns its build task once its log holds `words`."""
    path = story.begin(command)
    run = story.wait("the submit", lambda: run_of(path))
    tasks = farm.json("tasks", "--run", run)["tasks"]
    build = next(task["id"] for task in tasks if "BUILD" in task["kind"])
    if words:
        farm.wait_log(build, words)
    return run, build, path


@story("lost-agents", "An agent is away, or lost", agents=2, agent_options=ONE_SLOT)
def lost_agents(story, farm):
    shop(farm)
    story.say("""A build runs, and somebody kills the agent under it. The build is in a container and goes on; its log waits in
        the agent's spool.""")
    command = "slipway submit --app shop --platform demo --follow"
    run, build, _ = submit_followed(story, farm, command, "step 3")
    holder = next(agent for agent in farm.agents if agent.name == farm.task(build)["agent"])
    story.run(f"kill -9 $(cat {holder.name}.pid)")
    holder.process.wait()
    story.wait("the controller to see it", lambda: not farm.json("agents", "show", holder.name).get("online"))
    story.run("slipway agents")
    story.run(f"docker ps --filter label=io.slipway.farm={farm.farm_id} --format '{{{{.Names}}}}  {{{{.Status}}}}'")
    time.sleep(2)
    story.say(f"Its service manager starts it again. It finds its container, and what the follower saw meanwhile is this, in the other terminal:")
    holder.start()
    story.pids()
    story.end(command)
    story.run(f"slipway tasks show {build}")
    story.say("""One attempt, one container, every line once. Now an agent that stays away. Once its connection is seen dead, its lease
        runs for two more minutes; then the build begins again elsewhere.""")
    command = "slipway submit --app shop --platform demo --version 2 --follow"
    run, build, _ = submit_followed(story, farm, command, "step 3")
    holder = next(agent for agent in farm.agents if agent.name == farm.task(build)["agent"])
    story.run(f"date +%T; kill -STOP $(cat {holder.name}.pid)")
    story.wait("the second attempt", lambda: int(farm.task(build)["attempt"]) == 2, 240)
    story.run("date +%T; slipway agents")
    story.end(command)
    story.say("""The frozen agent comes back. What it still holds of the lost attempt changes nothing: it is told that nobody waits
        for it, and removes the container.""")
    story.run(f"kill -CONT $(cat {holder.name}.pid)")
    story.wait("the agent to be back", lambda: farm.json("agents", "show", holder.name).get("online"), 60)
    farm.no_containers()
    story.run(f"slipway tasks show {build}")
    story.run(f"docker ps --all --filter label=io.slipway.farm={farm.farm_id} --format '{{{{.Names}}}}  {{{{.Status}}}}'")
    story.say("The log of either attempt is kept:")
    story.run(f"slipway logs {build} --attempt 1 | tail -3")
    story.run(f"slipway logs {build} | tail -3")
    story.say("The controller may be away as well: builds go on, and followers wait for it.")
    command = "slipway submit --app shop --platform demo --version 3 --follow"
    run, build, _ = submit_followed(story, farm, command, "step 3")
    story.run("kill -9 $(cat controller.pid)")
    farm.controller.process.wait()
    time.sleep(3)
    farm.start_controller()
    story.pids()
    story.end(command)


@story("publishing", "A publish whose answer is lost", agents=1, standin=True, agent_options=ONE_SLOT, deadline="1m",
       controller_options="publish_margin: 20s\n")
def publishing(story, farm):
    application = farm.application("shop")
    application.commit(farm.shop("shop"))
    farm.fault({"fault": "lost"})
    story.say("""The platform took the upload and the connection broke before its answer. (The platform is Slipway's stand-in for
        WeChat here; the client is the real one.)""")
    command = f"slipway submit --app shop --platform {WEIXIN} --version 5.0.1 --publish --follow"
    _, _, path = submit_followed(story, farm, command, "")
    run = run_of(path)
    story.end(command, status=4)
    publish = next(task["id"] for task in farm.json("tasks", "--run", run)["tasks"] if "PUBLISH" in task["kind"])
    farm.fault({})
    story.say("Nobody may say too early that nothing arrived:")
    story.run(f"slipway releases resolve {publish} --not-published --reason 'not in the list'; echo exit status $?")
    story.say("Meanwhile nothing else is published there, since nobody knows what would come first:")
    other = "slipway submit --app shop --platform weixin --version 5.0.2 --publish"
    story.run(other)
    newest = next(task["id"] for task in farm.json("tasks", "--app", "shop")["tasks"]
                  if "PUBLISH" in task["kind"] and task["id"] != publish)
    farm.wait_state(newest, "queued", seconds=120)
    story.run(f"slipway tasks explain {newest}")
    story.say("The platform can be asked, as far as it tells:")
    story.run(f"slipway releases resolve {publish} --probe --reason 'answer lost' --follow", status=4)
    story.say("Somebody looks there, and says what is there. The reason stays on record:")
    story.run(f"slipway releases resolve {publish} --published --reason 'Version management lists 5.0.1, robot 1'")
    story.run(f"slipway tasks show {publish}")
    farm.wait_state(newest, "succeeded", seconds=120)
    story.run("slipway releases")
    story.say("""The agent freezes while its client uploads, longer than its lease. The farm does not publish again: it does not know
        what the client did.""")
    farm.fault({"fault": "slow", "slowMs": 8000})
    story.run("slipway submit --app shop --platform weixin --version 5.0.3 --publish")
    until("the upload to begin", lambda: any(one.get("version") == "5.0.3" for one in farm.uploads()), 180)
    story.run("date +%T; kill -STOP $(cat agent-1.pid)")
    newest = next(task["id"] for task in farm.json("tasks", "--app", "shop")["tasks"] if "PUBLISH" in task["kind"])
    farm.wait_state(newest, "unknown", seconds=300)
    story.run(f"date +%T; slipway tasks show {newest}")
    story.say("It goes on, with the result that waited in slipway-init. The platform had it, so there is a release, once:")
    story.run("kill -CONT $(cat agent-1.pid)")
    farm.wait_state(newest, "succeeded", seconds=120)
    story.run(f"slipway tasks show {newest}")
    story.run("slipway releases")
    farm.fault({})


@story("agents", "Agents join, rest and leave", agents=1, agent_options=ONE_SLOT)
def agents(story, farm):
    shop(farm)
    story.say("A machine joins with a token that works once, and for an hour unless told otherwise. Its key is made there and never leaves it.")
    shown = story.run("slipway agents token --lifetime 2h")
    story.run("slipway agents token list")
    token = next(line.strip() for line in shown.splitlines() if line.startswith("SLP1-"))
    story.run(f"slipway-agent join 127.0.0.1:{farm.port} --token {token} --data-dir mac-1 --name mac-1")
    story.say("A second use of it is refused, and told to the controller's log:")
    story.run(f"slipway-agent join 127.0.0.1:{farm.port} --token {token} --data-dir mac-2 --name mac-2; echo exit status $?")
    story.run(f"grep join_refused {farm.controller.log}")
    options = farm.folder / "agent-1.yaml"
    agent = Daemon("mac-1", [program("slipway-agent"), "run", "--data-dir", str(story.desk / "mac-1"), "--config", str(options),
                             "--label", "zone=lab"], farm.folder / "mac-1.log")
    farm.agents.append(agent)
    agent.start()
    farm.wait_agents()
    story.pids()
    story.say("Before maintenance, drain: what runs goes on, nothing new comes. `drained` means that nothing is left.")
    command = "slipway submit --app shop --platform demo --require zone=lab --follow"
    submit_followed(story, farm, command, "step 2")
    story.run("slipway agents drain 'mac-*' --reason 'new kernel'")
    story.run("slipway agents")
    story.end(command)
    story.run("slipway agents")
    story.run("slipway agents resume 'mac-*'")
    story.say("A pause needs a reason and may end by itself:")
    story.run("slipway agents pause mac-1; echo exit status $?")
    story.run("slipway agents pause mac-1 --reason 'disk is being copied' --timeout 2h")
    story.run("slipway agents show mac-1")
    story.run("slipway agents resume mac-1")
    story.say("""SIGTERM is a drain, too: the agent finishes its build and ends. A second SIGTERM would end the build (it goes to
        another agent), and SIGQUIT leaves it running for the next start.""")
    command = "slipway submit --app shop --platform demo --require zone=lab --version 2 --follow"
    submit_followed(story, farm, command, "step 2")
    story.run("kill -TERM $(cat mac-1.pid)")
    story.wait("the controller to hear of it", lambda: farm.json("agents", "show", "mac-1").get("stopping"))
    story.run("slipway agents")
    story.end(command)
    agent.process.wait(30)
    story.run(f"tail -2 {agent.log}")
    agent.start()
    farm.wait_agents()
    story.pids()
    story.say("A machine that is stolen: its streams end at once, and its build begins again where an agent fits.")
    command = "slipway submit --app shop --platform demo --version 3 --follow"
    story.run("slipway agents pause agent-1 --reason 'so that mac-1 gets the build'")
    _, build, _ = submit_followed(story, farm, command, "step 2")
    story.run("slipway agents resume agent-1")
    story.run("slipway agents revoke mac-1 --reason stolen")
    agent.process.wait(60)
    story.end(command)
    story.run(f"tail -2 {agent.log}")
    farm.agents.remove(agent)
    story.run("slipway agents list --all")
    story.say("""Retiring is the friendly way out: it finishes first. Either way the name is free again, and the machine comes back only
        with a new token and an empty data directory.""")
    story.run("slipway agents retire agent-1 --reason 'lease of the machine ends'")
    farm.agents[0].process.wait(60)
    story.run("slipway agents; slipway agents list --all")
    farm.agents.clear()


@story("waiting", "Why a task waits", agents=2, agent_options=ONE_SLOT, controller_options="no_agent_grace: 20s\n")
def waiting(story, farm):
    shop(farm)
    north = farm.agents[1]
    north.stop()
    north.command += ["--label", "zone=north"]
    north.start()
    farm.wait_agents()
    story.pids()
    story.say("An application says what its builds need. The one agent that has it is switched off:")
    story.run("slipway apps set shop --require zone=north --queue-timeout 30m")
    story.run("kill -TERM $(cat agent-2.pid)")
    north.process.wait(30)
    story.wait("the controller to see it", lambda: not farm.json("agents", "show", "agent-2").get("online"))
    answer = farm.json("submit", "--app", "shop", "--platform", "demo")
    task = answer["tasks"][0]["id"]
    story.run(f"slipway tasks explain {task}")
    farm.slipway("cancel", task)
    story.say("Labels that no agent of the farm has, and none ever had, are no reason to wait for ever:")
    task = farm.json("submit", "--app", "shop", "--platform", "demo", "--require", "gpu=yes")["tasks"][0]["id"]
    story.run(f"slipway tasks explain {task}")
    farm.wait_state(task, "failed", seconds=60)
    story.run(f"slipway tasks show {task}; echo exit status $?")
    story.run("slipway apps set shop --require-nothing")
    north.start()
    farm.wait_agents()
    story.pids()
    story.say("The second and third build of a group wait for the first, in the order of submit, whatever the agents do:")
    for _ in range(3):
        farm.submit("shop", "demo", "--group", "nightly")
    story.run("slipway tasks --limit 3")
    newest, middle, _ = farm.json("tasks", "--limit", "3")["tasks"]
    story.run(f"slipway tasks explain {newest['id']}")
    story.say("Two more than there are slots; the one with the higher priority goes first:")
    farm.submit("shop", "demo")
    low = farm.submit("shop", "demo", "--priority", "-5")[1][0]["id"]
    high = farm.submit("shop", "demo", "--priority", "5")[1][0]["id"]
    story.run(f"slipway tasks explain {low}")
    story.run(f"slipway tasks explain {high}")
    for task in farm.json("tasks")["tasks"]:
        farm.slipway("cancel", task["id"], check=False)


@story("leadership", "One controller writes", agents=1, agent_options=ONE_SLOT)
def leadership(story, farm):
    shop(farm)
    second = Second(farm, "second")
    (story.desk / "second.yaml").symlink_to(farm.folder / "second.yaml")
    story.say("A second controller is started on the same database by mistake. It ends, and names the first:")
    story.run("slipway-controller --config second.yaml; echo exit status $?")
    story.say("""The first one freezes, as a suspended machine does. Its place is free once its lock has been silent long enough; the
        second one is started again and waits for that.""")
    story.run("date +%T; kill -STOP $(cat controller.pid)")
    second.daemon.start()
    until("the second one to lead", lambda: second.slipway("apps").returncode == 0, 60)
    story.run(f"date +%T; tail -3 {second.daemon.log}")
    story.say("The first one goes on. It writes no row any more, says why, and ends:")
    os.kill(farm.controller.process.pid, signal.SIGCONT)
    farm.controller.process.wait(30)
    story.run(f"tail -3 {farm.controller.log}")
    story.say("What the second one wrote is there:")
    arguments = f"--server 127.0.0.1:{second.port} --ca {second.folder}/ca.pem --token-file {second.folder}/admin.token"
    story.run(f"slipway {arguments} apps")
    second.daemon.stop()
    farm.start_controller()


@story("planted", "Two planted mistakes, found", agents=0)
def planted(story, farm):
    simulation = story.desk / "bin/slipway-sim"
    simulation.symlink_to(BUILD / "tests/sim/slipway-sim")
    story.say("""An agent that publishes again after its machine crashed, in the simulation: the third seed shows it, with the story
        that led there. Left of each line are the event's number and the time in the story.""")
    story.run("slipway-sim --plant publish-again-after-crash --seeds 1..400 | tail -40")
    story.say("A disk of the controller that changes bytes it had synced, under a farm of real programs:")
    found = story.run("tests/chaos/run --seed 1 --minutes 1 --faults controller-kill --plant rot-log --no-keep", status=1)
    expect_in("not ok - logs are what was written", found)


@story("node-health", "A machine is not well", agents=0, own_network=True)
def node_health(story, farm):
    shared, network = os.environ.get("DOCKER_HOST"), farm.network
    with Machines(farm.folder) as machines:
        try:
            play_node_health(story, farm, machines)
        finally:
            for agent in farm.agents:
                agent.stop()
            # What the machines had goes with them.
            farm.network = network
            os.environ.pop("DOCKER_HOST", None)
            if shared is not None:
                os.environ["DOCKER_HOST"] = shared


def join_mills(story, farm, machines):
    """mill-1 and mill-3 on the big machine's Engine, mill-2 on that with the small disk."""
    plenty = "disk_pressure: {bytes: 64MiB, percent: 1}\ndisk_floor: {bytes: 32MiB, percent: 1}\n"
    little = "disk_pressure: {bytes: 600MiB, percent: 40}\ndisk_floor: {bytes: 200MiB, percent: 20}\n"
    for name, engine, options in (("mill-1", machines.big, plenty), ("mill-2", machines.small, little),
                                  ("mill-3", machines.big, plenty)):
        os.environ["DOCKER_HOST"] = f"unix://{engine.socket}"
        # One network each: an agent that leaves takes nothing from another.
        farm.network = f"slipway-{name}"
        farm.subnet = f"10.91.{len(farm.agents) + 1}.0/24"
        farm.agent_options = f"slots: 2\nlabels: {{machine: {name}}}\n{options}"
        agent = farm.add_agent(name, online=False, data=machines.small_disk / "agent" if name == "mill-2" else None)
        agent.start(**({"LD_PRELOAD": str(machines.clock), "CLOCK_AHEAD": "47"} if name == "mill-3" else {}))
        (story.desk / f"{name}.sock").symlink_to(engine.socket)
        (story.desk / f"{name}.log").symlink_to(agent.log)
        (story.desk / f"{name}.dockerd.pid").symlink_to(engine.pid_file)
    (story.desk / "controller.log").symlink_to(farm.controller.log)
    farm.wait_agents(60)
    story.pids()


def health_of(farm, name, word):
    """Whether `slipway agents` has the word in the agent's line."""
    return any(line.startswith(f"{name} ") and word in line for line in farm.slipway("agents").stdout.splitlines())


def play_node_health(story, farm, machines):
    small = machines.small
    show_images = "docker -H unix://$PWD/mill-2.sock images"
    small.make_image("payroll-db:12", 200)
    small.docker("rmi", "slipway-test-min:1")
    machines.big.docker("tag", "slipway-test-min:1", "slipway-builder:1")
    join_mills(story, farm, machines)

    story.say("## A clock that is off")
    story.say("Three machines. The clock of mill-3 is 47 seconds ahead, which the agent finds at its second exchange with the controller.")
    story.wait("the clock of mill-3", lambda: health_of(farm, "mill-3", "clock"), 90)
    story.run("slipway agents")
    story.run("slipway agents show mill-3")
    story.run("grep agent_clock controller.log")

    story.say("## Images ahead of time")
    story.say("Two images are wanted on mill-1 and mill-2. The first is fetched from its registry; the second somebody has loaded on mill-1 alone.")
    story.run(f"slipway agents prepare --image {REGISTRY}/node:20,slipway-builder:1 --agent mill-1 --agent mill-2", status=1)
    story.say("Somebody makes the image there, and asks again:")
    small.docker("tag", "payroll-db:12", "slipway-builder:1")
    story.run("slipway agents prepare --image slipway-builder:1 --agent mill-2")
    small.docker("rmi", "slipway-builder:1")
    story.run("slipway agents images --forget slipway-builder:1")
    story.say("A task does not need that: the first one that needs an image of a registry has it fetched.")
    application = farm.application("shop")
    application.commit({"slipway.yaml": lab("mkdir out; echo x >out/x", image=f"{REGISTRY}/tools:3")}, branch="tools")
    application.commit({"slipway.yaml": lab(TICKS, image=f"{REGISTRY}/node:20")})
    farm.slipway("apps", "set", "shop", "--require", "machine=mill-2")
    story.run("slipway submit --app shop --platform demo --ref tools --follow")
    tools_used = time.monotonic()

    story.say("## The Docker Engine is restarted")
    story.say("In mid-build somebody restarts the Engine of mill-2, which ends its containers.")
    command = "slipway submit --app shop --platform demo --follow"
    _, build, _ = submit_followed(story, farm, command, "step 5")
    story.run("kill $(cat mill-2.dockerd.pid)")
    story.wait("the agent to see it", lambda: health_of(farm, "mill-2", "engine down"), 90)
    story.run("slipway agents")
    small.process.wait(60)
    small.start()
    story.say("Once the Engine is back the agent takes work again by itself, and the build begins anew. In the other terminal:")
    story.end(command)
    story.run(f"slipway tasks show {build}")

    story.say("## The Docker Engine hangs")
    story.say("An Engine that takes calls and answers none. What runs goes on, because slipway-init in the container needs no Engine; nothing new comes.")
    command = "slipway submit --app shop --platform demo --version 2 --follow"
    _, build, _ = submit_followed(story, farm, command, "step 2")
    story.run("kill -STOP $(cat mill-2.dockerd.pid)")
    story.wait("the agent to see it", lambda: health_of(farm, "mill-2", "engine hung"), 120)
    story.run("slipway agents")
    story.run("slipway submit --app shop --platform demo --ref tools")
    waiting = farm.json("tasks", "--app", "shop")["tasks"][0]["id"]
    story.run(f"slipway tasks explain {waiting}")
    farm.wait_log(build, "step 12", 60)
    story.say("It answers again: the build, whose script had ended long ago, is archived, and the one that waited begins.")
    story.run("kill -CONT $(cat mill-2.dockerd.pid)")
    story.end(command)
    farm.wait_state(waiting, "succeeded", seconds=90)
    tools_used = time.monotonic()
    story.run("grep engine_health mill-2.log")

    story.say("## A disk fills up")
    story.say("""Ten minutes later. On the small disk of mill-2 are an image that is to be kept ready (node:20), one that the agent fetched for a
        task (tools:3), and one that the agent knows nothing of (payroll-db:12). Then somebody needs much room.""")
    time.sleep(max(0.0, tools_used + 630 - time.monotonic()))
    story.run(show_images)
    story.run(machines.fill(420, "export-1"))
    story.wait("the agent to see it", lambda: health_of(farm, "mill-2", "disk"), 60)
    story.run("slipway agents")
    story.wait("the image to go", lambda: "tools" not in small.docker("images"), 120)
    story.say("What the agent deleted, in this order: its own, the least recently used first, images last.")
    story.run("grep -E 'event=(disk|cache_deleted)' mill-2.log")
    story.run(show_images)
    story.say("That was all it may delete. Still more is written, below `disk_floor`: no new work, and what is not the agent's stays.")
    story.run(machines.fill(100, "export-2"))
    story.wait("the agent to see it", lambda: health_of(farm, "mill-2", "disk full"), 60)
    story.run("slipway agents")
    story.run("slipway --lang zh agents")
    command = "slipway submit --app shop --platform demo --version 3 --follow"
    _, build, _ = submit_followed(story, farm, command, "")
    story.wait("the reason", lambda: "not well" in farm.slipway("tasks", "explain", build).stdout)
    story.run(f"slipway tasks explain {build}")
    story.run(show_images)
    story.say("With room again, it goes on by itself:")
    story.run(f"rm {machines.small_disk}/export-*")
    story.end(command)
