"""Builds that fail, each in its own way: the right class, the tool's own words, what to do in
English and Chinese, an exit status that is not 0, the log kept, nothing archived, nothing left."""

import datetime
import hashlib
import os
import signal
import time

from farm import Farm, Suite, docker, expect, expect_in, failure_of, lab, processes, until, words_of

suite = Suite()
case = suite.case
apps = {}

LOG_BYTES = int(os.environ.get("SLIPWAY_E2E_LOG_BYTES", "200000000"))


def fails(farm, branch, files, klass, reason, words="", message="", log="", platform="demo", more=(), seconds=90,
          remedy=True):
    """Commits `files`, submits, and checks all that holds for every failed build; the task."""
    if "lab" not in apps:
        apps["lab"] = farm.application("lab")
    if files is not None:
        apps["lab"].commit({"slipway.yaml": files} if isinstance(files, str) else files, branch)
    run, _ = farm.submit("lab", platform, *more, ref=branch)
    return check(farm, run, klass, reason, words, message, log, seconds, remedy)


def check(farm, run, klass, reason, words="", message="", log="", seconds=90, remedy=True):
    follow = farm.slipway("follow", run, check=False, timeout=seconds)
    build = farm.finish(run)[0]
    failure = failure_of(build)
    facts = (failure, words_of(build), follow.stdout[-3000:], follow.stderr)
    expect(build["state"] == "TASK_STATE_FAILED", build["state"], *facts)
    expect(failure["failure_class"] == f"FAILURE_CLASS_{klass}" and failure["reason"] == reason, *facts)
    expect(follow.returncode == 1, follow.returncode, *facts)
    expect_in(words, words_of(build))
    expect_in(message, failure["message"])
    expect_in(reason, follow.stdout)
    expect("not complete" not in follow.stdout, *facts)
    if remedy:
        expect(failure.get("remedy") and failure.get("remedy_zh"), *facts)
        expect_in("what to do", follow.stdout)
        chinese = farm.slipway("--lang", "zh", "tasks", "show", build["id"]).stdout
        expect_in("处理办法", chinese)
        expect_in(failure["remedy_zh"].split("。")[0][:20], chinese.replace("\n", ""))
    kept = farm.log(build["id"])
    expect_in(log or message[:40], kept.decode(errors="replace"))
    # Nothing is archived or released, and no container is left.
    expect(farm.slipway("archive", "show", build["id"], check=False).returncode != 0)
    expect(not farm.releases())
    farm.no_containers()
    return build


@case("a slipway-init that does not react (frozen here, awaited at the end)")
def freeze_init(_):
    # A farm of its own: every other case looks that no container is left.
    apps["frozen"] = frozen = Farm(agents=1)
    suite.more_farms.append(frozen)
    frozen.start()
    frozen.application("lab").commit({"slipway.yaml": lab("echo begun\nsleep 87654", timeout="10s")}, "main")
    apps["frozen run"], tasks = frozen.submit("lab", "demo")
    until("the script to run", lambda: processes("sleep 87654"))
    (container,) = frozen.containers()
    os.kill(int(docker("inspect", "--format", "{{.State.Pid}}", container)), signal.SIGSTOP)


@case("a script that fails: its own words and its exit status")
def script_fails(farm):
    build = fails(farm, "fails", lab("echo compiling\necho 'main.c:3: boom' >&2\nexit 3"), "BUILD", "SCRIPT_FAILED",
                  words="main.c:3: boom", message="3", log="compiling\nmain.c:3: boom")
    expect(build["result"]["exit_code"] == 3, build["result"])


@case("a script that says itself what is wrong")
def script_says(farm):
    fails(farm, "says", lab("echo '{\"error\": \"lint found 3 problems 有三个问题\"}' >$SLIPWAY_RESULT; exit 1"),
          "BUILD", "SCRIPT_FAILED", message="lint found 3 problems 有三个问题")


@case("a script killed by a signal")
def script_killed(farm):
    fails(farm, "killed", lab("echo dying; kill -SEGV $$"), "BUILD", "SCRIPT_FAILED", message="signal 11", log="dying")


