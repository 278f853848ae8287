#!/usr/bin/python3
"""The whole road: people talk in rooms of a real Prosody server, and every word ends up in the archive.

Called by deploy/run --demo. Starts queue, processor, XML adapter, collector and Prosody under var/demo, lets real XMPP
clients hold a conversation, waits until all is archived, compares the archive with what the clients know to be accepted,
and ends with one line "demo: accepted=N archived=N lost=0 duplicated=0".
"""
import argparse
import asyncio
import collections
import fcntl
import os
import shutil
import sys
import time

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE_DIR, "tests", "support"))

from archive_reader import Archive  # noqa: E402
from conversation import Conversation  # noqa: E402
from managed_process import HarnessError, wait_until  # noqa: E402
from services import Services  # noqa: E402
from xmpp_client import Refused  # noqa: E402

# Of a long conversation the transcript shows the beginning and the end; the documents have all of it.
SHOWN_AT_START, SHOWN_AT_END = 12, 14
BOLD, DIM, OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Progress:
    """Stages with their times, for people."""

    def __init__(self):
        self.started = time.monotonic()
        self.stages = []
        self._stage_started = self.started

    def stage(self, title):
        self.end_stage()
        self.stages.append([title, None])
        self._stage_started = time.monotonic()
        print(f"{BOLD}▸ {title}{OFF}", flush=True)

    def say(self, text):
        print(f"  {DIM}{time.monotonic() - self.started:5.1f} s{OFF}  {text}", flush=True)

    def end_stage(self):
        if self.stages and self.stages[-1][1] is None:
            self.stages[-1][1] = time.monotonic() - self._stage_started

    def times(self):
        self.end_stage()
        return ", ".join(f"{title} {seconds:.1f} s" for title, seconds in self.stages)


def compare(ledger, archive):
    """Counts what clients know to be accepted against what stands in the archive, by id and SHA-256 of the text.

    Posts must stand in the legacy documents, edits and retractions in the companions. Gives archived, and lists of what is
    lost and what is there more than once or was never accepted.
    """
    def key(kind, message_id, sha256):
        return ("post" if kind in ("room", "direct", "private") else kind, message_id, sha256)

    # A retraction's fallback text is a CHAT, too.
    found = collections.Counter(key("room", post.event.message_id, post.sha256) for post in archive.posts
                                if post.event.kind != "message_deleted")
    for kind, name in (("edit", "message_edited"), ("retraction", "message_deleted")):
        found.update(key(kind, event.message_id, event.sha256) for event in archive.records(name))
    accepted = [key(entry["kind"], entry["id"], entry["sha256"]) for entry in ledger.accepted]
    lost = [wanted for wanted in accepted if not found[wanted]]
    expected = collections.Counter(accepted)
    surplus = [one for one, count in found.items() for _ in range(count - expected[one])]
    return len(accepted) - len(lost), lost, surplus


def order_errors(order, archive):
    """Rooms whose posts do not stand in the archive in the order in which the room showed them."""
    errors = []
    for room, shown in order.items():
        archived = [event.message_id for event in archive.records("message_posted", "message_edited", "message_deleted")
                    if event.conversation == room and event.element.find("{*}MessagePosted[@isPrivate='true']") is None]
        if archived != shown:
            errors.append(room)
    return errors


def print_transcript(archive):
    by_channel = collections.defaultdict(list)
    for post in archive.posts:
        by_channel[post.channel].append(post)
    for channel, posts in by_channel.items():
        print(f"  {BOLD}{channel}{OFF}")
        for number, post in enumerate(posts):
            if SHOWN_AT_START <= number < len(posts) - SHOWN_AT_END:
                if number == SHOWN_AT_START:
                    print(f"    {DIM}… {len(posts) - SHOWN_AT_START - SHOWN_AT_END} more …{OFF}")
                continue
            text = post.content.replace("\n", " ⏎ ").replace("\t", " ")
            if len(text) > 72:
                text = text[:72] + f"… ({len(post.content.encode('utf-8'))} bytes)"
            print(f"    {DIM}{post.time[11:23]}{OFF}  {post.user_name.split('@')[0]:<6} {text}")
    kinds = collections.Counter(event.kind for event in archive.events if event.is_record)
    evidence = sum(1 for event in archive.events if not event.is_record)
    print(f"  beside the posts: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}; {evidence} as evidence")


