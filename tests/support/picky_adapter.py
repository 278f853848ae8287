"""An adapter that refuses poisonous posts, and dies now and then between its effect and its acknowledgement.

    picky_adapter.py HOST:PORT FOLDER NAME [DEATHS_PER_HUNDRED [tolerant]]

Each batch becomes one file of lines "room sequence digest", in the form of verbatim-producer's --accepted; a batch with a poisonous post
(is_poison) is rejected whole, without naming it, so that the hub has to find it by halves; a tolerant one takes everything. A batch that
is given again by a replay has no lines: its posts are there already. TEST_SEED seeds the deaths.
"""
import hashlib
import os
import random
import re
import signal
import sys
import time

from line_adapter import LineAdapter, Rejected
from verbatim.v1 import adapter_pb2 as pb
from verbatim.v1 import event_pb2


def is_poison(room, sequence):
    return room.startswith("room-3@") and sequence % 50 == 7


class Picky(LineAdapter):
    def __init__(self, folder, name, deaths, is_tolerant):
        super().__init__(folder, name)
        self.deaths, self.is_tolerant = deaths, is_tolerant
        self.chance = random.Random(f"{os.environ.get('TEST_SEED', '')} {time.time_ns()}")

    def lines_of(self, begin, events):
        if pb.BatchHeader.FromString(begin.header).replay_of:
            return []
        lines = []
        for stored in events:
            text = event_pb2.Event.FromString(stored.event).original_text.plain
            found = re.match(r"\S+ room (\d+) sequence (\d+) ", text)
            if not found:
                continue
            room, sequence = f"room-{found.group(1)}@conference.example", int(found.group(2))
            if is_poison(room, sequence) and not self.is_tolerant:
                raise Rejected("poison")
            lines.append(f"{room} {sequence} {hashlib.sha256(text.encode()).hexdigest()}\n")
        return lines

    def applied(self):
        if self.chance.randrange(100) < self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)


def main():
    hub, folder, name, *more = sys.argv[1:]
    Picky(folder, name, int(more[0]) if more else 0, "tolerant" in more[1:]).run(hub)


if __name__ == "__main__":
    main()