@case("a script that leaves daemons behind succeeds, and they are gone")
def daemons(farm):
    app = apps["lab"]
    app.commit({"slipway.yaml": lab("mkdir out; echo x >out/x\nsetsid sleep 98761 </dev/null >/dev/null 2>&1 &\n"
                                    "(sleep 98762 &)\necho done")}, "daemons")
    run, _ = farm.submit("lab", "demo", ref="daemons")
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED", failure_of(build))
    expect_in("left behind", farm.log(build["id"]).decode())
    farm.no_containers()
    expect(not processes("sleep 9876"), processes("sleep 9876"))


@case("a script that runs too long and ignores TERM")
def timeout(farm):
    fails(farm, "slow", lab("trap '' TERM INT HUP\necho holding on\nwhile :; do sleep 1; done", timeout="2s"), "TIMEOUT",
          "RUN_TIMEOUT", words="holding on", message="2s", log="holding on")


@case("a script that falls silent")
def silent(farm):
    fails(farm, "silent", lab("echo thinking; sleep 98763", quiet="2s"), "TIMEOUT", "NO_OUTPUT_TIMEOUT",
          words="thinking", message="2s")
    expect(not processes("sleep 98763"))


@case("a script that ignores TERM when it is canceled")
def cancel_stubborn(farm):
    apps["lab"].commit({"slipway.yaml": lab("trap '' TERM INT HUP\necho holding on\nwhile :; do sleep 98764; done")}, "stubborn")
    run, tasks = farm.submit("lab", "demo", ref="stubborn")
    task = tasks[0]["id"]
    farm.wait_log(task, "holding on")
    farm.slipway("cancel", task, "--reason", "no longer wanted")
    build = farm.wait_state(task, "canceled", seconds=30)
    expect(failure_of(build)["failure_class"] == "FAILURE_CLASS_CANCELED", build)
    expect_in("holding on", farm.log(task).decode())
    expect(farm.slipway("follow", run, check=False).returncode == 1)
    farm.no_containers()
    expect(not processes("sleep 98764"))


@case("a script that fills the disk in many files")
def disk(farm):
    fails(farm, "disk", lab("n=0\nwhile :; do n=$((n + 1)); dd if=/dev/zero of=f$n bs=1M count=8 2>/dev/null; echo $n; sleep 0.2; done",
                            limits="disk: 64MiB"), "POLICY", "DISK_LIMIT", message="64")


@case("a script that fills the disk in one file")
def one_file(farm):
    fails(farm, "onefile", lab("echo writing\ndd if=/dev/zero of=big bs=1M count=500", limits="disk: 64MiB"), "BUILD",
          "SCRIPT_FAILED", words="limit exceeded", log="writing")


@case("a script that runs out of memory")
def memory(farm):
    fails(farm, "memory", lab("echo eating\nx=x; while :; do x=$x$x$x$x; done", limits="memory: 64MiB"), "POLICY", "MEMORY_LIMIT",
          message="64", log="eating")


@case("a script that forks without end is held, and its processes are gone")
def forks(farm):
    fails(farm, "forks", lab("f() { f | f & }\necho forking\nf\nsleep 3\nexit 1", limits="pids: 64", timeout="20s"), "BUILD",
          "SCRIPT_FAILED", log="forking")


