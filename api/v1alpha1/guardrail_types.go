package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Guardrail holds rules of the whole organisation that no role, binding or temporary grant overrides. Nobody is exempt,
// administrators included.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=guardrails,scope=Namespaced,categories=crmaccess,shortName=cguard
// +kubebuilder:printcolumn:name="Display",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Rules",type=string,priority=1,JSONPath=`.spec.rules`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
type Guardrail struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the list of rules.
	// +required
	Spec GuardrailSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// GuardrailSpec lists rules. Each holds by itself; where two limit the same, the strictest number wins.
//
// The rule bounds the object's size as compact JSON: no name in it holds a character that JSON writes longer, so every
// character counts one byte, and what a rule has besides names counts 360.
//
// +kubebuilder:validation:XValidation:rule="self.rules.map(r, 360 + (has(r.limit) ? r.limit.objects.map(s, 3 + size(s)).sum() + r.limit.actions.map(s, 3 + size(s)).sum() : has(r.deny) ? r.deny.objects.map(s, 3 + size(s)).sum() + r.deny.actions.map(s, 3 + size(s)).sum() + (has(r.deny.when) ? (has(r.deny.when.channels) ? r.deny.when.channels.map(s, 3 + size(s)).sum() : 0) + (has(r.deny.when.devices) ? r.deny.when.devices.map(s, 3 + size(s)).sum() : 0) + (has(r.deny.when.windows) ? 88 * size(r.deny.when.windows) : 0) : 0) : has(r.approve) ? r.approve.objects.map(s, 3 + size(s)).sum() + r.approve.actions.map(s, 3 + size(s)).sum() + r.approve.by.map(b, 26 + (has(b.role) ? size(b.role) : has(b.user) ? size(b.user) : 0)).sum() : has(r.cap) ? r.cap.objects.map(s, 3 + size(s)).sum() + (has(r.cap.fields) ? r.cap.fields.map(s, 3 + size(s)).sum() : 0) : has(r.separate) ? r.separate.duties.map(d, 26 + size(d.object) + size(d.action)).sum() : has(r.admit) ? (has(r.admit.by) ? r.admit.by.map(b, 26 + (has(b.role) ? size(b.role) : has(b.user) ? size(b.user) : 0)).sum() : 0) + (has(r.admit.when) && has(r.admit.when.roles) ? r.admit.when.roles.map(s, 3 + size(s)).sum() : 0) : 0)).sum() <= 200000",message="the guardrail is too large: an object must stay below 200 KiB; move some of its rules to a second guardrail"
type GuardrailSpec struct {
	// displayName is the guardrail's name for people.
	// +optional
	DisplayName Label `json:"displayName,omitempty"`

	// rules are the rules, at least 1 and at most 64. Each is exactly one of limit, deny, approve, cap, separate and
	// admit.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +required
	Rules []GuardrailRule `json:"rules"`
}

// GuardrailRule is exactly one of its forms.
//
// +kubebuilder:validation:XValidation:rule="[has(self.limit), has(self.deny), has(self.approve), has(self.cap), has(self.separate), has(self.admit)].filter(set, set).size() == 1",message="a rule is exactly one of limit, deny, approve, cap, separate and admit: write one rule for each"
type GuardrailRule struct {
	// limit denies beyond a number of rows or records.
	// +optional
	Limit *LimitRule `json:"limit,omitempty"`

	// deny denies, always or under a condition.
	// +optional
	Deny *DenyRule `json:"deny,omitempty"`

	// approve makes an action wait for somebody's approval.
	// +optional
	Approve *ApproveRule `json:"approve,omitempty"`

	// cap is the highest level that fields can have, for everybody.
	// +optional
	Cap *CapRule `json:"cap,omitempty"`

	// separate names duties that one person must not exercise on the same record.
	// +optional
	Separate *SeparateRule `json:"separate,omitempty"`

	// admit says what a UserBinding or TemporaryGrant needs before it counts.
	// +optional
	Admit *AdmitRule `json:"admit,omitempty"`
}

