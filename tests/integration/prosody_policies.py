"""The shipped policies between people on a real Prosody: set up by the commands of docs/operations.md, then a wall that nobody gets
round and a filter whose changes are what is delivered. Whoever is stopped is told why; the archive has verdicts and both texts."""
import asyncio
import hashlib
import os
import re
import shlex
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from managed_process import ManagedProcess, wait_until  # noqa: E402
from prosody import HOST, ROOMS, Prosody  # noqa: E402
from prosody_pipeline import archive_with, jid, log_in, prosody_pipeline  # noqa: E402
from verbatim_harness import BIN_DIR, SOURCE_DIR, free_port, test_dir  # noqa: E402
from xmpp_client import ET, MUC_USER, Ledger, Refused  # noqa: E402

DESK = f"desk@{ROOMS}"
OTHER, TEA = "other.example", f"tea@{ROOMS}"
PEOPLE = f"address,groups\nalice@{HOST},research\nbob@{HOST},trading\ncarol@{HOST},sales\n"
WALL = """explanation = "Not delivered: you and {recipient} are on two sides of {rule}."
[[rules]]
name = "research-trading"
action = "block"
kinds = ["message", "invite"]
a = { groups = ["research"] }
b = { groups = ["trading"] }
[[rules]]
name = "no-traders"
action = "block"
kinds = ["room"]
a = { groups = ["trading"] }
b = { addresses = ["desk@rooms.chat.example"] }
[[rules]]
name = "research-outside"
action = "block"
kinds = ["message"]
a = { groups = ["research"] }
b = { domains = ["other.example"] }
"""
FILTER = """[[rules]]
name = "names"
action = "redact"
phrases = ["project aurora"]
[[rules]]
name = "cards"
action = "redact"
detectors = ["card_number"]
"""


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def commands_of_the_manual():
    """The block of commands in "Compliance profiles, servers, assignments"."""
    with open(os.path.join(SOURCE_DIR, "docs", "operations.md"), encoding="utf-8") as file:
        block = re.search(r"### Compliance profiles.*?```\n(.*?)```", file.read(), re.S).group(1)
    lines = [shlex.split(line) for line in block.splitlines()]
    assert all(words[0] == "verbatimctl" for words in lines) and len(lines) >= 7, lines
    return [words[1:] for words in lines]


def run(pipeline, words, code=0):
    done = pipeline.verbatimctl(*words)
    assert done.returncode == code, f"exit {done.returncode}: {words}\n{done.stdout}{done.stderr}"
    return done.stdout


class Policies:
    """Both programs as their units start them, on rules of this test; they find the collector by its ready file."""

    def __init__(self, pipeline):
        self.pipeline, self.processes = pipeline, []
        for name, rules in (("ethicalwall", WALL), ("contentfilter", FILTER)):
            write(os.path.join(pipeline.dir, name + ".toml"), rules)
            pipeline.config["policy_" + name] = {"collector_address": "@collector", "rules_file": name + ".toml",
                                                 "data_dir": "policy-" + name}
            program = os.path.join(BIN_DIR, "verbatim-policy-" + name)
            self.processes.append(ManagedProcess([program, "--config", pipeline.config_path],
                                                 os.path.join(pipeline.dir, name + ".log"), cwd=pipeline.dir))
        pipeline.write_config()

    def start(self):
        for process in self.processes:
            process.start()
        wait_until(lambda: {row["state"] for row in self.pipeline.verbatimctl_json("servers", "list")["servers"]} == {"LINK_STATE_ACTIVE"},
                   60, lambda: "\n".join(process.tail() for process in self.processes))

    def kill(self):
        for process in self.processes:
            process.kill()


async def refused(act, told):
    """The words with which the sender is told that it was not delivered."""
    before = len(told)
    try:
        await act
    except Refused as error:
        assert str(error) == "policy-violation", error
        return told[before]
    raise AssertionError("delivered")


def watch(client):
    """(what the client is told of errors, direct texts that it receives)"""
    told, heard = [], []
    client.add_event_handler("message_error", lambda message: told.append(message["error"]["text"]))
    client.add_event_handler("message", lambda message: message["type"] == "chat" and heard.append(message["body"]))
    return told, heard


def element(tag, attributes=None, *children):
    made = ET.Element(tag, attributes or {})
    made.extend(children)
    return made


# conformance: 36 48
async def nobody_gets_round_the_wall(alice, bob, carol):
    told, _ = watch(alice)
    _, heard = watch(bob)
    words = "Not delivered: you and bob@chat.example are on two sides of research-trading."
    assert await refused(alice.tell(jid("bob"), "lunch?"), told) == words
    invite = element(f"{{{MUC_USER}}}x", None, element(f"{{{MUC_USER}}}invite", {"to": "/nobody"}))
    assert await refused(alice.tell(jid("bob"), "with a broken invitation", extra=invite), told) == words
    ornament = element("{jabber:x:conference}x", {"jid": DESK})
    assert await refused(alice.tell(jid("bob"), "with an invitation", extra=ornament), told) == words
    alice.invite_directly(DESK, jid("bob"), "come in")
    await alice.until(lambda: len(told) == 4, "the refusal of the direct invitation")
    alice.invite(DESK, jid("bob"), "come in")
    await alice.until(lambda: len(told) == 5, "the refusal of the invitation through the room")
    bob.add_event_handler("presence_error", lambda presence: told.append(presence["error"]["text"]))
    try:
        await bob.join(DESK, "bob")
        raise AssertionError("a trader is in the room")
    except Refused as error:
        assert str(error) == "policy-violation" and told[-1].endswith("are on two sides of no-traders."), (error, told)
    for client in (alice, bob):  # in another room both may be, but they do not whisper there
        await client.join(TEA, client.boundjid.user)
    assert await refused(alice.whisper(TEA, "bob", "psst"), told) == words
    # Others are not concerned, in both directions.
    await carol.tell(jid("bob"), "lunch?")
    await bob.tell(jid("carol"), "gladly")
    assert heard == ["lunch?"] and not bob.invitations, (heard, bob.invitations)


