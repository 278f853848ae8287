"""The Prosody tap against a collector that can say anything: verdicts, holds, order, repeats. No services needed.

Also that its Lua compiles and sets no global by mistake.
"""
import asyncio
import contextlib
import glob
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from managed_process import free_port, wait_until  # noqa: E402
from prosody import HOST, PASSWORD, ROOMS, TAP_DIR, Prosody  # noqa: E402
from verdict_giver import VerdictGiver  # noqa: E402
from xmpp_client import ChatClient, Ledger, Refused, slixmpp  # noqa: E402

ROOM = f"desk@{ROOMS}"
BOTS = "bots.example"
LIMIT_S = 2
# Another module acts where nothing may wait: in a timer, outside of any coroutine. It is told what to do by an <iq/>.
TIMER_MODULE = """
local st, timer = require "util.stanza", require "util.timer";
module:hook("iq-set/host/urn:test:timer:act", function (event)
	local origin, what, to = event.origin, event.stanza.tags[1].attr.what, event.stanza.tags[1].attr.to;
	timer.add_task(0, function ()
		if what == "chat" or what == "groupchat" then
			local message = st.message({ from = origin.full_jid, to = to, type = what, id = "timer-"..what });
			prosody.core_post_stanza(origin, message:text_tag("body", "from a timer"), true);
		else
			local room = prosody.hosts[to:match("@([^/]*)")].modules.muc.get_room_from_jid(to:match("^[^/]*"));
			local done = room:set_role(what == "service" or origin.full_jid, to, "visitor");
			local answer = { to = origin.full_jid, id = "timer-"..what, type = done and "normal" or "error" };
			origin.send(st.message(answer, "done"));
		end
	end);
	origin.send(st.reply(event.stanza));
	return true;
end);
"""


