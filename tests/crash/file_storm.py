"""A storm of kill -9 over stored files: they are uploaded, named by events, read by an adapter and collected, all at once.

Few contents, so that each is claimed, named, forgotten and removed again and again while others take it up. Queue, collector, processor
and adapter are real processes; processor and collector are killed at every point of the removal and anywhere. The adapter reads each file
that an event names before it acknowledges the event, and writes down what it found.

    file_storm.py [--rounds 1]       TEST_SEED repeats contents and the order of the kills

missing: files of accepted events that the adapter could not read. At the end no file may be left. difference: of the accounting.
"""
import argparse
import glob
import os
import random
import re
import sys
import threading
import time

import file_reading_adapter
import grpc
from file_client import sha256, upload
from verbatim_harness import BIN_DIR, SOURCE_DIR, HarnessError, ManagedProcess, Pipeline, room_post, wait_until

CONTENTS = [f"content {number} ".encode() * 200 for number in range(5)]
UPLOADERS = 3
SIGKILLED = -9
POINT_PATIENCE_S = 15
CONFIG = {"files": {"named_within_ms": 150},
          "processor": {"collect_interval_ms": 10, "adapters": [{"name": "reader", "required": True, "interval_ms": 20}]}}


def fault_points():
    """None in a build that has them compiled out."""
    with open(os.path.join(BIN_DIR, "verbatim-processor"), "rb") as binary:
        if b"VERBATIM_FAULT_POINT" not in binary.read():
            return []
    with open(os.path.join(SOURCE_DIR, "base", "content_removal.cc"), encoding="utf-8") as file:
        return re.findall(r'FAULT_POINT\("([^"]+)"\)', file.read())


class Uploader(threading.Thread):
    """Uploads a content, names it by an event, and so on. An event that came too late is refused: that is allowed."""

    def __init__(self, pipeline, number, seed, is_over):
        super().__init__(daemon=True)
        self.pipeline, self.is_over, self.chance = pipeline, is_over, random.Random(f"{seed} {number}")
        self.producer = pipeline.producer(f"uploader-{number}")
        self.sent = {}  # number of the event -> digest
        self.error = None

    def run(self):
        try:
            while not self.is_over.is_set():
                self.step()
        except Exception as error:  # told by the main thread
            self.error = error

    def step(self):
        content = self.chance.choice(CONTENTS)
        try:
            upload(self.pipeline, content)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise
            time.sleep(0.05)
            return
        for _ in range(self.chance.randint(0, 3)):
            event = room_post("desk@rooms.example.test", "ayu@example.test/phone", "see the file")
            event.message_posted.files.add(name="plan.pdf", sha256=sha256(content))
            self.sent[self.producer.submit([event])] = sha256(content)
        self.producer.wait_answered(120)
        time.sleep(self.chance.choice([0, 0, 0.1, 0.4]))


def start_reader(pipeline):
    folder = os.path.join(pipeline.dir, "reader")
    os.makedirs(folder)
    reader = ManagedProcess(
        [sys.executable, file_reading_adapter.__file__, f"127.0.0.1:{pipeline.ports['hub']}", folder, "reader"],
        os.path.join(pipeline.dir, "reader.log"), environment={"PYTHONPATH": os.pathsep.join(sys.path)})
    reader.start()
    return reader, folder


def strike(service, point, chance):
    """Kills the service, at the point where one is given, and starts it again. Gives whether the point was reached."""
    service.kill()
    is_hit = False
    if point is not None:
        service.start(wait=False, environment={"VERBATIM_FAULT_POINT": f"{point}:{chance.randint(1, 4)}"})
        try:
            wait_until(lambda: not service.is_running(), POINT_PATIENCE_S, "")
            is_hit = True
        except HarnessError:
            service.kill()
        if service.exit_code() != SIGKILLED:
            raise HarnessError(f"{service.name} ended with {service.exit_code()} at {point}\n{service.tail()}")
    service.start()
    return is_hit


def rage(pipeline, rounds, chance, uploaders):
    kills, missed = 0, set()
    points = fault_points()
    for _ in range(rounds):
        turns = [(pipeline.processor, point) for point in points]
        turns += [(service, None) for service in (pipeline.collector, pipeline.processor, pipeline.queue, pipeline.collector)]
        chance.shuffle(turns)
        for service, point in turns:
            is_hit = strike(service, point, chance)
            kills += 1 + (point is not None)
            if point is not None and not is_hit:
                missed.add(point)
            for uploader in uploaders:
                if uploader.error is not None:
                    raise uploader.error
            time.sleep(chance.choice([0.2, 0.5, 1]))
    assert not missed, f"never reached: {missed}"
    return kills


def read_lines(folder):
    for path in glob.glob(os.path.join(folder, "batch-*.txt")):
        with open(path, encoding="utf-8") as file:
            for line in file:
                yield line.split()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1)
    rounds = parser.parse_args().rounds
    seed = os.environ.get("TEST_SEED") or str(time.time_ns())
    print(f"TEST_SEED={seed}", flush=True)
    chance = random.Random(seed)
    with Pipeline("file_storm", adapters=(), config=CONFIG) as pipeline:
        pipeline.start()
        reader, folder = start_reader(pipeline)
        is_over = threading.Event()
        uploaders = [Uploader(pipeline, number, seed, is_over) for number in range(UPLOADERS)]
        for uploader in uploaders:
            uploader.start()
        kills = rage(pipeline, rounds, chance, uploaders)
        sent = [len(uploader.sent) for uploader in uploaders]
        wait_until(lambda: all(len(uploader.sent) > before for uploader, before in zip(uploaders, sent)), 60,
                   "each uploader to go on after the last kill")
        is_over.set()
        for uploader in uploaders:
            uploader.join(180)
            assert uploader.error is None and not uploader.is_alive(), uploader.error
        accepted = sum(len(uploader.producer.accepted) for uploader in uploaders)
        refused = sum(len(uploader.producer.refused) for uploader in uploaders)
        for uploader in uploaders:
            assert all("not stored" in one.detail for one in uploader.producer.refused.values()), uploader.producer.refused
            uploader.producer.close()
        totals = pipeline.wait_archived(accepted)
        cut = pipeline.accounting(recount=True)
        assert not cut.recount_differences, cut.recount_differences
        lines = list(read_lines(folder))
        missing = [line for line in lines if line[2] != "ok"]
        lost = accepted - len({line[0] for line in lines})
        files = os.path.join(pipeline.config["files"]["data_dir"], "files")
        wait_until(lambda: not glob.glob(os.path.join(files, "*", "*")), 60, lambda: "all files to be collected\n" +
                   pipeline.verbatimctl("files", "list", "--unnamed").stdout)
        collected = pipeline.verbatimctl_json("files", "list", "--unnamed")["collection"]
        reader.kill()
        pipeline.stop()
        print(f"file_storm: kills={kills} points={len(fault_points())} accepted={accepted} refused={refused} lost={lost} "
              f"missing={len(missing)} collected_since_last_start={collected.get('collected_count', 0)} "
              f"difference={totals['difference']}")
        assert accepted > 50 and not missing and lost == 0 and totals["difference"] == 0, missing[:10]


if __name__ == "__main__":
    main()
