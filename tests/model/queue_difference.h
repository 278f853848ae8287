// Where the queue and the model disagree, in one sentence; empty where they do not.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "queue/queue_core.h"
#include "tests/model/queue_model.h"

namespace verbatim::queue::model {

// What the messages' numbers stand for.
std::string body_of(uint64_t number);
void fill_put(const Model::PutMessage& message, v1::PutMessage& put);

// Queues, counters, producers; which messages are where, how often they were handed out, and who
// may have them. And that every message which came is here, or has left in a way that is counted.
std::string find_difference(const QueueStore& store, const Model& model);
// What is stored with each message, hops included.
std::string find_difference_in_messages(QueueCore& core, const Model& model);
std::string find_difference(const v1::QueueFrame& reply, const Model::PutReply& expected);
std::string find_difference(const v1::ReceiveReply& reply, const Model::Ids& expected,
                            const Queue& queue);

inline std::string show(const google::protobuf::Message& message) {
  return message.ShortDebugString();
}

}  // namespace verbatim::queue::model
