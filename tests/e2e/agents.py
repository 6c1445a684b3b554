"""Agents as operators see them: certificates that renew themselves, pause, drain, retire, revoke, and
the signals that end an agent."""

import json
import re
import shutil
import signal
import socket
import subprocess
import time

from farm import REPOSITORY, Farm, Suite, expect, expect_in, failure_of, lab, program, until

suite = Suite()
case = suite.case
apps = {}

SLOW = """i=0
while [ $i -lt 100 ]; do echo "tick $i"; i=$((i + 1)); sleep 0.05; done
mkdir out; echo x >out/x; echo last-line"""
QUICK = "mkdir out; echo x >out/x"


def submit(farm, branch, text):
    """(run, task)."""
    if "lab" not in apps:
        apps["lab"] = farm.application("lab")
    apps["lab"].commit({"slipway.yaml": lab(text)}, branch)
    run, tasks = farm.submit("lab", "demo", ref=branch)
    return run, tasks[0]["id"]


def begin(farm, branch):
    """A build in the middle of its script: (run, task, the agent that has it)."""
    run, task = submit(farm, branch, SLOW)
    farm.wait_log(task, "tick 5")
    name = farm.task(task)["agent"]
    return run, task, next(agent for agent in farm.agents if agent.name == name)


def succeeded(farm, run):
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED", build["state"], failure_of(build))
    expect(b"last-line" in farm.log(build["id"]) or build["ref"].startswith("quick"), build)
    return build


def shown(farm, agent):
    return farm.json("agents", "show", agent)


def log_of(agent):
    return agent.log.read_text(errors="replace")


@case("a certificate renews itself in mid-build; the stream stays, and the new one is there after kill -9")
def rotation(farm):
    agent = farm.agents[0]
    until("the agent to be online", lambda: shown(farm, "agent-1")["online"], 20)
    before = shown(farm, "agent-1")["certificate_not_after"]
    identity = (farm.folder / "agent-1/identity.pem").read_bytes()
    downs = log_of(agent).count("event=link_down")
    farm.slipway("agents", "drain", "agent-2")
    run, task, holder = begin(farm, "rotation")
    expect(holder is agent, holder.name)
    until("a renewal to be confirmed", lambda: "event=certificate_confirmed" in log_of(agent), 60)
    after = shown(farm, "agent-1")
    expect(after["certificate_not_after"] > before and after["online"], before, after)
    expect((farm.folder / "agent-1/identity.pem").read_bytes() != identity)
    expect(log_of(agent).count("event=link_down") == downs, agent.tail())
    succeeded(farm, run)
    agent.kill9()
    agent.start()
    until("the agent to be back", lambda: shown(farm, "agent-1")["online"], 20)
    farm.slipway("agents", "resume", "agent-2")


@case("SIGTERM drains: the build ends as it would have, new work goes elsewhere, the agent exits with 0")
def drain_by_signal(farm):
    run, task, holder = begin(farm, "drain")
    holder.process.send_signal(signal.SIGTERM)
    until("the controller to hear of it", lambda: shown(farm, holder.name)["stopping"], 10)
    expect_in("stopping", farm.slipway("agents", "show", holder.name).stdout)
    other_run, _ = submit(farm, "quick-drain", QUICK)
    expect(succeeded(farm, other_run)["agent"] != holder.name)
    expect(holder.running(), holder.tail())
    build = succeeded(farm, run)
    expect(build["attempt"] == "1" and build["agent"] == holder.name, build)
    expect(holder.process.wait(20) == 0, holder.tail())
    farm.no_containers()


@case("a second SIGTERM ends the build, which goes elsewhere and says nothing of a cancel")
def hurry_by_signal(farm):
    run, task, holder = begin(farm, "hurry")
    holder.process.send_signal(signal.SIGTERM)
    until("the drain to have begun", lambda: "how=\"when drained\"" in log_of(holder), 10)
    holder.process.send_signal(signal.SIGTERM)
    expect(holder.process.wait(20) == 0, holder.tail())
    build = succeeded(farm, run)
    expect(build["attempt"] == "2" and build["agent"] != holder.name, build)
    farm.no_containers()


