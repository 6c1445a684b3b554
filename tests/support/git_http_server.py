"""A git server over HTTP or HTTPS: git's own http-backend behind basic authentication.

Usage: git_http_server.py ROOT PORT_FILE USER PASSWORD_FILE [TLS_FILE]. Serves the repositories below
ROOT on a free port of the loopback, which it writes to PORT_FILE. The password is read for each
request. TLS_FILE: its private key and its certificate, in PEM.
"""

import base64
import contextlib
import http.server
import os
import ssl
import subprocess
import sys

ROOT, PORT_FILE, USER, PASSWORD_FILE = sys.argv[1:5]
TLS_FILE = sys.argv[5] if len(sys.argv) > 5 else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def allowed(self):
        with open(PASSWORD_FILE, encoding="utf-8") as file:
            wanted = base64.b64encode(f"{USER}:{file.read()}".encode()).decode()
        return self.headers.get("Authorization") == "Basic " + wanted

    def serve(self):
        if not self.allowed():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {
            "PATH": "/usr/bin:/bin", "GIT_PROJECT_ROOT": ROOT, "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "REMOTE_USER": USER, "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        answer = subprocess.run(["git", "http-backend"], input=body, env=environment,
                                stdout=subprocess.PIPE, check=False).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = serve

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def shutdown_request(self, request):
        if TLS_FILE:
            # The answer ends with the connection, so TLS has to say that this is its end.
            with contextlib.suppress(OSError, ValueError):
                request.settimeout(5)
                request.unwrap()
        super().shutdown_request(request)


server = Server(("127.0.0.1", 0), Handler)
if TLS_FILE:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS_FILE)
    # The handshake is made by the request's own thread, when it reads first.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
with open(PORT_FILE + ".new", "w", encoding="utf-8") as file:
    file.write(str(server.server_port))
os.rename(PORT_FILE + ".new", PORT_FILE)
server.serve_forever()
