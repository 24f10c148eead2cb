package decisionapi

import (
	"cmp"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The types of subject. A user is named by name or by a login; an identity by a login alone, at one issuer where its
// property issuer says so.
const (
	subjectUser     = "user"
	subjectIdentity = "identity"
)

// entities are what a body asks about. Its other members are an endpoint's own.
type entities struct {
	subject  *subject
	action   *action
	resource *resource
	context  *circumstances
	// share are the terms of what is to be shared; evaluations have none.
	share *terms
}

// read reads a member if it is one of them.
func (e *entities) read(r *reader, name string, options *Options) {
	switch name {
	case "subject":
		e.subject = r.subject()
	case "action":
		e.action = r.action()
	case "resource":
		e.resource = r.resource()
	case "context":
		e.context = r.circumstances(options)
	}
}

// approvals are those that the context counts on.
func (e *entities) approvals() []string {
	if e.context == nil {
		return nil
	}
	return e.context.approvals
}

// or fills in what is not given from the defaults, each entity whole.
func (e *entities) or(defaults *entities) {
	e.subject = cmp.Or(e.subject, defaults.subject)
	e.action = cmp.Or(e.action, defaults.action)
	e.resource = cmp.Or(e.resource, defaults.resource)
	e.context = cmp.Or(e.context, defaults.context)
}

// question is what is asked.
type question struct {
	subjectType string
	request     access.Request
	explain     bool
	// at is context.time where it is honoured and given.
	at *schedule.Instant

	drafts drafts
}

// question maps the entities to a request (design §7). What a policy does not know is ignored, also attributes that the
// object does not declare; what it knows and cannot be read is a fault.
func (e *entities) question(q *question, policy *access.Policy) error {
	if wrong := firstFault(e.subject.fault(), e.action.fault(), e.resource.fault()); wrong != nil {
		return wrong
	}
	q.reset()
	q.subjectType, q.request.User = e.subject.meant(policy)
	q.request.Action, q.request.Object = e.action.meant(policy, e.resource.object, &q.drafts), e.resource.object
	if c := e.context; c != nil {
		if c.malformed != nil {
			return c.malformed
		}
		q.request.Fields, q.request.Context, q.explain, q.at = c.fields, c.access, c.explain, c.at
	}
	q.request.Context.TargetUser = policy.UserMeant(q.request.Context.TargetUser)
	var err error
	q.request.Record, err = e.resource.record(policy, &q.drafts)
	return err
}

// reset empties the question for the next one.
func (q *question) reset() {
	q.drafts.reset()
	q.subjectType, q.request, q.explain, q.at = "", access.Request{}, false, nil
}

// meant is the subject as the policy knows it. A login that no user or more than one has is nobody's, also where a user
// has it for a name.
func (s *subject) meant(policy *access.Policy) (kind, user string) {
	switch s.kind {
	case subjectUser:
		return s.kind, policy.UserMeant(s.id)
	case subjectIdentity:
		if user, known := policy.UserByLogin(s.issuer, s.id); known {
			return subjectUser, user
		}
		return subjectUser, subjectIdentity + ":" + s.id
	}
	return s.kind, s.id
}

func (a *action) meant(policy *access.Policy, object string, d *drafts) string {
	if len(a.properties) == 0 {
		return a.name
	}
	return policy.ActionMeant(object, a.name, func(name string) []string {
		for i := range a.properties {
			if p := &a.properties[i]; p.name == name {
				values, _ := p.values(d, "") // what cannot be read fits no variant
				return values
			}
		}
		return nil
	})
}

// fault says what is wrong with an entity that must be there.
func (s *subject) fault() error {
	if s == nil {
		return missing("subject")
	}
	return firstFault(s.malformed, needed("subject.type", s.kind), needed("subject.id", s.id))
}

func (a *action) fault() error {
	if a == nil {
		return missing("action")
	}
	return firstFault(a.malformed, needed("action.name", a.name))
}

func (s *resource) fault() error {
	if s == nil {
		return missing("resource")
	}
	return firstFault(s.malformed, needed("resource.type", s.object))
}

// namesRecord says whether the resource names its record, as it must (AuthZEN, section 5.2): a PEP that forgets the id is told,
// not answered about some record or other. The record of a create has no id yet, an export is of many, and an id that is ""
// says that the question is about no single record.
func (s *resource) namesRecord(action string) error {
	if s.named || action == access.ActionCreate || action == access.ActionExport {
		return nil
	}
	return missing("resource.id")
}

func missing(at string) error { return &fault{at, "is missing"} }

func needed(at, text string) error {
	if text == "" {
		return missing(at)
	}
	return nil
}

func firstFault(faults ...error) error {
	for _, wrong := range faults {
		if wrong != nil {
			return wrong
		}
	}
	return nil
}

// record is the record asked about, or the one proposed. A resource without id and properties is none: the question is
// then whether any record could be covered.
func (s *resource) record(policy *access.Policy, d *drafts) (*access.Record, error) {
	if s.id == "" && len(s.properties) == 0 {
		return nil, nil
	}
	record, err := d.recordOf(policy, s.object, s.properties, "resource.properties")
	if err != nil {
		return nil, err
	}
	record.ID = s.id
	return record, nil
}

func (s *resource) objectName() string {
	if s == nil {
		return ""
	}
	return s.object
}
