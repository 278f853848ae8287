"""A storm of kill -9 over the road behind the queue, at each named point of the processor and of its adapters.

A producer sends numbered posts; queue, processor and two adapters are real processes. The counting of what reached the archive is done
from what the adapters have written, not from what the services say. The XML adapter takes everything and is killed at its named points;
the second ("picky") rejects some posts without naming them, so that the hub has to find them by halves, and kills itself between effect
and acknowledgement. After every restart of the processor the accounting is recounted from the stored rows.

    processor_storm.py [--events 70000] [--rounds 1]       TEST_SEED repeats the order of the kills

lost, twice, disordered: over both archives, poisonous posts in quarantine instead. difference: of the accounting, at any restart.
"""
import argparse
import collections
import glob
import hashlib
import os
import random
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import grpc
import picky_adapter
from verbatim_harness import BIN_DIR, SOURCE_DIR, HarnessError, ManagedProcess, Pipeline, wait_until

ROOMS = 10
RATE_PER_SECOND = 1500
SIGKILLED = -9
# Reached by operators only: tests/integration/processor_operation.py.
NOT_HERE = ("processor.hold_released_before_copies",)
# How long a named point may take to be reached before its process is killed anyway.
POINT_PATIENCE_S = 10
WAVES_MAX_COUNT = 6


def fault_points(*folders):
    """All in the sources of the folders; none in a build that has them compiled out."""
    with open(os.path.join(BIN_DIR, "verbatim-processor"), "rb") as binary:
        if b"VERBATIM_FAULT_POINT" not in binary.read():
            return []
    text = ""
    for folder in folders:
        for path in glob.glob(os.path.join(SOURCE_DIR, folder, "**", "*.cc"), recursive=True):
            if not path.endswith("_test.cc"):
                with open(path, encoding="utf-8") as file:
                    text += file.read()
    return sorted(set(re.findall(r'FAULT_POINT\("([^"]+)"\)', text)))


class Storm:
    def __init__(self, pipeline, chance):
        self.pipeline, self.chance = pipeline, chance
        self.kills = self.difference = self.recounts = 0
        self.points_hit = set()
        self.turns = [(pipeline.processor, point) for point in fault_points("processor") if point not in NOT_HERE]
        self.turns += [(pipeline.adapter_xml, point) for point in fault_points("adapters/sdk", "adapters/xml")]
        self.turns += [(pipeline.queue, point) for point in fault_points("queue")]
        self.turns += [(service, None) for service in (pipeline.queue, pipeline.processor, pipeline.adapter_xml)]
        self.folder = os.path.join(pipeline.dir, "picky")
        os.makedirs(self.folder)
        self.picky = ManagedProcess(
            [sys.executable, picky_adapter.__file__, f"127.0.0.1:{pipeline.ports['hub']}", self.folder, "picky", "4"],
            os.path.join(pipeline.dir, "picky.log"), environment={"PYTHONPATH": os.pathsep.join(sys.path)})

    def keep_picky_alive(self):
        if not self.picky.is_running():
            if self.picky.process is not None:
                if self.picky.exit_code() != SIGKILLED:
                    raise HarnessError(f"picky ended with {self.picky.exit_code()}\n{self.picky.tail()}")
                self.kills += 1
            self.picky.start()
        return None

    def wait(self, condition, timeout, what):
        """As wait_until, with a picky adapter that dies and comes again meanwhile."""
        return wait_until(lambda: self.keep_picky_alive() or condition(), timeout, what)

    def accounting(self):
        """None while the channel still has the connection to the process that was killed."""
        try:
            return self.pipeline.accounting(recount=True)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or not self.pipeline.processor.is_running():
                raise
            return None

    def recount(self):
        cut = self.wait(self.accounting, 30, "the processor to answer")
        self.recounts += 1
        differences = [*cut.recount_differences,
                       *(f"{source.source}: {source.difference}" for one in cut.queues for source in one.sources if source.difference),
                       *(f"{one.adapter}: {one.difference}" for one in cut.adapters if one.difference)]
        self.difference += len(differences)
        for one in differences:
            print(f"processor_storm: difference {one}", flush=True)

    def strike(self, service, point):
        """Kills the service, at the point where one is given, and starts it again."""
        service.kill()
        self.kills += 1
        if point is not None:
            service.start(wait=False, environment={"VERBATIM_FAULT_POINT": f"{point}:{self.chance.randint(1, 3)}"})
            try:
                self.wait(lambda: not service.is_running(), POINT_PATIENCE_S, "")
                self.points_hit.add(point)
            except HarnessError:
                service.kill()
            if service.exit_code() != SIGKILLED:
                raise HarnessError(f"{service.name} ended with {service.exit_code()} at {point}\n{service.tail()}")
            self.kills += 1
        service.start()
        if service is self.pipeline.processor:
            self.recount()

    def missed(self):
        return {point for _, point in self.turns if point} - self.points_hit

    def rage(self, rounds, is_over):
        """Each turn once a round, in another order; a point that was not reached comes again while there are events."""
        for _ in range(rounds):
            turns = [*self.turns]
            self.chance.shuffle(turns)
            for turn in turns:
                if is_over():
                    return
                self.keep_picky_alive()
                self.strike(*turn)
                time.sleep(self.chance.choice([0, 0, 0.1, 0.3]))
        for turn in self.turns:
            for _ in range(3):
                if turn[1] in self.missed() and not is_over():
                    self.strike(*turn)


