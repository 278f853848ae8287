"""An operator at the queue: every command of verbatimctl about queues, dead letters, alarms and audit, against a real service."""
import json
import os
import re
import subprocess
import time
import urllib.request

from queue_operator import QueueClient
from verbatim_harness import BIN_DIR, SOURCE_DIR, Pipeline, wait_until
from verbatim_operator import Operator

from verbatim.v1 import queue_pb2

CANARY = "canary-text-that-must-not-be-shown"
REASON = ("--reason", "a test")


class QueueOperator(Operator):
    def __init__(self, pipeline):
        super().__init__(pipeline, CANARY)
        self.changes = 0

    def run(self, *arguments, code=0, words=()):
        return super().run(*arguments, code=code, words=words).stdout

    def change(self, *arguments, code=0, words=()):
        self.changes += 1
        return self.run(*arguments, *REASON, code=code, words=words)

    def info(self, queue):
        return next((one for one in self.json("queues", "list")["queues"] if one["name"] == queue), None)

    def ids(self, queue, *arguments):
        return [int(one["lookup_id"]) for one in self.json("queues", "peek", queue, *arguments)["messages"]]

    def alarm(self, name, subject):
        alarms = self.json("alarms", "list", "--service", "queue")["alarms"]
        return next((one for one in alarms if (one["name"], one["subject"]) == (name, subject)), None)


def usage_errors_are_two(operator):
    for arguments in (["queues", "create"], ["queues", "create", "x"], ["queues", "purge", "events", *REASON],
                      ["queues", "purge", "events", "--all", "--id", "1", *REASON], ["queues", "peek", "events", "--first", "--last"],
                      ["queues", "peek", "events", "--older-than", "5"], ["queues", "create", "x", "--quota-bytes", "1GB", *REASON],
                      ["queues", "pause", "events", "--puts", "--receives", *REASON], ["queues", "move", "events", "--all", *REASON],
                      ["queues", "delete", "events", "--reason", ""], ["dead-letters", "destroy", "events", *REASON],
                      ["audit", "list", "-n", "0"], ["queues", "peek", "events", "--key-hex", "xyz"],
                      # What the service would refuse, the parser knows.
                      ["queues", "create", "x", "--retries", "1001", *REASON], ["queues", "create", "x", "--retry-cycles", "1001", *REASON],
                      ["queues", "move", "events", "x", "--all", "--rate", "1000001", *REASON],
                      ["queues", "create", "x", "--low-mark", "101", *REASON], ["queues", "create", "x", "--consumers", "one", *REASON],
                      # As the service has them: more is a wrong use, not a request that it refuses.
                      ["queues", "create", "x", "--retries", "1001", *REASON], ["queues", "create", "x", "--retry-cycles", "1001", *REASON],
                      ["queues", "move", "events", "x", "--all", "--rate", "1000001", *REASON],
                      ["queues", "configure", "x", "--low-mark", "101", *REASON], ["queues", "configure", "x", "--consumers", "one", *REASON]):
        operator.run(*arguments, code=2)
    for noun in ("queues", "dead-letters"):
        operator.run(noun, "--help", words=["Examples:"])


def queues_are_made_and_configured(operator):
    operator.change("queues", "create", "imports", "--quota-messages", 100, "--retries", 1, words=["imports is made"])
    settings = operator.info("imports")["settings"]
    assert (settings["quota_messages"], settings["retries"]) == ("100", 1), settings
    operator.change("queues", "create", "imports", code=1, words=["imports"])
    for name in ("Imports", "im ports", "../x", "", "a" * 65, "verbatim.mine", "a;b;c"):
        operator.change("queues", "create", name, code=1)
    operator.change("queues", "configure", "imports", "--retry-cycles", 0, "--retry-cycle-delay", "50ms", words=["Tries: 2"])
    settings = operator.info("imports")["settings"]
    assert (settings["quota_messages"], settings["retries"], settings["retry_cycles"]) == ("100", 1, 0), settings
    operator.change("queues", "configure", "nowhere", "--retries", 1, code=1, words=["nowhere"])
    # Nothing was asked of the service for it: the present settings are read first.
    operator.changes -= 1
    operator.run("queues", "show", "imports", words=["state", "Tries: 2", "Service:", "Log:", "% of those in use"])
    operator.run("queues", "show", "nowhere", code=1)
    operator.change("queues", "delete", "events", code=1, words=["queue.queues"])
    assert not operator.info("events")["is_deleting"]


