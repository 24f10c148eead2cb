package plan

// What happens to an account, as PersonChange.What says it.
const (
	Joins    = "joins"
	Leaves   = "leaves"
	Suspends = "suspended"
	// Returns is an account that was suspended or had left, and is active again.
	Returns = "returns"
	// Moves is into other departments, Reports to another manager.
	Moves          = "moves"
	Reports        = "reports"
	NamesSuccessor = "successor"
	// BecomesType is another type of account, such as External that was Employee.
	BecomesType = "type"
	// ChangesLogins is another set of logins, TakesLogin one with a login that was somebody else's.
	ChangesLogins = "logins"
	TakesLogin    = "takes login"
	// Revoked is an account that a Revocation ends, Released one that it ends no more.
	Revoked  = "revoked"
	Released = "released"
)

var happenings = []string{
	Joins, Leaves, Suspends, Returns, Moves, Reports, NamesSuccessor, BecomesType, ChangesLogins, TakesLogin, Revoked, Released,
}
