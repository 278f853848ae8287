"""verbatimctl as scripts and people use it: exit codes, JSON, tables, clear words when a service is down."""
import json
import os
import subprocess

from verbatim_harness import BIN_DIR, Pipeline, room_post, wait_until

CANARY = "canary-text-that-must-not-be-shown"


def expect(done, code, *words):
    shown = done.stdout + done.stderr
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.args}\n{shown}"
    for word in words:
        assert word in shown, f"{word!r} is missing: {done.args}\n{shown}"
    assert CANARY not in shown, f"chat text is shown: {done.args}"
    assert "\x1b" not in shown, f"colour without a terminal: {done.args}"
    return done


def usage_errors_are_two(pipeline):
    for arguments in ([], ["nonsense"], ["queues"], ["queues", "peek"], ["keys"], ["adapters", "require", "xml"],
                      ["adapters", "require", "xml", "--reason", ""], ["events", "tail", "-n", "-1"], ["status", "--timeout", "0"]):
        expect(pipeline.verbatimctl(*arguments), 2)
    expect(pipeline.verbatimctl("--help"), 0, "Examples:", "Exit codes:")
    expect(pipeline.verbatimctl("queues", "peek", "--help"), 0, "QUEUE")


def down_services_are_named(pipeline):
    done = expect(pipeline.verbatimctl("status"), 3, "DOWN", "deploy/run")
    for service, port in (("queue", "queue_admin"), ("collector", "collector_admin"), ("processor", "processor_admin")):
        assert f"the {service} does not answer at 127.0.0.1:{pipeline.ports[port]}" in done.stderr, done.stderr
    for arguments in (["queues", "list"], ["sources", "list"], ["adapters", "list"], ["events", "tail", "--follow"],
                      ["quarantine", "list"], ["queues", "peek", "events"]):
        expect(pipeline.verbatimctl(*arguments), 3, "does not answer")
    report = json.loads(pipeline.verbatimctl("status", "--json").stdout)
    assert report["exit_code"] == 3 and not any(state["is_up"] for state in report["services"]), report


def one_down_service_leaves_the_rest_visible(pipeline):
    pipeline.processor.pause()
    done = expect(pipeline.verbatimctl("status", "--timeout", "1"), 3, "processor  DOWN", "queue      up")
    assert "All accounted for" not in done.stdout
    pipeline.processor.resume()


def all_is_well(pipeline):
    status = expect(pipeline.verbatimctl("status"), 0, "All accounted for: accepted 30, difference 0.")
    assert "producer" in status.stdout
    expect(pipeline.verbatimctl("status", "--recount"), 0, "difference 0")
    report = pipeline.verbatimctl_json("status")
    assert report["difference_total"] == "0" and report["exit_code"] == 0 and report["attention"] == [], report
    balance = report["balance"][0]
    assert (balance["source"], balance["accepted_total"], balance["archived"]) == ("producer", "30", "30"), balance


def lists_answer_in_both_forms(pipeline):
    expect(pipeline.verbatimctl("queues", "list"), 0, "events")
    expect(pipeline.verbatimctl("sources", "list"), 0, "producer", "grpc")
    expect(pipeline.verbatimctl("adapters", "list"), 0, "count", "active")
    expect(pipeline.verbatimctl("quarantine", "list"), 0, "Nothing is quarantined")
    expect(pipeline.verbatimctl("version"), 0, "verbatimctl ")
    assert pipeline.verbatimctl_json("queues", "list")["queues"][0]["accepted_count"] == "30"
    assert pipeline.verbatimctl_json("adapters", "list")["adapters"][0]["name"] == "count"
    expect(pipeline.verbatimctl("queues", "peek", "nowhere"), 1, "nowhere")


def keys_are_generated_once(pipeline):
    path = os.path.join(pipeline.dir, "test.key")
    report = json.loads(expect(pipeline.verbatimctl("--json", "keys", "generate", "--out", path), 0).stdout)
    secret = open(path).read().splitlines()[-1]
    assert len(report["public_key"]) == 40 and report["public_key"] in open(path + ".pub").read(), report
    assert os.stat(path).st_mode & 0o777 == 0o600 and len(secret) == 40 and secret not in json.dumps(report), path
    again = expect(pipeline.verbatimctl("keys", "generate", "--out", path), 1, "never overwritten", path)
    assert secret not in again.stdout + again.stderr and open(path).read().splitlines()[-1] == secret