def every_setting_arrives(operator):
    operator.change("queues", "create", "set")
    operator.change("queues", "configure", "set", "--quota-messages", 7, "--quota-bytes", "3MiB", "--low-mark", 80, "--retries", 1000,
                    "--retry-cycles", 9, "--retry-cycle-delay", "2m", "--poison-to", "dead-letters", "--consumers", "exclusive",
                    "--journal", "--journal-quota", "5KiB",
                    words=["bytes 3 MiB", "below 80 %", "Tries: 10,010", "then to the dead letters", "one at a time", "quota 5 KiB"])
    assert operator.info("set")["settings"] == {
        "quota_messages": "7", "quota_bytes": str(3 << 20), "low_mark_percent": 80, "retries": 1000, "retry_cycles": 9,
        "retry_cycle_delay_ms": "120000", "poison_target": "POISON_TARGET_DEAD_LETTERS", "consumer_mode": "CONSUMER_MODE_EXCLUSIVE",
        "has_journal": True, "journal_quota_bytes": str(5 << 10)}, operator.info("set")["settings"]
    operator.change("queues", "configure", "set", "--poison-to", "poison", "--consumers", "shared", "--no-journal")
    settings = operator.info("set")["settings"]
    assert (settings["poison_target"], settings["consumer_mode"], settings["has_journal"], settings["retries"]) == (
        "POISON_TARGET_UNSPECIFIED", "CONSUMER_MODE_UNSPECIFIED", False, 1000), settings
    operator.change("queues", "configure", "set", "--defaults", "--low-mark", 50, words=["Tries: 18", "below 50 %"])
    settings = operator.info("set")["settings"]
    assert settings["quota_messages"] == "0" and settings["quota_bytes"] == "0" and "retries" not in settings, settings


def a_paused_queue_refuses(operator, client):
    operator.change("queues", "pause", "imports", "--puts", words=["no puts"])
    assert operator.info("imports")["is_put_paused"] and not operator.info("imports")["is_receive_paused"]
    assert client.put_refusal("imports") == queue_pb2.REFUSAL_REASON_PAUSED
    operator.change("queues", "resume", "imports", words=["goes on"])
    client.put("imports", [b"one"])
    operator.change("queues", "pause", "imports", "--receives")
    assert client.receive("imports") is None
    wait_until(lambda: operator.alarm("paused", "imports"), 20, "the alarm about the pause")
    operator.change("queues", "resume", "imports")
    wait_until(lambda: operator.alarm("paused", "imports") is None, 30, "the alarm about the pause to clear")
    lease = client.receive("imports")
    client.commit("imports", lease)


def peek_finds_what_it_is_asked_for(operator, client):
    operator.change("queues", "create", "looks")
    for number in range(10):
        client.put("looks", [CANARY.encode()], order_key=b"key-%d" % (number % 2), label=f"label-{number % 5}",
                   correlation_id=b"\x01\xff" if number == 3 else b"", source="odd" if number % 2 else "even")
    assert operator.ids("looks") == list(range(1, 11))
    assert operator.ids("looks", "--first", "-n", 2) == [1, 2]
    assert operator.ids("looks", "--last", "-n", 2) == [10, 9]
    assert operator.ids("looks", "--next", 4, "-n", 2) == [5, 6]
    assert operator.ids("looks", "--previous", 4, "-n", 2) == [3, 2]
    assert operator.ids("looks", "--from", 9) == [9, 10]
    assert operator.ids("looks", "--at", 5) == [5]
    operator.run("queues", "peek", "looks", "--at", 50, code=1)
    assert operator.ids("looks", "--key", "key-1") == [2, 4, 6, 8, 10]
    assert operator.ids("looks", "--key-hex", b"key-1".hex()) == [2, 4, 6, 8, 10]
    assert operator.ids("looks", "--label", "label-2") == [3, 8]
    assert operator.ids("looks", "--label", "label-*", "-n", 3) == [1, 2, 3]
    assert operator.ids("looks", "--correlation", "01ff") == [4]
    assert operator.ids("looks", "--source", "even", "--label", "label-2") == [3]
    assert operator.ids("looks", "--id", 3, "--id", 7) == [3, 7]
    assert operator.ids("looks", "--older-than", "1h") == []
    assert operator.ids("looks", "--younger-than", "1h", "-n", 1) == [1]
    operator.run("queues", "peek", "looks", "-n", 5, words=["label-2", "01ff", b"key-1".hex()])


