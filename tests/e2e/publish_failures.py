"""Publishes that fail, each in its own way: the right class, the platform's own words, what to do in
English and Chinese, the exit status, the product archived, nothing released that was not published."""

import json
import secrets
from urllib.parse import quote

from farm import (APP_ID, WEIXIN, Farm, Suite, docker, expect, expect_in, failure_of, until, words_of)

suite = Suite()
case = suite.case
shops = {}

LEAKY_IMAGE = f"slipway-e2e-leaky:{secrets.token_hex(4)}"
# A client that prints its secret in two writes, whole, and inside other text.
LEAKY_CLIENT = """
const fs = require('fs');
const request = JSON.parse(fs.readFileSync(process.env.SLIPWAY_PUBLISH_REQUEST));
const key = fs.readFileSync(request.credentialFile, 'utf8');
const line = key.split('\\n')[3];
process.stdout.write('half ' + line.slice(0, 31));
setTimeout(() => {
  process.stdout.write(line.slice(31) + ' whole\\n' + key + '\\nurl ' + encodeURIComponent(line) + ' json ' + JSON.stringify(key) +
    ' base64 ' + Buffer.from(key).toString('base64') + '\\n');
  fs.writeFileSync(request.outDir + '/result.json', JSON.stringify({ ok: false, platform: 'weixin', mode: 'upload', appId: request.appId,
    version: request.version, stage: 'prove', class: 'platform_refused', reason: 'no: ' + line, remedy: 'none', remedyZh: '无',
    uploadStarted: false }));
  process.exitCode = 1;
}, 300);
"""


KNOWING_IMAGE = f"slipway-e2e-knowing:{secrets.token_hex(4)}"
# The real adapter, on a platform that tells which versions it holds.
KNOWING_CLIENT = """
const fs = require('fs');
const childProcess = require('child_process');
const request = JSON.parse(fs.readFileSync(process.env.SLIPWAY_PUBLISH_REQUEST));
if (request.operation !== 'probe') {
  require('./real.cjs');
} else if (process.env.NODE_EXTRA_CA_CERTS !== request.caFile) {
  process.exitCode = childProcess.spawnSync(process.execPath, [__filename], { stdio: 'inherit', env: { ...process.env, NODE_EXTRA_CA_CERTS: request.caFile } }).status;
} else {
  require('./prove.cjs').ask({ ...request, proveTimeoutSeconds: 20 }, '/standin/versions', { appid: request.appId }).then(({ versions }) => {
    const verdict = versions.includes(request.version) ? 'published' : 'not_published';
    fs.writeFileSync(request.outDir + '/result.json', JSON.stringify({ ok: true, stage: 'prove',
      probe: { verdict, version: request.version, link: '', words: 'the platform lists ' + versions.length, remedy: '', remedyZh: '' } }));
  });
}
"""


class PublishFarm(Farm):
    """With a target whose client leaks, one with little time, one without an image, and one whose platform
    tells what it holds."""

    def image(self, base, name, files):
        folder = self.folder / name.replace(":", "-") / "adapter"
        folder.mkdir(parents=True)
        container = docker("create", "--network", "none", "--label", "io.slipway.role=test", base, "/bin/true")
        if base.startswith("slipway-publisher"):
            docker("cp", f"{container}:/opt/slipway/adapter/publish.cjs", str(folder / "real.cjs"))
        for file, text in files.items():
            (folder / file).write_text(text)
        docker("cp", f"{folder.parent}/.", f"{container}:/opt/slipway")
        docker("commit", "--change", "LABEL io.slipway.role=test", container, name)
        docker("rm", container)

    def start(self):
        self.image("slipway-builder:1", LEAKY_IMAGE, {"publish.cjs": LEAKY_CLIENT})
        self.image("slipway-publisher-weixin:1", KNOWING_IMAGE, {"publish.cjs": KNOWING_CLIENT})
        super().start()
        for name, key in (("shop", "right"), ("wrongkey", "wrong")):
            shops[name] = self.application(name)
            shops[name].commit(self.shop(name, key))

    def close(self, keep=False):
        left = super().close(keep)
        docker("image", "rm", "--force", LEAKY_IMAGE, KNOWING_IMAGE, check=False)
        return left


TARGETS = f"""---
{{kind: target, name: leaky, platform: weixin, image: '{LEAKY_IMAGE}', deadline: 1m}}
---
{{kind: target, name: hasty, platform: weixin, image: 'slipway-publisher-weixin:1', proxy: '{{proxy}}', ca_file: {{ca}}, deadline: 20s}}
---
{{kind: target, name: knowing, platform: weixin, image: '{KNOWING_IMAGE}', proxy: '{{proxy}}', ca_file: {{ca}}, deadline: 60s}}
---
{{kind: target, name: noimage, platform: weixin, image: 'slipway-nowhere:1', deadline: 20s}}
"""


