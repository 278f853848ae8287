"""What adapters of the tests have in common: each batch becomes one file of lines, synced and renamed into place, which is its effect.

A subclass says which lines (lines_of), or rejects the batch (Rejected), and may do something between effect and acknowledgement
(applied). Once in the archive: a batch whose file is there is only acknowledged.
"""
import glob
import os
import queue
import time
import uuid

import grpc
from verbatim.v1 import adapter_pb2 as pb
from verbatim.v1 import adapter_pb2_grpc


class Rejected(Exception):
    """The batch is rejected whole, for this reason, without naming an event."""


class LineAdapter:
    def __init__(self, folder, name):
        self.folder, self.name, self.instance = folder, name, uuid.uuid4().hex

    def lines_of(self, begin, events):
        raise NotImplementedError

    def applied(self):
        pass

    def path_of(self, batch, digest):
        return os.path.join(self.folder, f"batch-{batch:012d}-{digest.hex()}.txt")

    def apply(self, begin, events, digest):
        which = {"batch": begin.batch, "store_epoch": begin.store_epoch}
        try:
            lines = self.lines_of(begin, [pb.StoredEvent.FromString(event) for event in events])
        except Rejected as rejected:
            return pb.FromAdapter(reject={**which, "reason": str(rejected)})
        path = self.path_of(begin.batch, digest)
        if not os.path.exists(path):
            with open(path + ".tmp", "w", encoding="utf-8") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            os.rename(path + ".tmp", path)
        self.applied()
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
                    is_applied = os.path.exists(self.path_of(asked.batch, asked.digest))
                    state = pb.BatchStateAnswer.STATE_APPLIED if is_applied else pb.BatchStateAnswer.STATE_NOT_APPLIED
                    answers.put(pb.FromAdapter(batch_state={"batch": asked.batch, "digest": asked.digest, "state": state}))

    def run(self, hub):
        """For ever; a stream that ends is begun again."""
        while True:
            try:
                self.serve(hub)
            except grpc.RpcError as error:
                print(error.code(), flush=True)
            time.sleep(0.05)
