"""Real mail servers for tests: Exim with a mailbox, and one that misbehaves on demand."""

import email
import email.policy
import pathlib
import shutil
import subprocess
import sys

from farm import REPOSITORY, free_port, until

USER, PASSWORD = "farm", "T0p-s3cret-Mail"

EXIM = """
primary_hostname = mail.test
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
domainlist local_domains = example.com
acl_smtp_rcpt = check_rcpt
tls_advertise_hosts = *
tls_certificate = {folder}/mail.pem
tls_privatekey = {folder}/mail.key
host_lookup =
message_size_limit = 2M
keep_environment =
begin acl
check_rcpt:
  deny message = log in first
       !authenticated = *
  accept domains = +local_domains
  deny message = relaying is not for you
begin routers
local:
  driver = accept
  domains = +local_domains
  transport = box
begin transports
box:
  driver = appendfile
  directory = {folder}/box
  maildir_format
  envelope_to_add
  batch_max = 100
  user = Debian-exim
  group = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""


class Exim:
    """Takes mail for example.com from who is logged in over TLS, into one mailbox. As root."""

    def __init__(self, folder):
        self.folder, self.port = pathlib.Path(folder), free_port()
        for name in ("spool", "log", "box"):
            (self.folder / name).mkdir(parents=True)
        for name, more in (("ca", []), ("mail", ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
                                                 "-CA", "ca.pem", "-CAkey", "ca.key"])):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2",
                            "-subj", f"/CN={name}", *more, "-keyout", f"{name}.key", "-out", f"{name}.pem"],
                           cwd=self.folder, check=True, capture_output=True)
        (self.folder / "exim.conf").write_text(EXIM.format(folder=self.folder, port=self.port, user=USER, password=PASSWORD))
        for name in ("spool", "log", "box", "mail.key"):
            shutil.chown(self.folder / name, "Debian-exim", "Debian-exim")
        self.folder.chmod(0o755)
        self.process = subprocess.Popen(["/usr/sbin/exim4", "-C", self.folder / "exim.conf", "-bdf"], stdin=subprocess.DEVNULL,
                                        stdout=open(self.folder / "out", "wb"), stderr=subprocess.STDOUT)
        until("exim to listen", lambda: subprocess.run(
            ["ss", "-Hltn", f"sport = :{self.port}"], capture_output=True, text=True, check=True).stdout.strip())

    def mails(self):
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                for path in sorted((self.folder / "box/new").glob("*"))]

    def close(self):
        self.process.terminate()
        self.process.wait()


class FaultyServer:
    """tests/support/mail_server.py."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.process = subprocess.Popen([REPOSITORY / "tests/support/mail_server.py", self.folder], stdin=subprocess.DEVNULL,
                                        stdout=sys.stderr)
        self.port = until("the mail server to listen", lambda: (self.folder / "port").exists() and (self.folder / "port").read_text())

    def fault(self, name):
        (self.folder / "fault").write_text(name)

    def mails(self):
        return sorted(self.folder.glob("*.eml"))

    def close(self):
        self.process.terminate()
        self.process.wait()
