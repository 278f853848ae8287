"""XMPP clients that know which of their words were accepted (Debian's python3-slixmpp).

A message to a room is accepted when the room shows it to its sender; a direct one when the recipient's client has it
(hand both clients the same Ledger). What is answered with an error was refused. All coroutines; one asyncio loop may run
many clients. As a program it is one client in a process of its own, to be killed: see `main`.
"""
import argparse
import asyncio
import hashlib
import json
import logging
import sys
import time
import uuid

logging.getLogger("slixmpp").setLevel(logging.CRITICAL)  # errors reach the caller as exceptions

import slixmpp  # noqa: E402
from slixmpp.xmlstream import ET  # noqa: E402
from slixmpp.xmlstream.handler import Callback  # noqa: E402
from slixmpp.xmlstream.matcher import MatchXPath  # noqa: E402

STANZA_ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
MUC_USER = "http://jabber.org/protocol/muc#user"
TIMEOUT_S = 60


def digest(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


class Ledger:
    """What was accepted, in the order in which it was seen to be; entries are dicts with `id` and `sha256` of the text."""

    def __init__(self):
        self.accepted = []
        self.refused = []
        self._delivered = {}  # id -> future of a direct message

    def expect_delivery(self, message_id):
        return self._delivered.setdefault(message_id, asyncio.get_running_loop().create_future())

    def delivered(self, message_id):
        future = self._delivered.get(message_id)
        if future and not future.done():
            future.set_result(True)

    def accept(self, **entry):
        entry["time"] = time.time()
        self.accepted.append(entry)
        return entry

    def refuse(self, **entry):
        entry["time"] = time.time()
        self.refused.append(entry)
        return entry


class Refused(Exception):
    """The server answered with an error."""


class ChatClient(slixmpp.ClientXMPP):
    def __init__(self, jid, password, port, ledger=None):
        super().__init__(jid, password, plugin_config={"feature_mechanisms": {"unencrypted_plain": True}})
        self.port = port
        self.ledger = ledger or Ledger()
        self.nicks = {}  # room -> nick
        self.seen = []  # (room, nick, id, body) of every room message with a body, history left out
        self.history = []  # the same of old messages, shown after a join
        self.subjects = {}  # room -> subject
        self.invitations = []
        self.occupants = {}  # room -> set of nicks
        self._pending = {}  # id -> future of a room message's reflection
        self._joins = {}  # room -> future
        self._watchers = []
        self.register_plugin("xep_0199")
        # The library's own event is for messages with a body only.
        self.register_handler(Callback("every message", MatchXPath("{jabber:client}message"), self._on_any_message))
        self.add_event_handler("presence", self._on_presence)
        self.add_event_handler("presence_error", self._on_presence)

    # --- session

    async def start(self, timeout=TIMEOUT_S):
        """Logs in and shows presence."""
        started = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: started.done() or started.set_result(True))
        self.connect(("127.0.0.1", self.port), use_ssl=False, force_starttls=False, disable_starttls=True)
        await asyncio.wait_for(started, timeout)
        self.send_presence()
        return self

    async def stop(self):
        """Logs out."""
        if self.is_connected():
            await self.disconnect()
        if self._run_out_filters and not self._run_out_filters.done():  # the library leaves it behind
            self._run_out_filters.cancel()
            await asyncio.wait({self._run_out_filters})

    async def until(self, condition, what, timeout=TIMEOUT_S):
        """Waits until condition() is true; looked at after each stanza."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not condition():
            future = asyncio.get_running_loop().create_future()
            self._watchers.append(future)
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(future, max(left, 0))
            except asyncio.TimeoutError:
                raise AssertionError(f"{self.boundjid}: waited {timeout} s in vain for: {what}") from None

    def _wake(self):
        watchers, self._watchers = self._watchers, []
        for future in watchers:
            if not future.done():
                future.set_result(True)

    # --- rooms

    async def join(self, room, nick, history=0, timeout=TIMEOUT_S):
        """Enters the room; `history`: how many old messages to ask for."""
        self._joins[room] = asyncio.get_running_loop().create_future()
        self.nicks[room] = nick
        self.send_raw(f"<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'>"
                      f"<history maxstanzas='{history}'/></x></presence>")
        await asyncio.wait_for(self._joins[room], timeout)

    def leave(self, room):
        self.send_raw(f"<presence to='{room}/{self.nicks[room]}' type='unavailable'/>")

    async def change_nick(self, room, nick):
        self.nicks[room] = nick
        self.send_raw(f"<presence to='{room}/{nick}'/>")
        await self.until(lambda: nick in self.occupants.get(room, ()), f"{nick} to be shown")

    async def post(self, room, text, extra=None, timeout=TIMEOUT_S, message_id=None):
        """Says `text`; returns the ledger's entry. `extra`: a further element. Raises Refused."""
        message = self.make_message(room, text, mtype="groupchat")
        message["id"] = message_id or uuid.uuid4().hex
        return await self._post(room, message, text, extra, timeout, kind="room")

    async def _post(self, room, message, text, extra, timeout, kind):
        if extra is not None:
            message.append(extra)
        future = self._pending[message["id"]] = asyncio.get_running_loop().create_future()
        message.send()
        sent = time.monotonic()
        entry = {"kind": kind, "conversation": room, "sender": self.boundjid.bare, "id": message["id"],
                 "sha256": digest(text), "bytes": len(text.encode("utf-8"))}
        try:
            reflection = await asyncio.wait_for(future, timeout)
        except Refused as error:
            self.ledger.refuse(**entry, error=str(error), after=time.monotonic() - sent)
            raise
        finally:
            self._pending.pop(message["id"], None)
        return self.ledger.accept(**entry, after=time.monotonic() - sent, stanza_id=stanza_id_of(reflection))

    async def edit(self, room, first_id, text, timeout=TIMEOUT_S):
        """XEP-0308: replaces the text of an own message."""
        message = self.make_message(room, text, mtype="groupchat")
        message["id"] = uuid.uuid4().hex
        replace = ET.Element("{urn:xmpp:message-correct:0}replace", {"id": first_id})
        return await self._post(room, message, text, replace, timeout, kind="edit")

    async def retract(self, room, target_id, timeout=TIMEOUT_S):
        """XEP-0424: takes an own message back; in a room `target_id` is the room's id of it."""
        text = "/me retracted a previous message"
        message = self.make_message(room, text, mtype="groupchat")
        message["id"] = uuid.uuid4().hex
        retract = ET.Element("{urn:xmpp:message-retract:1}retract", {"id": target_id})
        message.append(ET.Element("{urn:xmpp:fallback:0}fallback", {"for": "urn:xmpp:message-retract:1"}))
        return await self._post(room, message, text, retract, timeout, kind="retraction")

    async def share_file(self, room, url, timeout=TIMEOUT_S):
        """XEP-0066: a link to a file."""
        extra = ET.Element("{jabber:x:oob}x")
        ET.SubElement(extra, "{jabber:x:oob}url").text = url
        return await self.post(room, url, extra=extra, timeout=timeout)

    async def set_subject(self, room, subject, timeout=TIMEOUT_S):
        message = self.make_message(room, mtype="groupchat")
        message["id"] = uuid.uuid4().hex
        message["subject"] = subject
        future = self._pending[message["id"]] = asyncio.get_running_loop().create_future()
        message.send()
        # The service makes a message of its own; only an error bears our id.
        changed = asyncio.ensure_future(self.until(lambda: self.subjects.get(room) == subject, "the subject", timeout))
        done, _ = await asyncio.wait({future, changed}, return_when=asyncio.FIRST_COMPLETED)
        self._pending.pop(message["id"], None)
        if future in done:
            changed.cancel()
        next(iter(done)).result()

    async def admin(self, room, timeout=TIMEOUT_S, **item):
        """XEP-0045: changes a role (nick, role) or an affiliation (jid, affiliation); reason as text."""
        reason = item.pop("reason", None)
        iq = self.make_iq_set(ito=room)
        query = ET.Element("{http://jabber.org/protocol/muc#admin}query")
        element = ET.SubElement(query, "{http://jabber.org/protocol/muc#admin}item", item)
        if reason:
            ET.SubElement(element, "{http://jabber.org/protocol/muc#admin}reason").text = reason
        iq.append(query)
        await self._ask(iq, timeout)

    async def _ask(self, iq, timeout):
        try:
            await iq.send(timeout=timeout)
        except slixmpp.exceptions.IqError as error:
            raise Refused(error.condition) from None

    async def destroy(self, room, reason, timeout=TIMEOUT_S):
        iq = self.make_iq_set(ito=room)
        query = ET.Element("{http://jabber.org/protocol/muc#owner}query")
        element = ET.SubElement(query, "{http://jabber.org/protocol/muc#owner}destroy")
        ET.SubElement(element, "{http://jabber.org/protocol/muc#owner}reason").text = reason
        iq.append(query)
        await self._ask(iq, timeout)

    async def read_archive(self, room, count=10, timeout=TIMEOUT_S):
        """XEP-0313: reads the room's archive."""
        iq = self.make_iq_set(ito=room)
        query = ET.Element("{urn:xmpp:mam:2}query")
        rsm = ET.SubElement(query, "{http://jabber.org/protocol/rsm}set")
        ET.SubElement(rsm, "{http://jabber.org/protocol/rsm}max").text = str(count)
        iq.append(query)
        await self._ask(iq, timeout)

    def invite(self, room, jid, reason):
        """A mediated invitation."""
        message = self.make_message(room)
        message["id"] = uuid.uuid4().hex
        x = ET.Element(f"{{{MUC_USER}}}x")
        element = ET.SubElement(x, f"{{{MUC_USER}}}invite", {"to": jid})
        ET.SubElement(element, f"{{{MUC_USER}}}reason").text = reason
        message.append(x)
        message.send()

    def invite_directly(self, room, jid, reason):
        """XEP-0249."""
        message = self.make_message(jid)
        message["id"] = uuid.uuid4().hex
        message.append(ET.Element("{jabber:x:conference}x", {"jid": room, "reason": reason}))
        message.send()

    # --- one to one

    async def tell(self, jid, text, extra=None, timeout=TIMEOUT_S, kind="direct"):
        """Says `text` to one person whose client has the same ledger. Raises Refused."""
        message = self.make_message(jid, text, mtype="chat")
        message["id"] = uuid.uuid4().hex
        if extra is not None:
            message.append(extra)
        delivered = self.ledger.expect_delivery(message["id"])
        refused = self._pending[message["id"]] = asyncio.get_running_loop().create_future()
        message.send()
        sent = time.monotonic()
        entry = {"kind": kind, "conversation": slixmpp.JID(jid).bare, "sender": self.boundjid.bare, "id": message["id"],
                 "sha256": digest(text), "bytes": len(text.encode("utf-8"))}
        done, _ = await asyncio.wait({delivered, refused}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        self._pending.pop(message["id"], None)
        if delivered in done:
            return self.ledger.accept(**entry, after=time.monotonic() - sent)
        if not done:
            raise asyncio.TimeoutError
        try:
            refused.result()
        except Refused as error:
            self.ledger.refuse(**entry, error=str(error), after=time.monotonic() - sent)
            raise

    async def whisper(self, room, nick, text, timeout=TIMEOUT_S):
        """A private message within a room, to one whose client has the same ledger."""
        extra = ET.Element(f"{{{MUC_USER}}}x")
        return await self.tell(f"{room}/{nick}", text, extra=extra, timeout=timeout, kind="private")

    # --- what comes in

    def _on_any_message(self, message):
        if message["type"] == "error":
            self._on_error(message)
        else:
            self._on_message(message)

    def _on_message(self, message):
        body = message.xml.findtext("{jabber:client}body")
        room, kind = message["from"].bare, message["type"]
        is_old = message.xml.find("{urn:xmpp:delay}delay") is not None
        if kind == "groupchat" and is_old:
            self.history.append((room, message["from"].resource, message["id"], body))
        elif kind == "groupchat":
            subject = message.xml.find("{jabber:client}subject")
            if body is None and subject is not None:
                self.subjects[room] = subject.text or ""
            elif body is not None:
                self.seen.append((room, message["from"].resource, message["id"], body))
            future = self._pending.get(message["id"])
            if future and message["from"].resource == self.nicks.get(room) and not future.done():
                future.set_result(message)
        elif kind in ("chat", "normal"):
            invite = message.xml.find(f"{{{MUC_USER}}}x/{{{MUC_USER}}}invite")
            direct = message.xml.find("{jabber:x:conference}x")
            if invite is not None:
                self.invitations.append(room)
            elif direct is not None:
                self.invitations.append(direct.get("jid"))
            elif body is not None:
                self.ledger.delivered(message["id"])
        self._wake()

    def _on_error(self, message):
        future = self._pending.get(message["id"])
        if future and not future.done():
            future.set_exception(Refused(condition_of(message)))
        self._wake()

    def _on_presence(self, presence):
        room, nick = presence["from"].bare, presence["from"].resource
        join = self._joins.get(room)
        if presence["type"] == "error":
            if join and not join.done():
                join.set_exception(Refused(condition_of(presence)))
        elif room in self.nicks and nick:
            occupants = self.occupants.setdefault(room, set())
            if presence["type"] == "unavailable":
                occupants.discard(nick)
            else:
                occupants.add(nick)
                if join and not join.done() and nick == self.nicks[room]:
                    join.set_result(True)
        self._wake()


def condition_of(stanza):
    """Of an error (RFC 6120, section 8.3.3); the library's own look-up does not know policy-violation."""
    error = stanza.xml.find("{jabber:client}error")
    tags = [child.tag for child in error if child.tag.startswith(STANZA_ERRORS)] if error is not None else []
    return next((tag.removeprefix(STANZA_ERRORS) for tag in tags if tag != STANZA_ERRORS + "text"), "")


def stanza_id_of(message):
    element = message.xml.find("{urn:xmpp:sid:0}stanza-id")
    return element.get("id") if element is not None else ""


async def _run(arguments):
    """Joins, says what standard input asks for, a JSON object a line, and tells on standard output what was accepted."""
    client = ChatClient(arguments.jid, "-", arguments.port)
    await client.start()
    await client.join(arguments.room, arguments.nick)
    print(json.dumps({"joined": arguments.room}), flush=True)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        try:
            print(json.dumps(await client.post(arguments.room, json.loads(line)["text"])), flush=True)
        except Refused as error:
            print(json.dumps({"refused": str(error)}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--jid", "--room", "--nick"):
        parser.add_argument(name, required=True)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
