"""An adapter with one planted fault, to prove that verbatim-adapter-check finds it.

    faulty_adapter.py HOST:PORT FOLDER FAULT        FAULT "none" keeps the contract

FAULT "mortal" keeps it, too, but dies and rejects. Each batch becomes a file of one line an event; FAULTS of adapter_check.py say what each fault is.
"""
import glob
import hashlib
import os
import queue
import struct
import sys
import threading
import time
import uuid

import grpc
from google.protobuf import message as protobuf
from verbatim.v1 import adapter_pb2 as pb
from verbatim.v1 import adapter_pb2_grpc, event_pb2

HUB, FOLDER, FAULT = sys.argv[1:4]
INSTANCE = "always the same" if FAULT == "same_instance" else uuid.uuid4().hex
remembered = set()
shared_answers = queue.Queue()
first_epoch = []
last_digests = [bytes(32)]


def path_of(batch, digest):
    return os.path.join(FOLDER, f"batch-{batch:012d}-{digest.hex()}.txt")


def write(path, lines):
    if FAULT == "torn":
        with open(path, "w", encoding="utf-8") as file:
            for line in lines:
                file.write(line)
                file.flush()
                time.sleep(0.002)
        return
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.writelines(lines)
    os.rename(path + ".tmp", path)


def is_first_time(what):
    try:
        os.close(os.open(os.path.join(FOLDER, "did." + what), os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def apply_mortally(which, begin, events, lines, digest):
    """It cannot say which event it dislikes; it dies once after the effect of each batch, and then rejects what it has applied."""
    reject = pb.FromAdapter(reject=dict(which, reason="something in it"))
    if any(b"poison" in event for event in events):
        return reject
    is_repeat = os.path.exists(path_of(begin.batch, digest))
    take_effect(begin, lines, digest)
    if not is_repeat and is_first_time(f"die-{begin.batch}"):
        os.kill(os.getpid(), 9)
    return reject if is_repeat and is_first_time(f"reject-{begin.batch}") else pb.FromAdapter(ack=dict(which, digest=digest))


def take_effect(begin, lines, digest):
    path = path_of(begin.batch, digest)
    is_repeat = begin.batch in remembered if FAULT == "forgetful" else os.path.exists(path)
    remembered.add(begin.batch)
    if is_repeat and FAULT != "doubles":
        return
    write(path if not os.path.exists(path) else os.path.join(FOLDER, f"again.{time.time_ns()}.txt"), lines)


def apply(begin, events, digest):
    which = {"batch": begin.batch, "store_epoch": first_epoch[0] if FAULT == "first_epoch" else begin.store_epoch}
    reject = lambda sequence: pb.FromAdapter(reject=dict(which, events=[dict(sequence=sequence)], reason="no"))  # noqa: E731
    body = hashlib.sha256(b"".join(struct.pack("<I", len(event)) + event for event in events))
    if FAULT != "trusting" and hashlib.sha256(begin.header + body.digest()).digest() != digest:
        return pb.FromAdapter(retry=dict(which, retry_after_ms=10, reason="damaged"))
    if FAULT == "rigid" and pb.BatchHeader.FromString(begin.header).previous_digest != last_digests[-1]:
        return pb.FromAdapter(retry=dict(which, retry_after_ms=10, reason="it does not follow the last one"))
    last_digests.append(digest)
    lines = []
    for stored in map(pb.StoredEvent.FromString, events):
        try:
            lines.append(event_pb2.Event.FromString(stored.event).id + "\n")
        except protobuf.DecodeError:
            if FAULT == "insists":
                return pb.FromAdapter(retry=dict(which, retry_after_ms=10, reason="it may parse later"))
            if FAULT == "half_rejects":
                take_effect(begin, lines, digest)
            return reject(stored.sequence + (1 if FAULT == "blames_others" else 0))
    if FAULT == "mortal":
        return apply_mortally(which, begin, events, lines, digest)
    if FAULT == "slow_answers":
        time.sleep(0.3)
    if FAULT == "hasty":
        threading.Timer(10, take_effect, (begin, lines, digest)).start()
    else:
        try:
            take_effect(begin, lines, digest)
        except OSError as error:
            if FAULT == "blames_events":
                return reject(0)
            return pb.FromAdapter(retry=dict(which, retry_after_ms=100, reason=error.strerror))
    return pb.FromAdapter(ack=dict(which, digest=bytes(32) if FAULT == "no_digest" else digest))


def state_of(asked):
    is_applied = os.path.exists(path_of(asked.batch, asked.digest))
    if FAULT in ("boasts", "denies"):
        is_applied = FAULT == "boasts"
    state = pb.BatchStateAnswer.STATE_APPLIED if is_applied else pb.BatchStateAnswer.STATE_NOT_APPLIED
    return pb.FromAdapter(batch_state=pb.BatchStateAnswer(batch=asked.batch, digest=asked.digest, state=state))


def outgoing(answers):
    if FAULT == "impolite":
        yield pb.FromAdapter(heartbeat=pb.AdapterHeartbeat())
    number, digest = max(glob.glob(path_of(0, b"").replace("0" * 12 + "-", "*")), default="-0-.").rpartition(".")[0].split("-")[-2:]
    if FAULT == "wrong_hello" and number != "0":
        digest = "00" * 32
    yield pb.FromAdapter(hello=dict(adapter="faulty", instance=INSTANCE, schema_revision=1, last_applied_batch=int(number),
                                    last_applied_digest=bytes.fromhex(digest)))
    while True:
        try:
            yield answers.get(timeout=0.1)
        except queue.Empty:
            if FAULT != "silent":
                yield pb.FromAdapter(heartbeat=pb.AdapterHeartbeat())


def serve():
    answers = shared_answers if FAULT == "slow_answers" else queue.Queue()
    begin, events = None, []
    with grpc.insecure_channel(HUB, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        for got in adapter_pb2_grpc.AdapterHubStub(channel).Attach(outgoing(answers)):
            kind = got.WhichOneof("kind")
            if kind == "welcome":
                first_epoch.append(got.welcome.store_epoch)
            elif kind == "activity" and not got.activity.is_active and FAULT == "restless":
                return
            elif kind == "begin":
                begin, events = got.begin, []
            elif kind == "chunk":
                events.extend(got.chunk.events)
            elif kind == "end":
                answers.put(apply(begin, events, got.end.digest))
            elif kind == "batch_state":
                answers.put(state_of(got.batch_state))


while True:
    try:
        serve()
    except grpc.RpcError:
        pass
    time.sleep(0.05)
