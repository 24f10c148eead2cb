package follow

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Metrics are those of all followers of a process. No label names a person.
type Metrics struct {
	revision, seen *prometheus.GaugeVec
	loads          *prometheus.CounterVec
	loadSeconds    prometheus.Histogram
	looks          *prometheus.CounterVec
	differences    *prometheus.CounterVec
	refusals       *prometheus.CounterVec
}

// NewMetrics makes the metrics known to a registry.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		revision: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "crmaccess_snapshot_revision",
			Help: "The revision that is answered from, without its epoch.",
		}, []string{"namespace"}),
		seen: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "crmaccess_snapshot_seen_timestamp_seconds",
			Help: "When the store was last seen to hold what is answered from; the age is time() minus this.",
		}, []string{"namespace"}),
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crmaccess_snapshot_loads_total",
			Help: "Loads of a tenant, by outcome: loaded, refused (it must not be answered from) or failed (the store could not be read).",
		}, []string{"namespace", "outcome"}),
		loadSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "crmaccess_snapshot_load_seconds",
			Help:    "Reading and compiling a tenant, whole or what was committed.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crmaccess_snapshot_looks_total",
			Help: "Looks at the store, by outcome: seen or failed.",
		}, []string{"outcome"}),
		differences: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crmaccess_snapshot_differences_total",
			Help: "Whole loads that found something else than what commits had made of an earlier one.",
		}, []string{"namespace"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crmaccess_snapshot_refusals_total",
			Help: "Questions that were not answered, by reason: age, clock or state (what the store holds must not be answered from).",
		}, []string{"reason"}),
	}
	registry.MustRegister(m.revision, m.seen, m.loads, m.loadSeconds, m.looks, m.differences, m.refusals)
	return m
}

func (m *Metrics) published(tenant string, revision store.Revision, seen time.Time) {
	m.revision.WithLabelValues(tenant).Set(float64(revision.Number))
	m.confirmed(tenant, seen)
}

func (m *Metrics) confirmed(tenant string, seen time.Time) {
	m.seen.WithLabelValues(tenant).Set(float64(seen.UnixMilli()) / 1000)
}

func (m *Metrics) loaded(tenant string, err error, took time.Duration) {
	outcome := "loaded"
	switch {
	case isDoubt(err):
		outcome = "refused"
	case err != nil:
		outcome = "failed"
	}
	m.loads.WithLabelValues(tenant, outcome).Inc()
	m.loadSeconds.Observe(took.Seconds())
}

func (m *Metrics) differed(tenant string) { m.differences.WithLabelValues(tenant).Inc() }

func (m *Metrics) looked(err error) {
	outcome := "seen"
	if err != nil {
		outcome = "failed"
	}
	m.looks.WithLabelValues(outcome).Inc()
}

func (m *Metrics) refused(err error) {
	reason := "clock"
	switch {
	case isDoubt(err):
		reason = "state"
	case errors.Is(err, errTooOld):
		reason = "age"
	}
	m.refusals.WithLabelValues(reason).Inc()
}
