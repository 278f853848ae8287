"""The processor is killed at each of its fault points and started again: every event is counted once.

    staged_before_commit: the queue gives everything again; staging knows it by its lookup ids.
    sealed_before_send:   the same batch goes out, byte for byte.
    acked_before_delete:  the deletion is finished at the next opening.
"""
import os
import re

import grpc
from verbatim_harness import Pipeline, room_post, wait_until

POINTS = ["processor.staged_before_commit", "processor.sealed_before_send", "processor.acked_before_delete"]


def counted(pipeline):
    path = os.path.join(pipeline.dir, "adapter-count", "count.txt")
    with open(path, encoding="utf-8") as file:
        return int(re.search(r"events=(\d+)", file.read()).group(1))


def settled(pipeline):
    """Nothing is under way, or the processor is dead or dying."""
    if not pipeline.processor.is_running():
        return True
    try:
        return pipeline.queue_info().depth == 0 and pipeline.totals()["staged"] == 0
    except grpc.RpcError:
        return False


with Pipeline("processor_fault_points", adapters=("count",)) as pipeline:
    pipeline.start()
    sent = 0
    with pipeline.producer("alice") as producer:
        for point in POINTS:
            for passage in (1, 3):
                pipeline.processor.terminate()
                pipeline.processor.start(environment={"VERBATIM_FAULT_POINT": f"{point}:{passage}"})
                for _ in range(passage + 1):
                    producer.send([room_post("room@x", "a@x", f"post {sent + i}") for i in range(20)])
                    sent += 20
                    # One batch after the other, so that each point is passed as often as it takes.
                    wait_until(lambda: settled(pipeline), 60, lambda: "batches or the end of the processor")
                    if not pipeline.processor.is_running():
                        break
                wait_until(lambda: not pipeline.processor.is_running(), 30, lambda: f"a death at {point}:{passage}")
                assert pipeline.processor.exit_code() == -9, pipeline.processor.exit_code()
                pipeline.processor.start()
                totals = pipeline.wait_archived(sent)
                assert totals["accepted"] == totals["archived"] == sent and totals["difference"] == 0, totals
                assert counted(pipeline) == sent, (point, passage, counted(pipeline), sent)
                assert not pipeline.accounting(recount=True).recount_differences
                print(f"{point}:{passage} ok, events={sent}")
    pipeline.stop()
