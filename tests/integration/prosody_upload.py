"""A file that a person uploads to a real Prosody (XEP-0363, mod_http_file_share) and shows in a room is fetched at capture, while the
server has it: stored under its digest, named by an event about the post, and still there when the server has forgotten it. A file that
the server has lost before it was fetched is recorded as failed, and so is one whose host is not allowed. Each link has one event."""
import asyncio
import os
import shutil
import urllib.request

from file_client import read_file, sha256
from prosody import HOST, ROOMS
from prosody_pipeline import archive_with, log_in, prosody_pipeline
from slixmpp.xmlstream import ET
from verbatim_harness import free_port

ROOM = f"files@{ROOMS}"
UPLOAD = "{urn:xmpp:http:upload:0}"
CONTENT = b"%PDF " + bytes(range(256)) * 200


async def upload(client, name, content):
    """Asks for a slot, puts the content there; gives the address to show."""
    iq = client.make_iq_get(ito=HOST)
    iq.append(ET.Element(f"{UPLOAD}request", {"filename": name, "size": str(len(content)), "content-type": "application/pdf"}))
    slot = (await iq.send(timeout=30)).xml.find(f"{UPLOAD}slot")
    put = slot.find(f"{UPLOAD}put")
    headers = {header.get("name"): header.text for header in put.findall(f"{UPLOAD}header")}
    request = urllib.request.Request(put.get("url"), data=content, method="PUT", headers={**headers, "Content-Type": "application/pdf"})
    with await asyncio.to_thread(urllib.request.urlopen, request, timeout=30) as answer:
        assert answer.status == 201, answer.status
    return slot.find(f"{UPLOAD}get").get("url")


def forget_uploads(prosody):
    """As the server does after its expiry."""
    folder = os.path.join(prosody.dir, "data")
    stored = [os.path.join(folder, name) for name in os.listdir(folder)]
    found = [os.path.join(path, inner) for path in stored for inner in os.listdir(path) if "http_file_share" in inner or "file_share" in inner]
    assert found, stored
    for path in found:
        shutil.rmtree(path)


def outcome(archive, url):
    """The one event about the link."""
    events = [event for event in archive.records("file_downloaded", "file_transfer_failed")
              if any(element.get("url") == url for element in event.element.iter())]
    return events[0] if len(events) == 1 else None


async def story(pipeline, prosody):
    clients = await log_in(prosody, ["ann", "ben"])
    ann, ben = clients["ann"], clients["ben"]
    await ann.join(ROOM, "ann")
    await ben.join(ROOM, "ben")
    url = await upload(ann, "plan.pdf", CONTENT)
    await ann.share_file(ROOM, url)
    archive = await archive_with(pipeline, lambda one: outcome(one, url), "the outcome of the upload")
    assert outcome(archive, url).kind == "file_downloaded", outcome(archive, url)
    lost = await upload(ann, "lost.pdf", b"%PDF lost")
    forget_uploads(prosody)
    # It stays readable, whatever the server does.
    assert read_file(pipeline, sha256(CONTENT)) == (CONTENT, len(CONTENT))
    await ben.share_file(ROOM, lost)
    elsewhere = "http://files.elsewhere.example/plan.pdf"
    await ben.share_file(ROOM, elsewhere)
    archive = await archive_with(pipeline, lambda one: outcome(one, lost) and outcome(one, elsewhere), "both failures")
    for failed in (lost, elsewhere):
        assert outcome(archive, failed).kind == "file_transfer_failed", outcome(archive, failed)
    posts = {post.content for post in archive.posts}
    assert {url, lost, elsewhere} <= posts, posts
    for client in clients.values():
        await client.stop()


web_port = free_port()
fetch = {"allowed_hosts": [f"localhost:{web_port}"], "allow_http": True, "allowed_networks": ["127.0.0.0/8", "::1/128"],
         "attempt_max_ms": 5_000, "attempts_max_count": 3, "retry_min_ms": 50, "retry_max_ms": 200}
modules = ["roster", "saslauth", "disco", "posix", "carbons", "ping", "version", "mam", "http_file_share"]
with prosody_pipeline("prosody_upload", collector={"fetch": fetch}, modules_enabled=modules, http_ports=[web_port],
                      http_interfaces=["127.0.0.1"], http_default_host=HOST,
                      http_external_url=f"http://localhost:{web_port}/") as (pipeline, prosody):
    asyncio.run(story(pipeline, prosody))
print("prosody_upload: ok")
