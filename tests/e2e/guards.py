"""What is refused and said: wrong tokens, a newer schema, ports and folders in use, no Docker Engine,
no agent; cancelling at every stage; strangers on the port."""

import socket
import ssl
import subprocess
import time

from farm import WEIXIN, Farm, Suite, expect, expect_in, failure_of, free_port, lab, program, until

suite = Suite()
case = suite.case
apps = {}


def ends(command, words, seconds=20):
    """The program ends by itself, not with 0, and says `words`."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    output = done.stdout + done.stderr
    expect(done.returncode not in (0, -6, -11), done.returncode, output)
    for part in words:
        expect_in(part, output)
    return output


@case("with no agent a task waits, says why, and can be cancelled")
def no_agent(farm):
    apps["lab"] = farm.application("lab")
    apps["lab"].commit({"slipway.yaml": lab("echo built; mkdir out; echo x >out/x")})
    run, tasks = farm.submit("lab", "demo")
    time.sleep(1)
    task = farm.task(tasks[0]["id"])
    expect(task["state"] == "TASK_STATE_QUEUED", task)
    expect_in("offline", farm.slipway("agents").stdout + "offline" * (not farm.agents))
    farm.slipway("cancel", task["id"], "--reason", "no agent")
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_CANCELED", build)
    expect(farm.slipway("follow", run, check=False).returncode == 1)
    done = farm.slipway("cancel", task["id"], check=False)
    expect(done.returncode == 3, done.returncode)
    expect_in("already", done.stderr)


@case("a task submitted before there was an agent runs when one joins")
def agent_joins(farm):
    run, _ = farm.submit("lab", "demo")
    farm.add_agent("agent-1")
    farm.wait_agents()
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED", failure_of(build))


@case("cancelling a build that waits for a slot, and one that runs")
def cancel_queued(farm):
    apps["lab"].commit({"slipway.yaml": lab("echo working; sleep 60")}, "long")
    runs = [farm.submit("lab", "demo", ref="long") for _ in range(3)]
    tasks = [tasks[0]["id"] for _, tasks in runs]
    running = until("two builds to run", lambda: (lambda now: now if len(now) == 2 else None)(
        [task for task in tasks if farm.task(task)["state"] == "TASK_STATE_RUNNING"]))
    (queued,) = [task for task in tasks if task not in running]
    farm.slipway("cancel", queued)
    expect(farm.wait_state(queued, "canceled", seconds=5)["attempt"] in ("0", "1"))
    for task in running:
        farm.wait_log(task, "working")
        farm.slipway("cancel", task)
    for task in running:
        farm.wait_state(task, "canceled", seconds=25)
    farm.no_containers()


@case("cancelling a publish: before its upload nothing is published, and its end is known")
def cancel_publish(farm):
    apps["shop"] = farm.application("shop")
    apps["shop"].commit(farm.shop("shop"))
    farm.fault({"proveFault": "hang"})
    run, tasks = farm.submit("shop", WEIXIN, "--publish", "--version", "1.0.0")
    publish = tasks[1]["id"]
    until("the proof to begin", lambda: any("hang" == one.get("outcome") for one in farm.requests()), 180)
    farm.slipway("cancel", publish)
    task = farm.wait_state(publish, "canceled", "unknown", "failed", seconds=40)
    expect(not farm.published() and not farm.uploads() and not farm.releases(), farm.published(), task)
    farm.no_containers()
    print(f"    ended as {task['state']} {failure_of(task).get('reason')}")
    farm.free_target(task)


@case("cancelling a publish after its upload began: never called cancelled when it may have happened")
def cancel_upload(farm):
    farm.fault({"fault": "slow", "slowMs": 20000})
    run, tasks = farm.submit("shop", WEIXIN, "--publish", "--version", "1.0.7")
    publish = tasks[1]["id"]
    until("the upload", lambda: any(one.get("version") == "1.0.7" for one in farm.uploads()), 180)
    farm.slipway("cancel", publish)
    task = farm.wait_state(publish, "canceled", "unknown", "failed", "succeeded", seconds=60)
    expect(task["state"] in ("TASK_STATE_UNKNOWN", "TASK_STATE_SUCCEEDED"), task["state"], failure_of(task))
    expect(len([one for one in farm.uploads() if one.get("version") == "1.0.7"]) == 1)
    farm.no_containers()


@case("a wrong API token is refused, for every command")
def wrong_token(farm):
    token = farm.folder / "wrong.token"
    token.write_text("slt_" + "a" * 52 + "\n")
    for command in (("agents",), ("tasks",), ("submit", "--app", "lab", "--platform", "demo"), ("apps",), ("archive", "list"),
                    ("agents", "token"), ("agents", "images"), ("agents", "prepare", "--image", "a:1")):
        done = farm.slipway(*command, check=False, token=token)
        expect(done.returncode == 3, command, done.returncode, done.stdout, done.stderr)
        expect_in("token", done.stderr)


@case("a client with another CA does not talk to the controller")
def wrong_ca(farm):
    ca = farm.folder / "other-ca.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-out", ca, "-subj", "/CN=other"],
                   check=True, capture_output=True)
    done = farm.slipway("agents", check=False, ca=ca)
    expect(done.returncode == 3 and done.stderr.strip(), done.returncode, done.stderr)


@case("wrong, used and foreign join tokens are refused")
def join_tokens(farm):
    def join(token, name):
        return ends([program("slipway-agent"), "join", f"127.0.0.1:{farm.port}", "--token", token,
                     "--data-dir", str(farm.folder / name), "--name", name], ["slipway-agent: "])
    good = farm.json("agents", "token")["token"]
    prefix, ca, secret = good.split("-", 2)
    expect_in("token", join("nonsense", "bad-1"))
    expect_in("token", join(f"{prefix}-{ca}-{'a' * len(secret)}", "bad-2"))
    flipped = ca[:-1] + ("0" if ca[-1] != "0" else "1")
    join(f"{prefix}-{flipped}-{secret}", "bad-3")
    for name in ("bad-1", "bad-2", "bad-3"):
        expect(not (farm.folder / name / "agent.yaml").exists())
    done = subprocess.run([program("slipway-agent"), "join", f"127.0.0.1:{farm.port}", "--token", good, "--data-dir",
                           str(farm.folder / "good"), "--name", "good"], capture_output=True, text=True, timeout=20)
    expect(done.returncode == 0, done.stderr)
    join(good, "again")
    expect_in("join", ends([program("slipway-agent"), "run", "--data-dir", str(farm.folder / "nobody")], ["slipway-agent: "]))


@case("a second controller on the same folder, and one on the same port, end with words")
def twice(farm):
    ends([program("slipway-controller"), "--data-dir", str(farm.folder / "controller"), "--listen", f"127.0.0.1:{free_port()}"],
         ["another slipway-controller", "→"])
    other = farm.folder / "other"
    ends([program("slipway-controller"), "--data-dir", str(other), "--listen", f"127.0.0.1:{farm.port}"],
         [f"127.0.0.1:{farm.port}", "taken"], 90)
    expect(not [line for line in open("/proc/net/unix") if str(other) in line], "the other controller's database still runs")
    expect(farm.slipway("agents").returncode == 0)


@case("a second agent on the same folder ends with words")
def agent_twice(farm):
    ends(farm.agents[0].command, ["slipway-agent: ", "another"])


@case("each node tells of each image whether it is ready, or why not and what to do")
def prepare_images(farm):
    good = farm.slipway("agents", "prepare", "--image", "slipway-test-min:1")
    expect_in("ready", good.stdout)
    expect_in("sha256:", good.stdout)
    bad = farm.slipway("agents", "prepare", "--image", "nobody/has-this:7", check=False)
    expect(bad.returncode == 1, bad.returncode, bad.stdout, bad.stderr)
    expect_in("failed", bad.stdout)
    expect_in("docker load", bad.stdout)
    expect_in("失败", farm.slipway("--lang", "zh", "agents", "images").stdout)
    farm.slipway("agents", "images", "--forget", "nobody/has-this:7")
    expect("nobody" not in farm.slipway("agents", "images").stdout)
    expect_in("ok", farm.slipway("agents").stdout)


@case("an agent without a Docker Engine ends with words")
def no_engine(farm):
    ends([program("slipway-agent"), "run", "--docker-socket", str(farm.folder / "nothing.sock"), "--data-dir", str(farm.folder / "good"),
          "--init-binary", program("slipway-init")],
         ["nothing.sock", "Docker"])


@case("bad configurations name file, line and key")
def configurations(farm):
    bad = farm.folder / "bad.yaml"
    bad.write_text("data_dir: /tmp/x\nlisten: 127.0.0.1:0\ntarget: []\n")
    ends([program("slipway-controller"), "--config", str(bad)], ["bad.yaml:3", "target"])
    ends([program("slipway-controller"), "--config", str(farm.folder / "absent.yaml")], ["absent.yaml"])
    ends([program("slipway-controller")], ["data"])
    ends([program("slipway-controller"), "--data-dir", str(farm.folder / "z"), "--listen", "nonsense"], ["nonsense"])
    bad.write_text("slots: many\n")
    ends([program("slipway-agent"), "run", "--data-dir", str(farm.folder / "good"), "--config", str(bad)], ["bad.yaml:1", "slots"])


@case("strangers on the port do no harm")
def strangers(farm):
    for noise in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 4096, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", farm.port), 5) as connection:
            connection.sendall(noise)
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", farm.port), 5) as connection:
        with context.wrap_socket(connection) as secure:
            secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9) + b"\xff" * 4096)
    done = subprocess.run(["bash", "-c", f"for i in $(seq 200); do exec {{d}}<>/dev/tcp/127.0.0.1/{farm.port}; done; true"],
                          timeout=20)
    expect(done.returncode == 0)
    expect(farm.slipway("agents").returncode == 0)


@case("what people give wrong is said with its name")
def usage(farm):
    for command, code, words in (
            (("submit", "--app", "nobody", "--platform", "demo"), 3, "nobody"),
            (("submit", "--app", "lab", "--platform", "De mo"), 3, "De mo"),
            (("submit", "--app", "lab"), 2, "platform"),
            (("tasks", "show", "task-nothing"), 3, "task-nothing"),
            (("logs", "task-nothing"), 3, "task-nothing"),
            (("archive", "show", "rel-nothing"), 3, "rel-nothing"),
            (("apps", "create", "Lab!", "--repository", "https://x/y"), 3, "Lab!"),
            (("apps", "create", "lab", "--repository", "https://x/y"), 3, "lab"),
            (("apps", "create", "evil", "--repository", "ext::sh -c true"), 3, "ext"),
            (("frobnicate",), 2, "--help")):
        done = farm.slipway(*command, check=False)
        expect(done.returncode == code, command, done.returncode, done.stdout, done.stderr)
        expect_in(words, done.stderr)


def offline_sql(farm, text):
    """Runs SQL in the controller's own cluster while the controller is down."""
    cluster = next((farm.folder / "controller/postgres").rglob("PG_VERSION")).parent
    owner = cluster.stat()
    folder = farm.folder / "sql"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    rules = folder / "hba"
    rules.write_text("local all all trust\n")
    rules.chmod(0o644)
    binary = "/usr/lib/postgresql/" + (cluster / "PG_VERSION").read_text().strip() + "/bin"
    server = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", f"{binary}/pg_ctl", "-D", str(cluster), "-w"]
    options = f"-c hba_file={rules} -c unix_socket_directories={folder} -c listen_addresses=''"
    subprocess.run([*server, "-l", str(folder / "log"), "-o", options, "start"], check=True, capture_output=True, timeout=60, cwd="/")
    try:
        database = ["psql", "-h", str(folder), "-U", "slipway", "-d", "slipway", "-v", "ON_ERROR_STOP=1", "-Atc", text]
        subprocess.run(database, check=True, capture_output=True, timeout=20, cwd="/")
    finally:
        subprocess.run([*server, "-m", "fast", "stop"], check=True, capture_output=True, timeout=60, cwd="/")


@case("a newer schema is refused, and the database stays as it is")
def newer_schema(farm):
    # What may be done with them is of the moment: when a publish may be said not to have happened.
    rows = lambda: [{key: value for key, value in task.items() if key != "allowed_actions"} for task in farm.json("tasks")["tasks"]]
    before = rows()
    expect(farm.controller.stop() == 0, farm.controller.tail())
    offline_sql(farm, "INSERT INTO schema_migrations (version, name, sha256) "
                "SELECT 9000, 'future', sha256 FROM schema_migrations LIMIT 1")
    ends(farm.controller.command, ["9000", "newer"], 60)
    offline_sql(farm, "DELETE FROM schema_migrations WHERE version = 9000")
    farm.start_controller()
    expect(rows() == before)


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=0, standin=True, agent_options="slots: 2\n"))
