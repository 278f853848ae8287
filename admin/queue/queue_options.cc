#include "admin/queue/queue_options.h"

#include <map>

#include "admin/text.h"
#include "base/hex.h"

namespace verbatim::admin {
namespace {

// What verbatim-queue takes.
constexpr int kRetriesMax = 1'000;

const std::map<std::string, v1::EndReason>& end_reasons() {
  static const std::map<std::string, v1::EndReason> reasons{
      {"poison", v1::END_REASON_POISON},
      {"purged", v1::END_REASON_PURGED},
      {"queue-deleted", v1::END_REASON_QUEUE_DELETED},
      {"moved", v1::END_REASON_MOVED},
      {"abandoned", v1::END_REASON_ABANDONED},
      {"redriven", v1::END_REASON_REDRIVEN},
      {"journaled", v1::END_REASON_JOURNALED}};
  return reasons;
}

// CLI11's form of a check: what is wrong, or nothing.
template <class Value>
std::string complaint(const Result<Value>& result) {
  return result ? std::string() : result.error().message();
}
std::string check_age(const std::string& text) { return complaint(parse_age_ms(text)); }
std::string check_bytes(const std::string& text) { return complaint(parse_bytes(text)); }
std::string check_hex(const std::string& text) { return complaint(base::from_hex(text)); }

int64_t age_ms(const std::string& text) { return text.empty() ? 0 : *parse_age_ms(text); }
std::string bytes_of_hex(const std::string& text) {
  auto bytes = base::from_hex(text);
  return bytes ? *std::move(bytes) : std::string();
}

}  // namespace

void add_reason(CLI::App& verb, std::string& reason) {
  verb.add_option("--reason", reason, "Why; goes into the audit log")
      ->required()
      ->check([](const std::string& text) {
        return text.empty() ? std::string("must not be empty") : std::string();
      });
}

void add_filter(CLI::App& verb, FilterOptions& options) {
  const std::string group = "Which messages (all that is given must hold)";
  CLI::Option* key = verb.add_option("--key", options.key, "This order key, as text");
  key->group(group);
  verb.add_option("--key-hex", options.key_hex, "This order key, as shown")
      ->check(check_hex)
      ->excludes(key)
      ->type_name("HEX")
      ->group(group);
  verb.add_option("--label", options.label, "This label; \"import*\" is what begins so")
      ->group(group);
  verb.add_option("--correlation", options.correlation_hex, "This correlation id")
      ->check(check_hex)
      ->type_name("HEX")
      ->group(group);
  verb.add_option("--source", options.source, "From this source")->group(group);
  verb.add_option("--older-than", options.older_than, "In this queue for longer: 30s, 5m, 2h, 7d")
      ->check(check_age)
      ->type_name("TIME")
      ->group(group);
  verb.add_option("--younger-than", options.younger_than, "In this queue for less")
      ->check(check_age)
      ->type_name("TIME")
      ->group(group);
  std::vector<std::string> words;
  for (const auto& [word, reason] : end_reasons()) words.push_back(word);
  verb.add_option("--end-reason", options.end_reason, "Left the queue before this one so")
      ->check(CLI::IsMember(words))
      ->group(group);
  verb.add_option("--id", options.ids, "This lookup id; may be given several times")
      ->type_name("ID")
      ->group(group);
}

v1::MessageFilter FilterOptions::to_filter() const {
  v1::MessageFilter filter;
  filter.set_order_key(key.empty() ? bytes_of_hex(key_hex) : key);
  filter.set_label(label);
  filter.set_correlation_id(bytes_of_hex(correlation_hex));
  filter.set_source(source);
  filter.set_older_than_ms(age_ms(older_than));
  filter.set_younger_than_ms(age_ms(younger_than));
  if (!end_reason.empty()) filter.set_reason(end_reasons().at(end_reason));
  for (const uint64_t id : ids) filter.add_lookup_ids(id);
  return filter;
}

void add_selection(CLI::App& verb, SelectionOptions& options) {
  add_filter(verb, options.filter);
  verb.add_flag("--all", options.all, "Every message; without a filter it must be said");
  // final_callback runs before a command's own callback.
  verb.parse_complete_callback([&options] {
    const bool has_filter = options.filter.to_filter().ByteSizeLong() > 0;
    if (has_filter == options.all) {
      throw CLI::ValidationError(
          "which messages?", options.all ? "--all and a filter exclude each other"
                                         : "give a filter such as --id or --older-than, or --all");
    }
  });
}

void add_peek_options(CLI::App& verb, PeekOptions& options) {
  verb.add_option("-n,--count", options.count, "How many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  CLI::Option_group* where = verb.add_option_group("Where to begin (one of these)");
  where->require_option(0, 1);
  where->add_flag("--first", options.first, "With the oldest message (the default)");
  where->add_flag("--last", options.last, "With the newest, then backwards");
  where->add_option("--from", options.from, "With this lookup id, or the next that is there")
      ->type_name("ID");
  where->add_option("--next", options.next, "Behind this lookup id")->type_name("ID");
  where->add_option("--previous", options.previous, "Before this lookup id, backwards")
      ->type_name("ID");
  where->add_option("--at", options.at, "This lookup id only")->type_name("ID");
  add_filter(verb, options.filter);
}

v1::PeekRequest PeekOptions::to_request() const {
  v1::PeekRequest request;
  request.set_queue(queue);
  request.set_max_count(count);
  *request.mutable_filter() = filter.to_filter();
  if (first) request.set_direction(v1::PeekRequest::DIRECTION_FIRST);
  if (last) request.set_direction(v1::PeekRequest::DIRECTION_LAST);
  const auto set = [&request](const std::optional<uint64_t>& id,
                              v1::PeekRequest::Direction direction) {
    if (!id) return;
    request.set_from_lookup_id(*id);
    request.set_direction(direction);
  };
  set(from, v1::PeekRequest::DIRECTION_UNSPECIFIED);
  set(next, v1::PeekRequest::DIRECTION_NEXT);
  set(previous, v1::PeekRequest::DIRECTION_PREVIOUS);
  set(at, v1::PeekRequest::DIRECTION_AT);
  return request;
}

void add_settings_options(CLI::App& verb, SettingsOptions& options) {
  const std::string group = "Settings";
  verb.add_option("--quota-messages", options.quota_messages, "High mark in messages; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  verb.add_option("--quota-bytes", options.quota_bytes, "High mark in bytes (10GiB); 0: none")
      ->check(check_bytes)
      ->type_name("SIZE")
      ->group(group);
  verb.add_option("--low-mark", options.low_mark_percent, "Puts go on below so much of it")
      ->check(CLI::Range(1, 100))
      ->type_name("PERCENT")
      ->group(group);
  verb.add_option("--retries", options.retries, "Tries after the first, in each cycle (default: 5)")
      ->check(CLI::Range(0, kRetriesMax))
      ->group(group);
  verb.add_option("--retry-cycles", options.retry_cycles, "Cycles after the first (default: 2)")
      ->check(CLI::Range(0, kRetriesMax))
      ->group(group);
  verb.add_option("--retry-cycle-delay", options.retry_cycle_delay,
                  "What a message waits between two cycles (default: 10m)")
      ->check(check_age)
      ->type_name("TIME")
      ->group(group);
  verb.add_option("--poison-to", options.poison_to, "Where poison goes (default: poison)")
      ->check(CLI::IsMember({"poison", "dead-letters"}))
      ->group(group);
  verb.add_option("--consumers", options.consumers,
                  "shared: keys divided between them; exclusive: one, others stand by")
      ->check(CLI::IsMember({"shared", "exclusive"}))
      ->group(group);
  verb.add_flag("--journal,!--no-journal", options.journal,
                "Keeps a copy of everything consumed, until it is trimmed")
      ->group(group);
  verb.add_option("--journal-quota", options.journal_quota,
                  "At so many bytes of copies commits wait; 0: none")
      ->check(check_bytes)
      ->type_name("SIZE")
      ->group(group);
}

void SettingsOptions::apply(v1::QueueSettings& settings) const {
  if (quota_messages) settings.set_quota_messages(*quota_messages);
  if (!quota_bytes.empty()) settings.set_quota_bytes(*parse_bytes(quota_bytes));
  if (low_mark_percent) settings.set_low_mark_percent(*low_mark_percent);
  if (retries) settings.set_retries(*retries);
  if (retry_cycles) settings.set_retry_cycles(*retry_cycles);
  if (!retry_cycle_delay.empty()) settings.set_retry_cycle_delay_ms(age_ms(retry_cycle_delay));
  if (!poison_to.empty()) {
    settings.set_poison_target(poison_to == "poison"
                                   ? v1::QueueSettings::POISON_TARGET_UNSPECIFIED
                                   : v1::QueueSettings::POISON_TARGET_DEAD_LETTERS);
  }
  if (!consumers.empty()) {
    settings.set_consumer_mode(consumers == "shared" ? v1::QueueSettings::CONSUMER_MODE_UNSPECIFIED
                                                     : v1::QueueSettings::CONSUMER_MODE_EXCLUSIVE);
  }
  if (journal) settings.set_has_journal(*journal);
  if (!journal_quota.empty()) settings.set_journal_quota_bytes(*parse_bytes(journal_quota));
}

}  // namespace verbatim::admin
