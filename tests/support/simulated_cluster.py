"""An IM and Presence cluster as its third-party compliance guide describes it, seen from the compliance server: nodes that
dial, ask by their own profiles, wait, queue, bounce, fail over and send again.

    timers = Timers(scale=0.01)                                     # 30 s become 0.3 s
    profile = Profile("P1", {("es_OUT", "message"): "bounce"})
    with Cluster(timers) as cluster:
        node = cluster.add_node("imp1", [Assignment(profile, port, component, secret)])
        node.wait_state("ACTIVE")
        event = node.fire("es_OUT", chat(...), ptype="message", actor="a@x/r")
        assert event.wait() == "delivered"

It is a stimulus. What it does to us (its timers, its queue, which server it asks) is its own and proves nothing of ours;
tests judge the bytes, records, alarms and times of the collector.

What it does, by the guide:
* an awaited event is kept at most `event_s` (30 s), then processed (login, logout, presence) or bounced;
* after an end in order (the stream is closed) nothing is queued: logins and logouts go on, the rest is bounced at once, or goes to the
  other servers of the profile;
* after a sudden end events are queued for up to `outage_s` (5 min), each for `event_s`; then as after an end in order;
* the next profile's server is asked after PASS only; HANDLE ends the event;
* fire and forget goes on at once; with bounce the node then drops the event;
* what is unanswered is sent again, byte for byte, when the link is back; a second node takes over what a dead one was asked for;
* an alarm by the guide's name is raised while a link is away.
"""
import collections
import random
import threading
import time
import zlib

from xcp_node import LinkClosed, XcpNode

ALARM = "XcpThirdPartyComplianceConnectError"
# Never blocked, only late (the guide's sections on outages).
GOES_ON_WITHOUT_AN_ANSWER = ("e_SESSION", "es_END", "e_AUTH")
Assignment = collections.namedtuple("Assignment", "profile port component secret")


class Timers:
    def __init__(self, scale=1.0, event_s=30, outage_s=300, redial_s=2):
        self.event_s, self.outage_s, self.redial_s = event_s * scale, outage_s * scale, min(redial_s * scale, 0.5)


class Profile:
    """events: (name, packet type or "") -> "bounce", "pass", "forget-bounce" or "forget-pass"."""

    def __init__(self, name, events):
        self.name, self.events = name, dict(events)

    def handling(self, name, ptype):
        return self.events.get((name, ptype)) or self.events.get((name, "all")) or self.events.get((name, ""))


class Event:
    """One event of a node. outcome: delivered, changed, handled, bounced, dropped, or "processed" where nobody was heard."""

    def __init__(self, name, ptype, stanza, attributes, conversation):
        self.name, self.ptype, self.stanza, self.attributes, self.conversation = name, ptype, stanza, attributes, conversation
        self.began = time.monotonic()
        self.ended = None
        self.outcome = None
        self.steps = []  # assignments that are still to be asked
        self.request_id = self.xml = self.link = None
        self.send_count = 0
        self.answer = None
        self._done = threading.Event()

    def end(self, outcome):
        if self.outcome is None:
            self.outcome, self.ended = outcome, time.monotonic()
            self._done.set()

    def wait(self, timeout=60):
        assert self._done.wait(timeout), f"{self.name}: no outcome within {timeout} s"
        return self.outcome

    @property
    def seconds(self):
        return self.ended - self.began


