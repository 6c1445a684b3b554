"""A private farm of real programs for end-to-end tests: a controller with its embedded PostgreSQL,
agents, the stand-in cloud and git repositories, all in one temporary directory, on free ports, with
a Docker network of its own. It always takes itself down, and says what it left behind.

    with Farm(agents=1) as farm:
        app = farm.application("lab")
        run = farm.submit("lab", "demo", ref=app.commit({"slipway.yaml": "…"}))
        task = farm.finish(run)["tasks"][0]

SLIPWAY_BUILD names the build folder (default build/dev), SLIPWAY_KEEP=1 keeps the directory of a
farm that failed.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile

from application import Application
from daemon import Daemon
from suite import Failed, Suite, expect, expect_in, until  # noqa: F401 - the tests take them from here

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLIPWAY_BUILD") or REPOSITORY / "build/dev")
APP_ID = "wx5e1f0c2d3b4a6978"
WEIXIN = "weixin"

# --- Small tools ----------------------------------------------------------------------------------


def program(name):
    for folder in ("bin", "controller", "controller/cli", "agent", "agent/init"):
        path = BUILD / folder / name
        if path.is_file():
            return str(path)
    raise Failed(f"{BUILD} holds no program {name}: build it first (ninja -C {BUILD})")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def docker(*arguments, check=True):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise Failed(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def sha256_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def tree_of(folder):
    """{relative path: (mode & 0o111, bytes)} of all files below."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def json_lines(path):
    try:
        return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
    except FileNotFoundError:
        return []