def messages_are_moved_purged_and_redriven(operator, client):
    operator.change("queues", "create", "target")
    operator.change("queues", "move", "looks", "target", "--source", "odd", "--rate", 1000, words=["5 moved"])
    assert operator.ids("looks") == [1, 3, 5, 7, 9] and len(operator.ids("target")) == 5
    moved = operator.json("queues", "peek", "target")["messages"]
    assert [one["hops"][-1]["lookup_id"] for one in moved] == ["2", "4", "6", "8", "10"], moved
    assert moved[0]["hops"][-1]["queue"] == "looks" and moved[0]["hops"][-1]["reason"] == "END_REASON_MOVED", moved
    operator.change("queues", "move", "looks", "nowhere", "--all", code=1, words=["nowhere"])

    operator.change("queues", "purge", "looks", "--id", 1, "--id", 3, words=["2 moved"])
    dead = operator.json("dead-letters", "list", "looks")["messages"]
    assert [(one["hops"][-1]["lookup_id"], one["hops"][-1]["reason"]) for one in dead] == [
        ("1", "END_REASON_PURGED"), ("3", "END_REASON_PURGED")], dead
    operator.run("dead-letters", "list", "looks", "--end-reason", "purged", words=["looks/1 purged"])
    operator.run("dead-letters", "list", "looks", "--end-reason", "poison", words=["No messages"])
    assert operator.info("looks;dead-letters")["depth_by_reason"] == {"END_REASON_PURGED": "2"}, operator.info("looks;dead-letters")
    wait_until(lambda: operator.alarm("dead-letters", "looks;dead-letters") or operator.alarm("dead-letters", "looks"), 20,
               "the alarm about dead letters")
    operator.run("alarms", "list", "--service", "queue", code=1, words=["dead-letters", "RAISED"])

    operator.change("dead-letters", "redrive", "looks", "--id", dead[0]["lookup_id"], words=["1 moved"])
    assert operator.ids("looks") == [5, 7, 9, 11], "a redriven message gets a new lookup id"
    back = operator.json("queues", "peek", "looks", "--at", 11)["messages"][0]
    assert back["hops"][-1]["reason"] == "END_REASON_REDRIVEN" and back["hops"][0]["lookup_id"] == "1", back
    operator.change("dead-letters", "redrive", "looks", "--all", "--to", "target")
    assert operator.ids("looks;dead-letters") == []
    wait_until(lambda: not [one for one in operator.json("alarms", "list", "--service", "queue")["alarms"] if one["name"] == "dead-letters"], 30,
               "the alarm about dead letters to clear")
    operator.run("alarms", "list", "--service", "queue", "--all", words=["over"])


def a_transfer_keeps_to_its_rate(operator, client):
    operator.change("queues", "create", "paced")
    operator.change("queues", "create", "paced-to")
    client.put("paced", [b"x"] * 41)
    begin = time.monotonic()
    operator.change("queues", "move", "paced", "paced-to", "--all", "--rate", 20, words=["41 moved"])
    # Two at once, then 20 a second.
    assert 1.9 < time.monotonic() - begin < 15, time.monotonic() - begin


def a_transfer_ends_with_its_caller(operator, client):
    operator.change("queues", "create", "slow")
    client.put("slow", [b"x"] * 200)
    operator.changes += 1
    caller = subprocess.Popen([os.path.join(BIN_DIR, "verbatimctl"), "--config", operator.pipeline.config_path, "queues", "move",
                               "slow", "target", "--all", "--rate", "20", *REASON], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: int(operator.info("slow")["depth"]) < 200, 20, "the transfer to begin")
    finally:
        caller.kill()
        caller.wait()
    ended = wait_until(lambda: next((one for one in operator.json("audit", "list")["entries"] if one["action"] == "queues move ended"
                                     and one["subject"] == "slow"), None), 20, "the audit log to say how it ended")
    left = len(operator.ids("slow", "-n", 1000))
    assert 0 < left < 200 and "stopped" in ended["detail"] and f"moved={200 - left} " in ended["detail"], (left, ended)


