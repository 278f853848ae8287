"""A real verbatim-queue on a small file system that fills up while producers run.

First by the queue's own messages, then by somebody else's file, with a kill in between; at last to the last byte, with one kill
after the other: in the start, right after it, while it is drained. Each time puts are refused as full, loudly and counted; what is
abandoned or poison leaves at once; consumers drain although the disk is full; producers go on by themselves once there is room. In
the end everything acknowledged was received, nothing is lost, nothing came twice.
"""
import os
import random
import time

import small_disk

small_disk.enter_own_mounts()

import grpc  # noqa: E402
from queue_actors import QueueActor, judge  # noqa: E402
from queue_operator import QueueClient  # noqa: E402
from verbatim_harness import HarnessError, Pipeline, wait_until  # noqa: E402
from verbatim.v1 import admin_pb2, queue_settings_pb2  # noqa: E402

DISK_MIB = 96
FREE_MIN_BYTES = 8 << 20
BODY_BYTES = 16 << 10
KILL_COUNT = 12
DISK_FAILED = 4
FULL = "REFUSAL_REASON_FULL"
ENDS = "ends"  # a queue in which messages end otherwise than by a commit


class Story:
    def __init__(self, pipeline, disk):
        self.pipeline, self.disk = pipeline, disk
        self.address = f"tcp://127.0.0.1:{pipeline.ports['queue']}"
        self.producers, self.consumers = [], []
        self.ended_count = 0

    def start_producers(self, names, count=0):
        started = [QueueActor("put", name, self.address, self.pipeline.dir, order_keys=4, body_bytes=BODY_BYTES, window=64,
                              rate=800, count=count) for name in names]
        self.producers += started
        for producer in started:
            producer.start()
        return started

    def start_consumers(self, names):
        started = [QueueActor("consume", name, self.address, self.pipeline.dir, max_count=64) for name in names]
        self.consumers += started
        for consumer in started:
            consumer.start()
        return started

    def acknowledged(self):
        return sum(producer.acknowledged_count() for producer in self.producers)

    def service(self):
        return self.pipeline.queue_admin().ListQueues(admin_pb2.ListQueuesRequest(), timeout=10).service

    def log(self):
        return self.pipeline.queue_admin().ListQueues(admin_pb2.ListQueuesRequest(), timeout=10).log

    def refused_count(self):
        return self.pipeline.queue_info().refused.get(FULL, 0)

    def wait_full(self, before):
        """Puts are refused as full, which the service counts and says, and nothing more is acknowledged."""
        seen = len(self.pipeline.queue.log_text())
        wait_until(lambda: self.refused_count() > before, 60,
                   lambda: f"puts to be refused as full; free={self.disk.free_bytes()}\n{self.pipeline.queue.tail()}")
        wait_until(lambda: "full" in self.pipeline.queue.log_text().lower(), 10,
                   lambda: f"the service to say that it is full\n{self.pipeline.queue.tail()}")
        self.expect_alarm(True)
        assert self.pipeline.queue.is_running(), self.pipeline.queue.tail()
        return seen

    def depth_of(self, name):
        queues = self.pipeline.queue_admin().ListQueues(admin_pb2.ListQueuesRequest(), timeout=10).queues
        return sum(queue.depth for queue in queues if queue.name == name)

    def put_ends(self, count):
        client = QueueClient(self.address, "ends-client")
        for _ in range(count):
            client.put(ENDS, [b"\xff" * BODY_BYTES])
        client.close()

    def take_ends(self):
        """Nothing of ENDS is left, so that the log need not carry it on."""
        client = QueueClient(self.address, "ends-client")
        for queue in (ENDS, ENDS + ";poison"):
            while lease := client.receive(queue):
                client.commit(queue, lease)
        client.close()

    def what_ends_leaves_at_once(self):
        """One message of ENDS is abandoned, one fails its only try."""
        before = self.depth_of(ENDS + ";poison")
        client = QueueClient(self.address, "ends-client")
        client.abandon(ENDS, client.receive(ENDS, max_count=1), "nobody can read it")
        assert self.depth_of(ENDS + ";poison") == before + 1, self.pipeline.queue.tail()
        client.abort(ENDS, client.receive(ENDS, max_count=1))
        wait_until(lambda: self.depth_of(ENDS + ";poison") == before + 2, 5, lambda: f"a message to be poison\n{self.pipeline.queue.tail()}")
        client.close()

    def knows_no_segments(self, timeout=3):
        """The service has found out that the disk takes no more of them."""
        def is_raised():
            try:
                answer = self.pipeline.queue_admin().ListAlarms(admin_pb2.ListAlarmsRequest(), timeout=10)
            except grpc.RpcError:
                return False
            return any((alarm.name, alarm.subject) == ("disk-full", "segments") and alarm.is_raised for alarm in answer.alarms)
        try:
            wait_until(is_raised, timeout, "the alarm")
        except HarnessError:
            return False
        return True

    def use_up_segments(self):
        """Messages are abandoned until the disk takes no more segments: a sixth of one at a time."""
        client = QueueClient(self.address, "ends-client")
        for _ in range(6):
            if self.knows_no_segments():
                break
            client.abandon(ENDS, client.receive(ENDS, max_count=20), "nobody can read them")
        client.close()
        assert self.knows_no_segments(), self.pipeline.queue.tail()

    def expect_alarm(self, is_raised):
        """The alarm of the disk, or of a quota, is raised; or all of them are over."""
        names = {"disk-full", "service-full", "queue-full"}

        def raised():
            try:
                answer = self.pipeline.queue_admin().ListAlarms(admin_pb2.ListAlarmsRequest(), timeout=10)
            except grpc.RpcError:  # a connection to its former life
                return None
            return {alarm.name for alarm in answer.alarms if alarm.is_raised} & names
        wait_until(lambda: raised() is not None and bool(raised()) == is_raised, 30,
                   lambda: f"an alarm {'raised' if is_raised else 'cleared'}, there are {raised()}")

    def depth_or_none(self):
        """None: a connection to its former life. A service that found no room at all has ended, and is started again, as
        systemd does."""
        if not self.pipeline.queue.is_running():
            assert self.pipeline.queue.exit_code() == DISK_FAILED, self.pipeline.queue.tail()
            self.ended_count += 1
            self.pipeline.queue.start()
        try:
            return self.pipeline.queue_info().depth
        except grpc.RpcError:
            return None

    def wait_empty(self, what):
        wait_until(lambda: self.depth_or_none() == 0, 90, lambda: f"{what}\n{self.pipeline.queue.tail()}", poll=0.1)


