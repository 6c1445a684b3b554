"""Private repositories on a whole farm: git over HTTPS behind a company's own certificate authority, git over SSH, and no trace of
what opens them."""

import base64
import contextlib
import os
import pathlib
import re
import secrets
import shutil
import tempfile
import threading

from application import Application
from farm import Failed, Farm, Suite, expect, expect_in, failure_of, lab, until, words_of
from git_servers import HttpsServer, SshServer

suite = Suite()
case = suite.case
BUILD = "echo built from $(cat who); mkdir out; cp who out/"
USER, PASSWORD, WRONG = "deploy", "T0ken/" + secrets.token_hex(12), "Wr0ng/" + secrets.token_hex(12)


class Watch:
    """Looks at the arguments and the environment of every process of the machine, again and again, until it is closed."""

    def __init__(self, words):
        self.words, self.found, self.looks = [word.encode() for word in words], set(), 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            self.look()
            self.over.wait(0.02)

    def look(self):
        """The command lines of now."""
        lines = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    content = pathlib.Path("/proc", entry, name).read_bytes()
                    if name == "cmdline":
                        lines[int(entry)] = content.replace(b"\0", b" ").decode(errors="replace")
                    if any(word in content for word in self.words):
                        self.found.add((name, lines.get(int(entry), entry)))
        self.looks += 1
        return lines

    def close(self, keep=False):
        self.over.set()
        self.thread.join()
        return []


