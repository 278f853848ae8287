"""What a hostile peer does to a port, one attack a function; run as a process of its own, so that the measuring test keeps
its own pace:

    hostile_peers.py ATTACK PORT [COMPONENT SECRET]

Prints one line of JSON: {"errors": {"policy-violation": 3, ...}, "count": N}. An error is what the service said before it
ended the connection: a stream error's condition, a refusal's reason, or "closed".
"""
import collections
import contextlib
import hashlib
import json
import os
import random
import re
import select
import socket
import struct
import sys
import time

STREAMS = "http://etherx.jabber.org/streams"
HEADER = (f"<?xml version='1.0'?><stream:stream xmlns='jabber:component:connect' xmlns:stream='{STREAMS}' "
          "from='{component}'>")


def dial(port):
    peer = socket.create_connection(("127.0.0.1", port), timeout=10)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def condition_of(peer, timeout=5):
    """The stream error in what the service says until it closes; "closed" without one, "open" if it does not close."""
    said = b""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not select.select([peer], [], [], max(0, deadline - time.monotonic()))[0]:
            break
        try:
            received = peer.recv(65536)
        except ConnectionError:
            received = b""
        if not received:
            found = re.search(rb"<stream:error><([a-z-]+)", said)
            return found.group(1).decode() if found else "closed"
        said += received
    return "open"


def send_all(peer, chunks):
    """Sends until the other side has had enough; gives the bytes it took."""
    sent = 0
    try:
        for chunk in chunks:
            peer.sendall(chunk)
            sent += len(chunk)
    except (ConnectionError, socket.timeout):
        pass
    return sent


