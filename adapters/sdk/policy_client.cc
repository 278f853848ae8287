#include "adapters/sdk/policy_client.h"

#include <random>
#include <utility>
#include <variant>

#include "adapters/sdk/backoff.h"
#include "adapters/sdk/policy_connection.h"
#include "adapters/sdk/policy_verdict.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/uuid.h"

namespace verbatim::adapters {

struct PolicyClient::State {
  State(Policy& the_policy, PolicyClientOptions the_options)
      : policy(the_policy),
        options(std::move(the_options)),
        instance(base::make_uuid_v7(base::system_clock())),
        backoff(options.reconnect_min, options.reconnect_max, std::random_device()()) {}

  void run();
  // One connection from dialling to its end.
  Status attach();
  Status serve(PolicyConnection& stream);
  Status handle(PolicyConnection& stream, const v1::PolicyWelcome& welcome);
  Status handle(PolicyConnection& stream, const v1::PolicyActivity& activity);
  Status handle(PolicyConnection& stream, const ArrivedQuestion& arrived);
  Status handle(PolicyConnection& stream, const v1::PolicyNotice& notice);
  v1::PolicyVerdict answer(const ArrivedQuestion& arrived);
  v1::PolicyHello make_hello() const;
  void become_inactive();
  bool wait_before_retry(const Status& why);

  Policy& policy;
  const PolicyClientOptions options;
  const std::string instance;
  Backoff backoff;
  bool is_active = false;

  base::Mutex mutex;
  base::CondVar changed;
  bool is_stopping GUARDED_BY(mutex) = false;
  PolicyConnection* connection GUARDED_BY(mutex) = nullptr;
};

PolicyClient::PolicyClient(Policy& policy, PolicyClientOptions options)
    : state_(std::make_unique<State>(policy, std::move(options))) {}
PolicyClient::~PolicyClient() = default;

void PolicyClient::run() { state_->run(); }

void PolicyClient::stop() {
  base::MutexLock lock(state_->mutex);
  if (state_->is_stopping) return;
  state_->is_stopping = true;
  if (state_->connection != nullptr) state_->connection->stop_waiting();
  state_->changed.notify_all();
}

void PolicyClient::State::run() {
  while (true) {
    const auto start = std::chrono::steady_clock::now();
    const Status status = attach();
    become_inactive();
    // A welcome alone proves nothing: a connection that ends at once each time must slow down.
    if (std::chrono::steady_clock::now() - start > options.reconnect_max) backoff.reset();
    if (!wait_before_retry(status)) return;
  }
}

v1::PolicyHello PolicyClient::State::make_hello() const {
  v1::PolicyHello hello;
  hello.set_policy(options.policy);
  hello.set_instance(instance);
  hello.set_is_order_free(options.is_order_free);
  hello.set_rule_set_sha256(policy.rule_set_sha256());
  hello.set_software(options.software);
  return hello;
}

Status PolicyClient::State::attach() {
  ASSIGN_OR_RETURN(const std::string address, options.address());
  PolicyConnection stream(address, static_cast<size_t>(options.credit) * 2);
  {
    base::MutexLock lock(mutex);
    if (is_stopping) return cancelled("stopping");
    connection = &stream;
  }
  Status status = stream.open(make_hello(), options.attach_deadline);
  if (status.ok()) status = serve(stream);
  if (status.code() == StatusCode::kUnavailable) status = stream.end_reason_or(status);
  base::MutexLock lock(mutex);
  connection = nullptr;
  return status;
}

Status PolicyClient::State::serve(PolicyConnection& stream) {
  while (true) {
    Result<PolicyInput> input = stream.next();
    if (!input) {
      if (input.error().code() == StatusCode::kCancelled) stream.finish(options.stop_deadline);
      return input.error();
    }
    RETURN_IF_ERROR(std::visit(
        [this, &stream](const auto& message) { return handle(stream, message); }, *input));
  }
}

Status PolicyClient::State::handle(PolicyConnection& stream, const v1::PolicyWelcome& welcome) {
  RETURN_IF_ERROR(policy.configure(welcome));
  LOG_INFO("attached to the policy broker policy={} collector={} profiles={}", options.policy,
           welcome.collector(), welcome.profiles_size());
  if (welcome.heartbeat_ms() > 0) {
    stream.start_heartbeat(std::chrono::milliseconds(welcome.heartbeat_ms()));
  }
  v1::FromPolicy credit;
  credit.mutable_credit()->set_questions(options.credit);
  return stream.write(credit);
}

Status PolicyClient::State::handle(PolicyConnection&, const v1::PolicyActivity& activity) {
  if (activity.is_active() == is_active) return {};
  LOG_INFO("{} policy={}", activity.is_active() ? "active" : "standing by", options.policy);
  if (!activity.is_active()) {
    become_inactive();
    return {};
  }
  policy.activate();
  is_active = true;
  return {};
}

v1::PolicyVerdict PolicyClient::State::answer(const ArrivedQuestion& arrived) {
  const v1::PolicyQuestion& question = arrived.question;
  if (arrived.deadline <= std::chrono::steady_clock::now()) return too_late_verdict(question);
  PolicyQuestion asked{question.event(), question.profile(), {}, arrived.deadline};
  for (const int decision : question.allowed()) {
    asked.allowed.push_back(static_cast<v1::Decision>(decision));
  }
  return to_verdict(question, policy.evaluate(asked));
}

Status PolicyClient::State::handle(PolicyConnection& stream, const ArrivedQuestion& arrived) {
  v1::FromPolicy message;
  // What was asked before the word that this instance stands by still waits for its answer.
  *message.mutable_verdict() = answer(arrived);
  backoff.reset();
  return stream.write(message);
}

Status PolicyClient::State::handle(PolicyConnection&, const v1::PolicyNotice& notice) {
  policy.notice(notice.event(), notice.profile());
  return {};
}

void PolicyClient::State::become_inactive() {
  if (is_active) policy.deactivate();
  is_active = false;
}

bool PolicyClient::State::wait_before_retry(const Status& why) {
  const auto delay = backoff.next();
  base::MutexLock lock(mutex);
  if (!is_stopping) {
    // Not registered, or a name that is none: a person has to do something.
    const bool is_refused = why.code() == StatusCode::kNotFound ||
                            why.code() == StatusCode::kInvalidArgument ||
                            why.code() == StatusCode::kFailedPrecondition;
    VERBATIM_LOG(is_refused ? LogLevel::kError : LogLevel::kWarn,
                 "not attached to the policy broker policy={} retry_in_ms={}: {}", options.policy,
                 delay.count(), why.to_string());
  }
  return !changed.wait_for(mutex, delay, [this]() REQUIRES(mutex) { return is_stopping; });
}

}  // namespace verbatim::adapters
