"""Policies over a real collector and queue: a node on the link, plugins as processes of their own. PASS, changed stanzas, HANDLE,
errors, plugins that die, are silent or late, and a collector that dies between persist and reply."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from verbatim_harness import BUILD_DIR, Pipeline, free_port, wait_until  # noqa: E402
from compliance_state import assign  # noqa: E402
from managed_process import ManagedProcess  # noqa: E402
from queue_reader import QueueReader  # noqa: E402
from xcp_node import XcpNode, chat, groupchat  # noqa: E402
from verbatim.v1 import collector_state_pb2, event_pb2  # noqa: E402

COMPONENT, SECRET = "op-verbatim.test", "test-secret"
DEADLINE_S, OUTAGE_WAIT_S = 4, 2
CLIENT = "{jabber:client}"
Entry = collector_state_pb2.ComplianceProfile.EventEntry
Profile = collector_state_pb2.ComplianceProfile
Verdict, Outcome = event_pb2.Verdict, event_pb2.VerdictOutcome


class Plugin(ManagedProcess):
    def __init__(self, pipeline, name, *arguments):
        support = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support")
        self.log = os.path.join(pipeline.dir, f"plugin-{name}-{time.time_ns()}.log")
        super().__init__([sys.executable, os.path.join(support, "policy_plugin.py"),
                          f"127.0.0.1:{pipeline.ports['policies']}", name, *arguments], self.log, name=name,
                         environment={"PYTHONPATH": os.path.join(BUILD_DIR, "python")})

    def start(self):
        before = self.lines().count("active")
        super().start()
        wait_until(lambda: self.lines().count("active") > before, 20, f"{self.name} to be active\n{self.tail()}")
        return self

    def lines(self):
        try:
            with open(self.log, encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def saw(self, text):
        return [line.split(" ")[0] for line in self.lines() if line.endswith(text)]


def policy_pipeline():
    port = free_port()
    link = {"name": "chat", "listen": f"127.0.0.1:{port}", "component": COMPONENT, "secret": SECRET}
    policies = {"put_reserve_ms": 1000, "outage_wait_ms": OUTAGE_WAIT_S * 1000, "outage_hold_ms": 60000, "heartbeat_ms": 500,
                "suspend_after_timeouts": 3, "probe_interval_ms": 200}
    pipeline = Pipeline("policy_chain", adapters=(), config={
        "queue": {"segment_bytes": 64 << 20},
        "collector": {"event_deadline_ms": DEADLINE_S * 1000, "xcp": [link], "policies": policies}})
    pipeline.services = [pipeline.queue, pipeline.collector]
    pipeline.xcp_port = port
    pipeline.reader = QueueReader(f"tcp://127.0.0.1:{pipeline.ports['queue']}")
    return pipeline


def begin(pipeline):
    pipeline.start()
    pipeline.collector.terminate()
    assign(pipeline, [
        ("first", "wall", [("onBeforeSend", ""), ("es_OUT", "all"), ("e_SESSION", ""), ("onLeave", "")]),
        ("second", "dlp", [("onBeforeSend", "")]),
        ("told", "watch", [Entry(event="onBeforeSend", fire_and_forget=True, handling=Profile.HANDLING_PASS)]),
        ("lenient", "wall", [Entry(event="onBeforeInvite", handling=Profile.HANDLING_PASS)])])
    pipeline.collector.start()


def connected(pipeline):
    return XcpNode(pipeline.xcp_port, COMPONENT, SECRET).connect()


def say(node, text, room="r@muc.x", **more):
    return node.ask("onBeforeSend", groupchat(text, message_id=f"m{node.sequence}"), room=room, actor="a@x/phone", actor_nick="Ann", **more)


def record(pipeline, text):
    """The one durable event with this text."""
    def found():
        return [event for event in pipeline.reader.drain() if event.original_text.plain == text]

    events = wait_until(found, 10, f"a record of {text!r}")
    assert len(events) == 1, events
    return events[0]


def words(event):
    """["wall PASS", "dlp ERROR TIMEOUT"]"""
    said = []
    for verdict in event.verdicts:
        cause = Verdict.Cause.Name(verdict.cause).removeprefix("CAUSE_")
        word = f"{verdict.policy} {event_pb2.Decision.Name(verdict.decision).removeprefix('DECISION_')}"
        said.append(word if cause in ("ANSWERED", "UNSPECIFIED") else f"{word} {cause}")
    return said


# conformance: 35 43 67
def two_policies_pass_and_a_third_is_told(pipeline, node, plugins):
    assert say(node, "hello").word == "pass"
    event = record(pipeline, "hello")
    assert words(event) == ["wall PASS", "dlp PASS"], words(event)
    assert [verdict.profile for verdict in event.verdicts] == ["first", "second"]
    assert all(verdict.instance and verdict.latency_us > 0 and verdict.rule and len(verdict.rule_set_sha256) == 32
               for verdict in event.verdicts)
    wait_until(lambda: plugins["watch"].saw("hello") == ["told"], 10, "the third to be told")
    print("two pass: ok")


# conformance: 37 72
def a_changed_stanza_is_delivered_and_both_texts_are_kept(pipeline, node, plugins):
    answer = say(node, "wall:change this")
    assert answer.word == "pass"
    message = answer.element[0][0]
    assert message.tag == CLIENT + "message" and message.findtext(CLIENT + "body") == "wall:changed this"
    event = record(pipeline, "wall:change this")
    assert event.final_text.plain == "wall:changed this"
    assert b"<xdb" in event.raw and b"wall:change this" in event.raw
    assert words(event) == ["wall PASS_CHANGED", "dlp PASS"]
    assert plugins["dlp"].saw("wall:changed this") == ["asked"]
    print("changed: ok")


# conformance: 36 68
def handle_ends_the_chain(pipeline, node, plugins):
    assert say(node, "wall:handle this").word == "handle"
    assert words(record(pipeline, "wall:handle this")) == ["wall HANDLE"]
    assert plugins["dlp"].saw("wall:handle this") == []
    assert say(node, "dlp:handle this").word == "handle"
    assert words(record(pipeline, "dlp:handle this")) == ["wall PASS", "dlp HANDLE"]
    print("handle: ok")


# conformance: 38 39
def errors_follow_the_handling(pipeline, node):
    answer = say(node, "wall:error this")
    assert answer.word == "error" and answer.element[0].text == "not between these two"
    assert words(record(pipeline, "wall:error this")) == ["wall ERROR"]
    invite = ("<message xmlns='jabber:client' id='i1' from='a@x/r' to='r@muc.x'><x xmlns='http://jabber.org/protocol/muc#user'>"
              "<invite to='b@x'/></x></message>")
    assert node.ask("onBeforeInvite", invite, room="r@muc.x", actor="a@x/r", target="b@x").word == "pass"
    print("errors: ok")


# conformance: 102
def invalid_and_second_answers_have_no_effect(pipeline, node):
    assert say(node, "wall:invalid this").word == "error"
    assert words(record(pipeline, "wall:invalid this")) == ["wall ERROR INVALID_REPLY"]
    assert say(node, "wall:twice this").word == "pass"
    event = record(pipeline, "wall:twice this")
    wait_until(lambda: outcomes(pipeline, event.id) == [Outcome.OUTCOME_POLICY_LATE], 10, "the second answer to be recorded")
    print("invalid: ok")


def outcomes(pipeline, event_id):
    return [event.verdict_outcome.outcome for event in pipeline.reader.drain()
            if event.HasField("verdict_outcome") and event.references.event_id == event_id]


# conformance: 11 50 56 102
def a_silent_policy_costs_its_time_and_a_late_answer_is_recorded(pipeline, node):
    begin_at = time.monotonic()
    assert say(node, f"wall:late:{DEADLINE_S} this").word == "error"
    took = time.monotonic() - begin_at
    assert DEADLINE_S - 1.2 < took < DEADLINE_S, took
    event = record(pipeline, f"wall:late:{DEADLINE_S} this")
    assert words(event) == ["wall ERROR TIMEOUT"]
    wait_until(lambda: outcomes(pipeline, event.id) == [Outcome.OUTCOME_POLICY_LATE], 20, "the late answer to be recorded")
    assert say(node, "after the silence").word == "pass"
    print(f"silent: {took:.2f} s: ok")


# conformance: 91
def a_policy_that_is_silent_again_and_again_costs_nothing_more(pipeline, node):
    asked = [node.compose("onBeforeSend", groupchat(f"wall:silence {i}"), room=f"s{i}@muc.x", actor="a@x/r") for i in range(3)]
    node.send("".join(xml for _, xml in asked))
    assert [node.wait_answer(request_id).word for request_id, _ in asked] == ["error"] * 3
    begin_at = time.monotonic()
    assert say(node, "while suspended").word == "error"
    assert time.monotonic() - begin_at < 1
    assert words(record(pipeline, "while suspended")) == ["wall ERROR SUSPENDED"]
    print("suspended: ok")


# conformance: 53 58 60
def a_killed_policy_is_waited_for(pipeline, node, plugins):
    plugins["wall"].kill()
    request_id, xml = node.compose("onBeforeSend", groupchat("while it was away"), room="r@muc.x", actor="a@x/r")
    node.send(xml)
    time.sleep(0.3)  # it is asked of nobody now; the answer must not come before the plugin is back
    assert request_id not in node.answers
    plugins["wall"].start()
    assert node.wait_answer(request_id).word == "pass"
    assert words(record(pipeline, "while it was away")) == ["wall PASS", "dlp PASS"]
    print("killed and restarted: ok")


# conformance: 55 56 57 59 70
def a_policy_that_stays_away_stops_messages_only(pipeline, node, plugins):
    plugins["wall"].kill()
    begin_at = time.monotonic()
    assert say(node, "nobody decides").word == "error"
    assert OUTAGE_WAIT_S - 0.2 < time.monotonic() - begin_at < DEADLINE_S
    assert words(record(pipeline, "nobody decides")) == ["wall ERROR ABSENT"]
    assert plugins["dlp"].saw("nobody decides") == []
    assert node.ask("e_SESSION", actor="c@x/r").word == "pass"
    presence = "<presence xmlns='jabber:client' from='c@x/r'/>"
    assert node.ask("es_OUT", presence, actor="c@x/r", ptype="presence").word == "pass"
    begin_at = time.monotonic()
    assert node.ask("onLeave", room="other@muc.x", actor="c@x/r").word == "pass"
    assert time.monotonic() - begin_at < 1
    logins = [event for event in pipeline.reader.drain() if event.HasField("login")]
    assert words(logins[-1]) == ["wall ERROR ABSENT", " PASS"] and "never blocked" in logins[-1].verdicts[1].reason
    plugins["wall"].start()
    assert say(node, "again").word == "pass"
    print("away: ok")


# conformance: 95 96
def a_collector_killed_between_persist_and_reply_answers_alike(pipeline, node):
    pipeline.collector.terminate()
    pipeline.collector.start(environment={"VERBATIM_FAULT_POINT": "collector.durable_before_answer"})
    node.connect()
    request_id, xml = node.compose("es_OUT", chat("wall:change once", "a@x/r", "b@x"), actor="a@x/r", ptype="message")
    node.send(xml)
    pipeline.collector.wait()
    assert request_id not in node.answers
    pipeline.collector.start()
    node.connect()
    node.send(xml)
    answers = [node.wait_answer(request_id)]
    node.send(xml)
    answers.append(node.wait_answer(request_id))
    for answer in answers:
        assert answer.element[0][0].findtext(CLIENT + "body") == "wall:changed once"
    assert record(pipeline, "wall:change once").final_text.plain == "wall:changed once"
    print("killed between persist and reply: ok")


# conformance: 94
def a_graceful_stop_answers_what_policies_were_asked(pipeline, node):
    asked = [node.compose("onBeforeSend", groupchat(f"last {i}"), room=f"l{i % 5}@muc.x", actor="a@x/r") for i in range(50)]
    asked.append(node.compose("onBeforeSend", groupchat("wall:late:1 last"), room="l9@muc.x", actor="a@x/r"))
    node.send("".join(xml for _, xml in asked))
    node.wait_answer(asked[0][0])
    pipeline.collector.process.terminate()
    assert node.wait_closed(20) == ""
    answers = [node.answers[request_id].word for request_id, _ in asked[1:] if request_id in node.answers]
    assert answers and set(answers) == {"pass"}, answers
    assert pipeline.collector.wait(20) == 0
    stored = sum("last" in event.original_text.plain for event in pipeline.reader.drain())
    assert stored == len(answers) + 1, (stored, len(answers))
    print(f"graceful stop: {len(answers) + 1} answered: ok")


def main():
    plugins = {}
    with policy_pipeline() as pipeline:
        try:
            begin(pipeline)
            for name in ("wall", "dlp", "watch"):
                plugins[name] = Plugin(pipeline, name).start()
            with connected(pipeline) as node:
                two_policies_pass_and_a_third_is_told(pipeline, node, plugins)
                a_changed_stanza_is_delivered_and_both_texts_are_kept(pipeline, node, plugins)
                handle_ends_the_chain(pipeline, node, plugins)
                errors_follow_the_handling(pipeline, node)
                invalid_and_second_answers_have_no_effect(pipeline, node)
                a_silent_policy_costs_its_time_and_a_late_answer_is_recorded(pipeline, node)
                a_policy_that_is_silent_again_and_again_costs_nothing_more(pipeline, node)
                a_killed_policy_is_waited_for(pipeline, node, plugins)
                a_policy_that_stays_away_stops_messages_only(pipeline, node, plugins)
            for plugin in plugins.values():
                plugin.kill()
            with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
                restarting = [Plugin(pipeline, name, "--retry") for name in ("wall", "dlp")]
                for plugin in restarting:
                    plugins[plugin.name] = plugin.start()
                a_collector_killed_between_persist_and_reply_answers_alike(pipeline, node)
                a_graceful_stop_answers_what_policies_were_asked(pipeline, node)
            pipeline.stop()
        finally:
            for plugin in plugins.values():
                plugin.kill()


main()
