"""An adapter that reads every file that an event names, through the hub, before it acknowledges the event.

    file_reading_adapter.py HOST:PORT FOLDER NAME

Each batch becomes one file of lines "event-id digest ok|missing|wrong"; an event without files has none.
"""
import hashlib
import sys

import grpc
from line_adapter import LineAdapter
from verbatim.v1 import adapter_pb2 as pb
from verbatim.v1 import adapter_pb2_grpc, event_pb2


def digests_of(event):
    kind = event.WhichOneof("body")
    files = getattr(event, kind).files if kind in ("message_posted", "message_edited") else []
    if kind in ("file_uploaded", "file_downloaded"):
        files = [getattr(event, kind).file]
    return [file.sha256 for file in files if file.sha256]


class Reader(LineAdapter):
    def __init__(self, hub, folder, name):
        super().__init__(folder, name)
        channel = grpc.insecure_channel(hub, options=[("grpc.use_local_subchannel_pool", 1)])
        self.stub = adapter_pb2_grpc.AdapterHubStub(channel)

    def look(self, digest):
        found = hashlib.sha256()
        try:
            for chunk in self.stub.ReadFile(pb.ReadFileRequest(sha256=digest), timeout=30):
                found.update(chunk.bytes)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return "missing"
            raise
        return "ok" if found.digest() == digest else "wrong"

    def lines_of(self, begin, events):
        parsed = [event_pb2.Event.FromString(stored.event) for stored in events]
        return [f"{event.id} {one.hex()} {self.look(one)}\n" for event in parsed for one in digests_of(event)]


def main():
    hub, folder, name = sys.argv[1:4]
    Reader(hub, folder, name).run(hub)


if __name__ == "__main__":
    main()
