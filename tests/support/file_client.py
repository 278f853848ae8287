"""Uploads files through the collector and reads them through the hub, step by step, as tests need it.

    with Upload(pipeline) as upload:
        stored = upload.begin(content)             # bytes that are there already
        upload.send(content[stored:])
        assert upload.reply().is_complete
"""
import hashlib
import os
import queue
import random

import grpc

from managed_process import wait_until
from verbatim.v1 import adapter_pb2, adapter_pb2_grpc, ingest_pb2, ingest_pb2_grpc

MIB = 1 << 20


def sha256(content):
    return hashlib.sha256(content).digest()


def make_content(size, seed):
    return random.Random(seed).randbytes(size)


class Upload:
    """One Files.Upload call. Its channel is its own, so that uploads do not share a connection's window."""

    def __init__(self, pipeline, timeout=120):
        self._channel = grpc.insecure_channel(f"127.0.0.1:{pipeline.ports['grpc']}",
                                              options=[("grpc.use_local_subchannel_pool", 1)])
        self._requests = queue.Queue()
        self._stream = ingest_pb2_grpc.FilesStub(self._channel).Upload(iter(self._requests.get, None), timeout=timeout,
                                                                       wait_for_ready=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.break_off()

    def ask(self, sha256_bytes, size):
        self._requests.put(ingest_pb2.UploadRequest(begin=ingest_pb2.UploadBegin(sha256=sha256_bytes, size_bytes=size)))

    def begin(self, content):
        """Gives the bytes that are there already; the call's error is raised."""
        self.ask(sha256(content), len(content))
        return self.reply().stored_bytes

    def send(self, content, chunk_bytes=MIB):
        for at in range(0, len(content), chunk_bytes):
            self.send_chunk(content[at:at + chunk_bytes])

    def send_chunk(self, chunk):
        self._requests.put(ingest_pb2.UploadRequest(chunk=chunk))

    def reply(self):
        return next(self._stream)

    def end(self):
        """Sends no more."""
        self._requests.put(None)

    def error(self):
        """Waits for the end of the call; gives its code's name and details."""
        try:
            while True:
                next(self._stream)
        except StopIteration:
            return "OK", ""
        except grpc.RpcError as error:
            return error.code().name, error.details()

    def break_off(self):
        self._stream.cancel()
        self._requests.put(None)
        self._channel.close()


def upload(pipeline, content, chunk_bytes=MIB):
    """Uploads what is missing of it; gives how much was there before. Waits while the same file's earlier upload ends."""
    while True:
        with Upload(pipeline) as call:
            try:
                stored = call.begin(content)
                call.send(content[stored:], chunk_bytes)
                while not call.reply().is_complete:
                    pass
                return stored
            except StopIteration:
                return stored  # it was there: the first reply said so
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.ABORTED:
                    raise


def incoming(pipeline, content):
    """The path of the part of an upload that is not whole yet."""
    return os.path.join(pipeline.config["files"]["data_dir"], "incoming", f"{sha256(content).hex()}-{len(content)}")


def wait_incoming(pipeline, content, size):
    path = incoming(pipeline, content)
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path) == size, 60, f"{size} bytes to have come")


def read_file(pipeline, sha256_bytes, offset=0, length=0):
    """Gives the bytes of the range and the size of the whole file, as the hub says; its error is raised."""
    stub = adapter_pb2_grpc.AdapterHubStub(pipeline.channel("hub"))
    request = adapter_pb2.ReadFileRequest(sha256=sha256_bytes, offset=offset, length=length)
    chunks = list(stub.ReadFile(request, timeout=60, wait_for_ready=True))
    return b"".join(chunk.bytes for chunk in chunks), chunks[-1].size_bytes


def read_error(pipeline, *arguments):
    try:
        read_file(pipeline, *arguments)
        return "OK"
    except grpc.RpcError as error:
        return error.code().name
