"""What an operator does to the queues of a soak, over the admin calls."""
import grpc

from verbatim_harness import admin_pb2, admin_pb2_grpc
from verbatim.v1 import queue_settings_pb2

CALL_TIMEOUT_S = 30
REASON = "soak"


class Operator:
    """Operations that the service does not have are counted, not failed."""

    def __init__(self, server):
        self.server = server
        self.done_count = self.unimplemented_count = 0
        self._turn = 0
        self._channel = None
        self.connect()

    def connect(self):
        """Again after each start of the service: its port is a new one."""
        if self._channel is not None:
            self._channel.close()
        self._channel = grpc.insecure_channel(self.server.endpoint("admin_listen"))
        self.stub = admin_pb2_grpc.QueueAdminStub(self._channel)

    def queues(self):
        """ListQueues, or nothing while the service does not answer."""
        try:
            return self.stub.ListQueues(admin_pb2.ListQueuesRequest(), timeout=CALL_TIMEOUT_S)
        except grpc.RpcError:
            return None

    def configure(self):
        """Poison within seconds instead of the default's many minutes."""
        settings = queue_settings_pb2.QueueSettings(retries=2, retry_cycles=1, retry_cycle_delay_ms=500)
        self._call(lambda: self.stub.ConfigureQueue(
            admin_pb2.ConfigureQueueRequest(queue="troubled", settings=settings, reason=REASON), timeout=CALL_TIMEOUT_S))

    def operate(self, is_last=False):
        """Purges "operated" into its dead letters, or brings them back. At last they are brought back."""
        kinds = admin_pb2.TransferRequest
        is_purge = self._turn % 2 == 0 and not is_last
        self._turn += 1
        request = kinds(kind=kinds.KIND_PURGE if is_purge else kinds.KIND_REDRIVE,
                        queue="operated" if is_purge else "operated;dead-letters", reason=REASON)
        self._call(lambda: list(self.stub.Transfer(request, timeout=CALL_TIMEOUT_S)))

    def _call(self, call):
        try:
            call()
            self.done_count += 1
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                self.unimplemented_count += 1
            elif error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.NOT_FOUND):
                raise
