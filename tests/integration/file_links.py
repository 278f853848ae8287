"""Links of messages are fetched when they are captured, from a real web server, by the rules; whatever comes of one is one event.

Fetched over http and https, through a redirect, after a passing failure, and again after kill -9; not fetched: too large, of the wrong
type, gone, from a forbidden host, from a private address, redirected to either, from a server that never answers or has an untrusted
certificate. Posts go on meanwhile, and no address of a link stands in a log.
"""
import glob
import os
import time

from file_client import read_file, sha256
from file_host import Answer, FileHost
from verbatim.v1 import admin_pb2, event_pb2
from verbatim_documents import assert_valid
from verbatim_harness import Pipeline, free_port, room_post, test_dir, wait_until
from xcp_node import XcpNode

ROOM = "desk@rooms.example.test"
Failed = event_pb2.FileTransferFailed
SECRET_WORD = "tokenthatnoonemaysee"


def config(host, port):
    return {"collector": {
        "xcp": [{"name": "chat", "listen": f"127.0.0.1:{port}", "component": "op-verbatim.test", "secret": "test-secret"}],
        "fetch": {"allowed_hosts": [*host.hosts(), "169.254.169.254:80"], "allow_http": True, "allowed_networks": ["127.0.0.0/8", "::1/128"],
                  "media_types": ["application/*", "image/*"], "file_max_bytes": 100_000, "attempt_max_ms": 2_000,
                  "attempts_max_count": 3, "retry_min_ms": 50, "retry_max_ms": 200, "ca_file": host.ca_file}}}


def post(url, number):
    event = room_post(ROOM, "ayu@example.test/phone", "see the file", message_id=f"m{number}")
    event.message_posted.files.add(url=url, size_bytes=-1)
    return event


def events_of(pipeline):
    """All that is staged, in full."""
    stub, events = pipeline.processor_admin(), []
    for info in stub.ListStaged(admin_pb2.ListStagedRequest(max_count=10_000), timeout=30).events:
        request = admin_pb2.ShowEventRequest(sequence=info.sequence, reason="test")
        events.append(stub.ShowEvent(request, timeout=30).event)
    return events


def outcomes(pipeline, count):
    """By link: what came of it. Exactly one each."""
    def read():
        found = {}
        for event in events_of(pipeline):
            kind = event.WhichOneof("body")
            if kind in ("file_downloaded", "file_transfer_failed"):
                body = getattr(event, kind)
                assert body.file.url not in found, f"twice: {body.file.url}"
                found[body.file.url] = event
        return found if len(found) >= count else None

    return wait_until(read, 60, lambda: f"{count} outcomes, info: {pipeline.collector_admin().ListSources(admin_pb2.ListSourcesRequest()).fetch}")


def cause_of(event):
    return Failed.Cause.Name(event.file_transfer_failed.cause)