def the_lua_is_clean():
    files = [os.path.join(TAP_DIR, "mod_verbatim.lua"), *glob.glob(os.path.join(TAP_DIR, "verbatim", "*.lua"))]
    assert len(files) > 4, files
    for path in files:
        done = subprocess.run(["luac5.4", "-l", "-p", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        written = re.findall(r"SETTABUP.*_ENV \"(\w+)\"", done.stdout)
        read = set(re.findall(r"GETTABUP.*_ENV \"(\w+)\"", done.stdout))
        known = {"module", "prosody", "require", "pairs", "ipairs", "next", "math", "string", "table", "os", "coroutine", "debug",
                 "setmetatable", "tostring", "tonumber", "type", "error", "pcall", "xpcall", "select"}
        assert not written and read <= known, f"{path}: globals set {written}, read {read - known}"
    print("lua: ok")


class Stage:
    """A Prosody, the collector's part, three people in a room."""

    def __init__(self, giver, prosody):
        self.giver, self.prosody = giver, prosody
        self.ledger = Ledger()

    async def client(self, name):
        return await ChatClient(f"{name}@{HOST}/test", "-", self.prosody.port, self.ledger).start()

    async def gather(self):
        self.alice, self.bob, self.carol = [await self.client(name) for name in ("alice", "bob", "carol")]
        for client in (self.alice, self.bob, self.carol):
            await self.join(client)

    async def join(self, client):
        start = len(self.giver.asked)
        await client.join(ROOM, client.boundjid.user)
        await asyncio.to_thread(wait_until, lambda: "onAfterJoin" in self.giver.names(start), 5, "the join to be told")

    async def is_asked(self, start, names):
        """Exactly these events come in; what nobody waits for may take a moment."""
        await asyncio.to_thread(wait_until, lambda: len(self.giver.asked) >= start + len(names), 5,
                                lambda: f"{names}, not only {self.giver.names(start)}")
        assert self.giver.names(start) == names, self.giver.names(start)

    async def is_quiet(self):
        """All that was told on the way here has come in: what is told now comes in behind it."""
        start, word = len(self.giver.asked), "the end of a scenario"
        await self.alice.tell(f"bob@{HOST}", word)
        await asyncio.to_thread(wait_until, lambda: any(asked.name == "es_IN" and asked.body() == word for asked in self.giver.asked[start:]),
                                5, "the last word to be told")

    async def log_in_and_out(self, name):
        client = await self.client(name)
        await client.stop()

    def decide(self, function):
        self.giver.decide = function


async def outcome(awaitable):
    """("accepted" or the error's condition, seconds)."""
    began = time.monotonic()
    try:
        await awaitable
        return "accepted", time.monotonic() - began
    except Refused as error:
        return str(error), time.monotonic() - began


async def a_stanza_is_asked_about_as_often_as_needed(stage):
    start = len(stage.giver.asked)
    await stage.alice.post(ROOM, "once")
    await stage.carol.until(lambda: stage.carol.seen and stage.carol.seen[-1][3] == "once", "the post")
    await stage.is_asked(start, ["es_OUT", "onBeforeSend", "onBeforeBroadcast", "es_IN", "es_IN", "es_IN"])
    assert [asked.is_awaited for asked in stage.giver.asked[start:]] == [False, True, True, False, False, False]
    start = len(stage.giver.asked)
    await stage.alice.tell(f"bob@{HOST}", "once")
    await stage.is_asked(start, ["es_OUT", "es_IN"])
    start = len(stage.giver.asked)
    await stage.alice.whisper(ROOM, "bob", "once")
    await stage.is_asked(start, ["es_OUT", "onPacket", "es_IN"])
    assert [asked.is_awaited for asked in stage.giver.asked[start:]] == [True, True, False]
    # Typing notices are nobody's words.
    start = len(stage.giver.asked)
    stage.alice.send_raw(f"<message to='{ROOM}' type='groupchat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
    await stage.alice.post(ROOM, "typed")
    await stage.is_asked(start, ["es_OUT", "onBeforeSend", "onBeforeBroadcast", "es_IN", "es_IN", "es_IN"])


async def a_changed_stanza_replaces_the_stanza(stage):
    changed = ("<message xmlns='jabber:client' to='elsewhere@x' from='forged@x' id='forged' type='groupchat'>"
               "<body>[redacted] &lt;&amp; é</body></message>")
    stage.decide(lambda asked: changed if asked.name in ("onBeforeSend", "es_OUT") and asked.body() == "secret" else "pass")
    start = len(stage.giver.asked)
    entry = await stage.alice.post(ROOM, "secret")
    await stage.bob.until(lambda: stage.bob.seen[-1][2] == entry["id"], "the changed post")
    assert stage.bob.seen[-1] == (ROOM, "alice", entry["id"], "[redacted] <& é"), stage.bob.seen[-1]
    assert [asked.body() for asked in stage.giver.asked if asked.name == "onBeforeBroadcast"][-1] == "[redacted] <& é"
    await stage.alice.tell(f"bob@{HOST}", "secret")
    await stage.is_asked(start, ["es_OUT", "onBeforeSend", "onBeforeBroadcast", "es_IN", "es_IN", "es_IN", "es_OUT", "es_IN"])
    bodies = [asked.body() for asked in stage.giver.asked[start:] if asked.name == "es_IN"]
    assert set(bodies) == {"[redacted] <& é"}, bodies


async def a_handled_stanza_stops_silently(stage):
    for name, act in (("onBeforeSend", stage.alice.post(ROOM, "stop", timeout=1)),
                      ("onBeforeBroadcast", stage.alice.post(ROOM, "stop", timeout=1)),
                      ("es_OUT", stage.alice.tell(f"bob@{HOST}", "stop", timeout=1)),
                      ("onPacket", stage.alice.whisper(ROOM, "bob", "stop", timeout=1))):
        stage.decide(lambda asked, name=name: "handle" if asked.name == name else "pass")
        try:
            await act
            raise AssertionError(f"{name}: delivered")
        except asyncio.TimeoutError:
            pass
    stage.decide(lambda asked: "pass")
    assert not any(entry[3] == "stop" for entry in stage.bob.seen)


async def a_handled_stanza_tells_the_sender_why_where_the_policy_says_it(stage):
    texts = []
    stage.alice.add_event_handler("message_error", lambda message: texts.append(message["error"]["text"]))
    for name, act in (("onBeforeSend", lambda: stage.alice.post(ROOM, "stop")), ("es_OUT", lambda: stage.alice.tell(f"bob@{HOST}", "stop")),
                      ("onPacket", lambda: stage.alice.whisper(ROOM, "bob", "stop"))):
        stage.decide(lambda asked, name=name: f"handle Not with {name}" if asked.name == name else "pass")
        assert (await outcome(act()))[0] == "policy-violation", name
        assert texts.pop() == f"Not with {name}" and not texts, texts
    stage.decide(lambda asked: "pass")
    assert not any(entry[3] == "stop" for entry in stage.bob.seen)


async def words_in_an_error_are_asked_about(stage):
    heard, start = [], len(stage.giver.asked)
    stage.bob._on_error = lambda message: heard.append(message.xml.findtext("{jabber:client}body"))
    stage.decide(lambda asked: "handle" if asked.body() == "psst" else "pass")
    for text in ("psst", "not for your ears"):
        stage.alice.send_raw(f"<message to='{stage.bob.boundjid.full}' type='error' id='e'><body>{text}</body></message>")
    await stage.alice.tell(f"bob@{HOST}", "that was all")
    del stage.bob._on_error
    stage.decide(lambda asked: "pass")
    asked = [asked.body() for asked in stage.giver.asked[start:] if asked.name == "es_OUT"]
    assert asked == ["psst", "not for your ears", "that was all"] and heard == ["not for your ears"], (asked, heard)


async def words_in_an_error_are_asked_about_in_a_room_and_from_outside(stage, bot=f"bot@{BOTS}/r"):
    """By whom they reach: an occupant, a person. What says only what went wrong is not asked about."""
    async with attached_bot(stage) as component:
        component.send_raw(f"<presence from='{bot}' to='{ROOM}/bot'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        await stage.bob.until(lambda: "bot" in stage.bob.occupants[ROOM], "the component in the room")
        heard, start = [], len(stage.giver.asked)
        stage.bob._on_error = lambda message: (heard.append(message.xml.findtext("{jabber:client}body") or ""), stage.bob._wake())
        stage.decide(lambda asked: "handle" if asked.body() == "psst" else "pass")
        reason = "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        for to in (stage.bob.boundjid.full, f"{ROOM}/bob"):
            for text in (f"<body>psst</body>{reason}", f"<body>aloud</body>{reason}", reason):
                component.send_raw(f"<message from='{bot}' to='{to}' type='error' id='e'>{text}</message>")
        await stage.bob.until(lambda: len(heard) == 4, "two errors with and two without words")
        del stage.bob._on_error
        stage.decide(lambda asked: "pass")
        names = ("e_DELIVER", "es_IN", "onPacket")  # the component's join asks for the room's history meanwhile
        asked = [(one.name, one.body(), one.is_awaited) for one in stage.giver.asked[start:] if one.name in names]
        assert sorted(heard) == ["", "", "aloud", "aloud"], heard
        assert sorted(asked) == [("e_DELIVER", "aloud", True), ("e_DELIVER", "psst", True), ("es_IN", "aloud", False),
                                 ("es_IN", "aloud", True), ("onPacket", "aloud", True), ("onPacket", "psst", True)], asked
        component.send_raw(f"<presence from='{bot}' to='{ROOM}/bot' type='unavailable'/>")
        await stage.alice.until(lambda: "bot" not in stage.alice.occupants[ROOM], "the component to leave")


@contextlib.asynccontextmanager
async def attached_bot(stage):
    bot = slixmpp.ComponentXMPP(BOTS, PASSWORD, "127.0.0.1", stage.prosody.component_port)
    attached = asyncio.get_running_loop().create_future()
    bot.add_event_handler("session_start", lambda _: attached.done() or attached.set_result(True))
    bot.connect()
    await asyncio.wait_for(attached, 10)
    yield bot
    await bot.disconnect()


async def a_refusal_reaches_the_sender(stage):
    stage.decide(lambda asked: "error" if asked.name != "x-snapshot" else "pass")
    results = [await outcome(stage.alice.post(ROOM, "x")), await outcome(stage.alice.tell(f"bob@{HOST}", "x")),
               await outcome(stage.alice.whisper(ROOM, "bob", "x")), await outcome(stage.alice.join(f"new@{ROOMS}", "a")),
               await outcome(stage.alice.admin(ROOM, nick="carol", role="none"))]
    assert all(condition == "remote-server-timeout" and seconds < 1 for condition, seconds in results), results
    stage.decide(lambda asked: "error" if asked.name == "onBeforeBroadcast" else "pass")
    assert (await outcome(stage.alice.post(ROOM, "too late")))[0] == "remote-server-timeout"
    stage.decide(lambda asked: "pass")
    assert not any(entry[3] in ("x", "too late") for entry in stage.bob.seen)
    late = await stage.client("late")
    await late.join(ROOM, "late", history=50)
    await late.post(ROOM, "what was refused is in no history either")
    assert not any(entry[3] in ("x", "too late") for entry in late.history), late.history
    await late.stop()
    # The refused room does not exist: a first join creates it.
    start = len(stage.giver.asked)
    await stage.alice.join(f"new@{ROOMS}", "a")
    assert "onBeforeRoomCreate" in stage.giver.names(start)
    stage.alice.leave(f"new@{ROOMS}")


# conformance: 50 55 56
async def no_verdict_is_an_error_within_the_limit(stage):
    stage.decide(lambda asked: "silence")
    results = await asyncio.gather(*(outcome(client.post(ROOM, "x")) for client in (stage.alice, stage.bob, stage.carol)),
                                   outcome(stage.log_in_and_out("quiet")))
    stage.decide(lambda asked: "pass")
    assert [condition for condition, _ in results] == ["remote-server-timeout"] * 3 + ["accepted"], results
    assert all(LIMIT_S - 0.2 <= seconds <= LIMIT_S + 1 for _, seconds in results), results


async def order_is_kept_whatever_the_verdicts_take(stage):
    stage.decide(lambda asked: time.sleep(random.random() * 0.01) or "pass")
    start = len(stage.giver.asked)
    clients = (stage.alice, stage.bob, stage.carol)
    await asyncio.gather(*(client.post(ROOM, f"{client.boundjid.user} {i}") for i in range(15) for client in clients))
    stage.decide(lambda asked: "pass")
    asked = [one.body() for one in stage.giver.asked[start:] if one.name == "onBeforeBroadcast"]
    for client in clients:
        await client.until(lambda client=client: len([e for e in client.seen if e[3] in asked]) == len(asked), "all posts")
        assert [entry[3] for entry in client.seen if entry[3] in asked] == asked, "another order"
        own = [text for text in asked if text.startswith(client.boundjid.user)]
        assert own == [f"{client.boundjid.user} {i}" for i in range(15)], own


async def a_burst_is_read_to_its_end(stage):
    """Held stanzas pause the client's connection; what Prosody has read from the socket by then must not be left lying."""
    for size in (300, 777, 3000):
        texts = [f"burst {size} {i} ".ljust(size, ".") for i in range(40)]
        stage.alice.send_raw("".join(f"<message to='{ROOM}' type='groupchat' id='{size}-{i}'><body>{text}</body></message>"
                                     for i, text in enumerate(texts)))
        await stage.bob.until(lambda texts=texts: stage.bob.seen[-1][3] == texts[-1], f"the end of the burst of {size}", timeout=10)
        assert [entry[3] for entry in stage.bob.seen][-40:] == texts


async def two_creators_make_one_room(stage):
    """The room becomes known only after the verdict: a second creator must wait for the first."""
    room = f"race@{ROOMS}"
    stage.decide(lambda asked: time.sleep(0.3) or "pass" if asked.name == "onBeforeRoomCreate" else "pass")
    start = len(stage.giver.asked)
    await asyncio.gather(stage.alice.join(room, "alice"), stage.bob.join(room, "bob"), stage.carol.join(room, "carol"))
    stage.decide(lambda asked: "pass")
    assert stage.giver.names(start).count("onBeforeRoomCreate") == 1, stage.giver.names(start)
    for client in (stage.alice, stage.bob, stage.carol):
        await client.until(lambda client=client: client.occupants[room] == {"alice", "bob", "carol"}, "all three in one room")
    for client in (stage.alice, stage.bob, stage.carol):
        client.leave(room)


async def who_is_killed_while_held_leaves_in_order(stage):
    """What the dead one said while it was held is shown, then it leaves the room; nobody else is held up."""
    victim = await stage.client("victim")
    await stage.join(victim)
    stage.decide(lambda asked: time.sleep(0.2) or "pass" if asked.body() in ("last words", "between") else "pass")
    start = len(stage.giver.asked)
    held = asyncio.create_task(outcome(victim.post(ROOM, "last words", timeout=5)))
    await asyncio.to_thread(wait_until, lambda: "onBeforeSend" in stage.giver.names(start), 5, "the question")
    between = asyncio.create_task(outcome(stage.alice.post(ROOM, "between")))
    victim.abort()
    held.cancel()
    assert (await between)[0] == "accepted"
    await stage.alice.until(lambda: "victim" not in stage.alice.occupants[ROOM], "the victim to be gone")
    await asyncio.to_thread(wait_until, lambda: {"onLeave", "es_END"} <= set(stage.giver.names(start)), 5, "leave and logout")
    stage.decide(lambda asked: "pass")
    names = [asked.name for asked in stage.giver.asked[start:] if asked.attributes.get("actor", "").startswith("victim@")]
    in_room = [name for name in names if name.startswith("on")]
    assert in_room == ["onBeforeSend", "onBeforeBroadcast", "onLeave"], names
    await stage.bob.until(lambda: stage.bob.seen[-1][3] == "between", "what was said after it")
    assert [entry[3] for entry in stage.bob.seen][-2:] == ["last words", "between"], stage.bob.seen[-2:]


# conformance: 58
async def a_short_restart_is_invisible(stage):
    start = len(stage.giver.asked)
    stage.giver.stop()
    posts = [asyncio.create_task(outcome(client.post(ROOM, "during"))) for client in (stage.alice, stage.bob)]
    await asyncio.sleep(0.7)
    stage.giver.start()
    results = await asyncio.gather(*posts)
    assert all(condition == "accepted" and seconds > 0.5 for condition, seconds in results), results
    again = [asked for asked in stage.giver.asked[start:]]
    numbers = [int(asked.attributes["seq"]) for asked in again if asked.is_awaited]
    assert numbers == sorted(numbers), f"not in the order of the numbers: {numbers}"
    snapshot = [asked.stanza for asked in again if asked.name == "x-snapshot"]
    rooms = [element for element in snapshot if element.tag.endswith("room")]
    occupants = {occupant.get("jid").split("@")[0] for element in rooms if element.get("jid") == ROOM for occupant in element}
    assert occupants == {"alice", "bob", "carol"} and snapshot[-1].tag.endswith("end"), occupants


async def what_is_unanswered_comes_again(stage):
    """Byte for byte and under the same id; numbers that could not be sent are missing."""
    stage.decide(lambda asked: "silence" if asked.body() == "again" else "pass")
    start = len(stage.giver.asked)
    post = asyncio.create_task(outcome(stage.alice.post(ROOM, "again")))
    await asyncio.to_thread(wait_until, lambda: "onBeforeSend" in stage.giver.names(start), 5, "the question")
    stage.giver.stop(graceful=True)
    stage.decide(lambda asked: "pass")
    stage.giver.start()
    assert (await post)[0] == "accepted"
    asked = [one for one in stage.giver.asked[start:] if one.name == "onBeforeSend"]
    assert len(asked) == 2 and asked[0].id == asked[1].id and asked[0].attributes == asked[1].attributes, asked


# conformance: 54 59
async def without_a_link_for_long_all_is_bounced_at_once(stage):
    stage.giver.stop()
    await asyncio.sleep(LIMIT_S + 0.2)
    results = [await outcome(stage.alice.post(ROOM, "x")) for _ in range(3)]
    assert all(condition == "remote-server-timeout" and seconds < 0.5 for condition, seconds in results), results
    stage.giver.secret = "changed"
    stage.giver.start()
    await asyncio.to_thread(wait_until, lambda: stage.giver.digest_errors > 0, 5, "a wrong digest")
    assert (await outcome(stage.alice.post(ROOM, "x")))[0] == "remote-server-timeout"
    stage.giver.secret = "secret"
    await asyncio.to_thread(wait_until, lambda: stage.giver.names()[-1] == "x-snapshot", 5, "the link")
    numbers = [int(asked.attributes["seq"]) for asked in stage.giver.asked]
    assert max(numbers) > len(set(numbers)), "what could not be sent must use up numbers"
    assert (await outcome(stage.alice.post(ROOM, "back")))[0] == "accepted"


async def what_comes_from_outside_is_asked_about_on_arrival(stage):
    """Stanzas of an external component run where nothing may wait; they are held all the same, and keep their order."""
    async with attached_bot(stage) as bot:
        await what_the_component_says_is_asked_about(stage, bot)


async def what_the_component_says_is_asked_about(stage, bot):
    start = len(stage.giver.asked)
    stage.decide(lambda asked: time.sleep(random.random() * 0.02) or ("error" if asked.body() == "no" else "pass"))
    heard = []
    stage.alice.add_event_handler("message", lambda message: heard.append(message["body"]))
    texts = [f"number {i}" for i in range(20)]
    for text in [*texts, "no", "last"]:
        bot.send_raw(f"<message from='bot@{BOTS}' to='alice@{HOST}' type='chat' id='{text}'><body>{text}</body></message>")
    await stage.alice.until(lambda: "last" in heard, "the last word of the component")
    assert heard == [*texts, "last"], heard
    asked = [one.body() for one in stage.giver.asked[start:] if one.name == "e_DELIVER"]
    assert asked == [*texts, "no", "last"] and "es_OUT" not in stage.giver.names(start), asked
    # The same in a room.
    bot.send_raw(f"<presence from='bot@{BOTS}/r' to='{ROOM}/bot'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    for text in texts:
        bot.send_raw(f"<message from='bot@{BOTS}/r' to='{ROOM}' type='groupchat' id='{text}'><body>bot {text}</body></message>")
    await stage.bob.until(lambda: stage.bob.seen and stage.bob.seen[-1][3] == "bot number 19", "the component's last post")
    assert [entry[3] for entry in stage.bob.seen if entry[1] == "bot"] == [f"bot {text}" for text in texts]
    stage.decide(lambda asked: "pass")
    bot.send_raw(f"<presence from='bot@{BOTS}/r' to='{ROOM}/bot' type='unavailable'/>")
    await stage.alice.until(lambda: "bot" not in stage.alice.occupants[ROOM], "the component to leave")


async def a_person_s_act_where_nothing_may_wait_does_not_go_on(stage):
    """It is refused, or taken to where it can wait; the service's own act is told and goes on."""
    answers, heard = {}, []

    def on_message(message):
        if message["id"].startswith("timer-") and message["type"] != "groupchat":
            answers[message["id"]] = message["type"]
    stage.alice.add_event_handler("message", on_message)
    stage.alice.add_event_handler("message_error", on_message)
    stage.bob.add_event_handler("message", lambda message: heard.append(message["body"]))
    stage.decide(lambda asked: "error" if asked.is_awaited and asked.name.startswith("onBefore") else "pass")
    start = len(stage.giver.asked)
    for what, to in (("chat", f"bob@{HOST}"), ("groupchat", ROOM), ("role", f"{ROOM}/carol"), ("service", f"{ROOM}/carol")):
        stage.alice.send_raw(f"<iq type='set' to='{HOST}' id='act-{what}'><act xmlns='urn:test:timer' what='{what}' to='{to}'/></iq>")
        await stage.alice.until(lambda what=what: f"timer-{what}" in answers, f"an answer to {what}", timeout=5)
    assert answers == {"timer-chat": "error", "timer-groupchat": "error", "timer-role": "error", "timer-service": "normal"}, answers
    stage.decide(lambda asked: "pass")
    await stage.alice.tell(f"bob@{HOST}", "after the timer")
    assert "after the timer" in heard and "from a timer" not in heard, heard
    told = [one for one in stage.giver.asked[start:] if one.name != "x-snapshot"]
    assert [one.name for one in told][:3] == ["es_OUT", "onBeforeSend", "onAfterChangeUser"], told
    assert not told[0].is_awaited and "actor" not in told[2].attributes, told


async def who_reads_the_own_archive_is_asked_about(stage):
    """XEP-0313, of all conversations or of one; refused without a verdict."""
    start = len(stage.giver.asked)
    await stage.bob.read_archive(None, 5)
    filtered = ("<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>"
                "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
                f"<field var='with'><value>alice@{HOST}</value></field>"
                "<field var='start'><value>2026-11-22T15:00:00Z</value></field></x></query>")
    iq = stage.bob.make_iq_set(ito=stage.bob.boundjid.bare)
    iq.append(slixmpp.xmlstream.ET.fromstring(filtered))
    await iq.send(timeout=5)
    asked = [one.attributes for one in stage.giver.asked[start:] if one.name == "onHistory"]
    assert len(asked) == 2 and all(one["actor"] == f"bob@{HOST}/test" and "room" not in one for one in asked), asked
    assert asked[0]["history-max"] == "5" and "target" not in asked[0], asked[0]
    assert asked[1]["target"] == f"alice@{HOST}" and asked[1]["history-from"] == "2026-11-22T15:00:00Z", asked[1]
    stage.decide(lambda asked: "error" if asked.name == "onHistory" else "pass")
    assert (await outcome(stage.bob.read_archive(None, 5)))[0] == "remote-server-timeout"
    stage.decide(lambda asked: "pass")


async def run(stage):
    await stage.gather()
    for scenario in (a_stanza_is_asked_about_as_often_as_needed, a_changed_stanza_replaces_the_stanza,
                     a_handled_stanza_stops_silently, a_handled_stanza_tells_the_sender_why_where_the_policy_says_it,
                     words_in_an_error_are_asked_about, words_in_an_error_are_asked_about_in_a_room_and_from_outside,
                     a_refusal_reaches_the_sender, no_verdict_is_an_error_within_the_limit,
                     order_is_kept_whatever_the_verdicts_take, a_burst_is_read_to_its_end, two_creators_make_one_room,
                     what_comes_from_outside_is_asked_about_on_arrival,
                     a_person_s_act_where_nothing_may_wait_does_not_go_on, who_reads_the_own_archive_is_asked_about,
                     who_is_killed_while_held_leaves_in_order, a_short_restart_is_invisible, what_is_unanswered_comes_again,
                     without_a_link_for_long_all_is_bounced_at_once):
        await scenario(stage)
        await stage.is_quiet()
        stage.prosody.assert_healthy()
        print(f"{scenario.__name__}: ok", flush=True)


the_lua_is_clean()
the_folder = tempfile.mkdtemp(prefix="prosody_tap-", dir="/var/tmp")
os.chmod(the_folder, 0o755)
the_port = free_port()
the_link = {"verbatim_port": the_port, "verbatim_component": "op-x", "verbatim_secret": "secret", "verbatim_verdict_timeout": LIMIT_S,
            "verbatim_reconnect_min": 0.1, "verbatim_reconnect_max": 0.3,
            "modules_enabled": ["roster", "saslauth", "disco", "posix", "carbons", "ping", "mam", "timer_acts"]}
with contextlib.ExitStack() as stack:
    stack.callback(shutil.rmtree, the_folder, ignore_errors=True)
    the_giver = stack.enter_context(VerdictGiver(the_port, "op-x", "secret"))
    the_prosody = Prosody(the_folder, the_link, component=BOTS)
    with open(os.path.join(the_prosody.dir, "plugins", "mod_timer_acts.lua"), "w", encoding="utf-8") as the_module:
        the_module.write(TIMER_MODULE)
    stack.enter_context(the_prosody)
    try:
        asyncio.run(asyncio.wait_for(run(Stage(the_giver, the_prosody)), 90))
        the_prosody.stop()
    except BaseException:
        print(the_prosody.process.tail(40), file=sys.stderr)
        raise
print("prosody_tap: ok")
