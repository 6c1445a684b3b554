"""Products handed to people: by mail through a real mail server, and by a page."""

import base64
import hashlib
import io
import pathlib
import re
import shutil
import subprocess
import tempfile
import zipfile

from farm import WEIXIN, Farm, Suite, expect, expect_in, failure_of, lab, until
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
        state["exim"].close()
        state["faulty"].close()
        shutil.rmtree(self.mail_folder, ignore_errors=True)
        return super().close(keep)


if __name__ == "__main__":
    suite.run(MailFarm)
