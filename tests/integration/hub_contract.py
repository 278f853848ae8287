"""An adapter that speaks the hub's protocol by hand, over the built services: who may attach, byte-identical repeats,
standby, stale epochs, wrong digests, BatchState, quarantine, and that what is chat never shows in the log."""
import hashlib
import queue
import struct
import threading

import grpc
from verbatim.v1 import adapter_pb2, adapter_pb2_grpc, admin_pb2, event_pb2
from verbatim_harness import Pipeline, room_join, room_post, wait_until

CANARY = "canary words that must not be logged"


class RawAdapter:
    """One stream; collects whole batches and everything else."""

    def __init__(self, pipeline, adapter="xml", instance="one", hello=True, revision=1, **fields):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{pipeline.ports['hub']}",
                                             options=[("grpc.max_receive_message_length", 128 << 20),
                                                      ("grpc.use_local_subchannel_pool", 1)])
        self.outgoing = queue.Queue()
        self.incoming = queue.Queue()
        self.status = None
        self.stream = adapter_pb2_grpc.AdapterHubStub(self.channel).Attach(iter(self.outgoing.get, None))
        if hello:
            self.send(hello=adapter_pb2.AdapterHello(adapter=adapter, instance=instance, schema_revision=revision, **fields))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        parts = {}
        try:
            for message in self.stream:
                kind = message.WhichOneof("kind")
                if kind == "begin":
                    parts = {"begin": message.begin, "events": []}
                elif kind == "chunk":
                    parts["events"].extend(message.chunk.events)
                elif kind == "end":
                    self.incoming.put(("batch", dict(parts, digest=message.end.digest)))
                elif kind != "heartbeat":
                    self.incoming.put((kind, getattr(message, kind)))
            self.status = grpc.StatusCode.OK
        except grpc.RpcError as error:
            self.status = error.code()
        self.incoming.put(("end", self.status))

    def send(self, **kind):
        self.outgoing.put(adapter_pb2.FromAdapter(**kind))

    def take(self, kind, timeout=30):
        got, value = self.incoming.get(timeout=timeout)
        assert got == kind, (got, value, kind)
        return value

    def welcome(self, is_active=True):
        welcome = self.take("welcome")
        assert self.take("activity").is_active == is_active
        self.epoch = welcome.store_epoch
        return welcome

    def ack(self, batch, digest=None, epoch=None):
        self.send(ack=adapter_pb2.BatchAck(batch=batch["begin"].batch, digest=digest or batch["digest"],
                                           store_epoch=epoch or self.epoch))

    def close(self):
        self.outgoing.put(None)
        self.channel.close()


def check_digest(batch):
    body = hashlib.sha256()
    for event in batch["events"]:
        body.update(struct.pack("<I", len(event)) + event)
    assert hashlib.sha256(batch["begin"].header + body.digest()).digest() == batch["digest"]
    assert batch["begin"].event_count == len(batch["events"])
    assert batch["begin"].body_bytes == sum(map(len, batch["events"]))
    header = adapter_pb2.BatchHeader()
    header.ParseFromString(batch["begin"].header)
    return header


def same(one, other):
    return one["begin"].header == other["begin"].header and one["events"] == other["events"] and one["digest"] == other["digest"]


