"""Every gRPC endpoint of the services lists its services by reflection and answers the standard health check.

Debian has no Python package for either, so the few bytes of both protocols stand here: grpc/reflection/v1alpha/reflection.proto
and grpc/health/v1/health.proto.
"""
import os
import sys

SUPPORT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support")
sys.path.insert(0, SUPPORT)
from verbatim_harness import Pipeline  # noqa: E402

import grpc  # noqa: E402

LIST_SERVICES = b"\x3a\x00"  # ServerReflectionRequest.list_services = ""
SERVING = b"\x08\x01"        # HealthCheckResponse.status = SERVING
ENDPOINTS = {
    "queue_admin": "verbatim.v1.QueueAdmin",
    "collector_admin": "verbatim.v1.CollectorAdmin",
    "grpc": "verbatim.v1.Files verbatim.v1.Ingest",
    "processor_admin": "verbatim.v1.ProcessorAdmin",
    "hub": "verbatim.v1.AdapterHub",
}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """Number and contents of each length-delimited field; the others are passed over."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        size, at = varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at:at + size]
            at += size
        else:
            assert tag & 7 == 0, f"a field of wire type {tag & 7} is not expected here"


def listed_services(channel):
    call = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    response = next(iter(call(iter([LIST_SERVICES]), timeout=30)))
    # ServerReflectionResponse.list_services_response (6) . service (1) . name (1)
    return [name.decode() for number, listed in fields(response) if number == 6
            for number, service in fields(listed) if number == 1
            for number, name in fields(service) if number == 1]


def health(channel, service=""):
    """The bytes of a HealthCheckResponse, or the code of the refusal."""
    request = b"" if not service else b"\x0a" + bytes([len(service)]) + service.encode()
    try:
        return channel.unary_unary("/grpc.health.v1.Health/Check")(request, timeout=30)
    except grpc.RpcError as error:
        return error.code()


with Pipeline("reflection_and_health", adapters=()) as pipeline:
    pipeline.start()
    for key, services in ENDPOINTS.items():
        channel = pipeline.channel(key)
        names = listed_services(channel)
        assert "grpc.health.v1.Health" in names, f"{key}: {names}"
        assert sorted(name for name in names if name.startswith("verbatim.")) == services.split(), f"{key}: {names}"
        assert health(channel) == SERVING, f"{key}: {health(channel)}"
        unknown = health(channel, "no.such.Service")
        assert unknown == grpc.StatusCode.NOT_FOUND, f"{key}: {unknown}"
        print(f"{key}: {names}", flush=True)
    pipeline.stop()
print("reflection_and_health: ok")
