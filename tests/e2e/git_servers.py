"""Git servers of one's own, for the end-to-end tests: git's http-backend behind TLS and a password, and sshd behind a key."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

from farm import REPOSITORY, Failed, free_port, until

SERVER = REPOSITORY / "tests/support/git_http_server.py"


def run(*command, folder=None):
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")


class GitServer:
    """What both have: a program and a folder beside the farm's, which holds what nobody else may see."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-git-"))
        self.process = None

    def launch(self, command):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def freeze(self):
        """Takes connections and says nothing from now on, until `thaw`."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def close(self, keep=False):
        """Ends it; what should not have been left, in words, as a farm says it."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        shutil.rmtree(self.folder)
        return []


class HttpsServer(GitServer):
    """Serves the repositories below `root` to one user, with a certificate of a company's own authority, `ca`."""

    def __init__(self, root, user, password):
        super().__init__()
        self.ca = self.folder / "company-ca.pem"
        new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2")
        run(*new, "-subj", "/CN=Example Company CA", "-keyout", "ca.key", "-out", self.ca, folder=self.folder)
        run(*new, "-subj", "/CN=git", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", self.ca, "-CAkey", "ca.key", "-keyout", "git.key", "-out", "git.pem", folder=self.folder)
        (self.folder / "tls").write_text((self.folder / "git.key").read_text() + (self.folder / "git.pem").read_text())
        self.password = self.folder / "password"
        self.password.write_text(password)
        self.password.chmod(0o600)
        port = self.folder / "port"
        # Under a name of its own: a farm takes a process that names the farm's folder for one it left behind.
        served = self.folder / "served"
        served.symlink_to(root)
        self.launch([sys.executable, SERVER, served, port, user, self.password, self.folder / "tls"])
        until("the git server to listen", port.exists)
        self.port = int(port.read_text())

    def url(self, name):
        return f"https://127.0.0.1:{self.port}/{name}.git"


class SshServer(GitServer):
    """sshd that lets in whoever has the key `key`, as the user that runs the test."""

    def __init__(self, root):
        super().__init__()
        self.root, self.port = root, free_port()
        self.key, self.known_hosts = self.folder / "key", self.folder / "known_hosts"
        for name in ("key", "host"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.folder / name)
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {(self.folder / 'host.pub').read_text()}")
        # Where sshd of Debian separates its privileges; there is none without its service.
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (self.folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.key}.pub\nPidFile none\n"
            "UsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
        self.launch(["/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config"])
        until("sshd to listen", lambda: "Server listening" in (self.folder / "log").read_text())

    def url(self, name):
        return f"ssh://{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1:{self.port}{self.root}/{name}.git"
