"""What tests/bench/run queue reports beside its bars: spread, latencies, what a message costs, open loop, a slow disk."""
import os
import statistics

from bench_servers import NullQueue, OurQueue, run_load, slow_sync_environment

OPEN_RATES = (1_000, 10_000)
SLOW_SYNC_US = 2_000
SLOW_CASES = ("put_64", "put_64_shared", "put_batch256")


def measurement_count(rounds):
    """How many more measurements there are than those of the rounds."""
    return 2 * len(OPEN_RATES) + 2 * len(SLOW_CASES) if rounds else 0


def middle(rows, figure):
    return statistics.median(row[figure] for row in rows)


def print_cases(cases, all_figures):
    for case in cases:
        rows = all_figures["ours", case.name]
        values = [row[case.figure] for row in rows]
        print(f"report {case.name} goal={case.goal} min={min(values):.0f} max={max(values):.0f} p50_us={middle(rows, 'p50_us'):.0f} "
              f"p99_us={middle(rows, 'p99_us'):.0f} server_cpu_us_per_message={middle(rows, 'cpu_us_per_message'):.2f} "
              f"client_cpu_us_per_message={middle(rows, 'own_cpu_us_per_message'):.2f} "
              f"resident_mib={middle(rows, 'resident_mib'):.0f} "
              f"written_per_payload={middle(rows, 'written_per_payload'):.2f}", flush=True)
    for (kind, name), rows in all_figures.items():
        if kind == "null":
            print(f"report null_{name} p50_us={middle(rows, 'p50_us'):.0f} p99_us={middle(rows, 'p99_us'):.0f} "
                  f"server_cpu_us_per_message={middle(rows, 'cpu_us_per_message'):.2f} "
                  f"client_cpu_us_per_message={middle(rows, 'own_cpu_us_per_message'):.2f}", flush=True)


def print_open_loop(bench, seconds):
    """Latency at a given rate, each put counted from the time at which it was meant to be sent."""
    for rate in OPEN_RATES:
        for kind, server in (("ours", bench.ours), ("null", bench.null)):
            row = run_load(bench.bin_dir, "open", server.address, seconds=max(seconds, 0.2), rate=rate, server=server.pid)
            print(f"report open_{rate} server={kind} p50_us={row['p50_us']:.0f} p99_us={row['p99_us']:.0f} "
                  f"max_us={row['max_us']:.0f} rate={row['rate']:.0f}", flush=True)
        bench.drain(bench.ours)


def print_slow_disk(bench, seconds):
    """The same loads where each sync takes 2 ms longer: only grouping counts there."""
    environment = slow_sync_environment(bench.bin_dir, SLOW_SYNC_US)
    ours = OurQueue(bench.bin_dir, os.path.join(bench.folder, "slow-ours"), environment=environment)
    null = NullQueue(bench.bin_dir, os.path.join(bench.folder, "slow-null"), environment=environment)
    try:
        ours.start()
        null.start()
        nulls = {}
        for case in SLOW_CASES:
            row = bench.put(ours, case, max(seconds, 0.3))
            # A QueueClient does not take the null queue's answers.
            beside = "put_64" if case == "put_64_shared" else case
            if beside not in nulls:
                nulls[beside] = bench.put(null, beside, max(seconds, 0.3))
            null_rate = nulls[beside]["rate"]
            print(f"report slow_sync_{case} sync_us={SLOW_SYNC_US} measured={row['rate']:.0f} null={null_rate:.0f} "
                  f"ratio={row['rate'] / null_rate:.2f} p50_us={row['p50_us']:.0f} p99_us={row['p99_us']:.0f}", flush=True)
    finally:
        ours.close()
        null.close()
