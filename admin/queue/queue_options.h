// Groups of flags that several commands about queues share, and what they mean.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verbatim/v1/admin.pb.h"

namespace verbatim::admin {

// --reason, which every change needs.
void add_reason(CLI::App& verb, std::string& reason);

// Which messages: all that is given must hold.
struct FilterOptions {
  std::string key;
  std::string key_hex;
  std::string label;
  std::string correlation_hex;
  std::string source;
  std::string older_than;
  std::string younger_than;
  std::string end_reason;
  std::vector<uint64_t> ids;

  // The texts have been checked while parsing.
  v1::MessageFilter to_filter() const;
};
void add_filter(CLI::App& verb, FilterOptions& options);

// A filter, or --all: nobody changes a whole queue by leaving something out.
struct SelectionOptions {
  FilterOptions filter;
  bool all = false;
  v1::MessageFilter to_filter() const { return all ? v1::MessageFilter() : filter.to_filter(); }
};
void add_selection(CLI::App& verb, SelectionOptions& options);

struct PeekOptions {
  std::string queue;
  int count = 20;
  bool first = false;
  bool last = false;
  std::optional<uint64_t> from;
  std::optional<uint64_t> next;
  std::optional<uint64_t> previous;
  std::optional<uint64_t> at;
  FilterOptions filter;

  v1::PeekRequest to_request() const;
};
void add_peek_options(CLI::App& verb, PeekOptions& options);

// Settings of a queue: only what was given is changed.
struct SettingsOptions {
  std::optional<int64_t> quota_messages;
  std::string quota_bytes;
  std::optional<int32_t> low_mark_percent;
  std::optional<int32_t> retries;
  std::optional<int32_t> retry_cycles;
  std::string retry_cycle_delay;
  std::string poison_to;
  std::string consumers;
  std::optional<bool> journal;
  std::string journal_quota;

  void apply(v1::QueueSettings& settings) const;
};
void add_settings_options(CLI::App& verb, SettingsOptions& options);

}  // namespace verbatim::admin
