"""One uni-app project goes to three platforms with one submit, each through its own client: what one
platform does is that platform's alone, and a lost answer is found by asking the platform."""

import hashlib
import json
import re
import secrets
import subprocess

from farm import REPOSITORY, Farm, Suite, docker, expect, expect_in, failure_of, lab, tree_of

suite = Suite()
case = suite.case

PROJECT = REPOSITORY / "deploy/demo/tea-timer"
APP_IDS = dict(re.findall(r'^  (\w+):\n    app_id: "?(\w+)', (PROJECT / "slipway.yaml").read_text(), re.M))
ALL = ",".join(APP_IDS)
# What only this platform's product has: a file, and what the program says of itself.
OWN = {"weixin": ("pages/teas/teas.wxml", "微信小程序"), "alipay": ("pages/teas/teas.axml", "支付宝小程序"),
       "douyin": ("pages/teas/teas.ttml", "抖音小程序")}

TARGETS = "".join(f"---\n{{kind: target, platform: {platform}, image: 'slipway-publisher-{platform}:1', proxy: '{{proxy}}', ca_file: {{ca}}, "
                  "deadline: 3m}\n" for platform in ("alipay", "douyin"))


# A platform that nobody here has heard of: it takes what one copies into a directory, and says what came.
OWN_ADAPTER = """'use strict';
const fs = require('fs');
const crypto = require('crypto');
require('./common/request.cjs');  // what adapters share comes along
const request = JSON.parse(fs.readFileSync(process.env.SLIPWAY_PUBLISH_REQUEST, 'utf8'));
const product = fs.readFileSync(request.projectDir + '/x', 'utf8').trim();
const key = crypto.createHash('sha256').update(fs.readFileSync(request.credentialFile)).digest('hex');
console.log('acme takes', product, 'with', JSON.stringify(request.options), key);
const { contractVersion, platform, mode, appId, version, outDir } = request;
fs.writeFileSync(outDir + '/new', JSON.stringify({ contractVersion, ok: true, platform, mode, appId, version, stage: 'upload',
  uploadStarted: true, link: 'https://acme.example/' + appId + '/' + version }));
fs.renameSync(outDir + '/new', outDir + '/result.json');
"""


