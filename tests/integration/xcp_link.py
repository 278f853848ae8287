"""The xcp link of a real collector over a real queue: handshakes, PASS only when durable, repeats across kill -9, order,
gaps, the graceful end."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from verbatim_harness import Pipeline, free_port, wait_until  # noqa: E402
from queue_reader import QueueReader  # noqa: E402
from xcp_node import XcpNode, chat, groupchat  # noqa: E402
from verbatim.v1 import admin_pb2, event_pb2  # noqa: E402

ROOM = dict(room="r@muc.x", actor="a@x/phone", actor_nick="Ann")
COMPONENT, SECRET = "op-verbatim.test", "test-secret"
DEADLINE_S = 2


def xcp_pipeline(name, **settings):
    port = free_port()
    link = {"name": "chat", "listen": f"127.0.0.1:{port}", "component": COMPONENT, "secret": SECRET, **settings}
    pipeline = Pipeline(name, adapters=(), config={"queue": {"segment_bytes": 64 << 20}, "collector": {"event_deadline_ms": DEADLINE_S * 1000, "xcp": [link]}})
    pipeline.services = [pipeline.queue, pipeline.collector]
    pipeline.xcp_port = port
    pipeline.reader = QueueReader(f"tcp://127.0.0.1:{pipeline.ports['queue']}")
    return pipeline


def queued_events(pipeline):
    """All durable events so far, oldest first."""
    return pipeline.reader.drain()


def posts(pipeline):
    return [event.original_text.plain for event in queued_events(pipeline) if event.HasField("message_posted")]


def gaps(pipeline):
    return [event.capture_gap for event in queued_events(pipeline) if event.HasField("capture_gap")]


def source_info(pipeline):
    listed = pipeline.collector_admin().ListSources(admin_pb2.ListSourcesRequest(), timeout=10)
    return next(source for source in listed.sources if source.name == "chat")


# conformance: 1 4 5 6
def handshakes(pipeline):
    for ns, attributes in (("jabber:component:connect", f"from='{COMPONENT}'"),
                           ("jabber:component:accept", f"to='{COMPONENT}'"),
                           ("jabber:component:accept", f"to='{COMPONENT}' id='op-verbatim' version='1.0'"),
                           ("jabber:client", f"to='{COMPONENT}' xml:lang='en-US' version='1.0' extra='1'")):
        with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
            node.connect(ns, attributes)
            assert source_info_is(pipeline, "ACTIVE"), ns
            assert node.ask("onBeforeSend", groupchat("hello"), **ROOM).word == "pass", ns
            node.send("</stream:stream>")
            assert node.wait_closed() == ""
    with XcpNode(pipeline.xcp_port, COMPONENT, "wrong") as node:
        node.dial()
        node.send(node.header())
        node._read_until(lambda: node.stream_id, 10)
        assert len(node.stream_id) == 32
        node.send(f"<handshake>{node.digest()}</handshake>")
        assert node.wait_closed() == "not-authorized"
    with XcpNode(pipeline.xcp_port, "someone.else", SECRET) as node:
        node.dial()
        node.send(node.header())
        assert node.wait_closed() == "host-unknown"
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
        node.dial()
        node.send(node.header("jabber:server"))
        assert node.wait_closed() == "invalid-namespace"
    print("handshakes: ok")


def source_info_is(pipeline, state):
    wanted = admin_pb2.SourceInfo.LinkState.Value("LINK_STATE_" + state)
    return wait_until(lambda: source_info(pipeline).state == wanted, 10, f"the link to be {state}")


def a_newer_link_ends_the_older(pipeline):
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as old, XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as new:
        old.connect()
        new.connect()
        assert old.wait_closed() == "conflict"
        assert new.ask("onBeforeSend", groupchat("x"), **ROOM).word == "pass"
    print("conflict: ok")


# conformance: 43 59 93
def pass_only_when_durable(pipeline):
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
        node.connect()
        assert node.ask("onBeforeSend", groupchat("durable"), **ROOM).word == "pass"
        assert "durable" in posts(pipeline)
        pipeline.queue.kill()
        begin = time.monotonic()
        answer = node.ask("onBeforeSend", groupchat("lost"), **ROOM)
        took = answer.at - begin
        assert answer.word == "error", answer
        assert took <= DEADLINE_S + 1, took
        pipeline.queue.start()
        wait_until(lambda: node.ask("onBeforeSend", groupchat("again"), **ROOM).word == "pass", 20, "PASS again")
    print(f"error without queue after {took:.2f} s: ok")


# conformance: 95 96
def a_resent_request_is_stored_once_across_kill(pipeline):
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
        node.connect()
        # Killed after the event is durable and before the answer leaves.
        pipeline.collector.terminate()
        pipeline.collector.start(environment={"VERBATIM_FAULT_POINT": "collector.durable_before_answer"})
        node.connect()
        request_id, xml = node.compose("onBeforeSend", groupchat("once"), **ROOM)
        node.send(xml)
        pipeline.collector.wait()
        assert request_id not in node.answers
        pipeline.collector.start()
        node.connect()
        node.send(xml)
        assert node.wait_answer(request_id).word == "pass"
        node.send(xml)  # and once more, on the same link
        assert node.wait_answer(request_id).word == "pass"
        assert posts(pipeline).count("once") == 1
        assert source_info(pipeline).repeat_count >= 2
    print("re-sent across kill -9: ok")


def answers_keep_the_order_of_a_room(pipeline):
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
        node.connect()
        composed = [node.compose("onBeforeSend", groupchat(f"order {i}"), **{**ROOM, "room": f"o{i % 3}@muc.x"})
                    for i in range(90)]
        node.answer_order.clear()
        node.send("".join(xml for _, xml in composed))
        for request_id, _ in composed:
            assert node.wait_answer(request_id).word == "pass"
        for room in range(3):
            ids = [request_id for i, (request_id, _) in enumerate(composed) if i % 3 == room]
            assert [done for done in node.answer_order if done in ids] == ids
        said = [text for text in posts(pipeline) if text.startswith("order")]
        for room in range(3):
            numbers = [int(text.split()[1]) for text in said if int(text.split()[1]) % 3 == room]
            assert numbers == sorted(numbers) and len(numbers) == 30, numbers
    print("order: ok")


# conformance: 47 101
def reply_classes_and_the_undecodable(pipeline):
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
        node.connect()
        silent, xml = node.compose("onServiceReconfig", kind="set")
        node.send(xml)
        assert node.ask("onLeave", **ROOM).word == "pass"
        assert node.ask("es_OUT", chat("hi", "a@x/r", "b@x"), actor="a@x/r", ptype="message").word == "pass"
        assert node.ask("onSomethingNew", groupchat("x"), **ROOM).word == "pass"
        assert silent not in node.answers
        wait_until(lambda: any(event.source.raw_event == "onServiceReconfig" for event in queued_events(pipeline)), 10,
                   "the notification to be stored")
        undecodable = [event for event in queued_events(pipeline) if event.other.name == "undecodable"]
        assert len(undecodable) == 1 and b"onSomethingNew" in undecodable[0].raw
    print("reply classes, undecodable: ok")


# conformance: 98
def gaps_are_recorded(pipeline):
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
        before = len([gap for gap in gaps(pipeline) if gap.reason == event_pb2.CaptureGap.REASON_LINK_DOWN])
        node.connect()
        assert node.ask("onLeave", **ROOM).word == "pass"
        wait_until(lambda: len([gap for gap in gaps(pipeline) if gap.reason == event_pb2.CaptureGap.REASON_LINK_DOWN])
                   == before + 1, 10, "one gap for one outage")
        node.sequence += 5
        assert node.ask("onLeave", **ROOM).word == "pass"

        def source_gap():
            return [gap for gap in gaps(pipeline) if gap.reason == event_pb2.CaptureGap.REASON_SOURCE_GAP
                    and gap.missing_count == 5 and gap.node == "test"]

        wait_until(source_gap, 20, "the jump in the numbering to be recorded")
    print("gaps: ok")


def a_snapshot_becomes_joins_and_leaves(pipeline):
    ns = "xmlns='urn:x-verbatim:xcp-event:1'"
    people = "".join(f"<occupant jid='p{i}@x/r' nick='P{i}' role='participant' affiliation='none'/>" for i in range(3))
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
        node.connect()
        assert node.ask("x-snapshot", f"<room {ns} jid='s@muc.x' name='S'>{people}</room>").word == "pass"
        assert node.ask("x-snapshot", f"<end {ns} rooms='1' sessions='0'/>").word == "pass"

        def in_s(field):
            return [event for event in queued_events(pipeline)
                    if event.conversation.address == "s@muc.x" and event.HasField(field)]

        joined = wait_until(lambda: in_s("joined"), 10, "synthetic joins")
        assert len(joined) == 3 and all(event.joined.synthetic.reason == "snapshot" for event in joined)
        assert node.ask("x-snapshot", f"<end {ns} rooms='0' sessions='0'/>").word == "pass"
        node.drop()
        node.connect()
        assert node.ask("x-snapshot", f"<end {ns} rooms='0' sessions='0'/>").word == "pass"
        wait_until(lambda: len(in_s("left")) == 3, 10, "synthetic leaves")
    print("snapshot: ok")


# conformance: 94
def a_graceful_end_answers_what_is_in_flight(pipeline):
    with XcpNode(pipeline.xcp_port, COMPONENT, SECRET) as node:
        node.connect()
        composed = [node.compose("onBeforeSend", groupchat(f"last {i}"), **ROOM) for i in range(200)]
        node.send("".join(xml for _, xml in composed))
        # The first answer proves that they are being worked on.
        node.wait_answer(composed[0][0])
        pipeline.collector.process.terminate()
        assert node.wait_closed(20) == ""
        answered = 1 + sum(request_id in node.answers for request_id, _ in composed)
        assert all(answer.word == "pass" for answer in node.answers.values())
        assert pipeline.collector.wait(20) == 0
        stored = sum(text.startswith("last") for text in posts(pipeline))
        # Whatever was taken was answered; nothing was stored without an answer.
        assert stored == answered, (stored, answered)
    print(f"graceful end: {answered} answered: ok")


def main():
    with xcp_pipeline("xcp_link") as pipeline:
        pipeline.start()
        handshakes(pipeline)
        a_newer_link_ends_the_older(pipeline)
        pass_only_when_durable(pipeline)
        a_resent_request_is_stored_once_across_kill(pipeline)
        answers_keep_the_order_of_a_room(pipeline)
        reply_classes_and_the_undecodable(pipeline)
        gaps_are_recorded(pipeline)
        a_snapshot_becomes_joins_and_leaves(pipeline)
        a_graceful_end_answers_what_is_in_flight(pipeline)
        pipeline.stop()


main()
