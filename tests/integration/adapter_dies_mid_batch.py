"""The XML and the counting adapter are killed at each of their fault points, and once by a plain SIGKILL, while batches
go through. In the end every message stands in the documents once, in order; the count is right; all documents are valid.
"""
import os
import re
import signal

from verbatim_documents import assert_valid, chat_texts
from verbatim_harness import Pipeline, room_join, room_post, wait_until

ROUNDS = [("adapter_xml", "adapter.effect_before_ack:2"), ("adapter_xml", "xml.tmp_before_rename:2"),
          ("adapter_xml", "xml.between_renames:2"), ("adapter_count", "adapter.effect_before_ack:2"), ("adapter_xml", None)]
POSTS = 40  # a round


# conformance: 99
with Pipeline("adapter_dies_mid_batch", adapters=("xml", "count"),
              config={"processor": {"adapters": [{"name": "xml", "interval_ms": 30, "batch_max_events": 7},
                                                 {"name": "count", "interval_ms": 30, "batch_max_events": 5}]}}) as pipeline:
    pipeline.start()
    sent = []
    with pipeline.producer() as producer:
        room = "desk@rooms.example.test"
        producer.submit([room_join(room, "ayu@example.test/phone")])
        for service_name, fault_point in ROUNDS:
            service = getattr(pipeline, service_name)
            service.terminate()
            service.start(environment={"VERBATIM_FAULT_POINT": fault_point} if fault_point else None)
            for number in range(POSTS):
                text = f"{len(sent)} <&\"'> ]]> \r\n\t \u05e9\u05dc\u05d5\u05dd \U0001f600"
                sent.append(text)
                producer.submit([room_post(room, "ayu@example.test/phone", text, message_id=f"m{len(sent)}")])
            if fault_point:
                wait_until(lambda: not service.is_running(), 60, lambda: f"{service_name} to die at {fault_point}")
                assert service.exit_code() == -signal.SIGKILL, service.exit_code()
            else:
                service.kill()
            service.start()
        producer.wait_answered()
    totals = pipeline.wait_archived(len(sent) + 1)
    assert totals["difference"] == 0, totals

    folder = pipeline.config["adapter_xml"]["output_dir"]
    archived = chat_texts(folder)
    assert archived == sent, (len(archived), len(sent))
    valid = assert_valid(folder)
    with open(os.path.join(pipeline.config["adapter_count"]["data_dir"], "count.txt"), encoding="utf-8") as file:
        count = int(re.search(r"events=(\d+)", file.read()).group(1))
    assert count == len(sent) + 1, count
    print(f"adapter_dies_mid_batch: kills={len(ROUNDS)} posts={len(sent)} {valid}")
