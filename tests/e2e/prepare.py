"""Images that are made of a builder image and the dependency files of a commit: once, confined, and kept."""

import json

from farm import Farm, Suite, docker, expect, expect_in, failure_of, until

suite = Suite()
case = suite.case
state = {}

BUILDER = "slipway-builder:1"
WORDS = "preparing an image"

# Node.js finds modules beside /prepared/node_modules when the work tree has a link to it.
PROJECT = """version: 1
build:
  image: {image}
  timeout: 2m
  network: none
  env: {{FLAVOUR: it's sweet}}
  prepare:
{prepare}
  run: |
    {run}
platforms:
  demo: {{output: out}}
"""

PREPARE = """    apt: [jq]
    files: [package.json, tools/make module.sh]
    run: |
      sh 'tools/make module.sh'
      id -u > by-whom
      echo "$FLAVOUR" > flavour
"""

RUN = """test "$SLIPWAY_PREPARED" = /prepared && test "$(id -u)" != 0
    ln -s /prepared/node_modules node_modules
    jq -r .name /prepared/package.json
    node -e 'console.log("module says " + require("answer"))'
    cat /prepared/by-whom /prepared/flavour
    mkdir out; cp /prepared/flavour out/"""

MODULE = """set -eu
mkdir -p node_modules/answer
echo 'module.exports = 42' > node_modules/answer/index.js
"""


def project(prepare=PREPARE, run=RUN, image=BUILDER):
    return PROJECT.format(image=image, prepare=prepare.rstrip(), run=run)


def tree(name="deps"):
    return {"slipway.yaml": project(), "package.json": json.dumps({"name": name}), "tools/make module.sh": MODULE}


def quick(prepare):
    return project("    run: |\n" + "".join(f"      {line}\n" for line in prepare.splitlines()), "mkdir out; cp /prepared/* out/",
                   "slipway-test-min:1")


def images(farm):
    """Names of those that this farm's agents made."""
    shown = docker("image", "ls", "--filter", f"label=io.slipway.farm={farm.farm_id}", "--format", "{{.Repository}}:{{.Tag}}")
    return sorted(shown.split())


def preparing(farm):
    return docker("ps", "--quiet", "--no-trunc", "--filter", f"label=io.slipway.farm={farm.farm_id}",
                  "--filter", "label=io.slipway.kind=prepare").split()


def build(farm, app, ref="main"):
    (task,) = farm.finish(farm.submit(app, "demo", ref=ref)[0])
    return task, farm.log(task["id"]).decode()


@case("packages, files and a script of slipway.yaml become an image, in which the build runs without network and rights")
def first(farm):
    app = state["app"] = farm.application("deps")
    app.commit(tree())
    task, log = build(farm, "deps")
    expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task), log)
    for words in (WORDS, "prepared in", "deps\nmodule says 42\n0\nit's sweet\n"):
        expect_in(words, log)
    (name,) = state["images"] = images(farm)
    expect(task["result"]["build"]["image"] == name and name.startswith("slipway-prepared/"), task, name)
    expect(task["result"]["build"]["image_digest"] == docker("image", "inspect", "--format", "{{.Id}}", name), task)
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", name))
    expect(not labels["io.slipway.task"] and not labels["io.slipway.kind"], labels)


@case("the next build finds it, another commit with the same dependencies as well; another application makes its own")
def again(farm):
    _, log = build(farm, "deps")
    expect(WORDS not in log, log)
    state["app"].commit({**tree(), "README": "more"})
    task, log = build(farm, "deps")
    expect(WORDS not in log and task["state"] == "TASK_STATE_SUCCEEDED", log)
    expect(images(farm) == state["images"], images(farm))
    other = farm.application("other")
    other.commit({"slipway.yaml": quick("echo other > whose")})
    third = farm.application("third")
    third.commit({"slipway.yaml": quick("echo other > whose")})
    for name in ("other", "third"):
        task, log = build(farm, name)
        expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task))
        expect_in(WORDS, log)
    expect(len(images(farm)) == 3, images(farm))


@case("a dependency file that changes makes another image")
def changed(farm):
    before = images(farm)
    state["app"].commit(tree("renamed"))
    task, log = build(farm, "deps")
    expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task))
    expect_in("renamed\nmodule says 42", log)
    expect(len(images(farm)) == len(before) + 1, images(farm))


@case("a script that fails, a package that does not exist, a file that is missing: each says so and leaves nothing")
def failures(farm):
    before = images(farm)
    app = state["app"]
    app.commit({"slipway.yaml": project("    run: |\n      echo half >half\n      echo no such luck >&2\n      exit 3\n")}, "fails")
    app.commit({"slipway.yaml": project("    apt: [no-such-package-of-debian]\n")}, "unknown")
    app.commit({"slipway.yaml": project("    files: [absent.json]\n    run: echo\n")}, "absent")
    app.commit({"slipway.yaml": project("    run: sleep 60\n    timeout: 2s\n")}, "slow")
    for ref, reason, words in (("fails", "PREPARE_FAILED", "no such luck"), ("unknown", "PREPARE_FAILED", "no-such-package-of-debian"),
                               ("absent", "PREPARE_FILE_MISSING", "absent.json"), ("slow", "PREPARE_TIMEOUT", "2.0 s")):
        task, log = build(farm, "deps", ref)
        expect(task["state"] == "TASK_STATE_FAILED" and failure_of(task)["reason"] == reason, ref, failure_of(task))
        expect_in(words, log)
        expect(failure_of(task)["remedy"] and failure_of(task)["remedy_zh"], failure_of(task))
    expect(images(farm) == before and not preparing(farm), images(farm))


