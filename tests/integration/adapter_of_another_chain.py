"""The staging store was lost and a new one begins at batch 1, but the adapter's folder holds the documents of the old one.
The adapter may not attach; no document changes; with a folder of its own it goes on.
"""
import hashlib
import os
import shutil

from verbatim_documents import assert_valid, chat_texts
from verbatim_harness import Pipeline, room_post, wait_until


def digests(folder):
    return {name: hashlib.sha256(open(os.path.join(folder, name), "rb").read()).hexdigest()
            for name in os.listdir(folder) if name.endswith(".xml")}


def post(pipeline, count, name):
    with pipeline.producer(name) as producer:
        producer.send([room_post("desk@rooms.example.test", "ayu@example.test/phone", f"{name} {number}", message_id=f"{name}{number}")
                       for number in range(count)])


with Pipeline("adapter_of_another_chain",
              config={"processor": {"adapters": [{"name": "xml", "interval_ms": 20, "batch_max_events": 5}]}}) as pipeline:
    pipeline.start()
    folder = pipeline.config["adapter_xml"]["output_dir"]
    post(pipeline, 20, "first")
    pipeline.wait_archived(20)
    before = digests(folder)
    for service in (pipeline.collector, pipeline.adapter_xml, pipeline.processor, pipeline.queue):
        service.terminate()
    for service in ("queue", "processor", "collector"):
        shutil.rmtree(pipeline.config[service]["data_dir"])
    pipeline.start()
    post(pipeline, 20, "second")
    wait_until(lambda: "never sealed" in pipeline.adapter_xml.tail(50), 30, "the adapter to say why it may not attach")
    assert digests(folder) == before
    assert pipeline.totals()["archived"] == 0

    pipeline.adapter_xml.terminate()
    pipeline.config["adapter_xml"]["output_dir"] = other = folder + "2"
    pipeline.adapter_xml.start()
    pipeline.wait_archived(20)
    assert digests(folder) == before
    assert chat_texts(other) == [f"second {number}" for number in range(20)], chat_texts(other)
    print(f"adapter_of_another_chain: {assert_valid(folder)} {assert_valid(other)}")
