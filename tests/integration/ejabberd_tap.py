"""The tap of ejabberd against a real ejabberd and real clients: what is told, and what each verdict does.

At the end: every event that the tap's list names has been told, and no other.
"""
import asyncio
import base64
import contextlib
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from ejabberd import TAP_DIR, Ejabberd, find_program  # noqa: E402
from event_rows import (ADMIN, DESK, MUC, OWNER, POLICY, TEA, TIMEOUT_S, Person, RawSession, Row, chat,  # noqa: E402
                        invitation, presence, query, say, sequence, settings, subject)
from managed_process import wait_until  # noqa: E402
from prosody import HOST, PASSWORD, ROOMS  # noqa: E402
from tap_stage import COMPONENT, SECRET, run_checks  # noqa: E402
from xmpp_client import Refused, slixmpp  # noqa: E402

BOTS = "bots.example"
LIMIT_S = 4
ALICE, BOB = f"alice@{HOST}/test", f"bob@{HOST}/test"


# --- people

async def e_register(stage):
    """Everybody of this test gets an account; the server says so when it is there."""
    start = len(stage.giver.asked)
    for name in ("alice", "bob", "carol", "dave", "zoe"):
        session = await RawSession().open(stage)
        said = await session.ask(f"<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username>"
                                 f"<password>{PASSWORD}</password></query></iq>", "id='r'")
        assert "type='result'" in said, said
        await stage.told(start, "e_REGISTER", lambda one, name=name: one.attributes["actor"] == f"{name}@{HOST}")
        session.close()


