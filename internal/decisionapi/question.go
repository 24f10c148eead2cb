package decisionapi

import (
	"fmt"
	"maps"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// subjectUser is the only type of subject there is.
const subjectUser = "user"

// question is what a body asks.
type question struct {
	subjectType string
	request     access.Request
	explain     bool
	// at is context.time where it is honoured and given.
	at *schedule.Instant
}

// readQuestion maps a body to a request (design §7). What it does not know it ignores, also attributes that the object
// does not declare; what it knows and cannot read is a fault. Facts about the subject are not read at all: departments
// and roles are the policy's.
func readQuestion(policy *access.Policy, body map[string]any, options Options) (*question, error) {
	r := &reader{policy: policy}
	root := members{r, "", body}
	subject, action, resource := root.required("subject"), root.required("action"), root.required("resource")
	context := root.object("context")
	q := &question{
		subjectType: subject.name("type"),
		request:     access.Request{User: subject.name("id"), Action: action.name("name"), Object: resource.name("type")},
		explain:     context.flag("explain"),
	}
	q.request.Record = r.record(resource, q.request.Object)
	q.request.Fields = context.texts("fields")
	target := context.object("target")
	q.request.Context = access.Context{
		Channel:          context.text("channel"),
		Device:           context.text("device"),
		Rows:             context.count("rows"),
		Used:             context.count("used"),
		Owned:            context.count("owned"),
		Reason:           context.text("reason"),
		TargetUser:       target.text("user"),
		TargetDepartment: target.text("department"),
	}
	if options.HonourTime {
		q.at = context.instant("time")
	}
	if r.fault != nil {
		return nil, r.fault
	}
	return q, nil
}

// reader keeps the first fault.
type reader struct {
	policy *access.Policy
	fault  error
}

func (r *reader) failf(at, format string, args ...any) {
	if r.fault == nil {
		r.fault = &fault{at: at, what: fmt.Sprintf(format, args...)}
	}
}

// record is the record asked about, or the one proposed. A resource without id and properties is none: the question is
// then whether any record could be covered.
func (r *reader) record(resource members, object string) *access.Record {
	properties := resource.object("properties")
	id := resource.text("id")
	if id == "" && len(properties.of) == 0 {
		return nil
	}
	record := r.facts(properties, object)
	record.ID = id
	return record
}

// facts reads what is known of a record of the object.
func (r *reader) facts(properties members, object string) *access.Record {
	record := &access.Record{
		ID:           properties.text("id"),
		Owner:        properties.text("owner"),
		Department:   properties.text("department"),
		Creator:      properties.text("creator"),
		Participants: properties.texts("participants"),
	}
	from := r.policy.AccessFrom(object)
	for _, name := range slices.Sorted(maps.Keys(properties.of)) {
		if !r.policy.HasField(object, name) {
			continue
		}
		value := properties.of[name]
		if reference, ok := value.(map[string]any); ok {
			named := members{r, properties.at(name), reference}
			if name == from.Field && from.Object != "" {
				record.Parent = r.facts(named, from.Object)
			}
			value = named.of["id"] // a reference counts as the id that it names
		}
		values, err := manifest.AttributeValues(value)
		if err != nil {
			r.failf(properties.at(name), "%v", err)
		}
		if len(values) > 0 {
			if record.Attributes == nil {
				record.Attributes = make(map[string][]string)
			}
			record.Attributes[name] = values
		}
	}
	return record
}

// members are the members of one JSON object, at a path. A member that is null counts as absent.
type members struct {
	*reader
	path string
	of   map[string]any
}

func (m members) at(name string) string {
	if m.path == "" {
		return shown(name)
	}
	return m.path + "." + shown(name)
}

// object is a member that is an object; without members where it is absent.
func (m members) object(name string) members {
	inner := members{m.reader, m.at(name), nil}
	switch v := m.of[name].(type) {
	case nil:
	case map[string]any:
		inner.of = v
	default:
		m.failf(inner.path, "want an object")
	}
	return inner
}

func (m members) required(name string) members {
	if m.of[name] == nil {
		m.failf(m.at(name), "is missing")
	}
	return m.object(name)
}

// text is a member that is a text, or "".
func (m members) text(name string) string {
	switch v := m.of[name].(type) {
	case nil:
	case string:
		return v
	default:
		m.failf(m.at(name), "want a text")
	}
	return ""
}

// name is a text that must be there.
func (m members) name(name string) string {
	v := m.text(name)
	if v == "" {
		m.failf(m.at(name), "is missing")
	}
	return v
}

func (m members) texts(name string) []string {
	switch v := m.of[name].(type) {
	case nil:
	case []any:
		list := make([]string, len(v))
		for i, element := range v {
			text, ok := element.(string)
			if !ok {
				m.failf(fmt.Sprintf("%s.%d", m.at(name), i), "want a text")
			}
			list[i] = text
		}
		return list
	default:
		m.failf(m.at(name), "want a list of texts")
	}
	return nil
}

// count is a member that is a number of something, or nil.
func (m members) count(name string) *int64 {
	switch v := m.of[name].(type) {
	case nil:
		return nil
	case int64:
		if v >= 0 {
			return &v
		}
	}
	m.failf(m.at(name), "want a whole number, zero or more")
	return nil
}

func (m members) flag(name string) bool {
	switch v := m.of[name].(type) {
	case nil:
	case bool:
		return v
	default:
		m.failf(m.at(name), "want true or false")
	}
	return false
}

func (m members) instant(name string) *schedule.Instant {
	text := m.text(name)
	if text == "" {
		return nil
	}
	at, err := schedule.Parse(text)
	if err != nil {
		m.failf(m.at(name), "%v", err)
	}
	return &at
}
