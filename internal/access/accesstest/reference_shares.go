package accesstest

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Shares, in plain words: of each of the maker's own tuples the recipient has, on that record, what the share names of it.

// held is a tuple as somebody has it: by themselves, or because by shares a record.
type held struct {
	access.Grant
	by    *access.User
	share *access.ShareFact
}

// does says whether the tuple has an action, and the share passes it on: never one that creates, nor the sharing itself.
func (h held) does(action string) bool {
	return slices.Contains(h.Actions, action) && (h.share == nil || slices.Contains(passedOn(h.share), action))
}

// level is the maker's at most, and the share's at most.
func (h held) level(o *access.ObjectType, f access.Field, editing string) access.Level {
	level := levelBy(h.Grant, o, f, editing)
	if h.share == nil {
		return level
	}
	whole := access.Grant{Actions: passedOn(h.share), Fields: []access.FieldRule{{Field: f.Name, Level: h.share.Level}}}
	if h.share.Restricted {
		whole.OnlyFields = append([]string{}, h.share.OnlyFields...)
	}
	return min(level, levelBy(whole, o, f, editing))
}

func passedOn(s *access.ShareFact) []string {
	return slices.DeleteFunc(slices.Clone(s.Actions), func(a string) bool { return a == access.ActionCreate || a == access.ActionShare })
}

// sharesFor are the shares of the record with the user that are in force; of a list, those of any record. The maker's
// account must be one that has access itself, and an External receives only named fields.
func (r Reference) sharesFor(now schedule.Instant, user *access.User, o *access.ObjectType, q *access.Request) (shares []*access.ShareFact) {
	for i := range r.Shares {
		s := &r.Shares[i]
		maker := r.user(s.Maker)
		if s.Recipient == user.Name && maker != nil && maker != user && maker.State == access.StateActive && !r.isRevoked(access.KindUser, maker.Name) &&
			s.Object == o.Name && q.Action != access.ActionCreate && (q.Record == nil || q.Record.ID == s.Record) &&
			s.Window.NotBefore <= now && now < s.Window.NotAfter && (user.Type != access.UserExternal || s.Restricted) {
			shares = append(shares, s)
		}
	}
	return shares
}
