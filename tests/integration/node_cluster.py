"""A simulated IM and Presence cluster (tests/support/simulated_cluster.py) over a real collector and queue: link states,
outages by the guide's timers, re-sent requests, a node that dies, fire and forget, attempts that never come true.

What is judged is ours: what stands in the queue, what ListSources says, and how long an answer took.
"""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from verbatim_harness import Pipeline, free_port, wait_until  # noqa: E402
from queue_reader import QueueReader  # noqa: E402
from simulated_cluster import Assignment, Cluster, Profile, Timers  # noqa: E402
from xcp_node import XcpNode, chat, groupchat  # noqa: E402
from verbatim.v1 import admin_pb2, event_pb2  # noqa: E402

SECRET = "test-secret"
DEADLINE_S = 2
UNCONFIRMED_S = 2
COMPONENTS = {"imp1": "op-verbatim.imp1", "imp2": "op-verbatim.imp2"}
Gap, Outcome = event_pb2.CaptureGap, event_pb2.VerdictOutcome

# All that the guide's default profile has, and what confirms it.
DEFAULT = Profile("SystemDefaultComplianceProfile", {
    ("e_SESSION", ""): "pass", ("es_END", ""): "pass", ("es_IN", "message"): "bounce", ("es_OUT", "message"): "bounce",
    ("onBeforeInvite", ""): "bounce", ("onBeforeJoin", ""): "bounce", ("onBeforeRoomCreate", ""): "bounce",
    ("onBeforeSend", ""): "bounce", ("onBeforeBroadcast", ""): "bounce", ("onLeave", ""): "bounce"})


class Stage:
    """Queue and collector with one source for each node."""

    def __init__(self, pipeline, ports):
        self.pipeline, self.ports = pipeline, ports
        self.reader = QueueReader(f"tcp://127.0.0.1:{pipeline.ports['queue']}")

    def events(self, kind=None):
        return [event for event in self.reader.drain() if kind is None or event.HasField(kind)]

    def texts(self, raw_event=None):
        return [event.original_text.plain for event in self.events("message_posted")
                if raw_event is None or event.source.raw_event == raw_event]

    def named(self, *texts):
        """The event of each of these texts."""
        return {event.original_text.plain: event for event in self.events() if event.original_text.plain in texts}

    def gaps(self, reason, source=None):
        return [event.capture_gap for event in self.events("capture_gap")
                if event.capture_gap.reason == reason and source in (None, event.source.name)]

    def source(self, name="imp1"):
        listed = self.pipeline.collector_admin().ListSources(admin_pb2.ListSourcesRequest(), timeout=10)
        return next(source for source in listed.sources if source.name == name)

    def wait_source(self, state, name="imp1"):
        wanted = admin_pb2.SourceInfo.LinkState.Value("LINK_STATE_" + state)
        return wait_until(lambda: self.source(name).state == wanted and self.source(name), 20, f"{name} to be {state}")

    def assignment(self, name="imp1", profile=DEFAULT, secret=SECRET):
        return Assignment(profile, self.ports[name], COMPONENTS[name], secret)


def post(node, text, room="r@muc.x", name="onBeforeSend"):
    return node.fire(name, groupchat(text, message_id=text), room=room, actor="a@x/phone", actor_nick="Ann")


def say(node, text, sender="a@x/phone", recipient="b@x"):
    return node.fire("es_OUT", chat(text, sender, recipient, text), ptype="message", actor=sender,
                     conversation=" ".join(sorted((sender.split("/")[0], recipient))))


# --- the link

# conformance: 3 7 90
def a_connection_without_a_handshake_is_connected_and_never_active(stage):
    """And it is plain TCP: what we send first has nothing of TLS in it."""
    with socket.create_connection(("127.0.0.1", stage.ports["imp1"]), 10) as peer:
        stage.wait_source("CONNECTED")
        node = XcpNode(stage.ports["imp1"], COMPONENTS["imp1"], SECRET)
        peer.sendall(node.header().encode())
        said = peer.recv(4096).decode()
        assert "<stream:stream" in said and "tls" not in said.lower(), said
        time.sleep(0.3)
        assert stage.source().state == admin_pb2.SourceInfo.LINK_STATE_CONNECTED
    stage.wait_source("GONE")
    print("connected without a handshake: ok")


