"""Every row of the event map against a real Prosody and real clients: what is told, and what each verdict does.

One named check a row (tests/support/event_rows.py).
"""
import asyncio
import base64
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from event_rows import (ADMIN, DESK, INFO, MUC, OWNER, POLICY, TEA, TIMEOUT_S, USER, Person, RawSession, Row, chat,  # noqa: E402
                        invitation, presence, query, say, sequence, settings, subject)
from prosody import HOST, PASSWORD, ROOMS, TAP_DIR, Prosody  # noqa: E402
from tap_stage import COMPONENT, SECRET, run_checks  # noqa: E402
from xmpp_client import slixmpp  # noqa: E402

BOTS = "bots.example"


# --- people

def e_auth_success():
    async def act(stage):
        await (await stage.person("zoe")).stop()
    return Row("e_AUTH", act, {"actor": f"zoe@{HOST}", "reason": "success"})


async def e_auth_failure(stage):
    session, start = await RawSession().open(stage), len(stage.giver.asked)
    await session.ask("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
                      f"{base64.b64encode(b'no separators').decode()}</auth>", "</failure>")
    asked = await stage.told(start, "e_AUTH")
    assert asked.attributes["reason"] != "success" and "actor" not in asked.attributes, asked.attributes
    session.close()


async def e_register(stage):
    """The test's accounts are open: every name exists, so what is let through meets a conflict."""
    for number, (verdict, answer) in enumerate((("pass", "conflict"), ("error", "remote-server-timeout"), ("handle", "policy-violation"))):
        session, start = await RawSession().open(stage), len(stage.giver.asked)
        stage.decide("e_REGISTER", verdict)
        said = await session.ask(f"<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>new{number}</username>"
                                 "<password>secret</password></query></iq>", "</iq>")
        assert answer in said, (verdict, said)
        asked = await stage.told(start, "e_REGISTER")
        assert asked.attributes["actor"] == f"new{number}@{HOST}" and "secret" not in str(asked.attributes), asked.attributes
        session.close()
    stage.giver.decide = lambda one: "pass"


async def e_session(stage):
    """Without a verdict a login goes on; what is handled is closed."""
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
    logins = stage.asked(start, "e_SESSION")
    assert [one.attributes["actor"] for one in logins] == [f"zoe@{HOST}/test"] * 3 and logins[0].attributes["peer"], logins


def es_end():
    async def act(stage):
        await (await stage.person("zoe")).stop()
    return Row("es_END", act, {"actor": f"zoe@{HOST}/test"})


# conformance: 35 36 37 38
def es_out():
    hello = chat(f"bob@{HOST}", "hello")
    return Row("es_OUT", say("alice", hello), {"actor": f"alice@{HOST}/test", "target": f"bob@{HOST}", "ptype": "message"},
               passes="bob says hello", error=f"alice {TIMEOUT_S}", changed=chat("x@y", "HELLO"), change="bob says HELLO")


def es_out_to_a_room():
    return Row("es_OUT", say("alice", chat(DESK, "hello", "groupchat")), {"actor": f"alice@{HOST}/test", "target": DESK},
               passes="bob says hello", error=f"alice {TIMEOUT_S}", changed=chat("x@y", "HELLO"), change="bob says HELLO")


def es_out_presence():
    """No outage blocks it: it goes on after an error."""
    return Row("es_OUT", say("alice", presence(f"bob@{HOST}", "<status>here</status>")), {"ptype": "presence"},
               passes="bob available test here", error="bob available test here",
               changed=presence("x@y", "<status>HERE</status>"), change="bob available test HERE")


def es_out_iq():
    bob = f"bob@{HOST}/test"
    return Row("es_OUT", say("alice", query(bob, "get", "urn:x")), {"ptype": "iq"}, passes="bob get query",
               error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}", changed=query("x@y", "get", "urn:x", name="other"),
               change="bob get other")


def es_out_subscription():
    return Row("es_OUT", say("alice", presence(f"bob@{HOST}", kind="subscribe")),
               {"ptype": "subscription", "target": f"bob@{HOST}"})


def es_in():
    return Row("es_IN", say("alice", chat(f"bob@{HOST}", "hello")), {"actor": f"alice@{HOST}/test", "target": f"bob@{HOST}"},
               passes="bob says hello", error=f"alice {TIMEOUT_S}", changed=chat("x@y", "HELLO"), change="bob says HELLO")


