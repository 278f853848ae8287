"""How fast an event goes the whole road: producer, collector, queue, processor, adapter; everything durable at each hop.

    bench end_to_end rate=… p50_us=… p99_us=… floor=… ratio=…

rate: events a second from the first send until the last is archived (acknowledged by the count adapter and accounted for).
p50_us, p99_us: from sending an event to its receipt, with thousands in flight. floor: events a second of a bare loop of this run
that appends batches of the same size to a file and calls fdatasync. ratio: rate / floor.
Usage: end_to_end.py [--seconds S] [--batch N] [--payload-bytes N]
"""
import argparse
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from verbatim_harness import BIN_DIR, Pipeline  # noqa: E402


def floor_rate(folder, batch, event_bytes, seconds):
    """Events a second of append and fdatasync; the file is written in full first, as the log's segments are."""
    size = 64 << 20
    chunk = os.urandom(batch * event_bytes)
    file = os.open(os.path.join(folder, "floor"), os.O_RDWR | os.O_CREAT)
    try:
        for offset in range(0, size, 1 << 20):
            os.pwrite(file, bytes(1 << 20), offset)
        os.fsync(file)
        offset = writes = 0
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            if offset + len(chunk) > size:
                offset = 0
            os.pwrite(file, chunk, offset)
            os.fdatasync(file)
            offset += len(chunk)
            writes += 1
        return writes * batch / (time.monotonic() - begin)
    finally:
        os.close(file)
        os.unlink(os.path.join(folder, "floor"))


def run_producer(pipeline, name, count, options):
    """Sends `count` events; gives what the producer says of itself."""
    done = subprocess.run(
        [os.path.join(BIN_DIR, "verbatim-producer"), "--address", f"127.0.0.1:{pipeline.ports['grpc']}", "--producer", name,
         "--count", str(count), "--rooms", "50", "--batch", str(options.batch), "--window", str(16 * options.batch),
         "--payload-bytes", str(options.payload_bytes)], capture_output=True, text=True, check=False)
    found = re.search(r"accepted=(\d+).*rate=(\d+) p50_us=(\d+) p99_us=(\d+)", done.stdout)
    if done.returncode != 0 or not found or int(found.group(1)) != count:
        sys.exit(f"end_to_end: the producer failed ({done.returncode}): {done.stdout}{done.stderr}")
    return [int(group) for group in found.groups()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--payload-bytes", type=int, default=512)
    options = parser.parse_args()
    # The services as they come, but for the segment size of the test harness.
    config = {"queue": {"segment_bytes": 64 << 20}}
    with Pipeline("bench_end_to_end", adapters=("count",), config=config) as pipeline:
        pipeline.start()
        warm_up = 20 * options.batch
        begin = time.monotonic()
        run_producer(pipeline, "warm-up", warm_up, options)
        pipeline.wait_archived(warm_up)
        count = max(warm_up, int(warm_up / (time.monotonic() - begin) * options.seconds))
        stored_before = pipeline.queue_info().accepted_count
        begin = time.monotonic()
        _, _, p50, p99 = run_producer(pipeline, "bench", count, options)
        totals = pipeline.wait_archived(stored_before + count, timeout=60 + 4 * options.seconds)
        rate = count / (time.monotonic() - begin)
        if totals["difference"] != 0:
            sys.exit(f"end_to_end: the accounting has a difference: {totals}")
        # An event with its envelope is about its text and 600 bytes more.
        floor = floor_rate(pipeline.dir, options.batch, options.payload_bytes + 600, 2)
        pipeline.stop()
    print(f"bench end_to_end rate={rate:.0f} p50_us={p50} p99_us={p99} floor={floor:.0f} ratio={rate / floor:.3f}")


main()