class Attack:
    def __init__(self, port, component="", secret=""):
        self.port, self.component, self.secret = port, component, secret
        self.errors = collections.Counter()
        self.count = 0
        self.random = random.Random(int(os.environ.get("TEST_SEED", "1")))

    # --- any port

    def half_open(self, count=1000):
        """Connections that say nothing, all open at once."""
        peers = []
        for _ in range(count):
            try:
                peers.append(dial(self.port))
            except OSError:
                self.errors["refused"] += 1
            time.sleep(0.001)  # a thousand idle connections, not a flood of handshakes, is what this is about
        time.sleep(1.0)
        self.count = len(peers)
        for peer in peers:
            peer.close()

    def half_said(self, count=200):
        """Connections that begin to speak and stop."""
        peers = []
        for i in range(count):
            peer = dial(self.port)
            send_all(peer, [(HEADER.format(component=self.component) + "<hand")[: 10 + i].encode()])
            peers.append(peer)
        self.count = count
        time.sleep(0.5)
        for peer in peers:
            peer.close()

    def garbage(self, count=100):
        for _ in range(count):
            peer = dial(self.port)
            send_all(peer, [self.random.randbytes(self.random.randrange(1, 4000))])
            with contextlib.suppress(OSError):  # the service may have hung up already
                peer.shutdown(socket.SHUT_WR)
            self.errors[condition_of(peer)] += 1
            self.count += 1
            peer.close()

    # --- xcp

    def wrong_digest(self, count=300):
        for _ in range(count):
            peer = dial(self.port)
            digest = "%040x" % self.random.getrandbits(160)
            send_all(peer, [(HEADER.format(component=self.component) + f"<handshake>{digest}</handshake>").encode()])
            self.errors[condition_of(peer)] += 1
            self.count += 1
            peer.close()

    def _authenticated(self):
        peer = dial(self.port)
        peer.sendall(HEADER.format(component=self.component).encode())
        said = b""
        while b"id='" not in said or not said.rstrip().endswith(b">"):
            said += peer.recv(4096)
        stream_id = re.search(rb" id='([0-9a-f]+)'", said).group(1).decode()
        digest = hashlib.sha1((stream_id + self.secret).encode()).hexdigest()
        peer.sendall(f"<handshake>{digest}</handshake>".encode())
        while b"<handshake/>" not in said:
            received = peer.recv(4096)
            if not received:
                raise AssertionError("the hostile node was not let in")
            said += received
        return peer

    def _xml(self, chunks, times=3):
        for _ in range(times):
            for peer, before in ((dial(self.port), HEADER.format(component=self.component).encode()),
                                 (self._authenticated(), b"")):
                send_all(peer, [before])
                send_all(peer, chunks())
                self.errors[condition_of(peer)] += 1
                self.count += 1
                peer.close()

    def deep_xml(self):
        self._xml(lambda: [b"<a>" * 1000 for _ in range(100)])

    def many_elements(self):
        self._xml(lambda: [b"<xdb>", *[b"<a/>" * 1000 for _ in range(200)]])

    def many_attributes(self):
        self._xml(lambda: [b"<xdb ", b" ".join(b"a%d='1'" % i for i in range(100_000)), b"/>"])

    def entity_bomb(self):
        bomb = b"<!DOCTYPE s [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaaaaaa'>" + b"".join(
            b"<!ENTITY %c '%s'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)) + b"]>"
        for text in (b"<?xml version='1.0'?>" + bomb + b"<s>&j;</s>", HEADER.format(component="x").encode() + b"<a>&a;"):
            peer = dial(self.port)
            send_all(peer, [text])
            self.errors[condition_of(peer)] += 1
            self.count += 1
            peer.close()
        self._xml(lambda: [bomb, b"<s>&j;</s>"])
        self._xml(lambda: [b"<xdb>&lol;</xdb>"])

    def huge_stanza(self, megabytes=100):
        block = b"x" * (1 << 20)
        self._xml(lambda: [b"<xdb><a>", *[block] * megabytes, b"</a></xdb>"], times=1)
        self._xml(lambda: [b"<xdb a='", *[block] * megabytes, b"'/>"], times=1)

    def bad_text(self):
        for text in (b"<xdb>\xff\xfe</xdb>", b"<xdb>\xc0\xaf</xdb>", b"<xdb>\x00</xdb>", b"<xdb></xdc>", b"<!--x-->"):
            self._xml(lambda text=text: [text], times=1)

    def truncated_events(self, count=100):
        event = (f"<xdb id='t' type='get' from='jsm-1.n' to='{self.component}' ns='urn:x-verbatim:xcp-event:1'>"
                 "<event xmlns='urn:x-verbatim:xcp-event:1' name='es_END' actor='a@x/r'/></xdb>").encode()
        for i in range(count):
            peer = self._authenticated()
            send_all(peer, [event[: 1 + i * len(event) // count]])
            peer.close()
            self.count += 1

    # --- ZeroMQ (ZMTP 3.1, NULL mechanism)

    GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x01NULL" + b"\0" * 16 + b"\0" + b"\0" * 31
    READY = b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0"

    def _zmtp(self):
        peer = dial(self.port)
        peer.sendall(self.GREETING + self.READY)
        time.sleep(0.02)
        return peer

    def zmtp_truncated(self, count=100):
        whole = self.GREETING + self.READY + b"\x00\x0cVBF1" + b"\0" * 8
        for i in range(count):
            peer = dial(self.port)
            send_all(peer, [whole[: 1 + i * len(whole) // count]])
            peer.close()
            self.count += 1

    def zmtp_frames(self, count=300):
        """Frames that are none of ours: wrong magic, wrong checksum, cut, no protobuf."""
        peer = self._zmtp()
        for i in range(count):
            body = self.random.randbytes(self.random.randrange(0, 200))
            frame = [body, b"VBF1" + body, b"VBF1\0\0\0\0" + body, b"VBF2" + body][i % 4]
            send_all(peer, [b"\x00" + bytes([len(frame)]) + frame] if len(frame) < 256 else [])
            self.count += 1
        peer.settimeout(2)
        try:
            said = peer.recv(65536)
        except (socket.timeout, ConnectionError):
            said = b""
        self.errors["answered" if len(said) > 64 else "silent"] += 1
        peer.close()

    def zmtp_huge(self, megabytes=100):
        for announced in (megabytes << 20, 1 << 40, (1 << 63) - 1):
            peer = self._zmtp()
            send_all(peer, [b"\x02" + struct.pack(">Q", announced), *[b"x" * (1 << 20)] * megabytes])
            self.errors[condition_of(peer, 2)] += 1
            self.count += 1
            peer.close()

    # --- gRPC (HTTP/2)

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"

    def http2_truncated(self, count=100):
        whole = self.PREFACE + b"\0\0\x20\x01\x04\0\0\0\x01" + self.random.randbytes(32)
        for i in range(count):
            peer = dial(self.port)
            send_all(peer, [whole[: 1 + i * len(whole) // count]])
            peer.close()
            self.count += 1

    def http2_frames(self, count=100):
        for _ in range(count):
            peer = dial(self.port)
            size = self.random.randrange(0, 2000)
            send_all(peer, [self.PREFACE, struct.pack(">I", size)[1:] + self.random.randbytes(6 + size)])
            self.errors[condition_of(peer, 0.2)] += 1
            self.count += 1
            peer.close()

    def grpc_huge(self, megabytes=100):
        """One message of 100 MB, and a hello without an end."""
        import grpc
        options = [("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options=options) as channel:
            send = channel.stream_stream("/verbatim.v1.Ingest/Send", request_serializer=bytes, response_deserializer=bytes)
            for first in (b"\x0a" + b"\xff" * 10, b"x" * (megabytes << 20), b"\xff" * 1000, b""):
                try:
                    for _ in send(iter([first]), timeout=20):
                        pass
                    self.errors["ended"] += 1
                except grpc.RpcError as error:
                    self.errors[error.code().name] += 1
                self.count += 1


def main():
    attack = Attack(int(sys.argv[2]), *sys.argv[3:5])
    getattr(attack, sys.argv[1])()
    print(json.dumps({"errors": attack.errors, "count": attack.count}))


if __name__ == "__main__":
    main()