def fills_up_by_itself(story):
    count = (DISK_MIB << 20) // BODY_BYTES  # more than there is room for
    producers = story.start_producers(["own-a", "own-b"], count=count)
    story.wait_full(before=0)
    stored = story.acknowledged()
    assert 0 < stored < 2 * count, stored
    assert story.disk.free_bytes() > 0, "the queue left no room for its own commits"
    # Consumers make room; the producers, which were never told to, go on to their end.
    consumers = story.start_consumers(["first-a", "first-b"])
    for producer in producers:
        assert producer.wait(120) == 0, f"{producer.tail()}\n{story.pipeline.queue.tail()}"
    story.wait_empty("all of the producers' messages to be taken")
    for consumer in consumers:
        consumer.terminate()
    assert story.acknowledged() == 2 * count, story.acknowledged()


def fills_up_by_somebody_else(story):
    before = story.refused_count()
    story.put_ends(2)
    producers = story.start_producers(["foreign-a", "foreign-b"])
    wait_until(lambda: story.pipeline.queue_info().depth > 200, 60, "some messages")
    left = story.disk.fill()
    story.wait_full(before)
    stuck = story.acknowledged()
    story.what_ends_leaves_at_once()
    story.take_ends()
    # It can be killed, starts again and is drained, all on a full disk.
    story.pipeline.queue.kill()
    story.pipeline.queue.start()
    consumers = story.start_consumers(["second-a", "second-b"])
    story.wait_empty(f"a drained queue on a full disk (free={left})")
    assert story.disk.free_bytes() <= FREE_MIN_BYTES
    story.disk.unfill()
    wait_until(lambda: story.acknowledged() > stuck + 500, 60,
               lambda: f"the producers to go on\n{producers[0].tail()}\n{story.pipeline.queue.tail()}")
    story.expect_alarm(False)
    for producer in producers:
        producer.terminate(timeout=60)
    story.wait_empty("the rest to be taken")
    for consumer in consumers:
        consumer.terminate()


