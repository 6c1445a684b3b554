"""Products handed to people: by mail through a real mail server, and by a page."""

import base64
import hashlib
import hmac
import io
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import zipfile

from farm import REPOSITORY, WEIXIN, Farm, Suite, expect, expect_in, failure_of, lab, until
from mail_servers import PASSWORD, USER, Exim, FaultyServer

suite = Suite()
case = suite.case
state = {}
BASE = "https://farm.example.org"


def fetch(farm, link, *options):
    """What curl gets for a link of the farm."""
    port = re.findall(r"event=ready.*http_port=(\d+)", (farm.folder / "controller.log").read_text())[-1]
    expect(link.startswith(f"{BASE}/p/"), link)
    done = subprocess.run(["curl", "-sS", *options, f"http://127.0.0.1:{port}{link.removeprefix(BASE)}"], capture_output=True, timeout=60)
    expect(done.returncode == 0, done)
    return done.stdout


@case("an admin adds a page and a mail channel by file; a product manager sees them, and neither server nor password")
def channels_are_made(farm):
    exim = state["exim"]
    catalog = farm.folder / "channels.yaml"
    shutil.copy(exim.folder / "ca.pem", farm.folder / "mail-ca.pem")
    catalog.write_text(f"kind: target\nplatform: page\n---\nkind: target\nplatform: email\nname: qa\nserver: smtp://127.0.0.1:{exim.port}\n"
                       f"user: {USER}\nfrom: farm@example.com\nto: [qa@example.com]\nmay_reach: ['@example.com']\nca_file: mail-ca.pem\n"
                       "language: zh-CN\n---\nkind: target\nplatform: email\nname: faulty\n"
                       f"server: smtp://127.0.0.1:{state['faulty'].port}\nno_tls: true\nfrom: farm@example.com\nto: [qa@example.com]\n")
    farm.slipway("apply", "-f", catalog)
    again = farm.slipway("diff", "-f", catalog, check=False)
    expect(again.returncode == 0 and "server:" not in again.stdout, again)
    secret = farm.folder / "smtp-password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    shown = farm.slipway("targets", "secret", "email/qa", "--secret-file", secret).stdout
    expect_in("set", shown)
    expect(PASSWORD not in shown, shown)

    farm.application("pocket-shop").commit(farm.shop("pocket-shop"))
    farm.slipway("accounts", "create", "mei", "--kind", "member")
    token = state["token"] = farm.folder / "mei.token"
    token.write_text(farm.slipway("tokens", "create", "mail", "--account", "mei").stdout)
    token.chmod(0o600)
    for operation in ("package", "preview", "publish"):
        farm.slipway("grants", "add", "mei", "--app", "pocket-shop", "--op", operation)
    seen = farm.slipway("targets", "show", "email/qa", token=token).stdout
    expect_in("@example.com", seen)
    expect("127.0.0.1" not in seen and USER + "@" not in seen, seen)


@case("she builds, and the product goes by mail and to a page at once")
def hands_on(farm):
    done = farm.slipway("submit", "--app", "pocket-shop", "--platform", WEIXIN, "--version", "2.0.1", "--description", "请测试",
                        "--channel", "page", "--channel", "email/qa=mei@example.com", "--follow", token=state["token"])
    releases = farm.releases()
    expect(len(releases) == 2, releases, done.stdout)
    state["page"], state["mail"] = (next(one for one in releases if one["target"] == target) for target in ("page/page", "email/qa"))
    expect_in(state["page"]["link"], done.stdout)
    expect(not farm.published(), farm.published())


