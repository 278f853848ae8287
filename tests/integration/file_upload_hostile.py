"""Clients of Files that do not keep its contract. Each is refused by name; none keeps others from uploading; events go on."""
import os
import threading
import time

import grpc
from file_client import MIB, Upload, make_content, read_file, sha256, upload
from verbatim.v1 import ingest_pb2
from verbatim_harness import Pipeline, room_post

SILENCE_MAX_MS = 2_000
UPLOADS_MAX_COUNT = 8
SEED = int(os.environ.get("TEST_SEED", "1"))


def expect(code, *requests):
    with Upload(pipeline) as call:
        for request in requests:
            call._requests.put(request)
        call.end()
        got = call.error()
        assert got[0] == code, (code, got, [request.WhichOneof("kind") for request in requests])


def begin(size, digest=bytes(32)):
    return ingest_pb2.UploadRequest(begin=ingest_pb2.UploadBegin(sha256=digest, size_bytes=size))


def chunk(size):
    return ingest_pb2.UploadRequest(chunk=bytes(size))


def begin_until_refused():
    """Begins uploads of different files until one is refused as too many; gives those that stand, and the refusal."""
    calls = []
    while len(calls) <= UPLOADS_MAX_COUNT:
        call = Upload(pipeline)
        try:
            call.begin(b"stalled %d" % len(calls))
            calls.append(call)
        except grpc.RpcError as error:
            call.break_off()
            return calls, error
    return calls, None


with Pipeline("file_upload_hostile", adapters=(), config={"files": {"upload_silence_max_ms": SILENCE_MAX_MS}}) as pipeline:
    pipeline.start()
    expect("INVALID_ARGUMENT")
    expect("INVALID_ARGUMENT", chunk(10))
    expect("INVALID_ARGUMENT", ingest_pb2.UploadRequest())
    expect("INVALID_ARGUMENT", begin(-1))
    expect("INVALID_ARGUMENT", begin(2**63 - 1))
    expect("INVALID_ARGUMENT", begin(10, b""))
    expect("INVALID_ARGUMENT", begin(10, bytes(33)))
    expect("INVALID_ARGUMENT", begin(10), begin(10))
    expect("INVALID_ARGUMENT", begin(10), ingest_pb2.UploadRequest())
    expect("INVALID_ARGUMENT", begin(10), chunk(0))
    expect("INVALID_ARGUMENT", begin(2 * MIB), chunk(MIB + 1))
    expect("INVALID_ARGUMENT", begin(10))
    expect("DATA_LOSS", begin(10), chunk(10))
    with Upload(pipeline) as call:  # one message of 100 MB
        call.ask(bytes(32), 10)
        call.reply()
        call.send_chunk(bytes(100_000_000))
        code = call.error()[0]  # at the bound of memory, or cut off as silent on a slow machine
        assert code in ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "CANCELLED"), code

    # As many as may be stall; one more is refused by name, events go on, and the stalled ones are cut off.
    began = time.monotonic()
    stalled, refusal = begin_until_refused()
    took = time.monotonic() - began
    if took < SILENCE_MAX_MS / 1000:  # a slow machine cuts the first off before the last has begun
        assert len(stalled) == UPLOADS_MAX_COUNT, len(stalled)
        assert refusal.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "too many uploads" in refusal.details(), refusal
    with pipeline.producer("alice") as producer:
        producer.send([room_post("g@muc.x", "a@x", "still taken")])
        assert producer.accepted == {1}, producer.refused
    for call in stalled:
        assert call.error()[0] == "CANCELLED", call.error()
        call.break_off()
    assert "silent for too long" in pipeline.collector.log_text()

    # All places at once and at full speed, beside a producer: nobody is refused for the server's memory.
    contents = [make_content(12 * MIB, SEED + number) for number in range(UPLOADS_MAX_COUNT)]
    failures = []

    def run(content):
        try:
            upload(pipeline, content)
        except Exception as error:  # noqa: BLE001: told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(content,), daemon=True) for content in contents]
    with pipeline.producer("bob") as producer:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            producer.send([room_post("g@muc.x", "a@x", "x" * 100_000) for _ in range(8)])
        assert not producer.refused and producer.connect_count == 1, (producer.refused, producer.connect_count, producer.last_error)
        events = len(producer.accepted)
    assert not failures, failures[:3]
    for content in contents:
        assert read_file(pipeline, sha256(content)) == (content, len(content))
    pipeline.stop()
    print(f"file_upload_hostile: seed={SEED} stalled={len(stalled)} at_once={UPLOADS_MAX_COUNT} events_meanwhile={events}")
