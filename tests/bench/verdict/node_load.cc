#include "tests/bench/verdict/node_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <thread>

#include "collector/sources/xcp/handshake.h"

namespace verbatim::bench {
namespace {

using std::chrono::steady_clock;

constexpr std::string_view kNamespace = "urn:x-verbatim:xcp-event:1";

int dial(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // The sockets interface wants it so.
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(socket, generic, sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

std::string attribute(std::string_view text, std::string_view name) {
  const std::string start = std::string(name) + "='";
  const size_t at = text.find(start);
  if (at == std::string_view::npos) return {};
  const size_t end = text.find('\'', at + start.size());
  return std::string(text.substr(at + start.size(), end - at - start.size()));
}

class NodeLoad {
 public:
  explicit NodeLoad(const NodeLoadOptions& options)
      : options_(options), body_(options.body_bytes, 'x'), boot_(now_us()) {
    // Words, as a filter wants them.
    for (size_t at = 6; at < body_.size(); at += 7) body_[at] = ' ';
  }
  ~NodeLoad() {
    if (socket_ >= 0) ::close(socket_);
  }
  NodeLoad(const NodeLoad&) = delete;
  NodeLoad& operator=(const NodeLoad&) = delete;

  Result<NodeLoadResult> run() {
    RETURN_IF_ERROR(connect());
    due_.resize(options_.count + 1);
    result_.latencies_us.reserve(options_.count);
    const auto begin = steady_clock::now();
    std::thread reader([this] { read_answers(); });
    send_messages(begin);
    wait_for_answers();
    ::shutdown(socket_, SHUT_RDWR);
    reader.join();
    result_.seconds = std::chrono::duration<double>(last_answer_ - begin).count();
    return result_;
  }

 private:
  static int64_t now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  bool read_until(std::string_view word) {
    char buffer[4'096];
    while (input_.find(word) == std::string::npos) {
      const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
      if (count <= 0) return false;
      input_.append(buffer, static_cast<size_t>(count));
    }
    return true;
  }

  Status connect() {
    socket_ = dial(options_.port);
    if (socket_ < 0) return unavailable("nobody listens");
    if (!send_all(socket_,
                  "<?xml version='1.0'?><stream:stream xmlns='jabber:component:connect' "
                  "xmlns:stream='http://etherx.jabber.org/streams' from='" +
                      options_.component + "'>") ||
        !read_until("<stream:stream") || !read_until(" id='") || !read_until(">")) {
      return unavailable("no stream");
    }
    const std::string digest =
        collector::handshake_digest(attribute(input_, " id"), options_.secret);
    if (!send_all(socket_, "<handshake>" + digest + "</handshake>") ||
        !read_until("<handshake/>")) {
      return unauthenticated("no handshake");
    }
    input_.clear();
    return {};
  }

  std::string message(uint64_t number) const {
    const std::string pair = std::to_string(number % options_.pairs);
    const std::string id = std::to_string(number);
    const std::string one = "alice" + pair + "@example.com/phone";
    std::string xml = "<xdb id='";
    xml += id;
    xml += "' type='get' from='jsm-1.bench' to='" + options_.component + "' ns='";
    xml += kNamespace;
    xml += "'><event xmlns='";
    xml += kNamespace;
    xml += "' name='es_OUT' ptype='message' boot='" + std::to_string(boot_) + "' seq='" + id +
           "' actor='" + one + "'><message xmlns='jabber:client' type='chat' id='m" + id +
           "' from='" + one + "' to='bob" + pair + "@example.org'><body>" + body_ +
           "</body></message></event></xdb>";
    return xml;
  }

  void send_messages(steady_clock::time_point begin) {
    std::string batch;
    for (uint64_t number = 1; number <= options_.count; ++number) {
      if (options_.rate > 0) {
        const auto due =
            begin +
            std::chrono::duration_cast<steady_clock::duration>(
                std::chrono::duration<double>(static_cast<double>(number - 1) / options_.rate));
        due_[number] = due;
        std::this_thread::sleep_until(due);
      } else {
        std::unique_lock lock(mutex_);
        if (number - 1 - answered_ >= options_.window && !batch.empty()) {
          lock.unlock();
          if (!send_all(socket_, batch)) return;
          batch.clear();
          lock.lock();
        }
        changed_.wait(lock, [&] { return number - 1 - answered_ < options_.window || is_over_; });
        if (is_over_) return;
        due_[number] = steady_clock::now();
      }
      batch += message(number);
      ++result_.sent;
      if (options_.rate > 0 || batch.size() > 32'768 || number == options_.count) {
        if (!send_all(socket_, batch)) return;
        batch.clear();
      }
    }
  }

  void read_answers() {
    std::vector<char> buffer(262'144);
    while (true) {
      const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (count <= 0) break;
      input_.append(buffer.data(), static_cast<size_t>(count));
      take_answers();
    }
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    changed_.notify_all();
  }

  void take_answers() {
    constexpr std::string_view kEnd = "</xdb>";
    const auto now = steady_clock::now();
    size_t at = 0;
    uint64_t count = 0;
    for (size_t end = input_.find(kEnd); end != std::string::npos; end = input_.find(kEnd, at)) {
      take_answer(std::string_view(input_).substr(at, end - at), now);
      at = end + kEnd.size();
      ++count;
    }
    input_.erase(0, at);
    const std::lock_guard lock(mutex_);
    answered_ += count;
    last_answer_ = now;
    changed_.notify_all();
  }

  void take_answer(std::string_view answer, steady_clock::time_point now) {
    const std::string id = attribute(answer, " id");
    uint64_t number = 0;
    std::from_chars(id.data(), id.data() + id.size(), number);
    if (number == 0 || number >= due_.size()) return;
    result_.latencies_us.push_back(
        std::chrono::duration<double, std::micro>(now - due_[number]).count());
    if (answer.find("type='error'") != std::string_view::npos) {
      ++result_.error;
    } else if (answer.find("<pass") != std::string_view::npos) {
      ++result_.pass;
    } else {
      ++result_.handle;
    }
  }

  void wait_for_answers() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, options_.patience,
                      [this] { return answered_ >= options_.count || is_over_; });
  }

  const NodeLoadOptions options_;
  std::string body_;
  const int64_t boot_;
  int socket_ = -1;
  std::string input_;  // the reader's, once it runs
  // Written before the message is sent, read after its answer has come.
  std::vector<steady_clock::time_point> due_;
  NodeLoadResult result_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t answered_ = 0;
  bool is_over_ = false;
  steady_clock::time_point last_answer_;
};

}  // namespace

Result<NodeLoadResult> run_node_load(const NodeLoadOptions& options) {
  return NodeLoad(options).run();
}

}  // namespace verbatim::bench
