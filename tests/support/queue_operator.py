"""A small client of the queue over its own wire (queue.proto, docs/formats/frames.md), one request at a time: puts messages with
all their fields, receives, settles. For tests of what an operator sees."""
import os
import threading
import time

import zmq

from queue_reader import encode_frame
from verbatim.v1 import queue_pb2


class Refused(AssertionError):
    def __init__(self, refused):
        super().__init__(f"{queue_pb2.RefusalReason.Name(refused.reason)}: {refused.detail}")
        self.reason = refused.reason


class QueueClient:
    """Every put is one message group under this client's own producer name; a refused one can be tried again."""

    def __init__(self, address, name="operator-test"):
        self.name = name
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(address)
        self._lock = threading.Lock()
        self._request_id = 0
        self._next = {}  # by queue: epoch and next sequence
        self._call(hello=queue_pb2.QueueHello(client=name, instance=os.urandom(16)))
        # Leases live as long as the client is heard of.
        self._is_closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def close(self):
        self._is_closed.set()
        self._heart.join()
        self._socket.close(0)

    def _beat(self):
        while not self._is_closed.wait(1):
            with self._lock:
                self._socket.send(encode_frame(queue_pb2.QueueFrame(heartbeat=queue_pb2.Heartbeat())))

    def _call(self, **kind):
        with self._lock:
            self._request_id += 1
            self._socket.send(encode_frame(queue_pb2.QueueFrame(request_id=self._request_id, **kind)))
            deadline = time.monotonic() + 30
            while True:
                left = int((deadline - time.monotonic()) * 1000)
                if left <= 0 or not self._socket.poll(left):
                    raise TimeoutError("the queue does not answer")
                reply = queue_pb2.QueueFrame.FromString(self._socket.recv()[8:])
                if reply.request_id == self._request_id:
                    break
        if reply.HasField("refused"):
            raise Refused(reply.refused)
        return reply

    def _numbers(self, queue):
        if queue not in self._next:
            known = self._call(open_producer=queue_pb2.OpenProducer(queue=queue, producer=self.name)).open_producer_reply
            self._call(open_producer=queue_pb2.OpenProducer(queue=queue, producer=self.name, epoch=known.epoch + 1))
            self._next[queue] = [known.epoch + 1, 1]
        return self._next[queue]

    def put(self, queue, bodies, source="test", **fields):
        """Gives the lookup ids."""
        numbers = self._numbers(queue)
        put = queue_pb2.Put(queue=queue, producer=self.name, epoch=numbers[0], first_sequence=numbers[1])
        for body in bodies:
            put.messages.add(body=body, source=source, **fields)
        reply = self._call(put=put)
        numbers[1] += len(bodies)
        return [result.lookup_id for result in reply.put_reply.results]

    def forget(self, queue):
        """The queue was deleted, and with it what it knew of this producer."""
        self._next.pop(queue, None)

    def put_refusal(self, queue):
        """The reason why a put is refused; AssertionError where it is not."""
        try:
            self.put(queue, [b"refused"])
        except Refused as refused:
            return refused.reason
        raise AssertionError(f"a put to {queue} was not refused")

    def receive(self, queue, max_count=1000):
        """A ReceiveReply, or None where there is nothing or the queue is paused."""
        try:
            reply = self._call(receive=queue_pb2.Receive(queue=queue, max_count=max_count, max_bytes=16 << 20, lease_ms=30000)
                               ).receive_reply
        except Refused as refused:
            if refused.reason == queue_pb2.REFUSAL_REASON_PAUSED:
                return None
            raise
        return reply if reply.messages else None

    def commit(self, queue, lease):
        self._call(commit=queue_pb2.Settle(queue=queue, lease_id=lease.lease_id))

    def abort(self, queue, lease):
        self._call(abort=queue_pb2.Abort(queue=queue, lease_id=lease.lease_id))

    def abandon(self, queue, lease, detail):
        self._call(abandon=queue_pb2.Abandon(queue=queue, lease_id=lease.lease_id, detail=detail,
                                             lookup_ids=[message.lookup_id for message in lease.messages]))
