"""verbatim-queue for minutes or hours under mixed load; memory, descriptors and disk are sampled once a second.

    soak_rss_mib minutes=10 min/median/max=61/80/90,86/90/95,…
    soak queue minutes=… rss_slope_mib_per_h=… fd_slope=… space_max_ratio=… lost=0 twice=0 ok|short

Seven queues (tests/soak/load/main.cc): fast, with a backlog that comes and goes, with one that stays, tiny and large messages,
given back and poisoned, moved about by an operator. In the first third the service is stopped and killed now and then. Then it is
left alone: it warms up until half time (ten minutes of an hour), and over the last half alone its slopes are judged: resident
memory at most 1 MiB an hour, descriptors flat. Disk: segments and spares of the log, against 2 x live bytes + 4 segments in every
sample; the backlog that stays makes old segments with little life in them. Every message is accounted for by the load's own
ledgers.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import soak_operator  # noqa: E402
import soak_samples  # noqa: E402
from managed_process import HarnessError  # noqa: E402
from queue_server import OurQueue  # noqa: E402
from verbatim_harness import BIN_DIR, test_dir  # noqa: E402

# A process grows for its first minutes: 61 -> 90 MiB in four of them were seen.
WARM_UP_SECONDS = 480
QUEUES = ("fast", "slow", "kept", "tiny", "large", "troubled", "operated")
SEGMENT_BYTES = 8 << 20
SETTINGS = {"segment_bytes": SEGMENT_BYTES, "message_max_bytes": 512 << 10, "cache_bytes": 16 << 20, "source_key_window_ms": 60_000,
            "queues": ",".join(QUEUES)}


def start_load(server, seconds, options, log):
    return subprocess.Popen(["setpriv", "--pdeathsig", "SIGKILL", os.path.join(BIN_DIR, "verbatim-soak-load"), "--address",
                             server.address, "--seconds", str(seconds), "--scale", str(options.scale)],
                            stdout=log, stderr=subprocess.STDOUT)


def restarts_end(seconds):
    """When the last life has begun: it is judged from half time on, warm by then."""
    return min(seconds / 3, seconds / 2 - min(WARM_UP_SECONDS, seconds / 4))


def soak(server, samples, options, log):
    """Runs the load to its end; gives its exit code."""
    seconds = options.minutes * 60
    restart_every = options.restart_seconds or max(3, min(60, seconds / 12))
    operator = soak_operator.Operator(server)
    operator.configure()
    begin = time.monotonic()
    load = start_load(server, seconds, options, log)
    next_restart, next_operation, restarts = begin + restart_every, begin + restart_every / 2, 0
    deadline = begin + seconds + 600
    while load.poll() is None:
        time.sleep(1)
        now = time.monotonic()
        if now > deadline:
            load.kill()
            raise HarnessError("the load does not end")
        if now >= next_restart and now < begin + restarts_end(seconds):
            server.stop(kill=restarts % 2 == 0)
            server.start()
            operator.connect()
            restarts += 1
            next_restart = now + restart_every
        if now >= next_operation and now < begin + seconds:
            operator.operate(is_last=now + 1.5 * restart_every > begin + seconds)
            next_operation = now + restart_every
        samples.take(now - begin, operator)
    print(f"soak_service restarts={restarts} operations={operator.done_count} unavailable={operator.unimplemented_count}")
    return load.returncode


def main():
    parser = argparse.ArgumentParser(prog="tests/soak/queue", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--scale", type=float, default=1, help="of the load; 1: 1,500 messages and 2 MiB a second")
    parser.add_argument("--restart-seconds", type=float, default=0, help="in the first third (60)")
    parser.add_argument("--csv", help="where the curve goes (build/soak-queue.csv)")
    parser.add_argument("--space-ratio-max", type=float, default=1, help="disk / its bound, in every sample (1)")
    parser.add_argument("--short", action="store_true", help="a run too short for slopes: they are printed, not judged")
    options = parser.parse_args()
    csv = options.csv or os.path.join(os.path.dirname(BIN_DIR), "soak-queue.csv")
    folder = test_dir("queue-soak")
    server = OurQueue(BIN_DIR, os.path.join(folder, "soak"), SETTINGS)
    load_log = os.path.join(folder, "load.log")
    try:
        server.start()
        with open(load_log, "w", encoding="utf-8") as log, open(csv, "w", encoding="utf-8") as curve:
            samples = soak_samples.Samples(server, SEGMENT_BYTES, curve)
            code = soak(server, samples, options, log)
        server.stop()
    finally:
        server.close()
    with open(load_log, encoding="utf-8") as log:
        text = log.read()
    print("\n".join(line for line in text.splitlines() if line.startswith("soak_") or "check failed" in line))
    lost, twice, disordered = (sum(int(n) for n in re.findall(rf"\b{name}=(\d+)", text)) for name in ("lost", "twice", "disordered"))
    seconds = options.minutes * 60
    figures = samples.figures(seconds)
    is_ok = code == 0 and figures.is_ok(judges_slopes=not options.short, space_ratio_max=options.space_ratio_max)
    print(samples.curve_line(min(600, seconds / 6)))
    print(f"soak_space max_over_bound_mib={figures.over_bound_max / 2**20:.1f} max_disk_mib={figures.disk_max / 2**20:.0f} "
          f"samples={figures.count} rss_max_mib={figures.rss_max / 2**20:.0f} fd_max={figures.fd_max} curve={csv}")
    print(f"soak queue minutes={options.minutes:g} rss_slope_mib_per_h={figures.rss_slope:.2f} fd_slope={figures.fd_slope:.2f} "
          f"space_max_ratio={figures.space_max_ratio:.3f} lost={lost} twice={twice} disordered={disordered} "
          f"{'ok' if is_ok else 'short'}")
    if is_ok:
        shutil.rmtree(folder)
    else:
        print(f"soak: the service's folder is kept: {folder}")
    return 0 if is_ok else 1


sys.exit(main())
