"""The null queue, and the programs that load the servers (tests/bench/README.md)."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from managed_process import HarnessError, wait_until  # noqa: E402
from queue_server import START_TIMEOUT_S, OurQueue, Server  # noqa: E402,F401


def slow_sync_environment(bin_dir, delay_us):
    """Of a process each of whose syncs ends so much later."""
    # The address sanitizer wants to be the first library of all, and is content to be told that it is not.
    return {"LD_PRELOAD": os.path.join(bin_dir, "slow_sync.so"), "VERBATIM_SLOW_SYNC_US": str(delay_us),
            "ASAN_OPTIONS": "verify_asan_link_order=0"}


class NullQueue(Server):
    def start(self):
        path = os.path.join(self.folder, "null")
        self._start([os.path.join(self.bin_dir, "verbatim-null-queue"), self.address, path])
        # It listens once its file is written.
        wait_until(lambda: os.path.exists(self.socket_path), START_TIMEOUT_S, "the null queue to listen")


def run_load(bin_dir, load, address, timeout=120, **options):
    """Runs verbatim-queue-load; gives its figures by name."""
    command = [os.path.join(bin_dir, "verbatim-queue-load"), load, "--address", address]
    for key, value in options.items():
        command += ["--" + key.replace("_", "-"), str(value)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    figures = {key: float(value) for key, value in re.findall(r"(\w+)=([0-9.]+)", done.stdout)}
    if done.returncode != 0 or "rate" not in figures:
        raise HarnessError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return figures
