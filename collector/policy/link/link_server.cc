#include "collector/policy/link/link_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file_system.h"
#include "base/log.h"
#include "base/xml_stream_parser.h"
#include "collector/policy/link/link_codec.h"
#include "collector/sources/xcp/handshake.h"
#include "collector/sources/xcp/tcp.h"

namespace verbatim::collector {
namespace {

constexpr int kCredit = 1'000;
constexpr int kSilentBeats = 3;
constexpr std::chrono::milliseconds kHandshakeTimeout{10'000};
constexpr std::string_view kStreams = "http://etherx.jabber.org/streams";

Result<std::string> read_secret(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return not_found("the secret file is not there");
  if ((info.st_mode & 077U) != 0) return permission_denied("others may read the secret file");
  ASSIGN_OR_RETURN(std::string secret, base::posix_file_system().read_file(path));
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  return secret;
}

bool wait_for(int socket, short events, std::chrono::milliseconds time) {
  pollfd entry{.fd = socket, .events = events, .revents = 0};
  return ::poll(&entry, 1, static_cast<int>(time.count())) > 0;
}

// The link has no heartbeat of its own: the kernel asks whether the peer's host is still there.
// Both kinds of silence are bounded, that after bytes of ours and that of an idle link.
void watch_peer(const FileDescriptor& socket, std::chrono::milliseconds heartbeat) {
  const int on = 1;
  const int interval_s = std::max(1, static_cast<int>(heartbeat.count() / 1'000));
  const auto silence_ms = static_cast<unsigned>(kSilentBeats * interval_s * 1'000);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPIDLE, &interval_s, sizeof interval_s);
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
}

FileDescriptor connect_one(const addrinfo& address, const LinkServerOptions& options) {
  FileDescriptor socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) return {};
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  watch_peer(socket, options.heartbeat);
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return socket;
  if (errno != EINPROGRESS || !wait_for(socket.get(), POLLOUT, options.connect_timeout)) {
    return {};
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? std::move(socket) : FileDescriptor();
}

FileDescriptor dial(const LinkServerOptions& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(options.host.c_str(), std::to_string(options.port).c_str(), &hints, &found) !=
      0) {
    return {};
  }
  FileDescriptor socket;
  for (const addrinfo* one = found; one != nullptr && !socket.is_open(); one = one->ai_next) {
    socket = connect_one(*one, options);
  }
  ::freeaddrinfo(found);
  return socket;
}

}  // namespace

// One connection.
class LinkServer::Stream {
 public:
  Stream(FileDescriptor socket, const std::atomic<bool>& is_over)
      : socket_(std::move(socket)), is_over_(is_over), parser_(base::XmlStreamLimits{}) {}

  // Waits while the peer takes nothing, at most ten seconds.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!wait_for(socket_.get(), POLLOUT, kHandshakeTimeout)) return false;
      const int64_t count = write_tcp(socket_, bytes);
      if (count < 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }

  // The next item; nothing where the time is over or the connection is (is_open() tells).
  std::optional<base::XmlStreamItem> next(std::chrono::milliseconds time) {
    if (auto item = parser_.next()) return item;
    if (!wait_for(socket_.get(), POLLIN, time)) return {};
    char buffer[16'384];
    const TcpRead got = read_tcp(socket_, buffer, sizeof buffer);
    if (got.is_closed || !parser_.feed({buffer, got.size})) is_open_ = false;
    return parser_.next();
  }
  bool is_open() const { return is_open_ && !is_over_; }
  // Ends whatever waits for the peer; from any thread.
  void shut_down() const { ::shutdown(socket_.get(), SHUT_RDWR); }

 private:
  FileDescriptor socket_;
  const std::atomic<bool>& is_over_;
  base::XmlStreamParser parser_;
  bool is_open_ = true;
};

namespace {

// Until something of the kind comes: an element, or the reason why there is none.
template <class Stream>
Result<base::XmlElement> await(Stream& stream, base::XmlStreamItem::Kind kind) {
  const auto end = std::chrono::steady_clock::now() + kHandshakeTimeout;
  while (stream.is_open() && std::chrono::steady_clock::now() < end) {
    auto item = stream.next(std::chrono::milliseconds(200));
    if (!item) continue;
    if (item->kind != kind) return unavailable("the server ended its stream");
    if (item->element.is("error", kStreams)) {
      const base::XmlElement* const condition = item->element.first_child();
      return unauthenticated("the server answered " +
                             (condition == nullptr ? std::string("an error") : condition->name()));
    }
    return std::move(item->element);
  }
  return unavailable("the server closed or did not answer the handshake");
}

}  // namespace

LinkServer::LinkServer(LinkServerOptions options, PolicyChain& chain)
    : options_(std::move(options)), chain_(chain), thread_([this] { run(); }) {}

LinkServer::~LinkServer() {
  is_over_ = true;
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    wakes_.notify_all();
  }
  thread_.join();
}

bool LinkServer::wait(std::chrono::milliseconds time) {
  base::MutexLock lock(mutex_);
  return wakes_.wait_for(mutex_, time, [this]() REQUIRES(mutex_) { return is_stopping_; });
}

void LinkServer::run() {
  std::string last;
  do {
    std::string reason = serve();
    if (reason != last) LOG_WARN("compliance server={} link gone reason={}", options_.name, reason);
    chain_.note_link(options_.name, false, reason);
    last = std::move(reason);
  } while (!wait(options_.redial_after));
}

std::string LinkServer::serve() {
  const auto secret = read_secret(options_.secret_file);
  if (!secret.has_value()) return secret.error().message();
  FileDescriptor socket = dial(options_);
  if (!socket.is_open()) return "unable to connect";
  Stream stream(std::move(socket), is_over_);
  chain_.note_link(options_.name, true, "connected, not authenticated");
  const std::string header =
      "<?xml version='1.0'?><stream:stream xmlns='jabber:component:connect' xmlns:stream='" +
      std::string(kStreams) + "' from='" + base::escape_xml(options_.component, true) + "'>";
  if (!stream.send(header)) return "the connection broke";
  const auto answer = await(stream, base::XmlStreamItem::Kind::kHeader);
  if (!answer.has_value()) return answer.error().message();
  const std::string digest = handshake_digest(answer->attribute("id"), *secret);
  if (!stream.send("<handshake>" + digest + "</handshake>")) return "the connection broke";
  const auto accepted = await(stream, base::XmlStreamItem::Kind::kStanza);
  if (!accepted.has_value()) return accepted.error().message();
  if (accepted->name() != "handshake") return "the server did not answer the handshake";

  v1::PolicyHello hello;
  hello.set_policy(options_.name);
  hello.set_instance(options_.host + ":" + std::to_string(options_.port));
  hello.set_software("component link");
  const auto session = std::make_shared<PolicySession>(hello);
  session->set_on_close([&stream] { stream.shut_down(); });
  std::string reason = "the connection broke";
  if (const Status status = chain_.attach(session, v1::ComplianceServer::KIND_LINK); !status.ok()) {
    return status.message();
  }
  std::thread writer([&] {
    for (auto batch = session->next(); !batch.empty(); batch = session->next()) {
      std::string text;
      for (const auto& outgoing : batch) {
        if (outgoing.subject == nullptr) continue;
        text += link_request(*outgoing.subject, outgoing.message.question().question(),
                             options_.component);
      }
      if (!stream.send(text)) session->close(cancelled("the server takes nothing"));
    }
  });
  v1::FromPolicy credit;
  credit.mutable_credit()->set_questions(kCredit);
  chain_.receive(session, credit);
  bool is_graceful = false;
  while (stream.is_open() && !session->is_closed() && !is_graceful) {
    const auto item = stream.next(options_.heartbeat);
    v1::FromPolicy message;
    message.mutable_heartbeat();  // the link has none of its own: it is there
    if (item && item->kind == base::XmlStreamItem::Kind::kEnd) is_graceful = true;
    if (item && item->kind == base::XmlStreamItem::Kind::kStanza && item->element.name() == "xdb") {
      if (auto verdict = link_verdict(item->element)) *message.mutable_verdict() = *verdict;
    }
    chain_.receive(session, message);
  }
  if (is_graceful) reason = "the server ended its stream";
  session->set_on_close(nullptr);
  session->close(cancelled("the link has ended"));
  writer.join();
  ignore_error(stream.send("</stream:stream>") ? Status() : unavailable("gone"), "the last word");
  chain_.detach(session, is_graceful);
  return reason;
}

}  // namespace verbatim::collector
