"""Producers and consumers of the queue as processes (tests/tools/queue_actor.h), and the independent reader of their journals:
what was acknowledged, what was given out and committed, and whether anything was lost, came twice or out of order."""
import collections
import dataclasses
import os

from managed_process import ManagedProcess, wait_until
from verbatim_harness import BIN_DIR


class QueueActor(ManagedProcess):
    """One producer ("put") or consumer ("consume"); `options` are its flags, max_count=5 for --max-count 5."""

    def __init__(self, role, name, address, folder, keys=None, **options):
        self.journal_path = os.path.join(folder, name + ".journal")
        flags = {"address": address, "name": name, "journal": self.journal_path, **(keys or {}), **options}
        arguments = [os.path.join(BIN_DIR, "verbatim-queue-actor"), role]
        for flag, value in flags.items():
            arguments += ["--" + flag.replace("_", "-"), value]
        super().__init__(arguments, os.path.join(folder, name + ".log"), name=name)

    def start(self):
        """Returns when it ends properly on SIGTERM."""
        super().start()
        ready = f"ready pid={self.process.pid}"

        def is_ready():
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return ready in log.read()
        wait_until(lambda: is_ready() or not self.is_running(), 30, lambda: f"{self.name} to be ready\n{self.tail()}")
        return self

    def journal(self):
        """Its lines, each split at spaces."""
        try:
            with open(self.journal_path, encoding="utf-8") as file:
                return [line.split() for line in file.read().splitlines()]
        except FileNotFoundError:
            return []

    def acknowledged_count(self):
        return sum(1 for line in self.journal() if line[0] == "A")


@dataclasses.dataclass
class Verdict:
    acknowledged: int = 0
    received: int = 0
    poisoned: int = 0  # of those received
    lost: int = 0
    twice: int = 0
    disordered: int = 0
    unknown: int = 0
    examples: list = dataclasses.field(default_factory=list)

    def is_good(self):
        return not (self.lost or self.twice or self.disordered or self.unknown)

    def __str__(self):
        return (f"acknowledged={self.acknowledged} received={self.received} lost={self.lost} twice={self.twice} "
                f"disordered={self.disordered}")


@dataclasses.dataclass
class Delivery:
    """One message in one lease."""
    body: str
    lookup_id: int
    given_ns: int
    ended_ns: int = 0
    # given (and no more: its consumer was killed), committing, committed, failed, returning, returned
    state: str = "given"


def read_deliveries(lines):
    """The deliveries of one consumer's journal, in its order."""
    deliveries, lease = [], []
    is_open = False
    for line in lines:
        kind = line[0]
        if kind == "G":
            if not is_open:
                lease, is_open = [], True
            delivery = Delivery(line[4], int(line[1]), int(line[3]))
            lease.append(delivery)
            deliveries.append(delivery)
            continue
        is_open = False
        states = {"C": "committing", "B": "returning", "F": "failed"}
        for delivery in lease:
            if kind == "D":
                delivery.state = {"committing": "committed", "returning": "returned"}.get(delivery.state, delivery.state)
            elif kind == "F" and delivery.state == "committing" and line[2] != "ABORTED":
                continue  # in doubt: it may have left the queue
            elif kind in states:
                delivery.state = states[kind]
            if kind in "CBDF":
                delivery.ended_ns = int(line[1])
    return deliveries


def _by_message(consumers):
    by_message = collections.defaultdict(list)
    for consumer in consumers:
        for delivery in read_deliveries(consumer.journal()):
            name, number, _ = delivery.body.split(":")
            by_message[name, int(number)].append(delivery)
    return by_message


def judge(producers, consumers, poison_consumers=()):
    """Compares the journals of all actors, once everything is consumed. `poison_consumers` took what is in "…;poison": there a
    message has another lookup id, and has left the order of its key."""
    verdict = Verdict()
    acknowledged, sent = set(), set()
    for producer in producers:
        for line in producer.journal():
            (sent if line[0] == "S" else acknowledged if line[0] == "A" else set()).add((producer.name, int(line[1])))
    by_message, in_poison = _by_message(consumers), _by_message(poison_consumers)
    verdict.acknowledged = len(acknowledged)
    consumed = {message: [one for one in deliveries if one.state in ("committing", "committed")]
                for message, deliveries in by_message.items()}
    poisoned = {message for message, deliveries in in_poison.items()
                if any(one.state in ("committing", "committed") for one in deliveries)}
    verdict.poisoned = len(poisoned)
    verdict.received = len(poisoned | {message for message, ends in consumed.items() if ends})
    for message in sorted(acknowledged - poisoned):
        if not consumed.get(message):
            verdict.lost += 1
            verdict.examples.append(f"lost {message}")
    for message, deliveries in by_message.items():
        verdict.unknown += message not in sent
        _judge_twice(verdict, message, deliveries)
    for message, deliveries in in_poison.items():
        verdict.unknown += message not in sent
        _judge_twice(verdict, message, deliveries)
        if any(one.state == "committed" for one in by_message[message]):
            verdict.twice += 1
            verdict.examples.append(f"committed and poisoned {message}: {by_message[message]} {deliveries}")
    # A commit in doubt of what was poisoned in the end has not counted: such a message left by another way than its key's order.
    _judge_order(verdict, {message: ends for message, ends in consumed.items() if message not in poisoned})
    del verdict.examples[20:]
    return verdict


def _judge_twice(verdict, message, deliveries):
    """After a commit that was confirmed a message is never given again; under one number it is stored once."""
    committed = [one for one in deliveries if one.state == "committed"]
    late = [one for one in deliveries if committed and one.given_ns > min(done.ended_ns for done in committed)]
    if len(committed) > 1 or late or len({one.lookup_id for one in deliveries}) > 1:
        verdict.twice += 1
        verdict.examples.append(f"twice {message}: {deliveries}")


def _judge_order(verdict, consumed):
    """A message is given out, that time for good, only after all before it under its order key have left the queue."""
    by_key = collections.defaultdict(list)
    for (name, number), ends in consumed.items():
        if ends:
            last = ends[-1] if len(ends) == 1 else max(ends, key=lambda one: one.given_ns)
            by_key[name, last.body.split(":")[2]].append((number, last))
    for key, messages in by_key.items():
        messages.sort()
        for (number, before), (next_number, after) in zip(messages, messages[1:]):
            if (after.given_ns, next_number) < (before.given_ns, number):
                verdict.disordered += 1
                verdict.examples.append(f"disordered {key}: {next_number} {after} before {number} {before}")