async def e_auth(stage):
    start = len(stage.giver.asked)
    session = await RawSession().open(stage)
    wrong = base64.b64encode(b"\0zoe\0wrong").decode()
    await session.ask(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{wrong}</auth>", "</failure>")
    await stage.told(start, "e_AUTH", lambda one: one.attributes["reason"] != "success" and one.attributes["actor"] == f"zoe@{HOST}")
    session.close()
    await (await stage.person("zoe")).stop()
    await stage.told(start, "e_AUTH", lambda one: one.attributes["reason"] == "success")
    await stage.told(start, "es_END")


async def e_session_and_es_end(stage):
    """Without a verdict a login goes on; what is handled is closed; each end is told."""
    start = len(stage.giver.asked)
    for verdict in ("pass", "error"):
        stage.decide("e_SESSION", verdict)
        await (await stage.person("zoe")).stop()
    stage.decide("e_SESSION", "handle")
    zoe, ended = Person("zoe", stage.server.port, stage.ledger), asyncio.get_running_loop().create_future()
    zoe.add_event_handler("stream_error", lambda error: ended.done() or ended.set_result(error["condition"]))
    zoe.connect(("127.0.0.1", stage.server.port), use_ssl=False, force_starttls=False, disable_starttls=True)
    assert await asyncio.wait_for(ended, 20) == "policy-violation"
    zoe.abort()
    stage.giver.decide = lambda one: "pass"
    await asyncio.to_thread(wait_until, lambda: len(stage.asked(start, "es_END")) == 3, 20, "three logouts")
    names = [(one.name, one.attributes["actor"]) for one in stage.giver.asked[start:] if one.name in ("e_SESSION", "es_END")]
    assert names == [("e_SESSION", f"zoe@{HOST}/test"), ("es_END", f"zoe@{HOST}/test")] * 3, names


# conformance: 35 36 37 38
def es_out():
    return Row("es_OUT", say("alice", chat(f"bob@{HOST}", "hello")), {"actor": ALICE, "target": f"bob@{HOST}", "ptype": "message"},
               passes="bob says hello", error=f"alice {TIMEOUT_S}", changed=chat("x@y", "HELLO"), change="bob says HELLO")


def es_in():
    return Row("es_IN", say("alice", chat(f"bob@{HOST}", "hello")), {"actor": ALICE, "target": f"bob@{HOST}"}, passes="bob says hello")


# conformance: 49
async def e_deliver(stage):
    """From a component, as from another server: held as e_DELIVER and again as es_IN, told as evidence no third time."""
    async with attached_bot(stage) as bot:
        await what_the_component_says(stage, bot)


@contextlib.asynccontextmanager
async def attached_bot(stage):
    bot = slixmpp.ComponentXMPP(BOTS, PASSWORD, "127.0.0.1", stage.server.component_port)
    attached = asyncio.get_running_loop().create_future()
    bot.add_event_handler("session_start", lambda _: attached.done() or attached.set_result(True))
    bot.connect()
    await asyncio.wait_for(attached, 20)
    yield bot
    await bot.disconnect()


async def what_the_component_says(stage, bot):
    heard = []
    bot.add_event_handler("message_error", lambda message: heard.append(message["id"]))
    for event in ("e_DELIVER", "es_IN"):
        for verdict, line in (("pass", "hello"), ("error", None), ("handle", None), (chat("x@y", "HELLO"), "HELLO")):
            stage.bob.heard.clear()
            start = len(stage.giver.asked)
            stage.giver.decide = lambda one, event=event, verdict=verdict: (
                verdict if one.name == event and one.body() != "after" else "pass")
            for text in ("hello", "after"):
                bot.send_raw(f"<message from='bot@{BOTS}' to='bob@{HOST}' type='chat' id='{event}'><body>{text}</body></message>")
            await stage.bob.until(lambda: "bob says after" in stage.bob.heard, f"what comes after {event}", 20)
            said = [line[9:] for line in stage.bob.heard if line.startswith("bob says ")]
            assert said == ([line] if line else []) + ["after"], (event, verdict, said)
            names = [one.name for one in stage.giver.asked[start:] if one.body() == "after"]
            assert names == ["e_DELIVER", "es_IN"], names
    assert set(heard) <= {"e_DELIVER", "es_IN"}, heard
    stage.giver.decide = lambda one: "pass"


def e_offline():
    return Row("e_OFFLINE", say("alice", chat(f"dave@{HOST}", "for later")), {"actor": ALICE, "target": f"dave@{HOST}"})


def on_history_of_the_own_archive():
    mam = query(f"alice@{HOST}", "set", "urn:xmpp:mam:2", "<set xmlns='http://jabber.org/protocol/rsm'><max>4</max></set>")
    return Row("onHistory", say("alice", mam), {"actor": ALICE, "history-max": "4"}, passes="alice result fin", error=f"alice {TIMEOUT_S}")


# --- rooms

def enter(room, status=""):
    return presence(f"{room}/alice", f"<x xmlns='{MUC}'/>" + (f"<status>{status}</status>" if status else ""))


async def leave_tea(stage):
    await stage.says("alice", presence(f"{TEA}/alice", kind="unavailable"))


def on_before_room_create():
    return Row("onBeforeRoomCreate", say("alice", enter(TEA, "hi")), {"room": TEA, "actor": ALICE, "actor-nick": "alice"},
               passes="alice available alice hi owner moderator", error=f"alice {TIMEOUT_S}", changed=enter("x@y", "HI"),
               change="alice available alice HI owner moderator", undo=leave_tea)


def on_before_room_create_by_configuring():
    """Nobody is in it, so it goes at once."""
    return Row("onBeforeRoomCreate", say("alice", query(TEA, "get", OWNER)), {"room": TEA, "actor": ALICE, "actor-nick": ""},
               passes="alice result query", error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}")


def on_after_room_create():
    return Row("onAfterRoomCreate", say("alice", enter(TEA)), {"room": TEA, "actor": ALICE},
               passes="alice available alice owner moderator", undo=leave_tea)


def on_close():
    return Row("onClose", sequence(say("alice", enter(TEA)), leave_tea), {"room": TEA}, passes="alice unavailable alice owner none")


async def on_destroy(stage):
    """An owner's word: asked about, and then no onClose."""
    for verdict, line in (("error", f"alice {TIMEOUT_S}"), ("pass", "alice result nothing")):
        await stage.says("alice", enter(TEA))
        stage.alice.heard.clear()
        start = len(stage.giver.asked)
        stage.decide("onDestroy", verdict)
        await stage.says("alice", query(TEA, "set", OWNER, f"<destroy jid='new@{ROOMS}'><reason>over</reason></destroy>"))
        asked = await stage.told(start, "onDestroy")
        assert asked.attributes["reason"] == "over" and asked.attributes["alternate"] == f"new@{ROOMS}", asked.attributes
        assert line in stage.alice.heard, (verdict, stage.alice.heard)
        stage.giver.decide = lambda one: "pass"
    left = await stage.told(start, "onLeave")
    assert left.attributes["reason"] == "room destroyed" and not stage.asked(start, "onClose"), left.attributes


def on_packet():
    return Row("onPacket", say("alice", chat(f"{DESK}/bob", "psst")), {"room": DESK, "actor": ALICE, "target-nick": "bob"},
               passes="bob says psst", error=f"alice {TIMEOUT_S}", changed=chat("x@y", "PSST"), change="bob says PSST")


async def on_meta_info_set(stage):
    for verdict, expected, line in (("error", None, TIMEOUT_S), ("handle", None, POLICY), (settings("RATES"), "RATES", "result query"),
                                    ("pass", "Rates", "result query")):
        stage.alice.heard.clear()
        start = len(stage.giver.asked)
        stage.decide("onBeforeMetaInfoSet", verdict)
        await stage.says("alice", settings("Rates"))
        await stage.told(start, "onBeforeMetaInfoSet")
        assert any(heard in (f"alice {line}", "alice result nothing") for heard in stage.alice.heard) or not expected, stage.alice.heard
        assert bool(stage.asked(start, "onAfterMetaInfoSet")) == bool(expected), (verdict[:6], stage.giver.names(start))
        if expected:
            after = await stage.told(start, "onAfterMetaInfoSet")
            assert after.attributes["actor"] == ALICE and after.attributes["room"] == DESK, after.attributes
            start = len(stage.giver.asked)
            await stage.says("alice", chat(DESK, "named", "groupchat"))
            assert (await stage.told(start, "onBeforeSend")).attributes.get("room-name") == expected
    stage.giver.decide = lambda one: "pass"


def on_change_nick(event, **more):
    return Row(event, say("bob", presence(f"{DESK}/robert")), {"what": "nick", "old-nick": "bob", "new-nick": "robert", "actor": BOB},
               passes="alice available robert none participant", undo=say("bob", presence(f"{DESK}/bob")), **more)


def role(nick, word):
    return query(DESK, "set", ADMIN, f"<item nick='{nick}' role='{word}'><reason>because</reason></item>")


def on_change_role(event, **more):
    return Row(event, say("alice", role("bob", "moderator")),
               {"what": "role", "actor": ALICE, "target": BOB, "target-nick": "bob", "old-role": "participant", "role": "moderator",
                "reason": "because"}, passes="carol available bob none moderator", undo=say("alice", role("bob", "participant")), **more)


def item(ns, who, change):
    return say("alice", query(DESK, "set", ns, f"<item {who} {change}/>"))


def on_item_by_the_other_key(who, ns=ADMIN):
    """An affiliation by nickname, as ejabberd has it."""
    return Row("onBeforeChangeAffiliation", item(ns, who, "affiliation='member'"),
               {"target": f"bob@{HOST}", "affiliation": "member", "old-affiliation": "none"}, passes="carol available bob member participant",
               error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}", undo=item(ADMIN, f"jid='bob@{HOST}'", "affiliation='none'"))


def on_kick_by_the_other_key(who, ns=ADMIN):
    """A role by address; the address goes before the nickname."""
    return Row("onBeforeChangeUser", item(ns, who, "role='none'"),
               {"what": "role", "target": BOB, "target-nick": "bob", "role": "none", "old-role": "participant"},
               passes="alice unavailable bob none none", error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}", undo=bob_joins())


async def items_are_told_of_whom_they_are_about(stage):
    """What has become of whom; nothing of what changes nothing."""
    start = len(stage.giver.asked)
    await item(ADMIN, "nick='bob'", "affiliation='member'")(stage)
    await item(ADMIN, f"jid='bob@{HOST}/test' nick='carol'", "role='moderator'")(stage)
    await item(ADMIN, f"jid='dave@{HOST}/test'", "role='none'")(stage)
    await item(ADMIN, "nick='bob'", "affiliation='none'")(stage)
    await stage.told(start, "onAfterRemoveAffiliation")
    told = [(one.name, one.attributes["target"]) for one in stage.giver.asked[start:] if one.name.startswith("onAfter")]
    assert told == [("onAfterChangeAffiliation", f"bob@{HOST}"), ("onAfterChangeUser", BOB), ("onAfterRemoveAffiliation", f"bob@{HOST}")], told


def affiliation(word):
    return query(DESK, "set", ADMIN, f"<item jid='carol@{HOST}' affiliation='{word}'><reason>because</reason></item>")


def on_affiliation(event, word, old, shown, **more):
    return Row(event, say("alice", affiliation(word)),
               {"actor": ALICE, "target": f"carol@{HOST}", "affiliation": word, "old-affiliation": old, "reason": "because"},
               passes=f"bob available carol {shown}", undo=say("alice", affiliation(old)), **more)


def bob_leaves(word=""):
    return say("bob", presence(f"{DESK}/bob", f"<status>{word}</status>" if word else "", "unavailable"))


def bob_joins(status=""):
    return say("bob", presence(f"{DESK}/bob", f"<x xmlns='{MUC}'><history maxstanzas='0'/></x>" + (f"<status>{status}</status>" if status else "")))


def on_before_join():
    return Row("onBeforeJoin", sequence(bob_leaves(), bob_joins("hi")),
               {"room": DESK, "actor": BOB, "actor-nick": "bob", "affiliation": "none"}, passes="alice available bob hi none participant",
               error=f"bob {TIMEOUT_S}", changed=presence("x@y", f"<x xmlns='{MUC}'/><status>HI</status>"),
               change="alice available bob HI none participant", undo=bob_joins())


def on_after_join():
    return Row("onAfterJoin", sequence(bob_leaves(), bob_joins()), {"room": DESK, "actor": BOB, "actor-nick": "bob", "affiliation": "none"})


def on_leave():
    return Row("onLeave", bob_leaves("bye"), {"room": DESK, "actor": BOB, "actor-nick": "bob", "reason": "bye"},
               passes="alice unavailable bob bye none none", undo=bob_joins())


def on_leave_of_the_kicked():
    return Row("onLeave", say("alice", role("bob", "none")), {"actor": BOB, "reason": "kicked: because"}, undo=bob_joins())


async def a_refused_join_leaves_no_room(stage):
    """The room is made before the join is asked about; without the join it must go."""
    start = len(stage.giver.asked)
    stage.decide("onBeforeJoin", "error")
    stage.alice.heard.clear()
    stage.alice.send_raw(enter(TEA))
    await stage.told(start, "onClose")
    await stage.alice.until(lambda: f"alice {TIMEOUT_S}" in stage.alice.heard, "the refusal", 20)
    stage.giver.decide = lambda one: "pass"


def on_before_subject():
    """The room has noted the new subject when it can be asked about: it can be stopped, not changed."""
    return Row("onBeforeSubject", say("alice", subject("Rates")), {"room": DESK, "actor": ALICE, "actor-nick": "alice"},
               passes="bob says Rates", error=f"alice {TIMEOUT_S}", changed=subject("RATES"), change=f"alice {TIMEOUT_S}")


def on_after_subject():
    return Row("onAfterSubject", say("alice", subject("Rates")), {"room": DESK, "actor": ALICE}, passes="bob says Rates")


def on_invite(event, **more):
    async def act(stage):
        dave = stage.people["dave"] = await stage.person("dave")
        await dave.fence()
        await stage.says("alice", invitation("tea?"))
        await dave.fence()

    async def undo(stage):
        await stage.people.pop("dave").stop()
    return Row(event, act, {"room": DESK, "actor": ALICE, "target": f"dave@{HOST}"}, passes="dave says tea?", undo=undo, **more)


def on_history_of_a_room():
    mam = query(DESK, "set", "urn:xmpp:mam:2", "<set xmlns='http://jabber.org/protocol/rsm'><max>4</max></set>")
    return Row("onHistory", say("bob", mam), {"room": DESK, "actor": BOB, "history-max": "4"}, passes="bob result fin", error=f"bob {TIMEOUT_S}")


# conformance: 35 36 37 38
def on_message(event):
    return Row(event, say("alice", chat(DESK, "hello", "groupchat")), {"room": DESK, "actor": ALICE, "actor-nick": "alice"},
               passes="bob says hello", error=f"alice {TIMEOUT_S}", changed=chat("x@y", "HELLO", "groupchat"), change="bob says HELLO")


# --- beyond the rows

async def a_stanza_is_asked_about_as_often_as_needed(stage):
    start = len(stage.giver.asked)
    await stage.says("alice", chat(DESK, "once", "groupchat"))
    await asyncio.to_thread(wait_until, lambda: len(stage.asked(start, "es_IN")) == 3, 20, "three deliveries")
    names = [(one.name, one.is_awaited) for one in stage.giver.asked[start:] if one.body() == "once"]
    assert names == [("es_OUT", False), ("onBeforeSend", True), ("onBeforeBroadcast", True)] + [("es_IN", False)] * 3, names
    copies = [one.attributes for one in stage.asked(start, "es_IN")]
    assert {one["actor"] for one in copies} == {ALICE} and {one["target"] for one in copies} == {
        f"{name}@{HOST}/test" for name in ("alice", "bob", "carol")}, copies
    start = len(stage.giver.asked)
    await stage.says("alice", f"<message to='bob@{HOST}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
    assert not stage.giver.asked[start:], stage.giver.asked[start:]


async def copies_are_no_events(stage):
    """Carbons and what an archive gives back."""
    other = await stage.person("alice", "second")
    other.send_raw("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
    await other.fence()
    start, carbons = len(stage.giver.asked), []
    other.register_handler(slixmpp.xmlstream.handler.Callback("carbon", slixmpp.xmlstream.matcher.MatchXPath(
        "{jabber:client}message/{urn:xmpp:carbons:2}sent"), carbons.append))
    await stage.says("alice", chat(f"bob@{HOST}/test", "once"))
    await other.fence()
    assert len(carbons) == 1, carbons
    await stage.told(start, "es_IN", lambda one: one.body() == "once")
    await stage.bob.read_archive(None, 20)
    await stage.bob.fence()
    names = [one.name for one in stage.giver.asked[start:] if one.stanza is not None and one.stanza.tag.endswith("message")]
    assert names == ["es_OUT", "es_IN"], names
    await other.stop()


async def words_in_an_error_are_asked_about(stage):
    """To a person and to an occupant, from here and from outside. What says only what went wrong is not asked about; nor is what
    a refusal gives back."""
    reason = "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    async with attached_bot(stage) as bot:
        for say_it, sender, to, asked in ((stage.alice.send_raw, ALICE, BOB, ["es_OUT"]),
                                          (stage.alice.send_raw, ALICE, f"{DESK}/bob", ["es_OUT", "onPacket"]),
                                          (bot.send_raw, f"bot@{BOTS}", BOB, ["e_DELIVER", "es_IN"])):
            stage.bob.heard.clear()
            start = len(stage.giver.asked)
            stage.giver.decide = lambda one: "handle" if one.body() == "psst" else "pass"
            for text in ("<body>psst</body>", f"<body>aloud</body>{reason}", reason, "<body>bare</body>"):
                say_it(f"<message xmlns='jabber:client' from='{sender}' to='{to}' type='error' id='e'>{text}</message>")
            await stage.bob.until(lambda: "bob says bare" in stage.bob.heard, f"the last error to {to}", 20)
            assert stage.bob.heard == ["bob error not-allowed"] * 2 + ["bob says bare"], (to, stage.bob.heard)
            names = [(one.name, one.body()) for one in stage.giver.asked[start:] if one.stanza is not None]
            assert names == [(asked[0], "psst"), *((name, "aloud") for name in asked), *((name, "bare") for name in asked)], (to, names)
    start = len(stage.giver.asked)
    stage.decide("es_OUT", "error")
    await stage.says("alice", chat(f"bob@{HOST}", "refused"))
    assert [one.name for one in stage.giver.asked[start:]] == ["es_OUT"], stage.giver.asked[start:]


async def subscriptions_are_refused(stage):
    """MUC/Sub would make somebody a recipient who is not there; by oneself, by a moderator, in a room that it would make."""
    before = len(stage.giver.asked)
    for who, to, other in (("bob", DESK, ""), ("alice", DESK, f" jid='dave@{HOST}'"), ("alice", TEA, "")):
        stage.people[who].heard.clear()
        await stage.says(who, f"<iq xmlns='jabber:client' type='set' to='{to}' id='q'>"
                              f"<subscribe xmlns='urn:xmpp:mucsub:0' nick='x'{other}><event node='urn:xmpp:mucsub:nodes:messages'/></subscribe></iq>")
        assert stage.people[who].heard == [f"{who} {POLICY}"], (to, stage.people[who].heard)
    stage.bob.heard.clear()
    await stage.says("bob", f"<iq xmlns='jabber:client' type='set' to='{DESK}' id='q'><unsubscribe xmlns='urn:xmpp:mucsub:0'/></iq>")
    assert stage.bob.heard == ["bob result nothing"], stage.bob.heard
    assert not stage.giver.asked[before:], stage.giver.asked[before:]


async def a_resumed_stream_is_no_logout(stage):
    """XEP-0198: the connection breaks, the session goes on on a new one; a real end is told."""
    login = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{base64.b64encode(f'{chr(0)}zoe{chr(0)}{PASSWORD}'.encode()).decode()}</auth>"
    header = f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{HOST}' version='1.0'>"

    async def authenticated():
        session = await RawSession().open(stage)
        await session.ask(login, "<success")
        await session.ask(header, "</stream:features>")
        return session
    start = len(stage.giver.asked)
    first = await authenticated()
    await first.ask("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>", "</iq>")
    enabled = await first.ask("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "<enabled") + await first.until(">")
    key = re.search(r"id='([^']*)'", enabled).group(1)
    first.writer.transport.abort()
    second = await authenticated()
    await second.ask(f"<resume xmlns='urn:xmpp:sm:3' previd='{key}' h='0'/>", "<resumed")
    stage.bob.heard.clear()
    second.writer.write(chat(f"bob@{HOST}", "still here").encode())
    await stage.bob.until(lambda: "bob says still here" in stage.bob.heard, "the resumed session's words", 20)
    await stage.told(start, "es_IN", lambda one: one.body() == "still here")
    events = [one.name for one in stage.giver.asked[start:] if one.attributes.get("actor") == f"zoe@{HOST}/r"]
    assert events == ["e_SESSION", "es_OUT", "es_IN"], events
    second.writer.write(b"</stream:stream>")
    await stage.told(start, "es_END", lambda one: one.attributes["actor"] == f"zoe@{HOST}/r")
    second.close()


async def a_refusal_for_good_names_itself(stage):
    texts = []
    stage.alice.heard.clear()
    stage.alice.add_event_handler("message_error", lambda message: texts.append(message["error"]["text"]))
    for word in ("refuse", "handle"):
        stage.decide("es_OUT", f"{word} Not with this desk")
        await stage.says("alice", chat(f"bob@{HOST}", "hello"))
        stage.giver.decide = lambda one: "pass"
        assert texts == ["Not with this desk"] and f"alice {POLICY}" in stage.alice.heard, (word, texts, stage.alice.heard)
        texts.clear()
        stage.alice.heard.clear()


async def a_verdict_that_cannot_be_carried_out_stops(stage):
    """ejabberd leaves out a hook that fails: what it should have held must not go on then."""
    stage.alice.heard.clear()
    await bob_leaves()(stage)
    stage.decide("onBeforeJoin", presence("x@y", "<priority>no number</priority>"))
    await bob_joins()(stage)
    stage.giver.decide = lambda one: "pass"
    assert f"bob {TIMEOUT_S}" in stage.bob.heard and "alice available bob none participant" not in stage.alice.heard, stage.bob.heard
    await bob_joins()(stage)


async def order_is_kept_whatever_the_verdicts_take(stage):
    stage.giver.decide = lambda one: time.sleep(len(one.body() or "") % 3 * 0.01) or "pass"
    start, clients = len(stage.giver.asked), (stage.alice, stage.bob, stage.carol)
    await asyncio.gather(*(client.post(DESK, f"{client.boundjid.user} {'x' * (i % 5)} {i}") for i in range(10) for client in clients))
    stage.giver.decide = lambda one: "pass"
    asked = [one.body() for one in stage.asked(start, "onBeforeBroadcast")]
    for client in clients:
        await client.until(lambda client=client: len([e for e in client.seen if e[3] in asked]) == len(asked) == 30, "all posts")
        assert [entry[3] for entry in client.seen if entry[3] in asked] == asked, "another order"


# conformance: 50 55 56
async def no_verdict_is_an_error_within_the_limit(stage):
    def silence_but_for(first=None):
        def word(one):
            if one.name == first and one.is_awaited:
                time.sleep(LIMIT_S * 0.7)
            return "pass" if one.name in (first, "x-snapshot") else "silence"
        stage.giver.decide = word

    async def seconds(awaitable, expected):
        began = time.monotonic()
        try:
            await awaitable
            condition = "accepted"
        except Refused as error:
            condition = str(error)
        assert condition == expected and LIMIT_S - 0.2 <= time.monotonic() - began <= LIMIT_S + 2, (condition, time.monotonic() - began)
    zoe = []

    async def log_in():
        zoe.append(await stage.person("zoe"))
    silence_but_for()
    # Posts wait for each other in the room; the limit of each counts from its arrival.
    posts = [seconds(client.post(DESK, "x"), "remote-server-timeout") for client in (stage.alice, stage.bob, stage.carol)]
    await asyncio.gather(*posts, seconds(stage.bob.tell(f"carol@{HOST}", "x"), "remote-server-timeout"), seconds(log_in(), "accepted"))
    # The questions of one act share one limit.
    for first, act in (("onBeforeSend", lambda: stage.alice.post(DESK, "x")), ("es_OUT", lambda: stage.alice.whisper(DESK, "bob", "x"))):
        silence_but_for(first)
        await seconds(act(), "remote-server-timeout")
    stage.giver.decide = lambda one: "pass"
    start = len(stage.giver.asked)
    await zoe[0].stop()
    await stage.told(start, "es_END")


# conformance: 58
async def a_short_restart_is_invisible(stage):
    """What is unanswered comes again byte for byte; then who is there."""
    start = len(stage.giver.asked)
    stage.decide("onBeforeSend", "silence")
    post = asyncio.create_task(stage.alice.post(DESK, "during"))
    first = await stage.told(start, "onBeforeSend")
    stage.giver.stop()
    stage.giver.decide = lambda one: "pass"
    stage.giver.start()
    await post
    second = stage.asked(start, "onBeforeSend")[-1]
    assert second is not first and second.id == first.id and second.attributes == first.attributes, (first, second)
    await stage.told(start, "x-snapshot", lambda one: one.stanza.tag.endswith("end"))
    parts = [one.stanza for one in stage.asked(start, "x-snapshot")]
    sessions = {element.get("jid") for part in parts if part.tag.endswith("sessions") for element in part}
    rooms = {part.get("jid"): {(element.get("jid"), element.get("nick")) for element in part} for part in parts if part.tag.endswith("room")}
    people = {f"{name}@{HOST}/test" for name in ("alice", "bob", "carol")}
    assert sessions == people and rooms == {DESK: {(jid, jid.partition("@")[0]) for jid in people}}, (sessions, rooms)


# conformance: 54 59
async def without_a_link_for_long_all_is_bounced_at_once(stage):
    stage.giver.stop()
    began = time.monotonic()
    with contextlib.suppress(Refused):
        await stage.alice.post(DESK, "held until the limit")
        raise AssertionError("accepted without a link")
    await asyncio.to_thread(wait_until, lambda: time.monotonic() - began > LIMIT_S, 20, "the limit to pass")
    began = time.monotonic()
    for _ in range(3):
        with contextlib.suppress(Refused):
            await stage.alice.tell(f"bob@{HOST}", "x")
            raise AssertionError("accepted without a link")
    assert time.monotonic() - began < LIMIT_S, "held although the link is gone for long"
    numbers = [int(one.attributes["seq"]) for one in stage.giver.asked]
    start = len(stage.giver.asked)
    stage.giver.start()
    await stage.told(start, "x-snapshot", lambda one: one.stanza.tag.endswith("end"))
    assert int(stage.giver.asked[start].attributes["seq"]) > max(numbers) + 3, "what could not be sent must use up numbers"
    assert await stage.alice.post(DESK, "back")


LINK = """
    ets:new(ejabberd_modules, [named_table, {keypos, 2}]),
    ets:insert(ejabberd_modules, {ejabberd_module, {mod_verbatim, <<"h">>}, #{host => <<"127.0.0.1">>, port => 1, component => <<"c">>,
        secret => <<"a-secret-word">>, node => <<"n">>, verdict_timeout => 20000, reconnect_min => 500, reconnect_max => 500,
        pending_max => 9}, 1}),
    {ok, Pid} = mod_verbatim_link:start_link(<<"h">>),
    unlink(Pid),
    mod_verbatim_link:tell(<<"h">>, <<"onAfterSubject">>, [{<<"actor">>, <<"somebody">>}], {xmlcdata, <<"what was said">>}),
    io:format("~p~n", [sys:get_status(Pid)]),
    catch gen_server:call(Pid, {nobody_knows, <<"what was asked">>}),
    timer:sleep(200), halt().
"""


async def the_link_shows_nothing_of_what_was_said(stage):
    """Neither to who looks at its state nor to the log when it ends badly."""
    environment = {**os.environ, "ERL_LIBS": os.path.dirname(find_program())}
    done = await asyncio.to_thread(subprocess.run, ["erl", "-noinput", "-pa", f"{stage.server.dir}/tap", "-eval", LINK], capture_output=True,
                                   text=True, timeout=60, check=False, env=environment)
    shown = done.stdout + done.stderr
    assert "unanswered => 1" in shown and "terminating" in shown, shown
    for word in ("a-secret-word", "somebody", "what was said", "what was asked"):
        assert word not in shown and str(list(word.encode()))[1:-1].replace(" ", "") not in shown.replace(" ", ""), (word, shown)


def declared():
    with open(os.path.join(TAP_DIR, "mod_verbatim.erl"), encoding="utf-8") as file:
        return {name: may for name, may in re.findall(r'\{<<"(\w+)">>, (\w+), \w+\}', file.read())}


FIRST = {"e_REGISTER": e_register, "e_AUTH": e_auth, "e_SESSION es_END": e_session_and_es_end}
CHECKS = {
    "es_OUT": es_out(), "es_IN": es_in(), "e_DELIVER": e_deliver, "e_OFFLINE": e_offline(), "onHistory": on_history_of_the_own_archive(),
    "onBeforeRoomCreate": on_before_room_create(), "a room by configuring": on_before_room_create_by_configuring(),
    "onAfterRoomCreate": on_after_room_create(), "onClose": on_close(),
    "onDestroy": on_destroy, "onPacket": on_packet(), "onBeforeMetaInfoSet onAfterMetaInfoSet": on_meta_info_set,
    "onBeforeChangeUser nick": on_change_nick("onBeforeChangeUser", error=f"bob {TIMEOUT_S}"),
    "onAfterChangeUser nick": on_change_nick("onAfterChangeUser"),
    "onBeforeChangeUser role": on_change_role("onBeforeChangeUser", error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}"),
    "onAfterChangeUser role": on_change_role("onAfterChangeUser"),
    "onBeforeChangeAffiliation": on_affiliation("onBeforeChangeAffiliation", "admin", "member", "admin moderator",
                                                error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}"),
    "onAfterChangeAffiliation": on_affiliation("onAfterChangeAffiliation", "admin", "member", "admin moderator"),
    "onBeforeRemoveAffiliation": on_affiliation("onBeforeRemoveAffiliation", "none", "member", "none participant",
                                                error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}"),
    "onAfterRemoveAffiliation": on_affiliation("onAfterRemoveAffiliation", "none", "member", "none participant"),
    "affiliation by nickname": on_item_by_the_other_key("nick='bob'"),
    "affiliation by the owner's iq": on_item_by_the_other_key("nick='bob'", OWNER),
    "kick by address": on_kick_by_the_other_key(f"jid='bob@{HOST}/test'"),
    "kick by address before nickname": on_kick_by_the_other_key(f"jid='bob@{HOST}/test' nick='carol'"),
    "kick by the owner's iq": on_kick_by_the_other_key("nick='bob'", OWNER), "items": items_are_told_of_whom_they_are_about,
    "onBeforeJoin": on_before_join(), "onAfterJoin": on_after_join(), "onLeave": on_leave(), "onLeave kicked": on_leave_of_the_kicked(),
    "refused join": a_refused_join_leaves_no_room, "onBeforeSubject": on_before_subject(), "onAfterSubject": on_after_subject(),
    "onBeforeInvite": on_invite("onBeforeInvite", error=f"alice {TIMEOUT_S}", changed=invitation("TEA?"), change="dave says TEA?"),
    "onAfterInvite": on_invite("onAfterInvite"), "onHistory of a room": on_history_of_a_room(),
    "onBeforeSend": on_message("onBeforeSend"), "onBeforeBroadcast": on_message("onBeforeBroadcast"),
    "as often as needed": a_stanza_is_asked_about_as_often_as_needed, "copies": copies_are_no_events,
    "words in an error": words_in_an_error_are_asked_about, "subscriptions": subscriptions_are_refused,
    "what the link shows": the_link_shows_nothing_of_what_was_said,
    "resumed stream": a_resumed_stream_is_no_logout, "refusal for good": a_refusal_for_good_names_itself,
    "no way to carry out": a_verdict_that_cannot_be_carried_out_stops, "order": order_is_kept_whatever_the_verdicts_take, "no verdict": no_verdict_is_an_error_within_the_limit,
    "short restart": a_short_restart_is_invisible, "no link": without_a_link_for_long_all_is_bounced_at_once,
}


def what_is_told_is_what_is_declared(stage):
    told = set(stage.giver.names()) - {"x-snapshot"}
    possible = {name for name, may in declared().items() if may != "none"}
    assert len(declared()) == 40 and told == possible, f"told and not declared: {told - possible}, declared and not told: {possible - told}"


def make(folder, port):
    return Ejabberd(folder, {"port": port, "component": COMPONENT, "secret": SECRET, "verdict_timeout": LIMIT_S * 1000,
                             "reconnect_min": 100, "reconnect_max": 300}, component=BOTS)


run_checks("ejabberd_tap", make, CHECKS, before=FIRST, after=what_is_told_is_what_is_declared, has_room_processes=True, limit_s=240,
           expected_error="Bounced, for it could not be asked about")