@case("drain and pause keep work away, also over a restart of the controller; a pause ends at its time")
def pause(farm):
    answer = farm.slipway("agents", "drain", "agent-*", "--reason", "new kernel").stdout
    expect(answer == "agent-1: drained\nagent-2: drained\n", answer)
    again = farm.slipway("agents", "drain", "agent-1").stdout
    expect(again == "agent-1: drained (no change)\n", again)
    run, task = submit(farm, "quick-pause", QUICK)
    farm.controller.kill9()
    farm.start_controller()
    farm.wait_agents()
    listed = farm.slipway("agents").stdout
    expect(listed.count("drained") == 2 and listed.count("new kernel") == 2, listed)
    time.sleep(1)
    expect(farm.task(task)["state"] == "TASK_STATE_QUEUED", farm.task(task))
    refused = farm.slipway("agents", "pause", "agent-1", check=False)
    expect(refused.returncode == 2 and "--reason" in refused.stderr, refused.stderr)
    farm.slipway("agents", "pause", "agent-1", "--reason", "fan", "--timeout", "2s")
    expect_in("fan", farm.slipway("agents", "show", "agent-1").stdout)
    build = succeeded(farm, run)
    expect(build["agent"] == "agent-1", build)
    expect(shown(farm, "agent-1")["mode"] == "AGENT_MODE_ACTIVE")
    farm.slipway("agents", "resume", "agent-?")


