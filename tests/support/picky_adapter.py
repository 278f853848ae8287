"""An adapter that refuses poisonous posts, and dies now and then between its effect and its acknowledgement.

    picky_adapter.py HOST:PORT FOLDER NAME [DEATHS_PER_HUNDRED]

Each batch becomes one file of lines "room sequence digest", in the form of verbatim-producer's --accepted; a batch with a poisonous post
(is_poison) is rejected whole, without naming it, so that the hub has to find it by halves. TEST_SEED seeds the deaths.
"""
import glob
import hashlib
import os
import queue
import random
import re
import signal
import sys
import time
import uuid

import grpc
from verbatim.v1 import adapter_pb2 as pb
from verbatim.v1 import adapter_pb2_grpc, event_pb2


def is_poison(room, sequence):
    return room.startswith("room-3@") and sequence % 50 == 7


def path_of(folder, batch, digest):
    return os.path.join(folder, f"batch-{batch:012d}-{digest.hex()}.txt")


class Picky:
    def __init__(self, folder, name, deaths):
        self.folder, self.name, self.deaths, self.instance = folder, name, deaths, uuid.uuid4().hex
        self.chance = random.Random(f"{os.environ.get('TEST_SEED', '')} {time.time_ns()}")

    def apply(self, begin, events, digest):
        which = {"batch": begin.batch, "store_epoch": begin.store_epoch}
        lines = []
        for stored in map(pb.StoredEvent.FromString, events):
            text = event_pb2.Event.FromString(stored.event).original_text.plain
            found = re.match(r"\S+ room (\d+) sequence (\d+) ", text)
            if not found:
                continue
            room, sequence = f"room-{found.group(1)}@conference.example", int(found.group(2))
            if is_poison(room, sequence):
                return pb.FromAdapter(reject={**which, "reason": "poison"})
            lines.append(f"{room} {sequence} {hashlib.sha256(text.encode()).hexdigest()}\n")
        path = path_of(self.folder, begin.batch, digest)
        if not os.path.exists(path):
            with open(path + ".tmp", "w", encoding="utf-8") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            os.rename(path + ".tmp", path)
        if self.chance.randrange(100) < self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return pb.FromAdapter(ack={**which, "digest": digest})

    def outgoing(self, answers):
        newest = max(glob.glob(os.path.join(self.folder, "batch-*.txt")), default="-0-.")
        number, digest = newest.rpartition(".")[0].split("-")[-2:]
        yield pb.FromAdapter(hello={"adapter": self.name, "instance": self.instance, "schema_revision": 1,
                                    "last_applied_batch": int(number), "last_applied_digest": bytes.fromhex(digest)})
        while True:
            try:
                yield answers.get(timeout=0.2)
            except queue.Empty:
                yield pb.FromAdapter(heartbeat=pb.AdapterHeartbeat())

    def serve(self, hub):
        answers = queue.Queue()
        begin, events = None, []
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 130 << 20)]
        with grpc.insecure_channel(hub, options=options) as channel:
            for got in adapter_pb2_grpc.AdapterHubStub(channel).Attach(self.outgoing(answers)):
                kind = got.WhichOneof("kind")
                if kind == "begin":
                    begin, events = got.begin, []
                elif kind == "chunk":
                    events.extend(got.chunk.events)
                elif kind == "end":
                    answers.put(self.apply(begin, events, got.end.digest))
                elif kind == "batch_state":
                    asked = got.batch_state
                    is_applied = os.path.exists(path_of(self.folder, asked.batch, asked.digest))
                    state = pb.BatchStateAnswer.STATE_APPLIED if is_applied else pb.BatchStateAnswer.STATE_NOT_APPLIED
                    answers.put(pb.FromAdapter(batch_state={"batch": asked.batch, "digest": asked.digest, "state": state}))


def main():
    hub, folder, name = sys.argv[1:4]
    picky = Picky(folder, name, int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    while True:
        try:
            picky.serve(hub)
        except grpc.RpcError as error:
            print(error.code(), flush=True)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
