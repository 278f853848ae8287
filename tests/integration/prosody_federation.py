"""Two organisations, each with a Prosody of its own: what crosses the border stands in our archive once, each way.

Only one of the two asks a collector. They speak with each other by dialback on loopback. Once with the profile that has every
event, and once with the system's default, which knows a message from another server by es_IN only.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from prosody import ROOMS, Prosody  # noqa: E402
from prosody_pipeline import archive_with, jid, log_in, prosody_pipeline  # noqa: E402
from verbatim_harness import free_port  # noqa: E402
from xmpp_client import Ledger, Refused, digest  # noqa: E402

OTHER, OTHER_ROOMS = "other.example", "rooms.other.example"
DESK = f"desk@{ROOMS}"


def one(found, what):
    assert len(found) == 1, f"{len(found)} instead of one: {what}: {found}"
    return found[0]


async def talk(ours, theirs, has_private):
    """Gives the texts that must stand in the archive, each with who said it."""
    ledger = Ledger()
    us, them = await log_in(ours, ["alice", "bob"], ledger), await log_in(theirs, ["eve"], ledger)
    alice, bob, eve = *us.values(), *them.values()
    said = []
    for number in range(5):
        said.append((await alice.tell(jid("eve", OTHER), f"outbound {number}"), f"outbound {number}"))
        said.append((await eve.tell(jid("alice"), f"inbound {number}"), f"inbound {number}"))
    for client in (alice, bob, eve):
        await client.join(DESK, client.boundjid.user)
    said.append((await eve.post(DESK, "from the other side, in our room"), "from the other side, in our room"))
    said.append((await alice.post(DESK, "from this side"), "from this side"))
    if has_private:
        said.append((await eve.whisper(DESK, "bob", "between us"), "between us"))
    eve.invite_directly(DESK, jid("bob"), "come")
    await bob.until(lambda: DESK in bob.invitations, "the invitation from the other side")
    try:
        await alice.tell("nobody@nowhere.example", "to a server that is not there", timeout=30)
        raise AssertionError("a message to no server came through")
    except Refused:
        pass
    shown = [entry[3] for entry in eve.seen if entry[0] == DESK]
    assert shown == ["from the other side, in our room", "from this side"], shown
    for client in (eve, alice, bob):
        await client.stop()
    return said


async def each_way_is_archived_once(profile, records):
    """records: the event that is the record of (outbound, inbound, a post in our room, a private message in it or None)."""
    ports = free_port(), free_port()
    pinned = {OTHER: ports[1], OTHER_ROOMS: ports[1]}, {"chat.example": ports[0], ROOMS: ports[0]}
    with prosody_pipeline(f"prosody_federation-{profile}", collector={"profile": profile},
                          server={"s2s_port": ports[0], "peers": pinned[0]}) as (pipeline, ours):
        theirs = Prosody(pipeline.dir, None, host=OTHER, rooms=OTHER_ROOMS, s2s_port=ports[1], peers=pinned[1])
        try:
            theirs.start()
            said = await talk(ours, theirs, has_private=records[3] is not None)
            archive = await archive_with(pipeline, lambda archive: len(archive.posts) > len(said), "every post")
        finally:
            theirs.kill()
        for entry, text in said:
            post = one([post for post in archive.posts if post.event.message_id == entry["id"]], text)
            assert post.sha256 == digest(text) and post.event.actor == entry["sender"], (post.event, entry)
            captures = [event for event in archive.events if event.message_id == entry["id"] and event.is_record]
            assert len(captures) == 1, captures
            wanted = (records[2] if entry["kind"] == "room" else records[3] if entry["kind"] == "private"
                      else records[0] if text.startswith("outbound") else records[1])
            assert post.event.raw_event == wanted, (post.event, wanted)
        unknown = {post.content for post in archive.posts} - {text for _, text in said}
        assert unknown == {"to a server that is not there"}, unknown
        one([event for event in archive.records("invited") if event.actor == jid("eve", OTHER)], "an invitation from outside")
    print(f"{profile}: ok ({len(said)} messages over the border, each once)", flush=True)


asyncio.run(asyncio.wait_for(each_way_is_archived_once("all", ("es_OUT", "e_DELIVER", "onBeforeBroadcast", "onPacket")), 120))
asyncio.run(asyncio.wait_for(each_way_is_archived_once("system-default", ("es_OUT", "es_IN", "onBeforeSend", None)), 120))
print("prosody_federation: ok")
