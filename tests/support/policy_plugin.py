"""A policy whose verdicts stand in the messages themselves, as a process of its own.

    policy_plugin.py HOST:PORT NAME [--order-free] [--credit N] [--retry]

It passes everything but messages whose text names it: "NAME:handle …", "NAME:error …", "NAME:change …" (the word "change" becomes
"changed"), "NAME:silence …", "NAME:twice …" (answers twice), "NAME:invalid …" (no decision), "NAME:late:SECONDS …".
With --retry it attaches again when its stream ends. Each question is a line "asked ID TEXT" on standard output, each notice "told ID TEXT".
"""
import argparse
import queue
import sys
import threading
import time
import uuid

import grpc

from verbatim.v1 import event_pb2, policy_pb2 as pb, policy_pb2_grpc


class Plugin:
    def __init__(self, arguments):
        self.arguments = arguments
        self.outgoing = queue.Queue()
        hello = pb.PolicyHello(policy=arguments.name, instance=uuid.uuid4().hex, is_order_free=arguments.order_free,
                               rule_set_sha256=b"r" * 32, software="policy_plugin.py")
        self.outgoing.put(pb.FromPolicy(hello=hello))
        self.outgoing.put(pb.FromPolicy(credit=pb.PolicyCredit(questions=arguments.credit)))

    def beat(self, interval_s):
        while True:
            time.sleep(interval_s)
            self.outgoing.put(pb.FromPolicy(heartbeat=pb.PolicyHeartbeat()))

    def say(self, question, decision, delay_s=0.0, **fields):
        verdict = pb.PolicyVerdict(question=question.question, decision=decision, rule=f"{self.arguments.name} rule", **fields)
        if delay_s:
            threading.Timer(delay_s, self.outgoing.put, [pb.FromPolicy(verdict=verdict)]).start()
        else:
            self.outgoing.put(pb.FromPolicy(verdict=verdict))

    def answer(self, question):
        event = question.event
        text = (event.final_text if event.HasField("final_text") else event.original_text).plain
        print("asked", question.question, text, flush=True)
        name, _, rest = text.partition(":")
        word = rest.split(" ")[0].partition(":")[0] if name == self.arguments.name else "pass"
        if word == "handle":
            self.say(question, event_pb2.DECISION_HANDLE)
        elif word == "error":
            self.say(question, event_pb2.DECISION_ERROR, text_for_sender="not between these two")
        elif word == "change":
            self.say(question, event_pb2.DECISION_PASS_CHANGED, changed_raw=event.raw.replace(b":change", b":changed"))
        elif word == "twice":
            self.say(question, event_pb2.DECISION_PASS)
            self.say(question, event_pb2.DECISION_HANDLE)
        elif word == "invalid":
            self.say(question, event_pb2.DECISION_UNSPECIFIED)
        elif word == "late":
            self.say(question, event_pb2.DECISION_PASS, delay_s=float(rest.split(" ")[0].partition(":")[2]))
        elif word != "silence":
            self.say(question, event_pb2.DECISION_PASS)

    def run(self):
        channel = grpc.insecure_channel(self.arguments.address)
        stream = policy_pb2_grpc.PolicyBrokerStub(channel).Attach(iter(self.outgoing.get, None))
        for message in stream:
            kind = message.WhichOneof("kind")
            if kind == "welcome":
                threading.Thread(target=self.beat, args=[message.welcome.heartbeat_ms / 1000], daemon=True).start()
            elif kind == "question":
                self.answer(message.question)
            elif kind == "notice":
                print("told", message.notice.event.id, message.notice.event.original_text.plain, flush=True)
            elif kind == "activity":
                print("active" if message.activity.is_active else "standby", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("name")
    parser.add_argument("--order-free", action="store_true")
    parser.add_argument("--credit", type=int, default=1000)
    parser.add_argument("--retry", action="store_true")
    arguments = parser.parse_args()
    while True:
        try:
            Plugin(arguments).run()
        except grpc.RpcError as error:
            if not arguments.retry:
                sys.exit(f"{error.code()}: {error.details()}")
        time.sleep(0.1)


main()
