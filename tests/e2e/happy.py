"""A commit becomes a published mini program: submit, release, archive, QR code."""

import subprocess
import tarfile
import zipfile

from farm import APP_ID, REPOSITORY, WEIXIN, Farm, Suite, expect, expect_in, sha256_file, tree_of

# What the stand-in's preview code says.
PREVIEW_CODE = "https://example.invalid/preview"

suite = Suite()
case = suite.case
state = {}


@case("submit --publish --follow builds, archives, proves, uploads and prints the release with its code")
def publishes(farm):
    shop = farm.application("pocket-shop")
    shop.commit(farm.shop("pocket-shop"))
    done = farm.slipway("submit", "--app", "pocket-shop", "--platform", WEIXIN, "--version", "1.4.2",
                        "--description", "first 第一版", "--publish", "--follow")
    state["shop"], state["output"] = shop, done.stdout
    releases = farm.releases()
    expect(len(releases) == 1, releases, done.stdout)
    release = state["release"] = releases[0]
    expect(release["version"] == "1.4.2" and release["application"] == "pocket-shop", release)
    expect(release["commit"] == shop.git(shop.tree, "rev-parse", "HEAD"), release)
    for words in ("pocket-shop: building for weixin", "[5/5] stamped version 1.4.2", release["id"],
                  release["qr_text"], "sha256:", "credential proved", "█"):
        expect_in(words, done.stdout)


@case("the platform got exactly one upload, with this version and the product's files")
def uploaded(farm):
    published = farm.published()
    expect(len(published) == 1, published)
    upload = published[0]
    expect(upload["version"] == "1.4.2" and upload["appId"] == APP_ID and upload["robot"] == "1", upload)
    expect_in("first 第一版", upload["description"])
    product = {f"/{name}" for name in ("app.json", "app.js", "pages/home/home.wxml", "lib/texts.js")}
    uploaded = {"/" + name.lstrip("/") for name in upload["files"]}
    expect(all(any(name.endswith(one) or name.endswith(one.replace(".wxml", ".js")) for name in uploaded) for one in product),
           uploaded)


@case("both tasks are succeeded, with their steps, on an agent of the farm")
def tasks(farm):
    listed = farm.json("tasks", "--app", "pocket-shop")["tasks"]
    expect({task["state"] for task in listed} == {"TASK_STATE_SUCCEEDED"} and len(listed) == 2, listed)
    build, publish = sorted((farm.task(task["id"]) for task in listed), key=lambda task: task["kind"])
    state["build"], state["publish"] = build, publish
    expect([step["name"] for step in build["steps"]] == ["fetch", "prepare", "script", "archive"], build["steps"])
    expect(all(step["state"] == "STEP_STATE_SUCCEEDED" for task in (build, publish) for step in task["steps"]), publish["steps"])
    expect("prove" in [step["name"] for step in publish["steps"]], publish["steps"])
    expect(publish["release"] == state["release"]["id"], publish)
    for task in (build, publish):
        log = farm.log(task["id"])
        expect(len(log) == int(task["result"]["log"]["size"]), len(log), task["result"]["log"])


@case("archive list and show name the release")
def archive_shows(farm):
    release = state["release"]
    expect_in(release["id"], farm.slipway("archive", "list").stdout)
    shown = farm.json("archive", "show", release["id"])
    expect(shown["release"]["id"] == release["id"] and shown["build_task"] == state["build"]["id"], shown)
    expect_in("1.4.2", farm.slipway("archive", "show", state["publish"]["id"]).stdout)


