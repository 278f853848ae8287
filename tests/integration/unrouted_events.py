"""Events that no required adapter's filter takes stay, are counted, and raise an alarm; when an adapter is added that starts with the
oldest, it is given them in order, acknowledges them, and they go: archived exactly once, also over kill -9 in between and at the named
points that only such events reach."""
import os
import re
import signal

import grpc
from verbatim_harness import Pipeline, room_post, wait_until
from verbatim.v1 import admin_pb2

TAKEN, LEFT = "deal@rooms.x", "lunch@rooms.x"
COUNT = 40


def is_unrouted_alarm(pipeline):
    try:
        answer = pipeline.processor_admin().ListAlarms(admin_pb2.ListAlarmsRequest(), timeout=10)
    except grpc.RpcError:
        return None
    return any(alarm.name == "unrouted" and alarm.is_raised for alarm in answer.alarms)


def unrouted(pipeline):
    return pipeline.accounting(recount=True).unrouted_count


def reaches(pipeline, archived, staged, unrouted_count):
    """A connection to a former life of the service, or a machine that is busy, only takes longer."""
    try:
        totals = pipeline.totals()
        return (totals["archived"], totals["staged"], unrouted(pipeline)) == (archived, staged, unrouted_count)
    except grpc.RpcError:
        return False


def counted(pipeline):
    path = os.path.join(pipeline.dir, "adapter-count", "count.txt")
    if not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8") as file:
        return int(re.search(r"events=(\d+)", file.read()).group(1))


def dies_at(pipeline, point, deed):
    """The processor kills itself at its first passage of the named point, which the deed leads to; then it is started as usual."""
    pipeline.processor.terminate()
    pipeline.processor.start(wait=False, environment={"VERBATIM_FAULT_POINT": f"{point}:1"})
    deed()
    wait_until(lambda: not pipeline.processor.is_running(), 60, lambda: f"the processor to die at {point}\n{pipeline.processor.tail()}")
    assert pipeline.processor.exit_code() == -signal.SIGKILL, (point, pipeline.processor.exit_code())
    pipeline.processor.start()


def posts(producer, room, first, count):
    producer.send([room_post(room, "alice@x", f"post {first + i}", message_id=f"{room}-{first + i}") for i in range(count)])


with Pipeline("unrouted_events", adapters=("xml",)) as pipeline:
    xml = pipeline.config["processor"]["adapters"][0]
    xml["filter"] = {"conversations": [TAKEN]}
    pipeline.start()
    with pipeline.producer() as producer:
        dies_at(pipeline, "processor.filtered_before_delete", lambda: posts(producer, LEFT, 0, COUNT // 4))
        posts(producer, TAKEN, 0, COUNT // 4)
        for wave in range(1, 4):
            posts(producer, TAKEN, wave * 10, COUNT // 4)
            posts(producer, LEFT, wave * 10, COUNT // 4)
        wait_until(lambda: reaches(pipeline, COUNT, COUNT, COUNT), 60, "all to be archived or unrouted")
        wait_until(lambda: is_unrouted_alarm(pipeline), 30, "the alarm")
        assert pipeline.totals(recount=True) == {"accepted": 2 * COUNT, "archived": COUNT, "quarantined": 0, "staged": COUNT, "difference": 0}
        # No adapter has anything to acknowledge, and yet the store is not empty.
        drained = pipeline.verbatimctl("drain", "--timeout", "30", "--reason", "switch")
        assert drained.returncode == 1 and f"{COUNT} events are unrouted" in drained.stderr, drained
        assert pipeline.verbatimctl("drain", "--end", "--reason", "switch").returncode == 0
        print("unrouted_events: kept ok", flush=True)

        # Somebody reads the runbook.
        pipeline.config["processor"]["adapters"].append({"name": "count", "required": True, "interval_ms": 200, "batch_max_events": 7,
                                                         "start": "oldest"})
        dies_at(pipeline, "processor.owed_before_stored", lambda: None)
        wait_until(lambda: reaches(pipeline, COUNT, COUNT, COUNT), 30, "the processor to answer again")
        posts(producer, LEFT, COUNT, 5)
        pipeline.adapter_count.start()
        wait_until(lambda: counted(pipeline) >= 7, 30, "a first batch")
        pipeline.processor.restart(kill=True)
        wait_until(lambda: reaches(pipeline, 2 * COUNT + 5, 0, 0), 60, "all to be archived")
    assert counted(pipeline) == COUNT + 5, counted(pipeline)
    wait_until(lambda: is_unrouted_alarm(pipeline) is False, 30, "the alarm to be over")
    cut = pipeline.accounting(recount=True)
    assert not cut.recount_differences, cut
    assert all(one.difference == 0 and one.pending == 0 for one in cut.adapters), cut
    assert pipeline.totals() == {"accepted": 2 * COUNT + 5, "archived": 2 * COUNT + 5, "quarantined": 0, "staged": 0, "difference": 0}
    pipeline.stop()
print(f"unrouted_events: ok events={2 * COUNT + 5}")
