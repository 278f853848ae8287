"""Profiles, servers and assignments of a collector that does not run, in its own file (docs/formats/compliance.md).

    assign(pipeline, [("first", "wall", [("onBeforeSend", "")]), …])      # in routing priority

The collector must have run once in that folder. A test that is about the commands themselves uses verbatimctl.
"""
import os
import struct

from queue_reader import crc32c
from verbatim.v1 import collector_state_pb2 as pb

MAGIC = b"VBCOMPLY"


def component_of(server):
    return f"opc-{server}.all-nodes"


def assign(pipeline, routes):
    """routes: (profile, server or servers, [(event, packet type)] or EventEntry messages). A server is a plugin's name, or a
    ComplianceServer."""
    path = os.path.join(pipeline.dir, "collector", "compliance")
    with open(path, "rb") as file:
        state = pb.ComplianceState.FromString(file.read()[16:])
    known = {server.name for server in state.servers}
    for profile, servers, events in routes:
        made = state.profiles.add(name=profile)
        for event in events:
            if isinstance(event, pb.ComplianceProfile.EventEntry):
                made.events.append(event)
            else:
                made.events.add(event=event[0], packet_type=event[1], handling=pb.ComplianceProfile.HANDLING_BOUNCE)
        for server in servers if isinstance(servers, list) else [servers]:
            if isinstance(server, str):
                server = pb.ComplianceServer(name=server, kind=pb.ComplianceServer.KIND_PLUGIN)
            if server.name not in known:
                state.servers.append(server)
                known.add(server.name)
            state.assignments.add(server=server.name, profile=profile, component=component_of(server.name))
    state.revision += 1
    body = state.SerializeToString()
    head = MAGIC + struct.pack("<I", 1)
    with open(path, "wb") as file:
        file.write(head + struct.pack("<I", crc32c(head + body)) + body)
