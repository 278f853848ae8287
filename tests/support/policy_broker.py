"""The policy broker's side of a policy's stream, played by a test: what the collector would say, and what the policy answers."""
import concurrent.futures
import queue

import grpc

from verbatim.v1 import event_pb2, policy_pb2, policy_pb2_grpc

PATIENCE_S = 60
FREE = (event_pb2.DECISION_PASS, event_pb2.DECISION_PASS_CHANGED, event_pb2.DECISION_HANDLE)


class Stream:
    """One attached policy. Heartbeats are kept apart from what is waited for."""

    def __init__(self, hello):
        self.hello = hello
        self.heartbeats = 0
        self._to_policy = queue.Queue()
        self._from_policy = queue.Queue()
        self._question = 0

    def send(self, **fields):
        self._to_policy.put(policy_pb2.ToPolicy(**fields))

    def welcome(self, heartbeat_ms=1000):
        self.send(welcome={"collector": "test", "heartbeat_ms": heartbeat_ms})
        self.send(activity={"is_active": True})

    def ask(self, event, allowed=FREE, deadline_ms=20_000):
        """The verdict on an event."""
        self._question += 1
        self.send(question={"question": self._question, "deadline_ms": deadline_ms, "event": event, "allowed": allowed, "profile": "test"})
        return self.wait("verdict")

    def wait(self, kind):
        while True:
            message = self._from_policy.get(timeout=PATIENCE_S)
            if message is None:
                raise AssertionError("the policy has ended the stream")
            if message.HasField(kind):
                return getattr(message, kind)

    def close(self):
        self._to_policy.put(None)


class PolicyBroker(policy_pb2_grpc.PolicyBrokerServicer):
    """Listens on a free port of loopback until close()."""

    def __init__(self):
        self._streams = queue.Queue()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16))
        policy_pb2_grpc.add_PolicyBrokerServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Attach(self, request_iterator, context):
        stream = Stream(next(request_iterator).hello)
        reader = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        reader.submit(self._read, request_iterator, stream)
        context.add_callback(stream.close)
        self._streams.put(stream)
        while True:
            message = stream._to_policy.get()
            if message is None:
                return
            yield message

    @staticmethod
    def _read(messages, stream):
        try:
            for message in messages:
                if message.HasField("heartbeat"):
                    stream.heartbeats += 1
                stream._from_policy.put(message)
        except grpc.RpcError:
            pass
        except Exception:  # gRPC's own, when the stream is gone  # pylint: disable=broad-except
            pass
        stream._from_policy.put(None)

    def wait_stream(self):
        """The next policy that attaches."""
        return self._streams.get(timeout=PATIENCE_S)

    def close(self):
        self._server.stop(0)


def direct_message(text, sender="ann@research.example", recipient="bob@trade.example", sender_groups=(), recipient_groups=()):
    """A direct message as the collector asks about it."""
    event = event_pb2.Event(id=f"event-{text}", accept_time_unix_ns=1_767_225_600_000_000_000)
    event.actor.address = event.actor.normalised = sender
    event.actor.groups.extend(sender_groups)
    event.others.add(address=recipient, normalised=recipient, groups=recipient_groups)
    event.conversation.kind = event_pb2.CONVERSATION_KIND_DIRECT
    event.conversation.key = " ".join(sorted((sender, recipient)))
    event.message_posted.SetInParent()
    event.original_text.plain = text
    event.raw = f"<message xmlns='jabber:client' from='{sender}/a' to='{recipient}' id='1'><body>{text}</body></message>".encode()
    return event