class Link(threading.Thread):
    """One assignment's connection, dialled for ever."""

    def __init__(self, node, assignment):
        super().__init__(name=f"link-{node.name}", daemon=True)
        self.node, self.assignment = node, assignment
        self.state, self.log = "GONE", []
        self.outage = None  # ("graceful" or "sudden", since)
        self.open = collections.OrderedDict()  # request id -> Event, unanswered
        self.extra_answers = []  # answers that nobody had asked for, or had again
        self._xcp = XcpNode(assignment.port, assignment.component, assignment.secret, node.name, boot=node.boot)
        self._outgoing = collections.deque()
        self._is_stopping = False
        self._is_cut = False

    @property
    def component(self):
        return self.assignment.component

    def stop(self):
        self._is_stopping = True

    def cut(self):
        """The network between node and server: the link is lost without a word, and not dialled until mend()."""
        self._is_cut = True

    def mend(self):
        self._is_cut = False

    def send(self, name, stanza="", kind="get", ptype="", **attributes):
        """One event to this server whatever the profiles say; its outcome is that of the answer."""
        if ptype:
            attributes["ptype"] = ptype
        event = Event(name, ptype, stanza, attributes, "")
        self.ask(event) if kind == "get" else self.tell(event)
        return event

    def ask(self, event):
        with self.node.lock:
            if event.xml is None or event.link is not self:
                event.request_id, event.xml = self._compose(event, "get")
                event.link = self
            self.open[event.request_id] = event
            self._outgoing.append(event)

    def tell(self, event):
        with self.node.lock:
            _, event.xml = self._compose(event, "set")
            self._outgoing.append(event)

    def _compose(self, event, kind):
        self._xcp.sequence = self.node.next_sequence(self) - 1
        return self._xcp.compose(event.name, event.stanza, kind=kind, **event.attributes)

    def run(self):
        while not self._is_stopping:
            if not self._is_cut and self._dial():
                self._serve()
            time.sleep(self.node.timers.redial_s)
        self._xcp.drop()

    def _note(self, line):
        self.log.append((time.monotonic(), line))

    def _dial(self):
        self._note(f"Connecting to host '127.0.0.1', port {self.assignment.port}")
        try:
            self._xcp.connect(timeout=10)
        except (OSError, LinkClosed, TimeoutError) as error:
            self._note(f"Unable to connect: {type(error).__name__} {error}")
            self._note(f"Component {self.component} is GONE")
            self._xcp.drop()
            self.node.alarm(self, True)
            return False
        return True

    def _serve(self):
        with self.node.lock:
            self.state, self.outage = "ACTIVE", None
            self._note(f"Component {self.component} is ACTIVE")
            self._outgoing = collections.deque(self.open.values())
        self.node.alarm(self, False)
        try:
            while not self._is_stopping and not self._is_cut:
                self._flush()
                self._xcp.read_for(0.005)
                self._take_answers()
            if self._is_stopping and not self._is_cut:
                self._xcp.send("</stream:stream>")
        except (LinkClosed, OSError):
            pass
        self._take_answers()
        is_graceful = self._xcp.is_ended_by_peer
        self._xcp.drop()
        with self.node.lock:
            self.state, self.outage = "GONE", ("graceful" if is_graceful else "sudden", time.monotonic())
            self._note(f"Component {self.component} is GONE")
        if not self._is_stopping:
            self.node.alarm(self, True)

    def _flush(self):
        while True:
            with self.node.lock:
                if not self._outgoing:
                    return
                event = self._outgoing.popleft()
            event.send_count += 1
            self._xcp.send(event.xml)

    def _take_answers(self):
        for request_id in list(self._xcp.answers):
            answer = self._xcp.answers.pop(request_id)
            with self.node.lock:
                event = self.open.pop(request_id, None)
            if event is None:
                self.extra_answers.append(answer)
            else:
                self.node.answered(event, answer)


