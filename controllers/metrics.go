package controllers

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The operator's own metrics, by namespace. What controller-runtime measures of passes and queues stands beside them.
var (
	emergenciesActive = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "crmaccess_emergency_grants_active",
		Help: "Emergency grants in force now, which nobody approved beforehand.",
	}, []string{"namespace"})
	emergenciesUnreviewed = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "crmaccess_emergency_grants_unreviewed",
		Help: "Emergency grants in force or over that nobody has reviewed.",
	}, []string{"namespace"})
	awaitingApproval = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "crmaccess_awaiting_approval",
		Help: "People whose access by a UserBinding or TemporaryGrant waits, whole or in part, for approval.",
	}, []string{"namespace"})
	revocationsInForce = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "crmaccess_revocations_in_force",
		Help: "Revocations in force, those whose object is gone among them.",
	}, []string{"namespace"})
	lossHeld = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "crmaccess_brake_held_objects",
		Help: "Objects that are gone and whose end the brake holds.",
	}, []string{"namespace"})
)

// register makes the metrics known to the registry that the manager serves, once a process.
var register = sync.OnceFunc(func() {
	metrics.Registry.MustRegister(emergenciesActive, emergenciesUnreviewed, awaitingApproval, revocationsInForce, lossHeld)
})

// measure sets the metrics of the namespace by what the pass found.
func (p *pass) measure(unreviewed []string) {
	namespace, now := p.tenant.namespace, schedule.At(p.tenant.row.Now)
	active, waiting, inForce, held := 0, 0, 0, 0
	over := make(map[access.Ref]bool)
	for ref, d := range p.declared {
		for _, g := range d.fragment.TemporaryGrants {
			over[ref] = g.Window.Ended(now)
			if g.Emergency && g.Window.Active(now) && slices.ContainsFunc(p.resolution.Admissions[ref], func(a access.Admission) bool { return a.Review }) {
				active++
			}
		}
		if ref.Kind == access.KindRevocation && !p.isLifted(ref) {
			inForce++
		}
	}
	for ref, admissions := range p.resolution.Admissions {
		for _, a := range admissions {
			if (a.State == access.Awaiting || a.State == access.AdmittedInPart) && !a.Review && !over[ref] {
				waiting++
			}
		}
	}
	if p.held != nil {
		held = int(p.held.Total)
	}
	emergenciesActive.WithLabelValues(namespace).Set(float64(active))
	emergenciesUnreviewed.WithLabelValues(namespace).Set(float64(len(unreviewed)))
	awaitingApproval.WithLabelValues(namespace).Set(float64(waiting))
	revocationsInForce.WithLabelValues(namespace).Set(float64(inForce))
	lossHeld.WithLabelValues(namespace).Set(float64(held))
}