@case(f"{LOG_BYTES // 1000000} MB of log are complete, byte for byte")
def big_log(farm):
    chunk = "".join(f"{number}\n" for number in range(1, 1000001))
    rounds = LOG_BYTES // len(chunk) + 1
    apps["lab"].commit({"slipway.yaml": lab(
        "seq 1 1000000 >chunk\necho BEGIN-OF-IT\ni=0\n"
        f"while [ $i -lt {rounds} ]; do echo round $i; cat chunk; i=$((i + 1)); done\n"
        "echo END-OF-IT; mkdir out; echo x >out/x", timeout="10m")}, "biglog")
    run, tasks = farm.submit("lab", "demo", ref="biglog")
    started = time.monotonic()
    (build,) = farm.finish(run, 300)
    took = time.monotonic() - started
    expect(build["state"] == "TASK_STATE_SUCCEEDED", failure_of(build))
    wanted, size = hashlib.sha256(), 0
    for number in range(rounds):
        for part in (f"round {number}\n".encode(), chunk.encode()):
            wanted.update(part)
            size += len(part)
    log = farm.log(build["id"])
    expect(len(log) == int(build["result"]["log"]["size"]), len(log))
    begin = log.index(b"BEGIN-OF-IT\n") + len(b"BEGIN-OF-IT\n")
    expect(hashlib.sha256(log[begin:begin + size]).hexdigest() == wanted.hexdigest(), size)
    expect(log[begin + size:].startswith(b"END-OF-IT\n"), log[begin + size:][:80])
    # A viewer who comes later may begin anywhere.
    tail = farm.slipway("logs", build["id"], "--offset", begin + size, text=False).stdout
    expect(tail == log[begin + size:])
    print(f"    {size / 1e6:.0f} MB in {took:.1f} s with everything around it")


@case("bytes that are no text come through")
def binary(farm):
    apps["lab"].commit({"slipway.yaml": lab("mkdir out; echo x >out/x\nprintf 'B\\000\\377\\200\\033[31m\\rE\\n'")}, "binary")
    run, _ = farm.submit("lab", "demo", ref="binary")
    (build,) = farm.finish(run)
    expect_in(b"B\x00\xff\x80\x1b[31m\rE\n", farm.log(build["id"]))


@case("a ref that is not there")
def unknown_ref(farm):
    fails(farm, "no-such-branch", None, "BUILD", "REF_UNKNOWN", message="no-such-branch")


@case("a repository that cannot be reached")
def unreachable(farm):
    farm.slipway("apps", "create", "far", "--repository", "https://127.0.0.1:9/far.git")
    run, _ = farm.submit("far", "demo")
    check(farm, run, "NETWORK", "REPOSITORY_UNREACHABLE", words="127.0.0.1")


@case("an image that is not there")
def image(farm):
    fails(farm, "image", lab("true", image="nobody/has-this:7"), "POLICY", "IMAGE_MISSING", message="nobody/has-this:7")


@case("a repository without slipway.yaml")
def no_yaml(farm):
    fails(farm, "noyaml", {"README": "nothing\n"}, "BUILD", "FILE_UNKNOWN", message="slipway.yaml")


@case("a slipway.yaml with mistakes: file, line and key of each")
def broken_yaml(farm):
    build = fails(farm, "broken", "version: 1\nbuild:\n  image: slipway-test-min:1\n  scirpt: x\n  timeout: soon\n"
                  "platforms:\n  demo: {output: out}\n", "BUILD", "CONFIG_INVALID", message="slipway.yaml:4:")
    expect_in("scirpt", failure_of(build)["message"])
    expect_in("slipway.yaml:5:", failure_of(build)["message"])


@case("a slipway.yaml that asks for what only an operator may give")
def forbidden_yaml(farm):
    fails(farm, "forbidden", lab("true", more="  volumes: [/:/host]\n"), "BUILD", "CONFIG_INVALID", message="volumes")


@case("a slipway.yaml that is no YAML")
def no_yaml_at_all(farm):
    fails(farm, "garbage", "version: 1\n  build: [\n", "BUILD", "CONFIG_INVALID", message="slipway.yaml:2:")


@case("a slipway.yaml that is a bomb of aliases is refused at once")
def bomb(farm):
    text = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdefgh", "bcdefghi"):
        text += f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
    started = time.monotonic()
    fails(farm, "bomb", text + "version: 1\n", "BUILD", "CONFIG_INVALID", message="slipway.yaml")
    expect(time.monotonic() - started < 20)


@case("a slipway.yaml that is a link to a file of the agent's machine")
def link_yaml(farm):
    build = fails(farm, "linkyaml", {"slipway.yaml@": "/etc/passwd"}, "BUILD", "FILE_UNKNOWN", message="slipway.yaml")
    expect("root:" not in farm.log(build["id"]).decode())


@case("an output path that leads out of the workspace by name")
def output_dots(farm):
    fails(farm, "dots", lab("true", output="../../etc"), "BUILD", "CONFIG_INVALID", message="output")


