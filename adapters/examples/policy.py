"""A policy: what has a word of the file WORDS in it is not delivered (docs/write-a-policy.md). policy.py HOST:PORT WORDS [NAME]"""
import grpc, hashlib, queue, re, sys, time, uuid
from verbatim.v1 import event_pb2, policy_pb2 as pb, policy_pb2_grpc

BROKER, WORDS, NAME, INSTANCE = sys.argv[1], sys.argv[2], (sys.argv[3:] + ["words"])[0], uuid.uuid4().hex
PASS, HANDLE, ERROR = event_pb2.DECISION_PASS, event_pb2.DECISION_HANDLE, event_pb2.DECISION_ERROR

def rule_set():  # the words, and the digest of exactly these words
    with open(WORDS, "rb") as file:
        text = file.read()
    return set(text.decode().casefold().split()), hashlib.sha256(text).digest()

def evaluate(event):  # decides; gives the fields of a verdict
    words, digest = rule_set()
    found = words & set(re.findall(r"\w+", event.original_text.plain.casefold()))
    if not found:
        return dict(decision=PASS, rule_set_sha256=digest)
    return dict(decision=HANDLE, rule_set_sha256=digest, rule="words", reason=f"words={len(found)}",
                text_for_sender="Not delivered: it has a word in it that is not permitted here.")

def answer(question, deadline):  # exactly one for each question, whatever happens
    if time.monotonic() > deadline:
        verdict = dict(decision=ERROR, reason="too late")
    else:
        try:
            verdict = evaluate(question.event)
        except Exception as error:  # never the reason for an unanswered question
            verdict = dict(decision=ERROR, reason=type(error).__name__)
    if verdict["decision"] != ERROR and verdict["decision"] not in question.allowed:  # what has happened cannot be stopped
        verdict.update(dry_run_decision=verdict["decision"], decision=PASS, is_flagged=True, text_for_sender="")
    return pb.FromPolicy(verdict=dict(verdict, question=question.question))

def outgoing(answers, beat):  # hello, then answers, and heartbeats in between
    yield pb.FromPolicy(hello=dict(policy=NAME, instance=INSTANCE, software="policy.py", rule_set_sha256=rule_set()[1]))
    while True:
        try:
            yield answers.get(timeout=beat[0])
        except queue.Empty:
            yield pb.FromPolicy(heartbeat=pb.PolicyHeartbeat())

while True:
    answers, beat = queue.Queue(), [1.0]  # of this stream: what was asked on one is never answered on another
    try:
        with grpc.insecure_channel(BROKER, options=[("grpc.max_receive_message_length", 64 << 20)]) as channel:
            for got in policy_pb2_grpc.PolicyBrokerStub(channel).Attach(outgoing(answers, beat)):
                if got.HasField("welcome"):
                    beat[0] = got.welcome.heartbeat_ms / 2000
                    answers.put(pb.FromPolicy(credit=dict(questions=64)))
                elif got.HasField("question"):
                    answers.put(answer(got.question, time.monotonic() + got.question.deadline_ms / 1000))
    except (grpc.RpcError, OSError) as error:
        print(error, file=sys.stderr)
    time.sleep(0.5)