@case("the mail is in the mailbox, in Chinese, with the package, its code and a link that works")
def mail_came(farm):
    (mail,) = until("the mail", state["exim"].mails)
    expect(mail["subject"] == "pocket-shop 2.0.1 (weixin)" and mail["from"] == "farm@example.com", mail.items())
    expect(sorted(mail["envelope-to"].split(", ")) == ["mei@example.com", "qa@example.com"], mail["envelope-to"])
    text = mail.get_body(("plain",)).get_content()
    for words in ("应用: pocket-shop", "请测试", "安装包见附件", state["mail"]["link"]):
        expect_in(words, text)
    package = next(part for part in mail.iter_attachments() if part.get_filename())
    expect(package.get_filename() == "pocket-shop-weixin-2.0.1.zip", package.get_filename())
    content = package.get_content()
    expect_in(hashlib.sha256(content).hexdigest(), text)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        expect("app.json" in archive.namelist(), archive.namelist())
    code = next(part for part in mail.walk() if part.get_content_type() == "image/png").get_content()
    png = farm.folder / "mail-code.png"
    png.write_bytes(code)
    scanned = subprocess.run(["zbarimg", "-q", "--raw", png], capture_output=True, text=True, timeout=60).stdout.strip()
    expect(scanned == state["mail"]["link"], scanned)
    expect(fetch(farm, state["mail"]["link"] + "/file") == content)


@case("the page shows what it is and gives the same bytes; another address gives nothing")
def page_is_there(farm):
    link = state["page"]["link"]
    page = fetch(farm, link).decode()
    package = fetch(farm, f"{link}/file")
    for words in ("pocket-shop 2.0.1", "请测试", hashlib.sha256(package).hexdigest(), "<svg"):
        expect_in(words, page)
    wrong = link[:-1] + ("a" if link[-1] != "a" else "b")
    expect(fetch(farm, wrong, "-o", "/dev/null", "-w", "%{http_code}") == b"404")


@case("the same product goes, sealed for a partner, to a page with a password, a webhook and a robot, without a build")
def sealed(farm):
    folder = farm.folder / "hooks"
    folder.mkdir()
    hooks = subprocess.Popen(["/usr/bin/python3", REPOSITORY / "tests/support/hook_server.py", folder])
    state["hooks"] = hooks
    port = until("the web server", lambda: (folder / "port").exists() and (folder / "port").read_text())
    catalog = folder / "channels.yaml"
    catalog.write_text("".join(f"---\nkind: target\nplatform: {platform}\nname: hook\nurl: http://127.0.0.1:{port}/{platform}\nno_tls: true\n"
                               for platform in ("webhook", "feishu")))
    farm.slipway("apply", "-f", catalog)
    expect(farm.slipway("diff", "-f", catalog, check=False).returncode == 0)
    secrets = {"webhook": "a key that nobody else has", "feishu": "robot-key:signing-words", "page": "a word for visitors"}
    for name, secret in secrets.items():
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
        if name != "page":
            farm.slipway("targets", "secret", f"{name}/hook", "--secret-file", folder / name)
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=partner", "-keyout", folder / "key", "-out", folder / "pem"],
                   check=True, capture_output=True)
    before = len(farm.json("tasks", "--app", "pocket-shop")["tasks"])
    done = farm.slipway("publish", state["page"]["id"], "--channel", "page", "--channel", "webhook", "--channel", "feishu", "--package-format", "tar.gz",
                        "--recipient", folder / "pem", "--page-password-file", folder / "page", "-f", token=state["token"])
    expect(len(farm.json("tasks", "--app", "pocket-shop")["tasks"]) == before + 3, done)
    released = {release["target"]: release for release in farm.releases()[:3]}
    expect({release["build_task"] for release in released.values()} == {state["page"]["build_task"]}, released)

    posts = {}
    for number in (1, 2):
        post = json.loads((folder / f"{number}.post").read_text())
        posts[post["path"]] = post
    hook = posts["/webhook"]
    signed = ".".join((hook["headers"]["webhook-id"], hook["headers"]["webhook-timestamp"], hook["body"])).encode()
    signature = base64.b64encode(hmac.new(secrets["webhook"].encode(), signed, hashlib.sha256).digest()).decode()
    expect(hook["headers"]["webhook-signature"] == f"v1,{signature}", hook)
    told = json.loads(hook["body"])
    expect(told["file"]["cipher"] == "aes-256-gcm" and told["version"] == "2.0.1" and told["link"] == released["webhook/hook"]["link"], told)
    robot = json.loads(posts["/feishu/robot-key"]["body"])
    expect_in(released["feishu/hook"]["link"], json.dumps(robot))

    link = released["page/page"]["link"]
    expect_in("password", fetch(farm, link).decode())
    expect("2.0.1" not in fetch(farm, f"{link}/file").decode())
    # curl keeps no cookie of an https address that it got by http.
    fetch(farm, link, "-D", folder / "head", "--data-urlencode", f"password@{folder}/page")
    cookie = re.search(r"slipway_page=(\w+)", (folder / "head").read_text()).group(1)
    sealed = fetch(farm, f"{link}/file", "-H", f"Cookie: slipway_page={cookie}")
    (folder / "sealed").write_bytes(sealed)
    subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-in", folder / "sealed", "-inkey", folder / "key", "-out", folder / "opened.tar.gz"],
                   check=True, capture_output=True)
    names = subprocess.run(["tar", "-tzf", folder / "opened.tar.gz"], check=True, capture_output=True, text=True).stdout
    expect_in("app.json", names)
    logs = (farm.folder / "controller.log").read_text() + "".join(farm.slipway("logs", release["publish_task"]).stdout for release in released.values())
    rows = farm.query("SELECT t::text FROM runs t UNION ALL SELECT t::text FROM audit t UNION ALL SELECT t::text FROM targets t")
    for secret in ("robot-key", "signing-words", secrets["webhook"], secrets["page"]):
        expect(secret not in logs and secret not in str(rows), secret)


