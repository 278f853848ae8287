// What no single setting shows: settings that contradict each other, folders that cannot be used.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <map>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/config_schema.h"
#include "base/config_security.h"
#include "base/net_address.h"

namespace verbatim::base {
namespace {

// Of two settings that contradict each other, the one to name: the first that was written.
std::string written_of(const ConfigOrigin& origin, const std::string& one,
                       const std::string& other) {
  return !origin.is_written(one) && origin.is_written(other) ? other : one;
}

Status check_at_most(const ConfigOrigin& origin, const std::string& small_key, int64_t small,
                     const std::string& large_key, int64_t large, int64_t divisor) {
  if (small <= large / divisor) return Status::ok_status();
  const std::string part = divisor == 1 ? "" : "1/" + std::to_string(divisor) + " of ";
  return origin.refuse(written_of(origin, small_key, large_key),
                       small_key + "=" + std::to_string(small) + " must be at most " + part +
                           large_key + "=" + std::to_string(large));
}

Status check_sizes(const v1::Config& config, const ConfigOrigin& origin) {
  const v1::Queue& queue = config.queue();
  const v1::Processor& processor = config.processor();
  const std::string message_key = "queue.message_max_bytes";
  const int64_t message_max = queue.message_max_bytes();
  RETURN_IF_ERROR(check_at_most(origin, message_key, message_max, "queue.segment_bytes",
                                queue.segment_bytes(), 16));
  RETURN_IF_ERROR(check_at_most(origin, message_key, message_max, "queue.client_credit_bytes",
                                queue.client_credit_bytes(), 2));
  RETURN_IF_ERROR(check_at_most(origin, "processor.staging_low_bytes",
                                processor.staging_low_bytes(), "processor.staging_high_bytes",
                                processor.staging_high_bytes(), 1));
  // A source sends again at the earliest when its time for an answer is over.
  RETURN_IF_ERROR(check_at_most(origin, "collector.event_deadline_ms",
                                config.collector().event_deadline_ms(),
                                "queue.source_key_window_ms", queue.source_key_window_ms(), 2));
  for (int i = 0; i < config.collector().xcp_size(); ++i) {
    const std::string key = "collector.xcp." + std::to_string(i) + ".stanza_max_bytes";
    const int64_t stanza_max = config.collector().xcp(i).stanza_max_bytes();
    if (stanza_max < message_max) continue;  // what is taken must also fit with its envelope
    return origin.refuse(written_of(origin, key, message_key),
                         "stanza_max_bytes=" + std::to_string(stanza_max) + " must be below " +
                             message_key + "=" + std::to_string(message_max));
  }
  return Status::ok_status();
}

struct Listener {
  std::string key;
  std::string address;
};

std::vector<Listener> listeners_of(const v1::Config& config) {
  const v1::Collector& collector = config.collector();
  std::vector<Listener> all{{"queue.listen", config.queue().listen()},
                            {"queue.admin_listen", config.queue().admin_listen()},
                            {"queue.metrics_listen", config.queue().metrics_listen()},
                            {"collector.admin_listen", collector.admin_listen()},
                            {"collector.metrics_listen", collector.metrics_listen()},
                            {"collector.policies.listen", collector.policies().listen()}};
  if (collector.grpc().enabled())
    all.push_back({"collector.grpc.listen", collector.grpc().listen()});
  if (collector.zmq().enabled()) all.push_back({"collector.zmq.listen", collector.zmq().listen()});
  for (int i = 0; i < collector.xcp_size(); ++i) {
    all.push_back({"collector.xcp." + std::to_string(i) + ".listen", collector.xcp(i).listen()});
  }
  all.push_back({"processor.admin_listen", config.processor().admin_listen()});
  all.push_back({"processor.hub_listen", config.processor().hub_listen()});
  all.push_back({"processor.metrics_listen", config.processor().metrics_listen()});
  return all;
}

// One spelling for each address; empty where the system chooses the port.
std::string normal_address(const std::string& text) {
  Result<NetAddress> address = parse_net_address(text);
  if (!address) return text;
  if (address->kind == NetAddress::Kind::kTcp) {
    if (address->port == 0) return {};
    if (address->host == "localhost") address->host = "127.0.0.1";
  }
  return address->to_zmq();
}

Status check_listeners(const v1::Config& config, const ConfigOrigin& origin) {
  std::map<std::string, std::string> taken;  // address: key
  for (const Listener& listener : listeners_of(config)) {
    const std::string address = normal_address(listener.address);
    if (address.empty()) continue;
    const auto [other, is_new] = taken.emplace(address, listener.key);
    if (is_new) continue;
    const std::string key = written_of(origin, listener.key, other->second);
    return origin.refuse(key, "the address of " +
                                  (key == listener.key ? other->second : listener.key) +
                                  " too: " + listener.address);
  }
  return Status::ok_status();
}

// A queue that is asked of the queue service of this very file must be among its queues.
Status check_queue_name(const v1::Config& config, const ConfigOrigin& origin,
                        const std::string& key, const std::string& name,
                        const std::string& address) {
  const std::string own = normal_address(config.queue().listen());
  const bool is_own = address == "@queue" || (!own.empty() && normal_address(address) == own);
  if (!is_own) return Status::ok_status();
  for (const std::string& queue : config.queue().queues()) {
    if (queue == name) return Status::ok_status();
  }
  return origin.refuse(written_of(origin, key, "queue.queues"),
                       key + "=\"" + name + "\" is not in queue.queues");
}

Status check_queue_names(const v1::Config& config, const ConfigOrigin& origin) {
  for (int i = 0; i < config.queue().queues_size(); ++i) {
    if (!config.queue().queues(i).starts_with("verbatim.")) continue;
    return origin.refuse("queue.queues." + std::to_string(i),
                         "names that begin with 'verbatim.' are the service's own");
  }
  RETURN_IF_ERROR(check_queue_name(config, origin, "collector.queue", config.collector().queue(),
                                   config.collector().queue_address()));
  for (int i = 0; i < config.processor().queues_size(); ++i) {
    const v1::InputQueue& queue = config.processor().queues(i);
    RETURN_IF_ERROR(check_queue_name(config, origin,
                                     "processor.queues." + std::to_string(i) + ".name",
                                     queue.name(), queue.address()));
  }
  return Status::ok_status();
}

}  // namespace

Status check_limits(const google::protobuf::Message& message, const ConfigOrigin& origin) {
  const Status status = check_settings(message, "");
  if (status.ok()) return status;
  const std::string& text = status.message();  // "key: reason"
  return invalid_argument(origin.place_of(text.substr(0, text.find(':'))) + ": " + text);
}

Status check_config(const v1::Config& config, const ConfigOrigin& origin) {
  RETURN_IF_ERROR(check_limits(config, origin));
  RETURN_IF_ERROR(check_sizes(config, origin));
  RETURN_IF_ERROR(check_listeners(config, origin));
  RETURN_IF_ERROR(check_queue_security(config, origin));
  RETURN_IF_ERROR(check_plain_links(config, origin));
  return check_queue_names(config, origin);
}

Status check_own_folders(FileSystem& file_system, const v1::Config& config,
                         const std::string& table, const ConfigOrigin& origin) {
  const auto* own = config.GetDescriptor()->FindFieldByName(table);
  if (own == nullptr) return Status::ok_status();
  const auto& message = config.GetReflection()->GetMessage(config, own);
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const auto& field = *message.GetDescriptor()->field(i);
    if (setting_of(field).kind() != v1::Setting::KIND_DIRECTORY) continue;
    const Status status =
        check_data_dir(file_system, message.GetReflection()->GetString(message, &field));
    if (!status.ok()) return origin.refuse(table + "." + field.name(), status.message());
  }
  return Status::ok_status();
}

Status check_data_dir(FileSystem& file_system, const std::string& directory) {
  const std::string probe = join_path(directory, ".write-test");
  const auto try_out = [&]() -> Status {
    RETURN_IF_ERROR(file_system.create_directories(directory));
    ASSIGN_OR_RETURN(const auto file, file_system.open(probe, OpenMode::kCreateOrOpen));
    const Status written = file->write_at(0, std::string_view("x"));
    // Two services that share a folder may try it out at the same time.
    const Status removed = file_system.remove(probe);
    return removed.ok() || removed.code() == StatusCode::kNotFound ? written : removed;
  };
  const Status status = try_out();
  // A full disk is no wrong folder: who is to drain it must be able to start.
  if (status.ok() || status.code() == StatusCode::kResourceExhausted) return {};
  return failed_precondition("the folder cannot be used path=" + directory + ": " +
                             status.message());
}

}  // namespace verbatim::base