# conformance: 49
async def e_deliver(stage):
    """From outside, where nothing may wait: held all the same, as e_DELIVER and again as es_IN."""
    bot = slixmpp.ComponentXMPP(BOTS, PASSWORD, "127.0.0.1", stage.server.component_port)
    attached, all_errors, errors = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future(), []

    def on_error(message):
        errors.append(message["id"])
        if len(errors) == 2:
            all_errors.set_result(True)
    bot.add_event_handler("session_start", lambda _: attached.done() or attached.set_result(True))
    bot.add_event_handler("message_error", on_error)
    bot.connect()
    await asyncio.wait_for(attached, 20)
    start = len(stage.giver.asked)
    for event in ("e_DELIVER", "es_IN"):
        for verdict, line in (("pass", "hello"), ("handle", None), (chat("x@y", "HELLO"), "HELLO"), ("error", None)):
            stage.bob.heard.clear()
            stage.giver.decide = lambda one, event=event, verdict=verdict: (
                verdict if one.name == event and one.body() != "after" else "pass")
            for text in ("hello", "after"):
                bot.send_raw(f"<message from='bot@{BOTS}' to='bob@{HOST}' type='chat' id='{event}'><body>{text}</body></message>")
            await stage.bob.until(lambda: "bob says after" in stage.bob.heard, f"what comes after {event} {verdict[:5]}", 20)
            said = [heard[9:] for heard in stage.bob.heard if heard.startswith("bob says ")]
            assert said == ([line] if line else []) + ["after"], (event, verdict, said)
    await asyncio.wait_for(all_errors, 20)
    assert errors == ["e_DELIVER", "es_IN"], errors
    first = stage.asked(start, "e_DELIVER")[0]
    assert first.attributes["actor"] == f"bot@{BOTS}" and first.attributes["ptype"] == "message", first.attributes
    stage.giver.decide = lambda one: "pass"
    await bot.disconnect()


def e_offline():
    async def act(stage):
        await stage.says("alice", chat(f"dave@{HOST}", "for later"))
        dave = stage.people["dave"] = await stage.person("dave")
        await dave.fence()

    async def undo(stage):
        await stage.people.pop("dave").stop()
    return Row("e_OFFLINE", act, {"actor": f"alice@{HOST}/test", "target": f"dave@{HOST}"}, passes="dave old for later",
               error=f"alice {TIMEOUT_S}", changed=chat("x@y", "FOR LATER"), change="dave old FOR LATER", undo=undo)


def e_server():
    version = query(HOST, "get", "jabber:iq:version")
    return Row("e_SERVER", say("alice", version), {"target": HOST}, passes="alice result query", error=f"alice {TIMEOUT_S}",
               handle=f"alice {POLICY}", changed=query("x@y", "get", "urn:none"), change="alice error service-unavailable")


async def e_stats(stage):
    asked = await stage.told(0, "e_STATS")
    assert not asked.is_awaited, "periodic figures are waited for"


def e_discofeat():
    return Row("e_DISCOFEAT", say("alice", query(f"bob@{HOST}", "get", INFO)), {"target": f"bob@{HOST}"},
               passes="alice result query", error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}")


def e_discofeat_of_the_server():
    return Row("e_DISCOFEAT", say("alice", query(HOST, "get", INFO)), {"target": HOST}, passes="alice result query",
               error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}")


# --- rooms

def on_service_packet():
    return Row("onServicePacket", say("alice", query(ROOMS, "get", "http://jabber.org/protocol/disco#items")), {},
               passes="alice result query", error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}",
               changed=query("x@y", "get", "urn:none"), change="alice error service-unavailable")


def on_service_packet_to_no_room():
    return Row("onServicePacket", say("alice", chat(f"none@{ROOMS}", "hello", "groupchat")), {},
               passes="alice error item-not-found", error=f"alice {TIMEOUT_S}")


def on_service_disco_info():
    return Row("onServiceDiscoInfo", say("alice", query(ROOMS, "get", INFO)), {}, passes="alice result query",
               error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}")


def on_service_reconfig():
    async def act(stage):
        os.kill(stage.server.process.pid, signal.SIGHUP)
    return Row("onServiceReconfig", act)


