package decisionapi

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The entities that a body names, as they are written; nil where they are not given. An object is not yet looked up, and what
// an entity lacks or holds wrongly is its own fault, which counts only where the entity does.

// subject is who asks to do something. Of its properties only issuer is read: departments and roles are the policy's.
type subject struct {
	kind, id, issuer string
	malformed        error
}

// action is what is to be done.
type action struct {
	name       string
	properties []property
	malformed  error
}

// resource is what it is to be done to.
type resource struct {
	// object is its type. named says that there is an id, which may be "": no record.
	object, id string
	named      bool
	properties []property
	malformed  error
}

// circumstances are a question's context.
type circumstances struct {
	access  access.Context
	fields  []string
	explain bool
	at      *schedule.Instant
	// approvals are the ids of requests whose approvers the question counts on.
	approvals []string
	malformed error
}

// property is one fact or attribute. What it may be depends on the object, which may stand behind it in the body.
type property struct {
	name string
	form propertyForm
	text string
	// more is there for a list, a reference, and what is malformed.
	more *propertyMore
}

type propertyMore struct {
	texts []string
	// record is what is said of the record that a reference names.
	record    []property
	malformed error
}

type propertyForm uint8

const (
	formNull propertyForm = iota
	formText
	formScalar // a number, true or false, as text
	formList
	formReference
)

// spare is memory for what bodies hold, which the next body gets.
type spare struct {
	subject       spareOf[subject]
	action        spareOf[action]
	resource      spareOf[resource]
	circumstances spareOf[circumstances]
	properties    spareOf[property]
}

// keptValues is how many of a kind are kept for the next body. What a body has beyond is its own.
const keptValues = 512

type spareOf[T any] struct{ values []T }

func (s *spareOf[T]) take() *T { return &s.takeSome(1)[:1][0] }

// takeSome takes room for so many, all of them empty. What was taken before stays where it is.
func (s *spareOf[T]) takeSome(n int) []T {
	at := len(s.values)
	if at+n > cap(s.values) {
		at, s.values = 0, make([]T, 0, max(n, min(2*cap(s.values), keptValues)))
	}
	s.values = s.values[:at+n]
	return s.values[at : at : at+n]
}

// giveBack empties what was taken, so that nothing holds on to a body that is answered, and lets it be taken again.
func (s *spareOf[T]) giveBack() {
	clear(s.values)
	s.values = s.values[:0]
}

func (s *spare) giveBack() {
	s.subject.giveBack()
	s.action.giveBack()
	s.resource.giveBack()
	s.circumstances.giveBack()
	s.properties.giveBack()
}

// takeProperties takes room for the properties of one entity: of most bodies they are the only ones.
func (s *spare) takeProperties() []property {
	if len(s.properties.values) == 0 {
		return s.properties.takeSome(8)
	}
	return s.properties.takeSome(4)
}

// apart reads something whose faults are its own.
func (r *reader) apart(read func()) error {
	before := r.fault
	r.fault = nil
	read()
	fault := r.fault
	r.fault = before
	return fault
}

func (r *reader) subject() *subject {
	if r.kind() == 'n' {
		r.raw()
		return nil
	}
	s := r.spare.subject.take()
	s.malformed = r.apart(func() {
		for name := range r.members() {
			switch name {
			case "type":
				s.kind = r.text()
			case "id":
				s.id = r.text()
			case "properties":
				s.issuer = r.issuer()
			}
		}
	})
	return s
}

// issuer is what a subject's properties say of who knows it by its id.
func (r *reader) issuer() (issuer string) {
	for name := range r.members() {
		if name == "issuer" {
			issuer = r.text()
		}
	}
	return issuer
}

func (r *reader) action() *action {
	if r.kind() == 'n' {
		r.raw()
		return nil
	}
	a := r.spare.action.take()
	a.malformed = r.apart(func() {
		for name := range r.members() {
			switch name {
			case "name":
				a.name = r.text()
			case "properties":
				a.properties = r.properties()
			}
		}
	})
	return a
}

