"""IngestProducer against a collector that breaks streams, refuses for now and refuses for good."""
import concurrent.futures
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.environ["VERBATIM_BIN_DIR"]), "python"))

import grpc  # noqa: E402
from ingest_producer import IngestProducer, room_post  # noqa: E402
from managed_process import free_port  # noqa: E402
from verbatim.v1 import ingest_pb2, ingest_pb2_grpc  # noqa: E402


class BreakingCollector(ingest_pb2_grpc.IngestServicer):
    """Takes 40 events a stream, then breaks it unanswered; says FULL to each seventh once, INVALID to number 5."""

    def __init__(self):
        self.stored = {}
        self.refused_once = set()

    def Send(self, requests, context):
        hello = next(requests).hello
        yield ingest_pb2.SendReply(welcome=ingest_pb2.ProducerWelcome(collector="fake", credit_events=20))
        taken = 0
        for request in requests:
            batch = request.batch
            receipts = ingest_pb2.ReceiptBatch(first_sequence=batch.first_sequence, count=len(batch.events))
            for offset, event in enumerate(batch.events):
                number = batch.first_sequence + offset
                if number == 5:
                    receipts.refusals.add(sequence=number, reason=ingest_pb2.Refusal.REASON_INVALID)
                elif number % 7 == 0 and number not in self.refused_once:
                    self.refused_once.add(number)
                    receipts.refusals.add(sequence=number, reason=ingest_pb2.Refusal.REASON_FULL, retry_after_ms=1)
                else:
                    self.stored.setdefault((hello.producer, hello.epoch, number), event.original_text.plain)
                taken += 1
            if taken > 40:
                context.abort(grpc.StatusCode.UNAVAILABLE, "broken on purpose")
            yield ingest_pb2.SendReply(receipts=receipts)


collector = BreakingCollector()
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
ingest_pb2_grpc.add_IngestServicer_to_server(collector, server)
address = f"127.0.0.1:{free_port()}"
server.add_insecure_port(address)
server.start()

with IngestProducer(address, "p", batch_max=8) as producer:
    producer.send([room_post("r@x", "a@x", f"text {i}") for i in range(1, 301)], timeout=60)
    assert producer.accepted == set(range(1, 301)) - {5}, sorted(set(range(1, 301)) - producer.accepted)
    assert set(producer.refused) == {5}, producer.refused
    assert producer.retry_count > 0 and producer.connect_count > 5, (producer.retry_count, producer.connect_count)
assert {key[2]: text for key, text in collector.stored.items()} == {i: f"text {i}" for i in range(1, 301) if i != 5}
server.stop(0)
print("producer_selftest: ok")
