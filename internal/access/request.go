package access

import "slices"

// Request is one question: may this user do this action to this object, or to this record of it?
type Request struct {
	User   string
	Action string
	Object string
	// Record is the record asked about; for create, the proposed one. Nil asks whether any record could be covered.
	Record *Record
	// Fields are the fields whose level is asked for.
	Fields  []string
	Context Context
}

// Record is what is known of a record. Facts that are missing are never in the asker's favour.
type Record struct {
	ID           string
	Owner        string
	Department   string
	Creator      string
	Participants []string
	// Attributes by field name; a field with several values has them all.
	Attributes map[string][]string
	// Parent is the record that AccessFrom names, where the object has one.
	Parent *Record
}

// Context is what a decision may depend on besides the record. Guardrails read it.
type Context struct {
	Channel string
	Device  string
	// Rows are how many the request is about, and Used how many of the last 24 hours count beside them.
	Rows *int64
	Used *int64
	// UsedOf, where it is given, stands in place of Used: how many count for each of Policy.DayLimits, in their order.
	UsedOf []int64
	// Owned is how many records of the object the one who would own the record has already.
	Owned            *int64
	Reason           string
	TargetUser       string
	TargetDepartment string
	// ApprovedBy are the users who have approved just this request.
	ApprovedBy []string
}

// Effect is the outcome of a decision.
type Effect uint8

// The effects, from most to least restrictive, so that a minimum combines them.
const (
	Deny Effect = iota
	NeedsApproval
	Allow
)

// String is the effect as the command line prints it.
func (e Effect) String() string { return nameOf([]string{"DENY", "APPROVAL", "ALLOW"}, int(e)) }

// attribute is the record's values of a field. The owner and department fields are facts of their own, which no attribute
// stands in for.
func (r *Record) attribute(o *object, field string) []string {
	var fact string
	switch field {
	case o.ownerField:
		fact = r.Owner
	case o.departmentField:
		fact = r.Department
	default:
		return r.Attributes[field]
	}
	if fact == "" {
		return nil
	}
	return []string{fact}
}

// meets says whether the record meets a condition. A missing attribute makes every condition false.
func (r *Record) meets(o *object, c *WhereFact) bool {
	values := r.attribute(o, c.Field)
	if len(values) == 0 {
		return false
	}
	in := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(c.Values, v) })
	switch c.Operator {
	case OperatorIn:
		return in
	case OperatorNotIn:
		return !in
	case OperatorExists:
		return true
	}
	return false
}
