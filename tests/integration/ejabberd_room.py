"""People talk in a room of a real ejabberd and with each other: each act stands in the archive once, as the record of its kind.

One of them is at another server, a Prosody without a tap.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from ejabberd import Ejabberd  # noqa: E402
from event_rows import RawSession, Stage  # noqa: E402
from managed_process import free_port  # noqa: E402
from prosody import HOST, PASSWORD, ROOMS, Prosody  # noqa: E402
from prosody_pipeline import COMPONENT, SECRET, archive_with, jid, log_in, tapped_pipeline  # noqa: E402

DESK = f"desk@{ROOMS}"
OTHER, OTHER_ROOMS = "127.0.0.1", "rooms.other.example"
PEOPLE = ("alice", "bob", "carol")


async def register(server):
    for name in (*PEOPLE, "dave"):
        session = await RawSession().open(Stage(None, server))
        await session.ask(f"<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username>"
                          f"<password>{PASSWORD}</password></query></iq>", "type='result'")
        session.close()


async def tell(server, theirs):
    """The story; gives the ledger and what each person was shown in the room."""
    people = await log_in(server, PEOPLE)
    alice, bob, carol = people.values()
    eve = (await log_in(theirs, ["eve"], alice.ledger))["eve"]
    await eve.tell(jid("alice"), "inbound")
    await alice.tell(jid("eve", OTHER), "outbound")
    await eve.stop()
    for name, client in people.items():
        await client.join(DESK, name.capitalize())
    await alice.set_subject(DESK, "Rates <today>")
    await asyncio.gather(*(client.post(DESK, f"{name} & {i} é") for i in range(10) for name, client in people.items()))
    await alice.whisper(DESK, "Bob", "between us")
    await bob.tell(jid("carol"), "direct")
    await alice.admin(DESK, jid=jid("carol"), affiliation="member", reason="belongs here")
    await bob.change_nick(DESK, "Robert")
    alice.invite(DESK, jid("dave"), "tea?")
    carol.leave(DESK)
    await alice.until(lambda: "Carol" not in alice.occupants[DESK], "carol to be gone")
    shown = {name: [entry[2] for entry in client.seen if entry[0] == DESK] for name, client in people.items()}
    for client in people.values():
        await client.stop()
    return alice.ledger, shown


def one(found, what):
    assert len(found) == 1, f"{len(found)} instead of one: {what}: {found}"
    return found[0]


# conformance: 97
def judge(archive, ledger, shown):
    records = {"room": "onBeforeBroadcast", "private": "onPacket", "direct": "es_OUT", jid("eve", OTHER): "e_DELIVER"}
    for entry in ledger.accepted:
        post = one([post for post in archive.posts if post.event.message_id == entry["id"]], entry)
        assert post.sha256 == entry["sha256"] and post.event.actor == entry["sender"], (post.event, entry)
        assert post.event.raw_event == records.get(entry["sender"], records[entry["kind"]]), post.event
    order = [post.event.message_id for post in archive.posts if post.event.raw_event == "onBeforeBroadcast"]
    assert len(order) == 30 and all(ids == order for ids in shown.values()), (order, shown)
    created = one(archive.records("room_created"), "the room's making")
    assert created.actor == jid("alice") and created.raw_event == "onAfterRoomCreate", created
    for kind, count, raw in (("login", 3, "e_SESSION"), ("logout", 3, "es_END"), ("joined", 3, "onAfterJoin"), ("left", 3, "onLeave"),
                             ("subject_changed", 1, "onAfterSubject"), ("invited", 1, "onAfterInvite"),
                             ("nickname_changed", 1, "onAfterChangeUser"), ("affiliation_changed", 1, "onAfterChangeAffiliation")):
        found = [event for event in archive.records(kind) if event.raw_event == raw]
        assert len(found) == count, f"{kind}: {len(found)} records of {raw}: {[e for e in archive.events if e.kind == kind]}"
    assert not archive.records("capture_gap")[1:], archive.records("capture_gap")


OUR_PORT, THEIR_PORT = free_port(), free_port()


def make(folder, port):
    os.chmod(folder, 0o755)
    return Ejabberd(folder, {"port": port, "component": COMPONENT, "secret": SECRET, "node": "chat", "verdict_timeout": 10000,
                             "reconnect_min": 100, "reconnect_max": 500}, s2s_port=OUR_PORT, peers_port=THEIR_PORT)


async def run(pipeline, server):
    await register(server)
    with Prosody(pipeline.dir, None, host=OTHER, rooms=OTHER_ROOMS, s2s_port=THEIR_PORT, peers={HOST: OUR_PORT, ROOMS: OUR_PORT}) as theirs:
        ledger, shown = await tell(server, theirs)
    archive = await archive_with(pipeline, lambda archive: len(archive.records("logout")) == 3 and len(archive.records("left")) == 3,
                                 "every logout and leave")
    judge(archive, ledger, shown)


with tapped_pipeline("ejabberd_room", make) as (the_pipeline, the_server):
    asyncio.run(asyncio.wait_for(run(the_pipeline, the_server), 180))
print("ejabberd_room: ok")