@case("archive get brings the exact bytes back as directory, tar and zip")
def archive_gets(farm):
    folder = farm.folder / "got"
    folder.mkdir()
    release = state["release"]["id"]
    # What the script writes is reproducible: the same build by hand is the measure.
    tree = state["shop"].tree
    measure = folder / "measure"
    measure.mkdir(mode=0o777)
    measure.chmod(0o777)
    subprocess.run(["docker", "run", "--rm", "--network", "none", "--label", "io.slipway.role=test",
                    "-v", f"{tree}:/source:ro", "-v", f"{measure}:/measure",
                    "-e", "SLIPWAY_OUTPUT=/measure/out", "-e", "SLIPWAY_VERSION=1.4.2", "-e", f"SLIPWAY_APP_ID={APP_ID}",
                    "-e", f"SLIPWAY_COMMIT={state['release']['commit']}", "slipway-builder:1", "sh", "-c",
                    "cp -r /source /tmp/shop && sh /tmp/shop/scripts/build.sh"], check=True, capture_output=True, timeout=60)
    built = tree_of(measure / "out")
    expect(len(built) > 15, built.keys())

    farm.slipway("archive", "get", release, "--dir", folder / "dir")
    expect(tree_of(folder / "dir") == built, sorted(tree_of(folder / "dir")), sorted(built))
    farm.slipway("archive", "get", release, "--tar", folder / "x.tar")
    with tarfile.open(folder / "x.tar") as tar:
        found = {member.name.removeprefix("./"): tar.extractfile(member).read() for member in tar if member.isfile()}
    expect(found == built, sorted(found), sorted(built))
    farm.slipway("archive", "get", state["build"]["id"], "--zip", folder / "x.zip")
    with zipfile.ZipFile(folder / "x.zip") as archive:
        found = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    expect(found == built, sorted(found), sorted(built))