with Pipeline("hub_contract", adapters=("xml",)) as pipeline:
    for service in (pipeline.queue, pipeline.processor, pipeline.collector):
        service.start()
    producer = pipeline.producer("alice").__enter__()

    stranger = RawAdapter(pipeline, adapter="nobody")
    assert stranger.take("end") == grpc.StatusCode.FAILED_PRECONDITION
    rude = RawAdapter(pipeline, hello=False)
    rude.send(heartbeat=adapter_pb2.AdapterHeartbeat())
    assert rude.take("end") == grpc.StatusCode.INVALID_ARGUMENT
    ahead = RawAdapter(pipeline, last_applied_batch=7, last_applied_digest=b"x" * 32)
    assert ahead.take("end") == grpc.StatusCode.FAILED_PRECONDITION

    one = RawAdapter(pipeline)
    assert one.welcome().last_acked_batch == 0
    two = RawAdapter(pipeline, instance="two")
    two.welcome(is_active=False)

    producer.send([room_join("room@x", "a@x"), *[room_post("room@x", "a@x", f"{CANARY} {i}" + "x" * 200_000) for i in range(12)]])
    first = one.take("batch")
    header = check_digest(first)
    assert header.batch == 1 and header.previous_digest == bytes(32), header
    # The active instance goes: the other gets the same bytes.
    one.close()
    assert two.take("activity").is_active
    again = two.take("batch")
    assert same(first, again)
    two.send(retry=adapter_pb2.BatchRetry(batch=1, store_epoch=two.epoch, retry_after_ms=100, reason="later"))
    assert same(first, two.take("batch"))
    two.ack(again, digest=b"y" * 32)
    two.take("end")
    assert pipeline.totals()["archived"] == 0

    # A kill between the effect and the acknowledgement: a new epoch, in which the old acknowledgement is refused.
    old_epoch = two.epoch
    pipeline.processor.restart(kill=True)
    three = RawAdapter(pipeline, instance="three")
    three.welcome()
    assert three.epoch == old_epoch + 1
    again = three.take("batch")
    assert same(first, again)
    three.ack(again, epoch=old_epoch)
    three.take("end")
    assert pipeline.totals()["archived"] == 0

    four = RawAdapter(pipeline, instance="four")
    four.welcome()
    four.ack(four.take("batch"))
    wait_until(lambda: pipeline.totals()["archived"] >= 1, 30, lambda: "the first batch archived")
    done = len(first["events"])

    # The rest of the first events, then a reject with a named culprit.
    while done < 13:
        batch = four.take("batch")
        check_digest(batch)
        done += len(batch["events"])
        four.ack(batch)
    wait_until(lambda: pipeline.totals()["archived"] == 13, 30, lambda: str(pipeline.totals()))
    producer.send([room_post("room@x", "a@x", f"more {i}") for i in range(5)])
    batch = four.take("batch")
    header = check_digest(batch)
    slice_ = header.slices[0]
    assert [one.party.normalised for one in slice_.present_at_start] == ["a@x"], slice_
    four.send(reject=adapter_pb2.BatchReject(batch=header.batch, store_epoch=four.epoch, reason="no",
                                             events=[adapter_pb2.RejectedEvent(sequence=header.first_sequence, reason="no")]))
    question = four.take("batch_state")
    assert (question.batch, question.digest) == (header.batch, batch["digest"])
    four.send(batch_state=adapter_pb2.BatchStateAnswer(batch=header.batch, digest=batch["digest"],
                                                       state=adapter_pb2.BatchStateAnswer.STATE_NOT_APPLIED))
    replaced, previous, has_replacement = header, header.previous_digest, header.event_count > 1
    while header.running_event_count < 17 or header is replaced:
        batch = four.take("batch")
        header = check_digest(batch)
        assert header.previous_digest == previous, header
        assert header.replaces == (replaced.batch if has_replacement else 0), header
        previous, has_replacement = batch["digest"], False
        four.ack(batch)
    wait_until(lambda: pipeline.totals()["archived"] == 17, 30, lambda: str(pipeline.totals()))
    totals = pipeline.totals()
    assert totals == {"accepted": 18, "archived": 17, "quarantined": 1, "staged": 0, "difference": 0}, totals
    assert not pipeline.accounting(recount=True).recount_differences
    held = pipeline.processor_admin().ListQuarantine(admin_pb2.ListQuarantineRequest(), timeout=10).events
    assert len(held) == 1 and held[0].kind == event_pb2.EVENT_KIND_MESSAGE_POSTED and held[0].adapter == "xml", held

    # Released, rejected again, released and taken: late, alone, and in the chain.
    def release(*what, code=0):
        done = pipeline.verbatimctl("quarantine", "release", "xml", *what, "--reason", "a newer version reads it")
        assert done.returncode == code, done

    culprit = held[0].sequence
    release(code=2)
    release("--all", str(culprit), code=2)
    release("4711", code=1)
    for state in (adapter_pb2.BatchStateAnswer.STATE_NOT_APPLIED, None):
        release(*(("--all",) if state is None else (str(culprit),)))
        released = four.take("batch")
        header = check_digest(released)
        assert (header.reason, header.event_count, header.previous_digest) == ("released", 1, previous), header
        event = adapter_pb2.StoredEvent.FromString(released["events"][0])
        assert event.is_late and event.sequence == culprit, event
        if state is None:
            four.ack(released)
            continue
        four.send(reject=adapter_pb2.BatchReject(batch=header.batch, store_epoch=four.epoch, reason="no"))
        four.take("batch_state")
        four.send(batch_state=adapter_pb2.BatchStateAnswer(batch=header.batch, digest=released["digest"], state=state))
        wait_until(lambda: not pipeline.verbatimctl_json("quarantine", "list")["events"][0]["is_released"], 30, lambda: "kept")
    wait_until(lambda: pipeline.totals()["archived"] == 18, 30, lambda: str(pipeline.totals()))
    assert pipeline.totals() == {"accepted": 18, "archived": 18, "quarantined": 0, "staged": 0, "difference": 0}, pipeline.totals()
    assert not pipeline.accounting(recount=True).recount_differences

    # Paused: nothing comes until it is resumed.
    def adapters(verb):
        assert pipeline.verbatimctl("adapters", verb, "xml", "--reason", "a test").returncode == 0, verb

    adapters("pause")
    assert pipeline.verbatimctl_json("adapters", "list")["adapters"][0]["state"] == "paused"
    adapters("resume")

    # Metadata only, and it follows.
    tail = pipeline.processor_admin().TailEvents(admin_pb2.TailEventsRequest(backlog=0, follow=True), timeout=30)
    producer.send([room_post("room@x", "a@x", CANARY)])
    event = next(iter(tail)).events[0]
    assert event.sequence == 19 and event.conversation_key == "room@x", event
    tail.cancel()
    info = pipeline.processor_admin().GetInfo(admin_pb2.GetInfoRequest(), timeout=10).info
    assert not any("quarantine" in notice for notice in info.notices), info

    four.ack(four.take("batch"))
    wait_until(lambda: pipeline.totals()["archived"] == 19, 30, lambda: str(pipeline.totals()))
    four.close()
    producer.__exit__(None, None, None)
    for service in (pipeline.collector, pipeline.processor, pipeline.queue):
        service.terminate()
    with open(pipeline.processor.log_path, encoding="utf-8") as log:
        assert CANARY not in log.read()
    print("hub_contract: ok")