def processes(pattern):
    """[(pid, command line)] of the processes whose command line holds `pattern`."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            line = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if pattern.encode() in line:
            found.append((int(entry), line.decode(errors="replace").strip()))
    return found


# --- The farm -------------------------------------------------------------------------------------


class Farm:
    """See the top of the file. `targets`: further publish targets, as YAML
    documents of kind target, each behind a line "---", with {proxy} and {ca} filled in. `agent_options`, `controller_options`: YAML of
    their options; `docker_options`: more entries of the agents' `docker`, each with a comma before it."""

    def __init__(self, agents=1, standin=False, targets="", agent_options="", deadline="2m", controller_options="", docker_options=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-e2e-"))
        self.folder.chmod(0o755)
        self.tag = secrets.token_hex(4)
        self.network = f"slipway-e2e-{self.tag}"
        # Docker's own pool holds 31 networks, which other tests on the machine may have used up.
        self.subnet = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}.0/24"
        self.port = free_port()
        self.http_port = 0  # any
        self.agent_count, self.with_standin = agents, standin
        self.targets, self.agent_options, self.deadline = targets, agent_options, deadline
        self.controller_options = controller_options
        self.docker_options = docker_options
        self.controller = None
        self.agents = []
        self.farm_id = ""
        self.keys = {}
        self.followers = []
        self.stray = []

    def start(self):
        proxy, ca = self.start_standin() if self.with_standin else ("", "")
        standard = (f"---\n{{kind: target, platform: weixin, image: 'slipway-publisher-weixin:1', "
                    f"proxy: '{proxy}', ca_file: '{ca}', deadline: {self.deadline}}}\n"
                    if self.with_standin else "")
        targets = standard + self.targets.replace("{proxy}", proxy).replace("{ca}", ca)
        self.config = self.folder / "controller.yaml"
        self.config.write_text(
            f"data_dir: {self.folder}/controller\nlisten: 127.0.0.1:{self.port}\nhttp_listen: 127.0.0.1:{self.http_port}\n"
            "allow_local_repositories: true\n" + self.controller_options)
        self.controller = Daemon("controller", [program("slipway-controller"), "--config", str(self.config)],
                                 self.folder / "controller.log")
        self.start_controller()
        if targets:
            catalog = self.folder / "catalog.yaml"
            catalog.write_text(targets)
            self.slipway("apply", "-f", str(catalog))
        for number in range(1, self.agent_count + 1):
            self.add_agent(f"agent-{number}")
        self.wait_agents()

    # --- Parts ---

    def start_standin(self):
        for name in ("right", "wrong"):
            key = self.folder / f"{name}.key"
            subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "2048"], check=True,
                           capture_output=True)
            key.chmod(0o600)
            self.keys[name] = key
        public = self.folder / "right.pub"
        subprocess.run(["openssl", "pkey", "-in", self.keys["right"], "-pubout", "-out", public],
                       check=True, capture_output=True)
        self.cloud = self.folder / "cloud"
        return self.run_standin()

    def run_standin(self):
        """(proxy, CA file). Again: it keeps its port, and what it saw."""
        public = self.folder / "right.pub"
        done = subprocess.run([str(REPOSITORY / "deploy/demo/standin/start"), str(self.cloud),
                               "--listen", host_address(), "--app", f"{APP_ID}={public}", *self.standin_applications()],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failed(f"the stand-in does not start: {done.stderr}")
        answer = dict(line.split(" ", 1) for line in done.stdout.splitlines())
        return answer["proxy"], answer["ca"]

    def standin_applications(self):
        """Arguments that register more applications at the stand-in."""
        return []

    def start_controller(self, seconds=60, **environment):
        self.controller.start(**environment)
        def ready():
            if not self.controller.running():
                raise Failed(f"the controller ended:\n{self.controller.tail()}")
            return self.slipway("agents", check=False).returncode == 0
        until("the controller to answer", ready, seconds)

    def add_agent(self, name, online=True, data=None):
        data = pathlib.Path(data or self.folder / name)
        token = json.loads(self.slipway("--json", "agents", "token").stdout)["token"]
        done = subprocess.run([program("slipway-agent"), "join", self.agent_server(name), "--token", token,
                               "--data-dir", str(data), "--name", name],
                              capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise Failed(f"{name} cannot join: {done.stdout}{done.stderr}")
        found = re.search(r"^farm: *\"?([^\"\n]*)", (data / "agent.yaml").read_text(), re.M)
        self.farm_id = found.group(1)
        options = self.folder / f"{name}.yaml"
        engine = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
        engine = f", socket: {engine}" if engine else ""
        options.write_text(f"docker: {{network: {self.network}, subnet: {self.subnet}{engine}{self.docker_options}}}\n"
                           "git: {allow_file: true}\n"
                           f"init_binary: {program('slipway-init')}\n{self.agent_options}")
        agent = Daemon(name, [program("slipway-agent"), "run", "--data-dir", str(data), "--config", str(options)],
                       self.folder / f"{name}.log")
        self.agents.append(agent)
        if online:
            agent.start()
        return agent

    def agent_server(self, name):
        """Where the agent `name` finds the controller."""
        return f"127.0.0.1:{self.port}"

    def wait_agents(self, seconds=30):
        def online():
            for agent in self.agents:
                if agent.process is not None and not agent.running():
                    raise Failed(f"{agent.name} ended:\n{agent.tail()}")
            listed = self.json("agents").get("agents", [])
            return sum(1 for one in listed if one.get("online")) >= sum(a.running() for a in self.agents)
        until("the agents to be online", online, seconds)

    def recover(self):
        """After a case: everything runs again, nothing is queued or running."""
        if self.with_standin:
            self.fault({})
        for follower in self.followers:
            if follower.poll() is None:
                follower.kill()
                follower.wait()
        self.followers.clear()
        try:
            if not self.controller.running():
                self.start_controller()
            for agent in self.agents:
                if agent.process is not None and not agent.running():
                    agent.start()
            for task in self.json("tasks").get("tasks", []):
                if task["state"] in OPEN_STATES:
                    self.slipway("cancel", task["id"], check=False)
            until("an idle farm", lambda: not any(
                task["state"] in OPEN_STATES for task in self.json("tasks").get("tasks", [])), 40)
            self.wait_agents()
        except (Failed, ValueError):
            pass  # the next case will say so

    # --- The command line ---

    def command(self, *arguments, ca=None, token=None):
        return [program("slipway"), "--server", f"127.0.0.1:{self.port}",
                "--ca", str(ca or self.folder / "controller/ca.pem"),
                "--token-file", str(token or self.folder / "controller/admin.token"), *map(str, arguments)]

    def slipway(self, *arguments, check=True, timeout=240, text=True, **files):
        environment = dict(os.environ, SLIPWAY_LANG="en", NO_COLOR="1")
        done = subprocess.run(self.command(*arguments, **files), capture_output=True, text=text, timeout=timeout,
                              stdin=subprocess.DEVNULL, env=environment)
        if check and done.returncode != 0:
            raise Failed(f"slipway {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments):
        return json.loads(self.slipway("--json", *arguments).stdout)

    def application(self, name):
        application = Application(self, name)
        self.slipway("apps", "create", name, "--repository", f"file://{application.bare}")
        return application

    def submit(self, app, platform, *more, ref="main"):
        """The run's id and its tasks."""
        answer = self.json("submit", "--app", app, "--platform", platform, "--ref", ref, *more)
        return answer["run"], answer["tasks"]

    def follow(self, run):
        """A person who follows the run, as a process in the background."""
        process = subprocess.Popen(self.command("follow", run), stdout=open(self.folder / f"follow-{run}.out", "wb"),
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   env=dict(os.environ, SLIPWAY_LANG="en", NO_COLOR="1"))
        self.followers.append(process)
        process.output = self.folder / f"follow-{run}.out"
        return process

    def finish(self, run, seconds=240):
        """Waits for the end of a run; its tasks in order: build, publish."""
        def ended():
            tasks = self.json("tasks", "--run", run)["tasks"]
            return all(task["state"] not in OPEN_STATES for task in tasks)
        until(f"{run} to end", ended, seconds)
        tasks = [self.task(task["id"]) for task in self.json("tasks", "--run", run)["tasks"]]
        return sorted(tasks, key=lambda task: task["kind"])

    def task(self, task):
        return self.json("tasks", "show", task)

    def wait_state(self, task, *states, seconds=60):
        wanted = {f"TASK_STATE_{state.upper()}" for state in states}
        return until(f"{task} to be {' or '.join(states)}",
                     lambda: (lambda now: now if now["state"] in wanted else None)(self.task(task)), seconds)

    def log(self, task):
        """The task's log, exactly."""
        return self.slipway("logs", task, text=False).stdout

    def wait_log(self, task, words, seconds=60):
        def there():
            done = self.slipway("logs", task, text=False, check=False)
            return words.encode() in done.stdout
        until(f"{words!r} in the log of {task}", there, seconds)

    # --- The database, past all programs ---

    def database(self):
        """Of the embedded server as it runs: pid, and what libpq needs."""
        lines = (self.folder / "controller/postgres/data/postmaster.pid").read_text().splitlines()
        return {"pid": int(lines[0]), "libpq": f"host={lines[4]} port={lines[3]} user=slipway dbname=slipway"}

    def query(self, sql):
        """Rows of text."""
        psql = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql"))[-1]
        done = subprocess.run([str(psql), "-XAt", "-F", "\x1f", "-R", "\x1e", "-c", sql, self.database()["libpq"]],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failed(f"psql: {done.stderr.strip()}")
        text = done.stdout.removesuffix("\n")
        return [row.split("\x1f") for row in text.split("\x1e")] if text else []

    # --- What the farm has on the machine ---

    def owners(self):
        """{container: (kind, task, attempt)} of the attempts' containers. One that was taken from the
        pool is a build's and is known by its name, because labels never change."""
        shown = docker("ps", "--all", "--no-trunc", "--filter", f"label=io.slipway.farm={self.farm_id}", "--format",
                       '{{.ID}} {{.Names}} kind={{.Label "io.slipway.kind"}} task={{.Label "io.slipway.task"}} '
                       'attempt={{.Label "io.slipway.attempt"}}')
        found = {}
        for line in shown.splitlines():
            container, name, *labels = line.split()
            kind, task, attempt = (label.partition("=")[2] for label in labels)
            taken = re.search(r"-(task-[^-]+)-([0-9]+)$", name) if kind == "warm" else None
            if taken:
                kind, task, attempt = "build", *taken.groups()
            if task:
                found[container] = kind, task, attempt
        return found

    def containers(self, task=""):
        """Of attempts; of one task's when it is named."""
        return [container for container, (_, of, _) in self.owners().items() if task in ("", of)]

    def warm(self):
        """Containers that wait for a build."""
        shown = docker("ps", "--no-trunc", "--filter", f"label=io.slipway.farm={self.farm_id}",
                       "--filter", "label=io.slipway.kind=warm", "--filter", "name=-warm-", "--quiet")
        return shown.split()

    def holders(self):
        """Containers that hold kept networks."""
        return self.labelled("io.slipway.kind=network")

    def labelled(self, *more):
        filters = [part for label in (f"io.slipway.farm={self.farm_id}", *more) for part in ("--filter", f"label={label}")]
        return docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()

    def no_containers(self, seconds=20):
        until("all containers of attempts to be gone", lambda: not self.containers(), seconds)

    def fault(self, settings):
        """How the stand-in misbehaves from now on; see deploy/demo/standin/apps.mjs."""
        (self.cloud / "apps" / f"{APP_ID}.json").write_text(json.dumps(settings))

    def requests(self):
        return json_lines(self.cloud / "requests.jsonl")

    def uploads(self):
        return [request for request in self.requests() if request.get("path") == "/wxa/ci/upload"]

    def published(self):
        """What the stand-in accepted."""
        return json_lines(self.cloud / "releases.jsonl")

    def releases(self):
        return self.json("archive", "list").get("releases", [])

    def free_target(self, publish):
        """A publish of unknown outcome holds its target until somebody says something: says it."""
        if publish["state"] == "TASK_STATE_UNKNOWN":
            self.slipway("releases", "resolve", publish["id"], "--published", "--reason", "so that the next one may go")

    def seal(self, app, key, name="right"):
        out = self.folder / f"sealed-{app}-{name}"
        out.unlink(missing_ok=True)
        self.slipway("credentials", "seal", "--app", app, "--platform", WEIXIN, "--app-id", APP_ID,
                     "--key", str(key), "--out", str(out))
        return out.read_bytes()

    def shop(self, app, key="right"):
        """The demonstration program's files, with its credential sealed for `app`."""
        source = REPOSITORY / "deploy/demo/pocket-shop"
        files = tree_of(source)
        files[".slipway/weixin.credential"] = self.seal(app, self.keys[key], key)
        return files

    # --- The end ---

    def evidence(self):
        text = ""
        for command in ("agents", "tasks"):
            shown = self.slipway(command, check=False).stdout.splitlines()[:8]
            text += f"    --- {command}\n" + "".join(f"    {line}\n" for line in shown)
        for daemon in [self.controller, *self.agents]:
            if daemon is not None:
                text += f"    --- {daemon.name}\n" + "".join(f"    {line}\n" for line in daemon.tail(6).splitlines())
        return text

    def close(self, keep=False):
        """Takes everything down; what should not have been left, in words."""
        left = []
        for follower in self.followers:
            if follower.poll() is None:
                follower.kill()
                follower.wait()
        for daemon in [*self.agents, self.controller]:
            # An agent would first finish what it builds.
            number = signal.SIGTERM if daemon is self.controller else signal.SIGQUIT
            if daemon is not None and daemon.stop(number=number) is None:
                left.append(f"{daemon.name} did not end on {number.name}")
        if self.farm_id:
            for container in self.labelled():
                left.append(f"container {container[:12]} {docker('inspect', '--format', '{{.Name}} {{.State.Status}} {{.Config.Labels}}', container, check=False)}")
                docker("rm", "--force", container, check=False)
            # What agents prepare stays when they go.
            for image in docker("image", "ls", "--quiet", "--filter", f"label=io.slipway.farm={self.farm_id}").split():
                docker("image", "rm", "--force", image, check=False)
        if self.with_standin and hasattr(self, "cloud"):
            subprocess.run([str(REPOSITORY / "deploy/demo/standin/stop"), str(self.cloud)], capture_output=True, timeout=60)
        docker("network", "rm", self.network, check=False)  # the agents leave it for the next start
        if docker("network", "ls", "--quiet", "--filter", f"name={self.network}"):
            left.append(f"network {self.network}")
        for pid, line in processes(str(self.folder)):
            left.append(f"process {pid}: {line}")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if keep:
            left.append(f"kept {self.folder} (SLIPWAY_KEEP)")
        else:
            until("the directory to be removable", lambda: remove(self.folder), 10)
        return left


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def host_address():
    """An address of this machine that containers on any bridge reach."""
    bridge = docker("network", "inspect", "--format", '{{index .Options "com.docker.network.bridge.name"}}', "bridge")
    shown = subprocess.run(["ip", "-4", "-o", "address", "show", "dev", bridge or "docker0"],
                           capture_output=True, text=True, timeout=10).stdout
    return re.search(r"inet ([0-9.]+)/", shown).group(1)


OPEN_STATES = {f"TASK_STATE_{state}" for state in ("WAITING", "QUEUED", "OFFERED", "RUNNING")}


def lab(run, more="", image="slipway-test-min:1", output="out", limits="", timeout="60s", quiet="30s", tail=""):
    """A slipway.yaml whose build is the shell text `run`; platform demo."""
    text = "".join(f"    {line}\n" for line in run.strip("\n").split("\n"))
    limit = f"  limits: {{{limits}}}\n" if limits else ""
    return (f"version: 1\nbuild:\n  image: {image}\n  timeout: {timeout}\n  no_output_timeout: {quiet}\n{limit}{more}"
            f"  run: |\n{text}platforms:\n  demo:\n    output: {output}\n{tail}")


def failure_of(task):
    return task.get("result", {}).get("failure", {})


def words_of(task):
    return base64.b64decode(failure_of(task).get("tool_words", "")).decode(errors="replace")