// ObjectOrAny is the name of an ObjectType, or * for every one.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(\*|[a-z0-9]([-.a-z0-9]*[a-z0-9])?)$`
type ObjectOrAny string

// ActionOrAny is an action, or * for every one.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(\*|[a-zA-Z][A-Za-z0-9_]{0,62})$`
type ActionOrAny string

// ContextName is the name of a channel or a kind of device, as the CRM sends it: a lower-case letter, then lower-case
// letters, digits, hyphens and underscores, 63 characters at most.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z][-_a-z0-9]{0,62}$`
type ContextName string

// Duration is a length of time in hours, minutes and whole seconds, such as 744h or 1h30m. It is kept as written, for
// the reason that Instant is.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=21
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && duration(self) > duration('0s')",message="must be a length of time in hours, minutes and whole seconds, more than none, such as 744h or 1h30m"
type Duration string

// CapLevel is a FieldLevel that a cap can be at: a cap at edit would cap nothing.
//
// +kubebuilder:validation:Enum=none;masked;read
type CapLevel string

// RuleTarget says which actions on which objects a rule is about.
type RuleTarget struct {
	// objects are the names of the ObjectTypes concerned, at least 1 and at most 100, or * alone for all of them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:XValidation:rule="size(self) == 1 || !('*' in self)",message="'*' stands alone, since it means every one: leave the other names away"
	// +listType=atomic
	// +required
	Objects []ObjectOrAny `json:"objects"`

	// actions are the actions concerned, at least 1 and at most 50, or * alone for all of them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:XValidation:rule="size(self) == 1 || !('*' in self)",message="'*' stands alone, since it means every one: leave the other names away"
	// +listType=atomic
	// +required
	Actions []ActionOrAny `json:"actions"`
}

// LimitRule denies its target beyond a number. A request that does not say how many rows it is about is denied.
//
// +kubebuilder:validation:XValidation:rule="has(self.maxRowsPerRequest) || has(self.maxRowsPerDay) || has(self.maxRecordsOwned)",message="a limit needs at least one of maxRowsPerRequest, maxRowsPerDay and maxRecordsOwned"
type LimitRule struct {
	RuleTarget `json:",inline"`

	// maxRowsPerRequest is how many rows one request may be about, at most a thousand million.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	MaxRowsPerRequest *int64 `json:"maxRowsPerRequest,omitempty"`

	// maxRowsPerDay is how many rows one user may have within the last 24 hours, over all objects of the rule.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	MaxRowsPerDay *int64 `json:"maxRowsPerDay,omitempty"`

	// maxRecordsOwned is how many records of the object one user may own after the request.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	MaxRecordsOwned *int64 `json:"maxRecordsOwned,omitempty"`
}

// DenyRule denies its target while everything that when names is so; without when, always.
type DenyRule struct {
	RuleTarget `json:",inline"`

	// when narrows the rule. What it asks and the request does not say counts as so.
	// +optional
	When *DenyWhen `json:"when,omitempty"`
}

// DenyWhen narrows a deny. All that it names must be so.
//
// +kubebuilder:validation:XValidation:rule="has(self.channels) || has(self.devices) || has(self.reason) || has(self.windows)",message="when needs at least one of channels, devices, reason and windows: leave when away to deny always"
type DenyWhen struct {
	// channels asks that the request comes through one of these channels, such as mobile; at least 1 and at most 20.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Channels []ContextName `json:"channels,omitempty"`

	// devices asks that the request comes from one of these kinds of device; at least 1 and at most 20.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Devices []ContextName `json:"devices,omitempty"`

	// reason is Missing: it asks that the request gives no reason.
	// +kubebuilder:validation:Enum=Missing
	// +optional
	Reason string `json:"reason,omitempty"`

	// windows asks that the instant lies in one of these windows, such as a freeze over the end of the year; at least 1
	// and at most 20.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Windows []RuleWindow `json:"windows,omitempty"`
}