def enter(room, status=""):
    return presence(f"{room}/alice", f"<x xmlns='{MUC}'/>" + (f"<status>{status}</status>" if status else ""))


async def leave_tea(stage):
    await stage.says("alice", presence(f"{TEA}/alice", kind="unavailable"))


def on_before_room_create():
    return Row("onBeforeRoomCreate", say("alice", enter(TEA, "hi")), {"room": TEA, "actor": f"alice@{HOST}/test", "persistent": "0"},
               passes="alice available alice hi owner moderator", error=f"alice {TIMEOUT_S}", changed=enter("x@y", "HI"),
               change="alice available alice HI owner moderator", undo=leave_tea)


def on_after_room_create():
    return Row("onAfterRoomCreate", say("alice", enter(TEA)), {"room": TEA, "actor": f"alice@{HOST}/test"},
               passes="alice available alice owner moderator", undo=leave_tea)


def on_close():
    return Row("onClose", sequence(say("alice", enter(TEA)), leave_tea), {"room": TEA}, passes="alice unavailable alice owner none")


def on_destroy():
    act = sequence(say("alice", enter(TEA)), say("alice", query(TEA, "set", OWNER, f"<destroy jid='new@{ROOMS}'><reason>over</reason></destroy>")))
    return Row("onDestroy", act, {"room": TEA, "actor": f"alice@{HOST}/test", "reason": "over", "alternate": f"new@{ROOMS}"},
               passes="alice result nothing", error="alice error not-allowed", handle="alice error not-allowed", undo=leave_tea)


def on_packet_private():
    return Row("onPacket", say("alice", chat(f"{DESK}/bob", "psst")),
               {"room": DESK, "actor": f"alice@{HOST}/test", "actor-nick": "alice", "target": f"bob@{HOST}/test", "target-nick": "bob"},
               passes="bob says psst", error=f"alice {TIMEOUT_S}", changed=chat("x@y", "PSST"), change="bob says PSST")


def on_packet_iq():
    return Row("onPacket", say("alice", query(f"{DESK}/bob", "get", "urn:x")), {"room": DESK, "actor": f"alice@{HOST}/test"},
               passes="bob get query", error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}",
               changed=query("x@y", "get", "urn:x", name="other"), change="bob get other")


def on_packet_voice():
    """A visitor asks for a voice: moderators would hear it."""
    form = (f"<message xmlns='jabber:client' to='{DESK}' id='v'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            f"<value>{MUC}#request</value></field><field var='muc#role'><value>participant</value></field></x></message>")
    return Row("onPacket", say("bob", form), {"room": DESK, "actor": f"bob@{HOST}/test"}, error=f"bob {TIMEOUT_S}")


def on_meta_info_get():
    return Row("onMetaInfoGet", say("alice", query(DESK, "get", OWNER)), {"room": DESK, "actor": f"alice@{HOST}/test"},
               passes="alice result query", error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}")


def on_meta_info_set():
    """What the room is called afterwards shows in the next event."""
    async def act(stage):
        await stage.says("alice", settings("Rates"))

    async def name(stage):
        start = len(stage.giver.asked)
        await stage.says("alice", query(DESK, "get", INFO))
        return (await stage.told(start, "onExamineRoom")).attributes.get("room-name")

    async def run(stage):
        for verdict, expected, line in (("error", None, TIMEOUT_S), ("handle", None, POLICY), (settings("RATES"), "RATES", "result nothing"),
                                        ("pass", "Rates", "result nothing")):
            stage.alice.heard.clear()
            start = len(stage.giver.asked)
            stage.decide("onBeforeMetaInfoSet", verdict)
            await act(stage)
            assert f"alice {line}" in stage.alice.heard, (verdict[:6], stage.alice.heard)
            assert len(stage.asked(start, "onAfterMetaInfoSet")) == (1 if expected else 0), verdict
            assert await name(stage) == expected, (verdict[:6], await name(stage))
        after = await stage.told(start, "onAfterMetaInfoSet")
        assert after.attributes["actor"] == f"alice@{HOST}/test" and after.attributes["room"] == DESK, after.attributes
    return run


def on_examine_room():
    return Row("onExamineRoom", say("alice", query(DESK, "get", INFO)), {"room": DESK, "actor": f"alice@{HOST}/test"},
               passes="alice result query")


def on_change_nick():
    back = sequence(say("bob", presence(f"{DESK}/bob")))
    return Row("onBeforeChangeUser", say("bob", presence(f"{DESK}/robert")),
               {"what": "nick", "old-nick": "bob", "new-nick": "robert", "actor": f"bob@{HOST}/test"},
               passes="alice available robert none participant", error=f"bob {TIMEOUT_S}",
               changed=presence("x@y", "<status>hi</status>"), change="alice available robert hi none participant", undo=back)


def on_changed_nick():
    return Row("onAfterChangeUser", say("bob", presence(f"{DESK}/robert")), {"what": "nick", "old-nick": "bob", "new-nick": "robert"},
               passes="alice available robert none participant", undo=say("bob", presence(f"{DESK}/bob")))


def role(nick, word):
    return query(DESK, "set", ADMIN, f"<item nick='{nick}' role='{word}'><reason>because</reason></item>")


def on_change_role():
    return Row("onBeforeChangeUser", say("alice", role("bob", "moderator")),
               {"what": "role", "target": f"bob@{HOST}/test", "target-nick": "bob", "old-role": "participant", "role": "moderator"},
               passes="carol available bob none moderator", error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}",
               undo=say("alice", role("bob", "participant")))


