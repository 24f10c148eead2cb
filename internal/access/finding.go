package access

import "fmt"

// Reason is why a declaration, or a part of it, confers nothing, or what of it people should know. It is the reason of the condition that reports it.
type Reason string

// The reasons of findings.
const (
	ReasonUnknownReference   Reason = "UnknownReference"
	ReasonInheritanceCycle   Reason = "InheritanceCycle"
	ReasonInheritanceTooDeep Reason = "InheritanceTooDeep"
	ReasonTooManyTuples      Reason = "TooManyTuples"
	ReasonReferenceCycle     Reason = "ReferenceCycle"
	ReasonInvalid            Reason = "Invalid"
	ReasonAbstractRole       Reason = "AbstractRole"
	ReasonExternalUser       Reason = "ExternalUser"
	// ReasonTooLong: a temporary grant lasts longer than a guardrail allows.
	ReasonTooLong Reason = "TooLong"
	// ReasonEmergencyTooLong: an emergency grant lasts longer than four hours.
	ReasonEmergencyTooLong Reason = "EmergencyTooLong"
	// ReasonNeedsNamedUsers: a selector would give what needs approval, and approvals are of people.
	ReasonNeedsNamedUsers Reason = "NeedsNamedUsers"
	// ReasonHoldersOutOfRange: a role has fewer or more holders than a guardrail wants. It changes nobody's access.
	ReasonHoldersOutOfRange Reason = "HoldersOutOfRange"
	// ReasonDutiesHeldTogether: somebody holds the rights to duties that are to be separate. It changes nobody's access.
	ReasonDutiesHeldTogether Reason = "DutiesHeldTogether"
)

// Finding says what of a declaration does not compile, where, and what follows from that.
type Finding struct {
	About  Ref
	Reason Reason
	// Field is the path within the declaration's spec, such as "grants[2].object".
	Field   string
	Message string
	// Format is the message without what is put into it, and Args are that: for who tells it in another language.
	Format string
	Args   []string
	// Unknown is the name that nobody declares, of what kind, for ReasonUnknownReference.
	Unknown Name
}

// Name is a name of something: What is "role", "user", "department", "object", or "action of customer".
type Name struct {
	What string
	Name string
}

// String is one line for people: where, what, and what follows.
func (f Finding) String() string {
	return fmt.Sprintf("%s: spec.%s: %s", f.About, f.Field, f.Message)
}

// Waits says whether the finding may mend itself when another declaration arrives.
func (f Finding) Waits() bool { return f.Reason == ReasonUnknownReference }

// Advises says whether the finding is for people to judge, and changes nobody's access.
func (f Finding) Advises() bool {
	return f.Reason == ReasonHoldersOutOfRange || f.Reason == ReasonDutiesHeldTogether
}
