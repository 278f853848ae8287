"""A storm of kill -9 over the road behind the queue, at each named point of the processor and of its adapters.

A producer sends numbered posts; queue, processor and three adapters are real processes. The counting of what reached the archive is done
from what the adapters have written, not from what the services say. The XML adapter takes everything and is killed at its named points;
the second ("picky") rejects some posts without naming them, so that the hub has to find them by halves, and kills itself between effect
and acknowledgement; the third ("minutely") is served by run intervals, has a filter that changes now and then (in what it means to other
events than posts), and is given posts again that a hold keeps. After every restart of the processor the accounting is recounted from the
stored rows.

    processor_storm.py [--events 70000] [--rounds 1]       TEST_SEED repeats the order of the kills

lost, twice, disordered: over all archives, poisonous posts in quarantine instead. difference: of the accounting, at any restart.
"""
import argparse
import glob
import os
import random
import re
import sys
import time

import grpc
import picky_adapter
from storm import compare, posts_of_xml, read_accepted, start_producer
from verbatim_harness import BIN_DIR, SOURCE_DIR, HarnessError, ManagedProcess, Pipeline, wait_until
from verbatim.v1 import admin_pb2

SIGKILLED = -9
# Reached by operators only (tests/integration/processor_operation.py), or by events that no adapter takes (unrouted_events.py there): each
# is killed at there. Power cuts meet them all (processor_power_test.cc).
NOT_HERE = ("processor.hold_released_before_copies", "processor.filtered_before_delete", "processor.owed_before_stored")
# How long a named point may take to be reached before its process is killed anyway; those that need the end of a run interval longer.
POINT_PATIENCE_S = 10
INTERVAL_PATIENCE_S = 75
WAVES_MAX_COUNT = 20


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
        self.mortals = [self.mortal("picky", "4"), self.mortal("minutely", "4", "tolerant")]

    def folder(self, name):
        return os.path.join(self.pipeline.dir, name)

    def mortal(self, name, *options):
        """An adapter that dies by itself now and then."""
        os.makedirs(self.folder(name))
        return ManagedProcess(
            [sys.executable, picky_adapter.__file__, f"127.0.0.1:{self.pipeline.ports['hub']}", self.folder(name), name, *options],
            self.folder(name) + ".log", environment={"PYTHONPATH": os.pathsep.join(sys.path)}, name=name)

    def keep_mortals_alive(self):
        for mortal in self.mortals:
            if mortal.is_running():
                continue
            if mortal.process is not None:
                if mortal.exit_code() != SIGKILLED:
                    raise HarnessError(f"{mortal.name} ended with {mortal.exit_code()}\n{mortal.tail()}")
                self.kills += 1
            mortal.start()

    def wait(self, condition, timeout, what):
        """As wait_until, with adapters that die and come again meanwhile."""
        return wait_until(lambda: self.keep_mortals_alive() or condition(), timeout, what)

    def change_filter(self):
        """To one that leaves out the same of what there is."""
        kinds = self.pipeline.config["processor"]["adapters"][2]["filter"]["kinds"]
        kinds[1:] = [] if len(kinds) > 1 else ["file_uploaded"]

    def ask_for_replay(self):
        """Of what the hold has kept of late; whoever hears nothing asks again."""
        stub = self.pipeline.processor_admin()
        ask = {"adapter": "minutely", "reason": "storm"}
        try:
            last = stub.ListAdapters(admin_pb2.ListAdaptersRequest(), timeout=5).adapters[0].last_sequence
            stub.ReplayAdapter(admin_pb2.ReplayAdapterRequest(**ask, from_sequence=max(1, last - 3_000)), timeout=5)
        except grpc.RpcError as error:
            # Nothing was acknowledged yet, one is under way, nothing of it is kept; or the service is not there.
            if error.code() == grpc.StatusCode.FAILED_PRECONDITION and "under way" in error.details():
                self.end_replay(stub, ask)

    def end_replay(self, stub, ask):
        try:
            stub.ReplayAdapter(admin_pb2.ReplayAdapterRequest(**ask, end=True), timeout=5)
        except grpc.RpcError:
            pass

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
            is_once = point.startswith(("processor.filter_", "processor.replay_", "processor.interval_"))
            is_of_interval = point.startswith(("processor.replay_", "processor.interval_"))
            if point.startswith("processor.filter_"):
                self.change_filter()
            passage = 1 if is_once else self.chance.randint(1, 3)
            service.start(wait=False, environment={"VERBATIM_FAULT_POINT": f"{point}:{passage}"})
            try:
                self.wait(lambda: point.startswith("processor.replay_") and self.ask_for_replay() or not service.is_running(),
                          INTERVAL_PATIENCE_S if is_of_interval else POINT_PATIENCE_S, "")
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
                self.keep_mortals_alive()
                self.strike(*turn)
                time.sleep(self.chance.choice([0, 0, 0.1, 0.3]))
        for turn in self.turns:
            for _ in range(3):
                if turn[1] in self.missed() and not is_over():
                    self.strike(*turn)


def posts_of_lines(folder):
    for path in sorted(glob.glob(os.path.join(folder, "batch-*.txt"))):
        with open(path, encoding="utf-8") as file:
            for line in file:
                yield line.split()[2]


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
    archives = [compare(accepted, posts_of_xml(storm.pipeline.documents())), compare(sound, posts_of_lines(storm.folder("picky"))),
                compare(accepted, posts_of_lines(storm.folder("minutely")))]
    return poison, [sum(column) for column in zip(*archives)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=70_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    seed = int(os.environ.get("TEST_SEED", str(time.time_ns() % 1_000_000)))
    print(f"processor_storm: seed={seed} (TEST_SEED={seed} repeats the order of the kills)", flush=True)
    adapters = [{"name": name, "required": True, "interval_ms": 100, "batch_max_events": 500} for name in ("xml", "picky", "minutely")]
    adapters[2].update(mode="interval", run_interval_minutes=1, filter={"kinds": ["message_posted"]})
    config = {"processor": {"receive_max_count": 256, "adapters": adapters, "adapter_heartbeat_ms": 200,
                            "adapter_silence_max_ms": 2000, "adapter_retry_max_ms": 500}}
    with Pipeline("processor_storm", config=config) as pipeline:
        storm = Storm(pipeline, random.Random(seed))
        pipeline.start()
        storm.keep_mortals_alive()
        held = pipeline.verbatimctl("holds", "add", "--room", "room-1@conference.example", "--reason", "storm")
        assert held.returncode == 0, held
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
        for mortal in storm.mortals:
            mortal.kill()
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
