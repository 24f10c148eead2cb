package plan

// Rule says which changes are how risky. A change has the severity of the most severe rule that applies to it.
type Rule struct {
	Name     string   `json:"name"`
	Severity Severity `json:"severity"`
	// Forbid makes the plan forbidden (exit code 3) when the rule applies.
	Forbid bool `json:"forbid,omitempty"`
	When   When `json:"when"`
}

// When narrows a rule: all that it names must be so. Empty members ask nothing.
type When struct {
	// Signs are the directions of change that the rule is about; empty means gains and shifts.
	Signs   []Sign   `json:"signs,omitempty"`
	Objects []string `json:"objects,omitempty"`
	Actions []string `json:"actions,omitempty"`
	Scopes  []string `json:"scopes,omitempty"`
	Classes []string `json:"classes,omitempty"`
	// PrivilegedRole asks that a path leads through a privileged role, External that somebody concerned is external.
	PrivilegedRole bool `json:"privilegedRole,omitempty"`
	External       bool `json:"external,omitempty"`
	// WeakerGuardrail asks that a guardrail is removed or lets people do more.
	WeakerGuardrail bool `json:"weakerGuardrail,omitempty"`
	// LongerThan asks for a temporary grant that lasts longer, such as 720h; Unexplained for one without a reason.
	LongerThan  string `json:"longerThan,omitempty"`
	Unexplained bool   `json:"unexplained,omitempty"`
	// MoreThan asks that more people than this are concerned.
	MoreThan int `json:"moreThan,omitempty"`
}
