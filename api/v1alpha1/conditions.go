package v1alpha1

// The condition types.
const (
	// ConditionReady says whether the store matches what the object asks for at this instant. A grant that is
	// scheduled, expired or waiting for approval is ready: workflow is not health.
	ConditionReady = "Ready"
	// ConditionReconciling is True while a change is being carried out, and absent otherwise.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True where nothing moves without a person, and absent otherwise.
	ConditionStalled = "Stalled"
	// ConditionActive says whether the users of a TemporaryGrant hold its access now.
	ConditionActive = "Active"
	// ConditionApproved says whether what needs approval has it. Absent where nothing needs approval.
	ConditionApproved = "Approved"
	// ConditionRevoked is True where a revocation takes away what the object gives. Absent otherwise.
	ConditionRevoked = "Revoked"
	// ConditionEnforced says whether the CRM's own table enforces the object's access. Absent where nobody asks for it.
	ConditionEnforced = "Enforced"
)

// The reasons that every kind uses.
const (
	// ReasonPending: the operator has not looked at the object yet (the default of a new object).
	ReasonPending = "Pending"
	// ReasonApplied: the store holds what the object asks for.
	ReasonApplied = "Applied"
	// ReasonInvalid: the object contradicts itself (two rules for one field, an entry twice). It confers nothing.
	ReasonInvalid = "Invalid"
	// ReasonUnknownReference: the object names another that does not exist. That part confers nothing until it does.
	ReasonUnknownReference = "UnknownReference"
	// ReasonBrakeHeld: objects are gone, and more people would lose access than brake.people allows: the loss waits
	// for a person.
	ReasonBrakeHeld = "BrakeHeld"
)

// The reasons of a Role, and of a UserBinding or TemporaryGrant that gives one.
const (
	// ReasonInheritanceCycle: a role inherits itself through others. It confers nothing.
	ReasonInheritanceCycle = "InheritanceCycle"
	// ReasonInheritanceTooDeep: the path of inheritance has more than ten steps. The role confers nothing.
	ReasonInheritanceTooDeep = "InheritanceTooDeep"
	// ReasonTooManyTuples: a role comes to more than ten thousand grants after inheritance. It confers nothing.
	ReasonTooManyTuples = "TooManyTuples"
	// ReasonAbstractRole: the role is a template, which may be inherited but not given to users.
	ReasonAbstractRole = "AbstractRole"
	// ReasonExternalUser: an external user holds no role, and has only grants with onlyFields and an end.
	ReasonExternalUser = "ExternalUser"
)

// The reasons of a TemporaryGrant. All of them are Ready=True.
const (
	// ReasonActive: the window is open and the users hold the access.
	ReasonActive = "Active"
	// ReasonScheduled: the window opens later.
	ReasonScheduled = "Scheduled"
	// ReasonExpired: the window has closed. The object confers nothing and may stay where it is.
	ReasonExpired = "Expired"
	// ReasonApprovalPending: the access waits for somebody's approval.
	ReasonApprovalPending = "ApprovalPending"
	// ReasonApproved: whoever must approve has done so.
	ReasonApproved = "Approved"
	// ReasonDenied: an approver said no.
	ReasonDenied = "Denied"
	// ReasonRevoked: a revocation took the access away.
	ReasonRevoked = "Revoked"
)

// The reasons of a UserBinding or TemporaryGrant that a Guardrail concerns, besides ApprovalPending, Approved and Denied.
const (
	// ReasonApprovedInPart: what some of the users would get is approved, and counts; the rest waits. Ready=True.
	ReasonApprovedInPart = "ApprovedInPart"
	// ReasonTooLong: the window is longer than a Guardrail allows. It confers nothing.
	ReasonTooLong = "TooLong"
	// ReasonEmergencyTooLong: an emergency lasts longer than four hours. It confers nothing.
	ReasonEmergencyTooLong = "EmergencyTooLong"
	// ReasonNeedsNamedUsers: what needs approval names users, and here a selector would give it. That subject confers
	// nothing.
	ReasonNeedsNamedUsers = "NeedsNamedUsers"
	// ReasonEmergencyUnreviewed: the access was taken in an emergency, without approval, and nobody has reviewed it yet.
	// Ready=True.
	ReasonEmergencyUnreviewed = "EmergencyUnreviewed"
)

// The reasons of a Guardrail. Both are Ready=True: the rule is in force, and what it found is for people to judge.
const (
	// ReasonHoldersOutOfRange: a role has fewer or more holders than the guardrail wants. Nobody loses access by it.
	ReasonHoldersOutOfRange = "HoldersOutOfRange"
	// ReasonDutiesHeldTogether: somebody holds the rights to duties that are to be separate. On one record they still
	// cannot exercise both.
	ReasonDutiesHeldTogether = "DutiesHeldTogether"
)

