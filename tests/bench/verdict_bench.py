"""What it costs to ask policies: a node's es_OUT in, policies asked, event and verdicts durable, PASS out.

    bar CASE measured=… floor=… bar=… ok|short
    report CASE p50_us=… p99_us=… floor_p50_us=… floor_p99_us=…

latency_two_100: p99 at 100 messages a second with two policies, microseconds; the median of five rounds. Beside each round a witness makes
bare synced writes at 100 a second on the same disk: floor is what such a write takes at p99 and as many round trips over a gRPC stream as
policies are asked, the median of the same rounds. A disk that stalls shows in both; the rounds line has them one by one.
Reports: two policies and none, at 1, 100 and 1,000 messages a second, sent whether answered or not.
throughput: verdicts (answers to the node) a second with an ethical wall of 10,000 rules and a filter of 1,000 phrases; floor: the same
with two policies that pass everything. waiting: resident memory of the collector, MiB, while 10,000 events of 4 KiB wait for a silent
policy; floor: what it holds before. Exit code 1 if a bar is missed.
Usage: verdict_bench.py [--seconds S] [--case latency|throughput|waiting]...
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from verbatim_harness import BIN_DIR, Pipeline, free_port, wait_until  # noqa: E402
from compliance_state import assign  # noqa: E402
from disk_witness import DiskWitness, read_figures  # noqa: E402
from managed_process import ManagedProcess  # noqa: E402
from verbatim.v1 import admin_pb2  # noqa: E402

LOAD = os.path.join(BIN_DIR, "verbatim-verdict-load")
ROUNDS = 5
COMPONENT, SECRET = "op-bench", "bench-secret"
P99_BAR_US, RATE_BAR, MEMORY_BAR_MIB = 10_000, 5_000, 200


def figures(*arguments, timeout=300):
    done = subprocess.run([LOAD, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        sys.exit(f"verdict: {' '.join(map(str, arguments))} failed: {done.stdout}{done.stderr}")
    return read_figures(done.stdout)


class Bench:
    """Queue and collector with policies; nobody takes from the queue, so that only this road is measured."""

    def __init__(self, name, policies=("wall", "filter"), kind="small", deadline_ms=20_000):
        self.port, self.policies, self.kind = free_port(), policies, kind
        link = {"name": "chat", "listen": f"127.0.0.1:{self.port}", "component": COMPONENT, "secret": SECRET}
        self.pipeline = Pipeline(f"bench_verdict_{name}", adapters=(), config={
            "queue": {"segment_bytes": 64 << 20},
            "collector": {"event_deadline_ms": deadline_ms, "xcp": [link],
                          "policies": {"put_reserve_ms": 2000, "outage_wait_ms": 0, "heartbeat_ms": 1000}}})
        self.pipeline.services = [self.pipeline.queue, self.pipeline.collector]
        self.plugins = []

    def __enter__(self):
        self.pipeline.__enter__()
        self.pipeline.start()
        if self.policies:
            self.pipeline.collector.terminate()
            assign(self.pipeline, [(f"profile{i}", name, [("es_OUT", "message")]) for i, name in enumerate(self.policies)])
            self.pipeline.collector.start()
        for name in self.policies:
            self.plugins.append(self._plugin(name))
        return self

    def __exit__(self, *error):
        for plugin in self.plugins:
            plugin.kill()
        self.pipeline.__exit__(*error)

    def _address(self):
        return f"127.0.0.1:{self.pipeline.ports['policies']}"

    def _plugin(self, name):
        silent = ["--silent"] if self.kind == "silent" else []
        log = os.path.join(self.pipeline.dir, name + ".log")
        plugin = ManagedProcess([LOAD, "policy", self._address(), name, *silent], log, name=name)
        plugin.start()
        wait_until(lambda: "active" in open(log, encoding="utf-8").read(), 20, f"{name} to be active")
        return plugin

    def load(self, **options):
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        found = figures("node", "--port", self.port, "--component", COMPONENT, "--secret", SECRET, *arguments)
        return found

    def must_pass(self, **options):
        found = self.load(**options)
        if found["pass"] != options["count"]:
            sys.exit(f"verdict: not everything passed: {found}")
        return found


class RealPolicies(Bench):
    """The shipped programs with 10,000 rules and 1,000 phrases."""

    def _rules(self, name):
        if name == "filter":
            phrases = ", ".join(f'"insider phrase number {i}"' for i in range(1_000))
            return f'[[rules]]\nname = "phrases"\naction = "block"\nphrases = [{phrases}]\n'
        # Pairs of people who may not talk; none of the load's is among them, so that no rule decides early.
        return "".join(f'[[rules]]\nname = "r{i}"\naction = "block"\na = {{ addresses = ["trader{i}@example.com"] }}\n'
                       f'b = {{ addresses = ["analyst{i}@example.org"] }}\n' for i in range(10_000))

    def _plugin(self, name):
        binary, table = {"wall": ("verbatim-policy-ethicalwall", "policy_ethicalwall"),
                         "filter": ("verbatim-policy-contentfilter", "policy_contentfilter")}[name]
        path = os.path.join(self.pipeline.dir, name + ".toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._rules(name))
        self.pipeline.config[table] = {"name": name, "collector_address": self._address(), "rules_file": path,
                                       "data_dir": os.path.join(self.pipeline.dir, "data-" + name)}
        self.pipeline.write_config()
        plugin = ManagedProcess([os.path.join(BIN_DIR, binary), "--config", self.pipeline.config_path],
                                os.path.join(self.pipeline.dir, name + ".log"), name=name)
        plugin.start()
        stub = self.pipeline.collector_admin

        def is_active():
            rows = stub().ListServers(admin_pb2.ListServersRequest(), timeout=10).servers
            return any(row.server == name and row.state == admin_pb2.SourceInfo.LINK_STATE_ACTIVE for row in rows)

        wait_until(is_active, 60, lambda: f"{name} to be active\n{plugin.tail()}")
        return plugin


def say(case, measured, at_floor, bar, is_ok):
    print(f"bar {case} measured={measured:.0f} floor={at_floor:.0f} bar={bar} {'ok' if is_ok else 'short'}", flush=True)
    return is_ok


def beside_witness(bench, rate, seconds):
    """What the load measured, and what the disk itself took meanwhile."""
    with DiskWitness(bench.pipeline.dir, seconds) as witness:
        found = bench.must_pass(rate=rate, count=max(10, int(rate * seconds)))
    return found, witness.found


def latency(seconds):
    is_ok = True
    for policies in (("wall", "filter"), ()):
        word = "two" if policies else "none"
        with Bench("latency", policies) as bench:
            bench.must_pass(rate=200, count=400)
            trips = figures("round-trips", 1_000, 2_048)
            for rate in (1, 100, 1_000):
                rounds = [beside_witness(bench, rate, seconds) for _ in range(ROUNDS if policies and rate == 100 else 1)]
                is_ok &= report_latency(f"latency_{word}_{rate}", rounds, {part: len(policies) * trips[f"rpc_{part}_us"]
                                                                           for part in ("p50", "p99")})
    return is_ok


def report_latency(case, rounds, trips):
    """`trips`: microseconds of the round trips to the policies."""
    def median(place, key):
        return statistics.median(one[place][key] for one in rounds)

    floors = {part: median(1, f"{part}_us") + trips[part] for part in trips}
    print(f"report {case} p50_us={median(0, 'p50_us'):.0f} p99_us={median(0, 'p99_us'):.0f} "
          f"max_us={max(one[0]['max_us'] for one in rounds):.0f} floor_p50_us={floors['p50']:.0f} floor_p99_us={floors['p99']:.0f} "
          f"disk_max_us={max(one[1]['max_us'] for one in rounds):.0f}", flush=True)
    if case != "latency_two_100":
        return True
    print(f"rounds {case} p99_us={'/'.join('%.0f' % one[0]['p99_us'] for one in rounds)} "
          f"disk_p99_us={'/'.join('%.0f' % one[1]['p99_us'] for one in rounds)}", flush=True)
    return say(case, median(0, "p99_us"), floors["p99"], P99_BAR_US, median(0, "p99_us") <= P99_BAR_US)


def throughput(seconds):
    def sustained(bench):
        rate = bench.must_pass(window=2_000, count=10_000)["rate"]
        return bench.must_pass(window=2_000, count=int(max(10_000, rate * seconds)))["rate"]

    with Bench("throughput_none", ()) as bench:
        print(f"report throughput_none measured={sustained(bench):.0f}", flush=True)
    with Bench("throughput_small") as bench:
        small = sustained(bench)
    if not os.path.exists(os.path.join(BIN_DIR, "verbatim-policy-ethicalwall")):
        return say("throughput_small_policies", small, small, RATE_BAR, small >= RATE_BAR)
    with RealPolicies("throughput") as bench:
        real = sustained(bench)
    return say("throughput", real, small, RATE_BAR, real >= RATE_BAR)


def resident_mib(service, key="VmRSS"):
    with open(f"/proc/{service.pid}/status", encoding="utf-8") as file:
        return int(re.search(key + r":\s+(\d+)", file.read()).group(1)) / 1024


def waiting():
    count = 10_000
    with Bench("waiting", ("wall",), kind="silent", deadline_ms=20_000) as bench:
        before = resident_mib(bench.pipeline.collector)
        load = subprocess.Popen([LOAD, "node", "--port", str(bench.port), "--component", COMPONENT, "--secret", SECRET, "--window",
                                 str(count), "--count", str(count), "--pairs", str(count), "--body", "4096"], stdout=subprocess.PIPE,
                                text=True)
        highest, deepest = 0.0, 0
        admin = bench.pipeline.collector_admin()
        while load.poll() is None:
            highest = max(highest, resident_mib(bench.pipeline.collector, "VmHWM"))
            deepest = max(deepest, admin.ListSources(admin_pb2.ListSourcesRequest(), timeout=10).in_flight_count)
            time.sleep(0.05)
        found = read_figures(load.stdout.read())
        highest = max(highest, resident_mib(bench.pipeline.collector, "VmHWM"))
    print(f"report waiting in_flight_max={deepest} answered={found.get('answered', 0):.0f} errors={found.get('error', 0):.0f}",
          flush=True)
    if deepest < count * 0.99:
        sys.exit("verdict: the events did not wait at once")
    return say("waiting_mib", highest, before, MEMORY_BAR_MIB, highest <= MEMORY_BAR_MIB)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement and round (10)")
    parser.add_argument("--case", action="append", choices=["latency", "throughput", "waiting"])
    options = parser.parse_args()
    cases = options.case or ["latency", "throughput", "waiting"]
    is_ok = True
    if "latency" in cases:
        is_ok &= latency(options.seconds)
    if "throughput" in cases:
        is_ok &= throughput(options.seconds)
    if "waiting" in cases:
        is_ok &= waiting()
    sys.exit(0 if is_ok else 1)


main()
