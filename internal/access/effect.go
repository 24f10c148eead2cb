package access

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// EffectVersion is the apiVersion of effect documents. docs/spec/effect.md says how one is made.
const EffectVersion = "crmaccess.io/effect/v1"

// EffectKind says what an effect document is about.
type EffectKind string

// The kinds of effect documents.
const (
	// EffectAccess is what one person gets by a UserBinding or TemporaryGrant.
	EffectAccess EffectKind = "Access"
	// EffectLift is the end of a Revocation.
	EffectLift EffectKind = "Lift"
	// EffectRemoval is the end of a Guardrail.
	EffectRemoval EffectKind = "Removal"
)

// AccessEffect is what one person gets by a UserBinding or TemporaryGrant, and what an Approval of it is a yes or no to.
type AccessEffect struct {
	Subject string
	// Roles are the roles that the person then holds, the inherited ones among them: a role is more than its tuples, for
	// guardrails let its holders approve.
	Roles []string
	// Tuples are told by their content; whose text says them, and by which path they came, is not part of the effect.
	Tuples      []*Tuple
	Window      schedule.Window
	Reason      string
	RequestedBy string
}

// EffectDocument is a document that was read.
type EffectDocument struct {
	Kind EffectKind
	// Access is what a document of that kind says; nil for the others, whose bytes are all there is to compare.
	Access *AccessEffect
}

