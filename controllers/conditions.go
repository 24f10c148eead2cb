package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

const (
	// referenceWaits is how long an unknown reference may still arrive before a person is asked for.
	referenceWaits = 5 * time.Minute
	// unwrittenFor is how long a change may wait for the store before a person is asked for.
	unwrittenFor = 10 * time.Minute
)

// objectFacts are what a status follows from. The functions below are pure: from the same facts follows the same status.
type objectFacts struct {
	now       time.Time
	storeNow  schedule.Instant
	object    v1alpha1.Object
	before    []metav1.Condition // what the object's status says so far
	confers   bool               // somebody who is active holds something because of the object
	invalid   error              // the object cannot be read as a declaration
	findings  []access.Finding
	refused   error // the database would not take the object's rows
	unwritten bool  // the store has been away for too long
	retired   bool

	admissions []access.Admission
	revokedBy  []string        // the revocations that take away something that the object gives
	enforced   *store.Enforced // of an ObjectType whose table is to enforce
	verdict    verdict         // of the objects that judge others: what Ready says where nothing worse is to be said
}

// outcome is a status, and when it changes by itself though nothing happens: after a time by our clock, or at an
// instant by the store's.
type outcome struct {
	status v1alpha1.Status
	until  time.Duration
	at     schedule.Instant
}

// verdict is the reason and message of Ready.
type verdict struct {
	ready   bool
	stalled bool
	reason  string
	message string
	until   time.Duration
}

// status says what there is to say of an object now.
func (f objectFacts) status() outcome {
	window, temporary := f.window()
	v := f.ready(window, temporary)
	s := newStatus(f.object, f.before, f.now)
	s.settle(v)
	next := schedule.Forever
	if temporary && !f.unwritten {
		f.reportActive(s, window)
		next = window.Next(f.storeNow)
	}
	if over := temporary && window.Ended(f.storeNow); !f.unwritten && !f.retired && !over {
		f.reportApproved(s)
		f.reportRevoked(s)
		f.reportEnforced(s)
	}
	return outcome{s.status, v.until, next}
}

// ready goes through what can keep an object from being ready; the first that applies is what Ready says.
func (f objectFacts) ready(window schedule.Window, temporary bool) verdict {
	switch {
	case f.unwritten:
		return verdict{stalled: true, reason: v1alpha1.ReasonStoreUnavailable, message: "the change has not been written for ten minutes: see PermissionStore/default"}
	case f.invalid != nil:
		return verdict{stalled: true, reason: v1alpha1.ReasonInvalid, message: f.invalid.Error()}
	case f.retired:
		return verdict{ready: true, reason: v1alpha1.ReasonRetired, message: "the namespace is retired: the object confers nothing"}
	case f.refused != nil:
		return verdict{stalled: true, reason: v1alpha1.ReasonStoreRefused, message: f.refused.Error()}
	case temporary && window.Ended(f.storeNow):
		return verdict{ready: true, reason: v1alpha1.ReasonExpired, message: "ended at " + window.NotAfter.String()}
	case len(f.findings) > 0 && !f.onlyAdvises():
		return f.found()
	case f.verdict.reason != "":
		return f.verdict
	}
	return f.inForce(window, temporary)
}

// inForce says how it stands with an object that is ready.
func (f objectFacts) inForce(window schedule.Window, temporary bool) verdict {
	v := verdict{ready: true}
	switch {
	case len(f.revokedBy) > 0 && !f.confers:
		v.reason, v.message = v1alpha1.ReasonRevoked, f.revocation()
	case f.waits() != "":
		v.reason, v.message = f.waits(), f.waiting()
	case temporary && f.storeNow < window.NotBefore:
		v.reason, v.message = v1alpha1.ReasonScheduled, "starts at "+window.NotBefore.String()
	case temporary:
		v.reason, v.message = v1alpha1.ReasonActive, "ends at "+window.NotAfter.String()
	default:
		v = f.applied()
	}
	return v
}

// onlyAdvises says whether the findings are for people to judge: the object is in force all the same.
func (f objectFacts) onlyAdvises() bool {
	return !slices.ContainsFunc(f.findings, func(finding access.Finding) bool { return !finding.Advises() })
}