def on_changed_role():
    return Row("onAfterChangeUser", say("alice", role("bob", "moderator")),
               {"what": "role", "actor": f"alice@{HOST}/test", "target": f"bob@{HOST}/test", "old-role": "participant",
                "role": "moderator", "reason": "because"}, undo=say("alice", role("bob", "participant")))


def on_change_presence():
    """No outage blocks it."""
    return Row("onBeforeChangeUser", say("bob", presence(f"{DESK}/bob", "<status>lunch</status>")),
               {"what": "presence", "actor": f"bob@{HOST}/test"}, passes="alice available bob lunch none participant",
               error="alice available bob lunch none participant", changed=presence("x@y", "<status>LUNCH</status>"),
               change="alice available bob LUNCH none participant")


def on_changed_presence():
    return Row("onAfterChangeUser", say("bob", presence(f"{DESK}/bob", "<status>back</status>")),
               {"what": "presence", "actor": f"bob@{HOST}/test"}, passes="alice available bob back none participant")


def bob_leaves(word=""):
    return say("bob", presence(f"{DESK}/bob", f"<status>{word}</status>" if word else "", "unavailable"))


def bob_joins(status=""):
    return say("bob", presence(f"{DESK}/bob", f"<x xmlns='{MUC}'><history maxstanzas='0'/></x>" + (f"<status>{status}</status>" if status else "")))


def on_change_join():
    return Row("onBeforeChangeUser", sequence(bob_leaves(), bob_joins()), {"what": "join", "actor": f"bob@{HOST}/test"},
               passes="alice available bob none participant", error=f"bob {TIMEOUT_S}", undo=bob_joins())


def on_changed_join():
    return Row("onAfterChangeUser", sequence(bob_leaves(), bob_joins()), {"what": "join", "actor": f"bob@{HOST}/test"})


def on_change_leave():
    return Row("onBeforeChangeUser", bob_leaves("bye"), {"what": "leave", "actor": f"bob@{HOST}/test", "reason": "bye"}, undo=bob_joins())


def on_changed_leave():
    return Row("onAfterChangeUser", bob_leaves("bye"), {"what": "leave", "actor": f"bob@{HOST}/test", "reason": "bye"}, undo=bob_joins())


def on_before_join():
    changed = presence("x@y", f"<x xmlns='{MUC}'/><status>HI</status>")
    return Row("onBeforeJoin", sequence(bob_leaves(), bob_joins("hi")), {"room": DESK, "actor": f"bob@{HOST}/test", "actor-nick": "bob",
               "role": "participant", "affiliation": "none"}, passes="alice available bob hi none participant",
               error=f"bob {TIMEOUT_S}", changed=changed, change="alice available bob HI none participant", undo=bob_joins())


def on_after_join():
    return Row("onAfterJoin", sequence(bob_leaves(), bob_joins()), {"actor": f"bob@{HOST}/test", "actor-nick": "bob", "role": "participant"})