# conformance: 5 6 12 90
def a_wrong_secret_or_name_never_becomes_active_and_is_named(stage):
    for component, secret, said in ((COMPONENTS["imp1"], "another", "digest"), ("op-nobody", SECRET, "")):
        with XcpNode(stage.ports["imp1"], component, secret) as node:
            node.dial()
            node.send(node.header())
            if component == COMPONENTS["imp1"]:
                node._read_until(lambda: node.stream_id, 10)
                node.send(f"<handshake>{node.digest()}</handshake>")
            assert node.wait_closed() == ("not-authorized" if said else "host-unknown")
        info = stage.wait_source("GONE")
        assert said in info.reason, info.reason
    assert not stage.texts()
    print("wrong secret, wrong name: ok")


# conformance: 1 4 8 35 43 90
def a_right_one_becomes_active_whatever_the_source_is_called(stage, cluster):
    node = cluster.add_node("imp1", [stage.assignment()])
    node.wait_state("ACTIVE")
    stage.wait_source("ACTIVE")
    event = post(node, "first")
    assert event.wait() == "delivered"
    assert "first" in stage.texts(), "PASS before the disk"
    assert b"imp1" not in node.links[0]._xcp.header().encode().replace(COMPONENTS["imp1"].encode(), b"")
    return node


# --- outages

# conformance: 58 95 96
def what_a_node_queues_while_we_are_dead_is_taken_once(stage, node):
    """Killed with requests in flight; the node queues, and all of it is younger than 30 s when we are back."""
    stage.pipeline.collector.kill()
    events = [post(node, f"queued {i}", room=f"q{i % 3}@muc.x") for i in range(30)]
    direct = [say(node, f"queued direct {i}") for i in range(5)]
    stage.pipeline.collector.start()
    for event in events + direct:
        assert event.wait() == "delivered" and event.send_count >= 1
    assert sorted(text for text in stage.texts() if text.startswith("queued")) == sorted(
        [f"queued {i}" for i in range(30)] + [f"queued direct {i}" for i in range(5)])
    assert stage.gaps(Gap.REASON_COLLECTOR_DOWN, "imp1")
    print("queued by the node during a kill: ok")


# conformance: 96
def the_same_request_again_is_one_record(stage, node):
    """The link breaks between request and answer: the node sends the same bytes on its new stream."""
    stage.pipeline.queue.pause()
    events = [post(node, f"again {i}") for i in range(10)]
    wait_until(lambda: all(event.send_count for event in events), 10, "the requests to be sent")
    node.links[0].cut()
    node.wait_state("GONE")
    stage.pipeline.queue.resume()
    node.links[0].mend()
    for event in events:
        assert event.wait() == "delivered" and event.send_count == 2, event.send_count
    assert [text for text in stage.texts() if text.startswith("again")] == [f"again {i}" for i in range(10)]
    print("the same request again: ok")


# conformance: 51 94 98
def after_an_end_in_order_logins_go_on_and_the_gap_is_written_down(stage, node):
    before = len(stage.gaps(Gap.REASON_LINK_DOWN, "imp1"))
    stage.pipeline.collector.terminate()
    node.wait_state("GONE")
    assert node.links[0].outage[0] == "graceful", "the stream was not closed in order"
    login = node.fire("e_SESSION", actor="late@x/r")
    message = post(node, "while nobody listens")
    assert (login.wait(), message.wait()) == ("processed", "bounced")
    stage.pipeline.collector.start()
    node.wait_state("ACTIVE")
    assert post(node, "and after").wait() == "delivered"

    def gap():
        found = stage.gaps(Gap.REASON_LINK_DOWN, "imp1")
        return found[-1] if len(found) > before else None

    seen = wait_until(gap, 20, "the lost link to be written down")
    assert 0 < seen.start_unix_ns <= time.time_ns() and seen.end_unix_ns >= seen.start_unix_ns
    assert "while nobody listens" not in stage.texts()
    assert not [event for event in stage.events("login") if event.actor.normalised == "late@x"]
    print("end in order: ok")