// waits is the reason for which some of what the object gives does not count, or "".
func (f objectFacts) waits() string {
	reason := ""
	for _, a := range f.admissions {
		if a.Review {
			return ""
		}
		switch a.State {
		case access.Refused:
			return v1alpha1.ReasonDenied
		case access.Awaiting:
			reason = v1alpha1.ReasonApprovalPending
		case access.AdmittedInPart:
			if reason == "" {
				reason = v1alpha1.ReasonApprovedInPart
			}
		}
	}
	if reason == v1alpha1.ReasonApprovalPending && f.confers {
		return v1alpha1.ReasonApprovedInPart // some of the users hold it, or a part
	}
	return reason
}

// waiting says who has to do what.
func (f objectFacts) waiting() string {
	var lines []string
	open := slices.DeleteFunc(slices.Clone(f.admissions), func(a access.Admission) bool { return a.State == access.Admitted })
	for _, a := range open[:min(len(open), 5)] {
		line := fmt.Sprintf("waiting for %d of %d approvals, from %s; effect %s", a.Needed-a.Have, a.Needed, cmp.Or(strings.Join(a.From, " or "), "nobody who may"), a.Effect)
		switch a.State {
		case access.Refused:
			line = "an approver has said no; effect " + a.Effect
		case access.AdmittedInPart:
			line = "what was approved counts, the rest is " + line
		}
		if len(f.admissions) > 1 {
			line = a.User + ": " + line
		}
		lines = append(lines, line)
	}
	if more := len(open) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more users", more))
	}
	return strings.Join(lines, "; ")
}

func (f objectFacts) reportApproved(s *statusBuilder) {
	unreviewed := slices.ContainsFunc(f.admissions, func(a access.Admission) bool { return a.Review && a.State != access.Admitted })
	switch reason := f.waits(); {
	case unreviewed:
		s.set(v1alpha1.ConditionApproved, metav1.ConditionFalse, v1alpha1.ReasonEmergencyUnreviewed, "in force without approval, and to be reviewed: "+f.waiting())
	case reason != "":
		s.set(v1alpha1.ConditionApproved, metav1.ConditionFalse, reason, f.waiting())
	case len(f.admissions) > 0:
		s.set(v1alpha1.ConditionApproved, metav1.ConditionTrue, v1alpha1.ReasonApproved, "whoever must approve has done so")
	}
}

func (f objectFacts) reportRevoked(s *statusBuilder) {
	if len(f.revokedBy) > 0 {
		s.set(v1alpha1.ConditionRevoked, metav1.ConditionTrue, v1alpha1.ReasonRevoked, f.revocation())
	}
}

func (f objectFacts) revocation() string {
	return "ended by revocation " + firstOf(f.revokedBy)
}

func (f objectFacts) window() (schedule.Window, bool) {
	g, ok := f.object.(*v1alpha1.TemporaryGrant)
	if !ok || f.invalid != nil {
		return schedule.Window{}, false
	}
	window := schedule.Window{NotBefore: schedule.Always, NotAfter: schedule.Always}
	if i, err := schedule.Parse(string(g.Spec.NotBefore)); err == nil {
		window.NotBefore = i
	}
	if i, err := schedule.Parse(string(g.Spec.NotAfter)); err == nil {
		window.NotAfter = i
	}
	return window, true
}

func (f objectFacts) reportActive(s *statusBuilder, window schedule.Window) {
	switch {
	case f.retired:
		s.set(v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonRetired, "the namespace is retired")
	case window.Ended(f.storeNow):
		s.set(v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonExpired, "ended at "+window.NotAfter.String())
	case f.storeNow < window.NotBefore:
		s.set(v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonScheduled, "starts at "+window.NotBefore.String())
	case f.confers:
		s.set(v1alpha1.ConditionActive, metav1.ConditionTrue, v1alpha1.ReasonActive, "the users hold the access until "+window.NotAfter.String())
	case len(f.revokedBy) > 0:
		s.set(v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonRevoked, f.revocation())
	case f.waits() != "":
		s.set(v1alpha1.ConditionActive, metav1.ConditionFalse, f.waits(), f.waiting())
	case f.refused != nil:
		s.set(v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonStoreRefused, "nobody holds the access: see Ready")
	case len(f.findings) > 0:
		s.set(v1alpha1.ConditionActive, metav1.ConditionFalse, string(f.findings[0].Reason), "nobody holds the access: see Ready")
	default:
		s.set(v1alpha1.ConditionActive, metav1.ConditionFalse, v1alpha1.ReasonSuspended, "nobody holds the access: no user of the grant is active")
	}
}

