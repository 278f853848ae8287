"""The queue with keys (CURVE): the right key works, every other is refused, loudly on both sides, and nothing of it is stored.

All processes log at debug level, and no secret key may stand in any log, journal or output.
"""
import glob
import os
import subprocess

import grpc
from queue_actors import QueueActor
from verbatim_harness import BIN_DIR, Pipeline, room_post, wait_until

SOME_PUBLIC_KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"


def make_keys(pipeline, *names):
    """Key pairs by `verbatimctl keys generate`; gives name -> (path of the secret, public key)."""
    return {name: (path, pipeline.verbatimctl_json("keys", "generate", "--out", path)["public_key"])
            for name in names for path in [os.path.join(pipeline.dir, name + ".key")]}


def configure(pipeline, keys):
    def access(name):
        return {"secret_key_file": keys[name][0], "server_public_key": keys["queue"][1]}

    def client(name, put=(), receive=()):
        return {"name": name, "public_key": keys[name][1], "put": list(put), "receive": list(receive)}

    config = pipeline.config
    config["log"] = {"level": "debug"}
    # Beyond loopback, which only keys allow.
    config["queue"]["listen"] = f"tcp://0.0.0.0:{pipeline.ports['queue']}"
    config["queue"]["queues"] = ["events", "other"]
    config["queue"]["security"] = {"secret_key_file": keys["queue"][0], "clients": [
        client("collector", put=["events"]), client("processor", receive=["events"]),
        client("writer", put=["other"]), client("reader", receive=["other"]), client("second-writer", put=["*"])]}
    config["collector"]["queue_security"] = access("collector")
    config["processor"]["queues"][0]["security"] = access("processor")


def flags(keys, name, server_public_key=None):
    return {"secret_key_file": keys[name][0], "server_public_key": server_public_key or keys["queue"][1]}


def the_pipeline_works_with_keys(pipeline):
    with pipeline.producer() as producer:
        producer.send([room_post("room@conference.example", "alice@example", f"post {i}") for i in range(20)])
    pipeline.wait_archived(20)


def is_kept_out(pipeline, name, keys, client_words, service_words):
    """A client that must not get in: both sides say why, its call ends with the reason, nothing is stored."""
    before = pipeline.queue_info("other").accepted_count
    seen = len(pipeline.queue.log_text())
    actor = QueueActor("put", name, f"tcp://127.0.0.1:{pipeline.ports['queue']}", pipeline.dir, keys, queue="other",
                       count=1, deadline_ms=20000)
    actor.start()
    wait_until(lambda: any(words in actor.log_text() for words in client_words), 20,
               lambda: f"{name} to say one of {client_words}\n{actor.tail()}")
    assert "kept out" in actor.log_text() and " error " in actor.log_text(), actor.log_text()
    wait_until(lambda: any(words in pipeline.queue.log_text()[seen:] for words in service_words), 20,
               lambda: f"the service to say one of {service_words}\n{pipeline.queue.tail()}")
    reader = QueueActor("consume", name + "-reader", f"tcp://127.0.0.1:{pipeline.ports['queue']}", pipeline.dir, keys,
                        queue="other", error_max_count=12)
    reader.start()
    assert reader.wait(60) == 1, reader.tail()
    assert any(words in " ".join(reader.journal()[-1]) for words in client_words), reader.journal()[-1]
    actor.kill()
    assert not any(line[0] == "A" for line in actor.journal()), actor.journal()
    assert pipeline.queue_info("other").accepted_count == before


def the_right_key_may_do_what_it_may(pipeline, keys):
    address = f"tcp://127.0.0.1:{pipeline.ports['queue']}"
    writer = QueueActor("put", "writer", address, pipeline.dir, flags(keys, "writer"), queue="other", count=50)
    reader = QueueActor("consume", "reader", address, pipeline.dir, flags(keys, "reader"), queue="other")
    writer.start()
    reader.start()
    assert writer.wait(30) == 0, writer.tail()
    wait_until(lambda: pipeline.queue_info("other").depth == 0, 30, "the reader to take all")
    reader.terminate()
    assert sum(1 for line in reader.journal() if line[0] == "G") == 50, reader.journal()


def is_not_permitted(pipeline, actor, client_words, service_words):
    """A client that got in and asks for what it may not do: both sides say so, it is counted, nothing is stored."""
    before = pipeline.queue_info("other")
    seen = len(pipeline.queue.log_text())
    actor.start()
    wait_until(lambda: service_words in pipeline.queue.log_text()[seen:], 20,
               lambda: f"the service to say: {service_words}\n{pipeline.queue.tail()}\n{actor.tail()}")
    assert " error " in pipeline.queue.log_text()[seen:]
    wait_until(lambda: client_words in actor.log_text() + " ".join(" ".join(line) for line in actor.journal()), 20,
               lambda: f"{actor.name} to say: {client_words}\n{actor.tail()}\n{actor.journal()[-3:]}")
    actor.kill()
    after = pipeline.queue_info("other")
    assert after.accepted_count == before.accepted_count and after.depth == before.depth, after
    assert after.refused["REFUSAL_REASON_NOT_PERMITTED"] > before.refused.get("REFUSAL_REASON_NOT_PERMITTED", 0), after
    assert not any(line[0] in "AG" for line in actor.journal()), actor.journal()


