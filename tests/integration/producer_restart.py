"""A producer that begins a new epoch has restarted: whom it had told of leaves, by a synthetic leave that says "restart", before the
first event of the new epoch, and nobody from before stays in the roster. The same over a restart of the collector between."""
import base64
import glob
import json
import os

from archive_reader import NS, Archive
from verbatim_harness import Pipeline, room_join, room_post
from verbatim.v1 import adapter_pb2

ROOM = "desk@rooms.example.test"
AYU, BO = "ayu@example.test/phone", "bo@example.test/desk"


def story_of(folder):
    """What the archive says of the room, in order: (kind, person or text, why it was made up)."""
    story = []
    for event in Archive(folder).events:
        if event.conversation != ROOM:
            continue
        synthetic = event.element.find(f".//{NS}Synthetic")
        reason = synthetic.get("reason", "") if synthetic is not None else ""
        story.append((event.kind, event.text if event.kind == "message_posted" else event.actor, reason))
    return story


def present_at_end(folder):
    """Of the room's last slice."""
    slices = []
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.manifest.json"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            slices += adapter_pb2.BatchHeader.FromString(base64.b64decode(json.load(file)["header"])).slices
    return [one.party.normalised for one in [one for one in slices if one.conversation_key == ROOM][-1].present_at_end]


def tell(pipeline, epoch, events, archived):
    with pipeline.producer("tap", epoch=epoch) as producer:
        producer.send(events)
    assert pipeline.wait_archived(archived)["difference"] == 0


with Pipeline("producer_restart") as pipeline:
    pipeline.start()
    folder = pipeline.config["adapter_xml"]["output_dir"]
    tell(pipeline, 5, [room_join(ROOM, AYU), room_join(ROOM, BO), room_post(ROOM, AYU, "one")], 3)
    tell(pipeline, 6, [room_join(ROOM, AYU), room_post(ROOM, AYU, "two")], 7)
    expected = [("joined", "ayu@example.test", ""), ("joined", "bo@example.test", ""), ("message_posted", "one", ""),
                ("left", "ayu@example.test", "restart"), ("left", "bo@example.test", "restart"),
                ("joined", "ayu@example.test", ""), ("message_posted", "two", "")]
    assert story_of(folder) == expected, story_of(folder)
    assert present_at_end(folder) == ["ayu@example.test"], present_at_end(folder)
    pipeline.collector.restart()
    tell(pipeline, 7, [room_post(ROOM, AYU, "three")], 9)
    expected += [("left", "ayu@example.test", "restart"), ("message_posted", "three", "")]
    assert story_of(folder) == expected, story_of(folder)
    assert present_at_end(folder) == [], present_at_end(folder)
    tell(pipeline, 7, [], 9)  # the same epoch again: only the connection is new
    assert story_of(folder) == expected, story_of(folder)
print("producer_restart: ok")
