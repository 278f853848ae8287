"""A consumer of the queue over its own wire (queue.proto, docs/formats/frames.md): reads and commits what is in a queue,
so that a test sees each durable event exactly once."""
import os
import struct
import time

import zmq

from verbatim.v1 import event_pb2, queue_pb2

MAGIC = b"VBF1"


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def encode_frame(message):
    body = message.SerializeToString()
    return MAGIC + struct.pack("<I", crc32c(body)) + body


class QueueReader:
    """events: all that was received, in the queue's order; lookup ids are never read twice."""

    def __init__(self, address, queue="events", client="test-reader"):
        self.address, self.queue, self.client = address, queue, client
        self.events = []
        self._seen = set()
        self._request_id = 0
        self._instance = os.urandom(16)
        self._context = zmq.Context()
        self._socket = None

    def close(self):
        if self._socket is not None:
            self._socket.close(0)
            self._socket = None

    def _connect(self):
        self.close()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(self.address)
        self._call(hello=queue_pb2.QueueHello(client=self.client, instance=self._instance))

    def _call(self, **kind):
        self._request_id += 1
        frame = queue_pb2.QueueFrame(request_id=self._request_id, **kind)
        self._socket.send(encode_frame(frame))
        deadline = time.monotonic() + 10
        while True:
            left = int((deadline - time.monotonic()) * 1000)
            if left <= 0 or not self._socket.poll(left):
                raise TimeoutError("the queue does not answer")
            reply = queue_pb2.QueueFrame.FromString(self._socket.recv()[8:])
            if reply.request_id == self._request_id:
                return reply

    def drain(self):
        """Takes everything that is there now; gives all events so far."""
        for attempt in range(3):
            try:
                if self._socket is None:
                    self._connect()
                self._take_all()
                return self.events
            except (TimeoutError, ConnectionResetError):
                self.close()
        raise TimeoutError("the queue does not answer")

    def _take_all(self):
        while True:
            reply = self._call(receive=queue_pb2.Receive(queue=self.queue, max_count=1000, max_bytes=16 << 20,
                                                         lease_ms=30000, wait_ms=0))
            if reply.HasField("refused"):
                raise ConnectionResetError(reply.refused.detail)
            if not reply.receive_reply.messages:
                return
            for message in reply.receive_reply.messages:
                if message.lookup_id not in self._seen:
                    self._seen.add(message.lookup_id)
                    self.events.append(event_pb2.Event.FromString(message.body))
            self._call(commit=queue_pb2.Settle(queue=self.queue, lease_id=reply.receive_reply.lease_id))