func (r *reader) resource() *resource {
	if r.kind() == 'n' {
		r.raw()
		return nil
	}
	s := r.spare.resource.take()
	s.malformed = r.apart(func() {
		for name := range r.members() {
			switch name {
			case "type":
				s.object = r.text()
			case "id":
				s.named = r.kind() != 'n'
				s.id = r.text()
			case "properties":
				s.properties = r.properties()
			}
		}
	})
	return s
}

func (r *reader) circumstances(options *Options) *circumstances {
	if r.kind() == 'n' {
		r.raw()
		return nil
	}
	c := r.spare.circumstances.take()
	c.malformed = r.apart(func() {
		for name := range r.members() {
			switch name {
			case "channel":
				c.access.Channel = r.text()
			case "device":
				c.access.Device = r.text()
			case "rows":
				c.access.Rows = r.amount()
			case "used":
				c.access.Used = r.amount()
			case "owned":
				c.access.Owned = r.amount()
			case "reason":
				c.access.Reason = r.text()
			case "target":
				r.target(&c.access)
			case "fields":
				c.fields = r.texts()
			case "explain":
				c.explain = r.truth()
			case "approval":
				c.approvals = r.approvals()
			case "time":
				if options.HonourTime {
					c.at = r.instant()
				}
			}
		}
	})
	return c
}

// maxApprovals is how many approvals one question can count on, as many as rules can ask for.
const maxApprovals = 16

// approvals reads the id of a request, or a list of them.
func (r *reader) approvals() (ids []string) {
	if r.kind() == '"' {
		ids = []string{r.text()}
	} else {
		ids = r.texts()
	}
	if len(ids) > maxApprovals {
		r.failf("want %d at most", maxApprovals)
	}
	return ids
}

func (r *reader) target(c *access.Context) {
	for name := range r.members() {
		switch name {
		case "user":
			c.TargetUser = r.text()
		case "department":
			c.TargetDepartment = r.text()
		}
	}
}

// properties reads an object of properties. One that is null is there all the same: what is said of a record, if only that
// nothing is known, is about a record and not about any.
func (r *reader) properties() (list []property) {
	for name := range r.members() {
		if list == nil {
			list = r.spare.takeProperties()
		}
		list = append(list, property{name: name})
		p := &list[len(list)-1]
		if malformed := r.apart(func() { r.property(p) }); malformed != nil {
			p.more = &propertyMore{malformed: malformed}
		}
	}
	return list
}

// property reads a value as manifest.AttributeValues reads that of a record in a file.
func (r *reader) property(p *property) {
	switch r.kind() {
	case '"':
		p.form, p.text = formText, r.text()
	case 't', 'f':
		p.form, p.text = formScalar, r.raw()
	case '0':
		p.form, p.text = formScalar, r.number()
	case '[':
		p.form, p.more = formList, &propertyMore{texts: r.attributeList()}
	case '{':
		p.form, p.more = formReference, &propertyMore{record: r.properties()}
	default:
		r.raw()
	}
}

func (p *property) malformed() error {
	if p.more == nil {
		return nil
	}
	return p.more.malformed
}

func (p *property) texts() []string {
	if p.more == nil {
		return nil
	}
	return p.more.texts
}

// number is a number as it is compared. One that would have to be rounded is none: it would be another.
func (r *reader) number() string {
	raw := r.raw()
	whole, broken, err := numberOf(raw)
	switch {
	case err != nil:
		r.failf("%v", err)
		return ""
	case whole != nil:
		return strconv.FormatInt(*whole, 10)
	}
	text := strconv.FormatFloat(broken, 'f', -1, 64)
	if !equalNumbers(raw, text, broken) {
		r.failf("the number has more digits than are compared; write it as a text")
		return ""
	}
	return text
}

