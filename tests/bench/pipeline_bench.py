"""Events of 1 KiB from gRPC through queue and staging to the adapter's acknowledgement and out of the store, durable at each hop.

    bar CASE measured=… rocks=… ratio=… bar=… ok|short
    bar CASE_latency p50_ms=… p99_ms=… disk_p99_ms=… rate=… bar=… ok|short

CASE: the adapter, count or xml. measured: events a second from the first send until all are archived and the queue is empty.
rocks: rows of 1 KiB a second that RocksDB alone takes in synced batches of 256, the mean of a run before and one after; its values and the
events' texts are alike: 64 different letters in no order, which compress to three quarters. Latency: from
the receipt of an event at its producer to the acknowledgement of its batch by the adapter, while events come at half the measured rate,
whether answered or not; disk_p99_ms: what a bare synced write takes on the same disk, at 100 a second, alone, the mean of before and after;
disk_busy_p99_ms: the same beside the load. report lines: goals, and what each process took. Exit code 1 if a bar is missed.
Usage: pipeline_bench.py [--seconds S] [--adapter NAME]... [--batch-max N] [--interval-ms N]
"""
import argparse
import datetime
import os
import re
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from verbatim_harness import BIN_DIR, Pipeline  # noqa: E402
from disk_witness import DiskWitness, disk_alone  # noqa: E402

PAYLOAD_BYTES = 1024
BATCH = 256
BARS = {"count": 0.5, "xml": 0.3}
GOALS = {"count": 100_000, "xml": 50_000}
LATENCY_BAR_MS = 50
SHORT_SECONDS = 60  # at most so long for all but the load


def rocks_rate(folder, seconds):
    path = os.path.join(folder, f"rocks-{time.time_ns()}")
    done = subprocess.run([os.path.join(BIN_DIR, "verbatim-bare-rocks"), path, str(seconds)], capture_output=True, text=True,
                          check=True)
    return float(done.stdout.removeprefix("rate="))


def send(pipeline, name, count, rate=0):
    """Sends `count` events; gives (Unix seconds of the receipt, number) pairs."""
    receipts = os.path.join(pipeline.dir, name + ".receipts")
    # A load that does not wait for answers has room for a second of them.
    window = 16 * BATCH if rate == 0 else max(16 * BATCH, int(rate))
    done = subprocess.run(
        [os.path.join(BIN_DIR, "verbatim-producer"), "--address", f"127.0.0.1:{pipeline.ports['grpc']}", "--producer", name,
         "--count", str(count), "--rooms", "50", "--batch", str(BATCH), "--window", str(window), "--rate", str(rate),
         "--payload-bytes", str(PAYLOAD_BYTES), "--receipts", receipts], capture_output=True, text=True, check=False)
    if done.returncode != 0 or f"accepted={count} " not in done.stdout:
        sys.exit(f"pipeline: the producer failed ({done.returncode}): {done.stdout}{done.stderr}")
    with open(receipts, encoding="utf-8") as file:
        return [(int(at_us) / 1e6, int(number)) for at_us, number in map(str.split, file)]


def acknowledgements(adapter):
    """(Unix seconds, events so far) of each batch that the adapter's log says it has applied."""
    total, seen = 0, []
    with open(adapter.log_path, encoding="utf-8", errors="replace") as log:
        for line in log:
            found = re.match(r"(\S+Z) .* batch applied batch=\d+ event_count=(\d+)", line)
            if found:
                total += int(found.group(2))
                seen.append((datetime.datetime.fromisoformat(found.group(1).replace("Z", "+00:00")).timestamp(), total))
    return seen


def latencies_ms(receipts, acknowledged, offset):
    """Of each event of the producer; `offset` were acknowledged before it began."""
    waits, at, last = [], 0, 0
    for receipt, number in receipts:
        for one in range(last + 1, number + 1):
            while acknowledged[at][1] < offset + one:
                at += 1
            waits.append(max(0.0, 1e3 * (acknowledged[at][0] - receipt)))
        last = max(last, number)
    return sorted(waits)


