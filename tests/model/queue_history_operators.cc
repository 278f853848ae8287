// History: the steps of operators.
#include <algorithm>

#include "tests/model/queue_history_run.h"

namespace verbatim::queue::model {

// --- operators ---

void History::transfer(const Step& step) {
  const std::string from = step.a % 2 == 0 ? any_queue(step.b) : main_queue(step.b);
  const bool is_journal = from.ends_with(";journal");
  std::string to;
  v1::TransferRequest request;
  bool is_ok = true;
  v1::EndReason reason = v1::END_REASON_REDRIVEN;
  if (step.kind == StepKind::kPurge) {
    request.set_kind(v1::TransferRequest::KIND_PURGE);
    reason = v1::END_REASON_PURGED;
    to = Model::sub(from, "dead-letters");
    is_ok = !is_journal && to != from && !model_.is_held(from);
  } else if (step.kind == StepKind::kMove) {
    request.set_kind(v1::TransferRequest::KIND_MOVE);
    reason = v1::END_REASON_MOVED;
    to = main_queue(step.c);
    is_ok = to != from && !model_.queues[to].is_deleting &&
            (!model_.is_held(from) || model_.is_held(to));
    request.set_to_queue(to);
  } else {
    request.set_kind(v1::TransferRequest::KIND_REDRIVE);
    is_ok = !is_journal;
  }
  const std::string order_key = step.c % 3 == 0 ? fmt::format("o{}", step.c / 3 % 3) : "";
  request.set_queue(from);
  request.set_rate_max(1'000'000);
  request.mutable_filter()->set_order_key(order_key);
  tell("{} from={} to={} order_key={}", kind_name(step.kind), from, to, order_key);
  const auto started = core_->start_transfer(request);
  expect(started ? Status() : started.error(), is_ok, "a transfer");
  if (!started || !is_ok || is_dead_) return;
  const uint64_t up_to = model_.queues[from].next_lookup_id - 1;
  settle([&] {
    // It may have been deleted at last.
    if (model_.find(from) != nullptr) model_.transfer(from, to, reason, order_key, up_to);
  });
  if (!is_dead_ && !core_->transfer_progress(*started)->is_done()) fail("a transfer does not end");
}

void History::create_or_delete(const Step& step) {
  const bool is_there = model_.queues.contains("b");
  if (step.kind == StepKind::kCreate) {
    tell("create queue=b");
    v1::CreateQueueRequest request;
    request.set_queue("b");
    if (!is_there) model_.make("b");
    return expect(core_->create_queue(request), !is_there, "the creation of a queue");
  }
  const bool is_forced = step.a % 4 != 0;
  constexpr std::array kSubs = {"poison", "dead-letters", "journal"};
  const bool is_sub = step.c % 3 == 0;
  const std::string name = is_sub ? Model::sub(main_queue(step.b), kSubs[step.b / 3 % 3]) : "b";
  tell("delete queue={}{}", name, is_forced ? " by force" : "");
  v1::DeleteQueueRequest request;
  request.set_queue(name);
  request.set_force(is_forced);
  const Queue* queue = model_.find(name);
  const bool is_ok = queue != nullptr && !model_.is_held(name) &&
                     (queue->messages.empty() || (is_forced && !is_sub));
  if (is_ok) model_.begin_deletion(name);
  const auto deleted = core_->delete_queue(request);
  expect(deleted ? Status() : deleted.error(), is_ok, "a deletion");
  settle();
}

void History::configure(const Step& step) {
  const std::string name = main_queue(step.a);
  v1::ConfigureQueueRequest request;
  request.set_queue(name);
  Settings& settings = model_.queues[name].settings;
  settings.quota_messages = step.b % 4 == 1 ? 5 : 0;
  settings.tries_per_cycle = 1 + static_cast<int64_t>(step.b / 4 % 2);
  settings.cycles = 1 + static_cast<int64_t>(step.c % 3);
  settings.cycle_delay = (step.c / 3 % 2 == 0 ? 0 : 500) * kMillisecond;
  settings.has_journal = step.c / 6 % 2 == 1;
  model_.on_unit();
  request.mutable_settings()->set_quota_messages(settings.quota_messages);
  request.mutable_settings()->set_retries(static_cast<int32_t>(settings.tries_per_cycle - 1));
  request.mutable_settings()->set_retry_cycles(static_cast<int32_t>(settings.cycles - 1));
  request.mutable_settings()->set_retry_cycle_delay_ms(settings.cycle_delay / kMillisecond);
  request.mutable_settings()->set_has_journal(settings.has_journal);
  tell("configure queue={} {}", name, show(request.settings()));
  expect(core_->configure_queue(request), true, "a configuration");
}

void History::switch_queue(const Step& step) {
  using Request = v1::SwitchQueueRequest;
  const std::string name = step.a % 3 == 0 ? any_queue(step.b) : main_queue(step.b);
  constexpr std::array kActions = {Request::ACTION_RESUME,       Request::ACTION_PAUSE_PUTS,
                                   Request::ACTION_RESUME_PUTS,  Request::ACTION_PAUSE_RECEIVES,
                                   Request::ACTION_RELEASE_HOLD, Request::ACTION_HOLD};
  Request request;
  request.set_queue(name);
  request.set_action(kActions[step.c % kActions.size()]);
  Queue& queue = model_.queues[name];
  if (request.action() == Request::ACTION_PAUSE_PUTS) queue.is_put_paused = true;
  if (request.action() == Request::ACTION_PAUSE_RECEIVES) queue.is_receive_paused = true;
  if (request.action() == Request::ACTION_RESUME_PUTS) queue.is_put_paused = false;
  if (request.action() == Request::ACTION_RESUME) {
    queue.is_put_paused = queue.is_receive_paused = false;
  }
  if (request.action() == Request::ACTION_HOLD) queue.is_held = true;
  if (request.action() == Request::ACTION_RELEASE_HOLD) queue.is_held = false;
  model_.on_unit();
  tell("switch queue={} {}", name, Request::Action_Name(request.action()));
  expect(core_->switch_queue(request), true, "a switch");
}

void History::ask_token(const Step& step) {
  const std::string name =
      Model::sub(main_queue(step.a), step.b % 2 == 0 ? "dead-letters" : "poison");
  v1::DestroyDeadLettersRequest request;
  request.set_queue(name);
  const auto answer = core_->destroy_dead_letters(request);
  const bool is_ok = model_.may_destroy(name);
  expect(answer ? Status() : answer.error(), is_ok, "a question for a token");
  if (!answer || !is_ok) return;
  tell("ask for a token queue={} -> {}", name, ids_text(model_.unleased(name)));
  tokens_.push_back({name, answer->token(), model_.unleased(name)});
}

void History::destroy(const Step& step) {
  if (tokens_.empty()) return;
  const Token token = tokens_[step.a % tokens_.size()];
  bool is_ok = model_.may_destroy(token.queue);
  if (is_ok) {
    const Model::Ids there = model_.unleased(token.queue);
    is_ok = std::includes(there.begin(), there.end(), token.ids.begin(), token.ids.end());
  }
  tell("destroy queue={} {}", token.queue, ids_text(token.ids));
  v1::DestroyDeadLettersRequest request;
  request.set_queue(token.queue);
  request.set_token(token.token);
  if (is_ok) {
    model_.destroy(token.queue, token.ids);
    tokens_.clear();
  }
  const auto answer = core_->destroy_dead_letters(request);
  expect(answer ? Status() : answer.error(), is_ok, "a destruction");
}

void History::trim(const Step& step) {
  const std::string name = main_queue(step.a);
  const std::string journal = Model::sub(name, "journal");
  const bool is_ok = model_.queues.contains(journal) && !model_.is_held(journal);
  tell("trim {} up to {}", journal, step.b % 8);
  v1::TrimJournalRequest request;
  request.set_queue(name);
  request.set_up_to_lookup_id(step.b % 8);
  if (is_ok) model_.trim(journal, step.b % 8);
  const auto answer = core_->trim_journal(request);
  expect(answer ? Status() : answer.error(), is_ok, "a trim");
}

}  // namespace verbatim::queue::model
