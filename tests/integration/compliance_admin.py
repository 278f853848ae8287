"""Compliance profiles, servers, assignments and priority of a real collector, as an operator sees them: every rule of the guide
through verbatimctl, what survives SIGKILL, the audit log, alarms and their program, doctor, the node-based mode and its end."""
import json
import os
import re
import stat
import urllib.request

from verbatim_harness import SOURCE_DIR, Pipeline, free_port, wait_until
from xcp_node import XcpNode

DEFAULT = "SystemDefaultComplianceProfile"
NINE = {("e_SESSION", ""), ("es_END", ""), ("es_IN", "message"), ("es_OUT", "message"), ("onBeforeInvite", ""), ("onBeforeJoin", ""),
        ("onBeforeRoomCreate", ""), ("onBeforeSend", ""), ("onLeave", "")}
COMPONENT, SECRET = "op-verbatim.test", "test-secret"


class Operator:
    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.changes = 0

    def run(self, *arguments, code=0, words=()):
        done = self.pipeline.verbatimctl(*arguments)
        shown = done.stdout + done.stderr
        assert done.returncode == code, f"exit {done.returncode} instead of {code}: {arguments}\n{shown}"
        for word in words:
            assert word in shown, f"{word!r} is missing: {arguments}\n{shown}"
        return done

    def change(self, *arguments, code=0, words=()):
        self.changes += 1
        return self.run(*arguments, "--reason", "a test", code=code, words=words)

    def state(self):
        return self.pipeline.verbatimctl_json("assignments", "list")

    def profiles(self):
        return [profile["name"] for profile in self.state()["profiles"]]

    def alarm(self, name, subject):
        listed = self.pipeline.verbatimctl_json("alarms", "list", "--service", "collector")["alarms"]
        return next((one for one in listed if (one["name"], one["subject"]) == (name, subject)), None)


# conformance: 25 26 27 28 29
def the_default_profile_is_there_and_stays_as_it_is(operator):
    assert operator.profiles() == [DEFAULT]
    profile = operator.pipeline.verbatimctl_json("profiles", "show", DEFAULT)
    assert {(event["event"], event["packet_type"]) for event in profile["events"]} == NINE, profile
    assert not any(event["fire_and_forget"] for event in profile["events"]), profile
    for verb in (["profiles", "set", DEFAULT, "--add", "onDestroy"], ["profiles", "delete", DEFAULT], ["profiles", "rename", DEFAULT, "mine"]):
        operator.change(*verb, code=1, words=["cannot be changed or deleted"])
    operator.change("servers", "add", "wall", "--plugin", words=["registered"])
    done = operator.change("assignments", "add", "wall", DEFAULT)
    assert "server wall is not attached" in done.stderr and "answered with an error" in done.stderr, done.stderr
    operator.change("assignments", "remove", "wall", DEFAULT)
    assert operator.pipeline.verbatimctl_json("profiles", "show", DEFAULT) == profile


# conformance: 14 15 17 18 19 20 21
def names_and_events_are_checked(operator):
    for name in ("two words", "a-b", "ä", "a.b"):
        operator.change("profiles", "create", name, "--event", "onLeave", code=1, words=["letters and digits"])
    operator.change("profiles", "create", "bad", "--event", "es_out:message", code=1, words=["none of the 12 JSM and 28 TC"])
    operator.change("profiles", "create", "bad", "--event", "onLeave:message", code=1, words=["JSM events only"])
    operator.change("profiles", "create", "bad", "--event", "es_OUT", code=1, words=["needs a packet type"])
    operator.run("profiles", "create", "bad", "--event", "es_OUT:messages", "--reason", "a test", code=2, words=["EVENT[:TYPE]"])
    operator.change("profiles", "create", "bad", "--event", "es_OUT:iq", "--event", "es_OUT:iq:pass", code=1, words=["twice"])
    for types in (("all", "message"), ("message", "all")):
        operator.change("profiles", "create", "bad", "--event", f"es_OUT:{types[0]}", "--event", f"es_OUT:{types[1]}", code=1,
                        words=["all includes it"])
    operator.run("profiles", "create", "bad", "--event", "onLeave", code=2, words=["--reason"])
    assert operator.profiles() == [DEFAULT]
    operator.change("profiles", "create", "jsm", "--event", "es_OUT:message")
    operator.change("profiles", "create", "tc", "--event", "onBeforeSend", "--description", "rooms only")
    operator.change("profiles", "create", "both", "--event", "es_OUT:presence:pass", "--event", "onLeave")
    operator.change("profiles", "create", "both", code=1, words=["there is a profile both already"])


