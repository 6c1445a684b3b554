#!/usr/bin/env python3
"""Tests of the chaos suite's gate: it does what its modes say."""

import pathlib
import socket
import socketserver
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import gate  # noqa: E402


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(4096):
                self.request.sendall(data)
        except ConnectionError:
            pass  # what the gate is for


class Gate(unittest.TestCase):
    def setUp(self):
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.gate = gate.Gate(self.server.server_address[1])
        self.gate.start()
        self.client = self.connect()

    def tearDown(self):
        self.client.close()
        self.gate.stop()
        self.server.shutdown()
        self.server.server_close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.gate.port), 5)

    def say(self, client, words):
        client.sendall(words)
        client.settimeout(5)
        got = b""
        while len(got) < len(words):
            got += client.recv(4096)
        return got

    def silent(self, client):
        client.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            client.recv(1)
        return True

    def test_open_passes_every_byte(self):
        words = bytes(range(256)) * 2000
        self.assertEqual(self.say(self.client, words), words)

    def test_half_open_keeps_bytes_until_it_opens(self):
        self.say(self.client, b"warm")
        self.gate.set("half-open")
        self.client.sendall(b"late")
        late = self.connect()
        late.sendall(b"new")
        self.assertTrue(self.silent(self.client) and self.silent(late))
        self.gate.set("open")
        self.client.settimeout(5)
        late.settimeout(5)
        self.assertEqual((self.client.recv(9), late.recv(9)), (b"late", b"new"))
        late.close()

    def test_a_split_stops_one_direction(self):
        self.say(self.client, b"warm")
        for mode, moves, rests in (("split-up", "down", "up"), ("split-down", "up", "down")):
            with self.subTest(mode):
                self.gate.set(mode)
                before = dict(self.gate.passed)
                self.client.sendall(b"words")
                self.assertTrue(self.silent(self.client))
                self.assertEqual(self.gate.passed[rests], before[rests])
                self.gate.set("open")
                self.client.settimeout(5)
                self.assertEqual(self.client.recv(9), b"words")
                self.assertGreater(self.gate.passed[moves], before[moves])

    def test_cut_resets_what_is_and_what_comes(self):
        self.say(self.client, b"warm")
        self.gate.set("cut")
        self.client.settimeout(5)
        with self.assertRaises(ConnectionResetError):
            self.client.recv(1)
        with self.assertRaises(ConnectionError):
            fresh = self.connect()
            fresh.settimeout(5)
            if not fresh.recv(1):
                raise ConnectionError("closed")
        self.gate.set("open")
        fresh = self.connect()
        self.assertEqual(self.say(fresh, b"again"), b"again")
        fresh.close()

    def test_slow_is_late_and_whole(self):
        self.gate.set("slow")
        began = time.monotonic()
        self.assertEqual(self.say(self.client, b"slowly"), b"slowly")
        self.assertGreaterEqual(time.monotonic() - began, 2 * gate.SLOW_DELAY_SECONDS)


if __name__ == "__main__":
    unittest.main()