# conformance: 55 56 60 98
def after_a_long_cut_of_the_network_the_node_is_served_at_once(stage, node):
    """Longer than the 5 minutes: the node has dropped all that it had queued. We lived; their numbers never come."""
    missing = sum(gap.missing_count for gap in stage.gaps(Gap.REASON_SOURCE_GAP, "imp1"))
    downs = len(stage.gaps(Gap.REASON_LINK_DOWN, "imp1"))
    began_ns = time.time_ns()
    node.links[0].cut()
    node.wait_state("GONE")
    assert node.links[0].outage[0] == "sudden"
    stage.wait_source("GONE")
    login, message = node.fire("e_SESSION", actor="slow@x/r"), post(node, "too old")
    assert login.wait() == "processed" and message.wait() == "bounced"
    time.sleep(max(0.0, node.links[0].outage[1] + node.timers.outage_s - time.monotonic() + 0.1))
    late = post(node, "at once")
    assert late.wait() == "bounced" and late.seconds < node.timers.event_s / 2, late.seconds
    node.links[0].mend()
    node.wait_state("ACTIVE")
    assert post(node, "served again").wait() == "delivered"
    assert not {"too old", "at once"} & set(stage.texts())
    down = wait_until(lambda: stage.gaps(Gap.REASON_LINK_DOWN, "imp1")[downs:], 20, "the lost link to be written down")
    assert len(down) == 1 and began_ns <= down[0].start_unix_ns and down[0].end_unix_ns - down[0].start_unix_ns > 10e9, down

    def lost():
        found = stage.gaps(Gap.REASON_SOURCE_GAP, "imp1")
        return sum(gap.missing_count for gap in found) - missing == 3 and found

    gap = wait_until(lost, 30, "the three numbers that never came to be written down")[-1]
    assert gap.node == "imp1" and gap.start_unix_ns and gap.end_unix_ns >= gap.start_unix_ns
    print("long cut: ok")


# conformance: 59 93
def without_the_queue_nothing_passes_and_the_error_comes_by_our_deadline(stage, node):
    stage.pipeline.queue.pause()
    event = say(node, "no disk")
    assert event.wait() == "bounced"
    assert DEADLINE_S * 0.5 < event.seconds < DEADLINE_S + 1, event.seconds
    stage.pipeline.queue.resume()
    wait_until(lambda: post(node, "disk again").wait() == "delivered", 20, "PASS again")
    print(f"no disk: an error after {event.seconds:.2f} s: ok")


# conformance: 85
def when_a_node_is_gone_its_people_are_served_through_another(stage, cluster, node):
    """imp2 asks on its own link; when its router dies, what happens there comes in on imp1's, in order and once."""
    other = cluster.add_node("imp2", [stage.assignment("imp2", node.links[0].assignment.profile)])
    other.wait_state("ACTIVE")
    stage.wait_source("ACTIVE", "imp2")
    texts = []
    for number in range(20):
        if number == 10:
            other.fail()
            stage.wait_source("GONE", "imp2")
        texts.append(f"relocated {number}")
        event = post(other if number < 10 else node, texts[-1], room="moved@muc.x")
        assert event.wait() == "delivered"
    assert [text for text in stage.texts() if text.startswith("relocated")] == texts
    assert stage.source("imp2").state == admin_pb2.SourceInfo.LINK_STATE_GONE
    back = XcpNode(stage.ports["imp2"], COMPONENTS["imp2"], SECRET, "imp2")
    with back:
        back.connect()
        wait_until(lambda: stage.gaps(Gap.REASON_LINK_DOWN, "imp2"), 20, "the lost link of imp2 to be written down")
    print("a node dies: ok")


# conformance: 82
def people_who_move_while_the_links_stay_change_nothing(stage, node):
    """A fail-over that is not the router's: the same links, other sessions."""
    gaps = len(stage.events("capture_gap"))
    assert node.fire("es_END", actor="mover@x/imp1").wait() == "delivered"
    assert node.fire("e_SESSION", actor="mover@x/imp2").wait() == "delivered"
    assert say(node, "moved over", "mover@x/imp2").wait() == "delivered"
    assert "moved over" in stage.texts() and len(stage.events("capture_gap")) == gaps
    print("sessions move: ok")


# --- what we are told, and what comes of it