// equalNumbers says whether a number is exactly what it was read as. A zero is told by its digits: an exponent that made it
// one may be too great to reckon with.
func equalNumbers(raw, text string, value float64) bool {
	if value == 0 {
		digits, _, _ := strings.Cut(strings.ToLower(raw), "e")
		return !strings.ContainsAny(digits, "123456789")
	}
	said, readable := new(big.Rat).SetString(raw)
	read, readableToo := new(big.Rat).SetString(text)
	return readable && readableToo && said.Cmp(read) == 0
}

func (r *reader) attributeList() (list []string) {
	for range r.elements() {
		if r.kind() != '"' {
			r.refuse("a list holds texts only")
			continue
		}
		list = append(list, r.text())
	}
	return list
}

// recordOf is what the properties, at a place in the body, say of a record of the object. Attributes that it does not
// declare are ignored.
func (d *drafts) recordOf(policy *access.Policy, object string, properties []property, at string) (*access.Record, error) {
	record := d.record()
	form := policy.Form(object)
	var owner, department string // by those fields
	for i := range properties {
		p := &properties[i]
		if err := p.setFact(record, at); err != nil {
			return nil, err
		}
		switch {
		case p.form != formText || p.malformed() != nil:
		case p.name == form.OwnerField:
			owner = p.text
		case p.name == form.DepartmentField:
			department = p.text
		}
		if !form.HasField(p.name) {
			continue
		}
		isParent := form.From.Object != "" && p.name == form.From.Field
		if isParent && p.form == formReference && p.malformed() == nil {
			parent, err := d.recordOf(policy, form.From.Object, p.more.record, at+"."+shown(p.name))
			if err != nil {
				return nil, err
			}
			record.Parent = parent
		}
		values, err := p.values(d, at)
		if err != nil {
			return nil, err
		}
		if len(values) > 0 && (isParent || form.Compares(p.name)) {
			if record.Attributes == nil {
				record.Attributes = make(map[string][]string, 1)
			}
			record.Attributes[p.name] = values
		}
	}
	record.Owner, record.Department = cmp.Or(record.Owner, owner), cmp.Or(record.Department, department)
	nameUsers(policy, record)
	return record, nil
}

// nameUsers puts the names of users in place of their logins.
func nameUsers(policy *access.Policy, record *access.Record) {
	record.Owner, record.Creator = policy.UserMeant(record.Owner), policy.UserMeant(record.Creator)
	for i, user := range record.Participants {
		record.Participants[i] = policy.UserMeant(user)
	}
}

// setFact takes a property over that says what every record has.
func (p *property) setFact(record *access.Record, at string) error {
	var fact *string
	switch p.name {
	case "id":
		fact = &record.ID
	case "owner":
		fact = &record.Owner
	case "department":
		fact = &record.Department
	case "creator":
		fact = &record.Creator
	case "participants":
		if p.malformed() == nil && p.form != formList && p.form != formNull {
			return p.fault(at, "want a list of texts")
		}
		record.Participants = p.texts()
		return p.malformed()
	default:
		return nil
	}
	if p.malformed() == nil && p.form != formText && p.form != formNull {
		return p.fault(at, "want a text")
	}
	*fact = p.text
	return p.malformed()
}

// values are what a condition compares. A reference counts as the id that it names.
func (p *property) values(d *drafts, at string) ([]string, error) {
	if p.malformed() != nil {
		return nil, p.malformed()
	}
	switch p.form {
	case formText, formScalar:
		return d.list(p.text), nil
	case formList:
		return p.texts(), nil
	case formReference:
		for i := range p.more.record {
			if id := &p.more.record[i]; id.name == "id" && id.form != formReference {
				return id.values(d, at)
			}
		}
		if slices.ContainsFunc(p.more.record, func(id property) bool { return id.name == "id" }) {
			return nil, p.fault(at, "want a text, a number, true or false, or a list of texts")
		}
	}
	return nil, nil
}

func (p *property) fault(at, what string) error { return &fault{at + "." + shown(p.name), what} }
