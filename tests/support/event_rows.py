"""Acts out rows of an event map on a chat server: who hears what after which verdict.

A Row is acted out once for each verdict that its event allows; what the people then hear is compared. Nobody waits for
"nothing": each client asks its server for a sign of life afterwards, and what has not come by then does not come any more.
"""
import asyncio
import contextlib

from managed_process import wait_until
from prosody import HOST, PASSWORD, ROOMS
from xmpp_client import ChatClient, Ledger, slixmpp

DESK, TEA = f"desk@{ROOMS}", f"tea@{ROOMS}"
MUC, USER = "http://jabber.org/protocol/muc", "http://jabber.org/protocol/muc#user"
ADMIN, OWNER = "http://jabber.org/protocol/muc#admin", "http://jabber.org/protocol/muc#owner"
INFO, DELAY, PING = "http://jabber.org/protocol/disco#info", "urn:xmpp:delay", "urn:xmpp:ping"
TIMEOUT_S, POLICY = "error remote-server-timeout", "error policy-violation"


def chat(to, text, kind="chat", more=""):
    return f"<message xmlns='jabber:client' to='{to}' type='{kind}' id='m'><body>{text}</body>{more}</message>"


def query(to, kind, ns, inner="", name="query"):
    return f"<iq xmlns='jabber:client' to='{to}' type='{kind}' id='q'><{name} xmlns='{ns}'>{inner}</{name}></iq>"


def presence(to, inner="", kind=""):
    return f"<presence xmlns='jabber:client' to='{to}'{f' type={kind!r}' if kind else ''}>{inner}</presence>"


def invitation(reason):
    return (f"<message xmlns='jabber:client' to='{DESK}' id='i'><x xmlns='{USER}'><invite to='dave@{HOST}'><reason>{reason}"
            "</reason></invite></x></message>")


def subject(text):
    return f"<message xmlns='jabber:client' to='{DESK}' type='groupchat' id='s'><subject>{text}</subject></message>"


def settings(name):
    return query(DESK, "set", OWNER, "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"
                 f"{MUC}#roomconfig</value></field><field var='muc#roomconfig_roomname'><value>{name}</value></field></x>")


def describe(stanza):
    """One line about a stanza that somebody has heard; None for what no row is about."""
    kind, local = stanza.get("type", ""), stanza.tag.rpartition("}")[2]
    if stanza.find(f".//{{{PING}}}ping") is not None or stanza.get("id", "").startswith("fence"):
        return None
    error = stanza.find("{jabber:client}error") if kind == "error" else None
    if error is not None:
        return "error " + next(child.tag.rpartition("}")[2] for child in error)
    if local == "iq":
        first = stanza[0].tag if len(stanza) else "nothing"
        return f"{kind} {first.rpartition('}')[2]}"
    if local == "presence":
        role = stanza.find(f"{{{USER}}}x/{{{USER}}}item")
        words = [kind or "available", stanza.get("from").rpartition("/")[2], stanza.findtext("{jabber:client}status") or "",
                 f"{role.get('affiliation')} {role.get('role')}" if role is not None else ""]
        return " ".join(word for word in words if word)
    reason = stanza.findtext(f"{{{USER}}}x/{{{USER}}}invite/{{{USER}}}reason")
    words = reason or stanza.findtext("{jabber:client}body") or stanza.findtext("{jabber:client}subject")
    return f"{'old' if stanza.find(f'{{{DELAY}}}delay') is not None else 'says'} {words}" if words else None


class Person(ChatClient):
    """A client that keeps a line about everything it hears."""

    def __init__(self, name, port, ledger, resource="test"):
        super().__init__(f"{name}@{HOST}/{resource}", PASSWORD, port, ledger)
        self.heard = []
        self.add_filter("in", self._hear)

    def _hear(self, stanza):
        if isinstance(stanza, (slixmpp.Message, slixmpp.Presence, slixmpp.Iq)):
            line = describe(stanza.xml)
            if line:
                self.heard.append(f"{self.boundjid.user} {line}")
        return stanza

    async def fence(self):
        """Returns when all that was sent before has been dealt with, and all that it made others say has come in."""
        iq = self.make_iq_get(queryxmlns=None, ito=HOST)
        iq["id"] = f"fence-{id(iq)}"
        iq.append(slixmpp.xmlstream.ET.Element(f"{{{PING}}}ping"))
        await iq.send(timeout=20)

    async def room_fence(self, room):
        """Asked again where no answer comes: a room that is just ending takes the question with it."""
        for _ in range(10):
            iq = self.make_iq_get(queryxmlns=INFO, ito=room)
            iq["id"] = f"fence-{id(iq)}"
            with contextlib.suppress(slixmpp.exceptions.IqTimeout):
                try:
                    return await iq.send(timeout=3)
                except slixmpp.exceptions.IqError:  # no such room
                    return None
        raise AssertionError(f"{room} gives no sign of life")


