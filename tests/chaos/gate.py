"""A TCP proxy between one agent and the controller that misbehaves on command.

    gate = Gate(controller_port)
    gate.start()              # gate.port
    gate.set("half-open")     # see MODES
    gate.stop()

Its thread owns all connections; set() may be called from any thread and returns when it holds.
"""

import asyncio
import socket
import struct
import threading

# Mode → directions in which bytes pass: "up" is from the agent to the controller.
MODES = {
    "open": {"up", "down"},
    "slow": {"up", "down"},
    "cut": set(),  # and every connection is reset, new ones too
    "half-open": set(),
    "split-up": {"down"},
    "split-down": {"up"},
}

BLOCK = 64 << 10
SLOW_BYTES_PER_SECOND = 256 << 10
SLOW_DELAY_SECONDS = 0.1


def reset(writer):
    """Ends the connection as a firewall does, not as a program that has said everything."""
    end = writer.get_extra_info("socket")
    if end is not None and end.fileno() >= 0:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Gate:
    def __init__(self, target_port):
        self.target_port = target_port
        self.port = 0
        self.mode = "open"
        self.passed = {"up": 0, "down": 0}  # bytes
        self._connections = set()  # writers of both ends; confined to the loop
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    def start(self):
        self._thread.start()
        if not self._ready.wait(10):
            raise OSError("the gate does not listen")

    def stop(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def set(self, mode):
        asyncio.run_coroutine_threadsafe(self._set(mode), self._loop).result(10)

    # --- On the loop ---

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._end = asyncio.Event()
        self._open = {"up": asyncio.Event(), "down": asyncio.Event()}
        await self._set("open")
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        self._reset_all()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)

    async def _set(self, mode):
        self.mode = mode
        for direction, event in self._open.items():
            event.set() if direction in MODES[mode] else event.clear()
        if mode == "cut":
            self._reset_all()

    def _reset_all(self):
        for writer in list(self._connections):
            reset(writer)

    async def _accept(self, reader, writer):
        self._connections.add(writer)
        upstream = None
        try:
            if self.mode == "cut":
                return
            # What the network swallows reaches nobody, the first packet included.
            await self._open["up"].wait()
            other, upstream = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._connections.add(upstream)
            pumps = [asyncio.ensure_future(self._pump(reader, upstream, "up")),
                     asyncio.ensure_future(self._pump(other, writer, "down"))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, upstream):
                if end is not None:
                    self._connections.discard(end)
                    reset(end) if self.mode == "cut" else end.close()

    async def _pump(self, reader, writer, direction):
        while True:
            await self._open[direction].wait()
            block = await reader.read(BLOCK)
            # Read before the gate closed, or an end that the other side may not see yet.
            await self._open[direction].wait()
            if not block:
                return
            if self.mode == "slow":
                await asyncio.sleep(SLOW_DELAY_SECONDS + len(block) / SLOW_BYTES_PER_SECOND)
            self.passed[direction] += len(block)
            writer.write(block)
            await writer.drain()
