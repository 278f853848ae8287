"""A compliance server that speaks the component link itself: the collector dials it as a node would, with a plugin behind it in the
chain."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from verbatim_harness import Pipeline, free_port, wait_until  # noqa: E402
from compliance_state import assign, component_of  # noqa: E402
from queue_reader import QueueReader  # noqa: E402
from verdict_giver import VerdictGiver  # noqa: E402
from xcp_node import XcpNode, chat  # noqa: E402
from verbatim.v1 import collector_state_pb2, event_pb2  # noqa: E402

COMPONENT, SECRET, THEIR_SECRET = "op-verbatim.test", "test-secret", "their-secret"


def decide(asked):
    text = asked.body() or ""
    if text.startswith("change"):
        return chat(text.replace("change", "changed", 1), "a@x/r", "b@x", asked.stanza.get("id"))
    return text.split(" ")[0] if text.split(" ")[0] in ("handle", "error") else "pass"


def say(node, text):
    return node.ask("es_OUT", chat(text, "a@x/r", "b@x", f"m{node.sequence}"), actor="a@x/r", ptype="message")


def words(pipeline, text):
    def found():
        return [event for event in pipeline.reader.drain() if event.original_text.plain == text]

    event = wait_until(found, 10, f"a record of {text!r}")[0]
    return [f"{verdict.policy} {event_pb2.Decision.Name(verdict.decision).removeprefix('DECISION_')}" for verdict in event.verdicts]


def main():
    port, their_port = free_port(), free_port()
    link = {"name": "chat", "listen": f"127.0.0.1:{port}", "component": COMPONENT, "secret": SECRET}
    policies = {"put_reserve_ms": 1000, "outage_wait_ms": 8000, "heartbeat_ms": 500}
    with Pipeline("legacy_server", adapters=(), config={"collector": {"event_deadline_ms": 10_000, "xcp": [link],
                                                                       "policies": policies}}) as pipeline:
        pipeline.services = [pipeline.queue, pipeline.collector]
        pipeline.reader = QueueReader(f"tcp://127.0.0.1:{pipeline.ports['queue']}")
        secret_file = os.path.join(pipeline.dir, "their-secret")
        with open(os.open(secret_file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(THEIR_SECRET + "\n")
        pipeline.start()
        pipeline.collector.terminate()
        legacy = collector_state_pb2.ComplianceServer(name="legacy", kind=collector_state_pb2.ComplianceServer.KIND_LINK,
                                                      host="127.0.0.1", port=their_port, secret_file=secret_file)
        assign(pipeline, [("first", legacy, [("es_OUT", "message")])])
        pipeline.collector.start()
        with XcpNode(port, COMPONENT, SECRET) as node:
            node.connect()
            with VerdictGiver(their_port, component_of("legacy"), "wrong") as giver:
                wait_until(lambda: giver.digest_errors > 0, 20, "the wrong secret to be refused")
            with VerdictGiver(their_port, component_of("legacy"), THEIR_SECRET, decide) as giver:
                # conformance: 35 58
                assert say(node, "hello").word == "pass"
                assert words(pipeline, "hello") == ["legacy PASS"]
                assert giver.asked[0].attributes["actor"] == "a@x/r" and giver.asked[0].body() == "hello"
                # conformance: 36 37 38
                answer = say(node, "change it")
                assert answer.element[0][0].findtext("{jabber:client}body") == "changed it"
                assert words(pipeline, "change it") == ["legacy PASS_CHANGED"]
                assert say(node, "handle it").word == "handle"
                answer = say(node, "error it")
                assert answer.word == "error" and answer.element[0].text == "not durable", answer.element[0].text
            # conformance: 53 60
            request_id, xml = node.compose("es_OUT", chat("while away", "a@x/r", "b@x"), actor="a@x/r", ptype="message")
            node.send(xml)
            with VerdictGiver(their_port, component_of("legacy"), THEIR_SECRET, decide):
                assert node.wait_answer(request_id).word == "pass"
                pipeline.stop()
    print("a server on the component link: ok")


main()
