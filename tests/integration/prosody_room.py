"""People talk in rooms of a real Prosody server: every kind of event stands in the archive, each post once."""
import asyncio
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
import xmpp_client  # noqa: E402
from prosody import ROOMS  # noqa: E402
from prosody_pipeline import archive_with, jid, log_in, prosody_pipeline  # noqa: E402
from verbatim_harness import BIN_DIR  # noqa: E402
from xmpp_client import Refused, digest  # noqa: E402

DESK, TEA, BRIEF = f"desk@{ROOMS}", f"tea@{ROOMS}", f"brief@{ROOMS}"
PEOPLE = ("alice", "bob", "carol", "dave", "erin")


class Story:
    """What happens, and what is known of it afterwards."""

    def __init__(self, prosody):
        self.prosody = prosody
        self.facts = {}

    async def tell(self):
        self.people = await log_in(self.prosody, PEOPLE)
        self.ledger = self.people["alice"].ledger
        alice, bob, carol, dave, erin = self.people.values()
        for name, client in self.people.items():
            await client.join(DESK, name.capitalize())
        await self.posts(alice, bob, carol)
        await self.changes(alice, bob, carol, dave)
        await self.rooms_come_and_go(alice, bob, erin)
        await self.direct(alice, bob)
        await self.a_client_is_killed(alice)
        self.shown = {name: [entry[2] for entry in client.seen if entry[0] == DESK] for name, client in self.people.items()}
        for client in self.people.values():
            await client.stop()

    async def posts(self, alice, bob, carol):
        self.facts["post"] = await alice.post(DESK, "5y at 3.14 <firm> & \"x\" 'y'\n\tline two ünd שלום 👍🏽")
        first = await bob.post(DESK, "I offer 3.41")
        self.facts["edited"] = first
        self.facts["edit"] = await bob.edit(DESK, first["id"], "I offer 3.14")
        wrong = await carol.post(DESK, "not for here")
        self.facts["retracted"] = wrong
        self.facts["retraction"] = await carol.retract(DESK, wrong["stanza_id"])
        self.facts["file"] = await carol.share_file(DESK, "https://files.chat.example/a%20b.pdf")
        await alice.set_subject(DESK, "Rates <today>")
        await asyncio.gather(*(client.post(DESK, f"{name} {i}") for i in range(10) for name, client in self.people.items()))
        self.facts["whisper"] = await bob.whisper(DESK, "Carol", "between us")

    async def changes(self, alice, bob, carol, dave):
        await alice.admin(DESK, nick="Bob", role="moderator", reason="minds the desk")
        await alice.admin(DESK, jid=jid("carol"), affiliation="member", reason="belongs here")
        await alice.admin(DESK, jid=jid("carol"), affiliation="none")
        await dave.change_nick(DESK, "David")
        await dave.read_archive(DESK, 7)
        await dave.read_archive(None, 5)
        await alice.admin(DESK, nick="Erin", role="none", reason="too loud")
        erin = self.people["erin"]
        await erin.until(lambda: "Erin" not in erin.occupants[DESK], "the kick")
        await erin.join(DESK, "Erin", history=3)

    async def rooms_come_and_go(self, alice, bob, erin):
        await alice.join(TEA, "Alice")
        alice.invite(TEA, jid("bob"), "a cup?")
        await bob.until(lambda: TEA in bob.invitations, "the invitation")
        bob.invite_directly(TEA, jid("erin"), "you too")
        await erin.until(lambda: TEA in erin.invitations, "the direct invitation")
        await bob.join(TEA, "Bob")
        await alice.destroy(TEA, "no more tea")
        await bob.join(BRIEF, "Bob")
        bob.leave(BRIEF)

    async def direct(self, alice, bob):
        self.facts["direct"] = await alice.tell(jid("bob"), "just <us> 🤫")
        try:
            await alice.tell("nobody@elsewhere.invalid", "into the void", timeout=20)
            raise AssertionError("a message to a foreign server came through")
        except Refused:
            pass

    async def a_client_is_killed(self, alice):
        victim = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "SIGKILL", sys.executable, xmpp_client.__file__, "--jid", jid("zoe") + "/test", "--room", DESK,
            "--nick", "Zoe", "--port", str(self.prosody.port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        await asyncio.wait_for(victim.stdout.readline(), 30)
        victim.stdin.write(b'{"text": "my last word"}\n')
        await alice.until(lambda: any(entry[3] == "my last word" for entry in alice.seen), "the last word")
        victim.kill()
        await victim.wait()
        await alice.until(lambda: "Zoe" not in alice.occupants[DESK], "Zoe to be gone")


def one(found, what):
    assert len(found) == 1, f"{len(found)} instead of one: {what}: {found}"
    return found[0]


def each_post_stands_once(archive, story):
    for entry in story.ledger.accepted:
        if entry["kind"] in ("room", "direct", "private"):
            post = one([p for p in archive.posts if p.event.message_id == entry["id"]], entry)
            assert post.sha256 == entry["sha256"], entry
            assert post.event.actor == entry["sender"], (post.event, entry)
    accepted = {entry["id"] for entry in story.ledger.accepted}
    unknown = [post.content for post in archive.posts if post.event.message_id not in accepted]
    assert sorted(unknown) == ["into the void", "my last word"], unknown
    print(f"posts: ok ({len(archive.posts)} posts, each once)")


# conformance: 97
def evidence_stands_in_the_companion(archive, story):
    entry = story.facts["post"]
    captures = [event for event in archive.events if event.message_id == entry["id"]]
    by_name = {}
    for event in captures:
        by_name.setdefault(event.raw_event, []).append(event)
    assert {name: len(events) for name, events in by_name.items()} == {
        "es_OUT": 1, "onBeforeSend": 1, "onBeforeBroadcast": 1, "es_IN": 5}, by_name
    record = one([event for event in captures if event.is_record], "record")
    assert record.raw_event == "onBeforeBroadcast" and record.phase == "confirmed", record
    verdict = one(by_name["onBeforeSend"][0].element.findall(".//{*}Verdict"), "verdict")
    assert (verdict.get("decision"), verdict.get("instance"), verdict.get("reason")) == (
        "pass", "collector", "no policy is assigned"), verdict.attrib
    assert len({event.post_key for event in captures}) == 1, [event.post_key for event in captures]
    assert all(event.sha256 == digest(event.text) == entry["sha256"] for event in captures)
    recipients = {other for event in by_name["es_IN"] for other in event.others}
    assert {jid(name) for name in PEOPLE} <= {address.split("/")[0] for address in recipients}, recipients
    print("evidence: ok (one post, five recipients, eight captures, one record)")


def messages_of_other_kinds(archive, story):
    facts = story.facts
    edit = one(archive.records("message_edited"), "edit")
    assert (edit.target_id, edit.message_id, edit.text) == (facts["edited"]["id"], facts["edit"]["id"], "I offer 3.14")
    retraction = one(archive.records("message_deleted"), "retraction")
    assert retraction.target_id == facts["retracted"]["stanza_id"] and retraction.message_id == facts["retraction"]["id"]
    assert retraction.target_id in {event.stanza_id for event in archive.find(message_id=facts["retracted"]["id"])}
    file = one([event for event in archive.records("message_posted") if event.message_id == facts["file"]["id"]], "file")
    reference = file.element.find(".//{*}MessagePosted//{*}File")
    reference = file.element.find(".//*[@url]") if reference is None else reference
    assert reference.get("url") == "https://files.chat.example/a%20b.pdf"
    whisper = one([event for event in archive.records("message_posted") if event.message_id == facts["whisper"]["id"]], "whisper")
    assert whisper.body("MessagePosted").get("isPrivate") == "true" and whisper.conversation == DESK
    direct = one([event for event in archive.records("message_posted") if event.message_id == facts["direct"]["id"]], "direct")
    assert direct.conversation_kind == "direct" and direct.conversation == f"{jid('alice')} {jid('bob')}"
    subject = one(archive.records("subject_changed"), "subject")
    assert (subject.text, subject.actor, subject.conversation) == ("Rates <today>", jid("alice"), DESK)
    print("edit, retraction, file, whisper, direct message, subject: ok")


def people_come_and_go(archive):
    def who(kind, room):
        return sorted(event.actor.split("@")[0] for event in archive.records(kind) if event.conversation == room)

    assert who("joined", DESK) == sorted([*PEOPLE, "erin", "zoe"]), who("joined", DESK)
    assert who("left", DESK) == sorted([*PEOPLE, "erin", "zoe"]), who("left", DESK)
    assert who("joined", TEA) == who("left", TEA) == ["alice", "bob"]
    assert who("joined", BRIEF) == who("left", BRIEF) == ["bob"]
    reasons = [event.body("Left").get("reason", "") for event in archive.records("left") if event.actor == jid("erin")]
    assert "kicked: too loud" in reasons, reasons
    for kind in ("login", "logout"):
        people = sorted(event.actor.split("@")[0] for event in archive.records(kind))
        assert people == sorted([*PEOPLE, "zoe"]), (kind, people)
    legacy = [(kind, sender) for kind, channel, sender, _ in archive.shown if channel == DESK and kind == "PART"]
    assert ("PART", jid("zoe")) in legacy, legacy
    print("logins, joins, leaves, a kick, a killed client: ok")


def rooms_and_ranks(archive, story):
    assert {event.conversation for event in archive.records("room_created")} == {DESK, TEA, BRIEF}
    destroyed = {event.conversation: event.body("RoomDestroyed") for event in archive.records("room_destroyed")}
    assert set(destroyed) == {DESK, TEA, BRIEF}, destroyed
    assert destroyed[TEA].get("reason") == "no more tea" and destroyed[TEA].get("byService") in (None, "false")
    assert destroyed[BRIEF].get("byService") == "true"
    invited = archive.records("invited")
    assert sorted((event.actor, event.others[0], event.body("Invited").get("isDirect", "false")) for event in invited) == [
        (jid("alice"), jid("bob"), "false"), (jid("bob"), jid("erin"), "true")], [(e.actor, e.others) for e in invited]
    role = [event for event in archive.records("role_changed") if event.body("RoleChanged").get("newRole") == "moderator"]
    assert one(role, "role").others == [jid("bob")] and role[0].body("RoleChanged").get("reason") == "minds the desk"
    affiliations = [(event.others[0], event.body("AffiliationChanged").get("newAffiliation"))
                    for event in archive.records("affiliation_changed") if event.actor == jid("alice")]
    assert affiliations == [(jid("carol"), "member"), (jid("carol"), "none")], affiliations
    nickname = one(archive.records("nickname_changed"), "nickname").body("NicknameChanged")
    assert (nickname.get("oldNickname"), nickname.get("newNickname")) == ("Dave", "David")
    history = sorted((event.actor, event.body("HistoryRead").get("requestedCount")) for event in archive.records("history_read"))
    assert history == [(jid("dave"), "5"), (jid("dave"), "7"), (jid("erin"), "3")], history
    assert [kind for kind, *_ in archive.shown].count("BACKCHAT") == 2
    print("rooms, invitations, role, affiliation, nickname, history: ok")


def order_is_that_of_the_room(archive, story):
    archived = [event.message_id for event in archive.records("message_posted", "message_edited", "message_deleted")
                if event.conversation == DESK and event.element.find("{*}MessagePosted[@isPrivate='true']") is None]
    for name in ("alice", "bob", "carol", "dave"):
        assert story.shown[name] == archived, f"{name} saw another order"
    print(f"order: ok ({len(archived)} messages as four people saw them)")


def the_books_balance(pipeline):
    totals = pipeline.totals(recount=True)
    assert totals["difference"] == 0 and totals["accepted"] == totals["archived"], totals
    assert not pipeline.accounting(recount=True).recount_differences
    folder = pipeline.config["adapter_xml"]["output_dir"]
    done = subprocess.run([os.path.join(BIN_DIR, "verbatim-adapter-xml"), "--validate", folder], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"books: ok ({totals['accepted']} events, difference 0, documents valid)")


async def run(pipeline, prosody):
    story = Story(prosody)
    await story.tell()
    archive = await archive_with(pipeline, lambda archive: len(archive.records("logout")) == 6, "six logouts")
    gaps = [event.body("CaptureGap").get("reason") for event in archive.records("capture_gap")]
    assert set(gaps) <= {"link_down"} and len(gaps) <= 1, f"only the time before the first link: {gaps}"
    each_post_stands_once(archive, story)
    evidence_stands_in_the_companion(archive, story)
    messages_of_other_kinds(archive, story)
    people_come_and_go(archive)
    rooms_and_ranks(archive, story)
    order_is_that_of_the_room(archive, story)
    the_books_balance(pipeline)


async def run_with_the_default_profile(pipeline, prosody):
    """SystemDefaultComplianceProfile has attempts only: each post, join and invitation still stands there once."""
    people = await log_in(prosody, PEOPLE[:3])
    alice, bob, _ = people.values()
    for name, client in people.items():
        await client.join(DESK, name.capitalize())
    posts = [await client.post(DESK, f"{name} speaks") for name, client in people.items()]
    posts.append(await alice.tell(jid("bob"), "one to one"))
    alice.invite(DESK, jid("bob"), "again")
    await bob.until(lambda: bob.invitations, "the invitation")
    for client in people.values():
        await client.stop()
    archive = await archive_with(pipeline, lambda archive: len(archive.records("logout")) == 3, "three logouts")
    assert sorted(post.event.message_id for post in archive.posts) == sorted(entry["id"] for entry in posts)
    assert {post.event.raw_event for post in archive.posts} == {"onBeforeSend", "es_OUT"}
    for kind, count in (("joined", 3), ("left", 3), ("login", 3), ("room_created", 1), ("invited", 1)):
        assert len(archive.records(kind)) == count, archive.records(kind)
    assert {event.raw_event for event in archive.events if event.raw_event} <= {
        "e_SESSION", "es_END", "es_IN", "es_OUT", "onBeforeInvite", "onBeforeJoin", "onBeforeRoomCreate", "onBeforeSend", "onLeave"}
    print("default profile: ok")


with prosody_pipeline("prosody_room") as (the_pipeline, the_prosody):
    asyncio.run(asyncio.wait_for(run(the_pipeline, the_prosody), 90))
with prosody_pipeline("prosody_default_profile", collector={"profile": "system-default"}) as (the_pipeline, the_prosody):
    asyncio.run(asyncio.wait_for(run_with_the_default_profile(the_pipeline, the_prosody), 60))
print("prosody_room: ok")
