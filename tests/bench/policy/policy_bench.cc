// verbatim-policy-bench: what one verdict of the shipped policies costs, without the stream.
//
//   verbatim-policy-bench [RULES] [PHRASES]       10000 and 1000 without
//
// Prints a line for each case: the median and the worst of five rounds, in microseconds a verdict.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "adapters/contentfilter/content_filter.h"
#include "adapters/ethicalwall/ethical_wall.h"
#include "base/check.h"
#include "base/log.h"

namespace {

using Clock = std::chrono::steady_clock;
using verbatim::adapters::Policy;

constexpr int kRounds = 5;
constexpr int kVerdicts = 20'000;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

long resident_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

// Of 10,000: 4,000 pairs of addresses, 3,000 pairs of groups, 2,500 pairs of domains, 500
// expressions; the same mix for other counts.
std::string wall_rules(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    const int kind = i % 20;
    const auto sides = [&](const std::string& a, const std::string& b) {
      return "a = { " + a + " }\nb = { " + b + " }\n";
    };
    text += "[[rules]]\nname = \"r" + n + "\"\naction = \"block\"\n";
    if (kind < 8) {
      text += sides("addresses = [\"a" + n + "@research.example\"]",
                    "addresses = [\"b" + n + "@trade.example\"]");
    } else if (kind < 14) {
      text += sides("groups = [\"g" + n + "\"]", "groups = [\"h" + n + "\"]");
    } else if (kind < 19) {
      text += sides("domains = [\"d" + n + ".example\"]", "domains = [\"*.e" + n + ".example\"]");
    } else {
      text += sides("expressions = [\"x" + n + "-.*@contractors\\\\.example\"]",
                    "groups = [\"h" + n + "\"]");
    }
  }
  return text;
}

std::string content_rules(int phrases) {
  std::string text = "[[rules]]\nname = \"phrases\"\naction = \"redact\"\nphrases = [\n";
  for (int i = 0; i < phrases; ++i) {
    text += "  \"project code" + std::to_string(i) + " alpha\",\n";
  }
  text += "]\n[[rules]]\nname = \"numbers\"\naction = \"redact\"\n";
  text += "detectors = [\"card_number\", \"iban\"]\n[[rules]]\nname = \"expressions\"\n";
  text += "action = \"notify\"\nexpressions = [\n";
  for (int i = 0; i < 50; ++i) {
    text += "  \"(confidential|restricted)[- ]case[- ]" + std::to_string(i) + "[0-9]{3}\",\n";
  }
  return text + "]\n";
}

verbatim::v1::Event message(const std::string& text, int sender = 1) {
  verbatim::v1::Event event;
  event.set_id("e");
  event.set_accept_time_unix_ns(1'767'225'600'000'000'000);
  const std::string from = "a" + std::to_string(sender) + "@research.example";
  event.mutable_actor()->set_normalised(from);
  for (int i = 0; i < 5; ++i) event.mutable_actor()->add_groups("g" + std::to_string(sender + i));
  event.add_others()->set_normalised("bob@trade.example");
  for (int i = 0; i < 5; ++i) event.mutable_others(0)->add_groups("k" + std::to_string(i));
  event.mutable_conversation()->set_kind(verbatim::v1::CONVERSATION_KIND_DIRECT);
  event.mutable_conversation()->set_key(from + " bob@trade.example");
  event.mutable_message_posted();
  event.mutable_original_text()->set_plain(text);
  event.set_raw("<message xmlns='jabber:client' type='chat' from='" + from +
                "/phone' to='bob@trade.example' id='abc'><body>" + text +
                "</body><active xmlns='http://jabber.org/protocol/chatstates'/><request "
                "xmlns='urn:xmpp:receipts'/></message>");
  return event;
}

void measure(const char* name, Policy& policy, const std::vector<verbatim::v1::Event>& events,
             verbatim::v1::Decision expected) {
  const std::string profile = "bench";
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    for (int i = 0; i < kVerdicts; ++i) {
      const auto& event = events[static_cast<size_t>(i) % events.size()];
      const auto answer = policy.evaluate({event, profile, {}, {}});
      CHECK(answer.has_value() && answer->decision == expected, "the verdict that was expected");
    }
    rounds.push_back(seconds_since(start) * 1e6 / kVerdicts);
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("policy %s us_per_verdict=%.2f worst_round=%.2f\n", name, rounds[kRounds / 2],
              rounds.back());
}

std::string write(const std::string& path, const std::string& text) {
  const auto status =
      verbatim::base::write_file_atomically(verbatim::base::posix_file_system(), path, text);
  CHECK(status.ok(), "the rule file can be written: " + status.message());
  return path;
}

}  // namespace

int main(int argc, char** argv) {
  const int rules = argc > 1 ? std::atoi(argv[1]) : 10'000;
  const int phrases = argc > 2 ? std::atoi(argv[2]) : 1'000;
  verbatim::ignore_error(verbatim::init_log("policy-bench", "warn"), "only for its output");
  char folder[] = "/tmp/verbatim-policy-bench-XXXXXX";
  CHECK(::mkdtemp(folder) != nullptr, "a folder in /tmp");
  const std::string root = folder;
  auto& files = verbatim::base::posix_file_system();

  verbatim::wall::EthicalWall wall(files, write(root + "/wall.toml", wall_rules(rules)), false);
  auto start = Clock::now();
  CHECK(wall.load().ok(), "the wall's rules are good");
  std::printf("policy wall_load rules=%d seconds=%.2f resident_mib=%ld\n", rules,
              seconds_since(start), resident_mib());
  verbatim::content::ContentFilter filter(
      files, {write(root + "/content.toml", content_rules(phrases)), root, false});
  start = Clock::now();
  const auto status = filter.load();
  CHECK(status.ok(), "the filter's rules are good: " + status.message());
  std::printf("policy filter_load phrases=%d seconds=%.2f resident_mib=%ld\n", phrases,
              seconds_since(start), resident_mib());

  std::vector<verbatim::v1::Event> people;
  for (int i = 0; i < 1'000; ++i) people.push_back(message("hello", i * 7));
  measure("wall_pass", wall, people, verbatim::v1::DECISION_PASS);
  auto walled = message("hello", 0);
  walled.mutable_others(0)->set_normalised("b0@trade.example");
  measure("wall_block", wall, {walled}, verbatim::v1::DECISION_HANDLE);

  std::string words;
  while (words.size() < 200) words += "the quick brown fox of project code jumps over 12 dogs ";
  measure("filter_pass_200b", filter, {message(words)}, verbatim::v1::DECISION_PASS);
  measure("filter_redact_200b", filter, {message(words + "project code7 alpha")},
          verbatim::v1::DECISION_PASS_CHANGED);
  std::string unicode;
  while (unicode.size() < 200)
    unicode +=
        "Stra\xC3\x9F"
        "e \xC3\xBC"
        "ber M\xC3\xBCnchen ";
  measure("filter_pass_200b_unicode", filter, {message(unicode)}, verbatim::v1::DECISION_PASS);
  while (words.size() < 4'000) words += words;
  measure("filter_pass_4k", filter, {message(words.substr(0, 4'000))}, verbatim::v1::DECISION_PASS);
  for (const char* name : {"/wall.toml", "/content.toml"}) {
    verbatim::ignore_error(files.remove(root + name), "only clutter");
  }
  verbatim::ignore_error(files.remove(root), "only clutter");
  return 0;
}