// The reasons of an Approval.
const (
	// ReasonCounted: it counts for (or, as a no, against) what it names.
	ReasonCounted = "Counted"
	// ReasonApproverUnknown: no User has the approver's username among its identities.
	ReasonApproverUnknown = "ApproverUnknown"
	// ReasonAdmissionNotInForce, also of a PermissionStore: the policy that checks approvals is missing, weaker than the
	// shipped one, or was changed a moment ago. What is approved meanwhile does not count.
	ReasonAdmissionNotInForce = "AdmissionNotInForce"
	// ReasonAdmissionUnproven: the policy that checks approvals was not in force, unchanged, when this one was made, so
	// that anybody may have made it. It does not count.
	ReasonAdmissionUnproven = "AdmissionUnproven"
)

// The reasons of a Revocation.
const (
	// ReasonInForce: what it names confers nothing.
	ReasonInForce = "InForce"
	// ReasonLifted: its lift was approved; it takes nothing away any more.
	ReasonLifted = "Lifted"
)

// The reasons of a User, a Department and an ObjectType.
const (
	// ReasonSuspended: the account is suspended; its user has no access for now.
	ReasonSuspended = "Suspended"
	// ReasonDeparted: the user has left; nothing confers access to them any more.
	ReasonDeparted = "Departed"
	// ReasonDisabled: the object type is off; every action on it is denied.
	ReasonDisabled = "Disabled"
	// ReasonReferenceCycle: the chain of parents or of managers leads back to where it began.
	ReasonReferenceCycle = "ReferenceCycle"
)

// The reasons of condition Enforced of an ObjectType. All but Enforced mean that the table was not changed.
const (
	// ReasonEnforced: the table shows and takes what each user may see and change.
	ReasonEnforced = "Enforced"
	// ReasonStoreCannotEnforce: the store's driver has no tables of the CRM beside it.
	ReasonStoreCannotEnforce = "StoreCannotEnforce"
	// ReasonTableBusy: somebody holds the table. It is tried again.
	ReasonTableBusy = "TableBusy"
	// ReasonTableMissing: there is no such table, or no such column in it.
	ReasonTableMissing = "TableMissing"
	// ReasonColumnUnsuited: a column's type or collation cannot be compared as decisions compare.
	ReasonColumnUnsuited = "ColumnUnsuited"
	// ReasonTableShared: another object or tenant, or another relation, has the same rows.
	ReasonTableShared = "TableShared"
	// ReasonForeignPolicy: somebody else's policy would show more.
	ReasonForeignPolicy = "ForeignPolicy"
	// ReasonRoleUnsuited: a role is not there, or stands above row-level security.
	ReasonRoleUnsuited = "RoleUnsuited"
	// ReasonRightHeld: an application role has a right to the table from elsewhere.
	ReasonRightHeld = "RightHeld"
	// ReasonNotPermitted: the operator's role may not change the table.
	ReasonNotPermitted = "NotPermitted"
	// ReasonRefused: the database refused a statement for another reason.
	ReasonRefused = "Refused"
)

// The reasons of a PermissionStore.
const (
	// ReasonConnected: the store answers and is ours.
	ReasonConnected = "Connected"
	// ReasonStoreUnavailable: the store does not answer. What it holds stays in force, and windows still end.
	ReasonStoreUnavailable = "StoreUnavailable"
	// ReasonStoreOwnedElsewhere: another cluster or namespace owns the store until spec.adopt names it.
	ReasonStoreOwnedElsewhere = "StoreOwnedElsewhere"
	// ReasonStoreRefused: the store answers and refuses the write.
	ReasonStoreRefused = "StoreRefused"
	// ReasonSecretUnavailable: the Secret or its key with the connection is missing or may not be read.
	ReasonSecretUnavailable = "SecretUnavailable"
	// ReasonAbsenceNotBelieved: the list of objects is not known to be complete, so nothing is removed because its
	// object was not seen.
	ReasonAbsenceNotBelieved = "AbsenceNotBelieved"
	// ReasonOlderAPI: the API shows a state from before what the store has acted on (an etcd restored from a backup).
	// Nothing is written until spec.adopt names the store's owner; windows still end.
	ReasonOlderAPI = "APIOlderThanStore"
	// ReasonRetired: spec.state is Retired; nobody has access in this namespace.
	ReasonRetired = "Retired"
	// ReasonDriftFound: the store held rows that no object declares. Enforce removed them; Observe left them.
	ReasonDriftFound = "DriftFound"
)