class Manager:
    """What a service manager hears of a program that it started."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "900000"}
        self.heard = []

    def hears(self, words, seconds=20):
        def heard():
            try:
                while True:
                    self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                pass
            return any(words in message for message in self.heard)
        until(f"the service manager to hear {words!r}", heard, seconds)

    def silent(self, seconds):
        """Nothing more came in that time."""
        self.heard.clear()
        time.sleep(seconds)
        try:
            return not self.socket.recv(4096)
        except BlockingIOError:
            return True


@case("both programs tell a service manager that they are ready, alive and ending")
def service_manager(farm):
    agent = farm.agents[1]
    expect(agent.stop() == 0, agent.tail())
    manager = Manager(farm.folder / "agent.notify")
    agent.start(**manager.environment)
    manager.hears("READY=1\nSTATUS=")
    manager.hears("STATUS=connected, 0 held")
    manager.heard.clear()
    manager.hears("WATCHDOG=1")
    agent.process.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    while not manager.silent(0):
        pass
    expect(manager.silent(1), "a loop that does not turn is vouched for")
    agent.process.send_signal(signal.SIGCONT)
    manager.heard.clear()
    manager.hears("WATCHDOG=1")
    agent.process.send_signal(signal.SIGTERM)
    manager.hears("STOPPING=1\nSTATUS=ends when drained")
    expect(agent.process.wait(20) == 0, agent.tail())
    agent.start()

    expect(farm.controller.stop() == 0, farm.controller.tail())
    manager = Manager(farm.folder / "controller.notify")
    farm.start_controller(**manager.environment)
    manager.hears("READY=1\nSTATUS=serving on port")
    manager.hears("WATCHDOG=1")
    expect(farm.controller.stop() == 0, farm.controller.tail())
    manager.hears("STOPPING=1")
    farm.start_controller()
    farm.wait_agents()


@case("slipway-bench builds: what it counts was built and followed to its end; a build that fails ends it")
def bench_builds(farm):
    run, _ = submit(farm, "bench", "echo first words; mkdir out; echo x >out/x; echo last-line")
    succeeded(farm, run)

    def bench(*arguments):
        return subprocess.run([program("slipway-bench"), *farm.command()[1:], "--json", "builds", "--app", "lab",
                               "--platform", "demo", *arguments], capture_output=True, text=True, timeout=120)

    done = bench("--ref", "bench", "--builds", "4", "--at-once", "2", "--warm-up", "1")
    expect(done.returncode == 0, done.stderr)
    found = json.loads(done.stdout)
    expect(found["builds"] == found["with_output"] == 4, found)
    expect(0 < found["submit_p50_ms"] <= found["output_p50_ms"] < found["result_p50_ms"] <= found["result_p99_ms"], found)
    expect(all(0 < found[f"step_{name}_p50_ms"] < found["result_p99_ms"] for name in ("fetch", "prepare", "script", "archive")), found)
    expect(0 < found["attempt_p50_ms"] < found["result_p99_ms"], found)
    built = [task for task in farm.json("tasks", "--app", "lab")["tasks"] if task["ref"] == "bench"]
    expect(len(built) == 6 and {task["state"] for task in built} == {"TASK_STATE_SUCCEEDED"}, built)

    quiet, _ = submit(farm, "bench-quiet", "mkdir out; echo x >out/x")
    farm.finish(quiet)
    silent = json.loads(bench("--ref", "bench-quiet", "--builds", "1").stdout)
    expect(silent["with_output"] == 0 and "output_p50_ms" not in silent, silent)

    broken, _ = submit(farm, "bench-broken", "exit 3")
    farm.finish(broken)
    done = bench("--ref", "bench-broken")
    expect(done.returncode == 1 and "did not succeed: The script failed: exit code 3" in done.stderr and "slipway logs" in done.stderr, done.stderr)
    done = bench("--ref", "bench", "--require", "zone=nowhere=", "--builds", "0")
    expect(done.returncode == 2 and "--builds" in done.stderr, done.stderr)


@case("systemd understands the units")
def units(farm):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        print("    systemd-analyze is not installed: not looked at")
        return
    for unit in (REPOSITORY / "deploy/systemd").glob("*.service"):
        # The programs are not installed here.
        copy = farm.folder / unit.name
        copy.write_text(re.sub(r"^ExecStart=/usr/bin/(\S+)", lambda found: f"ExecStart={program(found.group(1))}",
                               unit.read_text(), flags=re.M))
        done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, timeout=60)
        expect(done.returncode == 0 and unit.name not in done.stderr, done.stderr)


@case("a revoked agent loses its stream at once, removes its containers and exits with 77, again and again")
def revoke(farm):
    run, task, holder = begin(farm, "revoke")
    denied = farm.slipway("agents", "revoke", "agent-*", check=False)
    expect(denied.returncode == 3 and "named" in denied.stderr, denied.stderr)
    asked = time.monotonic()
    answer = farm.slipway("agents", "revoke", holder.name, "--reason", "stolen").stdout
    expect(answer == f"{holder.name}: revoked\n", answer)
    expect(holder.process.wait(35) == 77, holder.tail())
    print(f"    ended {time.monotonic() - asked:.1f} s after it was asked for")
    expect_in("this agent was revoked: stolen", log_of(holder))
    expect_in("new token", log_of(holder))
    build = succeeded(farm, run)
    expect(build["agent"] != holder.name and build["attempt"] == "2", build)
    holder.start()
    expect(holder.process.wait(20) == 77, holder.tail())
    farm.no_containers()
    expect(holder.name not in farm.slipway("agents", "list").stdout)
    expect_in("revoked", farm.slipway("agents", "list", "--all").stdout)
    # Its name is free.
    farm.agents.remove(holder)
    (farm.folder / holder.name).rename(farm.folder / f"{holder.name}-revoked")
    farm.add_agent(holder.name)
    farm.wait_agents()


@case("a retiring agent finishes its build, is retired and exits with 77")
def retire(farm):
    run, task, holder = begin(farm, "retire")
    answer = farm.slipway("agents", "retire", holder.name, "--reason", "old").stdout
    expect(answer == f"{holder.name}: retiring\n", answer)
    build = succeeded(farm, run)
    expect(build["attempt"] == "1" and build["agent"] == holder.name, build)
    expect(holder.process.wait(60) == 77, holder.tail())
    expect_in("this agent was retired: old", log_of(holder))
    until("it to be history", lambda: holder.name not in farm.slipway("agents").stdout, 10)
    farm.agents.remove(holder)
    refused = farm.slipway("agents", "resume", holder.name, check=False)
    expect(refused.returncode == 3 and "left the farm" in refused.stderr, refused.stderr)


@case("join tokens: listed, used once, revoked")
def tokens(farm):
    made = farm.json("agents", "token")
    expect_in(made["id"], farm.slipway("agents", "token", "list").stdout)
    farm.slipway("agents", "token", "revoke", made["id"])
    again = farm.slipway("agents", "token", "revoke", made["id"], check=False)
    expect(again.returncode == 3 and "revoked already" in again.stderr, again.stderr)
    done = subprocess.run([program("slipway-agent"), "join", f"127.0.0.1:{farm.port}", "--token", made["token"],
                           "--data-dir", str(farm.folder / "nobody"), "--name", "nobody"],
                          capture_output=True, text=True, timeout=30)
    expect(done.returncode == 1 and "join token is not valid" in done.stderr, done.stderr)
    expect_in("event=join_refused token=revoked name=nobody", farm.controller.tail(200))
    listed = farm.slipway("agents", "token", "list", "--all").stdout
    expect(re.search(rf"{made['id']}  revoked .* admin", listed), listed)
    expect(re.search(r"used .* agent-2", listed), listed)


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=2, agent_options="slots: 1\n",
                           controller_options="agent_certificates: {lifetime: 30s, overlap: 60s}\n"))