def poison_leaves_its_queue(operator, client):
    operator.change("queues", "create", "poisoned", "--retries", 1, "--retry-cycles", 0)
    client.put("poisoned", [b"bad"], order_key=b"k")
    for _ in range(2):
        lease = wait_until(lambda: client.receive("poisoned"), 20, "the message to go out")
        client.abort("poisoned", lease)
    wait_until(lambda: operator.ids("poisoned;poison") == [1], 20, "the message to be poison")
    wait_until(lambda: [one for one in operator.json("alarms", "list", "--service", "queue")["alarms"] if one["name"] == "poison"], 20, "the alarm about poison")
    operator.change("dead-letters", "redrive", "poisoned;poison", "--all", words=["1 moved"])
    assert operator.ids("poisoned") == [2]
    client.put("poisoned", [b"worse"], order_key=b"k")
    lease = client.receive("poisoned")
    client.abandon("poisoned", lease, "the consumer cannot read it")
    left = [one for name in ("poisoned;poison", "poisoned;dead-letters")
            for one in operator.json("queues", "peek", name)["messages"] if operator.info(name)]
    assert left and left[0]["hops"][-1]["detail"] == "the consumer cannot read it", left


def destroying_takes_a_token_and_no_hold(operator):
    operator.change("queues", "purge", "target", "--all")
    count = len(operator.ids("target;dead-letters", "-n", 1000))
    assert count > 2
    preview = operator.json("dead-letters", "destroy", "target", "--all", *REASON)
    assert (preview["message_count"], preview["is_destroyed"]) == (str(count), False) and preview["token"], preview
    shown = operator.run("dead-letters", "destroy", "target", "--all", *REASON, words=[f"{count} messages", "--token"])
    token = re.search(r"--token (\S+)", shown).group(1)
    operator.change("queues", "hold", "target", words=["held"])
    operator.change("dead-letters", "destroy", "target", "--all", "--token", token, code=1)
    operator.change("queues", "release-hold", "target")
    shown = operator.run("dead-letters", "destroy", "target", "--all", *REASON)
    token = re.search(r"--token (\S+)", shown).group(1)
    operator.change("dead-letters", "destroy", "target", "--all", "--token", "0123456789abcdef", code=1)
    # The token is for these messages only.
    operator.change("dead-letters", "destroy", "target", "--id", 1, "--token", token, code=1)
    assert len(operator.ids("target;dead-letters", "-n", 1000)) == count
    shown = operator.run("dead-letters", "destroy", "target", "--all", *REASON)
    token = re.search(r"--token (\S+)", shown).group(1)
    operator.change("dead-letters", "destroy", "target", "--all", "--token", token, words=[f"Destroyed: {count} messages"])
    assert operator.ids("target;dead-letters") == []
    assert operator.info("target;dead-letters")["destroyed_count"] == str(count)
    operator.change("dead-letters", "destroy", "target", "--all", "--token", token, code=1)


def without_dead_letters_nothing_is_wrong(operator, client):
    operator.change("queues", "create", "unharmed")
    operator.change("dead-letters", "redrive", "unharmed", "--all", words=["No dead letters."])
    operator.run("dead-letters", "destroy", "unharmed", "--all", *REASON, words=["No dead letters."])
    client.put("unharmed", [b"worse"])
    client.abandon("unharmed", client.receive("unharmed"), "the consumer cannot read it")
    operator.change("dead-letters", "redrive", "unharmed", "--all", words=["No dead letters. 1 are in \"unharmed;poison\"."])


def a_journal_is_trimmed_by_a_call(operator, client):
    operator.change("queues", "create", "journaled", "--journal")
    client.put("journaled", [b"one", b"two", b"three"])
    client.commit("journaled", client.receive("journaled"))
    wait_until(lambda: len(operator.ids("journaled;journal")) == 3, 20, "three copies")
    operator.change("queues", "trim-journal", "journaled", "--up-to", 2, words=["2 copies"])
    assert operator.ids("journaled;journal") == [3]