async def the_wall_stands_towards_other_servers_too(alice, carol, eve):
    """eve is on another server, which has no tap."""
    told_inside, _ = watch(alice)
    told_outside, _ = watch(eve)
    words = "Not delivered: you and {} are on two sides of research-outside."
    assert await refused(alice.tell(jid("eve", OTHER), "outbound"), told_inside) == words.format(jid("eve", OTHER))
    assert await refused(eve.tell(jid("alice"), "inbound"), told_outside) == words.format(jid("alice"))
    await eve.tell(jid("carol"), "hello")
    await carol.tell(jid("eve", OTHER), "hello")


# conformance: 37 48
async def what_is_redacted_is_what_is_delivered(alice, carol):
    _, heard = watch(carol)
    await alice.tell(jid("carol"), "about Project  Aurora, today")
    await carol.until(lambda: heard, "the message")
    assert heard == ["about [removed], today"], heard
    entry = await alice.post(DESK, "card 4111 1111 1111 1111, please")
    await carol.until(lambda: [seen for seen in carol.seen if seen[2] == entry["id"]], "the post")
    assert carol.seen[-1][3] == "card [removed], please", carol.seen[-1]


def verdicts_of(event):
    return [(one.get("policy"), one.get("decision"), one.get("rule")) for one in event.element.findall(".//{*}Verdict")]


def text_of(event, name):
    return event.element.findtext(f"{{*}}{name}/{{*}}Plain")


def judge(archive):
    """What the archive says of it."""
    stopped = [event for event in archive.events if any(one[1] == "handle" for one in verdicts_of(event))]
    names = sorted(event.raw_event for event in stopped)
    assert names == ["e_DELIVER"] + ["es_OUT"] * 6 + ["onBeforeJoin", "onPacket"], stopped
    for event in stopped:
        is_outside = event.text in ("outbound", "inbound")
        rule = "no-traders" if event.raw_event == "onBeforeJoin" else "research-outside" if is_outside else "research-trading"
        assert verdicts_of(event) == [("ethicalwall", "handle", rule)], verdicts_of(event)
    digest = hashlib.sha256(WALL.encode()).hexdigest()
    assert digest in ET.tostring(stopped[0].element, encoding="unicode").lower(), "the digest of the rules"
    assert "with a broken invitation" in {event.text for event in stopped}, "what was stopped is archived"
    assert not {"with a broken invitation", "with an invitation"} & {post.content for post in archive.posts}, "a stopped message is no post"
    for original, final in (("about Project  Aurora, today", "about [removed], today"),
                            ("card 4111 1111 1111 1111, please", "card [removed], please")):
        changed = [event for event in archive.events if event.raw_event in ("es_OUT", "onBeforeSend") and text_of(event, "FinalText") == final]
        assert [text_of(event, "OriginalText") for event in changed] == [original], changed
        assert [one[:2] for one in verdicts_of(changed[0])] == [("ethicalwall", "pass"), ("contentfilter", "pass_changed")], (
            verdicts_of(changed[0]))
        assert final in {post.content for post in archive.posts}, "the legacy document has what was delivered"


async def story(pipeline, prosody, other):
    ledger = Ledger()
    people = await log_in(prosody, ["alice", "bob", "carol"], ledger)
    alice, bob, carol = people.values()
    eve = (await log_in(other, ["eve"], ledger))["eve"]
    for client in (alice, carol):
        await client.join(DESK, client.boundjid.user)
    await nobody_gets_round_the_wall(alice, bob, carol)
    await what_is_redacted_is_what_is_delivered(alice, carol)
    await the_wall_stands_towards_other_servers_too(alice, carol, eve)
    for client in (eve, *people.values()):
        await client.stop()
    archive = await archive_with(pipeline, lambda archive: len(archive.records("logout")) == 3, "three logouts")
    judge(archive)


people_file = write(os.path.join(test_dir("prosody_policies_people"), "people.csv"), PEOPLE)
ports = free_port(), free_port()
with prosody_pipeline("prosody_policies", collector={"directory": {"csv_file": people_file}},
                      server={"s2s_port": ports[0], "peers": {OTHER: ports[1]}}) as (the_pipeline, the_prosody):
    *setup, doctor = commands_of_the_manual()
    for command in setup:
        run(the_pipeline, command)
    assert "ethicalwall" in run(the_pipeline, doctor, code=1), "doctor does not miss the policies"
    policies = Policies(the_pipeline)
    the_other = Prosody(the_pipeline.dir, None, host=OTHER, rooms="rooms." + OTHER, s2s_port=ports[1], peers={HOST: ports[0]})
    try:
        the_other.start()
        policies.start()
        run(the_pipeline, doctor)
        asyncio.run(asyncio.wait_for(story(the_pipeline, the_prosody, the_other), 120))
        for policy in policies.processes:
            policy.terminate()
    finally:
        the_other.kill()
        policies.kill()
print("prosody_policies: ok")
