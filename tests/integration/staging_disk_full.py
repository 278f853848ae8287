"""A real verbatim-processor whose store lies on a small file system that fills up, first by its own events while the adapter is
away, then by somebody else's file, with a kill in between. Each time it stops taking, says so, and stays up; the adapter goes on
and empties the store; it takes again by itself once there is room. In the end every event was acknowledged exactly once."""
import base64
import os
import random

import small_disk

small_disk.enter_own_mounts()

import grpc  # noqa: E402
from verbatim_harness import Pipeline, room_post, wait_until  # noqa: E402
from verbatim.v1 import admin_pb2  # noqa: E402

DISK_MIB = 640
# What RocksDB still has in memory must fit when it is written out.
FREE_MIN_BYTES = 256 << 20
TEXT_BYTES = 16 << 10
CHANCE = random.Random(5)
OWN_COUNT, FOREIGN_COUNT = 26_000, 600


def is_disk_full(pipeline):
    try:
        answer = pipeline.processor_admin().ListAlarms(admin_pb2.ListAlarmsRequest(), timeout=10)
    except grpc.RpcError:  # a connection to its former life
        return None
    return any(alarm.name == "disk-full" and alarm.is_raised for alarm in answer.alarms)


def wait_stopped(pipeline, disk):
    """It says that its disk is nearly full, and takes nothing more, though there is more to take."""
    wait_until(lambda: is_disk_full(pipeline), 120, lambda: f"the alarm; free={disk.free_bytes()}\n{pipeline.processor.tail()}")
    wait_until(lambda: pipeline.queue_info().leased_count == 0, 30, "the last lease to be settled")
    last = pipeline.processor_admin().ListAdapters(admin_pb2.ListAdaptersRequest(), timeout=10).adapters[0].last_sequence
    assert pipeline.processor.is_running(), pipeline.processor.tail()
    return last


def wait_takes_nothing(pipeline):
    """The receive that waited when the disk became full may still bring something; after it none is begun."""
    def is_said():
        info = pipeline.processor_admin().GetInfo(admin_pb2.GetInfoRequest(), timeout=10).info
        return any("nothing is taken" in notice for notice in info.notices)
    wait_until(is_said, 60, lambda: f"intake to stop\n{pipeline.processor.tail()}")


def text():
    """Not to be compressed: the store does that."""
    return base64.b64encode(CHANCE.randbytes(TEXT_BYTES * 3 // 4)).decode()


def send(producer, count):
    for _ in range(0, count, 200):
        producer.submit([room_post("room@x", "a@x", text()) for _ in range(200)])
    producer.wait_answered(timeout=240)


def fills_up_by_itself(pipeline, producer, disk):
    pipeline.adapter_count.terminate()
    send(producer, OWN_COUNT)
    taken = wait_stopped(pipeline, disk)
    assert 0 < taken < OWN_COUNT, taken
    assert pipeline.queue_info().depth > 0
    assert disk.free_bytes() > FREE_MIN_BYTES // 4, disk.free_bytes()
    pipeline.adapter_count.start()  # nobody tells the processor that it may go on
    pipeline.wait_archived(OWN_COUNT, timeout=240)
    wait_until(lambda: is_disk_full(pipeline) is False, 60, lambda: f"the alarm to be over; free={disk.free_bytes()}")


def fills_up_by_somebody_else(pipeline, producer, disk):
    disk.fill(leave_bytes=FREE_MIN_BYTES // 2)
    wait_until(lambda: is_disk_full(pipeline), 60, "the alarm")
    wait_takes_nothing(pipeline)
    send(producer, FOREIGN_COUNT)
    assert pipeline.queue_info().depth >= FOREIGN_COUNT, pipeline.queue_info().depth
    # It can be killed and starts again on the full disk, and still takes nothing.
    pipeline.processor.restart(kill=True)
    wait_until(lambda: is_disk_full(pipeline), 60, "the alarm")
    assert pipeline.queue_info().depth >= FOREIGN_COUNT, pipeline.queue_info().depth
    disk.unfill()
    pipeline.wait_archived(OWN_COUNT + FOREIGN_COUNT, timeout=120)
    wait_until(lambda: is_disk_full(pipeline) is False, 60, "the alarm to be over")


with Pipeline("staging_disk_full", adapters=("count",)) as pipeline:
    with small_disk.SmallDisk(pipeline.dir, size_mib=DISK_MIB) as disk:
        pipeline.config["processor"].update(data_dir=os.path.join(disk.path, "processor"), free_disk_min_bytes=FREE_MIN_BYTES)
        pipeline.start()
        with pipeline.producer() as producer:
            fills_up_by_itself(pipeline, producer, disk)
            print("staging_disk_full: by itself ok", flush=True)
            fills_up_by_somebody_else(pipeline, producer, disk)
        cut = pipeline.accounting(recount=True)
        assert not cut.recount_differences, cut
        total = OWN_COUNT + FOREIGN_COUNT
        account = cut.adapters[0]
        assert (account.acknowledged, account.pending, account.difference) == (total, 0, 0), account
        assert pipeline.totals() == {"accepted": total, "archived": total, "quarantined": 0, "staged": 0, "difference": 0}
        pipeline.stop()
print(f"staging_disk_full: ok events={total}")