def on_leave():
    return Row("onLeave", bob_leaves("bye"), {"actor": f"bob@{HOST}/test", "actor-nick": "bob", "reason": "bye"},
               passes="alice unavailable bob bye none none", undo=bob_joins())


def affiliation(word):
    return query(DESK, "set", ADMIN, f"<item jid='carol@{HOST}' affiliation='{word}'><reason>because</reason></item>")


def on_affiliation(event, word, old, shown):
    undo = say("alice", affiliation(old))
    told = {"actor": f"alice@{HOST}/test", "target": f"carol@{HOST}", "affiliation": word, "old-affiliation": old, "reason": "because"}
    before = Row("onBefore" + event, say("alice", affiliation(word)), told, passes=f"bob available carol {shown}",
                 error=f"alice {TIMEOUT_S}", handle=f"alice {POLICY}", undo=undo)
    after = Row("onAfter" + event, say("alice", affiliation(word)), told, passes=f"bob available carol {shown}", undo=undo)

    async def run(stage):
        await before.run(stage)
        await after.run(stage)
    return run


def on_before_subject():
    return Row("onBeforeSubject", say("alice", subject("Rates")), {"room": DESK, "actor": f"alice@{HOST}/test", "actor-nick": "alice"},
               passes="bob says Rates", error=f"alice {TIMEOUT_S}", changed=subject("RATES"), change="bob says RATES")


def on_after_subject():
    return Row("onAfterSubject", say("alice", subject("Rates")), {"room": DESK, "actor": f"alice@{HOST}/test"}, passes="bob says Rates")


def on_invite(event, **more):
    async def act(stage):
        dave = stage.people["dave"] = await stage.person("dave")
        await dave.fence()
        await stage.says("alice", invitation("tea?"))
        await dave.fence()

    async def undo(stage):
        await stage.people.pop("dave").stop()
    return Row(event, act, {"room": DESK, "actor": f"alice@{HOST}/test", "target": f"dave@{HOST}", "reason": "tea?"},
               passes="dave says tea?", undo=undo, **more)


def on_decline():
    decline = (f"<message xmlns='jabber:client' to='{DESK}' id='d'><x xmlns='{USER}'><decline to='alice@{HOST}/test'><reason>no time"
               "</reason></decline></x></message>")
    return Row("onPacket", say("bob", decline), {"room": DESK, "actor": f"bob@{HOST}/test"}, error=f"bob {TIMEOUT_S}")


async def on_history_of_a_join(stage):
    """Without a verdict the history is withheld, the join stands."""
    join = presence(f"{DESK}/bob", f"<x xmlns='{MUC}'><history maxstanzas='3'/></x>")
    await stage.says("alice", chat(DESK, "an old word", "groupchat"))
    for verdict in ("error", "pass"):
        await bob_leaves()(stage)
        stage.bob.heard.clear()
        stage.decide("onHistory", verdict)
        start = len(stage.giver.asked)
        await stage.says("bob", join)
        asked = await stage.told(start, "onHistory")
        assert asked.attributes["history-max"] == "3" and asked.attributes["actor"] == f"bob@{HOST}/test", asked.attributes
        assert "bob available bob none participant" in stage.bob.heard, stage.bob.heard
        assert ("bob old an old word" in stage.bob.heard) == (verdict == "pass"), stage.bob.heard


def on_history_of_an_archive():
    mam = query(DESK, "set", "urn:xmpp:mam:2", "<set xmlns='http://jabber.org/protocol/rsm'><max>4</max></set>")
    return Row("onHistory", say("bob", mam), {"room": DESK, "actor": f"bob@{HOST}/test", "history-max": "4"},
               passes="bob result fin", error=f"bob {TIMEOUT_S}")


# conformance: 35 36 37 38
def on_message(event):
    return Row(event, say("alice", chat(DESK, "hello", "groupchat")), {"room": DESK, "actor": f"alice@{HOST}/test", "actor-nick": "alice"},
               passes="bob says hello", error=f"alice {TIMEOUT_S}", changed=chat("x@y", "HELLO", "groupchat"), change="bob says HELLO")


def declared():
    """Event names of the tap's own list that it can give."""
    with open(os.path.join(TAP_DIR, "verbatim", "events.lib.lua"), encoding="utf-8") as file:
        return {name: may for name, may in re.findall(r'^\t(\w+) = \{ "(\w+)", "\w+" \};', file.read(), re.MULTILINE)}