# conformance: 40 41 42 47
def fire_and_forget_is_archived_and_never_answered(stage, cluster):
    """With bounce the node drops it then: the archive says so, and nothing that anybody was shown it. A node that asks all
    the same is told to drop it."""
    profile = Profile("Forget", {("onBeforeSend", ""): "forget-bounce", ("es_OUT", "message"): "forget-bounce",
                                 ("onBeforeSubject", ""): "forget-pass", ("onServiceReconfig", ""): "forget-pass"})
    for change in (("servers", "add", "logger", "--plugin"),
                   ("profiles", "create", "Forget", "--event", "onBeforeSend:bounce:fire-and-forget", "--event",
                    "es_OUT:message:bounce:fire-and-forget", "--event", "onBeforeSubject:pass:fire-and-forget"),
                   ("assignments", "add", "logger", "Forget")):
        assert stage.pipeline.verbatimctl(*change, "--reason", "a test").returncode == 0, change
    node = cluster.add_node("imp2", [stage.assignment("imp2", profile)])
    node.wait_state("ACTIVE")
    link = node.links[0]
    # Through this node's own profile: the cluster would ask imp1's first.
    for name, stanza, attributes in (
            ("onBeforeSend", groupchat("dropped", "f1"), {"room": "f@muc.x", "actor": "a@x/r"}),
            ("es_OUT", chat("dropped too", "a@x/r", "b@x", "f2"), {"ptype": "message", "actor": "a@x/r"}),
            ("onBeforeSubject", "<message xmlns='jabber:client' type='groupchat'><subject>passed</subject></message>",
             {"room": "f@muc.x", "actor": "a@x/r"}),
            ("onServiceReconfig", "", {})):
        link.send(name, stanza, kind="set", **attributes)
    told = wait_until(lambda: len(stage.named("dropped", "dropped too", "passed")) == 3
                      and stage.named("dropped", "dropped too", "passed"), 20, "all to be archived")
    assert [[verdict.decision for verdict in told[text].verdicts] for text in ("dropped", "dropped too", "passed")] == [
        [event_pb2.DECISION_HANDLE], [event_pb2.DECISION_HANDLE], []], told
    assert "fire-and-forget" in told["dropped too"].verdicts[0].reason, told["dropped too"].verdicts
    assert told["dropped"].phase == event_pb2.PHASE_NOTICE, told["dropped"].phase
    assert not link.extra_answers and not link.open, link.extra_answers
    node.fail()
    with XcpNode(stage.ports["imp2"], COMPONENTS["imp2"], SECRET, "imp2") as asking:
        asking.connect()
        answer = asking.ask("onBeforeSend", groupchat("asked", "f3"), room="f@muc.x", actor="a@x/r")
        assert answer.word == "handle", answer
        assert stage.pipeline.verbatimctl("assignments", "remove", "logger", "Forget", "--reason", "a test").returncode == 0
        answer = asking.ask("onBeforeSend", groupchat("allowed", "f4"), room="f@muc.x", actor="a@x/r")
        assert answer.word == "pass", answer
    # What was thrown away waits for no confirmation.
    outlast_attempt(stage, "allowed")
    assert not outcomes_of(stage, told["dropped"])
    print("fire and forget: ok")


def outcomes_of(stage, attempt):
    return [event for event in stage.events("verdict_outcome") if event.references.event_id == attempt.id]


def outlast_attempt(stage, text):
    """Outcomes come in the order of their attempts: once this one's is there, the time of all earlier ones is over."""
    attempt = stage.named(text)[text]
    wait_until(lambda: outcomes_of(stage, attempt), 20, f"an outcome for {text}")


# conformance: 100
def an_attempt_that_the_node_never_confirms_is_unconfirmed(stage, node):
    confirmed, refused, killed = post(node, "shown"), post(node, "never shown"), post(node, "never shown either")
    for event in (confirmed, refused, killed):
        assert event.wait() == "delivered"
    broadcast = post(node, "shown", name="onBeforeBroadcast")
    assert broadcast.wait() == "delivered"
    attempts = {event.original_text.plain: event for event in stage.events("message_posted")
                if event.source.raw_event == "onBeforeSend"}
    wait_until(lambda: are_saved(stage, attempts), 20, "the collector to save the two that wait")
    stage.pipeline.collector.kill()
    stage.pipeline.collector.start()
    for text in ("never shown", "never shown either"):
        found = wait_until(lambda: outcomes_of(stage, attempts[text]), 20, f"an outcome for {text}")
        assert [event.verdict_outcome.outcome for event in found] == [Outcome.OUTCOME_UNCONFIRMED], found
        assert found[0].conversation.key == "r@muc.x" and "onBeforeBroadcast" in found[0].verdict_outcome.detail
    assert not outcomes_of(stage, attempts["shown"])
    # An outcome is no attempt: after the time once more there are no others.
    node.wait_state("ACTIVE")
    assert post(node, "one more").wait() == "delivered"
    outlast_attempt(stage, "one more")
    outcomes = stage.events("verdict_outcome")
    assert not {event.references.event_id for event in outcomes} & {event.id for event in outcomes}, outcomes
    for text in ("never shown", "never shown either"):
        assert len(outcomes_of(stage, attempts[text])) == 1, text
    print("unconfirmed: ok")


