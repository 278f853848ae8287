"""What is said in the demo: two rooms and one to one, by people of whom one is killed."""
import asyncio
import json
import os
import sys

import xmpp_client
from managed_process import HarnessError
from prosody import HOST, PASSWORD, ROOMS
from xmpp_client import ChatClient, Ledger

DESK = f"desk-rates@{ROOMS}"
TEA = f"tea@{ROOMS}"
PEOPLE = ("alice", "bob", "carol", "dave", "erin")

TEXTS = (
    ("alice", "Good morning. 5y at 3.14 <firm> & \"good\" until 10'30"),
    ("bob", "Grüß Gott, 早上好, доброе утро, नमस्ते"),
    ("carol", "שלום לכולם, המחיר הוא 3.14"),
    ("dave", "مرحبا: السعر ٣٫١٤ مع ABC 123"),
    ("erin", "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 🇩🇪, 👍🏽, and e\u0301 beside é"),
    ("alice", "Three lines:\n\tone, indented\n  two, two blanks before\nthree, trailing blanks  "),
    ("bob", "]]> <!-- no comment --> <?pi?> &amp; &#10; <b>not bold</b>"),
    ("carol", "zero\u200bwidth, no\u00a0break, right\u200fto\u200eleft marks, \ufeffbyte order mark, \U0001d54f"),
)


def jid(name):
    return f"{name}@{HOST}"


class Conversation:
    """run() gives the ledger of what was accepted; `order`: room -> ids in the order in which alice saw them."""

    def __init__(self, port, log_dir, say):
        self.port = port
        self.log_dir = log_dir
        self.say = say
        self.ledger = Ledger()
        self.people = {}
        self.order = {}
        self.victim = None

    async def run(self):
        for name in PEOPLE:
            self.people[name] = await ChatClient(jid(name) + "/demo", PASSWORD, self.port, self.ledger).start()
        try:
            await self._gather_in_rooms()
            await self._talk()
            await self._change_things()
            await self._one_to_one()
            await self._lose_someone()
            await self._part()
        finally:
            if self.victim and self.victim.returncode is None:
                self.victim.kill()
                await self.victim.wait()
        return self.ledger

    def __getattr__(self, name):
        if name in PEOPLE:
            return self.people[name]
        raise AttributeError(name)

    async def _gather_in_rooms(self):
        for name in PEOPLE:
            await self.people[name].join(DESK, name.capitalize())
        await self.alice.join(TEA, "Alice")
        await self.alice.set_subject(DESK, "Rates & more: <3 %>")
        self.alice.invite(TEA, jid("bob"), "A cup?")
        await self.bob.until(lambda: TEA in self.bob.invitations, "the invitation")
        await self.bob.join(TEA, "Bob")
        self.bob.invite_directly(TEA, jid("erin"), "You too")
        await self.erin.until(lambda: TEA in self.erin.invitations, "the direct invitation")
        await self.erin.join(TEA, "Erin")
        self.say("five people in one room, three in another, a subject, two invitations")

    async def _talk(self):
        for name, text in TEXTS:
            await self.people[name].post(DESK, text)
        await asyncio.gather(*(self.people[name].post(DESK, f"{name} speaks at the same time, {i}")
                               for i in range(8) for name in PEOPLE))
        await asyncio.gather(*(self.people[name].post(TEA, f"Tea number {i} ☕") for i in range(5) for name in ("alice", "bob", "erin")))
        await self.dave.post(DESK, "A long one: " + "Wörter, " * 5700)
        self.say("many scripts, emoji, mark-up, line breaks, everybody at once, 50 KB in one message")

    async def _change_things(self):
        first = await self.bob.post(DESK, "I offer 3.41")
        await self.bob.edit(DESK, first["id"], "I offer 3.14")
        wrong = await self.carol.post(DESK, "This is not meant for this room")
        await self.carol.retract(DESK, wrong["stanza_id"] or wrong["id"])
        await self.erin.share_file(DESK, "https://files.chat.example/Preisliste%202026.pdf")
        await self.alice.admin(DESK, nick="Bob", role="moderator", reason="minds the desk")
        await self.alice.admin(DESK, jid=jid("carol"), affiliation="member")
        await self.dave.read_archive(DESK, 5)
        await self.bob.whisper(DESK, "Alice", "Between us: 3.12 would do")
        self.say("an edit, a retraction, a file, a role, an affiliation, a look at the history, a whisper")

    async def _one_to_one(self):
        await self.alice.tell(jid("bob"), "Just between us <&> 🤫")
        await self.bob.tell(jid("alice"), "נשמע טוב\nreally")
        await asyncio.gather(*(self.people[a].tell(jid(b), f"{a} to {b}, {i}") for i in range(3)
                               for a, b in (("carol", "dave"), ("dave", "carol"), ("erin", "alice"))))
        self.say("one to one, both ways")

    async def _lose_someone(self):
        """A client in a process of its own speaks and is killed."""
        with open(os.path.join(self.log_dir, "zoe.log"), "w", encoding="utf-8") as log:
            self.victim = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "SIGKILL", sys.executable, xmpp_client.__file__, "--jid", jid("zoe") + "/demo",
                "--room", DESK, "--nick", "Zoe", "--port", str(self.port),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log)
        await self._read_victim()
        for i in range(3):
            self.victim.stdin.write(json.dumps({"text": f"Zoe's word {i}"}).encode() + b"\n")
            self.ledger.accepted.append(await self._read_victim())
        # The last words: accepted if the room has shown them, whatever the dead client knew.
        self.victim.stdin.write(b'{"text": "Zoe\'s last word"}\n')
        await self.alice.until(lambda: any(text == "Zoe's last word" for *_, text in self.alice.seen), "Zoe's last word")
        self.victim.kill()
        await self.victim.wait()
        room, _, message_id, text = next(entry for entry in self.alice.seen if entry[3] == "Zoe's last word")
        self.ledger.accept(kind="room", conversation=room, sender=jid("zoe"), id=message_id, sha256=xmpp_client.digest(text))
        await self.alice.until(lambda: "Zoe" not in self.alice.occupants[DESK], "Zoe to be shown as gone")
        await self.alice.post(DESK, "Zoe is gone; we go on")
        self.say("a sixth client, killed in mid-conversation; the room goes on")

    async def _read_victim(self):
        line = await asyncio.wait_for(self.victim.stdout.readline(), 30)
        if not line:
            raise HarnessError("the client to be killed ended by itself")
        return json.loads(line)

    async def _part(self):
        for room in (DESK, TEA):
            self.order[room] = [message_id for where, _, message_id, _ in self.alice.seen if where == room]
        self.erin.leave(TEA)
        await self.alice.until(lambda: "Erin" not in self.alice.occupants[TEA], "Erin to leave")
        for client in self.people.values():
            await client.stop()
        self.say(f"{len(self.ledger.accepted)} messages accepted, message by message")
