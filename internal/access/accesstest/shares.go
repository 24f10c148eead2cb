package accesstest

import (
	"math/rand/v2"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// NewShares are n shares, mostly by people who hold roles; of some the maker has nothing to give, and some name themselves.
func NewShares(random *rand.Rand, d access.Declarations, n int) []access.ShareFact {
	shares := make([]access.ShareFact, n)
	for i := range shares {
		start := Start + schedule.Instant(random.IntN(Span))
		s := access.ShareFact{
			ID: Name("share", i), Maker: oneOf(random, d.Users).Name, Recipient: oneOf(random, d.Users).Name, Object: someObject(random, d),
			Record: Pick(random, "record", records), Level: access.Level(random.IntN(4)),
			Window: schedule.Window{NotBefore: start, NotAfter: start + schedule.Instant(random.IntN(Span))},
		}
		if random.IntN(4) > 0 {
			s.Maker = oneOf(random, d.UserBindings).Subjects[0].User
		}
		for _, action := range Actions {
			if random.IntN(2) == 0 {
				s.Actions = append(s.Actions, action)
			}
		}
		if random.IntN(2) == 0 {
			s.Restricted, s.OnlyFields = true, []string{ownerField, parentField, regionField, stageField}
		}
		shares[i] = s
	}
	return shares
}

// NewQuestionOfShares asks about what is shared, of its recipient and near the bounds of its window; the record is mostly
// one that the maker may have something on.
func NewQuestionOfShares(random *rand.Rand, d access.Declarations, shares []access.ShareFact) (schedule.Instant, *access.Request) {
	s := shares[random.IntN(len(shares))]
	q := NewRequest(random, d)
	q.User, q.Object = s.Recipient, s.Object
	if len(s.Actions) > 0 && random.IntN(8) > 0 {
		q.Action = oneOf(random, s.Actions)
	}
	if q.Record == nil && q.Action != access.ActionExport {
		q.Action = access.ActionRead
	}
	if q.Record != nil && random.IntN(8) > 0 {
		q.Record.ID = s.Record
	}
	if q.Record != nil && random.IntN(4) > 0 {
		q.Record.Owner, q.Record.Parent.Owner = s.Maker, s.Maker
		q.Record.Department = oneOf(random, (Reference{Declarations: d}).user(s.Maker).Departments)
	}
	return beside(random, s.Window), q
}