def is_killed_while_it_is_full(story, chance):
    """Each life finds not one byte free: whatever the one before gave back is taken at once."""
    queue = story.pipeline.queue
    before = story.refused_count()
    story.put_ends(130)
    producers = story.start_producers(["killed-a", "killed-b"])
    wait_until(lambda: story.pipeline.queue_info().depth > 1000, 60, "some messages")
    story.disk.fill()
    story.wait_full(before)
    for life in range(KILL_COUNT):
        queue.kill()
        story.disk.fill()
        queue.start(wait=life % 2 == 0)
        if life % 2 == 1:
            time.sleep(chance.random() * 0.3)  # killed somewhere in its start
    queue.kill()
    queue.start()
    depth = wait_until(story.depth_or_none, 30, "the service to tell its depth")
    story.use_up_segments()
    story.what_ends_leaves_at_once()
    consumers = [QueueActor("consume", name, story.address, story.pipeline.dir, max_count=4) for name in ("third-a", "third-b")]
    story.consumers += consumers
    for consumer in consumers:
        consumer.start()
    for life in range(KILL_COUNT):
        story.disk.fill()
        target = depth * (KILL_COUNT - life) // (KILL_COUNT + 1)
        wait_until(lambda: story.depth_or_none() is not None and story.depth_or_none() <= target, 60,
                   lambda: f"a depth of {target}, it is {story.depth_or_none()}\n{queue.tail()}")
        queue.kill()
        queue.start()
    story.wait_empty("all that was stored to be taken")
    story.take_ends()
    story.disk.unfill()
    wait_until(lambda: not story.service().is_full, 30, lambda: f"puts to be taken again: {story.service()} {story.log()}")
    for producer in producers:
        producer.terminate(timeout=60)
    story.wait_empty("the rest to be taken")
    for consumer in consumers:
        consumer.terminate()


config = {"queue": {"segment_bytes": 2 << 20, "message_max_bytes": 64 << 10, "free_disk_min_bytes": FREE_MIN_BYTES}}
with Pipeline("queue_disk_full", config=config) as pipeline:
    with small_disk.SmallDisk(pipeline.dir, DISK_MIB) as disk:
        pipeline.config["queue"]["data_dir"] = os.path.join(disk.path, "queue")
        story = Story(pipeline, disk)
        try:
            pipeline.queue.start()
            settings = queue_settings_pb2.QueueSettings(retries=0, retry_cycles=0)
            pipeline.queue_admin().CreateQueue(admin_pb2.CreateQueueRequest(queue=ENDS, settings=settings, reason="a test"), timeout=60,
                                               wait_for_ready=True)
            fills_up_by_itself(story)
            fills_up_by_somebody_else(story)
            seed = int(os.environ.get("TEST_SEED") or time.time_ns() % 10**6)
            print(f"TEST_SEED={seed}", flush=True)
            is_killed_while_it_is_full(story, random.Random(seed))
            verdict = judge(story.producers, story.consumers)
            pipeline.queue.terminate()
        finally:
            for process in [*story.producers, *story.consumers, pipeline.queue]:
                process.kill()
    print(f"queue_disk_full: {verdict} ended_for_want_of_room={story.ended_count}")
    assert verdict.is_good() and verdict.received >= verdict.acknowledged, verdict.examples
print("queue_disk_full: ok")