def waiting_events_are_shown_without_their_text(pipeline):
    """With the adapter away events stay: the tail shows them; with the processor away messages stay: peek shows them."""
    pipeline.adapter_count.terminate()
    wait_until(lambda: pipeline.verbatimctl("status").returncode == 1, 20, "status to call for attention")
    expect(pipeline.verbatimctl("status"), 1, "adapter count: detached")
    with pipeline.producer("second") as producer:
        producer.send([room_post("room@conference.example", "alice@example", CANARY) for _ in range(3)])
        wait_until(lambda: pipeline.totals()["staged"] == 3, 20, "three staged events")
        tail = expect(pipeline.verbatimctl("events", "tail", "-n", "2"), 0, "message posted", "room@conference.example")
        assert len(tail.stdout.splitlines()) == 2, tail.stdout
        lines = pipeline.verbatimctl("--json", "events", "tail").stdout.splitlines()
        assert [json.loads(line)["source"] for line in lines] == ["second"] * 3, lines
        follow_shows_what_comes_in(pipeline, producer)
        pipeline.processor.terminate()
        producer.send([room_post("room@conference.example", "alice@example", CANARY)])
    expect(pipeline.verbatimctl("queues", "peek", "events"), 0, "second")
    messages = pipeline.verbatimctl_json("queues", "peek", "events")["messages"]
    # One more may stand before it: staged, but not committed when the processor stopped.
    assert messages and messages[-1]["source"] == "second", messages


def follow_shows_what_comes_in(pipeline, producer):
    follower = subprocess.Popen([os.path.join(BIN_DIR, "verbatimctl"), "--config", pipeline.config_path, "--json", "events",
                                 "tail", "-n", "0", "--follow"], stdout=subprocess.PIPE, text=True)
    try:
        producer.send([room_post("other@conference.example", "bob@example", CANARY) for _ in range(2)])
        # A tail that begins with nothing may begin after these two: send until it says something.
        wait_until(lambda: producer.send([room_post("other@conference.example", "bob@example", CANARY)]) and
                   os.get_blocking(follower.stdout.fileno()) is not None and has_input(follower.stdout), 20, "a followed event", 0.2)
        assert json.loads(follower.stdout.readline())["conversation_key"] == "other@conference.example"
    finally:
        follower.kill()
        follower.wait()


def has_input(stream):
    import select
    return bool(select.select([stream], [], [], 0)[0])


def changes_are_refused_with_a_reason(pipeline):
    expect(pipeline.verbatimctl("adapters", "make-optional", "nobody", "--reason", "a test"), 1, "nobody")
    expect(pipeline.verbatimctl("adapters", "make-optional", "count", "--reason", "a test"), 0, "optional")
    expect(pipeline.verbatimctl("status"), 1, "no adapter is required")
    expect(pipeline.verbatimctl("adapters", "require", "count", "--reason", "a test"), 0, "required")
    expect(pipeline.verbatimctl("adapters", "pause", "count", "--reason", "a test"), 0, "is paused")
    expect(pipeline.verbatimctl("status"), 1, "'count' is paused")
    expect(pipeline.verbatimctl("adapters", "resume", "count", "--reason", "a test"), 0, "goes on")
    expect(pipeline.verbatimctl("quarantine", "release", "count", "--all", "--reason", "a test"), 0, "0 released")
    expect(pipeline.verbatimctl("quarantine", "release", "count", "--reason", "a test"), 2)
    expect(pipeline.verbatimctl("quarantine", "release", "count", "1", "--reason", "a test"), 1, "not in quarantine")
    expect(pipeline.verbatimctl("status"), 0)


with Pipeline("verbatimctl_commands", adapters=("count",)) as pipeline:
    usage_errors_are_two(pipeline)
    down_services_are_named(pipeline)
    keys_are_generated_once(pipeline)
    pipeline.start()
    with pipeline.producer() as producer:
        producer.send([room_post("room@conference.example", "alice@example", f"{CANARY} {i}") for i in range(30)])
    pipeline.wait_archived(30)
    all_is_well(pipeline)
    lists_answer_in_both_forms(pipeline)
    one_down_service_leaves_the_rest_visible(pipeline)
    changes_are_refused_with_a_reason(pipeline)
    waiting_events_are_shown_without_their_text(pipeline)
    for service in (pipeline.queue, pipeline.collector, pipeline.processor, pipeline.adapter_count):
        assert CANARY not in service.log_text(), f"chat text in the log of {service.name}"
print("verbatimctl_commands: ok")
