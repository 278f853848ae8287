"""The curve of a soak: memory, descriptors and disk of the service, and what must hold of them."""
import dataclasses
import os
import statistics

RSS_SLOPE_MAX_MIB_PER_H = 1.0
# A segment or a connection more or less at the moment of a sample is no growth.
FD_SLOPE_MAX_PER_H = 1.0
COLUMNS = ("seconds", "rss_bytes", "fds", "disk_bytes", "live_bytes", "bound_bytes", "segments", "free_segments", "depth")


@dataclasses.dataclass
class Figures:
    count: int
    rss_slope: float  # MiB an hour, over the last half
    fd_slope: float  # an hour, over the last half
    rss_max: int
    fd_max: int
    disk_max: int
    space_max_ratio: float
    over_bound_max: int

    def is_ok(self, judges_slopes, space_ratio_max):
        slopes = abs(self.fd_slope) <= FD_SLOPE_MAX_PER_H and self.rss_slope <= RSS_SLOPE_MAX_MIB_PER_H
        return self.count > 0 and self.space_max_ratio <= space_ratio_max and (slopes or not judges_slopes)


def slope_of(points):
    """Least squares, per unit of x."""
    count = len(points)
    if count < 2:
        return 0.0
    middle_x = sum(x for x, _ in points) / count
    middle_y = sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def disk_bytes(folder):
    """Of the log: segments and spares. Beside them lie some kilobytes of audit log, alarms and the like."""
    total = 0
    for name in os.listdir(folder):
        if not name.endswith(".seg") and not name.startswith("spare-"):
            continue
        try:
            total += os.stat(os.path.join(folder, name)).st_size
        except FileNotFoundError:  # renamed meanwhile
            pass
    return total


class Samples:
    def __init__(self, server, segment_bytes, curve):
        self.server, self.segment_bytes, self.curve = server, segment_bytes, curve
        self.rows = []
        print(",".join(COLUMNS), file=curve)

    def take(self, seconds, operator):
        """One row, unless the service does not answer just now."""
        # Live bytes go down between the two as well as up: the kinder of what is known before and after.
        before = operator.queues()
        disk = disk_bytes(self.server.data_dir)
        after = operator.queues()
        if before is None or after is None:
            return
        live = max(before.log.live_bytes, after.log.live_bytes)
        bound = 2 * live + 4 * self.segment_bytes
        row = (round(seconds, 1), self.server.process.resident_bytes(), len(os.listdir(f"/proc/{self.server.pid}/fd")), disk, live,
               bound, after.log.segment_count, after.log.free_segment_count, sum(queue.depth for queue in after.queues))
        self.rows.append(row)
        print(",".join(map(str, row)), file=self.curve, flush=True)

    def curve_line(self, period_seconds):
        """Resident memory: least, median and most of each period."""
        periods = {}
        for seconds, rss_bytes, *_ in self.rows:
            periods.setdefault(int(seconds // period_seconds), []).append(rss_bytes / 2**20)
        curve = ",".join(f"{min(mib):.0f}/{statistics.median(mib):.0f}/{max(mib):.0f}" for _, mib in sorted(periods.items()))
        return f"soak_rss_mib minutes={period_seconds / 60:g} min/median/max={curve}"

    def figures(self, seconds):
        rows = [dict(zip(COLUMNS, row)) for row in self.rows]
        last_half = [row for row in rows if seconds / 2 < row["seconds"] <= seconds]
        return Figures(
            count=len(rows),
            rss_slope=slope_of([(row["seconds"] / 3600, row["rss_bytes"] / 2**20) for row in last_half]),
            fd_slope=slope_of([(row["seconds"] / 3600, row["fds"]) for row in last_half]),
            rss_max=max((row["rss_bytes"] for row in rows), default=0), fd_max=max((row["fds"] for row in rows), default=0),
            disk_max=max((row["disk_bytes"] for row in rows), default=0),
            space_max_ratio=max((row["disk_bytes"] / row["bound_bytes"] for row in rows), default=0.0),
            over_bound_max=max((row["disk_bytes"] - row["bound_bytes"] for row in rows), default=0))