// RuleWindow is the time [notBefore, notAfter). An end that is left away is without bound.
//
// +kubebuilder:validation:XValidation:rule="has(self.notBefore) || has(self.notAfter)",message="a window needs at least one of notBefore and notAfter: leave windows away for a rule that always holds"
// +kubebuilder:validation:XValidation:rule="!has(self.notBefore) || !has(self.notAfter) || timestamp(self.notBefore) < timestamp(self.notAfter)",message="notBefore must be earlier than notAfter: the window opens at notBefore and closes at notAfter"
type RuleWindow struct {
	// notBefore is the instant from which the rule holds, RFC 3339 in whole seconds with an offset.
	// +optional
	NotBefore Instant `json:"notBefore,omitempty"`

	// notAfter is the instant from which the rule no longer holds, RFC 3339 in whole seconds with an offset.
	// +optional
	NotAfter Instant `json:"notAfter,omitempty"`
}

// ApproveRule makes its target wait for one approver while everything that when names is so; without when, always.
type ApproveRule struct {
	RuleTarget `json:",inline"`

	// when narrows the rule. What it asks and the request does not say counts as so.
	// +optional
	When *ApproveWhen `json:"when,omitempty"`

	// by are who may approve, any one of them, at least 1 and at most 10. The subject never may.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +required
	By []Approver `json:"by"`
}

// ApproveWhen narrows an approve. All that it names must be so.
//
// +kubebuilder:validation:XValidation:rule="has(self.scopeAtMost) || has(self.targetDepartment) || has(self.rowsOver)",message="when needs at least one of scopeAtMost, targetDepartment and rowsOver: leave when away to ask for approval always"
type ApproveWhen struct {
	// scopeAtMost asks that the widest scope by which the subject may do it is this one or a narrower one, in the order
	// own, involved, subordinates, department, departmentAndBelow, all.
	// +optional
	ScopeAtMost Scope `json:"scopeAtMost,omitempty"`

	// targetDepartment is Other: it asks that the record moves to another department than its own.
	// +kubebuilder:validation:Enum=Other
	// +optional
	TargetDepartment string `json:"targetDepartment,omitempty"`

	// rowsOver asks that the request is about more rows than this.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	RowsOver *int64 `json:"rowsOver,omitempty"`
}

// Approver says who may approve.
//
// +kubebuilder:validation:XValidation:rule="[has(self.managerOfSubject), has(self.role), has(self.user)].filter(set, set).size() == 1",message="an entry of by is exactly one of managerOfSubject, role and user: write one entry for each"
type Approver struct {
	// managerOfSubject is true: the manager of the subject or, where that one is not active, the next one up the line.
	// +kubebuilder:validation:XValidation:rule="self",message="managerOfSubject is true or left away"
	// +optional
	ManagerOfSubject bool `json:"managerOfSubject,omitempty"`

	// role is the name of a Role: whoever holds it, or one that inherits it.
	// +optional
	Role Reference `json:"role,omitempty"`

	// user is the name of a User.
	// +optional
	User Reference `json:"user,omitempty"`
}

// CapRule is the highest level of fields, whoever asks.
//
// +kubebuilder:validation:XValidation:rule="has(self.classes) || has(self.fields)",message="a cap needs at least one of classes and fields"
type CapRule struct {
	// objects are the names of the ObjectTypes concerned, at least 1 and at most 100, or * alone for all of them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:XValidation:rule="size(self) == 1 || !('*' in self)",message="'*' stands alone, since it means every one: leave the other names away"
	// +listType=atomic
	// +required
	Objects []ObjectOrAny `json:"objects"`

	// classes are the sensitivity classes whose fields are capped.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	// +listType=atomic
	// +optional
	Classes []SensitivityClass `json:"classes,omitempty"`

	// fields are the fields that are capped, by name, at most 100.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Fields []Identifier `json:"fields,omitempty"`

	// level is the highest level that these fields can have: none, masked or read.
	// +required
	Level CapLevel `json:"level"`
}

