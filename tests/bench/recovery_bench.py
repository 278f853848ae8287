"""How long a killed service with N messages takes to its first delivery, and what it keeps in memory for each message.

    bar recovery_1e5 order_keys=… seconds=… bytes_per_message=… bar=10/64 ok|short

The log lies in no page cache when the service is started again. bytes_per_message: anonymous resident memory after the first
delivery, less that of an empty service, by the number of messages.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time

from bench_servers import HarnessError, OurQueue, run_load

BAR_SECONDS = 10
BAR_BYTES = 64
MESSAGE_BYTES = 1024
# Of the log, by message: the body, its record, spares, and room to breathe.
DISK_BYTES_PER_MESSAGE = 1300


def anonymous_bytes(pid, peak=False):
    """Resident memory that is no file's; `peak`: the most that was resident at once, files included."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        name = "VmHWM:" if peak else "RssAnon:"
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name))


def measure(bin_dir, folder, messages, order_keys):
    """Seconds to the first delivery, bytes a message, peak bytes, seconds that filling took."""
    # What is put last does not stay in memory for its readers.
    server = OurQueue(bin_dir, folder, {"cache_bytes": 1 << 20})
    try:
        server.start()
        empty = anonymous_bytes(server.pid)
        begin = time.monotonic()
        run_load(bin_dir, "put", server.address, seconds=36_000, timeout=36_000, count=messages, sockets=4, window=2, batch=256,
                 order_keys=order_keys)
        filled = time.monotonic() - begin
        server.stop(kill=True)
        server.drop_page_cache()
        begin = time.monotonic()
        server.start()
        run_load(bin_dir, "first", server.address)
        seconds = time.monotonic() - begin
        bytes_per_message = (anonymous_bytes(server.pid) - empty) / messages
        return seconds, bytes_per_message, anonymous_bytes(server.pid, peak=True), filled
    finally:
        server.close()
        shutil.rmtree(server.data_dir, ignore_errors=True)


def name_of(messages):
    """1e5 for 100,000."""
    text = f"{messages:.0e}".replace("e+0", "e").replace("e+", "e")
    return text if float(text) == messages else str(messages)


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run recovery", description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=float, action="append", help="may be repeated (1e5 and 1e6)")
    parser.add_argument("--order-keys", type=float, action="append", help="may be repeated (1 and 1e6)")
    parser.add_argument("--bin", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    is_ok = True
    with tempfile.TemporaryDirectory(prefix="bench.", dir=os.path.dirname(options.bin)) as folder:
        for messages in [int(number) for number in options.messages or (1e5, 1e6)]:
            needed = messages * DISK_BYTES_PER_MESSAGE + (1 << 30)
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise HarnessError(f"{messages} messages need {needed >> 20} MiB of disk; {folder} has {free >> 20} MiB free")
            for order_keys in [int(number) for number in options.order_keys or (1, 1e6)]:
                seconds, each, peak, filled = measure(options.bin, os.path.join(folder, f"{messages}-{order_keys}"), messages,
                                                      order_keys)
                is_short = seconds > BAR_SECONDS or each > BAR_BYTES
                is_ok = is_ok and not is_short
                print(f"bar recovery_{name_of(messages)} order_keys={order_keys} seconds={seconds:.2f} "
                      f"bytes_per_message={each:.1f} peak_mib={peak / 2**20:.0f} fill_rate={messages / filled:.0f} "
                      f"bar={BAR_SECONDS}/{BAR_BYTES} {'short' if is_short else 'ok'}", flush=True)
    return 0 if is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
