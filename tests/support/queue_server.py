"""verbatim-queue as a process of its own on an ipc endpoint, with its files in a folder of the caller: for programs that measure
it or let it run long. It ends with its caller however that ends (managed_process.py).
"""
import os
import re
import time

from managed_process import HarnessError, ManagedProcess, wait_until

START_TIMEOUT_S = 120


class Server:
    def __init__(self, bin_dir, folder, environment=None):
        self.bin_dir, self.folder = bin_dir, folder
        self.environment = environment or {}
        os.makedirs(folder, exist_ok=True)
        # The path of a unix socket has room for 107 bytes, so it stands where paths are short.
        self.socket_path = f"/tmp/verbatim-{os.getpid()}-{os.path.basename(folder)}"
        self.address = "ipc://" + self.socket_path
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def stop(self, kill=False):
        """Ends the server; its files stay."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate(timeout=120)
        self.process = None

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process = None
        if os.path.exists(self.socket_path):
            os.unlink(self.socket_path)

    def _start(self, arguments):
        self.process = ManagedProcess(arguments, os.path.join(self.folder, "log"), environment=self.environment)
        self.process.start()


class OurQueue(Server):
    """verbatim-queue with its default settings, but for what `settings` (keys of [queue]) says."""

    def __init__(self, bin_dir, folder, settings=None, environment=None):
        super().__init__(bin_dir, folder, environment)
        self.data_dir = os.path.join(folder, "data")
        self.settings = {"data_dir": self.data_dir, "listen": self.address, "admin_listen": "127.0.0.1:0",
                         "metrics_listen": "127.0.0.1:0", "probe_interval_ms": 0, "free_disk_min_bytes": 0, **(settings or {})}

    def start(self):
        """Returns when it answers; gives the seconds that this took."""
        begin = time.monotonic()
        self._start([os.path.join(self.bin_dir, "verbatim-queue"), "--log-level=warn",
                     *(f"--set=queue.{key}={value}" for key, value in self.settings.items())])
        ready = os.path.join(self.data_dir, "queue.ready")

        def is_ready():
            if not self.process.is_running():
                raise HarnessError(f"verbatim-queue ended before it was ready\n{self.process.tail()}")
            try:
                with open(ready, encoding="utf-8") as file:
                    return f"pid={self.pid}\n" in file.read()
            except FileNotFoundError:
                return False

        wait_until(is_ready, START_TIMEOUT_S, lambda: f"verbatim-queue to be ready\n{self.process.tail()}", poll=0.002)
        return time.monotonic() - begin

    def endpoint(self, key):
        """A bound endpoint out of the ready file."""
        with open(os.path.join(self.data_dir, "queue.ready"), encoding="utf-8") as file:
            return re.search(rf"^{key}=(.*)$", file.read(), re.MULTILINE).group(1)

    def drop_page_cache(self):
        """The log's files go out of the page cache; what is still to be written is written first."""
        for name in os.listdir(self.data_dir):
            file = os.open(os.path.join(self.data_dir, name), os.O_RDONLY)
            try:
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)
