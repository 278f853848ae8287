"""DNS rebinding: the name of an allowed host resolves to an allowed address first, and to a private one later. The address is judged
where the connection is opened, at each attempt and each redirect, so nothing of the private server is ever asked. Names are resolved
by the real resolver, from a hosts file of this test's own (in its own mounts)."""
import os
import subprocess
import threading

import small_disk

small_disk.enter_own_mounts()

from file_client import sha256  # noqa: E402
from file_host import Answer, FileHost  # noqa: E402
from verbatim.v1 import admin_pb2, event_pb2  # noqa: E402
from verbatim_harness import Pipeline, room_post, test_dir, wait_until  # noqa: E402

NAME = "files.rebound.test"
ALLOWED, PRIVATE = "127.0.0.1", "127.0.0.2"


class Names:
    """The machine's hosts file, as this test and what it starts see it."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "hosts")
        self.point_to(ALLOWED)
        subprocess.run(["mount", "--bind", self.path, "/etc/hosts"], check=True)

    def point_to(self, *addresses):
        # In place: the mount is of this very file.
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("127.0.0.1 localhost\n" + "".join(f"{address} {NAME}\n" for address in addresses))


class Trap(FileHost):
    """What must not be asked: the same port at the private address."""

    def __init__(self, folder, port):
        super().__init__(folder)
        self.port = port

    def __enter__(self):
        self.server = self._serve(None, (PRIVATE, self.port))
        return self


def post(url, number):
    event = room_post("desk@rooms.example.test", "ayu@example.test/phone", "see the file", message_id=f"m{number}")
    event.message_posted.files.add(url=url, size_bytes=-1)
    return event


def outcome(pipeline, url):
    stub = pipeline.processor_admin()
    for info in stub.ListStaged(admin_pb2.ListStagedRequest(max_count=1_000), timeout=30).events:
        event = stub.ShowEvent(admin_pb2.ShowEventRequest(sequence=info.sequence, reason="test"), timeout=30).event
        kind = event.WhichOneof("body")
        if kind in ("file_downloaded", "file_transfer_failed") and getattr(event, kind).file.url == url:
            return event
    return None


def send(pipeline, url, number):
    with pipeline.producer(f"p{number}") as producer:
        producer.send([post(url, number)])


def is_refused(event):
    return event.file_transfer_failed.cause == event_pb2.FileTransferFailed.CAUSE_ADDRESS_NOT_ALLOWED


def rebound_between_attempts(pipeline, host, trap, names):
    """The first attempt fails for now; by the second the name is another's."""
    host.files["/later.pdf"] = Answer(b"%PDF", "application/pdf", first=[503] * 2)
    url = host.url("/later.pdf", host=NAME)
    watcher = threading.Thread(target=lambda: (wait_until(lambda: host.asked["/later.pdf"] > 0, 30, "the first attempt"),
                                               names.point_to(PRIVATE)))
    watcher.start()
    send(pipeline, url, 1)
    watcher.join()
    event = wait_until(lambda: outcome(pipeline, url), 30, "the outcome")
    assert is_refused(event), event
    assert not trap.asked, trap.asked


def rebound_before_a_redirect(pipeline, host, trap, names):
    names.point_to(ALLOWED)
    host.files["/moved.pdf"] = Answer(status=302, location=f"http://{NAME}:{trap.port}/secret.pdf", on_asked=lambda: names.point_to(PRIVATE))
    url = host.url("/moved.pdf", host=NAME)
    send(pipeline, url, 2)
    event = wait_until(lambda: outcome(pipeline, url), 30, "the outcome")
    # A name that is still remembered from the first request leads to the allowed server, which has no such file.
    assert event.WhichOneof("body") == "file_transfer_failed", event
    assert not trap.asked, trap.asked


def both_addresses_at_once(pipeline, host, trap, names):
    """Whatever the order in which the resolver gives them: only the allowed one is asked."""
    for number, addresses in enumerate([(ALLOWED, PRIVATE), (PRIVATE, ALLOWED)]):
        names.point_to(*addresses)
        path = f"/both-{number}.pdf"
        host.files[path] = Answer(b"%PDF both", "application/pdf")
        url = host.url(path, host=NAME)
        send(pipeline, url, 3 + number)
        event = wait_until(lambda: outcome(pipeline, url), 30, "the outcome")
        assert event.WhichOneof("body") == "file_transfer_failed" or event.file_downloaded.file.sha256 == sha256(b"%PDF both"), event
        assert not trap.asked, trap.asked


def the_trap_would_be_asked(pipeline, host, trap, names):
    """The canary: where the private address is allowed, the same link gives its secret."""
    pipeline.config["collector"]["fetch"]["allowed_networks"] = ["127.0.0.0/8"]
    pipeline.collector.restart()
    names.point_to(PRIVATE)
    url = host.url("/secret.pdf", host=NAME)
    send(pipeline, url, 9)
    event = wait_until(lambda: outcome(pipeline, url), 30, "the outcome")
    assert event.file_downloaded.file.sha256 == sha256(b"secret") and trap.asked["/secret.pdf"] == 1, (event, trap.asked)


folder = test_dir("file_link_rebinding_host")
names = Names(folder + "-names")
with FileHost(folder) as host:
    port = host.http.server_address[1]
    with Trap(folder + "-trap", port) as trap:
        trap.files["/later.pdf"] = trap.files["/secret.pdf"] = Answer(b"secret", "application/pdf")
        fetch = {"allowed_hosts": [f"{NAME}:{port}"], "allow_http": True, "allowed_networks": [f"{ALLOWED}/32"], "attempt_max_ms": 5_000,
                 "attempts_max_count": 3, "retry_min_ms": 500, "retry_max_ms": 500}
        with Pipeline("file_link_rebinding", config={"collector": {"fetch": fetch}}) as pipeline:
            pipeline.services = [pipeline.queue, pipeline.processor, pipeline.collector]
            pipeline.start()
            for step in (rebound_between_attempts, rebound_before_a_redirect, both_addresses_at_once, the_trap_would_be_asked):
                step(pipeline, host, trap, names)
                print(f"file_link_rebinding: {step.__name__} ok", flush=True)
            pipeline.stop()
print("file_link_rebinding: ok")
