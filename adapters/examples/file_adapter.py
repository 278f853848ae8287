"""An adapter: each batch becomes a file in FOLDER (docs/write-an-adapter.md). file_adapter.py HOST:PORT FOLDER [NAME]"""
import glob, grpc, hashlib, json, os, queue, struct, sys, time, uuid
from google.protobuf import json_format, message
from verbatim.v1 import adapter_pb2 as pb, adapter_pb2_grpc, event_pb2

HUB, FOLDER, NAME, INSTANCE = sys.argv[1], sys.argv[2], (sys.argv[3:] + ["files"])[0], uuid.uuid4().hex

def path_of(batch, digest):
    return os.path.join(FOLDER, f"batch-{batch:012d}-{digest.hex()}.jsonl")

def apply(begin, events, digest):  # brings a batch into effect, once and durably; gives the answer
    which = dict(batch=begin.batch, store_epoch=begin.store_epoch)
    body, lines = hashlib.sha256(b"".join(struct.pack("<I", len(event)) + event for event in events)), []
    if hashlib.sha256(begin.header + body.digest()).digest() != digest:
        return pb.FromAdapter(retry=dict(which, retry_after_ms=100, reason="damaged on its way"))
    for stored in map(pb.StoredEvent.FromString, events):
        try:
            lines.append(json_format.MessageToDict(event_pb2.Event.FromString(stored.event)))
        except message.DecodeError:
            return pb.FromAdapter(reject=dict(which, events=[dict(sequence=stored.sequence)], reason="it does not parse"))
    try:
        if not os.path.exists(path_of(begin.batch, digest)):  # else it is a repeat
            with open(os.path.join(FOLDER, "new.tmp"), "w", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines), file.flush(), os.fsync(file.fileno())
            os.rename(file.name, path_of(begin.batch, digest))
        folder = os.open(FOLDER, os.O_DIRECTORY)
        os.fsync(folder), os.close(folder)
    except OSError as error:  # the target refuses: never the events' fault
        return pb.FromAdapter(retry=dict(which, retry_after_ms=1000, reason=error.strerror))
    return pb.FromAdapter(ack=dict(which, digest=digest))

def outgoing(answers):  # hello, then answers, and heartbeats in between: also while a batch is being applied
    newest = max(glob.glob(os.path.join(FOLDER, "batch-*.jsonl")), default="-0-.")
    number, digest = newest.rpartition(".")[0].split("-")[-2:]
    yield pb.FromAdapter(hello=dict(adapter=NAME, instance=INSTANCE, schema_revision=1, software="file_adapter.py",
                                    last_applied_batch=int(number), last_applied_digest=bytes.fromhex(digest)))
    while True:
        try:
            yield answers.get(timeout=0.2)
        except queue.Empty:
            yield pb.FromAdapter(heartbeat=pb.AdapterHeartbeat())

while True:
    answers = queue.Queue()  # of this stream: what was asked on one is never answered on another
    try:
        with grpc.insecure_channel(HUB, options=[("grpc.max_receive_message_length", 130 << 20)]) as channel:
            for got in adapter_pb2_grpc.AdapterHubStub(channel).Attach(outgoing(answers)):
                if got.HasField("begin"):
                    begin, events = got.begin, []
                elif got.HasField("chunk"):
                    events.extend(got.chunk.events)
                elif got.HasField("end"):
                    answers.put(apply(begin, events, got.end.digest))
                elif got.HasField("batch_state"):
                    which = dict(batch=got.batch_state.batch, digest=got.batch_state.digest)
                    answers.put(pb.FromAdapter(batch_state=dict(which, state=1 if os.path.exists(path_of(**which)) else 2)))
    except (grpc.RpcError, OSError) as error:
        print(error.details() if isinstance(error, grpc.RpcError) else error, file=sys.stderr)
    time.sleep(0.5)
