"""Processes that tests start: their end is never left to chance.

Every process is killed by its own id when the test ends, however it ends: by `kill_all()` at exit, and by the kernel
(PDEATHSIG) when the test itself is killed. The kernel's signal is tied to the *thread* that started the process, so all
of them are started by one thread that lives as long as the test.
"""
import atexit
import concurrent.futures
import fcntl
import os
import random
import signal
import socket
import subprocess
import time

_starter = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")
_running = set()
_port_locks = {}


class HarnessError(AssertionError):
    """A condition of the test did not come true; the message says which, and what the services said last."""


def wait_until(condition, timeout, what, poll=0.02):
    """Gives the first true value of `condition()`; HarnessError naming `what` when `timeout` seconds pass without one."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise HarnessError(f"waited {timeout:.1f} s in vain for: {what() if callable(what) else what}")
        time.sleep(poll)


def free_port():
    """A loopback port that no other test takes while this one runs.

    It lies below the system's ephemeral range: a client that redials a stopped service on an ephemeral port can be given
    that very port as its own end, connect to itself, and keep the service from ever binding it again.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        ephemeral_first = int(file.read().split()[0])
    folder = "/var/tmp/verbatim-test-ports"
    os.makedirs(folder, exist_ok=True)
    while True:
        port = random.randrange(10_000, max(ephemeral_first, 20_000))
        if port in _port_locks:
            continue
        lock = open(os.path.join(folder, str(port)), "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _port_locks[port] = lock  # held until this test's process ends
        return port


class ManagedProcess:
    """One process; standard output and error go to `log_path` (appended, so that restarts keep the story)."""

    def __init__(self, arguments, log_path, environment=None, cwd=None, name=None):
        self.arguments = [str(argument) for argument in arguments]
        self.log_path = str(log_path)
        self.environment = dict(environment or {})
        self.cwd = cwd
        self.name = name or os.path.basename(self.arguments[0])
        self.process = None

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def start(self):
        assert not self.is_running(), f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.process = _starter.submit(
                subprocess.Popen,
                ["setpriv", "--pdeathsig", "SIGKILL", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.cwd,
                env={**os.environ, **self.environment}).result()
        _running.add(self)
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def exit_code(self):
        return self.process.poll() if self.process else None

    def wait(self, timeout=30):
        """The exit code (negative: the signal); HarnessError when it does not end in time."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{self.name} did not end within {timeout} s\n{self.tail()}") from None
        _running.discard(self)
        return code

    def kill(self):
        """SIGKILL, as a power cut for the process alone; returns when it is gone. Safe when it is not running."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(30)
        _running.discard(self)

    def terminate(self, timeout=30):
        """SIGTERM; anything but a clean end (exit code 0) in time fails the test. Safe when it is not running."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        code = self.wait(timeout)
        if code != 0:
            raise HarnessError(f"{self.name} ended with {code} after SIGTERM instead of 0\n{self.tail()}")

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def forget_peak(self):
        """From here on peak_resident_bytes() counts anew."""
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def peak_resident_bytes(self):
        """The most that was resident at once since forget_peak(), or since the start."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM:"))

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def log_text(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def tail(self, lines=25):
        last = self.log_text().splitlines()[-lines:]
        state = "running" if self.is_running() else f"ended with {self.exit_code()}"
        return f"--- {self.name} ({state}), last lines of {self.log_path}:\n" + "\n".join(last)


def kill_all():
    """Ends whatever this test still runs; called at exit."""
    for process in list(_running):
        try:
            process.kill()
        except (OSError, subprocess.SubprocessError):
            pass


atexit.register(kill_all)
signal.signal(signal.SIGTERM, lambda *_: (kill_all(), os._exit(143)))
