"""Groups that processes join and leave all the time, while the relay and connections to Redis end and come back."""

import asyncio
import random

import pytest
from redis.exceptions import RedisError

from tests.support.gateway.relay import make_layer
from tests.support.waiting import until
from watchlist.gateway.counts import RelayCounts
from watchlist.gateway.relay.layer import RelayLayer

GROUPS = [f"prices.S{number}" for number in range(20)]


class Churning:
    """A process that joins and leaves groups, and joins again what has failed, as the intake does."""

    def __init__(self, server, path):
        self.layer = RelayLayer(path, make_layer(server), RelayCounts())
        self.wanted, self.joined, self.received, self.lost = set(), set(), set(), False

    async def open(self):
        self.channel = await self.layer.new_channel()
        self.layer.set_receiver(lambda channel, _: self.received.add(channel.decode()), self.lose, self.regain)
        return self

    def lose(self):
        self.lost = True

    def regain(self):
        self.lost = False

    async def step(self):
        for group in self.joined - self.wanted:
            await self.layer.group_discard(group, self.channel)
            self.joined.discard(group)
        results = await asyncio.gather(*map(self.join, self.wanted - self.joined), return_exceptions=True)
        return [result for result in results if result is not None and not isinstance(result, OSError | RedisError)]

    async def join(self, group):
        await self.layer.group_add(group, self.channel)
        self.joined.add(group)

    async def follow(self):
        """Joins and leaves groups one step after the other, until the task is cancelled."""
        while True:
            errors = await self.step()
            assert errors == []
            await asyncio.sleep(0.002)


async def receives_what_it_wants(process, client):
    """Publishes to all groups until the process has received from the groups that it wants, and from no other.

    After a take-over, messages of groups that were left may be on their way for a second.
    """

    def publish():
        return [client.publish(group, b"1") for group in GROUPS]

    received = None
    while received != process.wanted:
        process.received.clear()
        await until(lambda: publish() and process.received >= process.wanted)
        received = set(process.received)


@pytest.mark.parametrize("seed", range(4))
async def test_after_any_changes_and_faults_each_process_gets_exactly_its_groups(
    redis_server, local_relay, redis_client, seed
):
    rng = random.Random(seed)
    processes = [await Churning(redis_server, local_relay.path).open() for _ in range(3)]
    tasks = [asyncio.ensure_future(process.follow()) for process in processes]
    for _ in range(60):
        for process in processes:
            process.wanted ^= set(rng.sample(GROUPS, 3))
            await asyncio.sleep(rng.random() / 50)
        fault = rng.random()
        if fault < 0.05:
            await local_relay.close()
            await local_relay.start()
        elif fault < 0.1:
            redis_client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    for process in processes:
        await until(lambda process=process: process.joined == process.wanted)
        await until(lambda process=process: not process.lost)
        await receives_what_it_wants(process, redis_client)
    await until(lambda: all(process.layer._counts.connected for process in processes))
    wanted = set().union(*(process.wanted for process in processes))
    await until(lambda: {g for g, n in redis_client.pubsub_numsub(*GROUPS) if n} == {g.encode() for g in wanted})
    await until(lambda: all(redis_client.publish(group, b"1") == 1 for group in wanted))
    for process, task in zip(processes, tasks, strict=True):
        assert not task.done(), task.exception()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await process.layer.flush()
