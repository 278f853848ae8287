"""What operators do with the processor's store: holds and the queue's hold flag, staging list and trace with content, replay,
drain, alarms, metrics. On built binaries, with both adapters."""
import json
import urllib.request

import grpc
from verbatim_harness import Pipeline, room_post, wait_until
from verbatim_operator import Operator
from verbatim.v1 import event_pb2

CANARY = "canary-text-only-with-content"
HELD, FREE = "deal@rooms.x", "lunch@rooms.x"
REASON = ["--reason", "case 4711"]


class Story(Operator):
    def __init__(self, pipeline, producer):
        super().__init__(pipeline, CANARY)
        self.producer = producer
        self.sent = 0

    def send(self, events):
        self.producer.send(events)
        self.sent += len(events)

    def posts(self, room, count):
        self.send([room_post(room, "alice@x", f"{CANARY} {self.sent + i}", message_id=f"m{self.sent + i}") for i in range(count)])

    def is_queue_held(self):
        try:
            return self.pipeline.queue_info().is_held
        except grpc.RpcError:
            return None

    def archived(self):
        return self.pipeline.wait_archived(self.sent)


def holds_keep_what_is_archived(story):
    story.run("holds", "add", code=2)
    story.run("holds", "add", *REASON, code=1, words=["a person, a room, a time"])
    story.run("holds", "add", "--room", HELD.upper(), *REASON, words=["Hold 1 stands", HELD, "has 0 events of it now", "as `staging list` shows it"])
    assert story.is_queue_held()
    story.posts(HELD, 20)
    story.posts(FREE, 20)
    story.archived()
    wait_until(lambda: story.json("holds", "list")["kept_count"] == "20", 20, lambda: story.json("holds", "list"))
    assert story.json("staging", "list", "--room", HELD, "--count")["match_count"] == "20"
    assert story.json("staging", "list", "--room", FREE, "--count")["match_count"] == "0"
    story.run("status", "--recount", words=["difference 0"])


def the_queues_flag_comes_back_and_an_outage_is_pending(story):
    pipeline = story.pipeline
    story.run("queues", "release-hold", "events", *REASON)  # somebody else takes the flag away
    pipeline.queue.terminate()
    story.run("holds", "add", "--person", "alice@x", *REASON)
    story.run("holds", "list", code=1, words=["alice@x", "PENDING"])
    pipeline.queue.start()
    wait_until(story.is_queue_held, 30, "the hold flag to be set again")
    pipeline.processor.restart(kill=True)
    assert len(story.json("holds", "list")["holds"]) == 2
    story.run("holds", "release", "1", *REASON, words=["0 copies"])  # alice's hold covers them all
    assert story.is_queue_held()
    # Killed between the mark and the copies: the next start goes on with them.
    pipeline.processor.terminate()
    pipeline.processor.start(environment={"VERBATIM_FAULT_POINT": "processor.hold_released_before_copies"})
    story.run("holds", "release", "2", *REASON, code=3)
    wait_until(lambda: not pipeline.processor.is_running(), 20, "the processor to end at the fault point")
    pipeline.processor.start()
    assert story.json("staging", "list", "--count")["match_count"] == "0", story.json("holds", "list")
    wait_until(lambda: story.is_queue_held() is False, 30, "the hold flag to be taken back")
    story.run("holds", "list", words=["No holds"])


def edited(target, message_id, text):
    event = room_post(HELD, "alice@x", text, message_id=message_id)
    event.references.target_message_id = target
    event.message_edited.SetInParent()
    return event


def deleted(target):
    event = room_post(HELD, "alice@x", "", message_id="d1")
    event.ClearField("original_text")
    event.references.target_message_id = target
    event.message_deleted.SetInParent()
    return event


def versions_are_reconstructed(story):
    story.pipeline.adapter_count.terminate()  # a required adapter is away: everything stays
    story.send([room_post(HELD, "alice@x", f"{CANARY} one", message_id="first")])
    story.send([edited("first", "e1", f"{CANARY} two"), edited("first", "e2", f"{CANARY} three"), deleted("first")])
    wait_until(lambda: story.json("staging", "list", "--room", HELD, "--count")["match_count"] == "4", 20, "four staged events")
    traced = story.json("staging", "trace", "first", "--content", *REASON)["events"]
    assert [(one["version"], one["text"]["plain"]) for one in traced if one["version"] > 0] == [
        (1, f"{CANARY} one"), (2, f"{CANARY} two"), (3, f"{CANARY} three")], traced
    assert traced[3]["info"]["kind"] == "EVENT_KIND_MESSAGE_DELETED" and traced[3]["of_version"] == 3, traced
    story.run("staging", "trace", "e2", words=["version 3", "message deleted"])
    story.run("staging", "trace", "e2", "--content", *REASON, words=[f"{CANARY} two"])
    story.run("staging", "show", traced[0]["info"]["sequence"], "--content", *REASON, words=[f"{CANARY} one"])
    story.run("staging", "show", traced[0]["info"]["sequence"], "--content", code=2)
    story.run("staging", "list", "--kind", "message_edited", words=["2 events", "staged"])
    story.run("audit", "list", "--service", "processor", words=["content read", "case 4711", "message first"])
    story.run("staging", "list", "--from", "2026-02-01", "--to", "2026-01-01", code=1, words=["ends before it begins"])