// found says what does not compile. A reference may still arrive; anything else needs a person at once.
func (f objectFacts) found() verdict {
	first, waits := f.findings[0], true
	for _, finding := range f.findings {
		if waits && !finding.Waits() {
			first, waits = finding, false
		}
	}
	v := verdict{reason: string(first.Reason), message: sentences(f.findings)}
	if !waits {
		v.stalled = true
		return v
	}
	since := f.now
	for _, kind := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		c := conditionOf(f.before, kind)
		// What was said of a former text gives no time to this one, and takes none.
		if c != nil && c.Reason == v.reason && c.ObservedGeneration == f.object.GetGeneration() && !c.LastTransitionTime.Time.After(since) {
			since = c.LastTransitionTime.Time
			v.stalled = v.stalled || kind == v1alpha1.ConditionStalled
		}
	}
	if left := referenceWaits - f.now.Sub(since); left > 0 && !v.stalled {
		v.until = left
	} else {
		v.stalled = true
	}
	return v
}

// sentences lists findings; the message ends at a few, with a total.
func sentences(findings []access.Finding) string {
	var lines []string
	for _, finding := range findings[:min(len(findings), 5)] {
		lines = append(lines, fmt.Sprintf("spec.%s: %s", finding.Field, finding.Message))
	}
	if more := len(findings) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "; ")
}

// applied is what is said of an object whose rows are in the store.
func (f objectFacts) applied() verdict {
	v := verdict{ready: true, reason: v1alpha1.ReasonApplied, message: "the permission store holds what the object asks for"}
	if len(f.findings) > 0 { // they advise
		v.reason, v.message = string(f.findings[0].Reason), sentences(f.findings)
	}
	switch o := f.object.(type) {
	case *v1alpha1.User:
		switch access.UserState(o.Spec.State) {
		case access.StateDeparted:
			v.reason, v.message = v1alpha1.ReasonDeparted, "nothing confers access to this user"
			if o.Spec.Successor != "" {
				v.message += fmt.Sprintf("; the successor is %s", o.Spec.Successor)
			}
		case access.StateSuspended:
			v.reason, v.message = v1alpha1.ReasonSuspended, "nothing confers access to this user while suspended"
		}
	case *v1alpha1.ObjectType:
		if o.Spec.State == v1alpha1.StateDisabled {
			v.reason, v.message = v1alpha1.ReasonDisabled, "every action on the object is denied"
		}
	}
	return v
}

// storeFacts are what the PermissionStore's status follows from.
type storeFacts struct {
	now     time.Time
	ps      *v1alpha1.PermissionStore
	before  []metav1.Condition
	trouble *trouble
	doubt   error
	held    *v1alpha1.Held
	shaken  bool // what the objects stood on was made anew
	drift   int
	refused int
	retired bool

	unguarded   string   // why approvals that are made now do not count
	emergencies []string // the emergency grants that nobody has reviewed
	orphans     []string // the revocations in force whose object is gone
	removals    []string // the guardrails in force whose object is gone
}