def what_is_not_listed_is_not_permitted(pipeline, keys):
    address = f"tcp://127.0.0.1:{pipeline.ports['queue']}"
    is_not_permitted(pipeline, QueueActor("put", "putting-reader", address, pipeline.dir, flags(keys, "reader"), queue="other",
                                          count=1, deadline_ms=20000),
                     "its key may not put to this queue", "its key may not put to this queue key=reader queue=other")
    is_not_permitted(pipeline, QueueActor("consume", "reading-writer", address, pipeline.dir, flags(keys, "writer"), queue="other"),
                     "its key may not receive from this queue", "its key may not receive from this queue key=writer queue=other")


def answers(pipeline):
    try:
        return pipeline.queue_info("other")
    except grpc.RpcError:  # a connection to the service's former life
        return None


def a_producer_belongs_to_its_key(pipeline, keys, name):
    """ "writer" is the producer that the key of that name has used."""
    actor = QueueActor("put", name, f"tcp://127.0.0.1:{pipeline.ports['queue']}", pipeline.dir, flags(keys, "second-writer"),
                       queue="other", producer="writer", count=1, deadline_ms=20000)
    is_not_permitted(pipeline, actor, "its producer belongs to another key",
                     "its producer belongs to another key key=second-writer queue=other")


def plain_beyond_loopback_is_refused(pipeline):
    for setting in ("queue.listen=tcp://0.0.0.0:7410", "queue.listen=tcp://192.0.2.1:7410"):
        done = subprocess.run([os.path.join(BIN_DIR, "verbatim-queue"), "--set", setting, "--set",
                               f"queue.data_dir={pipeline.dir}/never"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2 and "nothing listens beyond loopback without keys" in done.stdout + done.stderr, done
    assert not os.path.exists(os.path.join(pipeline.dir, "never"))


def a_key_file_that_others_may_read_is_refused(pipeline, keys):
    path = keys["queue"][0]
    os.chmod(path, 0o644)
    pipeline.queue.start(wait=False)
    assert pipeline.queue.wait(30) == 1, "the service started with a key that others may read"
    assert "chmod 600" in pipeline.queue.tail() and path in pipeline.queue.tail(), pipeline.queue.tail()
    os.chmod(path, 0o600)


def no_secret_is_shown(pipeline, keys):
    secrets = [open(path, encoding="ascii").read().splitlines()[-1] for path, _ in keys.values()]
    assert all(len(secret) == 40 for secret in secrets)
    texts = glob.glob(os.path.join(pipeline.dir, "*.log")) + glob.glob(os.path.join(pipeline.dir, "*.journal"))
    assert len(texts) > 12, texts
    for path in texts:
        text = open(path, encoding="utf-8").read()
        for secret in secrets:
            assert secret not in text and secret[:12] not in text, f"a secret key stands in {path}"


with Pipeline("queue_keys", adapters=("count",)) as pipeline:
    plain_beyond_loopback_is_refused(pipeline)
    keys = make_keys(pipeline, "queue", "collector", "processor", "writer", "reader", "second-writer", "stranger")
    configure(pipeline, keys)
    a_key_file_that_others_may_read_is_refused(pipeline, keys)
    pipeline.start()
    the_pipeline_works_with_keys(pipeline)
    the_right_key_may_do_what_it_may(pipeline, keys)
    is_kept_out(pipeline, "stranger", flags(keys, "stranger"), ["does not know our key"],
                [f"its key is not on the list public_key={keys['stranger'][1][:8]}..."])
    handshake = ["its handshake failed"]
    is_kept_out(pipeline, "misled", flags(keys, "writer", SOME_PUBLIC_KEY), ["server_public_key is not its key"], handshake)
    is_kept_out(pipeline, "plain", {}, ["the queue service wants a key"], handshake)
    what_is_not_listed_is_not_permitted(pipeline, keys)
    a_producer_belongs_to_its_key(pipeline, keys, "rival")
    # To whom a producer belongs outlives the service.
    pipeline.queue.restart(kill=True)
    wait_until(lambda: answers(pipeline), 20, "the admin calls to find the new service")
    a_producer_belongs_to_its_key(pipeline, keys, "rival-again")
    pipeline.stop()
    no_secret_is_shown(pipeline, keys)
print("queue_keys: ok")
