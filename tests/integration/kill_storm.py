"""100,000 events on their way to the XML archive while every service in turn is killed with SIGKILL at random moments.

A producer sends numbered posts to twenty rooms and sends again whatever a killed collector left unanswered. Queue,
processor, XML adapter and collector are killed in turn; two of the kills happen at named points: the collector between
"durable" and its answer, the adapter between its effect and its acknowledgement. At the end the legacy documents must hold
every accepted post exactly once, each room in the order of sending, and the accounting must agree with a recount.

VERBATIM_STORM_EVENTS and VERBATIM_STORM_KILLS make it larger; TEST_SEED repeats a run.
"""
import collections
import hashlib
import os
import random
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

from verbatim_harness import BIN_DIR, HarnessError, Pipeline, wait_until

EVENTS = int(os.environ.get("VERBATIM_STORM_EVENTS", "100000"))
KILLS = int(os.environ.get("VERBATIM_STORM_KILLS", "22"))
SEED = int(os.environ.get("TEST_SEED", str(time.time_ns() % 1_000_000)))
ROOMS = 20
# Slow enough that every kill finds events on their way.
RATE_PER_SECOND = int(os.environ.get("VERBATIM_STORM_RATE", "2500"))
SIGKILLED = -9


def start_producer(pipeline, accepted_path):
    return subprocess.Popen(
        [os.path.join(BIN_DIR, "verbatim-producer"), "--address", f"127.0.0.1:{pipeline.ports['grpc']}",
         "--producer", "storm", "--count", str(EVENTS), "--rooms", str(ROOMS), "--batch", "128", "--window", "8192",
         "--rate", str(RATE_PER_SECOND), "--accepted", accepted_path],
        stdout=open(os.path.join(pipeline.dir, "producer.log"), "w", encoding="utf-8"), stderr=subprocess.STDOUT)


def dies_by_itself(service, fault_point):
    """Restarts the service so that it kills itself at the named point; then starts it as usual."""
    service.kill()
    service.start(wait=False, environment={"VERBATIM_FAULT_POINT": fault_point})
    wait_until(lambda: not service.is_running(), 60, f"{service.name} to die at {fault_point}")
    if service.exit_code() != SIGKILLED:
        raise HarnessError(f"{service.name} ended with {service.exit_code()} instead of dying at {fault_point}\n{service.tail()}")
    service.start()
    return 2


def storm(pipeline, producer, chance):
    """Kills until the producer is done and there were enough kills; gives their number."""
    kills = 0
    at_points = {3: (pipeline.collector, "collector.durable_before_answer:3"),
                 7: (pipeline.adapter_xml, "adapter.effect_before_ack:2")}
    victims = [pipeline.queue, pipeline.processor, pipeline.adapter_xml, pipeline.collector]
    turn = 0
    while producer.poll() is None:
        pause = chance.uniform(0.2, 1.0)
        try:
            producer.wait(timeout=pause)
            break
        except subprocess.TimeoutExpired:
            pass
        if kills >= KILLS:
            continue
        if turn in at_points:
            kills += dies_by_itself(*at_points.pop(turn))
        else:
            victim = victims[turn % len(victims)]
            victim.kill()
            # Sometimes it comes back at once, sometimes the others notice its absence.
            if chance.random() < 0.3:
                try:
                    producer.wait(timeout=chance.uniform(0.1, 1.5))
                except subprocess.TimeoutExpired:
                    pass
            victim.start()
            kills += 1
        turn += 1
    return kills


def read_accepted(path):
    """Digest of the text -> (room, sequence)."""
    accepted = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            room, sequence, digest = line.split()
            accepted[digest] = (room, int(sequence))
    return accepted


def archived_posts(paths):
    """(digest of the text) of every CHAT of the legacy documents, in the order of the documents."""
    for path in paths:
        for _, element in ElementTree.iterparse(path):
            if element.tag == "Messages":
                for message in element.iter("Message"):
                    if message.get("type") == "CHAT":
                        yield hashlib.sha256(message.get("content").encode()).hexdigest()
            elif element.tag == "Conversation":
                element.clear()


def compare(accepted, posts):
    counts = collections.Counter()
    last = collections.defaultdict(int)
    disordered = unknown = 0
    for digest in posts:
        counts[digest] += 1
        if digest not in accepted:
            unknown += 1
            continue
        room, sequence = accepted[digest]
        if counts[digest] == 1:
            disordered += sequence <= last[room]
            last[room] = sequence
    lost = sum(1 for digest in accepted if digest not in counts)
    twice = sum(count - 1 for count in counts.values())
    return lost, twice, disordered, unknown, len(counts)


def main():
    print(f"kill_storm: seed={SEED} events={EVENTS} (TEST_SEED={SEED} repeats it)", flush=True)
    chance = random.Random(SEED)
    with Pipeline("kill_storm", config={"processor": {"receive_max_count": 1024}}) as pipeline:
        pipeline.config["processor"]["adapters"][0].update(interval_ms=300, batch_max_events=2000)
        pipeline.start()
        accepted_path = os.path.join(pipeline.dir, "accepted")
        producer = start_producer(pipeline, accepted_path)
        try:
            kills = storm(pipeline, producer, chance)
        finally:
            producer.kill()
            producer.wait()
        with open(os.path.join(pipeline.dir, "producer.log"), encoding="utf-8") as log:
            tail = log.read()[-2000:]
        if producer.returncode != 0:
            raise HarnessError(f"the producer ended with {producer.returncode}\n{tail}")
        accepted = read_accepted(accepted_path)
        pipeline.wait_archived(len(accepted), timeout=300)
        totals = pipeline.totals(recount=True)
        recount = list(pipeline.accounting(recount=True).recount_differences)
        documents = [path for path in pipeline.documents() if not path.endswith(".companion.xml")]
        lost, twice, disordered, unknown, archived = compare(accepted, archived_posts(documents))
        # Whatever was killed when: nothing is missing in the archive, nor there twice.
        verified = pipeline.verbatimctl("verify", pipeline.config["adapter_xml"]["output_dir"], "--ask-processor", "xml")
        pipeline.stop()
        print(tail.strip())
        print(f"kill_storm: kills={kills} accepted={len(accepted)} archived={archived} lost={lost} twice={twice} "
              f"disordered={disordered} difference={totals['difference']}")
        failures = [text for wrong, text in (
            (len(accepted) != EVENTS, f"accepted {len(accepted)} of {EVENTS}"), (kills < 20, f"only {kills} kills"),
            (lost, "lost posts"), (twice, "posts twice"), (disordered, "posts out of order"),
            (unknown, f"{unknown} archived posts that nobody sent"), (totals["difference"], "accounting difference"),
            (recount, f"recount disagrees: {recount}"),
            (verified.returncode, f"verify: {verified.stdout[-2000:]}{verified.stderr}")) if wrong]
        if failures:
            pipeline.keep = True
            print(f"kill_storm: FAILED: {'; '.join(failures)} (seed {SEED}, data kept in {pipeline.dir})")
            return 1
    return 0


sys.exit(main())