def lookup_ids_outlive_their_queue(operator, client):
    operator.change("queues", "create", "again")
    client.put("again", [b"one", b"two"])
    operator.change("queues", "delete", "again", code=1)
    operator.change("queues", "delete", "again", "--force", words=["again is deleted, its messages are in \"again;dead-letters\", its sub-queues stay"])
    assert operator.info("again") is None
    dead = operator.json("dead-letters", "list", "again")["messages"]
    assert [one["hops"][-1]["reason"] for one in dead] == ["END_REASON_QUEUE_DELETED"] * 2, dead
    operator.change("dead-letters", "redrive", "again", "--all",
                    words=["0 moved, 2 left (the queue that they came from is gone: say --to)"])
    operator.change("queues", "create", "again")
    client.forget("again")
    assert client.put("again", [b"three"])[0] > 2, "a lookup id was given twice"
    operator.change("queues", "delete", "verbatim.probe", code=1, words=["probe_interval_ms"])
    operator.change("queues", "move", "again", "verbatim.probe", "--all", code=1)
    operator.change("queues", "move", "again;retry", "events", "--all", code=1, words=["again;retry is a view of again"])


def a_full_queue_is_an_alarm_that_clears(operator, client, told_path):
    operator.change("queues", "create", "small", "--quota-messages", 5)
    client.put("small", [b"x"] * 5)
    assert client.put_refusal("small") == queue_pb2.REFUSAL_REASON_FULL
    wait_until(lambda: operator.alarm("queue-full", "small"), 20, "the alarm about the full queue")
    operator.run("status", code=3, words=["alarm queue-full small"])
    client.commit("small", client.receive("small"))
    wait_until(lambda: operator.alarm("queue-full", "small") is None, 30, "the alarm to clear")

    def told():
        if not os.path.exists(told_path):
            return []
        with open(told_path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        return [line["is_raised"] for line in lines if (line["name"], line["subject"]) == ("queue-full", "small")]
    wait_until(lambda: told() == [True, False], 20, lambda: f"the command to be told twice, it was told {told()}")


def every_change_is_in_the_audit_log(operator):
    entries = operator.json("audit", "list", "-n", 10000)["entries"]
    assert [int(one["number"]) for one in entries] == list(range(1, len(entries) + 1))
    configured = [one for one in entries if one["reason"] == "queue.queues of the configuration"]
    assert "events" in [one["subject"] for one in configured if one["action"] == "queues create"], entries[:3]
    entries = [one for one in entries if one not in configured]
    begun = [one for one in entries if not one["action"].endswith((" ended", " refused"))]
    assert len(begun) == operator.changes, f"{len(begun)} entries for {operator.changes} changes"
    for action in ("queues create", "queues configure", "queues pause", "queues pause puts", "queues resume", "queues delete",
                   "queues move", "queues purge", "queues hold", "queues release-hold", "queues trim-journal",
                   "dead-letters redrive", "dead-letters destroy"):
        assert any(one["action"] == action for one in begun), action
    for one in entries:
        assert one["reason"] == "a test" and one["user"] and one["peer"] and one["service"] == "verbatim-queue", one
    refused = [one for one in entries if one["action"] == "queues create refused"]
    assert refused, "a refused change has its entry, too"
    operator.run("audit", "list", "-n", 3, words=["a test"])


def every_metric_is_in_the_handbook(pipeline):
    address = pipeline.queue.endpoints["metrics_listen"]

    def scrape():
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            return answer.read().decode()

    text = wait_until(lambda: (lambda got: got if 'verbatim_queue_messages{queue="events"}' in got else None)(scrape()), 20, "metrics")
    exported = set(re.findall(r"^# TYPE (verbatim_\w+) ", text, re.M))
    with open(os.path.join(SOURCE_DIR, "docs", "operations.md"), encoding="utf-8") as file:
        documented = set(re.findall(r"`(verbatim_queue_\w+)`", file.read()))
    assert exported == documented, (f"not in docs/operations.md: {sorted(exported - documented)}\n"
                                    f"not exported: {sorted(documented - exported)}")
    assert CANARY not in text
    assert "verbatim_queue_up 1" in text


def alarms_in_the_handbook(operator):
    with open(os.path.join(SOURCE_DIR, "docs", "operations.md"), encoding="utf-8") as file:
        page = file.read()
    for alarm in operator.json("alarms", "list", "--service", "queue", "--all")["alarms"]:
        assert f"| `{alarm['name']}` |" in page, f"{alarm['name']} is not in docs/operations.md"


def probe_goes_through(operator, pipeline):
    info = operator.info("verbatim.probe")
    assert info and int(info["committed_count"]) > 0, info
    address = pipeline.queue.endpoints["metrics_listen"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    age = float(re.search(r"^verbatim_queue_probe_age_seconds (\S+)", text, re.M).group(1))
    latency = float(re.search(r"^verbatim_queue_probe_latency_seconds (\S+)", text, re.M).group(1))
    assert age < 30 and 0 < latency < 10, (age, latency)


def a_late_probe_is_an_alarm(operator):
    operator.change("queues", "pause", "verbatim.probe")
    wait_until(lambda: operator.alarm("probe-late", "verbatim.probe"), 30, "the alarm about the probe")
    operator.change("queues", "resume", "verbatim.probe")
    wait_until(lambda: operator.alarm("probe-late", "verbatim.probe") is None, 40, "the probe to go through again")


def a_restart_forgets_nothing(operator, pipeline):
    before = operator.json("audit", "list", "-n", 10000)["entries"]
    pipeline.queue.restart(kill=True)
    assert operator.json("audit", "list", "-n", 10000)["entries"] == before
    assert operator.info("imports")["settings"]["quota_messages"] == "100"


def a_damaged_audit_log_is_an_alarm(operator, pipeline):
    folder = os.path.join(pipeline.dir, "queue", "audit-000001")
    pipeline.queue.terminate()
    first = os.path.join(folder, sorted(name for name in os.listdir(folder) if name.endswith(".log"))[0])
    with open(first, "r+b") as file:
        file.seek(120)
        byte = file.read(1)
        file.seek(120)
        file.write(bytes([byte[0] ^ 1]))
    pipeline.queue.start()
    wait_until(lambda: operator.alarm("audit-damaged", folder), 20, "the alarm about the audit log")
    assert operator.json("audit", "list")["entries"][0]["action"] == "audit began anew"
    operator.change("queues", "pause", "imports")
    assert operator.json("audit", "list")["entries"][-1]["action"] == "queues pause"
    os.rename(folder, os.path.join(pipeline.dir, "kept-audit"))
    wait_until(lambda: operator.alarm("audit-damaged", folder) is None, 20, "the alarm to clear")


def alarm_command(folder):
    path = os.path.join(folder, "alarm.sh")
    with open(path, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\ncat >> "$0.told"\n')
    os.chmod(path, 0o700)
    return path


with Pipeline("queue_operations", services=[], config={"queue": {"probe_interval_ms": 1000}}) as pipeline:
    command = alarm_command(pipeline.dir)
    pipeline.config["queue"]["alarm_command"] = command
    pipeline.queue.start()
    operator = QueueOperator(pipeline)
    client = QueueClient(pipeline.queue.endpoints["listen"])
    usage_errors_are_two(operator)
    queues_are_made_and_configured(operator)
    every_setting_arrives(operator)
    a_paused_queue_refuses(operator, client)
    peek_finds_what_it_is_asked_for(operator, client)
    messages_are_moved_purged_and_redriven(operator, client)
    a_transfer_keeps_to_its_rate(operator, client)
    a_transfer_ends_with_its_caller(operator, client)
    poison_leaves_its_queue(operator, client)
    destroying_takes_a_token_and_no_hold(operator)
    without_dead_letters_nothing_is_wrong(operator, client)
    a_journal_is_trimmed_by_a_call(operator, client)
    lookup_ids_outlive_their_queue(operator, client)
    a_full_queue_is_an_alarm_that_clears(operator, client, command + ".told")
    probe_goes_through(operator, pipeline)
    a_late_probe_is_an_alarm(operator)
    every_change_is_in_the_audit_log(operator)
    every_metric_is_in_the_handbook(pipeline)
    alarms_in_the_handbook(operator)
    client.close()
    a_restart_forgets_nothing(operator, pipeline)
    a_damaged_audit_log_is_an_alarm(operator, pipeline)
    assert CANARY not in pipeline.queue.log_text(), "message bytes in the log"
print("queue_operations: ok")
