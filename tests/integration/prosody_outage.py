"""A room is in use while each service in turn is killed, stopped or frozen for some seconds.

What the room shows stands in the archive, exactly once. With collector or queue down the sender gets an error within the
limit and a second; with processor or adapter down the chat is unaffected. The outage stands in the archive as a capture gap.
"""
import asyncio
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from prosody import ROOMS  # noqa: E402
from prosody_pipeline import jid, log_in, prosody_pipeline, read_archive  # noqa: E402
from verbatim_harness import wait_until  # noqa: E402
from xmpp_client import Refused  # noqa: E402

ROOM = f"desk@{ROOMS}"
SENDERS = ("alice", "bob", "carol")
LIMIT_S = 3
OUTAGE_S = 4.5  # longer than the limit
# A restarted service must be in use again after so long.
RECOVERY_S = 20


class Sender:
    """Says one thing after another, waits for each; remembers what became of it and when."""

    def __init__(self, client, partner):
        self.client = client
        self.partner = partner  # for one to one
        self.said = []  # (began, seconds, id, is_accepted, is_direct)
        self.is_stopping = False

    async def run(self):
        number = 0
        while not self.is_stopping:
            number += 1
            began = time.time()
            is_direct = number % 4 == 0
            text = f"{self.client.boundjid.user} says {number}"
            try:
                if is_direct:
                    entry = await self.client.tell(jid(self.partner), text, timeout=60)
                else:
                    entry = await self.client.post(ROOM, text, timeout=60)
                self.said.append((began, entry["after"], entry["id"], True, is_direct))
            except Refused as error:
                assert str(error) == "remote-server-timeout", error
                refused = self.client.ledger.refused[-1]
                self.said.append((began, time.time() - began, refused["id"], False, is_direct))
            await asyncio.sleep(0.02)


class Outage:
    """What was done to which service, and between which times it could not work."""

    def __init__(self, service, how, stops_chat):
        self.service, self.how, self.stops_chat = service, how, stops_chat
        self.name = f"{service.name.removeprefix('verbatim-')} {how}"
        self.began = self.stopped = self.ended = self.resumed = 0.0

    async def begin(self):
        """Beside the senders: they measure what an answer takes, and a clean end may take its time."""
        self.began = time.time()
        act = {"kill": self.service.kill, "terminate": self.service.terminate, "pause": self.service.pause}[self.how]
        await asyncio.to_thread(act)
        self.stopped = time.time()

    async def end(self):
        self.ended = time.time()
        if self.how == "pause":
            self.service.resume()
        else:
            await asyncio.to_thread(self.service.start)


def outages(pipeline):
    plan = []
    for how in ("kill", "pause", "terminate"):
        plan += [Outage(pipeline.collector, how, True), Outage(pipeline.queue, how, True)]
    for how in ("kill", "pause"):
        plan += [Outage(pipeline.processor, how, False), Outage(pipeline.adapter_xml, how, False)]
    return plan


# conformance: 55
async def someone_logs_in(prosody, outage):
    """Even then: after the limit at the latest."""
    began = time.monotonic()
    people = await log_in(prosody, [f"late-{outage.service.name.removeprefix('verbatim-')}-{outage.how}"])
    seconds = time.monotonic() - began
    assert seconds <= LIMIT_S + 1, f"{outage.name}: a login took {seconds:.1f} s"
    for client in people.values():
        await client.stop()


async def go_through(outage, prosody, senders):
    await outage.begin()
    await asyncio.sleep(0.3)
    await asyncio.gather(asyncio.sleep(OUTAGE_S - 0.3), someone_logs_in(prosody, outage))
    await outage.end()
    deadline = time.time() + RECOVERY_S
    while not all(any(began > outage.ended and is_accepted for began, _, _, is_accepted, _ in sender.said) for sender in senders):
        assert time.time() < deadline, f"{outage.name}: not in use again after {RECOVERY_S} s\n{prosody.process.tail(30)}"
        await asyncio.sleep(0.05)
    outage.resumed = time.time()
    print(f"  {outage.name}: {outage.stopped - outage.began:.1f} s to its end, "
          f"in use again {outage.resumed - outage.ended:.1f} s after its return", flush=True)


# conformance: 56 99
def judge_answers(plan, senders):
    """Everyone was told in time; nobody was bothered who need not be."""
    said = [one for sender in senders for one in sender.said]
    slowest = max(said, key=lambda one: one[1])
    assert slowest[1] <= LIMIT_S + 1, f"an answer took {slowest[1]:.1f} s: {slowest}"
    for outage in plan:
        during = [one for one in said if outage.began <= one[0] <= outage.ended]
        refused = [one for one in said if not one[3] and outage.began - LIMIT_S <= one[0] <= outage.resumed]
        if outage.stops_chat:
            assert refused, f"{outage.name}: nothing was bounced"
            through = [one for one in during if one[3] and one[0] + one[1] < outage.ended and one[0] > outage.stopped + 0.5]
            assert not through, f"{outage.name}: something came through: {through[:3]}"
        else:
            refused = [one for one in refused if one[0] >= outage.began]
            assert not refused, f"{outage.name}: {len(refused)} bounced"
            assert len(during) > 20 and max(one[1] for one in during) < 1.5, f"{outage.name}: the chat was slow"
    assert {one[4] for one in said if not one[3]} == {True, False}, "both to the room and one to one something must bounce"
    print(f"answers: ok (slowest {slowest[1]:.2f} s, {sum(not one[3] for one in said)} bounced of {len(said)})")