class Desk:
    """What a person has who sets credentials: files, beside the farm and not in it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-desk-"))

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def close(self, keep=False):
        shutil.rmtree(self.folder)
        return []


class World:
    """The servers, and who watches. `secrets`: in all forms in which they may come to light."""

    def __init__(self, farm):
        (farm.folder / "repos").mkdir()
        self.applications = {}
        self.desk = Desk()
        suite.more_farms.append(self.desk)
        self.https = HttpsServer(farm.folder / "repos", USER, PASSWORD)
        suite.more_farms.append(self.https)
        self.ssh = SshServer(farm.folder / "repos")
        suite.more_farms.append(self.ssh)
        self.secrets = [PASSWORD, WRONG]
        self.secrets += [base64.b64encode(f"{USER}:{word}".encode()).decode() for word in (PASSWORD, WRONG)]
        self.secrets += [word.replace("/", "%2F") for word in (PASSWORD, WRONG)]
        # The first line of a key is the same in all; these are its secret.
        self.secrets += self.ssh.key.read_text().splitlines()[3:-1]
        self.watch = Watch(self.secrets)
        suite.more_farms.append(self.watch)


def world(farm):
    if not hasattr(farm, "world"):
        farm.world = World(farm)
    return farm.world


def application(farm, name, url):
    made = Application(farm, name)
    made.commit({"slipway.yaml": lab(BUILD), "who": name})
    farm.slipway("apps", "create", name, "--repository", url)
    farm.world.applications[name] = made


def refused(farm, name, reason):
    """Submits, and returns the failure, which has to be of the class credential and to give `reason` and no secret."""
    done = farm.slipway("submit", "--app", name, "--platform", "demo", "--follow", check=False)
    expect(done.returncode == 1, done.stdout, done.stderr)
    run = re.search(r"run-[a-z0-9]+", done.stdout).group()
    (task,) = farm.finish(run)
    failure = failure_of(task)
    expect(failure["failure_class"] == "FAILURE_CLASS_CREDENTIAL" and failure["reason"] == reason, failure)
    expect(int(task["attempt"]) == 1, "it was tried again", task)
    for word in farm.world.secrets:
        expect(word not in done.stdout + done.stderr + words_of(task), done.stdout)
    expect_in(failure["remedy"], done.stdout)
    return failure, done.stdout, words_of(task)


def built(farm, name):
    done = farm.slipway("submit", "--app", name, "--platform", "demo", "--follow")
    expect_in(f"built from {name}", done.stdout)
    run = re.search(r"run-[a-z0-9]+", done.stdout).group()
    (task,) = farm.finish(run)
    log = farm.log(task["id"]).decode()
    expect_in(f"built from {name}", log)
    for word in farm.world.secrets:
        expect(word not in log, log)


@case("a server with a certificate of the company's own authority is not trusted before that authority is given")
def untrusted(farm):
    here = world(farm)
    application(farm, "shop", here.https.url("shop"))
    failure, _, words = refused(farm, "shop", "REPOSITORY_UNTRUSTED")
    expect_in("--ca-file", failure["remedy"])
    expect_in("--ca-file", failure["remedy_zh"])
    expect_in("certificate verification failed", words)
    password = here.desk.file("password", PASSWORD + "\n")
    farm.slipway("apps", "set-repository-credential", "shop", "--https-user", USER, "--password-file", password)
    refused(farm, "shop", "REPOSITORY_UNTRUSTED")
    listed = farm.slipway("versions", "shop", check=False)
    expect(listed.returncode == 1, listed.stdout)
    expect_in("--ca-file", listed.stdout + listed.stderr)


@case("with user, token and authority the versions are listed and a build succeeds")
def https(farm):
    here = world(farm)
    password = here.desk.file("password", PASSWORD + "\n")
    shown = farm.slipway("apps", "set-repository-credential", "shop", "--https-user", USER, "--password-file", password,
                         "--ca-file", here.https.ca).stdout
    expect_in(f"https, {USER}, server's authority given", shown)
    expect_in("main *", until("the versions", lambda: farm.slipway("versions", "shop", check=False).stdout))
    built(farm, "shop")


@case("a wrong token is refused in git's words, with what to do, by submit and by versions")
def wrong_token(farm):
    here = world(farm)
    wrong = here.desk.file("wrong", WRONG + "\n")
    application(farm, "office", here.https.url("office"))
    farm.slipway("apps", "set-repository-credential", "office", "--https-user", USER, "--password-file", wrong, "--ca-file", here.https.ca)
    failure, _, words = refused(farm, "office", "REPOSITORY_ACCESS_DENIED")
    expect_in("set-repository-credential", failure["remedy"])
    expect_in("Authentication failed", words)
    listed = farm.slipway("versions", "office", check=False)
    expect(listed.returncode == 1, listed.stdout)
    expect_in("Authentication failed", listed.stdout + listed.stderr)
    expect_in("set-repository-credential", listed.stdout + listed.stderr)
    # What another application's credential opened is not there for this one.
    expect("main" not in listed.stdout, listed.stdout)


@case("a token that is replaced at the server is refused from then on, and the new one is good")
def replaced(farm):
    here = world(farm)
    here.https.password.write_text(WRONG)
    refused(farm, "shop", "REPOSITORY_ACCESS_DENIED")
    new = here.desk.file("new", WRONG + "\n")
    farm.slipway("apps", "set-repository-credential", "shop", "--https-user", USER, "--password-file", new, "--ca-file", here.https.ca)
    built(farm, "shop")


@case("over SSH, a deploy key and the server's key do the same, and a stranger's key does not")
def ssh(farm):
    here = world(farm)
    application(farm, "app", here.ssh.url("app"))
    stranger = here.ssh.folder / "host"
    farm.slipway("apps", "set-repository-credential", "app", "--ssh-key-file", stranger, "--known-hosts", here.ssh.known_hosts)
    _, _, words = refused(farm, "app", "REPOSITORY_ACCESS_DENIED")
    expect_in("Permission denied (publickey", words)
    shown = farm.slipway("apps", "set-repository-credential", "app", "--ssh-key-file", here.ssh.key, "--known-hosts", here.ssh.known_hosts).stdout
    expect(re.search(r"ssh, SHA256:\S+, server's key given", shown), shown)
    expect_in("main *", until("the versions", lambda: farm.slipway("versions", "app", check=False).stdout))
    built(farm, "app")


@case("while git talks to the server, the secret is in no argument, environment or file")
def in_use(farm):
    here = world(farm)
    for name, server, program in (("shop", here.https, "git-remote-http"), ("app", here.ssh, "ssh ")):
        here.applications[name].commit({"slipway.yaml": lab(BUILD), "who": name}, message="one to fetch")
        server.freeze()
        try:
            run, (task,) = farm.submit(name, "demo")
            until(f"{program} to wait for the server", lambda: any(program in line and "127.0.0.1" in line for line in here.watch.look().values()))
            nowhere(farm)
        finally:
            server.thaw()
        (task,) = farm.finish(run)
        expect(task["state"] == "TASK_STATE_SUCCEEDED", task)


def nowhere(farm):
    """Claims that no file of the farm holds a secret: databases, logs, journals, mirrors, configuration."""
    words = [word.encode() for word in farm.world.secrets]
    read = 0
    for path in farm.folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                read += 1
                for word in words:
                    expect(word not in content, path)
    expect(read > 500, read)


@case("no secret is in any file of the farm, nor was it ever in a list of processes")
def no_trace(farm):
    here = world(farm)
    nowhere(farm)
    # The same look finds what is there.
    planted = farm.folder / "planted"
    planted.write_text(f"url = https://{USER}:{PASSWORD.replace('/', '%2F')}@git.example/shop.git\n")
    try:
        nowhere(farm)
    except Failed as failure:
        expect_in("planted", str(failure))
    else:
        expect(False, "a planted secret was not found")
    planted.unlink()
    expect(here.watch.looks > 10, here.watch.looks)
    expect(not here.watch.found, here.watch.found)
    trail = farm.slipway("--json", "audit", "list", "--limit", "1000").stdout
    expect_in("set_repository_credential", trail)
    expect(not any(word in trail for word in here.secrets), "the audit trail")


if __name__ == "__main__":
    suite.run(lambda: Farm(agents=1))