def cpu_seconds(service):
    with open(f"/proc/{service.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_bytes(service):
    with open(f"/proc/{service.pid}/io", encoding="utf-8") as file:
        return int(re.search(r"write_bytes: (\d+)", file.read()).group(1))


def resident_max_mib(service):
    with open(f"/proc/{service.pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)) // 1024


def children_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_rate(pipeline, name, count, parts=None):
    before = pipeline.totals()["archived"]
    begin, cpu = time.monotonic(), children_cpu_seconds()
    send(pipeline, name, count)
    if parts is not None:
        # Only the producer has ended meanwhile.
        parts.append(f"producer: cpu_us_per_event={1e6 * (children_cpu_seconds() - cpu) / count:.1f} "
                     f"sent_per_second={count / (time.monotonic() - begin):.0f}")
    totals = pipeline.wait_archived(before + count, timeout=600)
    if totals["difference"] != 0:
        sys.exit(f"pipeline: the accounting has a difference: {totals}")
    return count / (time.monotonic() - begin)


def run_case(adapter, options):
    settings = {"name": adapter, "required": True, "interval_ms": options.interval_ms, "batch_max_events": options.batch_max}
    # The services as they come, but for the size of the queue's segments and the adapter's batches.
    config = {"queue": {"segment_bytes": 64 << 20}, "processor": {"adapters": [settings]}}
    short = min(options.seconds, SHORT_SECONDS)
    with Pipeline(f"bench_pipeline_{adapter}", adapters=(adapter,), config=config) as pipeline:
        rocks = [rocks_rate(pipeline.dir, short / 2)]
        pipeline.start()
        rate = measure_rate(pipeline, "warm-up", 20 * BATCH)
        rate = measure_rate(pipeline, "warmer", int(max(20 * BATCH, 2 * rate)))
        services = pipeline.services
        cpu = {service.name: cpu_seconds(service) for service in services}
        written = {service.name: written_bytes(service) for service in services}
        count = int(max(20 * BATCH, rate * options.seconds))
        parts = []
        rate = measure_rate(pipeline, "load", count, parts)
        parts += [f"{service.name.removeprefix('verbatim-')}: cpu_us_per_event={1e6 * (cpu_seconds(service) - cpu[service.name]) / count:.1f} "
                 f"written_per_payload={(written_bytes(service) - written[service.name]) / count / PAYLOAD_BYTES:.2f} "
                 f"resident_max_mib={resident_max_mib(service)}" for service in services]
        service = getattr(pipeline, f"adapter_{adapter}")
        offset = acknowledgements(service)[-1][1]
        slow = int(max(10 * BATCH, rate / 2 * short))
        disk = [disk_alone(pipeline.dir, short / 2)]
        with DiskWitness(pipeline.dir, short) as witness:
            receipts = send(pipeline, "open", slow, rate / 2)
        pipeline.wait_archived(offset + slow, timeout=600)
        waits = latencies_ms(receipts, acknowledgements(service), offset)
        disk.append(disk_alone(pipeline.dir, short / 2))
        recount = list(pipeline.accounting(recount=True).recount_differences)
        if recount:
            sys.exit(f"pipeline: the recount disagrees: {recount}")
        pipeline.stop()
        rocks.append(rocks_rate(pipeline.dir, short / 2))
    base = statistics.mean(rocks)
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    alone = statistics.mean(one["p99_us"] for one in disk) / 1e3
    is_fast, is_prompt = rate >= BARS[adapter] * base, p99 < LATENCY_BAR_MS
    print(f"bar {adapter} measured={rate:.0f} rocks={base:.0f} ratio={rate / base:.2f} bar={BARS[adapter]} "
          f"{'ok' if is_fast else 'short'}")
    print(f"bar {adapter}_latency p50_ms={p50:.1f} p99_ms={p99:.1f} disk_p99_ms={alone:.1f} rate={rate / 2:.0f} bar={LATENCY_BAR_MS} "
          f"{'ok' if is_prompt else 'short'}")
    print(f"report {adapter} disk_busy_p99_ms={witness.found['p99_us'] / 1e3:.1f} disk_max_ms={disk[0]['max_us'] / 1e3:.0f}/"
          f"{witness.found['max_us'] / 1e3:.0f}/{disk[1]['max_us'] / 1e3:.0f} (before, beside the load, after)")
    print(f"report {adapter} goal={GOALS[adapter]} events={count} rocks_before={rocks[0]:.0f} rocks_after={rocks[1]:.0f}")
    total = sum(float(part.split("cpu_us_per_event=")[1].split()[0]) for part in parts)
    print(f"report {adapter} cpu_us_per_event={total:.1f}")
    for part in parts:
        print(f"report {adapter} {part}", flush=True)
    return is_fast and is_prompt


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="of the load (10); RocksDB, the disk and half the load at most 60")
    parser.add_argument("--adapter", action="append", choices=list(BARS), help="only this one")
    parser.add_argument("--batch-max", type=int, default=50_000, help="events of an adapter's batch (50,000, the default of the services)")
    parser.add_argument("--interval-ms", type=int, default=10, help="after which one is sealed anyway (10)")
    options = parser.parse_args()
    results = [run_case(adapter, options) for adapter in options.adapter or BARS]
    return 0 if all(results) else 1


sys.exit(main())