# conformance: 16 23 24
def a_profile_is_changed_renamed_and_deleted(operator):
    operator.change("profiles", "set", "both", "--add", "e_SESSION", "--remove", "onLeave")
    events = operator.pipeline.verbatimctl_json("profiles", "show", "both")["events"]
    assert [(e["event"], e["packet_type"], e["handling"], e["fire_and_forget"]) for e in events] == [
        ("es_OUT", "presence", "HANDLING_PASS", False), ("e_SESSION", "", "HANDLING_PASS", False)], events
    operator.change("profiles", "set", "none", "--add", "onLeave", code=1, words=["no such profile"])
    before = operator.state()
    for arguments, words in ((["--remove", "es_OUT"], "profile both has no es_OUT; it has es_OUT:presence"),
                             (["--remove", "onDestroy"], "profile both has no onDestroy"),
                             ([], "nothing of profile both would change")):
        operator.run("profiles", "set", "both", *arguments, "--reason", "a test", code=1, words=[words])
    assert operator.state() == before
    operator.change("assignments", "add", "wall", "both", "--node", "n1.example")
    for verb in (["rename", "both", "two"], ["delete", "both"]):
        operator.change("profiles", *verb, code=1, words=["while it is assigned (to wall on node n1.example)"])
    operator.change("assignments", "remove", "wall", "both", code=1, words=["is not assigned"])
    operator.change("assignments", "remove", "wall", "both", "--node", "n1.example")
    operator.change("profiles", "rename", "both", "two", words=["is called two now"])
    operator.change("profiles", "delete", "two")
    assert operator.profiles() == [DEFAULT, "jsm", "tc"]


# conformance: 32
def priority_is_the_order_of_creation_until_it_is_changed(operator):
    operator.change("priority", "set", "tc", "jsm", code=1, words=[f"{DEFAULT} is missing"])
    operator.change("priority", "set", "tc", DEFAULT, "jsm")
    assert operator.profiles() == ["tc", DEFAULT, "jsm"]
    operator.change("profiles", "create", "last", "--event", "onLeave")
    operator.change("profiles", "set", "tc", "--add", "onLeave")
    assert operator.profiles() == ["tc", DEFAULT, "jsm", "last"]
    operator.run("priority", "show", words=["tc", "jsm"])


# conformance: 9 13 33 34 75 92
def servers_get_profiles_and_are_deleted_without_them(operator):
    operator.change("servers", "add", "legacy", "--link", "cs1.example.com:7999", code=1, words=["needs the name of the file"])
    operator.run("servers", "add", "legacy", "--link", "cs 1:7999", "--secret-file", "/s", "--reason", "a test", code=2,
                 words=["not a host"])
    operator.change("servers", "add", "legacy", "--link", "cs1.example.com:7999", "--secret-file", "/etc/verbatim/legacy.secret",
                    "--description", "the old one")
    done = operator.change("servers", "add", "legacy", "--link", "cs2.example.com:7998", "--secret-file", "/etc/verbatim/legacy.secret")
    assert "overwritten" in done.stderr, done.stderr
    operator.run("servers", "show", "legacy", words=["cs2.example.com:7998", "/etc/verbatim/legacy.secret", "no profile"])
    wait_until(lambda: "not dialled: it has no assignment" in operator.run("servers", "list").stdout, 10, "the reason why it is not dialled")
    operator.run("servers", "list", words=["GONE"])
    operator.change("assignments", "add", "legacy", "tc", "--node", "n1.example")
    operator.change("assignments", "add", "wall", "tc")
    operator.change("assignments", "add", "wall", "jsm")
    operator.change("assignments", "add", "wall", "tc", code=1, words=["already"])
    rows = operator.pipeline.verbatimctl_json("servers", "list")["servers"]
    assert sorted((row["server"], row["profile"], row["node"]) for row in rows) == [
        ("legacy", "tc", "n1.example"), ("wall", "jsm", ""), ("wall", "tc", "")], rows
    assert next(row["component"] for row in rows if row["server"] == "legacy") == "opc-legacy.n1-example"
    operator.change("servers", "delete", "legacy", code=1, words=["unassign it first"])
    operator.change("assignments", "remove", "legacy", "tc", "--node", "n1.example")
    operator.change("servers", "delete", "legacy")
    operator.change("servers", "delete", "legacy", code=1, words=["no such server"])


