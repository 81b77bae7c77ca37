"""A TCP proxy between a daemon and a server, on a thread of its own, that can be told to misbehave."""

import asyncio
import random
import threading

from .common import ChaosError

CHUNK = 64 << 10
START_SECONDS = 10


class Proxy:
    """Hands on bytes both ways. What is set is in force at once, for connections that are there as well.

    `delay`: seconds that each piece waits. `cut_after`: a connection is reset after at most so many bytes more, each after
    another number of them. `lose_replies`: so many answers are thrown away and their connections reset: what was asked for
    has been done, and nobody is told. What was done: `cuts` and `lost` count connections, `held` the pieces and connections
    that came to a standstill, `slowed` the pieces that waited.
    """

    def __init__(self, port, target, rng):
        self.port, self.target = port, target
        self.rng = random.Random(rng.random())
        self.delay, self.cut_after, self.lose_replies = 0.0, None, 0
        self.cuts = self.lost = self.held = self.slowed = 0
        self.loop = asyncio.new_event_loop()
        self.links = set()
        self.thread = threading.Thread(target=self.loop.run_forever, name=f"proxy-{port}", daemon=True)
        self.thread.start()
        self.is_open = asyncio.Event()
        self.is_open.set()
        try:
            self.server = self.call(asyncio.start_server(self.serve, "127.0.0.1", port))
        except OSError as error:
            raise ChaosError(f"the proxy cannot listen: {error}") from None
        self.port = port or self.server.sockets[0].getsockname()[1]

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(START_SECONDS)

    # ------------------------------------------------------------------------------------------ what a fault asks for

    def stall(self):
        """Nothing comes through, and nobody is told: as when packets vanish."""
        self.loop.call_soon_threadsafe(self.is_open.clear)

    def go_on(self):
        """As a good network from now on."""
        self.delay, self.cut_after, self.lose_replies = 0.0, None, 0
        self.loop.call_soon_threadsafe(self.is_open.set)

    def close(self):
        async def end():
            self.server.close()
            for link in list(self.links):
                link.abort()

        self.go_on()
        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(START_SECONDS)

    # ------------------------------------------------------------------------------------------ the connections

    async def opened(self):
        """Waits while nothing comes through."""
        self.held += not self.is_open.is_set()
        await self.is_open.wait()

    async def serve(self, reader, writer):
        await self.opened()
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        both = (writer.transport, far_writer.transport)
        self.links.update(both)
        ways = asyncio.gather(
            self.hand_on(reader, far_writer, is_answer=False), self.hand_on(far_reader, writer, is_answer=True)
        )
        try:
            await ways
        except OSError:
            ways.cancel()
            for transport in both:
                transport.abort()
        finally:
            self.links.difference_update(both)
            for transport in both:
                transport.close()

    async def hand_on(self, reader, writer, is_answer):
        """One direction, until its end, which is handed on as well: who has no more to say may still listen."""
        left = None
        while data := await reader.read(CHUNK):
            if self.delay:
                self.slowed += 1
                await asyncio.sleep(self.delay)
            await self.opened()
            if is_answer and self.lose_replies:
                self.lose_replies -= 1
                self.lost += 1
                raise ConnectionResetError
            if self.cut_after is None:
                left = None
            elif left is None:
                left = self.rng.randint(1, self.cut_after)
            if left is not None:
                data, left = data[:left], left - len(data)
            writer.write(data)
            await writer.drain()
            if left is not None and left <= 0:
                self.cuts += 1
                raise ConnectionResetError
        writer.write_eof()