// SeparateRule names duties that one person must not exercise on the same record. That somebody holds the rights to two
// of them is reported.
type SeparateRule struct {
	// duties are the actions that exclude each other, at least 2 and at most 10.
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, a.object == b.object && a.action == b.action))",message="the duties must differ: take out the one that is named twice"
	// +listType=atomic
	// +required
	Duties []Duty `json:"duties"`
}

// Duty is an action on an object.
type Duty struct {
	// object is the name of the ObjectType.
	// +required
	Object Reference `json:"object"`

	// action is the action.
	// +required
	Action Identifier `json:"action"`
}

// AdmitRule says what a UserBinding or TemporaryGrant needs before it counts, while everything that when names is so;
// without when, always.
//
// +kubebuilder:validation:XValidation:rule="has(self.approvals) || has(self.maxDuration) || has(self.minHolders) || has(self.maxHolders)",message="admit needs at least one of approvals, maxDuration, minHolders and maxHolders: say what is asked"
// +kubebuilder:validation:XValidation:rule="!has(self.maxDuration) || (has(self.when) && has(self.when.temporary))",message="maxDuration is about temporary grants: add temporary: true to when"
// +kubebuilder:validation:XValidation:rule="!has(self.by) || has(self.approvals)",message="by says who may give the approvals: say how many are needed by approvals"
// +kubebuilder:validation:XValidation:rule="!has(self.minHolders) || !has(self.maxHolders) || self.minHolders <= self.maxHolders",message="minHolders must not be more than maxHolders"
type AdmitRule struct {
	// when narrows the rule.
	// +optional
	When *AdmitWhen `json:"when,omitempty"`

	// approvals is how many different people must approve, 1 to 10. Neither the subject nor the requester may.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +optional
	Approvals int32 `json:"approvals,omitempty"`

	// by narrows who may approve, at least 1 and at most 10 entries. Unset: whoever the cluster's RBAC lets.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	By []Approver `json:"by,omitempty"`

	// maxDuration is the longest that a temporary grant may last, such as 744h. What is longer confers nothing.
	// +optional
	MaxDuration Duration `json:"maxDuration,omitempty"`

	// minHolders is how many people must hold each role concerned. Fewer are reported, and keep their access.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	MinHolders *int64 `json:"minHolders,omitempty"`

	// maxHolders is how many people may hold each role concerned. More are reported, and keep their access.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	MaxHolders *int64 `json:"maxHolders,omitempty"`
}

// AdmitWhen narrows an admit. All that it names must be so.
//
// +kubebuilder:validation:XValidation:rule="has(self.privilegedRole) || has(self.roles) || has(self.temporary) || has(self.otherDepartment) || has(self.external)",message="when needs at least one of privilegedRole, roles, temporary, otherDepartment and external: leave when away for a rule about every binding and grant"
type AdmitWhen struct {
	// privilegedRole is true: it asks that a role is given that is privileged, or inherits from a privileged one.
	// +kubebuilder:validation:XValidation:rule="self",message="privilegedRole is true or left away: there is no rule for all others"
	// +optional
	PrivilegedRole bool `json:"privilegedRole,omitempty"`

	// roles asks that one of these roles, or one that inherits it, is given; at least 1 and at most 100.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Roles []Reference `json:"roles,omitempty"`

	// temporary is true: it asks that it is a TemporaryGrant.
	// +kubebuilder:validation:XValidation:rule="self",message="temporary is true or left away: there is no rule for all others"
	// +optional
	Temporary bool `json:"temporary,omitempty"`

	// otherDepartment is true: it asks that what a grant selects lies in another department than all of the subject's.
	// +kubebuilder:validation:XValidation:rule="self",message="otherDepartment is true or left away: there is no rule for all others"
	// +optional
	OtherDepartment bool `json:"otherDepartment,omitempty"`

	// external is true: it asks that the subject is an external user.
	// +kubebuilder:validation:XValidation:rule="self",message="external is true or left away: there is no rule for all others"
	// +optional
	External bool `json:"external,omitempty"`
}

// GuardrailList is a list of guardrails.
//
// +kubebuilder:object:root=true
type GuardrailList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Guardrail `json:"items"`
}
