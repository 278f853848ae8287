// MetricFamily: one family of Prometheus metrics under way; a name that ends in "_total" is a
// counter, everything else a gauge. It joins its list when it ends.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

namespace verbatim::base {

class MetricFamily {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  MetricFamily(std::vector<prometheus::MetricFamily>& all, std::string name, std::string help)
      : all_(all) {
    family_.type =
        name.ends_with("_total") ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    family_.name = std::move(name);
    family_.help = std::move(help);
  }
  ~MetricFamily() { all_.push_back(std::move(family_)); }
  MetricFamily(const MetricFamily&) = delete;
  MetricFamily& operator=(const MetricFamily&) = delete;

  MetricFamily& add(double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (family_.type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family_.metric.push_back(std::move(metric));
    return *this;
  }

 private:
  std::vector<prometheus::MetricFamily>& all_;
  prometheus::MetricFamily family_;
};

}  // namespace verbatim::base
