"""The judge of the queue's storms is itself judged: each planted fault must be seen, and a clean story must not."""
import sys

from queue_actors import judge


class Story:
    def __init__(self, name, text):
        self.name = name
        self.lines = [line.split() for line in text.strip().splitlines()]

    def journal(self):
        return self.lines


PRODUCER = "S 1\nA 1 11 0\nS 2\nA 2 12 0\nS 3\n"


def verdict(*consumers, producer=PRODUCER, poison=""):
    return judge([Story("p", producer)], [Story(f"c{i}", text) for i, text in enumerate(consumers)], [Story("poison", poison)])


def expect(found, lost=0, twice=0, disordered=0, unknown=0):
    seen = (found.lost, found.twice, found.disordered, found.unknown)
    if seen != (lost, twice, disordered, unknown):
        sys.exit(f"lost, twice, disordered, unknown: {seen}; {found.examples}")


def give(lookup_id, number, at, key=0):
    return f"G {lookup_id} 1 {at} p:{number}:{key}\n"


CLEAN = give(11, 1, 10) + give(12, 2, 11) + "C 12\nD 13\n"

clean = verdict(CLEAN)
expect(clean)
assert str(clean) == "acknowledged=2 received=2 lost=0 twice=0 disordered=0", clean
# Sent and not acknowledged: it may be there or not.
expect(verdict(CLEAN, give(13, 3, 20) + "C 21\nD 22\n"))
expect(verdict(give(11, 1, 10) + "C 11\nD 12\n"), lost=1)
# Given, and its consumer was killed before it committed: that is no receipt.
expect(verdict(give(11, 1, 10) + "C 11\nD 12\n" + give(12, 2, 13)), lost=1)
# A commit whose answer was lost may have counted; one that was refused has not.
expect(verdict(give(11, 1, 10) + give(12, 2, 10) + "C 11\nF 12 UNAVAILABLE lost\n"))
expect(verdict(give(11, 1, 10) + give(12, 2, 10) + "C 11\nF 12 ABORTED lease lost\n"), lost=2)
expect(verdict(give(11, 1, 10) + give(12, 2, 10) + "B 11\nD 12\n"), lost=2)
# Given again after a confirmed commit, and stored under two lookup ids.
expect(verdict(CLEAN, give(11, 1, 20)), twice=1)
expect(verdict(CLEAN, give(12, 2, 5) + "C 6\nD 14\n"), twice=1)
expect(verdict(CLEAN, give(14, 2, 5) + "B 6\nD 7\n"), twice=1)
# Given back, then given again: neither twice nor out of order.
expect(verdict(give(11, 1, 5) + give(12, 2, 5) + "B 6\nD 7\n" + CLEAN))
# The second of a key before the first; of two keys it is no disorder.
expect(verdict(give(12, 2, 5) + "C 6\nD 7\n" + give(11, 1, 8) + "C 9\nD 10\n"), disordered=1)
expect(verdict(give(12, 2, 5, key=1) + "C 6\nD 7\n" + give(11, 1, 8) + "C 9\nD 10\n"))
# Poisoned: under another lookup id, and out of its key's order; but not what was committed before, nor twice.
FIRST_IS_POISON = give(11, 1, 5) + "B 6\nD 7\n" + give(12, 2, 8) + "C 9\nD 10\n"
expect(verdict(FIRST_IS_POISON), lost=1)
expect(verdict(FIRST_IS_POISON, poison=give(1, 1, 20) + "C 21\nD 22\n"))
expect(verdict(CLEAN, poison=give(1, 1, 20) + "C 21\nD 22\n"), twice=1)
expect(verdict(FIRST_IS_POISON, poison=give(1, 1, 20) + "C 21\nD 22\n" + give(2, 1, 23)), twice=1)
# Both given in one lease whose commit was lost with the service; then the first was committed, and the second poisoned.
SECOND_IS_POISON = (give(11, 1, 5) + give(12, 2, 5) + "C 6\nF 7 UNAVAILABLE lost\n" + give(11, 1, 8) + "C 9\nD 10\n"
                    + give(12, 2, 11) + "B 12\nD 13\n")
expect(verdict(SECOND_IS_POISON), disordered=1)
expect(verdict(SECOND_IS_POISON, poison=give(1, 2, 20) + "C 21\nD 22\n"))
expect(verdict(CLEAN, give(19, 9, 20) + "C 21\nD 22\n"), unknown=1)
print("queue_judge_selftest: ok")
