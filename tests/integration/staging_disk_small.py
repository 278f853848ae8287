"""A real verbatim-processor on a disk of 384 MiB with the smallest mark that holds. A smaller one is refused at the start, in one
sentence. Its own events do not fill the disk while the adapter is away. Then somebody else takes every single byte, while events come:
it takes nothing more and says so, or ends; what it has acknowledged stands, and it goes on when there is room; a start
on that disk is refused in one sentence. In the end every event was acknowledged exactly once."""
import base64
import os
import random
import threading

import small_disk

small_disk.enter_own_mounts()

import grpc  # noqa: E402
from verbatim_harness import Pipeline, room_post, wait_until  # noqa: E402
from verbatim.v1 import admin_pb2  # noqa: E402

DISK_MIB = 384
MARK_BYTES = 64 << 20
RECEIVE_BYTES = 4 << 20
TEXT_BYTES = 16 << 10
OWN_COUNT, BUSY_COUNT = 16_000, 2_000
CHANCE = random.Random(7)


def is_disk_full(pipeline):
    try:
        answer = pipeline.processor_admin().ListAlarms(admin_pb2.ListAlarmsRequest(), timeout=10)
    except grpc.RpcError:  # a connection to its former life
        return None
    return any(alarm.name == "disk-full" and alarm.is_raised for alarm in answer.alarms)


def is_stopped(pipeline):
    try:
        notices = pipeline.processor_admin().GetInfo(admin_pb2.GetInfoRequest(), timeout=10).info.notices
    except grpc.RpcError:
        return None
    return any("nothing is taken" in notice for notice in notices)


def text():
    """Not to be compressed: the store does that."""
    return base64.b64encode(CHANCE.randbytes(TEXT_BYTES * 3 // 4)).decode()


def send(producer, count):
    for _ in range(0, count, 200):
        producer.submit([room_post("room@x", "a@x", text()) for _ in range(200)])
    producer.wait_answered(timeout=240)


def ends_at_once(pipeline, *words):
    pipeline.processor.start(wait=False)
    code = pipeline.processor.wait(timeout=60)
    last = pipeline.processor.log_text().splitlines()[-1]
    assert code == 1 and all(word in last for word in words), (code, last)


def a_mark_that_does_not_hold_is_refused(pipeline, own):
    own.update(receive_max_bytes=16 << 20)
    ends_at_once(pipeline, "free_disk_min_bytes=67108864", own["data_dir"], "set it to 92274688 or more")
    own.update(receive_max_bytes=RECEIVE_BYTES)


def its_own_events_do_not_fill_the_disk(pipeline, producer, disk):
    pipeline.adapter_count.terminate()
    send(producer, OWN_COUNT)
    wait_until(lambda: is_disk_full(pipeline) and is_stopped(pipeline), 120, lambda: pipeline.processor.tail())
    wait_until(lambda: pipeline.queue_info().leased_count == 0, 30, "the last lease to be settled")
    assert pipeline.processor.is_running(), pipeline.processor.tail()
    assert pipeline.queue_info().depth > 0
    # Seals and answers still fit.
    assert disk.free_bytes() > MARK_BYTES // 2, disk.free_bytes()
    pipeline.adapter_count.start()
    pipeline.wait_archived(OWN_COUNT, timeout=240)
    wait_until(lambda: is_disk_full(pipeline) is False, 60, lambda: f"the alarm to be over; free={disk.free_bytes()}")


def somebody_else_takes_every_byte(pipeline, producer, disk):
    """It says so and waits; or, where a write failed before it had seen that the disk is full, it ends with that error, perhaps
    only when there is room again. What it has said stands either way."""
    filler = threading.Thread(target=disk.fill)
    filler.start()
    for _ in range(0, BUSY_COUNT, 100):
        producer.submit([room_post("room@x", "a@x", text()) for _ in range(100)])
    filler.join()
    disk.fill()
    assert disk.free_bytes() < 64 << 10, disk.free_bytes()
    producer.wait_answered(timeout=240)
    wait_until(lambda: not pipeline.processor.is_running() or (is_disk_full(pipeline) and is_stopped(pipeline)), 60,
               lambda: pipeline.processor.tail())
    assert pipeline.queue_info().depth > 0, "it should have filled up before everything was taken"


def a_start_on_it_is_refused(pipeline, disk):
    pipeline.processor.kill()
    disk.fill()
    ends_at_once(pipeline, "bytes free", "make room there")


with Pipeline("staging_disk_small", adapters=("count",)) as pipeline:
    with small_disk.SmallDisk(pipeline.dir, size_mib=DISK_MIB) as disk:
        own = pipeline.config["processor"]
        own.update(data_dir=os.path.join(disk.path, "processor"), free_disk_min_bytes=MARK_BYTES)
        a_mark_that_does_not_hold_is_refused(pipeline, own)
        pipeline.start()
        total = OWN_COUNT + BUSY_COUNT
        with pipeline.producer() as producer:
            its_own_events_do_not_fill_the_disk(pipeline, producer, disk)
            print("staging_disk_small: by itself ok", flush=True)
            somebody_else_takes_every_byte(pipeline, producer, disk)
            disk.unfill()
            pipeline.wait_archived(total, timeout=120, manages=pipeline.processor)
            wait_until(lambda: is_disk_full(pipeline) is False, 60, "the alarm to be over")
            print("staging_disk_small: by somebody else ok", flush=True)
            a_start_on_it_is_refused(pipeline, disk)
            disk.unfill()
            pipeline.processor.start()
        cut = pipeline.accounting(recount=True)
        assert not cut.recount_differences, cut
        account = cut.adapters[0]
        assert (account.acknowledged, account.pending, account.difference) == (total, 0, 0), account
        pipeline.stop()
print(f"staging_disk_small: ok events={total}")