class Node:
    """is_running: False after fail(): its links are gone, and other nodes serve its people."""

    def __init__(self, cluster, name, assignments, boot):
        self.cluster, self.name, self.timers, self.boot = cluster, name, cluster.timers, boot
        self.lock = threading.RLock()
        self.alarms = {}  # component -> is raised
        self.alarm_log = []
        self.events = []
        self._sequences = collections.Counter()
        self.links = [Link(self, assignment) for assignment in assignments]
        self.is_running = True
        for link in self.links:
            link.start()

    def next_sequence(self, link):
        self._sequences[link.component] += 1
        return self._sequences[link.component]

    def alarm(self, link, is_raised):
        if self.alarms.get(link.component, False) != is_raised:
            self.alarms[link.component] = is_raised
            self.alarm_log.append((time.monotonic(), ALARM, link.component, is_raised))

    def wait_state(self, state, timeout=30, link=0):
        deadline = time.monotonic() + timeout
        while self.links[link].state != state:
            assert time.monotonic() < deadline, f"{self.name}: not {state}: {self.links[link].log[-5:]}"
            time.sleep(0.01)

    def fail(self):
        """The node's router dies: its links are lost without a word."""
        self.is_running = False
        for link in self.links:
            link.cut()
            link.stop()
        for link in self.links:
            link.join(20)

    # --- events

    def fire(self, name, stanza="", ptype="", conversation=None, **attributes):
        """Something happens on this node; gives the event, whose outcome comes later."""
        if ptype:
            attributes["ptype"] = ptype
        event = Event(name, ptype, stanza, attributes, conversation or attributes.get("room") or attributes.get("actor", ""))
        event.steps = [profile for profile in self.cluster.profiles() if profile.handling(name, ptype)]
        self.events.append(event)
        self._go_on(event)
        return event

    def _go_on(self, event):
        """Asks the next profile's server; without one the event has happened."""
        while event.steps:
            profile = event.steps[0]
            handling = profile.handling(event.name, event.ptype)
            link = self.cluster.choose(self, profile, event.conversation)
            if link is None:
                # What is not sent uses up its number, as docs/xcp-link.md wants it.
                self.next_sequence(self.links[0])
                return self._without_answer(event)
            if not handling.startswith("forget"):
                return link.ask(event)
            link.tell(event)
            event.steps.pop(0)
            if handling == "forget-bounce":
                return event.end("dropped")
        return event.end("delivered")

    def answered(self, event, answer):
        event.answer = answer
        if answer.word == "error" and event.steps and event.steps[0].handling(event.name, event.ptype) == "bounce":
            return event.end("bounced")
        if answer.word == "handle":
            return event.end("handled")
        changed = answer.element[0] if answer.word == "pass" and len(answer.element) else None
        event.steps = event.steps[1:]
        event.xml = None
        if event.steps:
            return self._go_on(event)
        return event.end("changed" if changed is not None and len(changed) else "delivered")

    def _without_answer(self, event):
        event.end("processed" if event.name in GOES_ON_WITHOUT_AN_ANSWER or event.ptype == "presence" else "bounced")

    def tick(self):
        """The timers: what has waited too long, and what waits for a link that does not come back."""
        now = time.monotonic()
        with self.lock:
            due = []
            for link in self.links:
                is_hopeless = link.outage and (link.outage[0] == "graceful" or now - link.outage[1] > self.timers.outage_s)
                for request_id, event in list(link.open.items()):
                    if is_hopeless or now - event.began > self.timers.event_s:
                        due.append((link, request_id, event))
            for link, request_id, event in due:
                del link.open[request_id]
                if event in link._outgoing:
                    link._outgoing.remove(event)
        for link, _, event in due:
            # A number that was used up although nobody heard of it shows at the other side as a gap.
            self._without_answer(event)


class Cluster:
    def __init__(self, timers):
        self.timers = timers
        self.nodes = []
        self._stop = threading.Event()
        self._timer = threading.Thread(target=self._run, name="cluster-timer", daemon=True)
        self._timer.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._timer.join()
        for node in self.nodes:
            for link in node.links:
                link.stop()
        for node in self.nodes:
            for link in node.links:
                link.join(20)

    def _run(self):
        while not self._stop.wait(0.01):
            for node in self.nodes:
                node.tick()

    def add_node(self, name, assignments, boot=None):
        self.nodes.append(Node(self, name, assignments, boot or time.time_ns() // 1000 + random.randrange(1000)))
        return self.nodes[-1]

    def profiles(self):
        """In routing priority: the order in which they were assigned."""
        found = []
        for node in self.nodes:
            for link in node.links:
                if link.assignment.profile not in found:
                    found.append(link.assignment.profile)
        return found

    def choose(self, node, profile, conversation):
        """One server of the profile by conversation, wherever it is attached; one that is away in earnest is left out."""
        links = [link for other in self.nodes if other.is_running for link in other.links if link.assignment.profile is profile]
        now = time.monotonic()

        def is_out(link):
            if link.outage is None:
                return False
            return link.outage[0] == "graceful" or now - link.outage[1] > self.timers.outage_s

        usable = [link for link in links if not is_out(link)]
        if not usable:
            return None
        usable.sort(key=lambda link: zlib.crc32((link.component + "\n" + conversation).encode()))
        return usable[-1]