def wait_until_archived(services):
    seen = {}

    def is_archived():
        balance = services.balance()
        seen["balance"] = balance
        if not balance or not balance["archived"] or balance["difference"]:
            return None
        return balance if balance["archived"] == balance["accepted"] and not balance["outbox"] else None
    return wait_until(is_archived, 40, lambda: f"everything to be archived, seen: {seen}\n{services.tails()}", poll=0.2)


def run(services, progress):
    """Gives the number of accepted and archived messages, the lost ones and the surplus."""
    progress.stage("start")
    services.start()
    progress.say("queue, processor, XML adapter, collector and Prosody run; the tap is linked")
    progress.stage("talk")
    conversation = Conversation(services.prosody.port, services.dir, progress.say)
    ledger = asyncio.run(asyncio.wait_for(conversation.run(), 60))
    progress.stage("archive")
    wait_until_archived(services)
    progress.say("everything accepted is archived, difference 0")
    status = services.status_text()
    services.prosody.assert_healthy()
    services.stop()
    progress.stage("check")
    problems = services.validate()
    if problems:
        raise HarnessError(f"the documents do not validate:\n{problems}")
    archive = Archive(services.archive_dir)
    progress.say(f"{len(archive.documents)} documents with companions are valid: {os.path.relpath(services.archive_dir)}")
    archived, lost, surplus = compare(ledger, archive)
    disordered = order_errors(conversation.order, archive)
    if disordered:
        raise HarnessError(f"not in the order of the room: {disordered}")
    progress.say("every message once, by id and SHA-256; the order is that of the rooms")
    progress.end_stage()
    print(f"\n{BOLD}The transcript, as archived{OFF}")
    print_transcript(archive)
    print(f"\n{BOLD}verbatimctl status{OFF}\n{status}")
    return len(ledger.accepted), archived, lost, surplus


def clean_up(folder, keep):
    """Without --keep only the documents stay."""
    if keep:
        return
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name != "archive":
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def main():
    parser = argparse.ArgumentParser(prog="deploy/run --demo", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="keep the data of the services and their logs under var/demo")
    arguments = parser.parse_args()
    bin_dir = os.path.abspath(os.environ.get("VERBATIM_BIN_DIR") or os.path.join(SOURCE_DIR, "build", "release", "bin"))
    folder = os.path.join(SOURCE_DIR, "var", "demo")
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    lock = open(folder + ".lock", "w", encoding="ascii")  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print(f"deploy/run --demo: another demo runs in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    progress = Progress()
    services = Services(folder, bin_dir)
    try:
        accepted, archived, lost, surplus = run(services, progress)
    except (AssertionError, OSError, asyncio.TimeoutError, Refused) as error:  # HarnessError is an AssertionError
        print(f"\ndemo failed: {error or type(error).__name__}\n{services.tails()}\neverything is kept in {folder}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo stopped", file=sys.stderr)
        return 130
    finally:
        services.kill()
    for what, entries in (("lost", lost), ("more than once, or never accepted", surplus)):
        for kind, message_id, _ in entries:
            print(f"{what}: {kind} {message_id}", file=sys.stderr)
    clean_up(folder, arguments.keep)
    stage_times = os.environ.get("VERBATIM_STAGE_TIMES")
    print(f"times: {stage_times + ', ' if stage_times else ''}{progress.times()}")
    print(f"demo: accepted={accepted} archived={archived} lost={len(lost)} duplicated={len(surplus)}", flush=True)
    return 0 if archived == accepted and not lost and not surplus else 1


if __name__ == "__main__":
    sys.exit(main())
