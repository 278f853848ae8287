"""Files on their whole road: uploaded to the collector (at once, broken off and resumed, killed and resumed, with a wrong
digest, too large, twice at the same time), named by an event, archived with that event's hash, read back from the hub. What
never became whole is recorded as failed.
"""
import glob
import os

import grpc
from file_client import MIB, Upload, incoming, make_content, read_error, read_file, sha256, upload, wait_incoming
from verbatim.v1 import ingest_pb2
from verbatim_documents import assert_valid
from verbatim_harness import Pipeline, room_post, wait_until

FILE_MAX_BYTES = 8 * MIB
SEED = int(os.environ.get("TEST_SEED", "1"))


def post_with_file(digest, number):
    event = room_post("desk@rooms.example.test", "ayu@example.test/phone", "see the file", message_id=f"m{number}")
    event.message_posted.files.add(name="plan.pdf", sha256=digest)
    return event


def stored_files(pipeline):
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(pipeline.config["files"]["data_dir"], "files", "*", "*")))


def begin_when_free(pipeline, content):
    """An upload that has begun, after an earlier one of the same file was broken off; and the bytes that are there."""
    while True:
        call = Upload(pipeline)
        try:
            return call, call.begin(content)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.ABORTED, error
            call.break_off()


def finish(call, rest):
    call.send(rest)
    reply = call.reply()
    assert reply.is_complete, reply
    call.break_off()


with Pipeline("file_upload", config={"files": {"file_max_bytes": FILE_MAX_BYTES}}) as pipeline:
    pipeline.start()
    whole, broken, killed, late, forgotten = (make_content(size, SEED + number) for number, size in enumerate(
        (FILE_MAX_BYTES, 5 * MIB, 6 * MIB + 1, 3 * MIB, 2 * MIB)))

    # At once, up to the limit; a second time nothing is sent.
    assert upload(pipeline, whole) == 0
    assert upload(pipeline, whole) == len(whole)
    assert upload(pipeline, b"") == 0
    assert stored_files(pipeline) == sorted([sha256(whole).hex(), sha256(b"").hex()])

    # Broken off in the middle, and gone on with where it stood: all that was told is all that is sent.
    with Upload(pipeline) as call:
        assert call.begin(broken) == 0
        call.send(broken[:3 * MIB])
        wait_incoming(pipeline, broken, 3 * MIB)
    call, stored = begin_when_free(pipeline, broken)
    assert stored == 3 * MIB, stored
    finish(call, broken[stored:])

    # The collector is killed in the middle.
    with Upload(pipeline) as call:
        call.begin(killed)
        call.send(killed[:4 * MIB])
        wait_incoming(pipeline, killed, 4 * MIB)
        pipeline.collector.restart(kill=True)
    call, stored = begin_when_free(pipeline, killed)
    assert stored == 4 * MIB, stored
    finish(call, killed[stored:])

    # Other content than announced is thrown away, and the right one taken.
    with Upload(pipeline) as call:
        assert call.begin(late) == 0
        call.send(late[:-1] + bytes([late[-1] ^ 1]))
        assert call.error()[0] == "DATA_LOSS"
    assert not os.path.exists(incoming(pipeline, late)) and sha256(late).hex() not in stored_files(pipeline)

    # Twice at the same time.
    with Upload(pipeline) as first, Upload(pipeline) as second:
        assert first.begin(late) == 0
        second.ask(sha256(late), len(late))
        assert second.error()[0] == "ABORTED"
        # While it comes it is not there for events.
        with pipeline.producer("early") as producer:
            producer.send([post_with_file(sha256(late), 1)])
            refusal = producer.refused[1]
            assert refusal.reason == ingest_pb2.Refusal.REASON_INVALID, refusal
            assert "not stored; upload it first" in refusal.detail, refusal
        finish(first, late)

    # Too large: both numbers are told. More, and fewer, bytes than announced.
    with Upload(pipeline) as call:
        call.ask(sha256(b"x"), FILE_MAX_BYTES + 1)
        code, details = call.error()
        assert code == "INVALID_ARGUMENT" and str(FILE_MAX_BYTES + 1) in details and str(FILE_MAX_BYTES) in details, details
    with Upload(pipeline) as call:
        call.ask(sha256(b"abc"), 3)
        call.send_chunk(b"abcd")
        assert call.error()[0] == "INVALID_ARGUMENT"
    with Upload(pipeline) as call:
        call.ask(sha256(b"abcd"), 4)
        call.send_chunk(b"abc")
        call.end()
        assert call.error()[0] == "INVALID_ARGUMENT"

    # Events: refused while their content is not stored, then accepted and archived with its hash.
    with pipeline.producer("alice") as producer:
        producer.send([post_with_file(sha256(late), 2), post_with_file(sha256(b"never came"), 3), post_with_file(b"short", 4)])
        assert sorted(producer.refused) == [2, 3] and producer.accepted == {1}, (producer.refused, producer.accepted)
        assert "5 bytes, not 32" in producer.refused[3].detail, producer.refused[3]

    # What nobody goes on with is recorded as failed and removed, at the next start; what is young is kept.
    with Upload(pipeline) as call:
        call.begin(forgotten)
        call.send(forgotten[:MIB])
        wait_incoming(pipeline, forgotten, MIB)
    os.utime(incoming(pipeline, forgotten), (1_000_000_000, 1_000_000_000))
    young = incoming(pipeline, b"abcd")
    assert os.path.getsize(young) == 3
    pipeline.collector.restart()
    wait_until(lambda: not os.path.exists(incoming(pipeline, forgotten)), 30, "the forgotten upload to be removed")
    assert os.path.getsize(young) == 3
    assert "removed count=1 total=1" in pipeline.collector.log_text()

    totals = pipeline.wait_archived(2)
    assert totals["difference"] == 0, totals
    assert_valid(pipeline.config["adapter_xml"]["output_dir"])
    archive = ""
    for path in glob.glob(os.path.join(pipeline.config["adapter_xml"]["output_dir"], "**", "*.xml"), recursive=True):
        with open(path, encoding="utf-8") as file:
            archive += file.read()
    assert sha256(late).hex() in archive and sha256(b"never came").hex() not in archive
    assert archive.count(sha256(forgotten).hex()) == 1 and "upload not completed stored_bytes=1048576" in archive

    # Adapters read what was stored, to the byte.
    for content in (whole, broken, killed, late, b""):
        assert read_file(pipeline, sha256(content)) == (content, len(content))
    for offset, length in ((0, 1), (MIB - 1, 2), (len(killed) - 1, 1), (len(killed), 0), (1, len(killed) - 1)):
        expected = killed[offset:offset + length]
        assert read_file(pipeline, sha256(killed), offset, length) == (expected, len(killed)), (offset, length)
    assert read_error(pipeline, sha256(forgotten)) == "NOT_FOUND"
    assert read_error(pipeline, b"short") == "INVALID_ARGUMENT"
    for offset, length in ((-1, 0), (0, -1), (len(killed) + 1, 0), (1, len(killed)), (0, 2**63 - 1)):
        assert read_error(pipeline, sha256(killed), offset, length) == "INVALID_ARGUMENT", (offset, length)
    pipeline.stop()
    print(f"file_upload: seed={SEED} files={len(stored_files(pipeline))} resumed=2 refused=3 failed_recorded=1")
