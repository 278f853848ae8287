"""A numbered producer of the collector's gRPC source, as ingest.proto asks for one.

It numbers its events, keeps all of them until they are answered, and after a lost connection sends everything
unanswered again under the same epoch and numbers. Threads: submit and wait from the test's, the stream in its own.
"""
import collections
import queue
import threading
import time

import grpc

from managed_process import HarnessError
from verbatim.v1 import event_pb2, ingest_pb2, ingest_pb2_grpc


def room_post(room, sender, text, message_id="", stanza_id=""):
    """An event: `sender` has said `text` in `room`."""
    event = event_pb2.Event(phase=event_pb2.PHASE_CONFIRMED, source_time_unix_ns=time.time_ns())
    event.conversation.kind = event_pb2.CONVERSATION_KIND_ROOM
    event.conversation.address = room
    event.actor.address = sender
    event.original_text.plain = text
    event.references.message_id = message_id
    event.references.stanza_id = stanza_id
    event.message_posted.SetInParent()
    return event


def room_join(room, person, nickname=""):
    event = event_pb2.Event(phase=event_pb2.PHASE_CONFIRMED, source_time_unix_ns=time.time_ns())
    event.conversation.kind = event_pb2.CONVERSATION_KIND_ROOM
    event.conversation.address = room
    event.actor.address = person
    event.actor.nickname = nickname
    event.joined.SetInParent()
    return event


def room_leave(room, person):
    event = room_join(room, person)
    event.left.SetInParent()
    return event


def direct_post(sender, recipient, text, message_id=""):
    event = room_post("", sender, text, message_id)
    event.conversation.kind = event_pb2.CONVERSATION_KIND_DIRECT
    event.conversation.address = ""
    event.others.add(address=recipient)
    return event


class IngestProducer:
    """Use as a context manager, or call close().

    accepted: numbers answered "accepted"; refused: number -> Refusal (for good: invalid, too large).
    Refusals that ask to send again (full, unavailable) are sent again and counted in `retry_count`.
    """

    def __init__(self, address, name, epoch=None, batch_max=256, window_max=4096, software="harness"):
        self.address = address
        self.name = name
        self.epoch = epoch or time.time_ns()
        self.accepted = set()
        self.refused = {}
        self.retry_count = 0
        self.connect_count = 0
        self.last_error = ""
        self._batch_max = batch_max
        self._window_max = window_max
        self._software = software
        self._changed = threading.Condition()
        self._next_sequence = 1
        self._unanswered = collections.OrderedDict()  # number -> Event
        self._to_send = collections.deque()  # numbers, ascending, not yet sent on this stream
        self._in_flight = set()
        self._not_before = 0.0
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=f"producer-{name}", daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def submit(self, events):
        """Hands events over without waiting; gives the number of the first."""
        with self._changed:
            first = self._next_sequence
            for event in events:
                self._unanswered[self._next_sequence] = event
                self._to_send.append(self._next_sequence)
                self._next_sequence += 1
            self._changed.notify_all()
            return first

    def send(self, events, timeout=60):
        """Hands events over and waits until all are answered."""
        first = self.submit(events)
        self.wait_answered(timeout)
        return first

    def unanswered_count(self):
        with self._changed:
            return len(self._unanswered)

    def wait_answered(self, timeout=60, at_most=0):
        """Waits until at most so many are unanswered."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._unanswered) <= at_most, timeout):
                raise HarnessError(f"producer {self.name}: {len(self._unanswered)} events unanswered after {timeout} s, "
                                   f"last error: {self.last_error or 'none'}")

    def close(self):
        """Ends the stream; what is unanswered stays so."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(10)

    # --- the stream's thread

    def _run(self):
        back_off = 0.05
        while not self._is_closing:
            with self._changed:
                self._in_flight.clear()
                self._to_send = collections.deque(self._unanswered)
            answered_before = len(self.accepted) + len(self.refused)
            try:
                self._talk()
            except grpc.RpcError as error:
                self.last_error = f"{error.code().name}: {error.details()}"
            if len(self.accepted) + len(self.refused) > answered_before:
                back_off = 0.05
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing, back_off)
            back_off = min(back_off * 2, 0.5)

    def _talk(self):
        options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            stop = threading.Event()
            welcomes = queue.Queue()
            stream = ingest_pb2_grpc.IngestStub(channel).Send(self._requests(stop, welcomes))
            try:
                for reply in stream:
                    if reply.HasField("welcome"):
                        self.connect_count += 1
                        welcomes.put(reply.welcome)
                    elif reply.HasField("receipts"):
                        self._take(reply.receipts)
            finally:
                stop.set()
                welcomes.put(None)
                with self._changed:
                    self._changed.notify_all()

    def _requests(self, stop, welcomes):
        yield ingest_pb2.SendRequest(hello=ingest_pb2.ProducerHello(
            producer=self.name, epoch=self.epoch, software=self._software))
        welcome = welcomes.get()
        window = min(self._window_max, welcome.credit_events) if welcome else 0
        while not stop.is_set():
            batch = self._next_batch(stop, window)
            if batch is None:
                return  # half-closes
            yield ingest_pb2.SendRequest(batch=batch)

    def _next_batch(self, stop, window):
        """Waits for something to send; None when the stream is to end."""
        with self._changed:
            while True:
                if stop.is_set() or (self._is_closing and not self._to_send):
                    return None
                pause = self._not_before - time.monotonic()
                if self._to_send and len(self._in_flight) < window and pause <= 0:
                    break
                self._changed.wait(pause if pause > 0 and self._to_send else None)
            first = self._to_send[0]
            batch = ingest_pb2.EventBatch(first_sequence=first)
            while (self._to_send and self._to_send[0] == first + len(batch.events) and
                   len(batch.events) < self._batch_max and len(self._in_flight) < window):
                number = self._to_send.popleft()
                batch.events.append(self._unanswered[number])
                self._in_flight.add(number)
            return batch

    def _take(self, receipts):
        refusals = {refusal.sequence: refusal for refusal in receipts.refusals}
        transient = (ingest_pb2.Refusal.REASON_FULL, ingest_pb2.Refusal.REASON_UNAVAILABLE,
                     ingest_pb2.Refusal.REASON_CREDIT_EXCEEDED)
        again = []
        with self._changed:
            for number in range(receipts.first_sequence, receipts.first_sequence + receipts.count):
                self._in_flight.discard(number)
                refusal = refusals.get(number)
                if refusal is None:
                    self.accepted.add(number)
                elif refusal.reason in transient:
                    again.append(number)
                    self.retry_count += 1
                    self._not_before = time.monotonic() + max(refusal.retry_after_ms, 10) / 1000
                    continue
                else:
                    self.refused[number] = refusal
                self._unanswered.pop(number, None)
            if again:
                self._to_send = collections.deque(sorted({*self._to_send, *again}))
            self._changed.notify_all()