CHECKS = {
    "e_AUTH": e_auth_success(), "e_AUTH of a failure": e_auth_failure, "e_REGISTER": e_register, "e_SESSION": e_session,
    "es_END": es_end(), "es_OUT": es_out(), "es_OUT to a room": es_out_to_a_room(), "es_OUT of presence": es_out_presence(),
    "es_OUT of an iq": es_out_iq(), "es_OUT of a subscription": es_out_subscription(), "es_IN": es_in(), "e_DELIVER": e_deliver,
    "e_OFFLINE": e_offline(), "e_SERVER": e_server(), "e_STATS": e_stats, "e_DISCOFEAT": e_discofeat(),
    "e_DISCOFEAT of the server": e_discofeat_of_the_server(),
    "onServicePacket": on_service_packet(), "onServicePacket to no room": on_service_packet_to_no_room(),
    "onServiceDiscoInfo": on_service_disco_info(), "onServiceReconfig": on_service_reconfig(),
    "onBeforeRoomCreate": on_before_room_create(), "onAfterRoomCreate": on_after_room_create(), "onClose": on_close(),
    "onDestroy": on_destroy(), "onPacket": on_packet_private(), "onPacket of an iq": on_packet_iq(),
    "onPacket of a voice request": on_packet_voice(), "onPacket of a decline": on_decline(),
    "onMetaInfoGet": on_meta_info_get(), "onBeforeMetaInfoSet onAfterMetaInfoSet": on_meta_info_set(),
    "onExamineRoom": on_examine_room(), "onBeforeChangeUser nick": on_change_nick(), "onAfterChangeUser nick": on_changed_nick(),
    "onBeforeChangeUser role": on_change_role(), "onAfterChangeUser role": on_changed_role(),
    "onBeforeChangeUser presence": on_change_presence(), "onAfterChangeUser presence": on_changed_presence(),
    "onBeforeChangeUser join": on_change_join(), "onAfterChangeUser join": on_changed_join(),
    "onBeforeChangeUser leave": on_change_leave(), "onAfterChangeUser leave": on_changed_leave(),
    "onBeforeChangeAffiliation onAfterChangeAffiliation": on_affiliation("ChangeAffiliation", "admin", "member", "admin moderator"),
    "onBeforeRemoveAffiliation onAfterRemoveAffiliation": on_affiliation("RemoveAffiliation", "none", "member", "none participant"),
    "onBeforeJoin": on_before_join(), "onAfterJoin": on_after_join(), "onLeave": on_leave(),
    "onBeforeSubject": on_before_subject(), "onAfterSubject": on_after_subject(),
    "onBeforeInvite": on_invite("onBeforeInvite", error=f"alice {TIMEOUT_S}", changed=invitation("TEA?"), change="dave says TEA?"),
    "onAfterInvite": on_invite("onAfterInvite"), "onHistory": on_history_of_a_join, "onHistory of an archive": on_history_of_an_archive(),
    "onBeforeSend": on_message("onBeforeSend"), "onBeforeBroadcast": on_message("onBeforeBroadcast"),
}


def each_event_has_a_check(_):
    named = {word for name in CHECKS for word in name.split()}
    missing = {name for name, may in declared().items() if may != "none"} - named
    assert len(declared()) == 40 and not missing, f"{len(declared())} declared; no check for {missing}"


def make(folder, port):
    link = {"verbatim_port": port, "verbatim_component": COMPONENT, "verbatim_secret": SECRET, "verbatim_verdict_timeout": 20,
            "verbatim_reconnect_min": 0.1, "verbatim_reconnect_max": 0.3, "verbatim_more": ["all"],
            "verbatim_packets": ["presence", "iq", "subscription"], "allow_registration": True, "statistics": "internal",
            "statistics_interval": 1, "modules_disabled": ["s2s", "tls"],
            "modules_enabled": ["roster", "saslauth", "disco", "posix", "carbons", "ping", "version", "mam", "offline", "presence",
                                "register_ibr"]}
    return Prosody(folder, link, component=BOTS)


run_checks("prosody_events", make, CHECKS, after=each_event_has_a_check)
