package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

const (
	serverTimeout = 15 * time.Second
	maxReply      = 4 << 20
)

// serverAsker asks a running manager.
type serverAsker struct {
	address string
	notes   io.Writer
	client  *http.Client
}

func newServerAsker(address string, notes io.Writer) *serverAsker {
	return &serverAsker{address: address, notes: notes, client: &http.Client{
		Timeout: serverTimeout,
		// Another server's answer would be taken for this one's.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
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
	base, err := url.Parse(s.address)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("server %q: want an address such as %s", s.address, defaultServer)
	}
	endpoint := base.JoinPath("access/v1/evaluation")
	if q.namespace != "" {
		if problems := validation.IsDNS1123Label(q.namespace); len(problems) > 0 {
			return nil, fmt.Errorf("namespace %q: %s", q.namespace, problems[0])
		}
		endpoint = base.JoinPath(q.namespace, "access/v1/evaluation")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.address, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, s.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read from
	return s.read(q, response)
}

// unreachable says what to do when there is no answer.
func (s *serverAsker) unreachable(err error) error {
	var problem *url.Error
	if errors.As(err, &problem) {
		err = problem.Err // without the address, which is said anyway
	}
	return fmt.Errorf(`the manager's decision API at %s cannot be reached: %w
ask from manifests with -f DIR, or make the manager reachable:
  kubectl -n crm-access-operator-system port-forward deployment/crm-access-operator 8082
and name another address with --server or %s`, s.address, err, serverVariable)
}

func (s *serverAsker) body(q *canQuestion) ([]byte, error) {
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
	return json.Marshal(evaluation{
		Subject:  named{Type: "user", ID: q.user},
		Action:   named{Name: q.action},
		Resource: resource{Type: q.object, ID: q.id, Properties: properties},
		Context:  asked,
	})
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

// read turns the reply into an answer.
func (s *serverAsker) read(q *canQuestion, response *http.Response) (*answer, error) {
	content, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("read the reply of %s: %w", s.address, err)
	}
	if response.StatusCode != http.StatusOK {
		var problem struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(content, &problem) != nil || problem.Error == "" {
			problem.Error = "this is not a decision API; check --server"
		}
		return nil, fmt.Errorf("%s answers %s: %s", s.address, response.Status, terminal.Printable(problem.Error))
	}
	var reply decisionapi.Reply
	if err := json.Unmarshal(content, &reply); err != nil || reply.Context == nil {
		return nil, fmt.Errorf("%s gives no decision with its reasons: this is not a decision API; check --server", s.address)
	}
	at := response.Header.Get(decisionapi.HeaderTime)
	if q.at != "" && at != q.instant.String() {
		return nil, fmt.Errorf("%s decides by its own clock and has not looked at --at: ask from manifests with -f DIR", s.address)
	}
	return s.answer(q, &reply, at)
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
