"""The cases of tests/bench/run queue: what is loaded how, beside what it is measured, and the bars."""
import glob
import os

from bench_servers import NullQueue, OurQueue, run_load
from managed_process import wait_until

MESSAGE_BYTES = 1024
BATCH = 256
# What the service keeps in memory by default (queue.cache_bytes, 256 MiB) holds so many with room to spare.
HOT_MESSAGES = 160_000
# A round of the batch case, which only puts, stays within them: as the null queue and the bare loop, it is measured on segments
# that are written already.
SPARE_SEGMENTS = 24
COLD_MESSAGES = 60_000

# Loads of puts, by case: the same for the queue and for the null queue.
PUTS = {
    "put_1": {"load": "put"},
    "put_64": {"load": "put", "threads": 64, "sockets": 64},
    "put_64_shared": {"load": "shared", "threads": 64},
    "put_batch256": {"load": "put", "window": 4, "batch": BATCH},
}
# Bytes of one write of the bare loop, and messages that it stands for. A receive and its commit are two records in the log.
BARE = {
    "put_1": (MESSAGE_BYTES, 1),
    "put_64": (64 * MESSAGE_BYTES, 64),
    "put_batch256": (BATCH * MESSAGE_BYTES, BATCH),
    "receive": (4096, BATCH // 2),
}


class Case:
    """bar: of measured / null, or where `beside` names another case, of measured / what that one measured. `null` and `bare` name
    what of them stands beside it. A bar of a latency is a ceiling."""

    def __init__(self, name, bar, goal, null, bare, beside=None, figure="rate"):
        self.name, self.bar, self.goal, self.null, self.bare, self.figure = name, bar, goal, null, bare, figure
        self.beside = ("ours", beside) if beside else ("null", null)
        self.is_ceiling = figure.endswith("_us")

    def is_ok(self, ratio):
        return ratio <= self.bar if self.is_ceiling else ratio >= self.bar


CASES = [
    Case("put_1", 1.3, 100, null="put_1", bare="put_1", figure="p50_us"),
    Case("put_64", 0.75, 60_000, null="put_64", bare="put_64"),
    # A QueueClient does not take the null queue's answers.
    Case("put_64_shared", 1.5, 150_000, null="put_64", bare="put_64", beside="put_64"),
    Case("put_batch256", 0.5, 500_000, null="put_batch256", bare="put_batch256"),
    Case("receive_hot", 0.5, 500_000, null="put_batch256", bare="receive"),
    Case("receive_cold", 0.2, 150_000, null="put_batch256", bare="receive"),
    Case("mixed", 0.25, 250_000, null="put_batch256", bare="put_batch256"),
]


class Bench:
    """Servers and measurements of one run. Every measurement is a number of figures by name."""

    def __init__(self, bin_dir, folder):
        self.bin_dir, self.folder = bin_dir, folder
        self.ours = OurQueue(bin_dir, os.path.join(folder, "ours"), {"spare_segments": SPARE_SEGMENTS})
        self.null = NullQueue(bin_dir, os.path.join(folder, "null"))
        # Hardly any memory for messages: what is received comes from the disk.
        self.cold = OurQueue(bin_dir, os.path.join(folder, "cold"), {"cache_bytes": 1 << 20})

    def start(self):
        self.null.start()
        self.ours.start()
        # Segments are written for the first time outside what is measured.
        spares = os.path.join(self.ours.data_dir, "spare-*.tmp")
        wait_until(lambda: len(glob.glob(spares)) >= SPARE_SEGMENTS - 1, 120, "the spare segments")
        self.fill(self.ours, HOT_MESSAGES)
        self.drain(self.ours)

    def close(self):
        for server in (self.ours, self.null, self.cold):
            server.close()

    def fill(self, server, count, **options):
        return run_load(self.bin_dir, "put", server.address, seconds=600, count=count, timeout=700,
                        **{"window": 4, "batch": BATCH, **options})

    def drain(self, server):
        return run_load(self.bin_dir, "receive", server.address, seconds=600, window=4, batch=4 * BATCH, timeout=700)

    def put(self, server, case, seconds):
        options = dict(PUTS[case])
        return run_load(self.bin_dir, options.pop("load"), server.address, seconds=seconds, server=server.pid, **options)

    def receive(self, server, seconds):
        return run_load(self.bin_dir, "receive", server.address, seconds=seconds, window=4, batch=BATCH, server=server.pid)

    def measure(self, kind, case, seconds):
        """kind: ours, null or bare."""
        if kind == "bare":
            size, batch = BARE[case]
            return run_load(self.bin_dir, "bare", os.path.join(self.folder, "bare"), seconds=seconds, body_bytes=size,
                            batch=batch)
        if kind == "null":
            return self.put(self.null, case, seconds)
        return getattr(self, "ours_" + case, lambda seconds: self.ours_put(case, seconds))(seconds)

    def ours_put(self, case, seconds):
        figures = self.put(self.ours, case, seconds)
        self.drain(self.ours)
        return figures

    def ours_receive_hot(self, seconds):
        self.fill(self.ours, min(HOT_MESSAGES, int(seconds * 400_000)))
        figures = self.receive(self.ours, 10 * seconds)
        self.drain(self.ours)
        return figures

    def ours_receive_cold(self, seconds):
        self.cold.start()
        self.fill(self.cold, min(COLD_MESSAGES, int(seconds * 120_000)))
        self.cold.stop()
        self.cold.drop_page_cache()
        self.cold.start()
        figures = self.receive(self.cold, 10 * seconds)
        self.drain(self.cold)
        self.cold.stop()
        return figures

    def ours_mixed(self, seconds):
        figures = run_load(self.bin_dir, "mixed", self.ours.address, seconds=seconds, window=4, batch=BATCH,
                           server=self.ours.pid)
        self.drain(self.ours)
        return figures
