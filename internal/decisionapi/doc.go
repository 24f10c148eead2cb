// Package decisionapi answers access questions over HTTP: the OpenID AuthZEN Authorization API 1.0, its evaluations,
// searches and metadata, and the filter of a list.
//
//	body ──reader──► entities ──question──► access.Request ──Policy──► Reply
//
// It decides nothing itself, keeps nothing of what it was asked, and knows no store: a Source hands it a policy and the
// time that holds for it.
//
// A new endpoint is a line in routes.go and a method of asked in a file of its own. It reads its body in one pass: the
// entities that it shares with the others by entities.read, its own members by the reader's methods. Then it asks
// reader.end what was wrong, and only then answers:
//
//	func (a *asked) share() (any, error) {
//		var e entities
//		var recipient string
//		for name := range a.body.members() {
//			switch name {
//			case "recipient":
//				recipient = a.body.text()
//			default:
//				e.read(a.body, name, &a.options)
//			}
//		}
//		if err := a.body.end(); err != nil {
//			return nil, err
//		}
//		…
//
// What an entity lacks is no fault until the endpoint asks for it (subject.fault, action.fault, resource.fault, or
// asked.question for all of them). A GET or DELETE has no body; what its path leaves open is asked.id.
package decisionapi

import (
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Source is where the policies come from. It is asked once a request and must be safe for concurrent use.
type Source interface {
	// Tenants lists the namespaces that are served.
	Tenants() []string
	// Snapshot is what a tenant's decisions are made from now; false where it has not been read yet.
	Snapshot(tenant string) (Snapshot, bool)
}

// Snapshot is one state of a tenant.
type Snapshot struct {
	Policy *access.Policy
	// Revision names the state; it travels in a header.
	Revision string
	// Now is the store's time. It fails where the snapshot is too old to decide from, or the time is not known.
	Now func() (schedule.Instant, error)
	// Age is how long ago the store was last seen to hold the state; nil where there is no store to lag behind.
	Age func() time.Duration
	// Records are the tenant's, nil where none can be looked up: then what callers say of records counts.
	Records Records
}

// Reply is the body of an answer: the decision alone unless the question asked for more.
type Reply struct {
	Decision bool          `json:"decision"`
	Context  *ReplyContext `json:"context,omitempty"`
}

// ReplyContext is what a question can ask for besides the decision.
type ReplyContext struct {
	// Fields are the levels of the fields asked for.
	Fields map[string]string `json:"fields,omitempty"`
	// Reasons say why, one sentence each; Causes are the same with their parts.
	Reasons []string `json:"reasons,omitempty"`
	Causes  []Cause  `json:"causes,omitempty"`
	// NearestMiss and NearMisses say, of a deny, what would nearly have covered.
	NearestMiss string   `json:"nearestMiss,omitempty"`
	NearMisses  []string `json:"nearMisses,omitempty"`
	// Obligations are what must happen first, where the decision is false for want of an approval.
	Obligations []Obligation `json:"obligations,omitempty"`
	// Error says, of one question among several, why it could not be answered.
	Error *ReplyError `json:"error,omitempty"`
}

// ReplyError is what is wrong with one question among several.
type ReplyError struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// Cause is one reason with its parts.
type Cause struct {
	Text string `json:"text"`
	// From is the binding or temporary grant that the access comes from, as Kind/name, where the cause is a grant.
	From string `json:"from,omitempty"`
	// Path leads from the role held to the role whose text says it.
	Path string `json:"path,omitempty"`
	// Until is when the grant ends; absent where it does not.
	Until string `json:"until,omitempty"`
}

// Obligation is something that must happen before the access is given.
type Obligation struct {
	Type string `json:"type"`
	// Approvers are the users who may give it, at most access.MaxApprovers.
	Approvers []string `json:"approvers"`
	// Guardrail asks for it.
	Guardrail string `json:"guardrail"`
}

// ObligationApproval is the type of the obligation that somebody approves.
const ObligationApproval = "approval"

// CausesOf writes an explanation's causes out.
func CausesOf(e access.Explanation) []Cause {
	causes := make([]Cause, len(e.Causes))
	for i, c := range e.Causes {
		causes[i] = Cause{Text: c.Text, Path: c.Path}
		if c.Owner != (access.Ref{}) {
			causes[i].From = c.Owner.String()
		}
		if c.Until != schedule.Forever {
			causes[i].Until = c.Until.String()
		}
	}
	return causes
}