# conformance: 41
def a_discarding_event_is_done_with_a_loud_warning_and_an_alarm(operator):
    done = operator.change("profiles", "set", "jsm", "--event", "es_OUT:message:bounce:fire-and-forget")
    assert "DANGER" in done.stderr and "DISCARDS" in done.stderr, done.stderr
    operator.run("profiles", "show", "jsm", words=["DISCARDS"])
    wait_until(lambda: operator.alarm("bounce-fire-and-forget", "profile jsm"), 20, "the alarm about discarded events")
    operator.change("profiles", "set", "jsm", "--event", "es_OUT:message:pass:fire-and-forget")
    wait_until(lambda: operator.alarm("bounce-fire-and-forget", "profile jsm") is None, 30, "that alarm to clear")


def everything_survives_a_kill(operator):
    before = operator.state()
    operator.pipeline.collector.restart(kill=True)
    assert operator.state() == before
    assert before["revision"] != "0" and before["is_cluster_wide"] is True, before


def an_export_comes_back_whole_and_has_no_secrets(operator):
    path = os.path.join(operator.pipeline.dir, "compliance.json")
    operator.run("profiles", "export", "--output", path)
    before = operator.state()
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert SECRET not in text
    assert json.loads(text)["revision"] == before["revision"]
    operator.change("assignments", "remove", "wall", "jsm")
    operator.change("profiles", "delete", "jsm")
    operator.change("profiles", "import", path)
    after = operator.state()
    assert {**after, "revision": ""} == {**before, "revision": ""}, after
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace('"version": 1', '"version": 2'))
    operator.change("profiles", "import", path, code=1, words=["newer than this program"])
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace('"revision"', '"revisoin"'))
    operator.run("profiles", "import", path, "--reason", "a test", code=1, words=["is no export"])
    assert {**operator.state(), "revision": ""} == {**before, "revision": ""}


def every_change_is_an_audit_entry_before_it_takes_effect(operator):
    entries = operator.pipeline.verbatimctl_json("audit", "list", "--service", "collector", "-n", 1000)["entries"]
    begun = [one for one in entries if not one["action"].endswith((" ended", " refused"))]
    ended = [one for one in entries if one["action"].endswith((" ended", " refused"))]
    # Those that verbatimctl itself refuses, having looked, are none.
    looked = 2
    assert len(begun) == operator.changes - looked, f"{len(begun)} entries for {operator.changes} changes"
    assert len(ended) == len(begun), "each says how it ended"
    for one in entries:
        assert one["reason"] == "a test" and one["user"] and one["peer"] and one["service"] == "verbatim-collector", one
    for action in ("profiles create", "profiles set", "profiles rename", "profiles delete", "profiles import", "servers set", "servers delete",
                   "assignments add", "assignments remove", "priority set"):
        assert any(one["action"] == action for one in begun), action


