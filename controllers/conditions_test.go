package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// say is a status in short: "Ready=True/Applied Active=…".
func say(s v1alpha1.Status) string {
	var parts []string
	for _, c := range s.Conditions {
		parts = append(parts, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(parts, " ")
}

func role(generation int64) *v1alpha1.Role {
	return &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Name: "rep", Generation: generation}}
}

func grantFrom(from, until time.Time) *v1alpha1.TemporaryGrant {
	g := &v1alpha1.TemporaryGrant{ObjectMeta: metav1.ObjectMeta{Name: "g", Generation: 1}}
	g.Spec.NotBefore, g.Spec.NotAfter = v1alpha1.Instant(from.Format(time.RFC3339)), v1alpha1.Instant(until.Format(time.RFC3339))
	return g
}

func unknown() []access.Finding {
	return []access.Finding{{Reason: access.ReasonUnknownReference, Field: "roles[0]", Message: `unknown role "x": it confers nothing`}}
}

func TestAnUnknownReferenceWaitsFiveMinutesAndThenStalls(t *testing.T) {
	object := role(1)
	var before []metav1.Condition
	at := func(after time.Duration) outcome {
		f := objectFacts{now: noon.Add(after), object: object, before: before, findings: unknown()}
		o := f.status()
		before = o.status.Conditions
		return o
	}
	const waits, stalls = "Ready=False/UnknownReference Reconciling=True/UnknownReference", "Ready=False/UnknownReference Stalled=True/UnknownReference"
	for _, step := range []struct {
		after, until time.Duration
		want         string
	}{
		{0, 5 * time.Minute, waits}, {time.Minute, 4 * time.Minute, waits}, {5*time.Minute - time.Second, time.Second, waits},
		{5 * time.Minute, 0, stalls}, {6 * time.Minute, 0, stalls}, {time.Hour, 0, stalls},
	} {
		o := at(step.after)
		if got := say(o.status); got != step.want || o.until != step.until {
			t.Errorf("after %s: %s, again after %s; want %s, %s", step.after, got, o.until, step.want, step.until)
		}
		if !strings.Contains(o.status.Conditions[0].Message, `spec.roles[0]: unknown role "x"`) {
			t.Errorf("message %q", o.status.Conditions[0].Message)
		}
	}
	object = role(2) // another text has its own five minutes
	if o := at(2 * time.Hour); say(o.status) != waits || o.until != 5*time.Minute {
		t.Errorf("a new text: %s, again after %s", say(o.status), o.until)
	}
	if o := at(2*time.Hour + 5*time.Minute); say(o.status) != stalls {
		t.Errorf("a new text, five minutes on: %s", say(o.status))
	}
}

