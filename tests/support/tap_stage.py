"""Runs checks of event_rows.py against one chat server whose tap is asked by a VerdictGiver.

    run_checks("prosody_events", make, {"es_OUT": Row(...), "copies": coroutine_function}, has_room_processes=False)
"""
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile

from event_rows import Row, Stage
from managed_process import free_port, wait_until
from verdict_giver import VerdictGiver

COMPONENT, SECRET = "op-x", "secret"


async def _run(stage, checks, before, after, expected_error):
    """before: checks that need nobody in the room."""
    for some in (before, checks):
        if some is checks:
            await stage.gather()
        for name, check in some.items():
            await (check.run if isinstance(check, Row) else check)(stage)
            stage.giver.decide = lambda one: "pass"
            stage.server.assert_healthy(expected_error)
            print(f"{name}: ok", flush=True)
    after(stage)


def run_checks(name, make, checks, before=None, after=lambda stage: None, has_room_processes=False, limit_s=170, expected_error=None):
    """make(folder, port): a chat server, not started, whose tap dials that port. after(stage): what must hold at the end."""
    folder = tempfile.mkdtemp(prefix=f"{name}-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    port = free_port()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        giver = stack.enter_context(VerdictGiver(port, COMPONENT, SECRET))
        server = stack.enter_context(make(folder, port))
        try:
            wait_until(lambda: "x-snapshot" in giver.names(), 30, "the tap's link")
            stage = Stage(giver, server, has_room_processes)
            asyncio.run(asyncio.wait_for(_run(stage, checks, before or {}, after, expected_error), limit_s))
            server.stop()
        except BaseException:
            print(server.log_text()[-6000:], file=sys.stderr)
            raise
    print(f"{name}: ok")
