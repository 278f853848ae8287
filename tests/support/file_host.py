"""A web server that gives files as a test wants it: well, late, too much, not at all. http and https, on loopback.

    with FileHost(folder) as host:
        host.files["/a.pdf"] = Answer(b"content", "application/pdf")
        host.url("/a.pdf"), host.url("/a.pdf", tls=True), host.ca_file
"""
import collections
import http.server
import os
import shutil
import ssl
import subprocess
import threading
from dataclasses import dataclass, field


@dataclass
class Answer:
    content: bytes = b""
    media_type: str = "application/octet-stream"
    status: int = 200
    # Statuses given before this one, one a request.
    first: list = field(default_factory=list)
    location: str = ""
    # Says no length and goes on for ever.
    is_endless: bool = False
    # Says nothing until the host closes.
    is_silent: bool = False
    # Called before the answer is given.
    on_asked: object = None


class FileHost:
    def __init__(self, folder):
        self.folder = folder
        self.files = {}
        self.asked = collections.Counter()
        self.is_over = threading.Event()
        self.servers = []

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        self.ca_file = os.path.join(self.folder, "ca.pem")
        self._make_certificates()
        self.http = self._serve(None)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(self.folder, "host.pem"), os.path.join(self.folder, "host.key"))
        self.https = self._serve(context)
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, path, tls=False, host="localhost"):
        server = self.https if tls else self.http
        return f"{'https' if tls else 'http'}://{host}:{server.server_address[1]}{path}"

    def hosts(self):
        return [f"localhost:{server.server_address[1]}" for server in (self.http, self.https)]

    def _make_certificates(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "host.key", "-out", "host.csr")
        with open(os.path.join(self.folder, "names"), "w", encoding="utf-8") as file:
            file.write("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", "host.pem")

    def _serve(self, context, address=("127.0.0.1", 0)):
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host.asked[self.path] += 1
                host.give(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # clients that go away are what is tested

            def finish_request(self, request, client_address):
                # The handshake is the connection's own thread's.
                super().finish_request(context.wrap_socket(request, server_side=True) if context else request, client_address)

        server = Server(address, Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.servers.append(server)
        return server

    def give(self, handler):
        answer = self.files.get(handler.path, Answer(status=404))
        if answer.on_asked:
            answer.on_asked()
        if answer.is_silent:
            self.is_over.wait()
            return
        status = answer.first.pop(0) if answer.first else answer.status
        handler.send_response(status)
        if answer.location:
            handler.send_header("Location", answer.location)
        handler.send_header("Content-Type", answer.media_type)
        if not answer.is_endless:
            handler.send_header("Content-Length", str(len(answer.content)))
        handler.end_headers()
        handler.wfile.write(answer.content)
        while answer.is_endless and not self.is_over.is_set():
            handler.wfile.write(answer.content)
