"""What Prosody's tap must not take for an event, or for the end of one: copies, resumed streams, senders that vanish; odd verdicts.

As its users have it: without what it tells on request only.
"""
import asyncio
import base64
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from event_rows import POLICY, TIMEOUT_S, RawSession, chat, is_fence, presence  # noqa: E402
from prosody import HOST, Prosody  # noqa: E402
from tap_stage import COMPONENT, SECRET, run_checks  # noqa: E402
from xmpp_client import slixmpp  # noqa: E402


async def copies_are_no_events(stage):
    """Carbons to the sender's and the recipient's other clients, and what an archive gives back, are told by nobody."""
    others = [await stage.person(name, "second") for name in ("alice", "bob")]
    for other in others:
        other.send_raw("<iq xmlns='jabber:client' type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        await other.fence()
    carbons = []
    for other in others:
        other.register_handler(slixmpp.xmlstream.handler.Callback("carbon", slixmpp.xmlstream.matcher.MatchXPath(
            "{jabber:client}message"), lambda message: carbons.append(message) if b"carbons" in message_bytes(message) else None))
    start = len(stage.giver.asked)
    await stage.says("alice", chat(f"bob@{HOST}/test", "once"))
    for other in others:
        await other.fence()
    assert len(carbons) == 2, f"{len(carbons)} carbons"
    await stage.told(start, "es_IN", lambda one: one.body() == "once")
    bodies = [one.name for one in stage.giver.asked[start:] if one.body() == "once"]
    assert bodies == ["es_OUT", "es_IN"], bodies
    start = len(stage.giver.asked)
    await stage.bob.read_archive(None, 20)
    names = {one.name for one in stage.giver.asked[start:] if not is_fence(one) and one.attributes.get("ptype") == "message"}
    assert not names, names
    for other in others:
        await other.stop()


def message_bytes(message):
    return slixmpp.xmlstream.ET.tostring(message.xml)


async def a_resumed_stream_is_no_logout(stage):
    """XEP-0198: the connection breaks, the session hibernates and goes on on a new one; a real end is told."""
    bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"
    login = ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
             f"{base64.b64encode(b'%czoe%cany' % (0, 0)).decode()}</auth>")
    stream = (f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{HOST}' version='1.0'>")

    async def authenticated():
        session = await RawSession().open(stage)
        await session.ask(login, "<success")
        await session.ask(stream, "</stream:features>")
        return session
    start = len(stage.giver.asked)
    first = await authenticated()
    await first.ask(bind, "</iq>")
    enabled = await first.ask("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "<enabled") + await first.until(">")
    key = re.search(r"id='([^']*)'", enabled).group(1)
    first.writer.transport.abort()
    second = await authenticated()
    await second.ask(f"<resume xmlns='urn:xmpp:sm:3' previd='{key}' h='0'/>", "<resumed")
    second.writer.write(chat(f"bob@{HOST}", "still here").encode())
    await stage.bob.until(lambda: "bob says still here" in stage.bob.heard, "the resumed session's words", 20)
    ends = [one for one in stage.asked(start, "es_END") if one.attributes["actor"] == f"zoe@{HOST}/r"]
    assert len(stage.asked(start, "e_SESSION")) == 1 and not ends, stage.giver.names(start)
    said = [one for one in stage.asked(start, "es_OUT") if one.body() == "still here"]
    assert [one.attributes["actor"] for one in said] == [f"zoe@{HOST}/r"], said
    second.writer.write(b"</stream:stream>")
    await stage.told(start, "es_END", lambda one: one.attributes["actor"] == f"zoe@{HOST}/r")
    second.close()


async def a_held_sender_that_disconnects(stage):
    """What was held when its sender vanished goes by its verdict, and the logout comes after it."""
    for verdict, is_heard in (("pass", True), ("handle", False)):
        released, start = asyncio.Event(), len(stage.giver.asked)
        loop = asyncio.get_running_loop()

        def hold(one, verdict=verdict, released=released, loop=loop):
            if one.name != "es_OUT" or one.body() != "last words":
                return "pass"
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result(20)
            return verdict
        stage.giver.decide = hold
        stage.bob.heard.clear()
        zoe = await stage.person("zoe")
        zoe.send_raw(chat(f"bob@{HOST}", "last words"))
        await stage.told(start, "es_OUT", lambda one: one.body() == "last words")
        zoe.abort()
        released.set()
        await stage.told(start, "es_END")
        await stage.bob.fence()
        assert ("bob says last words" in stage.bob.heard) == is_heard, (verdict, stage.bob.heard)
    stage.giver.decide = lambda one: "pass"


async def a_refusal_for_good_names_itself(stage):
    """An error that is not of type "wait" reaches the sender as what it is, with its text."""
    heard = []
    stage.alice.heard.clear()
    stage.alice.add_event_handler("message_error", lambda message: heard.append(message["error"]["text"]))
    stage.decide("es_OUT", "refuse Not with this desk")
    await stage.says("alice", chat(f"bob@{HOST}", "hello"))
    stage.giver.decide = lambda one: "pass"
    assert heard == ["Not with this desk"] and f"alice {POLICY}" in stage.alice.heard, (heard, stage.alice.heard)


async def a_stanza_of_another_kind_is_no_change(stage):
    stage.bob.heard.clear()
    stage.decide("es_OUT", presence("x@y"))
    await stage.says("alice", chat(f"bob@{HOST}", "hello"))
    stage.giver.decide = lambda one: "pass"
    assert "bob says hello" not in stage.bob.heard and f"alice {TIMEOUT_S}" in stage.alice.heard, stage.bob.heard


def make(folder, port):
    link = {"verbatim_port": port, "verbatim_component": COMPONENT, "verbatim_secret": SECRET, "verbatim_verdict_timeout": 20,
            "verbatim_reconnect_min": 0.1, "verbatim_reconnect_max": 0.3,
            "modules_enabled": ["roster", "saslauth", "disco", "posix", "carbons", "ping", "mam", "presence", "smacks"]}
    return Prosody(folder, link)


run_checks("prosody_copies", make, {check.__name__: check for check in (
    copies_are_no_events, a_resumed_stream_is_no_logout, a_held_sender_that_disconnects, a_refusal_for_good_names_itself,
    a_stanza_of_another_kind_is_no_change)})
