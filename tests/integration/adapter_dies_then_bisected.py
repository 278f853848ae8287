"""An adapter is killed after the effect of a batch and before its acknowledgement; when the batch comes again it rejects it without
naming a culprit. The hub asks before it bisects, so nothing takes effect twice; the one poisonous event ends alone in quarantine.
"""
import glob
import os

from verbatim_harness import BUILD_DIR, SOURCE_DIR, ManagedProcess, Pipeline, room_post, wait_until

POSTS = 24
POISON = 13

with Pipeline("adapter_dies_then_bisected", adapters=(),
              config={"processor": {"adapters": [{"name": "faulty", "interval_ms": 300, "batch_max_events": 16}]}}) as pipeline:
    out = os.path.join(pipeline.dir, "out")
    os.makedirs(out)
    pipeline.start()
    adapter = ManagedProcess(["/usr/bin/python3", os.path.join(SOURCE_DIR, "tests", "support", "faulty_adapter.py"),
                              pipeline.config["processor"]["hub_listen"], out, "mortal"],
                             os.path.join(pipeline.dir, "faulty.log"),
                             environment={"PYTHONPATH": os.path.join(BUILD_DIR, "python"), "PYTHONDONTWRITEBYTECODE": "1"})
    with pipeline.producer() as producer:
        producer.send([room_post("desk@rooms.example.test", "ayu@example.test/phone", "poison" if number == POISON else f"{number}")
                       for number in range(POSTS)])
    adapter.start()
    deaths = 0

    def settled():
        global deaths
        if not adapter.is_running():
            deaths += 1
            adapter.start()
        totals = pipeline.totals()
        return totals["staged"] == 0 and totals["quarantined"] == 1 and totals["archived"] == POSTS - 1

    wait_until(settled, 120, lambda: f"{pipeline.totals()}\n{adapter.tail()}", poll=0.1)
    adapter.kill()
    effects = [line for path in glob.glob(os.path.join(out, "*.txt")) for line in open(path, encoding="utf-8")]
    assert len(effects) == POSTS - 1 and len(set(effects)) == len(effects), (len(effects), len(set(effects)))
    rejected = len(glob.glob(os.path.join(out, "did.reject-*")))
    assert deaths >= 2 and rejected >= 2, (deaths, rejected)
    cut = pipeline.accounting(recount=True)
    assert not cut.recount_differences and cut.adapters[0].difference == 0, cut
    print(f"adapter_dies_then_bisected: deaths={deaths} rejects_after_effect={rejected} effects={len(effects)} twice=0")
