"""A file that is not ours has the name of the next document. It is kept as it is; the batch is rejected, replaced under the
next numbers and archived there, once.
"""
import os

from verbatim_documents import assert_valid, chat_texts
from verbatim_harness import Pipeline, room_post

FOREIGN = "<?xml version='1.0'?>\n<Conversations/>\n"

with Pipeline("foreign_file_in_the_way",
              config={"processor": {"adapters": [{"name": "xml", "interval_ms": 50, "batch_max_events": 8}]}}) as pipeline:
    pipeline.start()
    folder = pipeline.config["adapter_xml"]["output_dir"]
    path = os.path.join(folder, "batch-000000000002.xml")
    sent = []
    with pipeline.producer() as producer:
        for number in range(24):
            sent.append(f"post {number}")
            producer.submit([room_post("desk@rooms.example.test", "ayu@example.test/phone", sent[-1], message_id=f"m{number}")])
            if number == 7:
                producer.wait_answered()
                pipeline.wait_archived(1)
                pipeline.adapter_xml.terminate()
                with open(path, "x", encoding="utf-8") as file:
                    file.write(FOREIGN)
                pipeline.adapter_xml.start()
        producer.wait_answered()
    totals = pipeline.wait_archived(len(sent))
    assert totals["difference"] == 0 and totals["quarantined"] == 0, totals
    with open(path, encoding="utf-8") as file:
        assert file.read() == FOREIGN
    assert chat_texts(folder) == sent, chat_texts(folder)
    assert "a file of this number has other content" in pipeline.adapter_xml.tail(1000), pipeline.adapter_xml.tail(50)
    os.remove(path)
    print(f"foreign_file_in_the_way: posts={len(sent)} {assert_valid(folder)}")