func TestWhatNeedsAPersonStallsAtOnce(t *testing.T) {
	for _, reason := range []access.Reason{access.ReasonInheritanceCycle, access.ReasonInvalid, access.ReasonAbstractRole, access.ReasonReferenceCycle} {
		findings := append(unknown(), access.Finding{Reason: reason, Field: "x", Message: "m"})
		got := say(objectFacts{now: noon, object: role(1), findings: findings}.status().status)
		if want := fmt.Sprintf("Ready=False/%[1]s Stalled=True/%[1]s", reason); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTheStatusOfATemporaryGrant(t *testing.T) {
	minute := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	for name, c := range map[string]struct {
		from, until int
		facts       objectFacts
		want        string
		next        int // minute; -1 is never
	}{
		"before":               {1, 2, objectFacts{confers: true}, "Ready=True/Scheduled Active=False/Scheduled", 1},
		"at its start":         {0, 2, objectFacts{confers: true}, "Ready=True/Active Active=True/Active", 2},
		"at its end":           {-5, 0, objectFacts{}, "Ready=True/Expired Active=False/Expired", -1},
		"with nobody active":   {-1, 2, objectFacts{}, "Ready=True/Active Active=False/Suspended", 2},
		"with a fault":         {-1, 2, objectFacts{findings: unknown()}, "Ready=False/UnknownReference Reconciling=True/UnknownReference Active=False/UnknownReference", 2},
		"with a fault in part": {-1, 2, objectFacts{findings: unknown(), confers: true}, "Ready=False/UnknownReference Reconciling=True/UnknownReference Active=True/Active", 2},
		"ended with a fault":   {-5, -1, objectFacts{findings: unknown()}, "Ready=True/Expired Active=False/Expired", -1},
		"retired":              {-1, 2, objectFacts{retired: true}, "Ready=True/Retired Active=False/Retired", 2},
		"refused":              {-1, 2, objectFacts{refused: errors.New("no")}, "Ready=False/StoreRefused Stalled=True/StoreRefused Active=False/StoreRefused", 2},
	} {
		f := c.facts
		f.now, f.storeNow, f.object = noon, schedule.At(noon), grantFrom(minute(c.from), minute(c.until))
		o := f.status()
		if got := say(o.status); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		want := schedule.Forever
		if c.next >= 0 {
			want = schedule.At(minute(c.next))
		}
		if o.at != want {
			t.Errorf("%s: changes at %s, want %s", name, o.at, want)
		}
	}
}

func TestAWindowThatEndsBeforeItStartsIsInvalid(t *testing.T) {
	g := grantFrom(noon.Add(time.Hour), noon.Add(time.Minute))
	g.Spec.Users, g.Spec.Roles, g.Spec.Reason = []v1alpha1.Reference{"ann"}, []v1alpha1.Reference{"rep"}, "test"
	ref := access.Ref{Kind: access.KindTemporaryGrant, Name: "g"}
	d, err := declare(ref, g)
	if err != nil {
		t.Fatal(err)
	}
	resolution := access.Resolve(merge(map[access.Ref]*declaration{ref: d}))
	if len(resolution.Facts.Holders) != 0 {
		t.Errorf("it confers %v", resolution.Facts.Holders)
	}
	f := objectFacts{now: noon, storeNow: schedule.At(noon), object: g, invalid: d.err, findings: resolution.Findings[ref]}
	if got := say(f.status().status); !strings.Contains(got, "Ready=False/Invalid Stalled=True/Invalid") {
		t.Errorf("got %s (%v, %v)", got, d.err, resolution.Findings[ref])
	}
}

func TestAStatusFromItselfIsTheSame(t *testing.T) {
	for name, f := range map[string]objectFacts{
		"applied": {object: role(3)}, "waiting": {object: role(3), findings: unknown()}, "invalid": {object: role(3), invalid: errors.New("x")},
		"unwritten": {object: role(3), unwritten: true}, "grant": {object: grantFrom(noon, noon.Add(time.Hour)), confers: true},
	} {
		f.now, f.storeNow = noon, schedule.At(noon)
		first := f.status().status
		f.before, f.now = first.Conditions, noon.Add(time.Minute)
		second := f.status().status
		a, b := v1alpha1.PermissionStoreStatus{Status: first}, v1alpha1.PermissionStoreStatus{Status: second}
		if !sameStatus(a, b) {
			t.Errorf("%s: %s, then %s", name, say(first), say(second))
		}
		for i := range first.Conditions {
			if !first.Conditions[i].LastTransitionTime.Equal(&second.Conditions[i].LastTransitionTime) {
				t.Errorf("%s: %s changed its time and nothing else", name, first.Conditions[i].Type)
			}
		}
	}
}

func TestTheStoresTroubleStallsAfterTenMinutesOrWhereAPersonIsNeeded(t *testing.T) {
	ps := &v1alpha1.PermissionStore{ObjectMeta: metav1.ObjectMeta{Name: "default", Generation: 1}}
	at := func(after time.Duration, person bool) string {
		return say(storeFacts{now: noon.Add(after), ps: ps, trouble: &trouble{reason: v1alpha1.ReasonStoreUnavailable, message: "m", person: person, since: noon}}.status())
	}
	for _, c := range []struct {
		after  time.Duration
		person bool
		want   string
	}{{0, false, "Reconciling"}, {9 * time.Minute, false, "Reconciling"}, {10 * time.Minute, false, "Stalled"}, {0, true, "Stalled"}} {
		if got := at(c.after, c.person); !strings.Contains(got, c.want+"=True") {
			t.Errorf("after %s, person %v: %s", c.after, c.person, got)
		}
	}
}

// oneObject is an API that has one object.
type oneObject struct {
	client.Reader
	meta metav1.ObjectMeta
}

func (o oneObject) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	into.(*metav1.PartialObjectMetadata).ObjectMeta = o.meta
	return nil
}

func TestARefusedStatusIsMeantForTheSameObjectAndTextAlone(t *testing.T) {
	for name, c := range map[string]struct {
		meta metav1.ObjectMeta
		want error
	}{
		"labels changed":             {metav1.ObjectMeta{UID: "a", Generation: 2, ResourceVersion: "7"}, nil},
		"made anew":                  {metav1.ObjectMeta{UID: "b", Generation: 2, ResourceVersion: "7"}, errAnother},
		"another text":               {metav1.ObjectMeta{UID: "a", Generation: 3, ResourceVersion: "7"}, errAnother},
		"made anew with another one": {metav1.ObjectMeta{UID: "b", Generation: 1, ResourceVersion: "7"}, errAnother},
	} {
		w := newStatusWriter(nil, oneObject{meta: c.meta}, logr.Discard())
		write := &statusWrite{uid: "a", version: 5}
		write.status.ObservedGeneration = 2
		if err := w.refresh(t.Context(), statusKey{kind: "User"}, write); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if want := map[bool]uint64{true: 7, false: 5}[c.want == nil]; write.version != want {
			t.Errorf("%s: version %d, want %d", name, write.version, want)
		}
	}
}

func TestALongMessageIsCutBetweenCharacters(t *testing.T) {
	text := shorten(strings.Repeat("权", 100), 50)
	if len(text) > 50 || !strings.HasSuffix(text, "权…") {
		t.Errorf("got %q", text)
	}
}
