"""Two XML adapters share one folder: one is active, the other stands by. The active one acknowledges batches that the other never
sees, and is killed with more under way; the other goes on from there. Every message stands in the documents once, in order.
"""
import os

from verbatim_documents import assert_valid, chat_texts
from verbatim_harness import Pipeline, Service, room_post, wait_until


def wait_standing_by(count):
    """Until so many instances were told to stand by, since the start."""
    wait_until(lambda: pipeline.processor.log_text().count("an instance stands by") >= count, 30,
               lambda: f"{count} instances that stood by\n{pipeline.processor.tail()}")


with Pipeline("adapter_standby_takes_over",
              config={"processor": {"adapters": [{"name": "xml", "interval_ms": 20, "batch_max_events": 5}]}}) as pipeline:
    pipeline.start()
    pair = [pipeline.adapter_xml, Service(pipeline, "verbatim-adapter-xml")]
    pair[1].log_path = os.path.join(pipeline.dir, "second.log")
    wait_until(lambda: "active adapter=xml" in pair[0].log_text(), 30, lambda: f"an active instance\n{pair[0].tail()}")
    pair[1].start()
    sent = []

    def post(count):
        for _ in range(count):
            sent.append(f"post {len(sent)}")
            producer.submit([room_post("desk@rooms.example.test", "ayu@example.test/phone", sent[-1],
                                       message_id=f"m{len(sent)}")])

    try:
        with pipeline.producer() as producer:
            for turn in range(4):
                # Who was started last stands by.
                wait_standing_by(turn + 1)
                post(20)
                producer.wait_answered()
                pipeline.wait_archived(len(sent))
                post(30)
                pair[turn % 2].kill()
                producer.wait_answered()
                pipeline.wait_archived(len(sent))
                pair[turn % 2].start()
        assert pipeline.totals(recount=True)["difference"] == 0
        for one in pair:
            assert "a person is needed" not in one.log_text(), one.tail()
    finally:
        pair[1].kill()
    folder = pipeline.config["adapter_xml"]["output_dir"]
    assert chat_texts(folder) == sent, (len(chat_texts(folder)), len(sent))
    print(f"adapter_standby_takes_over: posts={len(sent)} {assert_valid(folder)}")
