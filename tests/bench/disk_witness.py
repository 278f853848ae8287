"""What the disk alone takes for a bare synced write: before, after or beside what is measured.

    with DiskWitness(folder, seconds=10) as witness: ...
    witness.found["p99_us"]

Figures (count, p50_us, p99_us, max_us, stalled) as in tests/bench/disk/main.cc: 100 writes a second, each due at its time.
"""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from verbatim_harness import BIN_DIR  # noqa: E402


def read_figures(text):
    """{name: number} of all name=number in `text`."""
    return {key: float(value) for key, value in re.findall(r"(\w+)=([0-9.]+)", text)}


class DiskWitness:
    """Runs for `seconds`; leaving the context waits for its end and fills `found`."""

    def __init__(self, folder, seconds):
        self.found, self.seconds = {}, seconds
        self.path = os.path.join(folder, f"witness-{time.time_ns()}")

    def __enter__(self):
        arguments = [os.path.join(BIN_DIR, "verbatim-disk-witness"), self.path, "--seconds", str(self.seconds)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
        self.found = read_figures(self.process.communicate()[0])
        os.unlink(self.path)
        if kind is None and self.process.returncode != 0:
            sys.exit(f"bench: the disk's witness failed ({self.process.returncode})")


def disk_alone(folder, seconds):
    with DiskWitness(folder, seconds) as witness:
        pass
    return witness.found
