"""A room of many participants and a slice of many events, through the real processor and XML adapter in mode "interval": the slice comes
in parts, each with whole rosters; what both processes needed at most is printed, and the test fails above PEAK_MAX_MIB, except under a sanitizer, which needs memory of its own.

VERBATIM_LARGE_ROOM="PARTICIPANTS EVENTS" sets another size; the full one is "16000 1000000". Above 100,000 events all of them are one slice:
the run interval is an hour, and a drain ends it.
"""
import base64
import glob
import json
import mmap
import os
import time

from verbatim_harness import BIN_DIR, Pipeline, room_join, room_post
from verbatim.v1 import adapter_pb2

PARTICIPANTS, EVENTS = map(int, os.environ.get("VERBATIM_LARGE_ROOM", "1000 6000").split())
BATCH = 50_000 if EVENTS > 100_000 else 2_000
IS_ONE_SLICE = EVENTS > 100_000
RUN_MINUTES = 60 if IS_ONE_SLICE else 1
PEAK_MAX_MIB = 512
ROOM = "hall@rooms.example.test"
with open(os.path.join(BIN_DIR, "verbatim-processor"), "rb") as binary, mmap.mmap(binary.fileno(), 0, access=mmap.ACCESS_READ) as code:
    IS_BOUNDED = code.find(b"__asan_init") < 0 and code.find(b"__tsan_init") < 0


def peak_mib(service):
    with open(f"/proc/{service.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def headers(folder):
    found = []
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.manifest.json"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            found.append(adapter_pb2.BatchHeader.FromString(base64.b64decode(json.load(file)["header"])))
    return found


with Pipeline("large_room", config={"processor": {"adapters": [
        {"name": "xml", "mode": "interval", "run_interval_minutes": RUN_MINUTES, "batch_max_events": BATCH}]}}) as pipeline:
    pipeline.start()
    started = time.monotonic()
    with pipeline.producer() as producer:
        for first in range(0, PARTICIPANTS, 1_000):
            producer.submit([room_join(ROOM, f"person{number}@example.test/phone")
                             for number in range(first, min(first + 1_000, PARTICIPANTS))])
        for first in range(0, EVENTS, 2_000):
            producer.wait_answered(timeout=600, at_most=20_000)
            producer.submit([room_post(ROOM, f"person{number % PARTICIPANTS}@example.test/phone", f"{number} " + "x" * 700)
                             for number in range(first, min(first + 2_000, EVENTS))])
        producer.wait_answered(timeout=600)
    put_s = time.monotonic() - started
    if IS_ONE_SLICE:
        drained = pipeline.verbatimctl("drain", "--timeout", "1200", "--reason", "large room", timeout=1_300)
        assert drained.returncode == 0, drained
    totals = pipeline.wait_archived(PARTICIPANTS + EVENTS, timeout=1_200)
    assert totals["difference"] == 0, totals
    peaks = {"processor": peak_mib(pipeline.processor), "adapter": peak_mib(pipeline.adapter_xml)}
    batches = headers(pipeline.config["adapter_xml"]["output_dir"])
    slices = [(header, one) for header in batches for one in header.slices if one.conversation_kind == 1]
    before, joined, largest, count = None, 0, 0, 0
    for header, one in slices:
        assert header.event_count <= BATCH and header.interval_end_unix_ns - header.interval_start_unix_ns == RUN_MINUTES * 60 * 10**9
        goes_on = before is not None and before[0].interval_start_unix_ns == header.interval_start_unix_ns
        assert one.part == (before[1].part + 1 if goes_on else 1) and one.is_first == (not goes_on), (one.part, goes_on)
        assert before is None or before[1].is_last == (not goes_on)
        assert len(one.present_at_start) == joined, (len(one.present_at_start), joined)
        joined = len(one.present_at_end)
        count += one.event_count
        largest = max(largest, one.part)
        before = (header, one)
    assert before[1].is_last and joined == PARTICIPANTS and count == PARTICIPANTS + EVENTS, (joined, count)
    print(f"large_room: participants={PARTICIPANTS} events={EVENTS} put_s={put_s:.0f} batches={len(batches)} most_parts={largest} "
          f"processor_peak_mib={peaks['processor']:.0f} adapter_peak_mib={peaks['adapter']:.0f} "
          f"bound_mib={PEAK_MAX_MIB if IS_BOUNDED else 'none (sanitizer)'}")
    assert not IS_BOUNDED or max(peaks.values()) <= PEAK_MAX_MIB, peaks