def fails(farm, klass, reason=None, words="", app="shop", target=None, state="FAILED", code=1, uploads=0, archived=True,
          log="", more=()):
    before = len(farm.uploads()), len(farm.published()), len(farm.releases())
    run, _ = farm.submit(app, WEIXIN, "--publish", *(["--target", target] if target else []), *more)
    follow = farm.slipway("follow", run, check=False, timeout=200)
    build, publish = farm.finish(run)
    failure = failure_of(publish)
    facts = (failure, words_of(publish), follow.stdout[-2500:], follow.stderr)
    expect(build["state"] == "TASK_STATE_SUCCEEDED", failure_of(build))
    expect(publish["state"] == f"TASK_STATE_{state}", publish["state"], *facts)
    expect(failure["failure_class"] == f"FAILURE_CLASS_{klass}", *facts)
    expect(reason is None or failure["reason"] == reason, *facts)
    expect(follow.returncode == code, follow.returncode, *facts)
    expect(words in failure["message"] + words_of(publish), words, *facts)
    expect(failure.get("remedy") and failure.get("remedy_zh"), *facts)
    expect_in("what to do", follow.stdout)
    expect("not complete" not in follow.stdout, *facts)
    chinese = farm.slipway("--lang", "zh", "tasks", "show", publish["id"]).stdout
    expect_in("处理办法", chinese)
    expect_in(log, farm.log(publish["id"]).decode(errors="replace"))
    # No release and no code; the product is archived; the platform accepted nothing.
    expect(not publish.get("release") and "█" not in follow.stdout and len(farm.releases()) == before[2], *facts)
    farm.slipway("archive", "show", build["id"])
    expect(len(farm.uploads()) - before[0] == uploads, farm.uploads()[before[0]:], *facts)
    expect(len(farm.published()) == before[1], farm.published()[before[1]:])
    farm.no_containers()
    farm.free_target(publish)
    return publish


@case("a wrong key: found at the proof, not one byte of the product sent")
def wrong_key(farm):
    before = len(farm.requests())
    fails(farm, "CREDENTIAL", app="wrongkey", words="sign invalid")
    sent = sum(request.get("bytes", 0) for request in farm.requests()[before:])
    expect(sent < 4000, farm.requests()[before:])


@case("a repository without a credential: nothing is built for a publish")
def no_credential(farm):
    app = farm.application("bare")
    files = farm.shop("bare")
    del files[".slipway/weixin.credential"]
    app.commit(files)
    run, _ = farm.submit("bare", WEIXIN, "--publish")
    follow = farm.slipway("follow", run, check=False)
    build, publish = farm.finish(run)
    expect(failure_of(build)["reason"] == "NO_CREDENTIAL" and follow.returncode == 1, failure_of(build), follow.stdout)
    expect(publish["state"] == "TASK_STATE_SKIPPED", publish)
    expect_in("credentials seal", follow.stdout)


@case("a credential copied from another application opens nothing")
def copied(farm):
    app = farm.application("thief")
    files = farm.shop("thief")
    files[".slipway/weixin.credential"] = (shops["shop"].tree / ".slipway/weixin.credential").read_bytes()
    app.commit(files)
    before = len(farm.requests())
    fails(farm, "CREDENTIAL", app="thief")
    expect(len(farm.requests()) == before)


@case("a damaged credential")
def damaged(farm):
    app = farm.application("damaged")
    files = farm.shop("damaged")
    sealed = bytearray(files[".slipway/weixin.credential"])
    at = len(sealed) // 2
    sealed[at] = ord("A") if sealed[at] != ord("A") else ord("B")
    files[".slipway/weixin.credential"] = bytes(sealed)
    app.commit(files)
    fails(farm, "CREDENTIAL", app="damaged")


@case("a client that prints its secret in two writes: the log shows stars")
def leak(farm):
    publish = fails(farm, "PLATFORM_REFUSED", target="leaky", words="no: ***", log="half *** whole")
    key = farm.keys["right"].read_text()
    seen = farm.log(publish["id"]).decode() + json.dumps(publish) + words_of(publish)
    for line in key.splitlines()[1:-1]:
        expect(line not in seen and line[:24] not in seen and quote(line, safe="") not in seen, line)


@case("the platform refuses the product, in its own words")
def refuses(farm):
    farm.fault({"fault": "refuse"})
    fails(farm, "PLATFORM_REFUSED", words="no permission to use this plugin", uploads=1)


@case("a gateway's error page before anything was sent is a network failure")
def html_first(farm):
    farm.fault({"proveFault": "html502"})
    fails(farm, "NETWORK", words="502")


@case("a gateway's error page after the upload began: outcome unknown, never tried again")
def html_later(farm):
    farm.fault({"fault": "html502"})
    fails(farm, "PUBLISH_UNKNOWN", words="502", state="UNKNOWN", code=4, uploads=1)


@case("a connection reset after the upload began: outcome unknown")
def reset(farm):
    farm.fault({"fault": "reset"})
    fails(farm, "PUBLISH_UNKNOWN", state="UNKNOWN", code=4, uploads=1)


