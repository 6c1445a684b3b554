"""Other people's clients: the Connect protocol's own JavaScript client, over HTTP and over gRPC, without code that was generated
for it, and buf, which asks the server what it serves. npm installs them in a container, as the lock file says."""

import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

from farm import REPOSITORY, Failed, Farm, Suite, docker, expect, expect_in, lab, until

suite = Suite()
case = suite.case
HERE = pathlib.Path(__file__).resolve().parent / "clients"
TRANSPORTS = {"json", "binary", "get", "get_binary", "gzip", "grpc"}


def installed():
    """The folder with the client and its modules, made once for each lock file."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in ("package.json", "package-lock.json"))).hexdigest()[:16]
    cache = pathlib.Path(os.environ.get("SLIPWAY_CACHE", "/var/cache/slipway"))
    folder = cache / f"clients-{digest}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        bundle = os.environ.get("SLIPWAY_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
        docker("run", "--rm", "--network", "host", "--label", "io.slipway.test=1", "-v", f"{folder}:/work", "-v", f"{bundle}:/run/host-ca.crt:ro", "-w", "/work",
               "-e", "NODE_EXTRA_CA_CERTS=/run/host-ca.crt", "-e", "npm_config_cafile=/run/host-ca.crt", "-e", "npm_config_cache=/tmp/npm",
               *[option for name in ("npm_config_registry", "HTTPS_PROXY", "NO_PROXY") if os.environ.get(name)
                 for option in ("-e", f"{name}={os.environ[name]}")],
               "slipway-builder:1", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        (folder / "done").touch()
    return folder


def prepare(farm):
    application = farm.application("lab")
    application.commit({"slipway.yaml": lab("seq 1 20000; mkdir out; echo x >out/x")})
    application.commit({"slipway.yaml": lab("echo begun; sleep 300", timeout="400s", quiet="350s")}, "long")
    descriptors = farm.folder / "descriptors.pb"
    subprocess.run(["protoc", f"-I{REPOSITORY}/proto", "--include_imports", f"--descriptor_set_out={descriptors}",
                    *sorted(str(path) for path in (REPOSITORY / "proto/slipway/v1").glob("*.proto"))], check=True)


def http_port(farm):
    return int(re.findall(r"event=ready.*http_port=(\d+)", (farm.folder / "controller.log").read_text())[-1])


def call(farm, name, **environment):
    """What a case of client.mjs prints."""
    values = {"DESCRIPTORS": farm.folder / "descriptors.pb", "HTTP": f"http://127.0.0.1:{http_port(farm)}", "GRPC": f"https://localhost:{farm.port}",
              "CA": farm.folder / "controller/ca.pem", "TOKEN": farm.folder / "controller/admin.token", **environment}
    folder = installed()
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "host", "--label", "io.slipway.test=1", "-v", f"{farm.folder}:{farm.folder}:ro",
         "-v", f"{folder}/node_modules:/work/node_modules:ro", "-v", f"{HERE}/client.mjs:/work/client.mjs:ro", "-w", "/work",
         *[option for key, value in values.items() for option in ("-e", f"{key}={value}")],
         "slipway-builder:1", "node", "client.mjs", name], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Failed(f"client.mjs {name}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def buf():
    """A gRPC client that knows of services only what the server's reflection tells."""
    (program,) = installed().glob("node_modules/@bufbuild/buf-*/bin/buf")
    return str(program)


def buf_curl(farm, *arguments, token=True):
    authority = ["--cacert", str(farm.folder / "controller/ca.pem")]
    header = farm.folder / "header"
    header.write_text(f"authorization: Bearer {(farm.folder / 'controller/admin.token').read_text().strip()}\n")
    return subprocess.run([buf(), "curl", "--protocol", "grpc", *authority, *(["-H", f"@{header}"] if token else []), *arguments],
                          capture_output=True, text=True, timeout=60, env=dict(os.environ, HOME=str(farm.folder)))


@case("a list is the same by JSON, in protobuf, by GET, packed, and over gRPC")
def lists(farm):
    prepare(farm)
    answers = call(farm, "lists")
    expect(set(answers) == TRANSPORTS, answers)
    expect(all(names == ["lab"] for names in answers.values()), answers)