func (f storeFacts) status() v1alpha1.Status {
	var v verdict
	switch {
	case f.trouble != nil:
		v = verdict{reason: f.trouble.reason, message: f.trouble.message, stalled: f.trouble.person || f.now.Sub(f.trouble.since) >= unwrittenFor}
	case f.held != nil:
		if f.held.People == 0 {
			v = verdict{stalled: true, reason: v1alpha1.ReasonBrakeHeld, message: fmt.Sprintf(
				"%d guardrails are gone and stay in force: restore them, let their removal be approved, or set spec.brake.release to %s: %s", f.held.Total, f.held.Digest, firstOf(f.removals))}
			break
		}
		why := "more than brake.people allows within ten minutes"
		if f.shaken {
			why = "and the PermissionStore or the definition of their kind was made anew since they were seen"
		}
		v = verdict{stalled: true, reason: v1alpha1.ReasonBrakeHeld, message: fmt.Sprintf(
			"%d objects are gone and %d people would lose access, %s: restore the objects, or set spec.brake.release to %s", f.held.Total, f.held.People, why, f.held.Digest)}
	case f.doubt != nil:
		v = verdict{reason: v1alpha1.ReasonAbsenceNotBelieved, message: "nobody loses access because objects are not seen: " + f.doubt.Error()}
	case f.retired:
		v = verdict{ready: true, reason: v1alpha1.ReasonRetired, message: "nobody has access in this namespace"}
	case f.drift > 0:
		v = verdict{ready: true, reason: v1alpha1.ReasonDriftFound, message: fmt.Sprintf("%d rows are not as declared and are left, since drift.mode is Observe", f.drift)}
	case f.refused > 0:
		v = verdict{ready: true, reason: v1alpha1.ReasonConnected, message: fmt.Sprintf("the database refuses the rows of %d objects: see their status", f.refused)}
	default:
		v = verdict{ready: true, reason: v1alpha1.ReasonConnected, message: "the store holds what this namespace declares"}
	}
	s := newStatus(f.ps, f.before, f.now)
	s.settle(v)
	switch {
	case f.unguarded != "":
		s.set(v1alpha1.ConditionApproved, metav1.ConditionFalse, v1alpha1.ReasonAdmissionNotInForce, f.unguarded)
	case len(f.emergencies) > 0:
		s.set(v1alpha1.ConditionApproved, metav1.ConditionFalse, v1alpha1.ReasonEmergencyUnreviewed, fmt.Sprintf(
			"%d emergency grants wait for review: %s", len(f.emergencies), firstOf(f.emergencies)))
	}
	if len(f.orphans) > 0 {
		s.set(v1alpha1.ConditionRevoked, metav1.ConditionTrue, v1alpha1.ReasonInForce, fmt.Sprintf(
			"%d revocations whose object is gone stay in force: %s", len(f.orphans), firstOf(f.orphans)))
	}
	return s.status
}

// firstOf lists as many as a status may.
func firstOf(lines []string) string {
	text := strings.Join(lines[:min(len(lines), maxListed)], ", ")
	if more := len(lines) - maxListed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// statusBuilder makes a status and keeps the transition times of conditions that stay.
type statusBuilder struct {
	before []metav1.Condition
	now    metav1.Time
	status v1alpha1.Status
}

func newStatus(object v1alpha1.Object, before []metav1.Condition, now time.Time) *statusBuilder {
	return &statusBuilder{
		before: before,
		now:    metav1.NewTime(now.Truncate(time.Second)),
		status: v1alpha1.Status{ObservedGeneration: object.GetGeneration()},
	}
}

// settle sets Ready, and Stalled or Reconciling where it is not.
func (s *statusBuilder) settle(v verdict) {
	if v.ready {
		s.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v.reason, v.message)
		return
	}
	s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, v.reason, v.message)
	if v.stalled {
		s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, v.reason, v.message)
	} else {
		s.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v.reason, v.message)
	}
}

func (s *statusBuilder) set(kind string, status metav1.ConditionStatus, reason, message string) {
	c := metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: shorten(strings.ReplaceAll(message, "\n", "; "), 4000),
		ObservedGeneration: s.status.ObservedGeneration, LastTransitionTime: s.now,
	}
	// Reconciling and Stalled are about one text of the object; another text begins anew.
	lasting := kind != v1alpha1.ConditionReconciling && kind != v1alpha1.ConditionStalled
	was := conditionOf(s.before, kind)
	if was != nil && was.Status == status && was.LastTransitionTime.Year() > 1970 && (lasting || was.ObservedGeneration == c.ObservedGeneration) {
		c.LastTransitionTime = was.LastTransitionTime
	}
	s.status.Conditions = append(s.status.Conditions, c)
}

func conditionOf(conditions []metav1.Condition, kind string) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}