def read_accepted(paths):
    """(wave, room, sequence, digest) of each; each wave counts its rooms' posts from 1."""
    posts = []
    for wave, path in enumerate(paths):
        with open(path, encoding="utf-8") as file:
            posts += [(wave, room, int(sequence), digest) for room, sequence, digest in map(str.split, file)]
    return posts


def posts_of_picky(folder):
    for path in sorted(glob.glob(os.path.join(folder, "batch-*.txt"))):
        with open(path, encoding="utf-8") as file:
            for line in file:
                yield line.split()[2]


def posts_of_xml(paths):
    for path in paths:
        for _, element in ElementTree.iterparse(path):
            if element.tag == "Messages":
                for message in element.iter("Message"):
                    if message.get("type") == "CHAT":
                        yield hashlib.sha256(message.get("content").encode()).hexdigest()
            elif element.tag == "Conversation":
                element.clear()


def compare(expected, posts):
    """(lost, twice, disordered, of nobody) of an archive that should have exactly what is expected."""
    place = {digest: (room, (wave, sequence)) for wave, room, sequence, digest in expected}
    counts, last = collections.Counter(), collections.defaultdict(tuple)
    disordered = 0
    for digest in posts:
        counts[digest] += 1
        if digest in place and counts[digest] == 1:
            room, sequence = place[digest]
            disordered += sequence <= last[room]
            last[room] = sequence
    return (sum(1 for digest in place if digest not in counts), sum(count - 1 for count in counts.values()), disordered,
            sum(1 for digest in counts if digest not in place))


def start_producer(pipeline, name, events, accepted_path):
    with open(os.path.join(pipeline.dir, f"{name}.log"), "w", encoding="utf-8") as log:
        return subprocess.Popen(
            [os.path.join(BIN_DIR, "verbatim-producer"), "--address", f"127.0.0.1:{pipeline.ports['grpc']}", "--producer", name,
             "--count", str(events), "--rooms", str(ROOMS), "--batch", "32", "--window", "4096", "--rate", str(RATE_PER_SECOND),
             "--accepted", accepted_path], stdout=log, stderr=subprocess.STDOUT)


