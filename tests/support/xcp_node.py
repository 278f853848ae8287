"""A chat node on the xcp link (docs/xcp-link.md), as a test needs it: plain sockets, every step by hand.

    with XcpNode(port, component, secret) as node:
        node.connect()                                  # stream, handshake, active
        answer = node.ask("onBeforeSend", room="r@muc.x", actor="a@x/r", stanza=groupchat("hello"))
        assert answer.word == "pass"
"""
import collections
import hashlib
import select
import socket
import time
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape, quoteattr

EVENT_NS = "urn:x-verbatim:xcp-event:1"
STREAM_NS = "http://etherx.jabber.org/streams"

Answer = collections.namedtuple("Answer", "id word element at")


class LinkClosed(Exception):
    """The collector has ended the link; `condition` is its stream error, or empty."""

    def __init__(self, condition):
        super().__init__(condition or "closed")
        self.condition = condition


def groupchat(text, message_id="m1"):
    return (f"<message xmlns='jabber:client' type='groupchat' id={quoteattr(message_id)}>"
            f"<body>{escape(text)}</body></message>")


def chat(text, sender, recipient, message_id="m1"):
    return (f"<message xmlns='jabber:client' type='chat' id={quoteattr(message_id)} from={quoteattr(sender)} "
            f"to={quoteattr(recipient)}><body>{escape(text)}</body></message>")


class XcpNode:
    def __init__(self, port, component="op-verbatim.test", secret="test-secret", node="test", boot=None):
        self.port, self.component, self.secret, self.node = port, component, secret, node
        self.boot = boot or time.time_ns() // 1000
        self.sequence = 0
        self.socket = None
        self.answers = {}
        self.answer_order = []
        self.stream_id = None
        self.condition = ""
        self.is_closed_by_peer = self.is_ended_by_peer = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.drop()

    # --- the link

    def dial(self):
        self.drop()
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = ElementTree.XMLPullParser(events=("start", "end"))
        self._depth, self._root = 0, None
        self.stream_id, self.condition, self._is_active = None, "", False
        # The second also tells that the stream was ended in order before the connection was closed.
        self.is_closed_by_peer = self.is_ended_by_peer = False
        self._handshake_text = None
        return self

    def drop(self):
        """Ends the connection without a word."""
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def header(self, ns="jabber:component:connect", attributes=None):
        attributes = f"from={quoteattr(self.component)}" if attributes is None else attributes
        return (f"<?xml version='1.0'?><stream:stream xmlns='{ns}' xmlns:stream='{STREAM_NS}' {attributes}>")

    def digest(self):
        return hashlib.sha1((self.stream_id + self.secret).encode()).hexdigest()

    def connect(self, ns="jabber:component:connect", attributes=None, timeout=10):
        """Dials and authenticates; returns when the link is active."""
        self.dial()
        self.send(self.header(ns, attributes))
        self._read_until(lambda: self.stream_id is not None, timeout)
        self.send(f"<handshake id='36'>{self.digest()}</handshake>")
        self._read_until(lambda: self._is_active, timeout)
        return self

    def wait_closed(self, timeout=10):
        """The condition with which the collector ended the link; "" where it just closed."""
        try:
            self._read_until(lambda: False, timeout)
        except LinkClosed as closed:
            return closed.condition
        except (ConnectionResetError, BrokenPipeError):
            return self.condition
        raise AssertionError("unreachable")

    # --- events

    def compose(self, name, stanza="", kind="get", request_id=None, **attributes):
        """Gives (id, xml) of an event with the next number."""
        self.sequence += 1
        request_id = request_id or f"eb-{self.boot}-{self.sequence}"
        source = ("tc-1." if "room" in attributes else "jsm-1.") + self.node
        words = "".join(f" {key.replace('_', '-')}={quoteattr(str(value))}" for key, value in attributes.items())
        return request_id, (
            f"<xdb id='{request_id}' type='{kind}' from='{source}' to='{self.component}' ns='{EVENT_NS}'>"
            f"<event xmlns='{EVENT_NS}' name='{name}' boot='{self.boot}' seq='{self.sequence}'"
            f" time='{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}'{words}>{stanza}</event></xdb>")

    def ask(self, name, stanza="", timeout=30, **attributes):
        request_id, xml = self.compose(name, stanza, **attributes)
        self.send(xml)
        return self.wait_answer(request_id, timeout)

    def wait_answer(self, request_id, timeout=30):
        self._read_until(lambda: request_id in self.answers, timeout)
        return self.answers.pop(request_id)

    def read_for(self, seconds):
        """Reads whatever comes within that time."""
        try:
            self._read_until(lambda: False, seconds)
        except TimeoutError:
            return

    def _read_until(self, condition, timeout):
        deadline = time.monotonic() + timeout
        while not condition():
            if self.is_closed_by_peer:
                raise LinkClosed(self.condition)
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError(f"nothing within {timeout} s; answered so far: {self.answer_order[-5:]}")
            received = self.socket.recv(65536)
            if not received:
                self.is_closed_by_peer = True
                continue
            self._parser.feed(received)
            self._take_events()

    def _take_events(self):
        for event, element in self._parser.read_events():
            if event == "start":
                self._depth += 1
                if self._depth == 1:
                    self._root, self.stream_id = element, element.get("id")
                continue
            self._depth -= 1
            if self._depth == 0:
                self.is_closed_by_peer, self.is_ended_by_peer = True, not self.condition
            elif self._depth == 1:
                self._take_stanza(element)
                self._root.clear()

    def _take_stanza(self, element):
        name = element.tag.rpartition("}")[2]
        if element.tag == f"{{{STREAM_NS}}}error":
            self.condition = element[0].tag.rpartition("}")[2]
        elif name == "handshake":
            self._handshake_text, self._is_active = element.text, not element.text
        elif name == "xdb":
            child = element[0].tag.rpartition("}")[2] if len(element) else ""
            word = "error" if element.get("type") == "error" else child
            self.answers[element.get("id")] = Answer(element.get("id"), word, element, time.monotonic())
            self.answer_order.append(element.get("id"))
