package store

// Enforcement is what a tenant wants of a store that enforces access in the CRM's own tables.
type Enforcement struct {
	// Roles are those that the CRM asks its tables with. Without any, nothing is set up, and what was is taken down.
	Roles []string
	// ViewOwner is the role that masked views run as.
	ViewOwner string
}

// Enforced is how it stands with the enforcement of an object's access in the CRM's own table.
type Enforced struct {
	Reason EnforcedReason
	// Message says what stands in the way, and what to do.
	Message string
}

// EnforcedReason says whether the table enforces, or why not. It is the reason of the condition that reports it.
type EnforcedReason string

// The reasons. All but EnforcedByTable mean that nothing was changed: what was made before stands.
const (
	// EnforcedByTable: the table shows and takes what each user may see and change.
	EnforcedByTable EnforcedReason = "Enforced"
	// EnforcedWaiting: somebody holds the table; it is tried again.
	EnforcedWaiting EnforcedReason = "TableBusy"
	// EnforcedNoTable: the table, or a column of it, is not there.
	EnforcedNoTable EnforcedReason = "TableMissing"
	// EnforcedUnsuited: a column's type or collation cannot be compared as decisions compare, in every session alike.
	EnforcedUnsuited EnforcedReason = "ColumnUnsuited"
	// EnforcedShared: another object or tenant, or another relation, has the same rows.
	EnforcedShared EnforcedReason = "TableShared"
	// EnforcedForeign: somebody else's policy would show more.
	EnforcedForeign EnforcedReason = "ForeignPolicy"
	// EnforcedRole: an application role is not there, or stands above row-level security.
	EnforcedRole EnforcedReason = "RoleUnsuited"
	// EnforcedRight: an application role has a right to the table from elsewhere.
	EnforcedRight EnforcedReason = "RightHeld"
	// EnforcedNotPermitted: the operator's role may not change the table.
	EnforcedNotPermitted EnforcedReason = "NotPermitted"
	// EnforcedRefused: the database refused a statement for another reason.
	EnforcedRefused EnforcedReason = "Refused"
)
