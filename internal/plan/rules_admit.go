package plan

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// admissionRow is the row of a rule that says what a binding or temporary grant needs before it counts. It changes no answer by
// itself: what comes of it for what is given already is told by rows of access. Its people are those of whom something,
// unchanged in its text, waits for something else now.
func (c *comparison) admissionRow(e *ruleEdit) *RuleChange {
	row := c.row(e, Gain)
	switch was, is := e.rule[before], e.rule[after]; {
	case was == nil:
		row.Sign = Loss
	case is != nil:
		d := demands{}
		d.compare(was.Admit, is.Admit)
		row.Sign = Shift
		if d.less != d.more {
			row.Sign = signOf(d.less, d.more)
		}
	}
	names := make(map[string]bool)
	for s := range states {
		for ref, list := range c.side(s).Admissions {
			for i := range list {
				if a := &list[i]; a.Rule == e.guardrail && c.changed[ref] == "" && c.isAskedOtherwise(ref, a, 1-s) {
					names[a.User] = true
				}
			}
		}
	}
	for name := range names {
		if u := c.head.users[name]; u != nil {
			row.People = append(row.People, Person{User: name, DisplayName: u.DisplayName})
		}
	}
	sortPeople(row.People)
	return row
}

// isAskedOtherwise says whether an offer does not stand in the other state as it does in this one.
func (c *comparison) isAskedOtherwise(ref access.Ref, a *access.Admission, other state) bool {
	return !slices.ContainsFunc(c.side(other).Admissions[ref], func(b access.Admission) bool {
		return b.User == a.User && b.State == a.State && b.Needed == a.Needed && b.Rule == a.Rule && slices.Equal(a.From, b.From)
	})
}

// demands says whether a rule of admission asks less than before, or more.
type demands struct{ less, more bool }

func (d *demands) compare(was, is *access.AdmitRule) {
	d.number(was.Approvals, is.Approvals)
	d.length(int64(was.MaxDuration), int64(is.MaxDuration))
	d.approvers(was, is)
	d.bound(was.MinHolders, is.MinHolders, 1)
	d.bound(was.MaxHolders, is.MaxHolders, -1)
	// The more a rule asks of what is given, the less it concerns.
	d.condition(was.When.PrivilegedRole, is.When.PrivilegedRole)
	d.condition(was.When.Temporary, is.When.Temporary)
	d.condition(was.When.OtherDepartment, is.When.OtherDepartment)
	d.condition(was.When.External, is.When.External)
	d.roles(was.When.Roles, is.When.Roles)
}

func (d *demands) number(was, is int) {
	d.less, d.more = d.less || is < was, d.more || is > was
}

// length is of what may last no longer; zero is without bound.
func (d *demands) length(was, is int64) {
	switch {
	case was == is:
	case is == 0 || (was != 0 && is > was):
		d.less = true
	default:
		d.more = true
	}
}

// bound is of a number of holders that is reported; upwards says in which direction it asks more.
func (d *demands) bound(was, is *int64, upwards int64) {
	switch {
	case was == nil && is == nil:
	case was == nil:
		d.more = true
	case is == nil:
		d.less = true
	case (*is-*was)*upwards > 0:
		d.more = true
	case *is != *was:
		d.less = true
	}
}

func (d *demands) condition(was, is bool) {
	d.less, d.more = d.less || (is && !was), d.more || (was && !is)
}

// roles are those of which one must be given; none asks nothing.
func (d *demands) roles(was, is []string) {
	switch {
	case len(was) == 0 || len(is) == 0:
		d.condition(len(was) > 0, len(is) > 0)
	default:
		d.less = d.less || !isAmong(was, is)
		d.more = d.more || !isAmong(is, was)
	}
}

// approvers are who may approve; none is whomever the cluster lets. Where nothing is to be approved they do not matter.
func (d *demands) approvers(was, is *access.AdmitRule) {
	switch {
	case was.Approvals == 0 || is.Approvals == 0:
	case len(was.By) == 0 || len(is.By) == 0:
		d.condition(len(is.By) > 0 && len(was.By) == 0, len(is.By) == 0 && len(was.By) > 0)
	default:
		d.less = d.less || !isAmong(is.By, was.By)
		d.more = d.more || !isAmong(was.By, is.By)
	}
}

// isAmong says whether all of a list are in the other.
func isAmong[T comparable](list, other []T) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !slices.Contains(other, x) })
}
