#!/usr/bin/python3
"""A web server that takes posts, and misbehaves on demand.

    hook_server.py FOLDER [--tls CERT KEY]

Writes its port to FOLDER/port, keeps each post as FOLDER/N.post (JSON: path, headers with names in lower case, body)
before it answers, and ends with the program that began it. FOLDER/answers, when it is there, has a line for each post:
a status, and behind a blank the body of the answer; "drop" closes the connection without an answer, "hang" says
nothing. The last line is for all that follow. Without it every post is answered 200 and {"errcode":0,"code":0}.
"""

import argparse
import http.server
import json
import os
import pathlib
import ssl
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        folder = self.server.folder
        with self.server.lock:
            self.server.count += 1
            number = self.server.count
            part = folder / f"{number}.part"
            part.write_text(json.dumps({
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body.decode(),
            }))
            part.rename(folder / f"{number}.post")
        try:
            answers = (folder / "answers").read_text().splitlines()
        except FileNotFoundError:
            answers = ['200 {"errcode":0,"code":0}']
        answer = answers[min(number, len(answers)) - 1]
        if answer == "drop":
            self.close_connection = True
            return
        if answer == "hang":
            time.sleep(3600)
        status, _, text = answer.partition(" ")
        self.send_response(int(status))
        if status.startswith("3"):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tls", nargs=2)
    args = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.folder, server.count, server.lock = args.folder, 0, threading.Lock()
    if args.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*args.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    part = args.folder / "port.part"
    part.write_text(str(server.server_address[1]))
    part.rename(args.folder / "port")
    parent = os.getppid()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while os.getppid() == parent:
        time.sleep(0.2)


main()
