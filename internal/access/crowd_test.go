package access_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// allowedEach asks about every user by itself.
func allowedEach(p *Policy, now schedule.Instant, q *Request) (users []string) {
	one := *q
	levels := make([]Level, len(q.Fields))
	for _, one.User = range slices.Sorted(slices.Values(p.Users())) {
		if p.Decide(now, &one, levels) == Allow {
			users = append(users, one.User)
		}
	}
	return slices.Compact(users)
}

func TestWhoCanAgreesWithDecidingAboutEachUser(t *testing.T) {
	random, questions := accesstest.Random(t), accesstest.Questions(t)/25
	found, everybody := 0, 0
	for asked := 0; asked < questions; {
		d := accesstest.NewWorld(random, accesstest.Small)
		shares := accesstest.NewShares(random, d, 40)
		policy := NewPolicy(Resolve(d).Facts)
		shared := policy.WithShares(shares)
		for range 50 {
			asked++
			now, q := accesstest.NewQuestion(random, d)
			if asked%3 == 0 {
				now, q = accesstest.NewQuestionOfShares(random, d, shares)
				policy = shared
			}
			want := allowedEach(policy, now, q)
			if got := policy.WhoCan(now, q); !slices.Equal(got, want) {
				t.Fatalf("question %d at %d: %+v record %+v: WhoCan says %v, each by itself %v", asked, now, q, q.Record, got, want)
			}
			found += len(want)
			if len(want) > len(d.Users)/2 {
				everybody++
			}
			var actions []string
			for _, action := range slices.Sorted(slices.Values(policy.Actions(q.Object))) {
				one := *q
				if one.Action = action; policy.Decide(now, &one, make([]Level, len(q.Fields))) == Allow {
					actions = append(actions, action)
				}
			}
			if got := policy.WhatCan(now, q); !slices.Equal(got, actions) {
				t.Fatalf("question %d at %d: %+v: WhatCan says %v, each by itself %v", asked, now, q, got, actions)
			}
		}
	}
	t.Logf("%d users found by %d questions, %d of them more than half of all", found, questions, everybody)
	if found < questions/2 {
		t.Errorf("only %d users were found by %d questions: that proves little", found, questions)
	}
}

func TestWhoCanOfNobody(t *testing.T) {
	if got := NewPolicy(Facts{}).WhoCan(0, &Request{Action: "read", Object: "customer"}); got != nil {
		t.Errorf("without users it is %v", got)
	}
}

// BenchmarkWhoCan asks who may read one record, of 10,000 users.
func BenchmarkWhoCan(b *testing.B) {
	d := accesstest.NewOrganisation(rand.New(rand.NewPCG(1, 1)), largeWorld)
	policy := NewPolicy(Resolve(d).Facts)
	draw := newDrawing(largeWorld)
	found, asked := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		q := draw.next()
		q.Action = ActionRead
		found += len(policy.WhoCan(accesstest.Start, q))
		asked++
	}
	b.ReportMetric(float64(found)/float64(asked), "users")
}
