package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Pure tests of the brake. brake_test.go tries it against an API server.

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func people(n int32) v1alpha1.Brake { return v1alpha1.Brake{People: &n} }

// leaving is the departure of the objects and users from one number up to another.
func leaving(from, to int) departure {
	var d departure
	for i := from; i < to; i++ {
		d.Objects = append(d.Objects, access.Ref{Kind: access.KindUserBinding, Name: fmt.Sprintf("binding-%05d", i)})
		d.UIDs = append(d.UIDs, fmt.Sprintf("uid-%05d", i))
		d.People = append(d.People, fmt.Sprintf("user-%05d", i))
	}
	return d
}

func TestTenThousandSingleDeletesAreHeldAfterTheFirstFifty(t *testing.T) {
	all := leaving(0, 10_000)
	var b brake
	passed := 0 // the objects that are gone and were let through
	for i := range 10_000 {
		if i > 200 && i%100 != 99 {
			continue // a pass takes what has come since the one before
		}
		// One a second: the window slides on while they come.
		now := noon.Add(time.Duration(i) * time.Second)
		next, loss := b.judge(now, v1alpha1.Brake{}, departure{
			Objects: all.Objects[passed : i+1], UIDs: all.UIDs[passed : i+1], People: all.People[passed : i+1],
		})
		if b = next; loss == nil {
			passed = i + 1
			continue
		}
		if len(loss.Objects) > maxListed || int(loss.Total) != i+1-passed || int(loss.People) != i+1-passed {
			t.Fatalf("after %d deletions: held %d objects of %d people, lists %d", i+1, loss.Total, loss.People, len(loss.Objects))
		}
		// A restart forgets none of it.
		again, err := parseMemory((&memory{Brake: b}).String())
		if err != nil {
			t.Fatal(err)
		}
		b = again.Brake
	}
	if passed != 50 || !b.Held {
		t.Errorf("%d were let through, the last held: %v; want 50, true", passed, b.Held)
	}
}

func TestABrakeCountsPeopleOverTenMinutes(t *testing.T) {
	minutes := func(m float64) time.Time { return noon.Add(time.Duration(m * float64(time.Minute))) }
	type step struct {
		at       time.Time
		from, to int
		want     bool // let through
	}
	cases := map[string]struct {
		limits v1alpha1.Brake
		steps  []step
	}{
		"exactly the limit passes":                   {people(5), []step{{noon, 0, 5, true}}},
		"one more than the limit is held":            {people(5), []step{{noon, 0, 6, false}}},
		"portions add up":                            {people(5), []step{{noon, 0, 3, true}, {minutes(9.9), 3, 6, false}}},
		"after ten minutes they count no more":       {people(5), []step{{noon, 0, 3, true}, {minutes(10.1), 3, 6, true}}},
		"the same person counts once":                {people(3), []step{{noon, 0, 3, true}, {minutes(1), 0, 3, true}}},
		"zero holds the first":                       {people(0), []step{{noon, 0, 1, false}}},
		"what is held is not let through by waiting": {people(1), []step{{noon, 0, 2, false}, {minutes(60), 0, 2, false}}},
		"nor in smaller portions":                    {people(5), []step{{noon, 0, 6, false}, {minutes(60), 0, 1, false}}},
		"no loss is no loss":                         {people(0), []step{{noon, 0, 0, true}}},
		"coming back clears it":                      {people(5), []step{{noon, 0, 6, false}, {minutes(1), 0, 0, true}, {minutes(2), 0, 5, true}}},
		"unset means fifty":                          {v1alpha1.Brake{}, []step{{noon, 0, 50, true}, {minutes(1), 50, 51, false}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var b brake
			for i, s := range c.steps {
				next, held := b.judge(s.at, c.limits, leaving(s.from, s.to))
				if b = next; (held == nil) != s.want {
					t.Errorf("step %d: let through %v, want %v", i, held == nil, s.want)
				}
				if next.Held != (held != nil) {
					t.Errorf("step %d: the memory says held %v", i, next.Held)
				}
			}
		})
	}
}

func TestAReleaseIsForExactlyOneLoss(t *testing.T) {
	limits := people(5)
	b, held := brake{}.judge(noon, limits, leaving(0, 10))
	limits.Release = held.Digest
	if _, still := b.judge(noon, limits, leaving(0, 11)); still == nil {
		t.Error("another loss was let through")
	}
	anew := leaving(0, 10)
	anew.UIDs[3] = "of an object made anew"
	if _, still := b.judge(noon, limits, anew); still == nil {
		t.Error("the loss of an object that was made anew was let through by the release of the former's")
	}
	more := leaving(0, 10)
	more.People = append(more.People, "user-99999")
	if _, still := b.judge(noon, limits, more); still == nil {
		t.Error("a loss by more people was let through")
	}
	b, still := b.judge(noon, limits, leaving(0, 10))
	if still != nil || b.Held || len(b.Recent) > 0 {
		t.Errorf("after the release: held %v, memory %+v", still, b)
	}
}

func TestOnShakenGroundASingleLossIsHeld(t *testing.T) {
	d := leaving(0, 1)
	d.shaken = true
	if _, held := (brake{}).judge(noon, people(50), d); held == nil {
		t.Error("let through")
	}
	d.People = nil
	if _, held := (brake{}).judge(noon, people(50), d); held != nil {
		t.Error("held though nobody loses anything")
	}
}

func TestGroundIsShakenByWhatTheObjectsStandOnAlone(t *testing.T) {
	was := ground{groundStore: "a", "Role": "b", "User": "c"}
	for name, c := range map[string]struct {
		now  ground
		want bool
	}{
		"the same":                     {ground{groundStore: "a", "Role": "b", "User": "c"}, false},
		"another store":                {ground{groundStore: "z", "Role": "b", "User": "c"}, true},
		"another definition":           {ground{groundStore: "a", "Role": "z", "User": "c"}, true},
		"another definition elsewhere": {ground{groundStore: "a", "Role": "b", "User": "z"}, false},
	} {
		if got := was.shaken(c.now, []string{"Role"}); got != c.want {
			t.Errorf("%s: shaken %v", name, got)
		}
	}
	if (ground{}).shaken(was, []string{"Role"}) {
		t.Error("what is not remembered is held against what there is")
	}
}

func TestAMemoryThatCannotBeReadHoldsEveryLoss(t *testing.T) {
	m, err := parseMemory("{nonsense")
	if err == nil {
		t.Fatal("no error")
	}
	if _, held := m.Brake.judge(noon, people(50), leaving(0, 1)); held == nil {
		t.Error("let through")
	}
}

func TestAnEmptyMemoryIsNoText(t *testing.T) {
	if text := (&memory{}).String(); text != "" {
		t.Errorf("got %q", text)
	}
}

func TestADigestDependsOnEveryPart(t *testing.T) {
	digests := []string{leaving(0, 3).digest(), leaving(0, 4).digest(), leaving(1, 4).digest()}
	slices.Sort(digests)
	if len(slices.Compact(digests)) != 3 || !strings.HasPrefix(digests[0], "sha256:") {
		t.Errorf("digests %v", digests)
	}
}