def unknown(farm, target, version, fault, published):
    """A publish whose outcome nobody knows; its task."""
    farm.fault({"fault": fault})
    before = len(farm.published())
    run, _ = farm.submit("shop", WEIXIN, "--publish", "--target", target, "--version", version)
    _, publish = farm.finish(run)
    farm.fault({})
    expect(publish["state"] == "TASK_STATE_UNKNOWN", failure_of(publish))
    expect(len(farm.published()) - before == published, farm.published()[before:])
    return publish["id"]


def releases_of(farm, version):
    return [one for one in farm.releases() if one["version"] == version]


@case("the answer is lost after a success: a person finds it, and there is one release")
def lost_answer(farm):
    task = unknown(farm, "weixin", "5.0.1", "lost", published=1)
    early = farm.slipway("releases", "resolve", task, "--not-published", "--reason", "not seen", check=False)
    expect(early.returncode == 3, early.returncode, early.stderr)
    expect_in("may still be at work", early.stderr)
    probed = farm.slipway("releases", "resolve", task, "--probe", "--follow", "--reason", "lost answer", check=False)
    expect(probed.returncode == 4, probed.returncode, probed.stdout, probed.stderr)
    expect_in("tells an upload key nothing", probed.stdout)
    said = farm.slipway("releases", "resolve", task, "--published", "--reason", "listed in the console")
    again = farm.slipway("releases", "resolve", task, "--published", "--reason", "listed in the console")
    expect(said.stdout == again.stdout, said.stdout, again.stdout)
    expect(len(releases_of(farm, "5.0.1")) == 1, farm.releases())
    shown = farm.slipway("--lang", "zh", "tasks", "show", task).stdout
    expect_in("listed in the console", shown)
    farm.slipway("archive", "show", releases_of(farm, "5.0.1")[0]["id"])
    farm.no_containers()


@case("a platform that tells: a probe finds the lost success")
def probe_finds(farm):
    task = unknown(farm, "knowing", "5.0.2", "lost", published=1)
    before = len(farm.uploads())
    probed = farm.slipway("releases", "resolve", task, "--probe", "--follow", "--reason", "lost answer")
    expect_in("is published", probed.stdout)
    expect(len(releases_of(farm, "5.0.2")) == 1, farm.releases())
    expect(len(farm.uploads()) == before and len([one for one in farm.published() if one["version"] == "5.0.2"]) == 1)
    resolution = farm.task(task)["resolution"]
    expect(resolution["probe_task"] and "the platform lists" in resolution["reason"], resolution)


@case("a platform that tells: a probe finds nothing, and only after the wait it counts")
def probe_finds_nothing(farm):
    task = unknown(farm, "knowing", "5.0.3", "reset", published=0)
    resolved = lambda: farm.slipway("releases", "resolve", task, "--probe", "--follow", "--reason", "reset", check=False)
    first = resolved()
    if first.returncode == 4:  # too early to say so
        until("the margin to pass", lambda: resolved().returncode == 0, 60)
    now = farm.task(task)
    expect(now["state"] == "TASK_STATE_FAILED" and failure_of(now)["reason"] == "PUBLISH_NOT_DONE", now)
    expect(not releases_of(farm, "5.0.3"))


@case("a platform that never answers: outcome unknown at the target's deadline")
def hang(farm):
    farm.fault({"fault": "hang"})
    fails(farm, "PUBLISH_UNKNOWN", target="hasty", state="UNKNOWN", code=4, uploads=1)


@case("a target whose image is missing")
def no_image(farm):
    fails(farm, "POLICY", target="noimage", words="slipway-nowhere:1")


@case("a product of another application is not sent")
def other_application(farm):
    app = farm.application("other")
    files = farm.shop("other")
    files["slipway.yaml"] = files["slipway.yaml"].replace(APP_ID.encode(), b"wx0000000000000000")
    app.commit(files)
    fails(farm, "CREDENTIAL", app="other", words="wx0000000000000000")


@case("publishing to a target that is not configured is refused at the submit")
def no_target(farm):
    for more in (("--platform", WEIXIN, "--target", "nowhere"), ("--platform", "alipay")):
        done = farm.slipway("submit", "--app", "shop", *more, "--publish", check=False)
        expect(done.returncode == 3, done.returncode, done.stderr)
        expect_in("target", done.stderr)


@case("after all of that, a publish succeeds")
def afterwards(farm):
    done = farm.slipway("submit", "--app", "shop", "--platform", WEIXIN, "--version", "9.0.0", "--publish", "--follow")
    expect_in("█", done.stdout)
    expect([one["version"] for one in farm.published()] == ["5.0.1", "5.0.2", "9.0.0"], farm.published())


if __name__ == "__main__":
    suite.run(lambda: PublishFarm(agents=1, standin=True, targets=TARGETS, controller_options="publish_margin: 8s\n"))
