package access

import (
	"cmp"
	"encoding/json"
	"slices"
)

// ballot is an Approval with the person who made it.
type ballot struct {
	*Approval
	person *User // nil where it is nobody's, or more than one user's
}

// identifyApprovers finds the person behind each approval, and files them by what they are for, in an order that does
// not depend on that of the declarations.
func (r *resolver) identifyApprovers() {
	if len(r.declared.Approvals) == 0 {
		return
	}
	r.identities = make(map[string][]*User)
	for _, u := range r.declared.Users {
		for _, identity := range sorted(u.Identities) {
			r.identities[identity] = append(r.identities[identity], u)
		}
	}
	r.approvals = make(map[Ref][]*ballot)
	r.effects = make(map[string]*AccessEffect)
	for _, a := range r.declared.Approvals {
		b := &ballot{Approval: a, person: r.personBehind(a)}
		if len(a.Document) > 0 && r.documents[a.Effect] == nil {
			r.documents[a.Effect] = exactDocument(a)
		}
		r.ballots = append(r.ballots, b)
		r.approvals[a.For] = append(r.approvals[a.For], b)
	}
	for _, list := range r.approvals {
		slices.SortFunc(list, func(a, b *ballot) int { return cmp.Or(cmp.Compare(a.Effect, b.Effect), cmp.Compare(a.Name, b.Name)) })
	}
}

// exactDocument is the document that the approval names, to the byte; nil where the one that came with it is another. A
// store that keeps JSON by its meaning gives it back in another spelling.
func exactDocument(a *Approval) []byte {
	if EffectDigest(a.Document) == a.Effect && json.Valid(a.Document) {
		return a.Document
	}
	if document, err := CanonicalEffect(a.Document); err == nil && EffectDigest(document) == a.Effect {
		return document
	}
	return nil
}

// accessEffect is what a known document says of somebody's access; nil where it is unknown or of another kind.
func (r *resolver) accessEffect(digest string) *AccessEffect {
	effect, done := r.effects[digest]
	if !done {
		if document, err := ParseEffect(r.documents[digest]); err == nil {
			effect = document.Access
		}
		r.effects[digest] = effect
	}
	return effect
}

// personBehind is the one user who has the approver's username, and who had it when the approval was first seen.
func (r *resolver) personBehind(a *Approval) *User {
	users := r.identities[a.Approver]
	if len(users) != 1 || (a.Person != "" && a.Person != users[0].Name) {
		return nil
	}
	return users[0]
}

// mayApprove says whether the person may say yes to anything at all.
func (r *resolver) mayApprove(u *User) bool {
	return u != nil && u.State == StateActive && u.Type == UserEmployee && r.revoked.user(u.Name) == ""
}

// isNamed says whether a requester, written as the name of a user or as a username, is this user.
func isNamed(requester string, u *User) bool {
	return requester != "" && (requester == u.Name || slices.Contains(u.Identities, requester))
}

// resolveApprovals keeps who approved what. Whom an approval was seen to be of stays with it when the username has moved
// to somebody else since: were that forgotten, the other would be taken for the approver.
func (r *resolver) resolveApprovals() {
	for _, b := range r.ballots {
		fact := ApprovalFact{
			Owner: Ref{KindApproval, b.Name}, ForKind: b.For.Kind, ForName: b.For.Name,
			Effect: b.Effect, Decision: "Approve", Approver: b.Approver, Person: b.Person, Document: r.documents[b.Effect],
		}
		if b.Denied {
			fact.Decision = "Deny"
		}
		if fact.Person == "" && b.person != nil {
			fact.Person = b.person.Name
		}
		if fact.Person != "" {
			r.facts.Approvals = append(r.facts.Approvals, fact)
		}
	}
}