@case("a mail that the server finds too large reaches nobody, and the failure has the server's words")
def too_large(farm):
    app = farm.application("large")
    app.commit({"slipway.yaml": lab("mkdir out; head -c 3000000 /dev/urandom > out/large")})
    run, _ = farm.submit("large", "demo", "--channel", "email/qa")
    tasks = farm.finish(run)
    failure = failure_of(tasks[-1])
    expect(failure.get("reason") == "MAIL_REFUSED" and b"552" in base64.b64decode(failure["tool_words"]), failure)
    expect(len(state["exim"].mails()) == 1)


@case("a controller that is killed while the server keeps its answer leaves a mail of unknown outcome, sent once")
def killed(farm):
    farm.application("small").commit({"slipway.yaml": lab("mkdir out; echo small > out/file")})
    state["faulty"].fault("hold-data")
    run, tasks = farm.submit("small", "demo", "--channel", "email/faulty")
    until("the mail to arrive", state["faulty"].mails)
    farm.controller.kill9()
    state["faulty"].fault("")
    farm.start_controller()
    (publish,) = (task for task in farm.json("tasks", "--run", run)["tasks"] if task["kind"] == "TASK_KIND_PUBLISH")
    ended = farm.wait_state(publish["id"], "unknown", seconds=300)
    expect(failure_of(ended)["failure_class"] == "FAILURE_CLASS_PUBLISH_UNKNOWN", ended)
    expect(len(state["faulty"].mails()) == 1)
    farm.slipway("releases", "resolve", publish["id"], "--published", "--reason", "it is in the mailbox")


@case("the password is in no log, no list of processes and no row")
def no_trace(farm):
    for path in farm.folder.rglob("*"):
        if path.is_file() and path.suffix in (".log", ".out", ".yaml") and "exim" not in path.name:
            expect(PASSWORD.encode() not in path.read_bytes(), path)
    rows = farm.query("SELECT t::text FROM targets t UNION ALL SELECT entry FROM audit")
    expect(rows and not any(PASSWORD in row[0] for row in rows))
    for task in farm.json("tasks")["tasks"]:
        log = farm.slipway("logs", task["id"], text=False, check=False).stdout
        expect(PASSWORD.encode() not in log and base64.b64encode(PASSWORD.encode()) not in log, task["id"])


class MailFarm(Farm):
    """A farm with a mail server that works and one that does not."""

    def __init__(self):
        super().__init__(agents=1, standin=True, controller_options=f"public_url: {BASE}\n")
        self.mail_folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-e2e-mail-"))
        # Exim is not root.
        self.mail_folder.chmod(0o755)
        state["exim"] = Exim(self.mail_folder / "exim")
        state["faulty"] = FaultyServer(self.mail_folder / "faulty")

    def close(self, keep=False):
        if "hooks" in state:
            state["hooks"].kill()
        state["exim"].close()
        state["faulty"].close()
        shutil.rmtree(self.mail_folder, ignore_errors=True)
        return super().close(keep)


if __name__ == "__main__":
    suite.run(MailFarm)