@case("an output path that leads out of the workspace by a link")
def output_link(farm):
    fails(farm, "outlink", lab("ln -s /etc out"), "POLICY", "OUTPUT_OUTSIDE", message="out")


@case("a product with a link that leads out of it")
def product_link(farm):
    build = fails(farm, "productlink", lab("mkdir out; echo x >out/x; ln -s /etc/passwd out/y"), "POLICY", "UNSAFE_PATH")
    expect_in("y -> /etc/passwd", failure_of(build)["message"])


@case("a build that makes no product")
def no_output(farm):
    fails(farm, "noout", lab("echo nothing"), "BUILD", "NO_OUTPUT", message="out", log="nothing")
    fails(farm, "emptyout", lab("mkdir out"), "BUILD", "NO_OUTPUT", message="out")


@case("a platform that slipway.yaml does not have")
def platform(farm):
    fails(farm, "platform", lab("true"), "BUILD", "UNKNOWN_PLATFORM", message="demo", platform="alipay")


@case("a script cannot reach the network, the engine's socket, other builds or the agent's files")
def confined(farm):
    apps["lab"].commit({"slipway.yaml": lab(
        "mkdir out; id -u >out/uid; cat /proc/self/status >out/status; ls / >out/root\n"
        "ls /var/run/docker.sock >out/socket 2>&1 || true\nls /sys/class/net >out/net\nps >out/ps\n"
        "ls /slipway/control >out/control 2>&1 || true\nmknod out/dev b 8 0 2>out/mknod || true\n"
        "env | sort >out/env")}, "confined")
    run, _ = farm.submit("lab", "demo", ref="confined")
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED", failure_of(build))
    target = farm.folder / "confined"
    farm.slipway("archive", "get", build["id"], "--dir", target)
    read = lambda name: (target / name).read_text()
    expect(read("uid").strip() == "1000", read("uid"))
    expect_in("CapEff:\t0000000000000000", read("status"))
    expect_in("CapBnd:\t0000000000000000", read("status"))
    expect_in("NoNewPrivs:\t1", read("status"))
    expect(read("net").split() == ["lo"], read("net"))
    expect_in("No such file", read("socket"))
    expect_in("ermission denied", read("control"))
    expect(len(read("ps").splitlines()) < 12, read("ps"))
    expect("admin.token" not in read("env") and str(farm.folder) not in read("env"), read("env"))


@case("several builds at once, each with its own log")
def several(farm):
    app = apps["lab"]
    runs = []
    for number in range(6):
        app.commit({"slipway.yaml": lab(f"mkdir out\nfor i in 1 2 3 4 5; do echo build-{number} line $i; done | tee out/x")}, f"many-{number}")
        runs.append(farm.submit("lab", "demo", ref=f"many-{number}")[0])
    for number, run in enumerate(runs):
        (build,) = farm.finish(run)
        expect(build["state"] == "TASK_STATE_SUCCEEDED", failure_of(build))
        log = farm.log(build["id"]).decode()
        for line in range(1, 6):
            expect_in(f"build-{number} line {line}\n", log)
        expect(all(f"build-{other} line" not in log for other in range(6) if other != number), log)
    farm.no_containers()


@case("a slipway-init that does not react: the agent ends the build a minute after its limit")
def frozen_init(_):
    if "frozen run" not in apps:
        freeze_init(None)
    frozen = apps["frozen"]
    (build,) = frozen.finish(apps["frozen run"])
    expect(build["state"] == "TASK_STATE_FAILED", build)
    expect(failure_of(build)["reason"] == "RUN_TIMEOUT", failure_of(build))
    # Not by init, which would have ended it at its limit.
    took = [datetime.datetime.fromisoformat(build[name][:19]) for name in ("started_at", "finished_at")]
    expect(took[1] - took[0] > datetime.timedelta(seconds=60), build)
    expect_in("begun", frozen.log(build["id"]).decode())
    frozen.no_containers()
    expect(not processes("sleep 87654"))


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=1, agent_options="slots: 3\n"))