def links(host):
    """Link -> the cause of its failure, or None and the content."""
    token = f"?{SECRET_WORD}"
    good = Answer(b"%PDF good", "application/pdf")
    host.files["/good.pdf" + token] = good
    host.files["/tls.pdf"] = Answer(b"%PDF tls", "application/pdf; x=y")
    host.files["/soon.png"] = Answer(b"png soon", "image/png", first=[503, 429])
    host.files["/moved.pdf"] = Answer(b"<html>moved", "text/html", status=302, location="/moved%20here.pdf")
    host.files["/moved%20here.pdf"] = Answer(b"%PDF moved", "application/pdf")
    host.files["/empty.pdf"] = Answer(b"", "application/pdf")
    host.files["/large.pdf"] = Answer(bytes(100_001), "application/pdf")
    host.files["/endless.pdf"] = Answer(bytes(4_096), "application/pdf", is_endless=True)
    host.files["/page.html"] = Answer(b"<html>", "text/html")
    host.files["/never.pdf"] = Answer(status=503)
    host.files["/silent.pdf"] = Answer(is_silent=True)
    host.files["/to-meta"] = Answer(status=302, location="http://169.254.169.254/latest/meta-data")
    host.files["/to-file"] = Answer(status=301, location="file:///etc/passwd")
    host.files["/to-other"] = Answer(status=307, location="http://evil.example/x")
    host.files["/loop"] = Answer(status=302, location="/loop")
    return {
        host.url("/good.pdf" + token): (None, b"%PDF good"),
        host.url("/tls.pdf", tls=True): (None, b"%PDF tls"),
        host.url("/soon.png"): (None, b"png soon"),
        host.url("/moved.pdf"): (None, b"%PDF moved"),
        host.url("/empty.pdf"): (None, b""),
        host.url("/large.pdf"): ("CAUSE_TOO_LARGE", 1),
        host.url("/endless.pdf"): ("CAUSE_TOO_LARGE", 1),
        host.url("/page.html"): ("CAUSE_TYPE_NOT_ALLOWED", 1),
        host.url("/gone.pdf"): ("CAUSE_REFUSED_BY_SERVER", 1),
        host.url("/never.pdf"): ("CAUSE_SERVER_ERROR", 3),
        host.url("/silent.pdf"): ("CAUSE_TIMEOUT", 3),
        "http://169.254.169.254/latest/meta-data": ("CAUSE_ADDRESS_NOT_ALLOWED", 1),
        host.url("/to-meta"): ("CAUSE_ADDRESS_NOT_ALLOWED", 1),
        host.url("/to-file"): ("CAUSE_REDIRECT_NOT_ALLOWED", 1),
        host.url("/to-other"): ("CAUSE_REDIRECT_NOT_ALLOWED", 1),
        host.url("/loop"): ("CAUSE_REDIRECT_NOT_ALLOWED", 1),
        "https://elsewhere.example/a.pdf": ("CAUSE_HOST_NOT_ALLOWED", 1),
        host.url("/good.pdf", host="127.0.0.1"): ("CAUSE_HOST_NOT_ALLOWED", 1),
        host.url("/good.pdf").replace("//", f"//user:{SECRET_WORD}@"): ("CAUSE_BAD_URL", 1),
        "aesgcm://upload.example/a#key": ("CAUSE_BAD_URL", 1),
    }


def all_kinds(pipeline, host):
    expected = links(host)
    with pipeline.producer("alice") as producer:
        started = time.monotonic()
        producer.send([post(url, number) for number, url in enumerate(expected)])
        assert time.monotonic() - started < 10, "posts wait for fetches"
        assert not producer.refused, producer.refused
    found = outcomes(pipeline, len(expected))
    by_message = {event.id: event for event in events_of(pipeline) if event.WhichOneof("body") == "message_posted"}
    for url, (cause, rest) in expected.items():
        event = found[url]
        about = by_message[event.references.event_id]
        assert about.message_posted.files[0].url == url and event.conversation.key == about.conversation.key, event
        if cause is None:
            assert event.WhichOneof("body") == "file_downloaded", (url, event)
            file = event.file_downloaded.file
            assert event.file_downloaded.by_collector and file.sha256 == sha256(rest) and file.size_bytes == len(rest), (url, event)
            assert read_file(pipeline, file.sha256) == (rest, len(rest))
        else:
            failed = event.file_transfer_failed
            assert cause_of(event) == cause and failed.attempt_count == rest, (url, event)
            assert failed.is_transient == (rest > 1), (url, event)
            assert SECRET_WORD not in failed.reason, event
    assert host.asked["/soon.png"] == 3 and host.asked["/gone.pdf"] == 1 and host.asked["/loop"] == 4, host.asked
    print(f"links: {len(expected)}, each with one outcome")


def an_untrusted_certificate(pipeline, host):
    pipeline.config["collector"]["fetch"]["ca_file"] = ""
    pipeline.collector.restart()
    host.files["/untrusted.pdf"] = Answer(b"%PDF", "application/pdf")
    with pipeline.producer("bob") as producer:
        producer.send([post(host.url("/untrusted.pdf", tls=True), 1)])
    wait_until(lambda: cause_of(outcomes(pipeline, 1).get(host.url("/untrusted.pdf", tls=True), event_pb2.Event())) == "CAUSE_TLS", 30,
               "the untrusted certificate to be recorded")
    pipeline.config["collector"]["fetch"]["ca_file"] = host.ca_file


