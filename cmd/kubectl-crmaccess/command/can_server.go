package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// serverAsker asks a decision API.
type serverAsker struct {
	*server
	notes io.Writer
}

// evaluation is the body of the question, as far as this command asks one.
type evaluation struct {
	Subject  named          `json:"subject"`
	Action   named          `json:"action"`
	Resource resource       `json:"resource"`
	Context  map[string]any `json:"context"`
}

type named struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type resource struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"` // "" asks about no single record
	Properties map[string]any `json:"properties,omitempty"`
}

func (s *serverAsker) ask(ctx context.Context, q *canQuestion) (*answer, error) {
	body, err := s.body(q)
	if err != nil {
		return nil, err
	}
	var reply decisionapi.Reply
	header, err := s.post(ctx, q.namespace, "access/v1/evaluation", body, &reply)
	if err != nil {
		return nil, err
	}
	if reply.Context == nil {
		return nil, fmt.Errorf("%s gives no decision with its reasons: this is not a decision API; check --server", s.address)
	}
	at, err := s.instantOf(q, header)
	if err != nil {
		return nil, err
	}
	return s.answer(q, &reply, at)
}

// instantOf is the instant that the answer holds for: the one asked about, where one is.
func (s *serverAsker) instantOf(q *canQuestion, header http.Header) (string, error) {
	at := header.Get(decisionapi.HeaderTime)
	if q.at != "" && at != q.instant.String() {
		return "", fmt.Errorf("%s decides by its own clock and has not looked at --at: ask from manifests with -f DIR", s.address)
	}
	return at, nil
}

func (s *serverAsker) body(q *canQuestion) (*evaluation, error) {
	asked := map[string]any{"explain": true, "channel": q.context.Channel}
	for name, said := range map[string]string{"device": q.context.Device, "reason": q.context.Reason} {
		if said != "" {
			asked[name] = said
		}
	}
	for name, number := range map[string]*int64{"rows": q.context.Rows, "used": q.context.Used, "owned": q.context.Owned} {
		if number != nil {
			asked[name] = *number
		}
	}
	if q.field != "" {
		asked["fields"] = []string{q.field}
	}
	if q.at != "" {
		asked["time"] = q.instant.String()
	}
	target := map[string]string{}
	if q.context.TargetUser != "" {
		target["user"] = q.context.TargetUser
	}
	if q.context.TargetDepartment != "" {
		target["department"] = q.context.TargetDepartment
	}
	if len(target) > 0 {
		asked["target"] = target
	}
	properties, err := s.properties(q)
	if err != nil {
		return nil, err
	}
	return &evaluation{
		Subject:  named{Type: "user", ID: q.user},
		Action:   named{Name: q.action},
		Resource: resource{Type: q.object, ID: q.id, Properties: properties},
		Context:  asked,
	}, nil
}

// properties are the facts of the record that this side knows. The server does not know what the CRM's records say.
func (s *serverAsker) properties(q *canQuestion) (map[string]any, error) {
	if q.facts.parent != "" {
		return nil, errors.New("--record parent= needs -f: without the manifests it is not known which field names the parent; give that field instead")
	}
	book, err := loadRecords(q.recordFile)
	if err != nil {
		return nil, err
	}
	record := book.fact(q.object, q.id)
	if record == nil {
		if q.id != "" && q.facts.none() {
			printLine(s.notes, "note: asked without facts of %s: its owner and department count as unknown; give them with --record or --records", q.target())
		}
		record = &access.Record{}
	}
	q.facts.override(record)
	return propertiesOf(book, record, maxParents), nil
}

// propertiesOf writes a record out. A field that names a record of the file by object and id carries its facts along:
// the server takes those of the field that decides, and of the others the id.
func propertiesOf(book *recordBook, record *access.Record, depth int) map[string]any {
	out := map[string]any{}
	for name, values := range record.Attributes {
		if len(values) == 0 {
			continue
		}
		out[name] = values
		if len(values) > 1 {
			continue
		}
		out[name] = values[0]
		if parent := book.fact(name, values[0]); parent != nil && depth > 0 {
			reference := propertiesOf(book, parent, depth-1)
			reference["id"] = parent.ID
			out[name] = reference
		}
	}
	for name, value := range map[string]string{"owner": record.Owner, "department": record.Department, "creator": record.Creator} {
		if value != "" {
			out[name] = value
		}
	}
	if len(record.Participants) > 0 {
		out["participants"] = record.Participants
	}
	return out
}

func (s *serverAsker) answer(q *canQuestion, reply *decisionapi.Reply, at string) (*answer, error) {
	a := &answer{
		effect: access.Deny, at: at, causes: reply.Context.Causes,
		nearestMiss: reply.Context.NearestMiss, nearMisses: reply.Context.NearMisses,
	}
	if reply.Decision {
		a.effect = access.Allow
	}
	for _, obligation := range reply.Context.Obligations {
		if obligation.Type == decisionapi.ObligationApproval && !reply.Decision {
			a.effect = access.NeedsApproval
			a.approvers = append(a.approvers, approval{obligation.Guardrail, obligation.Approvers})
		}
	}
	if q.field == "" {
		return a, nil
	}
	level, err := access.ParseLevel(reply.Context.Fields[q.field])
	if err != nil {
		return nil, fmt.Errorf("%s says nothing of field %s: %w", s.address, q.field, err)
	}
	a.level = level
	return a, nil
}
