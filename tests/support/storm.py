"""What the storms have in common: a producer of numbered posts, and the judge that counts what reached the archive from what the
adapters have written, not from what the services say.

    producer = start_producer(pipeline, "storm", events=1000, accepted_path=path)
    lost, twice, disordered, foreign = compare(read_accepted([path]), posts_of_xml(pipeline.documents()))
"""
import collections
import hashlib
import os
import subprocess
import xml.etree.ElementTree as ElementTree

from verbatim_harness import BIN_DIR


def start_producer(pipeline, name, events, accepted_path, rooms=10, rate=1500, batch=32, window=4096):
    """verbatim-producer over gRPC; its output is in <name>.log, each accepted post a line in accepted_path."""
    with open(os.path.join(pipeline.dir, f"{name}.log"), "w", encoding="utf-8") as log:
        return subprocess.Popen(
            [os.path.join(BIN_DIR, "verbatim-producer"), "--address", f"127.0.0.1:{pipeline.ports['grpc']}", "--producer", name,
             "--count", str(events), "--rooms", str(rooms), "--batch", str(batch), "--window", str(window), "--rate", str(rate),
             "--accepted", accepted_path], stdout=log, stderr=subprocess.STDOUT)


def read_accepted(paths):
    """(wave, room, sequence, digest) of each post; each wave, a file, counts its rooms' posts from 1."""
    posts = []
    for wave, path in enumerate(paths):
        with open(path, encoding="utf-8") as file:
            posts += [(wave, room, int(sequence), digest) for room, sequence, digest in map(str.split, file)]
    return posts


def posts_of_xml(paths):
    """Digest of the text of every CHAT of the legacy documents, in their order."""
    for path in paths:
        if path.endswith(".companion.xml"):
            continue
        for _, element in ElementTree.iterparse(path):
            if element.tag == "Messages":
                for message in element.iter("Message"):
                    if message.get("type") == "CHAT":
                        yield hashlib.sha256(message.get("content").encode()).hexdigest()
            elif element.tag == "Conversation":
                element.clear()


def compare(expected, posts):
    """(lost, twice, disordered, of nobody) of an archive that should have exactly what is expected."""
    place = {digest: (room, (wave, sequence)) for wave, room, sequence, digest in expected}
    counts, last = collections.Counter(), collections.defaultdict(tuple)
    disordered = 0
    for digest in posts:
        counts[digest] += 1
        if digest in place and counts[digest] == 1:
            room, sequence = place[digest]
            disordered += sequence <= last[room]
            last[room] = sequence
    return (sum(1 for digest in place if digest not in counts), sum(count - 1 for count in counts.values()), disordered,
            sum(1 for digest in counts if digest not in place))