def wave(storm, name, events, accepted_path, rounds):
    """Events of one producer, with kills until it ends. Gives how many."""
    producer = start_producer(storm.pipeline, name, events, accepted_path)
    try:
        storm.rage(rounds, lambda: producer.poll() is not None)
        storm.wait(lambda: producer.poll() is not None, 300, "the producer to end")
    finally:
        producer.kill()
        producer.wait()
    if producer.returncode != 0:
        raise HarnessError(f"the producer ended with {producer.returncode}")
    return events


def is_settled(pipeline):
    try:
        totals = pipeline.totals()
        pending = sum(one.pending for one in pipeline.accounting().adapters)
        return totals if pipeline.queue_info().depth == 0 and totals["staged"] == 0 and pending == 0 else None
    except grpc.RpcError:
        return None


def verdict_of(storm, accepted):
    poison = [post for post in accepted if picky_adapter.is_poison(post[1], post[2])]
    sound = [post for post in accepted if not picky_adapter.is_poison(post[1], post[2])]
    documents = [path for path in storm.pipeline.documents() if not path.endswith(".companion.xml")]
    archives = [compare(accepted, posts_of_xml(documents)), compare(sound, posts_of_picky(storm.folder))]
    return poison, [sum(column) for column in zip(*archives)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=70_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    seed = int(os.environ.get("TEST_SEED", str(time.time_ns() % 1_000_000)))
    print(f"processor_storm: seed={seed} (TEST_SEED={seed} repeats the order of the kills)", flush=True)
    adapters = [{"name": name, "required": True, "interval_ms": 100, "batch_max_events": 500} for name in ("xml", "picky")]
    config = {"processor": {"receive_max_count": 256, "adapters": adapters, "adapter_heartbeat_ms": 200,
                            "adapter_silence_max_ms": 2000, "adapter_retry_max_ms": 500}}
    with Pipeline("processor_storm", config=config) as pipeline:
        storm = Storm(pipeline, random.Random(seed))
        pipeline.start()
        storm.picky.start()
        sent, paths = 0, []
        # A slow machine ends its events before every point was reached: more of them, for what is missed.
        while sent == 0 or (storm.missed() and len(paths) < WAVES_MAX_COUNT):
            paths.append(os.path.join(pipeline.dir, f"accepted-{len(paths)}"))
            sent += wave(storm, f"storm-{len(paths)}", options.events if sent == 0 else options.events // 7, paths[-1],
                         options.rounds if sent == 0 else 0)
        totals = storm.wait(lambda: is_settled(pipeline), 300, lambda: f"everything archived or in quarantine\n{pipeline.processor.tail()}")
        storm.recount()
        accepted = read_accepted(paths)
        poison, (lost, twice, disordered, foreign) = verdict_of(storm, accepted)
        storm.picky.kill()
        verified = pipeline.verbatimctl("verify", pipeline.config["adapter_xml"]["output_dir"], "--ask-processor", "xml")
        pipeline.stop()
        print(f"processor_storm: kills={storm.kills} events={len(accepted)} lost={lost} twice={twice} disordered={disordered} "
              f"difference={storm.difference}")
        print(f"processor_storm: quarantined={totals['quarantined']} recounts={storm.recounts} points={sorted(storm.points_hit)}")
        failures = [text for wrong, text in (
            (len(accepted) != sent, f"accepted {len(accepted)} of {sent}"), (lost, "lost"), (twice, "twice"),
            (disordered, "disordered"), (foreign, f"{foreign} posts that do not belong there"), (storm.difference, "difference"),
            (totals["quarantined"] != len(poison), f"{totals['quarantined']} in quarantine, {len(poison)} poisonous"),
            (storm.missed(), f"never reached: {storm.missed()}"), (verified.returncode, f"verify: {verified.stdout[-2000:]}{verified.stderr}")) if wrong]
        if failures:
            pipeline.keep = True
            print(f"processor_storm: FAILED: {'; '.join(failures)} (seed {seed}, data kept in {pipeline.dir})")
            return 1
    return 0


sys.exit(main())