class PlatformsFarm(Farm):
    """With a target, a credential and a registered application at each of the three platforms."""

    def __init__(self, **options):
        super().__init__(standin=True, targets=TARGETS, **options)

    def credentials(self):
        """{platform: (what a developer seals, what the platform keeps)}, files."""
        folder = self.folder / "platforms"
        if not folder.exists():
            folder.mkdir(mode=0o700)
            run = lambda *command: subprocess.run(command, check=True, capture_output=True, cwd=folder)
            for name, make in (("weixin", ("genrsa", "-traditional", "-out", "weixin.key", "2048")),
                               ("alipay", ("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "alipay.pem"))):
                run("openssl", *make)
                run("openssl", "pkey", "-in", make[make.index("-out") + 1], "-pubout", "-out", f"{name}.pub")
            identity = {"privateKey": (folder / "alipay.pem").read_text(), "toolId": "tool-1"}
            (folder / "alipay.key").write_text(json.dumps({"alipay": {"authentication": identity}}))
            (folder / "douyin.key").write_text(secrets.token_hex(32))
        return {"weixin": (folder / "weixin.key", folder / "weixin.pub"), "alipay": (folder / "alipay.key", folder / "alipay.pub"),
                "douyin": (folder / "douyin.key", folder / "douyin.key")}

    def standin_applications(self):
        return [part for platform, (_, known) in self.credentials().items()
                for part in ("--token" if platform == "douyin" else "--app", f"{APP_IDS[platform]}={known}")]

    def fault(self, settings, platforms=tuple(APP_IDS)):
        for platform in platforms:
            (self.cloud / "apps" / f"{APP_IDS[platform]}.json").write_text(json.dumps(settings))

    def project(self, app):
        """The demonstration's files, with credentials sealed for `app`."""
        files = {name: content for name, content in tree_of(PROJECT).items() if not name.startswith(("node_modules/", "dist/"))}
        for platform, (key, _) in self.credentials().items():
            out = self.folder / f"sealed-{app}-{platform}"
            self.slipway("credentials", "seal", "--app", app, "--platform", platform, "--app-id", APP_IDS[platform],
                         "--key", key, "--out", out)
            files[f".slipway/{platform}.credential"] = out.read_bytes()
        return files

    def start(self):
        super().start()
        self.application("tea-timer").commit(self.project("tea-timer"))

    def publish(self, version, platforms=ALL, code=0):
        """Submitted and followed by one command: what it said, and {platform: its task} of the publishes."""
        done = self.slipway("submit", "--app", "tea-timer", "--platform", platforms, "--version", version, "--publish", "--follow", check=False)
        expect(done.returncode == code, done.returncode, done.stdout, done.stderr)
        run = re.search(r"^run (run-\w+)", done.stdout, re.M).group(1)
        tasks = [self.task(task["id"]) for task in self.json("tasks", "--run", run)["tasks"]]
        return done.stdout, {task["platform"]: task for task in tasks if task["kind"] == "TASK_KIND_PUBLISH"}

    def accepted(self, version):
        """{app id: the uploads of this version that its platform accepted}."""
        found = {app_id: [] for app_id in APP_IDS.values()}
        for one in self.published():
            if one["version"] == version:
                found[one["appId"]].append(one)
        return found

    def releases_of(self, version):
        return {release["platform"]: release for release in self.releases() if release["version"] == version}


def states(publishes):
    return {platform: task["state"].removeprefix("TASK_STATE_") for platform, task in publishes.items()}


@case("one submit publishes to all three platforms and prints each release with its code")
def publishes(farm):
    said, tasks = farm.publish("1.0.1", platforms="all")
    expect(states(tasks) == dict.fromkeys(APP_IDS, "SUCCEEDED"), said)
    releases = farm.releases_of("1.0.1")
    expect(len(farm.releases()) == 3 and set(releases) == set(APP_IDS), farm.releases())
    for platform, release in releases.items():
        for words in (release["id"], release["qr_text"], f"slipway qr {release['id']} --png", f"building for {platform}"):
            expect_in(words, said)
        expect_in("█▀▀▀▀▀█", said[said.index(release["qr_text"]):said.index(f"slipway qr {release['id']} --png")])
        png = farm.folder / f"{platform}.png"
        farm.slipway("qr", release["id"], "--png", png)
        decoded = subprocess.run(["zbarimg", "-q", "--raw", str(png)], capture_output=True, text=True, timeout=30).stdout.strip()
        expect(decoded == release["qr_text"], decoded, release)


@case("each platform got the program built for it, once, with the version")
def uploaded(farm):
    accepted = farm.accepted("1.0.1")
    for platform, app_id in APP_IDS.items():
        (upload,) = accepted[app_id]
        expect(upload["kind"] == "upload" and upload["bytes"] > 10000, upload)
        expect(any(name.endswith("pages/teas/teas.js") for name in upload["files"]), upload)
        others = [file for other, (file, _) in OWN.items() if other != platform]
        expect(not any(name.endswith(tuple(others)) for name in upload["files"]), upload)


@case("the archive holds three products of one commit, each with its own platform's part and the version")
def archived(farm):
    releases = farm.releases_of("1.0.1")
    expect(len({release["commit"] for release in releases.values()}) == 1, releases)
    for platform, release in releases.items():
        folder = farm.folder / f"got-{platform}"
        farm.slipway("archive", "get", release["id"], "--dir", folder)
        product = {name: content.decode(errors="replace") for name, content in tree_of(folder).items()}
        file, words = OWN[platform]
        text = "".join(product.values())
        expect(file in product and words in text, sorted(product))
        expect(not any(other in text for key, (_, other) in OWN.items() if key != platform), product[file])
        expect_in("1.0.1", product["pages/teas/teas.js"])
        expect_in(release["commit"][:12], product["pages/teas/teas.js"])


@case("what one platform refuses, the two others publish: exit status and text say which")
def refused(farm):
    farm.fault({"fault": "refuse"}, ["alipay"])
    said, tasks = farm.publish("1.0.2", code=1)
    expect(states(tasks) == {"weixin": "SUCCEEDED", "alipay": "FAILED", "douyin": "SUCCEEDED"}, said)
    expect(failure_of(tasks["alipay"])["failure_class"] == "FAILURE_CLASS_PLATFORM_REFUSED", tasks["alipay"])
    expect_in("✗ alipay publish → alipay", said)
    for platform in ("weixin", "douyin"):
        expect_in(f"✓ {platform} publish → {platform}", said)
    expect_in("not permitted", said)
    expect(set(farm.releases_of("1.0.2")) == {"weixin", "douyin"}, farm.releases())
    expect([len(uploads) for uploads in farm.accepted("1.0.2").values()] == [1, 0, 1], farm.accepted("1.0.2"))


@case("only what failed, once more: the refused platform gets what was built for it, the others see nothing of it")
def refused_again(farm):
    before = len(farm.published())
    run = next(task["run"] for task in farm.json("tasks", "--app", "tea-timer")["tasks"]
               if task["platform"] == "alipay" and task["state"] == "TASK_STATE_FAILED")
    done = farm.slipway("submit-again", run, "--only-failed", "-f")
    tasks = farm.json("tasks", "--app", "tea-timer")["tasks"]
    again = [task for task in tasks if task["run"] == tasks[0]["run"]]
    expect([(task["kind"], task["platform"]) for task in again] == [("TASK_KIND_PUBLISH", "alipay")], again, done)
    nothing = farm.slipway("submit-again", again[0]["run"], "--only-failed", check=False)
    expect(nothing.returncode == 3 and "nothing of run" in nothing.stderr, nothing)
    expect([one["appId"] for one in farm.published()[before:]] == [APP_IDS["alipay"]], farm.published()[before:])
    expect(set(farm.releases_of("1.0.2")) == set(APP_IDS), farm.releases())


@case("answers lost after a success: unknown at each platform, found by a probe where the platform can tell")
def lost(farm):
    farm.fault({"fault": "lost"})
    said, tasks = farm.publish("1.0.3", code=4)
    farm.fault({})
    expect(states(tasks) == dict.fromkeys(APP_IDS, "UNKNOWN"), said)
    expect(not farm.releases_of("1.0.3"), farm.releases())
    expect([len(uploads) for uploads in farm.accepted("1.0.3").values()] == [1, 1, 1], farm.accepted("1.0.3"))
    for platform in APP_IDS:
        expect_in(f"? {platform} publish → {platform}: unknown", said)
    resolve = lambda platform, *words: farm.slipway("releases", "resolve", tasks[platform]["id"], *words, "--reason", "lost answer", check=False)
    for platform in ("alipay", "douyin"):
        probed = resolve(platform, "--probe", "--follow")
        expect(probed.returncode == 0, probed.stdout, probed.stderr)
        expect_in("is published", probed.stdout)
        expect(farm.task(tasks[platform]["id"])["resolution"]["probe_task"], farm.task(tasks[platform]["id"]))
    probed = resolve("weixin", "--probe", "--follow")
    expect(probed.returncode == 4, probed.stdout, probed.stderr)
    expect_in("tells an upload key nothing", probed.stdout)
    said = resolve("weixin", "--published")
    expect(said.returncode == 0, said.stderr)
    expect(set(farm.releases_of("1.0.3")) == set(APP_IDS), farm.releases())
    expect([len(uploads) for uploads in farm.accepted("1.0.3").values()] == [1, 1, 1], farm.accepted("1.0.3"))


@case("a platform of one's own is a directory on the agent's machine and a target")
def own_platform(farm):
    recipe = farm.folder / "publisher-acme"
    (recipe / "adapter").mkdir(parents=True)
    (recipe / "adapter/publish.cjs").write_text(OWN_ADAPTER)
    try:
        subprocess.run([REPOSITORY / "deploy/images/build", "--publisher-from", recipe], check=True, capture_output=True)
        farm.slipway("targets", "create", "acme/acme", "--image", "slipway-publisher-acme:1")
        key = farm.folder / "acme.key"
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        app = farm.application("own")
        sealed = farm.folder / "acme.sealed"
        farm.slipway("credentials", "seal", "--app", "own", "--platform", "acme", "--app-id", "acme-7", "--key", key, "--out", sealed)
        own = lab("mkdir out; echo hello >out/x", tail="  acme: {app_id: acme-7, output: out, credential: acme.credential, publish: {shelf: 3}}\n")
        app.commit({"slipway.yaml": own, "acme.credential": sealed.read_bytes()})
        run, _ = farm.submit("own", "acme", "--version", "1.2.3", "--publish")
        publish = next(task for task in farm.finish(run) if task["kind"] == "TASK_KIND_PUBLISH")
        log = farm.log(publish["id"]).decode()
        expect(publish["state"] == "TASK_STATE_SUCCEEDED", failure_of(publish), log)
        expect(publish["result"]["publish"]["link"] == "https://acme.example/acme-7/1.2.3", publish["result"])
        expect_in('acme takes hello with {"shelf":3} ' + hashlib.sha256(key.read_bytes()).hexdigest(), log)
    finally:
        docker("image", "rm", "--force", "slipway-publisher-acme:1", check=False)


@case("after all of that the three are published once more, and nothing of it is left")
def afterwards(farm):
    said, tasks = farm.publish("1.0.4")
    expect(states(tasks) == dict.fromkeys(APP_IDS, "SUCCEEDED"), said)
    farm.no_containers()


if __name__ == "__main__":
    suite.run(lambda: PlatformsFarm(agents=2))
