"""100,000 events on their way to the XML archive while every service in turn is killed with SIGKILL at random moments.

A producer sends numbered posts to twenty rooms and sends again whatever a killed collector left unanswered. Queue,
processor, XML adapter and collector are killed in turn; two of the kills happen at named points: the collector between
"durable" and its answer, the adapter between its effect and its acknowledgement. At the end the legacy documents must hold
every accepted post exactly once, each room in the order of sending, and the accounting must agree with a recount.

VERBATIM_STORM_EVENTS and VERBATIM_STORM_KILLS make it larger; TEST_SEED repeats a run.
"""
import os
import random
import subprocess
import sys
import time

from storm import compare, posts_of_xml, read_accepted, start_producer
from verbatim_harness import HarnessError, Pipeline, wait_until

EVENTS = int(os.environ.get("VERBATIM_STORM_EVENTS", "100000"))
KILLS = int(os.environ.get("VERBATIM_STORM_KILLS", "22"))
SEED = int(os.environ.get("TEST_SEED", str(time.time_ns() % 1_000_000)))
ROOMS = 20
# Slow enough that every kill finds events on their way.
RATE_PER_SECOND = int(os.environ.get("VERBATIM_STORM_RATE", "2500"))
SIGKILLED = -9


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


def main():
    print(f"kill_storm: seed={SEED} events={EVENTS} (TEST_SEED={SEED} repeats it)", flush=True)
    chance = random.Random(SEED)
    with Pipeline("kill_storm", config={"processor": {"receive_max_count": 1024}}) as pipeline:
        pipeline.config["processor"]["adapters"][0].update(interval_ms=300, batch_max_events=2000)
        pipeline.start()
        accepted_path = os.path.join(pipeline.dir, "accepted")
        producer = start_producer(pipeline, "storm", EVENTS, accepted_path, rooms=ROOMS, rate=RATE_PER_SECOND, batch=128, window=8192)
        try:
            kills = storm(pipeline, producer, chance)
        finally:
            producer.kill()
            producer.wait()
        with open(os.path.join(pipeline.dir, "storm.log"), encoding="utf-8") as log:
            tail = log.read()[-2000:]
        if producer.returncode != 0:
            raise HarnessError(f"the producer ended with {producer.returncode}\n{tail}")
        accepted = read_accepted([accepted_path])
        pipeline.wait_archived(len(accepted), timeout=300)
        totals = pipeline.totals(recount=True)
        recount = list(pipeline.accounting(recount=True).recount_differences)
        posts = list(posts_of_xml(pipeline.documents()))
        lost, twice, disordered, unknown = compare(accepted, posts)
        # Whatever was killed when: nothing is missing in the archive, nor there twice.
        verified = pipeline.verbatimctl("verify", pipeline.config["adapter_xml"]["output_dir"], "--ask-processor", "xml")
        pipeline.stop()
        print(tail.strip())
        print(f"kill_storm: kills={kills} accepted={len(accepted)} archived={len(set(posts))} lost={lost} twice={twice} "
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