@case("while it is made the container has no rights on the machine and the build's limits; a cancel ends it at once")
def confined(farm):
    state["app"].commit({"slipway.yaml": project("    run: echo here; sleep 100\n")}, "long")
    run, (task,) = farm.submit("deps", "demo", ref="long")
    (container,) = until("the container", lambda: preparing(farm), 30)
    host = json.loads(docker("inspect", container))[0]["HostConfig"]
    expect(host["CapDrop"] == ["ALL"] and "SYS_ADMIN" not in host["CapAdd"] and not host["Privileged"], host)
    expect(any("no-new-privileges" in option for option in host["SecurityOpt"]), host)
    expect(host["Memory"] == host["MemorySwap"] == 2 << 30 and host["PidsLimit"] == 512, host)
    binds = [bind for bind in host["Binds"] or []] + [mount["Target"] for mount in host.get("Mounts") or []]
    expect(not any("docker.sock" in bind for bind in binds), binds)
    farm.slipway("cancel", task["id"])
    (ended,) = farm.finish(run, 20)
    expect(ended["state"] == "TASK_STATE_CANCELED", ended)
    until("the container to be gone", lambda: not preparing(farm), 20)


@case("two builds that want the same image wait for one")
def together(farm):
    before = len(images(farm))
    app = farm.application("pair")
    app.commit({"slipway.yaml": quick("sleep 4; echo once > made")})
    runs = [farm.submit("pair", "demo")[0] for _ in range(2)]
    tasks = [farm.finish(run)[0] for run in runs]
    expect(all(task["state"] == "TASK_STATE_SUCCEEDED" for task in tasks), [failure_of(task) for task in tasks])
    expect(sum(WORDS in farm.log(task["id"]).decode() for task in tasks) == 1)
    expect(len(images(farm)) == before + 1, images(farm))


@case("another agent takes the image that one has made: the same, without making it; a damaged one is made anew")
def shared(farm):
    other = farm.add_agent("agent-2")
    farm.wait_agents()
    app = farm.application("shared")
    app.commit({"slipway.yaml": quick("head -c 300000 /dev/urandom > random; sleep 1")})
    first, second = sorted(agent["name"] for agent in farm.json("agents")["agents"])
    digests, before = {}, set(images(farm))
    for name in (first, second):
        if name == second:
            # Both have one Engine, in which agent-2 would find it.
            (image,) = set(images(farm)) - before
            docker("image", "rm", "--force", image)
        others = second if name == first else first
        farm.slipway("agents", "pause", others, "--reason", "test")
        task, log = build(farm, "shared")
        farm.slipway("agents", "resume", others)
        expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task), log)
        digests[name] = task["result"]["build"]
        expect_in(WORDS if name == first else "took the image", log)
    expect(digests[first]["image_digest"] == digests[second]["image_digest"], digests)
    expect(digests[first]["manifest"] == digests[second]["manifest"], digests)
    farm.query("UPDATE prepared_images SET manifest = repeat('0', 64)")
    docker("image", "rm", "--force", image)
    task, log = build(farm, "shared")
    expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task), log)
    expect_in(WORDS, log)
    other.stop()
    farm.agents.remove(other)


@case("kill -9 of the agent in the middle: it is made anew, whole, and once")
def killed(farm):
    before = len(images(farm))
    app = farm.application("killed")
    app.commit({"slipway.yaml": quick("echo one > one; sleep 5; echo two > two")})
    run, _ = farm.submit("killed", "demo")
    until("the container", lambda: preparing(farm), 30)
    farm.agents[0].kill9()
    farm.agents[0].start()
    farm.wait_agents()
    (task,) = farm.finish(run)
    expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task), farm.log(task["id"]).decode())
    expect(task["result"]["build"]["artifact_files"] == 2, task)
    expect(len(images(farm)) == before + 1 and not preparing(farm), images(farm))


@case("a builder image of a newer Node.js builds, and prepares, with that one")
def newer_node(farm):
    run = "node -p '\"runs \" + process.version'; npm --version; cat /prepared/with; mkdir out; touch out/x"
    prepare = "    run: |\n      node --version > with; npm --version >> with\n"
    farm.application("node22").commit({"slipway.yaml": project(prepare, run, "slipway-builder-node22:1")})
    task, log = build(farm, "node22")
    expect(task["state"] == "TASK_STATE_SUCCEEDED", failure_of(task), log)
    expect("runs v22." in log and "\nv22." in log and log.count("\n10.") == 2, log)


@case("what slipway.yaml may not say is refused by line and key")
def refused(farm):
    for number, (prepare, words) in enumerate((("    apt: ['-o=x']\n", "is not a Debian package"), ("    files: [../x]\n    run: a\n", "inside the work tree"),
                                               ("    files: [a]\n", "nothing to do"), ("    cap_add: [x]\n    run: a\n", "cap_add"))):
        state["app"].commit({"slipway.yaml": project(prepare)}, f"bad{number}")
        task, log = build(farm, "deps", f"bad{number}")
        expect(failure_of(task)["reason"] == "CONFIG_INVALID", failure_of(task))
        expect_in(words, failure_of(task)["message"])


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=1, agent_options="slots: 2\n"))