@case("a run is submitted once however often it is asked for, and watched to its end")
def submit(farm):
    answer = call(farm, "submit", APPLICATION="lab", REQUEST="clients-1")
    expect(answer["run"] == answer["again"], answer)
    expect(answer["messages"] >= 2, answer)
    tasks = farm.json("tasks", "--run", answer["run"])["tasks"]
    expect([task["state"] for task in tasks] == ["TASK_STATE_SUCCEEDED"], tasks)


@case("a log is byte for byte the same by every way")
def logs(farm):
    run, _ = farm.submit("lab", "demo")
    (task,) = farm.finish(run)
    expected = farm.log(task["id"])
    expect(len(expected) > 100_000, len(expected))
    answers = call(farm, "logs", TASK=task["id"])
    expect(set(answers) == TRANSPORTS, list(answers))
    for name, answer in answers.items():
        expect(base64.b64decode(answer["base64"]) == expected, name, answer["messages"])
        expect(answer["complete"], name)


@case("a refusal carries its code, its reason and what to do, in both languages")
def refusals(farm):
    answers = call(farm, "refusals")
    for name in ("json", "binary", "get", "grpc", "stream"):
        answer = answers[name]
        expect(answer["code"] == "NotFound", name, answer)
        expect(len(answer["details"]) == 1 or name == "grpc", name, answer)
        for detail in answer["details"]:
            expect(detail["reason"] == "NO_SUCH_TASK" and detail["remedy"] and detail["remedyZh"], name, answer)
    for name in ("stranger", "nobody"):
        expect(answers[name]["code"] == "Unauthenticated", name, answers[name])
    expect(answers["malformed"]["code"] in ("InvalidArgument", "NotFound"), answers["malformed"])


@case("a stream ends at the client's deadline, and with the client that goes away")
def given_up(farm):
    _, (task,) = farm.submit("lab", "demo", ref="long")
    farm.wait_log(task["id"], "begun")
    answers = call(farm, "given_up", TASK=task["id"])
    for name in ("binary", "grpc"):
        expect(answers[name]["code"] == "DeadlineExceeded", name, answers[name])
        expect(answers[name]["after"] < 20_000, name, answers[name])
    expect(answers["aborted"]["code"] == "Canceled", answers["aborted"])

    def streams():
        metrics = subprocess.run(["curl", "-sf", f"http://127.0.0.1:{http_port(farm)}/metrics"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"^slipway_http_open_streams (\d+)", metrics, re.M)
        expect(found, metrics)
        return int(found.group(1))

    until("no stream to be open", lambda: streams() == 0, 30)
    farm.slipway("cancel", task["id"])


@case("reflection tells a client that knows nothing of the farm what is served, and how to call it")
def reflection(farm):
    url = f"https://localhost:{farm.port}"
    listed = buf_curl(farm, "--list-services", url, token=False)
    expect(listed.returncode == 0, listed.stderr)
    wanted = {"slipway.v1." + name for path in (REPOSITORY / "proto/slipway/v1").glob("*.proto")
              for name in re.findall(r"^service (\w+) ", path.read_text(), re.M)}
    expect(len(wanted) >= 10 and set(listed.stdout.split()) == wanted | {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}, listed.stdout, wanted)
    methods = buf_curl(farm, "--list-methods", url, token=False)
    expect_in("slipway.v1.TaskService/SubmitRun", methods.stdout)
    answer = buf_curl(farm, f"{url}/slipway.v1.ApplicationService/ListApplications")
    expect(answer.returncode == 0, answer.stderr)
    expect([one["name"] for one in json.loads(answer.stdout)["applications"]] == ["lab"], answer.stdout)
    healthy = buf_curl(farm, f"{url}/grpc.health.v1.Health/Check", token=False)
    expect(json.loads(healthy.stdout) == {"status": "SERVING"}, healthy.stdout, healthy.stderr)
    # What reflection tells is no right.
    refused = buf_curl(farm, f"{url}/slipway.v1.ApplicationService/ListApplications", token=False)
    expect(refused.returncode != 0, refused.stdout)
    expect_in("unauthenticated", refused.stderr)


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=1))
