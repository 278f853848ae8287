"""A pipeline whose collector is asked by a Prosody of its own, for tests with real clients.

    with prosody_pipeline("prosody_room") as (pipeline, prosody):
        ...
"""
import asyncio
import contextlib

from archive_reader import Archive
from prosody import HOST, PASSWORD, ROOMS, Prosody
from verbatim_harness import Pipeline, free_port, wait_until
from xmpp_client import ChatClient, Ledger

COMPONENT, SECRET = "op-test.example", "test secret"


def prosody_pipeline(name, limit_s=10, collector=None, adapters=("xml",), server=None, **tap_options):
    """limit_s: how long the tap holds a stanza; server: further arguments of Prosody. The rest as tapped_pipeline."""
    def make(folder, port):
        link = {"verbatim_port": port, "verbatim_component": COMPONENT, "verbatim_secret": SECRET, "verbatim_node": "chat",
                "verbatim_verdict_timeout": limit_s, "verbatim_reconnect_min": 0.1, "verbatim_reconnect_max": 0.5, **tap_options}
        return Prosody(folder, link, **(server or {}))
    return tapped_pipeline(name, make, limit_s, collector, adapters)


@contextlib.contextmanager
def tapped_pipeline(name, make, limit_s=10, collector=None, adapters=("xml",)):
    """All of it running; at the end each must be well and end cleanly.

    make(folder, port): a chat server whose tap dials that port. The collector's own deadline is two thirds of limit_s.
    """
    port = free_port()
    config = {"collector": {"event_deadline_ms": int(limit_s * 1000 * 2 / 3), "internal_domains": [HOST, ROOMS],
                            "xcp": [{"name": "chat", "listen": f"127.0.0.1:{port}", "component": COMPONENT,
                                     "secret": SECRET}], **(collector or {})}}
    with Pipeline(name, adapters=adapters, config=config) as pipeline:
        pipeline.start()
        server = make(pipeline.dir, port)
        try:
            server.start()
            wait_until(lambda: "Linked with the collector" in server.log_text(), 30,
                       lambda: f"the tap's link\n{server.process.tail()}")
            yield pipeline, server
            server.assert_healthy()
            server.stop()
            pipeline.stop()
        except BaseException:
            print(server.process.tail(60))
            raise
        finally:
            server.kill()


def jid(name, host=HOST):
    return f"{name}@{host}"


async def log_in(prosody, names, ledger=None):
    """Clients by name, one ledger for all."""
    ledger = ledger or Ledger()
    return {name: await ChatClient(jid(name, prosody.host) + "/test", PASSWORD, prosody.port, ledger).start() for name in names}


def read_archive(pipeline):
    return Archive(pipeline.config["adapter_xml"]["output_dir"])


async def archive_with(pipeline, condition, what, timeout=60):
    """The archive, once condition(archive) holds and nothing is queued or staged."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        archive = read_archive(pipeline)
        if condition(archive):
            pipeline.wait_archived(len(archive.events))
            return read_archive(pipeline)
        assert asyncio.get_running_loop().time() < deadline, f"waited {timeout} s in vain for the archive to have {what}"
        await asyncio.sleep(0.1)
