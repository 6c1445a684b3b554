#!/usr/bin/python3
"""A mail server that misbehaves on demand.

    mail_server.py FOLDER [--tls CERT KEY] [--smtps] [--login USER PASSWORD]

Writes its port to FOLDER/port, keeps each mail that it takes as FOLDER/N.eml with a first line that
names the recipients, and ends with the program that began it. --tls offers STARTTLS, --smtps speaks TLS from the first
byte. FOLDER/fault, when it is there, says what goes wrong:

    refuse-rcpt   every recipient is refused, 550
    refuse-odd    every recipient is refused with bytes that are no text
    refuse-data   the mail is refused after its last byte, 552
    hold-data     the mail is kept, and no answer comes
    drop-data     the mail is kept, and the connection closed without an answer
    tarpit        nothing is ever said
"""

import argparse
import asyncio
import os
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    def fault(self):
        try:
            return (self.folder / "fault").read_text().strip()
        except FileNotFoundError:
            return ""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.fault() == "refuse-odd":
            server.transport.write(b"550 \xff\xfe\x00\x1b[31m no\r\n")
            return "550 and no again"
        if self.fault() == "refuse-rcpt":
            return f"550 5.1.1 {address} is unknown here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        fault = self.fault()
        if fault == "refuse-data":
            return "552 5.3.4 too large for this mailbox"
        self.count += 1
        path = self.folder / f"{self.count}.eml"
        part = path.with_suffix(".part")
        part.write_bytes(f"X-Recipients: {', '.join(envelope.rcpt_tos)}\n".encode() + envelope.content)
        part.rename(path)
        if fault == "drop-data":
            server.transport.abort()
        if fault in ("drop-data", "hold-data"):
            await asyncio.sleep(3600)
        return "250 2.0.0 taken"


class Tarpit(asyncio.Protocol):
    pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--smtps", action="store_true")
    parser.add_argument("--login", nargs=2)
    arguments = parser.parse_args()
    handler = Handler(arguments.folder)
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)

    def authenticate(server, session, envelope, mechanism, data):
        wanted = tuple(word.encode() for word in arguments.login)
        return AuthResult(success=(data.login, data.password) == wanted, handled=False)

    def connection():
        if handler.fault() == "tarpit":
            return Tarpit()
        more = {}
        if arguments.login:
            more = {"authenticator": authenticate, "auth_required": True,
                    "auth_require_tls": context is not None and not arguments.smtps}
        return SMTP(handler, hostname="mail.test", tls_context=None if arguments.smtps else context, **more)

    async def serve():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(connection, "127.0.0.1", 0, ssl=context if arguments.smtps else None)
        part = arguments.folder / "port.part"
        part.write_text(str(server.sockets[0].getsockname()[1]))
        part.rename(arguments.folder / "port")
        parent = os.getppid()
        while os.getppid() == parent:
            await asyncio.sleep(0.2)
        server.close()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
