"""The queue against the bare disk and against the sockets alone, all of the same run.

    bar CASE measured=… null=… bare=… ratio=… bar=… ok|short
    report …

Each round measures the queue, the null queue and the bare loop in turn; a figure is the median of the rounds. measured, null,
bare: messages a second, for put_1 the median latency in microseconds. ratio: measured / null, but for put_64_shared, whose bar
is a ratio to put_64's measured. The receive cases and mixed stand beside the null queue of put_batch256. Report lines are no bars: see
README.md beside this. Exit code 1 if a bar is missed.
"""
import argparse
import os
import statistics
import sys
import tempfile

import queue_report
from queue_cases import CASES, Bench

# Part of --seconds that is measured; the rest starts servers, fills queues and drains them.
MEASURED_PART = 0.45


def needed_measurements(cases):
    """(kind, case) of one round, each once, in the order ours, null, bare of each case."""
    wanted = []
    for case in cases:
        for one in (("ours", case.name), ("null", case.null), case.beside, ("bare", case.bare)):
            if one not in wanted:
                wanted.append(one)
    return wanted


def run_rounds(bench, wanted, rounds, seconds):
    """(kind, case) -> the figures of each round."""
    all_figures = {one: [] for one in wanted}
    for _ in range(rounds):
        for kind, case in wanted:
            all_figures[kind, case].append(bench.measure(kind, case, seconds))
    return all_figures


def print_bar(case, all_figures):
    def middle(kind, name):
        return statistics.median(figures[case.figure] for figures in all_figures[kind, name])

    measured, null, bare = middle("ours", case.name), middle("null", case.null), middle("bare", case.bare)
    beside = middle(*case.beside)
    ratio = measured / beside if beside else 0.0
    is_ok = case.is_ok(ratio)
    print(f"bar {case.name} measured={measured:.0f} null={null:.0f} bare={bare:.0f} ratio={ratio:.2f} bar={case.bar} "
          f"{'ok' if is_ok else 'short'}", flush=True)
    return is_ok


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run queue", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=50, help="about so long in all (50)")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-report", action="store_true", help="bars only")
    parser.add_argument("--bin", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = [case for case in CASES if not options.case or case.name in options.case]
    wanted = needed_measurements(cases)
    report_count = 0 if options.no_report else queue_report.measurement_count(options.rounds)
    seconds = max(0.05, MEASURED_PART * options.seconds / (options.rounds * len(wanted) + report_count))
    # Beside the binaries: on a real disk, and gone afterwards.
    with tempfile.TemporaryDirectory(prefix="bench.", dir=os.path.dirname(options.bin)) as folder:
        bench = Bench(options.bin, folder)
        try:
            bench.start()
            all_figures = run_rounds(bench, wanted, options.rounds, seconds)
            are_ok = [print_bar(case, all_figures) for case in cases]
            queue_report.print_cases(cases, all_figures)
            if not options.no_report:
                queue_report.print_open_loop(bench, seconds)
                queue_report.print_slow_disk(bench, seconds)
        finally:
            bench.close()
    return 0 if all(are_ok) else 1


if __name__ == "__main__":
    sys.exit(main())
