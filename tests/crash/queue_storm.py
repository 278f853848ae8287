"""A storm of kill -9 over verbatim-queue, its producers and its consumers; then an independent reader compares what was
acknowledged with what was given out and committed.

The queue dies at random moments and at each of its named fault points (FAULT_POINT in queue/); producers and consumers die at
random moments, with puts and leases under way, and go on from their journals. Nothing that was acknowledged may be lost,
nothing that was committed may come again, and each order key keeps its order. The queue's settings give a message two tries, with a
short delay between: what is given back or dies with its consumer twice is poison, which a consumer of its own takes at the end.

    queue_storm.py [--seconds 30] [--minutes M]      TEST_SEED repeats the order of the kills
"""
import argparse
import glob
import os
import random
import re
import sys
import time

import grpc
from queue_actors import QueueActor, judge
from verbatim_harness import BIN_DIR, SOURCE_DIR, HarnessError, Pipeline, wait_until
from verbatim.v1 import admin_pb2, queue_settings_pb2

PRODUCERS, CONSUMERS, KEYS = 4, 3, 8
RATE_PER_SECOND = 300  # of each producer
# Two tries, in cycles of one.
SETTINGS = queue_settings_pb2.QueueSettings(retries=0, retry_cycles=1, retry_cycle_delay_ms=200)
SIGKILLED = -9
# How long a named point may take to be reached before the queue is killed anyway.
POINT_PATIENCE_S = 4


def fault_points():
    """All of the queue's; none in a build that has them compiled out."""
    with open(os.path.join(BIN_DIR, "verbatim-queue"), "rb") as binary:
        if b"VERBATIM_FAULT_POINT" not in binary.read():
            return []
    text = "".join(open(path, encoding="utf-8").read()
                   for path in glob.glob(os.path.join(SOURCE_DIR, "queue", "**", "*.cc"), recursive=True))
    return sorted(set(re.findall(r'FAULT_POINT\("([^"]+)"\)', text)))


class Storm:
    def __init__(self, pipeline, chance):
        self.pipeline, self.chance = pipeline, chance
        self.kills = 0
        self.points_hit = set()
        self.points = fault_points()
        address = f"tcp://127.0.0.1:{pipeline.ports['queue']}"
        self.producers = [QueueActor("put", f"producer{i}", address, pipeline.dir, rate=RATE_PER_SECOND, window=512,
                                     order_keys=KEYS, body_bytes=chance.choice([64, 900, 5000]))
                          for i in range(PRODUCERS)]
        self.consumers = [QueueActor("consume", f"consumer{i}", address, pipeline.dir, max_count=chance.choice([16, 64, 256]),
                                     lease_ms=2000, abort_percent=3) for i in range(CONSUMERS)]
        self.poison_consumer = QueueActor("consume", "poison", address, pipeline.dir, queue="events;poison")

    def start(self):
        self.pipeline.queue.start()
        self.pipeline.queue_admin().ConfigureQueue(
            admin_pb2.ConfigureQueueRequest(queue="events", settings=SETTINGS, reason="storm"), timeout=30)
        for actor in [*self.producers, *self.consumers]:
            actor.start()

    def kill_queue_at_random(self):
        self.pipeline.queue.kill()
        self.kills += 1

    def kill_queue_at_point(self, point):
        """Restarts it so that it kills itself at the point; where that is not reached in time, it is killed."""
        queue = self.pipeline.queue
        queue.kill()
        self.kills += 1
        queue.start(wait=False, environment={"VERBATIM_FAULT_POINT": f"{point}:{self.chance.randint(1, 40)}"})
        try:
            wait_until(lambda: not queue.is_running(), POINT_PATIENCE_S, "")
            self.points_hit.add(point)
        except HarnessError:
            queue.kill()
        if queue.exit_code() != SIGKILLED:
            raise HarnessError(f"the queue ended with {queue.exit_code()}\n{queue.tail()}")
        self.kills += 1

    def kill_one(self, turn):
        if turn % 3 == 0:
            self.kill_queue_at_random()
        elif turn % 3 == 1 and self.points:
            self.kill_queue_at_point(self.points[turn // 3 % len(self.points)])
        elif turn % 3 == 1:
            self.kill_queue_at_random()
        if turn % 3 < 2:
            time.sleep(self.chance.choice([0, 0, 0.3]))
            self.pipeline.queue.start()
            return
        for victim in (self.chance.choice(self.producers), self.chance.choice(self.consumers)):
            victim.kill()
            self.kills += 1
            victim.start()

    def rage(self, seconds):
        """A slow machine gets as long again, twice, until each point was reached."""
        begin = time.monotonic()
        turn = 0
        while (time.monotonic() < begin + seconds
               or (set(self.points) - self.points_hit and time.monotonic() < begin + 3 * seconds)):
            time.sleep(self.chance.uniform(0.05, 0.7))
            self.kill_one(turn)
            turn += 1

    def calm_down(self):
        """Producers end with everything acknowledged, consumers when the queue is empty."""
        for producer in self.producers:
            producer.terminate(timeout=60)

        def is_empty(name):
            try:
                return self.pipeline.queue_info(name).depth == 0
            except grpc.RpcError:
                return False
        wait_until(lambda: is_empty("events"), 60, lambda: f"an empty queue\n{self.pipeline.queue.tail()}", poll=0.1)
        self.poison_consumer.start()
        wait_until(lambda: is_empty("events;poison"), 60, lambda: f"no poison\n{self.pipeline.queue.tail()}", poll=0.1)
        for consumer in [*self.consumers, self.poison_consumer]:
            consumer.terminate(timeout=60)
        self.pipeline.queue.restart()
        depth = self.pipeline.queue_info().depth
        assert depth == 0, f"after a restart {depth} messages are back"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--minutes", type=float, default=0)
    arguments = parser.parse_args()
    seed = int(os.environ.get("TEST_SEED", str(time.time_ns() % 1_000_000)))
    print(f"queue_storm: seed={seed} (TEST_SEED={seed} repeats the order of the kills)", flush=True)
    config = {"queue": {"consumer_silence_max_ms": 1500, "segment_bytes": 4 << 20, "message_max_bytes": 64 << 10}}
    with Pipeline("queue_storm", config=config) as pipeline:
        storm = Storm(pipeline, random.Random(seed))
        storm.start()
        storm.rage(arguments.minutes * 60 or arguments.seconds)
        storm.calm_down()
        verdict = judge(storm.producers, storm.consumers, [storm.poison_consumer])
        pipeline.queue.terminate()
        print(f"queue_storm: kills={storm.kills} {verdict} poisoned={verdict.poisoned}", flush=True)
        print(f"queue_storm: points={sorted(storm.points_hit)} of {storm.points}")
        wrong = [text for is_wrong, text in (
            (not verdict.is_good(), "\n".join(verdict.examples)), (verdict.acknowledged < 1000, "hardly anything was acknowledged"),
            (verdict.received < verdict.acknowledged, "not all was received"), (storm.kills < 10, "hardly any kills"),
            (verdict.poisoned == 0, "nothing was poisoned"),
            (set(storm.points) - storm.points_hit, f"never reached: {set(storm.points) - storm.points_hit}")) if is_wrong]
        if wrong:
            raise HarnessError("\n".join(wrong))
    return 0


sys.exit(main())