// EffectDigest is how an Approval names a document: "sha256:" and the hash of its bytes in hexadecimal.
func EffectDigest(document []byte) string {
	sum := sha256.Sum256(document)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Document is the effect as canonical JSON.
func (e *AccessEffect) Document() []byte {
	members := make([]string, 0, len(e.Tuples))
	for _, t := range e.Tuples {
		members = append(members, string(appendCanonical(nil, t.content())))
	}
	return e.document(members)
}

// document is Document with the tuples already encoded, in any order.
func (e *AccessEffect) document(tuples []string) []byte {
	effect := jsonObject{"subject": e.Subject, "tuples": encodedList(tuples)}
	effect.names("roles", e.Roles)
	effect.text("reason", e.Reason)
	effect.text("requestedBy", e.RequestedBy)
	if e.Window.NotBefore != schedule.Always {
		effect["notBefore"] = e.Window.NotBefore.String()
	}
	if e.Window.NotAfter != schedule.Forever {
		effect["notAfter"] = e.Window.NotAfter.String()
	}
	return effect.document(EffectAccess)
}

// LiftDocument is the effect of ending the revocation. It has the uid, so that an old lift ends no new revocation.
func (r *Revocation) LiftDocument() []byte {
	revocation := jsonObject{"name": r.ObjectName(), targetMember(r.Target.Kind): r.Target.Name}
	revocation.text("uid", r.UID)
	revocation.text("reason", r.Reason)
	return jsonObject{"revocation": revocation}.document(EffectLift)
}

// targetMember is how a Revocation's text calls its target.
func targetMember(kind Kind) string {
	switch kind {
	case KindUserBinding:
		return "binding"
	case KindTemporaryGrant:
		return "grant"
	case KindRole:
		return "role"
	}
	return "user"
}

// RemovalDocument is the effect of the guardrail's end. It has the rules, so that what is removed is what was read.
func (g *Guardrail) RemovalDocument() []byte {
	rules := make([]any, len(g.Rules))
	for i := range g.Rules {
		rules[i] = plainValue(g.Rules[i])
	}
	guardrail := jsonObject{"name": g.Name, "rules": rules}
	guardrail.text("uid", g.UID)
	return jsonObject{"guardrail": guardrail}.document(EffectRemoval)
}

// VerifyEffect reads a document and makes sure that it is the one that the digest names.
func VerifyEffect(document []byte, digest string) (*EffectDocument, error) {
	if actual := EffectDigest(document); actual != digest {
		return nil, fmt.Errorf("the effect document has the digest %s, not %s", actual, digest)
	}
	return ParseEffect(document)
}

// CanonicalEffect spells a document canonically that somebody has kept by its meaning only, with keys in another order or
// letters escaped that need not be.
func CanonicalEffect(document []byte) ([]byte, error) {
	tree, err := plainTree(document)
	if err != nil {
		return nil, err
	}
	return appendCanonical(nil, tree), nil
}

// plainTree reads JSON that has nothing in it but strings, lists, objects and booleans.
func plainTree(document []byte) (tree any, err error) {
	if err := json.Unmarshal(document, &tree); err != nil {
		return nil, fmt.Errorf("effect document: %w", err)
	}
	return tree, checkPlain(tree)
}

// ParseEffect reads a document. It refuses whatever is not canonical to the byte, so that nothing can stand in an
// approved document that a reader of it would not have seen.
func ParseEffect(document []byte) (*EffectDocument, error) {
	tree, err := plainTree(document)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(appendCanonical(nil, tree), document) {
		return nil, errors.New("effect document: want canonical JSON: sorted keys, no whitespace, nothing escaped that need not be")
	}
	var head struct{ APIVersion, Kind string }
	if err := json.Unmarshal(document, &head); err != nil {
		return nil, fmt.Errorf("effect document: %w", err)
	}
	if head.APIVersion != EffectVersion {
		return nil, fmt.Errorf("effect document: unknown apiVersion %q: want %s", head.APIVersion, EffectVersion)
	}
	switch kind := EffectKind(head.Kind); kind {
	case EffectLift, EffectRemoval:
		return &EffectDocument{Kind: kind}, nil
	case EffectAccess:
		effect, err := parseAccess(document)
		if err != nil {
			return nil, fmt.Errorf("effect document: %w", err)
		}
		return &EffectDocument{Kind: kind, Access: effect}, nil
	}
	return nil, fmt.Errorf("effect document: unknown kind %q", head.Kind)
}

// accessJSON is a document of kind Access as it is read. It is written by AccessEffect.Document alone.
type accessJSON struct {
	Subject     string      `json:"subject"`
	Roles       []string    `json:"roles"`
	Tuples      []tupleJSON `json:"tuples"`
	NotBefore   string      `json:"notBefore"`
	NotAfter    string      `json:"notAfter"`
	Reason      string      `json:"reason"`
	RequestedBy string      `json:"requestedBy"`
}

type tupleJSON struct {
	Object          string      `json:"object"`
	Actions         []string    `json:"actions"`
	Scopes          []string    `json:"scopes"`
	IDs             []string    `json:"ids"`
	Owners          []string    `json:"owners"`
	Departments     []string    `json:"departments"`
	DepartmentTrees []string    `json:"departmentTrees"`
	Where           []WhereFact `json:"where"`
	Fields          []RuleFact  `json:"fields"`
	OnlyFields      []string    `json:"onlyFields"`
}

func parseAccess(document []byte) (*AccessEffect, error) {
	var in accessJSON
	if err := json.Unmarshal(document, &in); err != nil {
		return nil, err
	}
	window, err := parseSpan(in.NotBefore, in.NotAfter)
	if err != nil {
		return nil, err
	}
	effect := &AccessEffect{Subject: in.Subject, Roles: in.Roles, Window: window, Reason: in.Reason, RequestedBy: in.RequestedBy}
	for i := range in.Tuples {
		t, err := in.Tuples[i].tuple()
		if err != nil {
			return nil, err
		}
		effect.Tuples = append(effect.Tuples, t)
	}
	// Members that nobody knows, lists out of order, a window that reads otherwise: all of it shows here.
	if !bytes.Equal(effect.Document(), document) {
		return nil, errors.New("it says more than its apiVersion knows, or in another order")
	}
	return effect, nil
}

func (in *tupleJSON) tuple() (*Tuple, error) {
	scopes, err := ParseScopes(in.Scopes)
	if err != nil {
		return nil, err
	}
	for _, rule := range in.Fields {
		if _, err := ParseLevel(rule.Level); err != nil {
			return nil, err
		}
		if _, err := ParseClass(rule.Class); rule.Field == "" && err != nil {
			return nil, err
		}
	}
	for _, w := range in.Where {
		if !slices.Contains([]Operator{OperatorIn, OperatorNotIn, OperatorExists}, w.Operator) {
			return nil, fmt.Errorf("unknown operator %q", w.Operator)
		}
	}
	slices.SortFunc(in.Fields, compareRules)
	return &Tuple{
		Object: in.Object, Actions: in.Actions, Scopes: scopes.Names(), IDs: in.IDs, Owners: in.Owners,
		Departments: in.Departments, DepartmentTrees: in.DepartmentTrees, Where: in.Where, Fields: in.Fields,
		Restricted: in.OnlyFields != nil, OnlyFields: in.OnlyFields,
	}, nil
}

func compareRules(a, b RuleFact) int {
	return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Field, b.Field))
}

// content is what a tuple says, as the tree that its canonical form is made from.
func (t *Tuple) content() jsonObject {
	tree := jsonObject{"object": t.Object}
	tree.names("actions", t.Actions)
	tree.names("scopes", t.Scopes)
	tree.names("ids", t.IDs)
	tree.names("owners", t.Owners)
	tree.names("departments", t.Departments)
	tree.names("departmentTrees", t.DepartmentTrees)
	var where, fields []string
	for _, w := range t.Where {
		condition := jsonObject{"field": w.Field, "operator": string(w.Operator)}
		condition.names("values", w.Values)
		where = append(where, string(appendCanonical(nil, condition)))
	}
	for _, rule := range t.Fields {
		member := jsonObject{"level": rule.Level}
		member.text("class", rule.Class)
		member.text("field", rule.Field)
		fields = append(fields, string(appendCanonical(nil, member)))
	}
	tree.list("where", where)
	tree.list("fields", fields)
	if t.Restricted {
		tree["onlyFields"] = nameList(sorted(t.OnlyFields))
	}
	return tree
}