@case("a member packages the product encrypted; openssl opens it, unzip shows the product, one changed byte is refused")
def packages(farm):
    folder = farm.folder / "package"
    folder.mkdir()
    farm.slipway("accounts", "create", "mei", "--kind", "member")
    token = folder / "token"
    token.write_text(farm.slipway("tokens", "create", "packaging", "--account", "mei").stdout)
    token.chmod(0o600)

    def slipway(*arguments):
        return farm.slipway(*arguments, token=token, check=False)

    build = state["build"]["id"]
    hidden = slipway("archive", "package", build, "-o", folder / "hidden.zip")
    expect(hidden.returncode == 3 and "neither a release nor a task" in hidden.stderr, hidden)
    farm.slipway("grants", "add", "mei", "--app", "pocket-shop", "--op", "view")

    def run(*command):
        return subprocess.run([str(part) for part in command], capture_output=True, timeout=60, cwd=folder)

    made = run("openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=partner", "-keyout", "partner.key", "-out", "partner.pem")
    expect(made.returncode == 0, made)
    sealed = folder / "shop.zip.cms"
    done = slipway("archive", "package", build, "-o", sealed, "--recipient", folder / "partner.pem")
    expect(done.returncode == 0 and sha256_file(sealed) == done.stdout.split()[0], done, sha256_file(sealed))
    decrypt = ("openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", "partner.key", "-out", "shop.zip", "-in")
    opened = run(*decrypt, sealed)
    expect(opened.returncode == 0, opened)
    unpacked = run("unzip", "-q", "shop.zip", "-d", "shop")
    expect(unpacked.returncode == 0 and tree_of(folder / "shop") == tree_of(farm.folder / "got/dir"), unpacked)

    whole = sealed.read_bytes()
    for at in (len(whole) // 3, len(whole) - 10):
        changed = folder / "changed.zip.cms"
        changed.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        expect(run(*decrypt, changed).returncode != 0, at)
        refused = slipway("archive", "open", changed, "--key", folder / "partner.key")
        expect(refused.returncode == 1 and not (folder / "changed.zip").exists(), refused)

    (folder / "password").write_text("neither log nor trail has this\n")
    (folder / "password").chmod(0o600)
    locked = folder / "shop.tar.gz.cms"
    done = slipway("archive", "package", build, "--format", "tar.gz", "-o", locked, "--password-file", folder / "password")
    expect(done.returncode == 0, done)
    done = slipway("archive", "open", locked, "--password-file", folder / "password")
    expect(done.returncode == 0, done)
    with tarfile.open(folder / "shop.tar.gz") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    expect(found == tree_of(farm.folder / "got/dir"), sorted(found))

    trail = farm.json("audit", "list", "--action", "download_package")["entries"]
    expect(len(trail) == 2 and all(entry["actor"] == "mei" and entry["subject"] == build for entry in trail), trail)
    (folder / "password").unlink()
    leaked = subprocess.run(["grep", "-rlF", "--binary-files=text", "neither log nor trail", str(farm.folder)],
                            capture_output=True, text=True, timeout=60).stdout
    expect(not leaked, leaked)


@case("a damaged blob in the controller's store is found, and nothing is left under the final name")
def damaged(farm):
    blobs = [path for path in (farm.folder / "controller/blobs").rglob("*") if path.is_file() and path.stat().st_size > 100]
    victim = max(blobs, key=lambda path: path.stat().st_size)
    whole = victim.read_bytes()
    broken = bytearray(whole)
    broken[len(broken) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(broken)
    target = farm.folder / "got/broken"
    try:
        done = farm.slipway("archive", "get", state["release"]["id"], "--dir", target, check=False)
    finally:
        victim.write_bytes(whole)
    expect(done.returncode != 0 and not target.exists(), done.returncode, done.stdout, done.stderr)
    expect(done.stderr.strip(), "no word of it")


@case("the QR code as PNG and on the terminal leads to the release")
def qr(farm):
    png = farm.folder / "code.png"
    farm.slipway("qr", state["release"]["id"], "--png", png)
    decoded = subprocess.run(["zbarimg", "-q", "--raw", str(png)], capture_output=True, text=True, timeout=30).stdout.strip()
    expect(decoded == state["release"]["qr_text"], decoded, state["release"])
    expect(farm.json("archive", "show", decoded)["release"]["id"] == state["release"]["id"])
    expect_in("<svg", (farm.slipway("qr", decoded, "--svg", farm.folder / "c.svg"), (farm.folder / "c.svg").read_text())[1])


@case("the same commit again: no blob is sent, and the version is a release of its own")
def again(farm):
    run, _ = farm.submit("pocket-shop", WEIXIN, "--version", "1.4.2", "--publish")
    build, publish = farm.finish(run)
    expect(publish["state"] == "TASK_STATE_SUCCEEDED", publish)
    archive = next(step for step in build["steps"] if step["name"] == "archive")
    expect_in("sent 0 blobs", archive["detail"])
    expect(build["result"]["build"]["manifest"] == state["build"]["result"]["build"]["manifest"], build)
    expect(len(farm.releases()) == 2 and len(farm.published()) == 2)


@case("the key in the repository is sealed, and no log, database or file of the farm holds it in the clear")
def no_key(farm):
    secret = [line for line in farm.keys["right"].read_text().splitlines() if len(line) == 64][3].encode()
    done = subprocess.run(["grep", "-rlF", "--binary-files=text", secret.decode(), str(farm.folder)],
                          capture_output=True, text=True, timeout=60)
    found = [line for line in done.stdout.split() if not line.endswith(("right.key", ))]
    expect(not found, found)


@case("a build without --publish is archived and nothing is released")
def build_only(farm):
    run, _ = farm.submit("pocket-shop", WEIXIN, "--version", "2.0.0")
    (build,) = farm.finish(run)
    expect(build["state"] == "TASK_STATE_SUCCEEDED", build)
    expect_in("2.0.0", farm.slipway("archive", "show", build["id"]).stdout)
    expect(len(farm.releases()) == 2 and len(farm.published()) == 2)


@case("submit --preview brings a code that opens exactly this product, again and again; nothing is released")
def preview(farm):
    done = farm.slipway("submit", "--app", "pocket-shop", "--platform", WEIXIN, "--version", "2.0.1", "--preview", "--follow")
    for words in ("making a preview of wx", PREVIEW_CODE, "█"):
        expect_in(words, done.stdout)
    run, _ = farm.submit("pocket-shop", WEIXIN, "--version", "2.0.1", "--preview")
    build, made = farm.finish(run)
    expect(build["kind"] == "TASK_KIND_BUILD" and made["kind"] == "TASK_KIND_PREVIEW", build, made)
    expect(made["state"] == "TASK_STATE_SUCCEEDED" and not made.get("release"), made)
    expect(made["result"]["publish"]["code"]["text"] == PREVIEW_CODE, made["result"])
    image = farm.folder / "preview-code"
    farm.slipway("qr", made["id"], "--image", str(image))
    expect(image.read_bytes() == (REPOSITORY / "deploy/demo/standin/preview-code.png").read_bytes(), "the image is not the platform's")
    expect([step["name"] for step in made["steps"]] == ["fetch", "prepare", "prove", "preview"], made["steps"])
    code = farm.slipway("qr", made["id"], "--text").stdout.strip()
    expect(code == PREVIEW_CODE, code)
    kinds = [one["kind"] for one in farm.published()]
    expect(kinds.count("preview") == 2 and kinds.count("upload") == 2 and len(farm.releases()) == 2, kinds)
    both = farm.slipway("submit", "--app", "pocket-shop", "--platform", WEIXIN, "--preview", "--publish", check=False)
    expect(both.returncode == 2 and "--publish" in both.stderr, both.returncode, both.stderr)


@case("a parameter chooses the program's entry: other bytes, another first page, and both are on record")
def parameters(farm):
    kiosk = farm.application("kiosk")
    kiosk.commit({
        "slipway.yaml": """version: 1
build: {image: "slipway-builder:1", script: build.sh}
platforms: {weixin: {output: dist}}
parameters:
  entry:
    type: choice
    choices: [src/main.js, src/kiosk.js]
    default: src/main.js
    label: {en: Program entry, zh: 程序入口}
  banner: {type: text, pattern: '[^"]{0,40}', default: ''}
""",
        "src/main.js": "console.log('the shop opens')\n",
        "src/kiosk.js": "console.log('the kiosk opens')\n",
        "build.sh": 'mkdir -p "$SLIPWAY_OUTPUT"\n'
                    'cp "$SLIPWAY_PARAM_ENTRY" "$SLIPWAY_OUTPUT/app.js"\n'
                    'printf "%s" "$SLIPWAY_PARAM_BANNER" >"$SLIPWAY_OUTPUT/banner"\n',
    })
    shown = farm.slipway("apps", "parameters", "kiosk").stdout
    for words in ("Program entry", "one of src/main.js, src/kiosk.js", "banner"):
        expect_in(words, shown)
    hostile = "$(id >pwned); `id` 'x'"
    made = {}
    for name, chosen in (("main", ()), ("kiosk", ("--param", "entry=src/kiosk.js", "--param", f"banner={hostile}"))):
        run, _ = farm.submit("kiosk", "weixin", *chosen)
        (build,) = farm.finish(run)
        expect(build["state"] == "TASK_STATE_SUCCEEDED", build)
        folder = farm.folder / f"kiosk-{name}"
        farm.slipway("archive", "get", build["id"], "--dir", folder)
        said = subprocess.run(["docker", "run", "--rm", "--network", "none", "--label", "io.slipway.role=test",
                               "-v", f"{folder}:/product:ro", "slipway-builder:1", "node", "/product/app.js"],
                              check=True, capture_output=True, text=True, timeout=60).stdout
        made[name] = (build["result"]["build"]["manifest"], said, tree_of(folder))
        on_record = farm.json("archive", "show", build["id"])["parameters"]
        expect(on_record == build["result"]["build"]["parameters"], on_record, build)
        expect(on_record["entry"] == f"src/{name}.js", on_record)
    expect(made["main"][0] != made["kiosk"][0], made)
    expect_in("the shop opens", made["main"][1])
    expect_in("the kiosk opens", made["kiosk"][1])
    expect(made["kiosk"][2]["banner"].decode() == hostile, made["kiosk"][2])
    expect_in("entry=src/kiosk.js", farm.slipway("archive", "show", build["id"]).stdout)
    expect_in("src/kiosk.js", farm.slipway("audit", "list", "--action", "create_run", "-o", "json").stdout)


@case("a parameter that the commit does not allow ends the build before anything runs, and nothing is published")
def parameter_refused(farm):
    for wrong, words in (("entry=src/other.js", "choose one of src/main.js, src/kiosk.js"), ("colour=red", "not declared")):
        run, _ = farm.submit("kiosk", "weixin", "--param", wrong)
        (build,) = farm.finish(run)
        failure = build["result"]["failure"]
        expect(failure["reason"] == "PARAMETER_INVALID" and failure["failure_class"] == "FAILURE_CLASS_BUILD", failure)
        expect_in(words, failure["message"])
        expect("script" not in [step["name"] for step in build["steps"]], build["steps"])
    twice = farm.slipway("submit", "--app", "kiosk", "--platform", "weixin", "--param", "a=1", "--param", "a=2", check=False)
    expect(twice.returncode == 2, twice.returncode, twice.stderr)


@case("a script of any name runs against a version; after a failed one that version is not packaged, after a good one it is")
def scripts(farm):
    folder = farm.folder / "scripts"
    folder.mkdir()
    bad, good = folder / "检查 it's.sh", folder / "-ok"
    bad.write_text("echo checking $SLIPWAY_COMMIT; test -f slipway.yaml && exit 3\n")
    good.write_text("#!/usr/bin/env node\nconsole.log('node ran in ' + process.cwd()); require('fs').writeFileSync('left', '')\n")
    ran = farm.slipway("run-script", bad, "--app", "pocket-shop", "--ref", state["release"]["commit"], "-f", check=False)
    expect(ran.returncode != 0, ran)
    expect_in(f"checking {state['release']['commit']}", ran.stdout)
    expect_in("exit code 3", ran.stdout)
    failed = farm.json("tasks", "--app", "pocket-shop")["tasks"][0]
    expect(failed["kind"] == "TASK_KIND_SCRIPT" and failed["script_name"] == bad.name, failed)
    expect(failed["result"]["exit_code"] == 3, failed)
    submit = ("submit", "--app", "pocket-shop", "--platform", WEIXIN, "-f", "--after-script")
    refused = farm.slipway(*submit, failed["id"], check=False)
    expect(refused.returncode != 0 and "nothing is packaged after it" in refused.stderr, refused)
    ran = farm.slipway("run-script", "--app", "pocket-shop", "--ref", "main", "-f", "--", good)
    expect_in("node ran in /workspace", ran.stdout)
    passed = farm.json("tasks", "--app", "pocket-shop")["tasks"][0]
    expect([step["name"] for step in farm.task(passed["id"])["steps"]] == ["fetch", "prepare", "script"], passed)
    farm.slipway(*submit, passed["id"])
    built = farm.json("tasks", "--app", "pocket-shop")["tasks"][0]
    expect(built["ref"] == passed["result"]["build"]["commit"], built)
    # What the script left behind is not in what was built afterwards.
    expect("left" not in farm.slipway("archive", "show", built["id"]).stdout, built)


@case("several versions at once are a run each; one that is none keeps no other back")
def versions(farm):
    done = farm.slipway("submit", "--app", "pocket-shop", "--platform", "all", "--ref", state["release"]["commit"], "--ref", "nowhere", "-f",
                        check=False)
    expect(done.returncode == 1, done)
    expect_in(f"{state['release']['commit']}: run run-", done.stdout)
    expect_in("nowhere: run run-", done.stdout)
    failed, built = farm.json("tasks", "--app", "pocket-shop")["tasks"][:2]
    expect(built["state"] == "TASK_STATE_SUCCEEDED" and built["platform"] == WEIXIN, built)
    expect(failed["state"] == "TASK_STATE_FAILED" and failed["ref"] == "nowhere", failed)


@case("a version that was packaged four times is at hand: its product is there with the answer, and its publish follows")
def hot(farm):
    commit = state["shop"].git(state["shop"].tree, "rev-parse", "HEAD")
    submit = ("submit", "--app", "pocket-shop", "--platform", WEIXIN, "--ref", commit, "--version", "hot")
    for _ in range(4):
        (built,) = farm.finish(farm.json(*submit, "--no-cache")["run"])
        expect(built["state"] == "TASK_STATE_SUCCEEDED" and not built["result"]["build"].get("same_as"), built)
    containers = farm.containers()
    said = farm.json(*submit)
    (task,) = said["tasks"]
    expect(task["state"] == "TASK_STATE_SUCCEEDED" and task["result"]["build"]["same_as"] == built["id"], task)
    expect(task["result"]["build"]["manifest"] == built["result"]["build"]["manifest"], task)
    expect(farm.containers() == containers, "nothing ran")
    followed = farm.slipway(*submit, "--publish", "--follow")
    expect_in("hot", followed.stdout)
    expect(farm.releases()[0]["version"] == "hot" and farm.published()[-1]["version"] == "hot", farm.releases()[0])
    expect_in(built["id"], farm.slipway("tasks", "show", task["id"]).stdout)
    (anew,) = farm.finish(farm.json(*submit, "--no-cache")["run"])
    expect(not anew["result"]["build"].get("same_as"), anew)


@case("the same request id is the same run")
def request_id(farm):
    arguments = ("--request-id", "jenkins-17", "--version", "3.0.0")
    first, _ = farm.submit("pocket-shop", WEIXIN, *arguments)
    second, _ = farm.submit("pocket-shop", WEIXIN, *arguments)
    expect(first == second, first, second)
    farm.finish(first)


@case("the controller starts again with everything it had")
def restart(farm):
    before = (farm.json("archive", "list"), farm.json("tasks")["tasks"])
    expect(farm.controller.stop() == 0, farm.controller.tail())
    farm.start_controller()
    farm.wait_agents()
    expect((farm.json("archive", "list"), farm.json("tasks")["tasks"]) == before)
    expect(farm.log(state["build"]["id"]))


@case("every container of the farm is gone")
def containers(farm):
    farm.no_containers()


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=2, standin=True))
