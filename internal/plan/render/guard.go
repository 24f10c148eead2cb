package render

import (
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// rule is what a guardrail's rule does, in the report's language. In English it is what access.GuardrailRule.Words says.
func (w *words) rule(r *access.GuardrailRule) phrase {
	switch {
	case r.Deny != nil:
		return w.put(sayDenies, w.actionsOf(r.Deny.Target), w.objectsOf(r.Deny.Objects), w.while(w.denied(&r.Deny.When)))
	case r.Limit != nil:
		return w.put(sayLimits, w.actionsOf(r.Limit.Target), w.objectsOf(r.Limit.Objects), w.limits(r.Limit))
	case r.Approve != nil:
		return w.put(sayApproval, w.actionsOf(r.Approve.Target), w.objectsOf(r.Approve.Objects), w.approvers(r.Approve.By), w.while(w.asked(&r.Approve.When)))
	case r.Cap != nil:
		var fields []phrase
		for _, class := range r.Cap.Classes {
			fields = append(fields, phrase{name("@" + class)})
		}
		for _, field := range r.Cap.Fields {
			fields = append(fields, phrase{name(field)})
		}
		return w.put(sayCaps, joined(fields, w.Comma), w.objectsOf(r.Cap.Objects), phrase{name(r.Cap.Level)})
	case r.Separate != nil:
		duties := each(r.Separate.Duties, func(d access.Duty) phrase { return phrase{name(d.Action + " " + d.Object)} })
		return w.put(saySeparate, joined(duties, w.Comma))
	case r.Admit != nil:
		return w.put(sayAdmits, w.admitted(r.Admit), w.while(w.offered(&r.Admit.When)))
	}
	return w.sentence(r.Words())
}

func (w *words) actionsOf(t access.Target) phrase { return w.anyOf(t.Actions, sayEveryAction) }

func (w *words) objectsOf(objects []string) phrase { return w.anyOf(objects, sayEveryObject) }

func (w *words) anyOf(names []string, every string) phrase {
	if len(names) == 1 && names[0] == access.Any {
		return w.put(every)
	}
	return w.names(names)
}

func (w *words) either(names []string) phrase {
	return joined(each(names, func(n string) phrase { return phrase{name(n)} }), w.Or)
}

func (w *words) while(asked []phrase) phrase {
	if len(asked) == 0 {
		return nil
	}
	return w.put(sayWhile, joined(asked, w.And))
}

func (w *words) denied(when *access.DenyWhen) (asked []phrase) {
	if len(when.Channels) > 0 {
		asked = append(asked, w.put(sayChannel, w.either(when.Channels)))
	}
	if len(when.Devices) > 0 {
		asked = append(asked, w.put(sayDevice, w.either(when.Devices)))
	}
	if when.ReasonMissing {
		asked = append(asked, w.put(sayNoReason))
	}
	if len(when.Windows) > 0 {
		asked = append(asked, w.put(sayTime, joined(each(when.Windows, w.window), w.Or)))
	}
	return asked
}

func (w *words) window(s access.Span) phrase {
	from, until := w.put(sayFromNow), w.put(sayNoEnd)
	if s.NotBefore != schedule.Always {
		from = w.put(sayFrom, phrase{say(s.NotBefore.String())})
	}
	if s.NotAfter != schedule.Forever {
		until = w.put(sayUntil, phrase{say(s.NotAfter.String())})
	}
	return joined([]phrase{from, until}, w.Clause)
}

func (w *words) limits(limit *access.LimitRule) phrase {
	var numbers []phrase
	for _, n := range [...]struct {
		number *int64
		of     string
	}{{limit.MaxRowsPerRequest, sayRows}, {limit.MaxRowsPerDay, sayRowsADay}, {limit.MaxRecordsOwned, sayOwned}} {
		if n.number != nil {
			numbers = append(numbers, w.put(n.of, number(*n.number)))
		}
	}
	return joined(numbers, w.Clause)
}

func (w *words) asked(when *access.ApproveWhen) (asked []phrase) {
	if when.ScopeAtMost != "" {
		asked = append(asked, w.put(sayScopeAtMost, w.scope(when.ScopeAtMost)))
	}
	if when.OtherDepartment {
		asked = append(asked, w.put(sayElsewhere))
	}
	if when.RowsOver != nil {
		asked = append(asked, w.put(sayRowsOver, number(*when.RowsOver)))
	}
	return asked
}

func (w *words) approvers(by []access.Approver) phrase {
	if len(by) == 0 {
		return w.put(sayAnybody)
	}
	return joined(each(by, func(a access.Approver) phrase {
		switch {
		case a.Role != "":
			return w.put(sayRole, phrase{name(a.Role)})
		case a.User != "":
			return phrase{name(a.User)}
		}
		return w.put(sayManager)
	}), w.Or)
}

func (w *words) offered(when *access.AdmitWhen) (asked []phrase) {
	if when.PrivilegedRole {
		asked = append(asked, w.put(sayPrivileged))
	}
	if len(when.Roles) > 0 {
		asked = append(asked, w.put(sayGivesRole, w.either(when.Roles)))
	}
	if when.Temporary {
		asked = append(asked, w.put(sayTemporary))
	}
	if when.OtherDepartment {
		asked = append(asked, w.put(sayReaches))
	}
	if when.External {
		asked = append(asked, w.put(sayExternal))
	}
	return asked
}

func (w *words) admitted(r *access.AdmitRule) phrase {
	var asks []phrase
	switch {
	case r.Approvals == 1:
		asks = append(asks, w.put(sayOneApproval, w.approvers(r.By)))
	case r.Approvals > 1:
		asks = append(asks, w.put(sayApprovals, number(r.Approvals), w.approvers(r.By)))
	}
	if r.MaxDuration > 0 {
		asks = append(asks, w.put(sayEndWithin, phrase{name(r.MaxDuration.String())}))
	}
	if r.MinHolders != nil {
		asks = append(asks, w.put(sayLeastHolders, number(*r.MinHolders)))
	}
	if r.MaxHolders != nil {
		asks = append(asks, w.put(sayMostHolders, number(*r.MaxHolders)))
	}
	return joined(asks, w.Clause)
}