def are_saved(stage, attempts):
    path = os.path.join(stage.pipeline.dir, "collector", "attempts")
    if not os.path.exists(path):
        return False
    with open(path, "rb") as file:
        saved = file.read()
    waiting = {text for text, event in attempts.items() if event.id.encode() in saved}
    return {"never shown", "never shown either"} <= waiting and "shown" not in waiting


# conformance: 49
def delivery_and_receipt_in_either_order_are_one_post(stage, node):
    for text, names in (("order one", ("es_IN", "e_DELIVER")), ("order two", ("e_DELIVER", "es_IN"))):
        assert say(node, text).wait() == "delivered"
        for name in names:
            capture = node.links[0].send(name, chat(text, "a@x/phone", "b@x/r", text), ptype="message", actor="a@x/phone",
                                         target="b@x/r")
            assert capture.wait() == "delivered"
        captures = [event for event in stage.events() if event.references.message_id == text]
        records = [event.source.raw_event for event in captures if event.role == event_pb2.ROLE_RECORD]
        assert records == ["es_OUT"], [(e.source.raw_event, e.role) for e in captures]
        assert len({event.post_key for event in captures}) == 1
    print("either order: ok")


# conformance: 102
def ten_thousand_open_requests_in_cut_segments_are_answered_once_each(stage):
    """And an answer of ours to nobody, a stray stanza and a reply that nobody asked for do no harm."""
    count = 10_000
    with XcpNode(stage.ports["imp2"], COMPONENTS["imp2"], SECRET, "imp2") as node:
        node.connect()
        node.send(f"<xdb id='nobody' type='result' from='jsm-1.imp2' to='{COMPONENTS['imp2']}' ns='x'/>")
        node.send("<route type='component-presence' from='jsm-1.imp2' to='x'><presence/></route>")
        composed = [node.compose("onBeforeSend", groupchat(f"m{i}", f"m{i}"), room=f"t{i % 7}@muc.x", actor="a@x/r") for i in range(count)]
        stream = "".join(xml for _, xml in composed).encode()
        for begin in range(0, len(stream), 997):  # a prime: cuts fall everywhere, inside tags and characters
            node.send(stream[begin:begin + 997])
        for request_id, _ in composed:
            assert node.wait_answer(request_id, 120).word == "pass"
        assert len(node.answer_order) == len(set(node.answer_order)) == count
    stored = [text for text in stage.texts() if text.startswith("m") and text[1:].isdigit()]
    assert len(stored) == len(set(stored)) == count
    print("10,000 open requests: ok")


def main():
    ports = {name: free_port() for name in COMPONENTS}
    links = [{"name": name, "listen": f"127.0.0.1:{ports[name]}", "component": COMPONENTS[name], "secret": SECRET} for name in ports]
    config = {"queue": {"segment_bytes": 64 << 20},
              "collector": {"event_deadline_ms": DEADLINE_S * 1000, "unconfirmed_after_ms": UNCONFIRMED_S * 1000, "xcp": links}}
    with Pipeline("node_cluster", adapters=(), config=config) as pipeline:
        pipeline.services = [pipeline.queue, pipeline.collector]
        pipeline.start()
        stage = Stage(pipeline, ports)
        a_connection_without_a_handshake_is_connected_and_never_active(stage)
        a_wrong_secret_or_name_never_becomes_active_and_is_named(stage)
        # 30 s become 12 s, 5 minutes become 15 s (a collector under the address sanitizer takes seconds to start).
        timers = Timers(scale=0.4)
        timers.outage_s = 15
        with Cluster(timers) as cluster:
            node = a_right_one_becomes_active_whatever_the_source_is_called(stage, cluster)
            the_same_request_again_is_one_record(stage, node)
            what_a_node_queues_while_we_are_dead_is_taken_once(stage, node)
            people_who_move_while_the_links_stay_change_nothing(stage, node)
            delivery_and_receipt_in_either_order_are_one_post(stage, node)
            an_attempt_that_the_node_never_confirms_is_unconfirmed(stage, node)
            without_the_queue_nothing_passes_and_the_error_comes_by_our_deadline(stage, node)
            after_an_end_in_order_logins_go_on_and_the_gap_is_written_down(stage, node)
            after_a_long_cut_of_the_network_the_node_is_served_at_once(stage, node)
            when_a_node_is_gone_its_people_are_served_through_another(stage, cluster, node)
            fire_and_forget_is_archived_and_never_answered(stage, cluster)
        ten_thousand_open_requests_in_cut_segments_are_answered_once_each(stage)
        pipeline.stop()


main()