class Stage:
    """has_room_processes: a room of this server goes on by itself after its sender; so the rooms are asked for a sign of life, too."""

    def __init__(self, giver, server, has_room_processes=False):
        self.giver, self.server, self.ledger, self.has_room_processes = giver, server, Ledger(), has_room_processes
        self.people = {}

    async def person(self, name, resource="test"):
        return await Person(name, self.server.port, self.ledger, resource).start()

    async def gather(self):
        for name in ("alice", "bob", "carol"):
            self.people[name] = await self.person(name)
            await self.people[name].join(DESK, name)
        self.alice, self.bob, self.carol = self.people.values()
        await self.alice.admin(DESK, jid=f"carol@{HOST}", affiliation="member")

    async def fence(self, first):
        await first.fence()
        for room in (DESK, TEA) if self.has_room_processes else ():
            await first.room_fence(room)
        for person in self.people.values():
            await person.fence()

    async def says(self, who, xml):
        self.people[who].send_raw(xml)
        await self.fence(self.people[who])

    def asked(self, start, name):
        return [one for one in self.giver.asked[start:] if one.name == name and not is_fence(one)]

    async def told(self, start, name, wanted=lambda one: True):
        """The first such event since `start`, once it has come in."""
        await asyncio.to_thread(wait_until, lambda: any(map(wanted, self.asked(start, name))), 10,
                                lambda: f"{name}; came: {self.giver.asked[start:]}")
        return next(filter(wanted, self.asked(start, name)))

    def decide(self, event, verdict, what=None):
        def word(one):
            is_meant = one.name == event and not is_fence(one) and (what is None or one.attributes.get("what") == what)
            return verdict if is_meant else "pass"
        self.giver.decide = word


def is_fence(asked):
    return asked.stanza is not None and asked.stanza.find(f"{{{PING}}}ping") is not None


PASS_ONLY = ("onServiceDiscoInfo", "onDestroy", "onMetaInfoGet", "onExamineRoom", "onLeave", "onHistory")


class Row:
    """One event: `act(stage)` makes it arise. `told`: attributes that it must have.

    Lines that must be heard after PASS, an error, HANDLE, and PASS with `changed`; None: none of the others is heard. No
    `error`: a verdict cannot stop it. The guide lets some events only pass: for them HANDLE is left out.
    """

    def __init__(self, event, act, told=None, passes=None, error=None, handle=None, changed=None, change=None, undo=None):
        self.event, self.act, self.told, self.undo = event, act, told or {}, undo
        self.lines = {"pass": passes}
        if error:
            self.lines["error"] = error
        if error and event not in PASS_ONLY:
            self.lines["handle"] = handle
        if changed:
            self.lines[changed] = change

    async def run(self, stage):
        for verdict, line in self.lines.items():
            for person in stage.people.values():
                person.heard.clear()
            start = len(stage.giver.asked)
            stage.decide(self.event, verdict, self.told.get("what"))
            await self.act(stage)
            one = await stage.told(start, self.event, lambda one: self.told.items() <= one.attributes.items())
            stage.giver.decide = lambda one: "pass"
            heard = [line for person in stage.people.values() for line in person.heard]
            others = {other for other in self.lines.values() if other and other != line}
            assert line is None or line in heard, f"{self.event}, {verdict[:6]}: no {line!r} in {heard}"
            assert not others & set(heard), f"{self.event}, {verdict[:6]}: {others & set(heard)} in {heard}"
            if self.undo:
                await self.undo(stage)
        assert one.is_awaited or self.event in ("onServiceReconfig", "e_STATS", "es_IN", "e_OFFLINE"), "nothing makes it durable"


def say(who, xml):
    return lambda stage: stage.says(who, xml)


def sequence(*acts):
    async def run(stage):
        for act in acts:
            await act(stage)
    return run


class RawSession:
    """A stream on which nobody has logged in yet."""

    async def open(self, stage):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", stage.server.port)
        self.writer.write(f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{HOST}' "
                          "version='1.0'>".encode())
        await self.until("</stream:features>")
        return self

    async def until(self, text):
        return (await asyncio.wait_for(self.reader.readuntil(text.encode()), 20)).decode()

    async def ask(self, xml, end):
        self.writer.write(xml.encode())
        return await self.until(end)

    def close(self):
        self.writer.close()