# conformance: 88 90 91
def a_lost_link_is_the_guides_alarm_and_doctor_says_what_to_do(operator, told):
    name, subject = "XcpThirdPartyComplianceConnectError", "source chat"
    wait_until(lambda: operator.alarm(name, subject), 30, "the alarm about the node's link")
    operator.run("sources", "show", "chat", code=1, words=["Link GONE", "does the node run"])
    operator.run("doctor", code=3, words=["source chat", "GONE", "server wall", "start the plugin"])
    with XcpNode(operator.pipeline.xcp_port, COMPONENT, "wrong") as node:
        node.dial()
        node.send(node.header())
        node._read_until(lambda: node.stream_id, 10)
        node.send(f"<handshake>{node.digest()}</handshake>")
        node.wait_closed()
    operator.run("sources", "show", "chat", code=1, words=["wrong digest"])
    with XcpNode(operator.pipeline.xcp_port, COMPONENT, SECRET) as node:
        node.connect()
        wait_until(lambda: operator.alarm(name, subject) is None, 30, "the alarm to clear")
        operator.run("sources", "show", "chat", words=["Link ACTIVE"])
        report = operator.pipeline.verbatimctl_json("doctor")
        states = {finding["subject"]: finding["state"] for finding in report["findings"]}
        assert states["source chat"] == "STATE_WELL" and states["service queue"] == "STATE_WELL", report
        assert states["service processor"] == "STATE_WRONG" and report["exit_code"] == 3, report
    wait_until(lambda: operator.alarm(name, subject), 30, "the alarm about the lost link")

    def lines():
        with open(told, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def of_the_link():
        return [one["is_raised"] for one in lines() if (one["name"], one["subject"]) == (name, subject)]

    # Once more raised than cleared; the kill in between may repeat neither.
    wait_until(lambda: of_the_link()[-3:] == [True, False, True], 30, lambda: f"the program to be told, was {lines()}")


def metrics_and_alarms_are_in_the_handbook(operator):
    address = operator.pipeline.collector.endpoints["metrics_listen"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    exported = set(re.findall(r"^# TYPE (verbatim_\w+) ", text, re.M))
    with open(os.path.join(SOURCE_DIR, "docs", "operations.md"), encoding="utf-8") as file:
        page = file.read()
    documented = set(re.findall(r"`(verbatim_collector_\w+)`", page))
    assert exported == documented, f"undocumented {sorted(exported - documented)}, gone {sorted(documented - exported)}"
    for alarm in operator.pipeline.verbatimctl_json("alarms", "list", "--service", "collector", "--all")["alarms"]:
        assert f"| `{alarm['name']}` |" in page, f"{alarm['name']} is not in docs/operations.md"
    assert 'verbatim_collector_source_active{protocol="xcp",source="chat"}' in text or \
        'verbatim_collector_source_active{source="chat",protocol="xcp"}' in text, text


# conformance: 10 76 77 78
def an_upgraded_collector_is_node_based_until_it_is_switched_for_ever(operator):
    pipeline = operator.pipeline
    pipeline.collector.terminate()
    os.remove(os.path.join(pipeline.config["collector"]["data_dir"], "compliance"))
    pipeline.collector.start()
    assert operator.state()["is_cluster_wide"] is False and operator.profiles() == [DEFAULT]
    operator.run("cluster", "show", words=["Node-based"])
    for name in ("s1", "s2"):
        operator.change("servers", "add", name, "--plugin")
    operator.change("profiles", "create", "wall", "--event", "onBeforeSend")
    operator.change("assignments", "add", "s1", "wall", "--node", "n1.example", code=1, words=["node-based", "cluster enable"])
    operator.change("assignments", "add", "s1", DEFAULT, "--node", "n1.example")
    operator.change("assignments", "add", "s2", DEFAULT, "--node", "n1.example", code=1, words=["a node has one server"])
    operator.change("assignments", "add", "s2", DEFAULT, "--node", "n2.example")
    assert [one["component"] for one in operator.state()["assignments"]] == ["op-s1.n1-example", "op-s2.n2-example"]
    operator.change("cluster", "enable", code=1, words=["can NOT be ended", "--yes"])
    assert operator.state()["is_cluster_wide"] is False
    done = operator.change("cluster", "enable", "--yes", words=["for ever"])
    assert "component op-s1.n1-example is now opc-s1.n1-example" in done.stderr, done.stderr
    before = operator.state()
    operator.run("cluster", "enable", "--yes", "--reason", "a test", words=["cluster-wide already"])
    assert operator.state() == before
    operator.change("assignments", "add", "s1", "wall", "--node", "n1.example")
    pipeline.collector.restart(kill=True)
    assert operator.state()["is_cluster_wide"] is True
    operator.run("cluster", "show", words=["for ever"])


def a_file_that_cannot_be_used_ends_the_start_and_stays(operator):
    pipeline = operator.pipeline
    path = os.path.join(pipeline.config["collector"]["data_dir"], "compliance")
    pipeline.collector.terminate()
    with open(path, "rb") as file:
        whole = file.read()
    for bytes_, words in ((whole[:-1] + bytes([whole[-1] ^ 1]), "its checksum is wrong"),
                          (whole[:8] + b"\x02" + whole[9:], "it is of version 2, which is newer than this program")):
        with open(path, "wb") as file:
            file.write(bytes_)
        pipeline.collector.start(wait=False)
        assert pipeline.collector.wait() == 1
        assert words in pipeline.collector.tail() and path in pipeline.collector.tail(), pipeline.collector.tail()
        with open(path, "rb") as file:
            assert file.read() == bytes_
    return whole


def the_advice_about_such_a_file_brings_all_back(operator):
    pipeline = operator.pipeline
    path = os.path.join(pipeline.config["collector"]["data_dir"], "compliance")
    exported = os.path.join(pipeline.dir, "before.json")
    operator.run("profiles", "export", "--output", exported)
    before = operator.state()
    whole = a_file_that_cannot_be_used_ends_the_start_and_stays(operator)
    advice = pipeline.collector.tail()
    os.rename(path, path + ".damaged")
    pipeline.collector.start()
    assert operator.state()["is_cluster_wide"] is False and operator.state()["assignments"] == []
    for step in ("cluster enable --yes", "profiles import"):
        assert step in advice, advice
    operator.change("profiles", "import", exported, code=1, words=["node-based", "cluster enable"])
    operator.change("cluster", "enable", "--yes")
    operator.change("profiles", "import", exported)
    assert {**operator.state(), "revision": ""} == {**before, "revision": ""}, operator.state()
    # A copy of the file does it at once.
    pipeline.collector.terminate()
    with open(path, "wb") as file:
        file.write(whole)
    pipeline.collector.start()
    assert operator.state() == before


def alarm_program(pipeline):
    """Appends what it is told to a file."""
    told = os.path.join(pipeline.dir, "told.jsonl")
    path = os.path.join(pipeline.dir, "tell")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\ncat >> {told}\n")
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path, told


def main():
    port = free_port()
    link = {"name": "chat", "listen": f"127.0.0.1:{port}", "component": COMPONENT, "secret": SECRET}
    with Pipeline("compliance_admin", adapters=(), config={"collector": {"xcp": [link]}}) as pipeline:
        pipeline.services = [pipeline.queue, pipeline.collector]
        pipeline.xcp_port = port
        program, told = alarm_program(pipeline)
        pipeline.config["collector"]["alarm_command"] = program
        pipeline.start()
        operator = Operator(pipeline)
        the_default_profile_is_there_and_stays_as_it_is(operator)
        names_and_events_are_checked(operator)
        a_profile_is_changed_renamed_and_deleted(operator)
        priority_is_the_order_of_creation_until_it_is_changed(operator)
        servers_get_profiles_and_are_deleted_without_them(operator)
        a_discarding_event_is_done_with_a_loud_warning_and_an_alarm(operator)
        everything_survives_a_kill(operator)
        an_export_comes_back_whole_and_has_no_secrets(operator)
        every_change_is_an_audit_entry_before_it_takes_effect(operator)
        a_lost_link_is_the_guides_alarm_and_doctor_says_what_to_do(operator, told)
        metrics_and_alarms_are_in_the_handbook(operator)
        an_upgraded_collector_is_node_based_until_it_is_switched_for_ever(operator)
        the_advice_about_such_a_file_brings_all_back(operator)
        pipeline.stop()


if __name__ == "__main__":
    main()
