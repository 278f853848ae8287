"""Two XML adapters share one folder: one is active, the other stands by. Each time the active one is killed the other takes
over, and every message stands in the documents once, in order.
"""
import os

from verbatim_documents import assert_valid, chat_texts
from verbatim_harness import Pipeline, Service, room_post

with Pipeline("adapter_standby_takes_over",
              config={"processor": {"adapters": [{"name": "xml", "interval_ms": 20, "batch_max_events": 5}]}}) as pipeline:
    pipeline.start()
    pair = [pipeline.adapter_xml, Service(pipeline, "verbatim-adapter-xml")]
    pair[1].log_path = os.path.join(pipeline.dir, "second.log")
    pair[1].start()
    sent = []
    try:
        with pipeline.producer() as producer:
            for turn in range(4):
                for _ in range(30):
                    sent.append(f"post {len(sent)}")
                    producer.submit([room_post("desk@rooms.example.test", "ayu@example.test/phone", sent[-1],
                                               message_id=f"m{len(sent)}")])
                # The active one by turns: who was started last stands by.
                pair[turn % 2].kill()
                producer.wait_answered()
                pipeline.wait_archived(len(sent))
                pair[turn % 2].start()
        assert pipeline.totals(recount=True)["difference"] == 0
    finally:
        pair[1].kill()
    folder = pipeline.config["adapter_xml"]["output_dir"]
    assert chat_texts(folder) == sent, (len(chat_texts(folder)), len(sent))
    print(f"adapter_standby_takes_over: posts={len(sent)} {assert_valid(folder)}")
