"""Plays the collector's side of the link of docs/xcp-link.md, with the verdicts a test wants.

A real collector passes what is durable; this one can also be slow, silent, refuse, change or stop a stanza at a chosen
moment, which tests of a tap need. It makes nothing durable.

    with VerdictGiver(port, "op-x", "secret", decide=lambda event: "pass") as giver: ...

decide(Asked) gives "pass", "handle", "error", "silence", "handle TEXT" or "refuse TEXT" (an error for good), each with a text for the
sender, or the XML of a stanza to go on with; it may sleep: events of one connection are answered one after another, in order.
"""
import hashlib
import socket
import threading
import xml.etree.ElementTree as ET

NS = "urn:x-verbatim:xcp-event:1"
STREAM = ("<?xml version='1.0'?><stream:stream xmlns='jabber:component:connect' "
          "xmlns:stream='http://etherx.jabber.org/streams' id='{}'>")


class Asked:
    """One event as it came in."""

    def __init__(self, xdb):
        event = xdb[0]
        self.id = xdb.get("id")
        self.is_awaited = xdb.get("type") == "get"
        self.name = event.get("name")
        self.attributes = dict(event.attrib)
        self.stanza = event[0] if len(event) else None

    def body(self):
        return self.stanza.findtext("{jabber:client}body") if self.stanza is not None else None

    def __repr__(self):
        return f"<{self.name} {self.attributes.get('seq')} {self.attributes.get('actor')}>"


class VerdictGiver:
    def __init__(self, port, component, secret, decide=lambda asked: "pass"):
        self.port, self.component, self.secret, self.decide = port, component, secret, decide
        self.asked = []  # every event, in the order of arrival
        self.connect_count = 0
        self.digest_errors = 0
        self._listener = None
        self._connections = []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def stop(self, graceful=False):
        """Closes everything; `graceful`: ends the streams first."""
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        connections, self._connections = self._connections, []
        for connection in connections:
            try:
                if graceful:
                    connection.sendall(b"</stream:stream>")
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def names(self, since=0):
        return [asked.name for asked in self.asked[since:]]

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        self.connect_count += 1
        stream_id = f"id-{self.connect_count}"
        parser, depth = ET.XMLPullParser(["start", "end"]), 0
        try:
            while data := connection.recv(65536):
                parser.feed(data)
                for what, element in parser.read_events():
                    depth += 1 if what == "start" else -1
                    if what == "start" and depth == 1:
                        assert element.get("from") == self.component, element.attrib
                        connection.sendall(STREAM.format(stream_id).encode())
                    elif what == "end" and depth == 1:
                        self._on_stanza(connection, stream_id, element)
        except OSError:
            pass  # stopped by the test

    def _on_stanza(self, connection, stream_id, element):
        kind = element.tag.rpartition("}")[2]
        if kind == "handshake":
            wanted = hashlib.sha1((stream_id + self.secret).encode()).hexdigest()
            if element.text != wanted:
                self.digest_errors += 1
                connection.sendall(b"<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
                                   b"</stream:stream>")
                connection.close()
                return
            connection.sendall(b"<handshake/>")
        elif kind == "xdb":
            asked = Asked(element)
            self.asked.append(asked)
            if asked.is_awaited:
                self._answer(connection, asked)

    def _answer(self, connection, asked):
        verdict = self.decide(asked)
        if verdict == "silence":
            return
        if verdict == "error":
            answer = "<error code='500' type='wait'>not durable</error>"
        elif verdict.startswith("refuse "):
            answer = f"<error code='403' type='cancel'>{verdict[7:]}</error>"
        elif verdict.startswith("handle "):
            answer = f"<handle xmlns='{NS}'>{verdict[7:]}</handle>"
        elif verdict in ("pass", "handle"):
            answer = f"<{verdict} xmlns='{NS}'/>"
        else:
            answer = f"<pass xmlns='{NS}'>{verdict}</pass>"
        kind = "error" if verdict == "error" or verdict.startswith("refuse ") else "result"
        connection.sendall(f"<xdb id='{asked.id}' type='{kind}' from='{self.component}' to='jsm-1.test' ns='{NS}'>{answer}"
                           "</xdb>".encode())
