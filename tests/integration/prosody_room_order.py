"""A room with 50 occupants under load, a policy and the collector killed and restarted meanwhile: all see one order, the archive's.

Nobody may see a post that the archive does not have, or that the policy was not asked about.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from compliance_state import assign  # noqa: E402
from managed_process import ManagedProcess, wait_until  # noqa: E402
from prosody import ROOMS  # noqa: E402
from prosody_pipeline import archive_with, log_in, prosody_pipeline, read_archive  # noqa: E402
from verbatim_harness import BUILD_DIR, SOURCE_DIR  # noqa: E402
from xmpp_client import Ledger, Refused  # noqa: E402

ROOM = f"desk@{ROOMS}"
OCCUPANTS, SENDERS, POSTS_EACH = 50, 10, 20


class Load:
    """Ten people post as fast as the room takes it; what is refused is said again, as people do."""

    def __init__(self, clients):
        self.clients = clients
        self.accepted = 0
        self.refused = 0
        self._changed = asyncio.Condition()

    async def run(self):
        await asyncio.gather(*(self._post(client) for client in self.clients[:SENDERS]))

    async def _post(self, client):
        for number in range(POSTS_EACH):
            while True:
                try:
                    await client.post(ROOM, f"{client.boundjid.user} says {number}")
                    break
                except Refused:
                    self.refused += 1
            async with self._changed:
                self.accepted += 1
                self._changed.notify_all()

    async def until_accepted(self, count):
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: self.accepted >= count), 120)


class Plugin(ManagedProcess):
    """A policy that passes everything; attaches again when its stream ends."""

    def __init__(self, pipeline):
        program = os.path.join(SOURCE_DIR, "tests", "support", "policy_plugin.py")
        super().__init__([sys.executable, program, f"127.0.0.1:{pipeline.ports['policies']}", "wall", "--retry"],
                         os.path.join(pipeline.dir, "plugin.log"), name="plugin", environment={"PYTHONPATH": os.path.join(BUILD_DIR, "python")})

    def start(self):
        before = self.log_text().count("active")
        super().start()
        wait_until(lambda: self.log_text().count("active") > before, 30, lambda: f"the plugin to be active\n{self.tail()}")
        return self


def subscribe(pipeline):
    """The policy is asked about posts, before they are sent and again before they are shown."""
    pipeline.collector.terminate()
    assign(pipeline, [("posts", "wall", [("onBeforeSend", ""), ("onBeforeBroadcast", "")])])
    pipeline.collector.start()


async def disturb(pipeline, plugin, load):
    """In the middle of the load the policy, the collector and again the policy die and come back."""
    for part, victim in enumerate((plugin, pipeline.collector, plugin), 1):
        await load.until_accepted(SENDERS * POSTS_EACH * part // 4)
        victim.kill()
        await asyncio.to_thread(victim.start)
    return load.accepted


# conformance: 43
def judge(clients, archive):
    """(number of places at which somebody has seen another order than the archive's, posts seen that are not archived)"""
    archived = [post.event.message_id for post in archive.posts if post.event.conversation.endswith(ROOM)]
    assert len(archived) == len(set(archived)), "a post is archived twice"
    seen = [[entry[2] for entry in client.seen if entry[0] == ROOM] for client in clients]
    shown = set().union(*seen)
    order = [message_id for message_id in archived if message_id in shown]
    differences = sum(a != b for ids in seen for a, b in zip(ids, order)) + sum(abs(len(ids) - len(order)) for ids in seen)
    return differences, len(shown - set(archived))


async def run(pipeline, prosody, plugin):
    people = await log_in(prosody, [f"person{number:02}" for number in range(OCCUPANTS)], Ledger())
    clients = list(people.values())
    for client in clients:
        await client.join(ROOM, client.boundjid.user)
    load = Load(clients)
    running = asyncio.create_task(load.run())
    at_last_kill = await disturb(pipeline, plugin, load)
    assert at_last_kill < SENDERS * POSTS_EACH, "the load was over before the policy came back"
    await running
    last = [entry["id"] for entry in clients[0].ledger.accepted]
    for client in clients:
        await client.until(lambda client=client: {entry[2] for entry in client.seen} >= set(last), "every post", 60)
    posts = len(last)
    try:
        archive = await archive_with(pipeline, lambda archive: {post.event.message_id for post in archive.posts} >= set(last), "every post")
    except AssertionError:
        archive = read_archive(pipeline)  # what is missing is counted
    differences, unarchived = judge(clients, archive)
    print(f"order: occupants={OCCUPANTS} posts={posts} differences={differences} delivered_unarchived={unarchived}")
    assert posts == SENDERS * POSTS_EACH and differences == 0 and unarchived == 0, f"{load.refused} refused and said again"
    asked = plugin.log_text().count("\nasked ")
    assert asked >= 2 * posts, f"{posts} posts, and the policy was asked only {asked} times"
    for client in clients:
        await client.stop()


POLICIES = {"put_reserve_ms": 1000, "outage_wait_ms": 3000, "heartbeat_ms": 500}
with prosody_pipeline("prosody_room_order", collector={"policies": POLICIES}) as (the_pipeline, the_prosody):
    subscribe(the_pipeline)
    the_plugin = Plugin(the_pipeline)
    try:
        the_plugin.start()
        asyncio.run(asyncio.wait_for(run(the_pipeline, the_prosody, the_plugin), 240))
    finally:
        the_plugin.kill()
print("prosody_room_order: ok")