def killed_in_between(pipeline, host):
    """While the server is silent, while it sends, after it is stored, after it is recorded: one outcome each."""
    with open(os.path.join(os.path.dirname(pipeline.collector.arguments[0]), "verbatim-collector"), "rb") as binary:
        points = [None] + (["collector.fetch_before_stored", "collector.fetch_recorded"] if b"VERBATIM_FAULT_POINT" in binary.read() else [])
    for number, point in enumerate(points):
        path = f"/killed-{number}.pdf"
        content = f"%PDF {number}".encode()
        host.files[path] = Answer(content, "application/pdf", is_silent=point is None)
        pipeline.collector.terminate()
        pipeline.collector.start(environment={"VERBATIM_FAULT_POINT": f"{point}:1"} if point else None)
        with pipeline.producer(f"carol-{number}") as producer:
            producer.submit([post(host.url(path), number)])
            if point is None:
                producer.wait_answered()
                wait_until(lambda: host.asked[path] > 0, 30, "the fetch to be under way")
                pipeline.collector.kill()
                host.files[path] = Answer(content, "application/pdf")
            wait_until(lambda: not pipeline.collector.is_running(), 30, lambda: f"a death at {point}")
            pipeline.collector.start()
            producer.wait_answered()
        url = host.url(path)
        wait_until(lambda: outcomes(pipeline, 1).get(url), 30, f"the outcome after {point}")
        # A second one, which must not come, would be on its way before the link is forgotten.
        wait_until(lambda: not glob.glob(os.path.join(pipeline.config["collector"]["data_dir"], "fetches", "*")), 30, "no link to be left")
        wait_until(lambda: pipeline.queue_info().depth == 0, 30, "all of it to be staged")
        assert outcomes(pipeline, 1)[url].file_downloaded.file.sha256 == sha256(content)
    print(f"killed: {len(points)} times, one outcome each")


def through_a_chat_link(pipeline, host, port):
    """XEP-0066 beside the text, and a text that is nothing but the address; es_IN of the same post is no second link."""
    host.files["/oob.png"] = Answer(b"png oob", "image/png")
    host.files["/text.png"] = Answer(b"png text", "image/png")
    oob, text = host.url("/oob.png"), host.url("/text.png")
    with XcpNode(port) as node:
        node.dial()
        node.connect()
        for number, (body, extra) in enumerate([(oob, f"<x xmlns='jabber:x:oob'><url>{oob}</url></x>"), (text, ""),
                                                ("https://elsewhere.example/page", "")]):
            stanza = f"<message xmlns='jabber:client' type='groupchat' id='x{number}'><body>{body}</body>{extra}</message>"
            for name in ("onBeforeSend", "onBeforeBroadcast"):
                node.ask(name, stanza, room="r@muc.x", actor="a@x/r")
    found = outcomes(pipeline, 2)
    wait_until(lambda: {oob, text} <= set(outcomes(pipeline, 2)), 30, "the links of the chat")
    found = outcomes(pipeline, 2)
    assert all(found[url].file_downloaded.by_collector and found[url].source.name == "chat" for url in (oob, text)), found
    assert "https://elsewhere.example/page" not in found
    assert host.asked["/oob.png"] == 1 and host.asked["/text.png"] == 1, host.asked


with FileHost(test_dir("file_host")) as host:
    port = free_port()
    # Nothing is archived, so that all can be read from the store.
    with Pipeline("file_links", config=config(host, port)) as pipeline:
        pipeline.services = [pipeline.queue, pipeline.processor, pipeline.collector]
        pipeline.start()
        all_kinds(pipeline, host)
        through_a_chat_link(pipeline, host, port)
        killed_in_between(pipeline, host)
        an_untrusted_certificate(pipeline, host)
        for service in (pipeline.collector, pipeline.processor, pipeline.queue):
            assert SECRET_WORD not in service.log_text(), f"a link's address stands in the log of {service.name}"
        # Archived at last, in valid documents; what the collector took is nobody's download.
        pipeline.adapter_xml.start()
        totals = pipeline.wait_archived(1)
        assert totals["difference"] == 0, totals
        folder = pipeline.config["adapter_xml"]["output_dir"]
        assert_valid(folder)
        documents = "".join(open(path, encoding="utf-8").read() for path in pipeline.documents())
        assert "FILEDOWNLOAD" not in documents and 'byCollector="true"' in documents and 'cause="too_large"' in documents
        pipeline.stop()
        print("file_links: ok")