# conformance: 59
def judge_archive(archive, senders, shown):
    """What was shown stands there once; what stands there was shown, or its sender was told that it might not be."""
    accepted = {one[2] for sender in senders for one in sender.said if one[3]}
    refused = {one[2] for sender in senders for one in sender.said if not one[3]}
    archived = [post.event.message_id for post in archive.posts]
    missing = (accepted | shown) - set(archived)
    assert not missing, f"{len(missing)} delivered and not archived"
    assert len(archived) == len(set(archived)), "something stands twice"
    assert not refused & shown, "something was shown and bounced as well"
    undelivered = set(archived) - accepted - shown
    assert undelivered <= refused, f"{len(undelivered - refused)} posts from nowhere"
    print(f"archive: ok ({len(archived)} posts, each once; {len(undelivered)} archived though bounced)")


def judge_order(archive, watcher):
    shown = [message_id for room, _, message_id, _ in watcher.seen if room == ROOM]
    wanted = set(shown)
    archived = [post.event.message_id for post in archive.posts if post.event.message_id in wanted]
    assert shown == archived, "the archive has another order than the room"


# conformance: 98
def judge_gaps(archive, plan):
    """Each outage that stopped the chat stands in the archive as a capture gap."""
    gaps = []
    for event in archive.records("capture_gap"):
        body = event.body("CaptureGap")
        gaps.append((to_unix(body.get("start")), to_unix(body.get("end")), body.get("reason")))
    for outage in plan:
        # At least from the first unanswered word to the first error; a service that comes back ends the gap.
        found = [reason for start, end, reason in gaps if start <= outage.stopped + LIMIT_S and end >= outage.stopped + LIMIT_S - 1
                 and end <= outage.resumed + LIMIT_S + 3]
        if outage.stops_chat:
            assert found, f"{outage.name}: no capture gap between {outage.stopped:.1f} and {outage.ended:.1f} in {gaps}"
            print(f"  {outage.name}: capture gap {', '.join(sorted(set(found)))}")
    assert not [gap for gap in gaps if gap[0] > max(outage.resumed for outage in plan)], "a gap without an outage"


def to_unix(text):
    import datetime
    return datetime.datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp() if text else 0.0


def judge_roster(archive):
    """Everyone who came in, by an event or by the snapshot after an outage, has left in the end."""
    present = {}
    for event in archive.records("joined", "left"):
        key = (event.conversation, event.actor)
        present[key] = event.kind == "joined"
    assert present and not any(present.values()), f"still there: {[key for key, here in present.items() if here]}"


async def run(pipeline, prosody):
    people = await log_in(prosody, [*SENDERS, "watcher"])
    for name, client in people.items():
        await client.join(ROOM, name.capitalize())
    senders = [Sender(people[name], SENDERS[(i + 1) % 3]) for i, name in enumerate(SENDERS)]
    tasks = [asyncio.create_task(sender.run()) for sender in senders]
    plan = outages(pipeline)
    try:
        await asyncio.sleep(1)
        for outage in plan:
            await go_through(outage, prosody, senders)
            await asyncio.sleep(0.5)
    finally:
        for sender in senders:
            sender.is_stopping = True
        await asyncio.wait(tasks, timeout=30)
    for task in tasks:
        task.result()
    watcher = people["watcher"]
    await watcher.until(lambda: {one[2] for sender in senders for one in sender.said if one[3] and not one[4]} <=
                        {message_id for _, _, message_id, _ in watcher.seen}, "the last posts")
    for client in people.values():
        await client.stop()
    shown = {message_id for client in people.values() for _, _, message_id, _ in client.seen}
    wait_until(lambda: len([e for e in read_archive(pipeline).records("left") if e.actor == jid("watcher")]) >= 1, 60,
               "the watcher's leave in the archive")
    totals = pipeline.wait_archived(1)
    assert totals["difference"] == 0, totals
    assert not pipeline.accounting(recount=True).recount_differences
    archive = read_archive(pipeline)
    judge_answers(plan, senders)
    judge_archive(archive, senders, shown)
    judge_order(archive, watcher)
    judge_gaps(archive, plan)
    judge_roster(archive)
    print(f"books: ok ({totals['accepted']} events, difference 0)")


with prosody_pipeline("prosody_outage", limit_s=LIMIT_S) as (the_pipeline, the_prosody):
    asyncio.run(asyncio.wait_for(run(the_pipeline, the_prosody), 240))
print("prosody_outage: ok")