def a_replay_reaches_what_is_there(story):
    pipeline = story.pipeline
    story.posts(FREE, 30)
    wait_until(lambda: story.json("batches", "list", "--adapter", "xml")["batches"], 20, "a batch")
    wait_until(lambda: [one for one in story.json("adapters", "list")["adapters"] if one["name"] == "xml"][0]["pending_count"] == "0",
               30, "xml to have taken everything")
    first = story.json("staging", "list", "-n", "1")["sequence"]
    before = len(pipeline.documents())
    story.run("adapters", "replay", "xml", "--from", first, "--dry-run", words=["would reach at most", "34 events"])
    story.run("adapters", "replay", "xml", "--from", first, code=2)
    story.run("adapters", "replay", "xml", "--from", "999999999", "--dry-run", code=1, words=["would reach nothing"])
    story.run("adapters", "replay", "xml", "--from", first, *REASON, words=["gives again at most 34 events"])
    wait_until(lambda: [one for one in story.json("adapters", "list")["adapters"] if one["name"] == "xml"][0]["replayed_count"] == "34",
               30, lambda: story.json("adapters", "list"))
    assert len(pipeline.documents()) > before
    story.run("adapters", "replay", "xml", "--from", "999999999", *REASON, code=1)
    story.run("audit", "list", "--service", "processor", words=["replay ended", "events given: 34 of at most 34"])
    assert [one for one in story.json("batches", "list")["batches"] if one["replay_of"] != "0"], "no batch is marked"
    story.run("status", "--recount", code=1, words=["difference 0"])  # count is not attached
    story.run("verify", pipeline.config["adapter_xml"]["output_dir"], "--ask-processor", "xml")


def a_drain_says_what_is_in_the_way_and_ends(story):
    pipeline = story.pipeline
    story.run("drain", "--timeout", "1", *REASON, code=1, words=["adapter count", "not drained in time", "Puts stay paused"])
    wait_until(lambda: "draining" in pipeline.verbatimctl("status").stdout, 20, lambda: pipeline.verbatimctl("status").stdout)
    pipeline.adapter_count.start()
    story.run("drain", "--timeout", "60", *REASON, words=["Drained", "paused"])
    assert pipeline.queue_info().is_put_paused
    assert pipeline.queue_info().depth == 0 and pipeline.totals()["staged"] == 0
    story.run("queues", "pause", "events", "--receives", *REASON)
    story.run("drain", "--end", *REASON, words=["puts go on"])
    assert pipeline.queue_info().is_receive_paused, "somebody else's pause is none of its business"
    story.posts(FREE, 5)
    story.run("drain", "--timeout", "1", *REASON, code=1, words=["receives of queue events are paused", "not drained in time"])
    story.run("drain", "--end", *REASON, words=["puts go on"])
    story.run("queues", "resume", "events", *REASON)
    story.archived()
    wait_until(lambda: "draining" not in pipeline.verbatimctl("status").stdout, 20, lambda: pipeline.verbatimctl("status").stdout)


def a_drain_does_not_wait_for_an_interval(story):
    pipeline = story.pipeline
    for adapter in pipeline.config["processor"]["adapters"]:
        adapter["interval_ms"] = 3_600_000
    pipeline.processor.restart()
    story.posts(FREE, 3)
    wait_until(lambda: pipeline.totals()["staged"] == 3, 20, "three staged events")
    story.run("drain", "--timeout", "60", *REASON, words=["Drained"])
    story.run("drain", "--end", *REASON)


def alarms_and_metrics_tell_of_it(story):
    story.run("adapters", "pause", "xml", *REASON)
    wait_until(lambda: "adapter-paused" in story.pipeline.verbatimctl("alarms", "list").stdout, 20, "an alarm")
    story.run("alarms", "list", code=1, words=["processor", "adapter-paused", "xml"])
    entries = [one for one in story.json("audit", "list", "--service", "processor")["entries"] if one["action"] == "paused"]
    assert entries and all(one["user"] and one["reason"] == REASON[1] for one in entries), entries
    story.run("quarantine", "list", "--adapter", "nobody", code=1, words=["no such adapter"])
    story.run("adapters", "resume", "xml", *REASON)
    wait_until(lambda: story.pipeline.verbatimctl("alarms", "list").returncode == 0, 20, "the alarm to be over")
    address = story.pipeline.processor.endpoints["metrics_listen"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert 'verbatim_processor_adapter_lag_events{adapter="xml"} 0' in text, text
    assert 'verbatim_processor_adapter_replayed_events_total{adapter="xml"} 34' in text, text
    story.run("files", "list", words=["No event of the store names a file"])


assert event_pb2.EVENT_KIND_MESSAGE_EDITED
with Pipeline("processor_operation", adapters=("xml", "count")) as pipeline:
    pipeline.start()
    with pipeline.producer() as producer:
        story = Story(pipeline, producer)
        for step in (holds_keep_what_is_archived, the_queues_flag_comes_back_and_an_outage_is_pending, versions_are_reconstructed,
                     a_replay_reaches_what_is_there, a_drain_says_what_is_in_the_way_and_ends, a_drain_does_not_wait_for_an_interval,
                     alarms_and_metrics_tell_of_it):
            step(story)
            print(f"processor_operation: {step.__name__} ok", flush=True)
    for service in pipeline.services:
        assert CANARY not in service.log_text(), service.name
    assert pipeline.totals(recount=True)["difference"] == 0
print("processor_operation: ok")
