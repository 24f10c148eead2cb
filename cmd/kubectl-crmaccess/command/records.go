package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// recordBook holds the records of a file, by object and id.
type recordBook struct {
	file    string // "" where there is none
	records map[recordKey]*manifest.Record
}

type recordKey struct{ object, id string }

func loadRecords(file string) (*recordBook, error) {
	book := &recordBook{file: file, records: map[recordKey]*manifest.Record{}}
	if file == "" {
		return book, nil
	}
	records, err := manifest.LoadRecords(file)
	if err != nil {
		return nil, err
	}
	for i := range records {
		r := &records[i]
		book.records[recordKey{norm.NFC.String(r.Object), norm.NFC.String(r.ID)}] = r
	}
	return book, nil
}

// fact is what the file says of a record, or nil.
func (b *recordBook) fact(object, id string) *access.Record {
	if r := b.records[recordKey{object, id}]; r != nil {
		return r.Fact()
	}
	return nil
}

// missing says that nothing is known of a record. To answer all the same would be to guess: a deny for want of facts
// reads like a deny.
func (b *recordBook) missing(object, id string) error {
	if b.file == "" {
		return fmt.Errorf("nothing is known of record %s/%s: give its facts with --record owner=NAME,department=NAME, or a file with --records", object, id)
	}
	near := access.Nearest(id, func(yield func(string) bool) {
		for key := range b.records {
			if key.object == object && !yield(key.id) {
				return
			}
		}
	})
	if near != "" {
		near = fmt.Sprintf("; did you mean %s/%s?", object, near)
	}
	return fmt.Errorf("record %s/%s is not in %s%s\ngive its facts with --record owner=NAME,department=NAME, or add it to the file", object, id, b.file, near)
}

// facts are those of --record.
type facts struct {
	// owner and so on are nil where they are not given; empty takes what the file says away.
	owner, department, creator *string
	participants               *[]string
	parent                     string
	attributes                 map[string][]string
}

func (f facts) none() bool {
	return f.owner == nil && f.department == nil && f.creator == nil && f.participants == nil && f.parent == "" && len(f.attributes) == 0
}

// parseFacts reads key=value pairs. An attribute given several times has several values.
func parseFacts(pairs []string) (facts, error) {
	f := facts{attributes: map[string][]string{}}
	seen := map[string]bool{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(norm.NFC.String(pair), "=")
		if !ok || key == "" {
			return facts{}, fmt.Errorf("--record %q: want key=value", pair)
		}
		single := true
		switch key {
		case "owner":
			f.owner = &value
		case "department":
			f.department = &value
		case "creator":
			f.creator = &value
		case "participants":
			list := strings.FieldsFunc(value, func(r rune) bool { return r == ';' })
			f.participants = &list
		case "parent":
			if f.parent = value; value == "" {
				return facts{}, fmt.Errorf("--record parent=: name the parent's id")
			}
		default:
			single = false
			f.addAttribute(key, value)
		}
		if single && seen[key] {
			return facts{}, fmt.Errorf("--record gives %s twice", key)
		}
		seen[key] = true
	}
	return f, nil
}

// addAttribute adds a value; an empty one alone takes what the file says away.
func (f *facts) addAttribute(key, value string) {
	values := f.attributes[key]
	if value != "" {
		values = append(values, value)
	}
	f.attributes[key] = values
}

// apply puts the facts over what is known of the record.
func (f facts) apply(record *access.Record, object *access.ObjectType) error {
	if f.parent != "" {
		if object.AccessFrom.Object == "" {
			return fmt.Errorf("--record parent=%s: object %s takes its access from no other object", f.parent, object.Name)
		}
		if _, both := f.attributes[object.AccessFrom.Field]; both {
			return fmt.Errorf("--record gives parent and %s, which names the parent too: keep one of them", object.AccessFrom.Field)
		}
	}
	if err := f.checkAttributes(object); err != nil {
		return err
	}
	f.override(record)
	if f.parent != "" {
		record.Attributes[object.AccessFrom.Field] = []string{f.parent}
	}
	return nil
}

func (f facts) override(record *access.Record) {
	if f.owner != nil {
		record.Owner = *f.owner
	}
	if f.department != nil {
		record.Department = *f.department
	}
	if f.creator != nil {
		record.Creator = *f.creator
	}
	if f.participants != nil {
		record.Participants = *f.participants
	}
	if record.Attributes == nil {
		record.Attributes = map[string][]string{}
	}
	maps.Copy(record.Attributes, f.attributes)
}

// checkAttributes refuses a key that is no field of the object: a misspelt owner would be an attribute that nobody reads.
func (f facts) checkAttributes(object *access.ObjectType) error {
	known := []string{"owner", "department", "creator", "participants", "parent"}
	for _, field := range object.Fields {
		known = append(known, field.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(f.attributes)) {
		switch {
		case key == object.OwnerField:
			return fmt.Errorf("--record %s: the owner of a record is given as owner=NAME", key)
		case key == object.DepartmentField:
			return fmt.Errorf("--record %s: the department of a record is given as department=NAME", key)
		case slices.Contains(known, key):
			continue
		}
		near := access.Nearest(key, slices.Values(known))
		if near != "" {
			near = fmt.Sprintf("; did you mean %s?", near)
		}
		return fmt.Errorf("--record %s: object %s has no such field%s", key, object.Name, near)
	}
	return nil
}

// maxParents bounds how far parents are followed: a chain that leads back to where it began would have no end.
const maxParents = 16

// parentFinder looks up the records that decide about others.
type parentFinder struct {
	types []*access.ObjectType
	book  *recordBook
	notes io.Writer
}

// find gives the record its parent, the parent its own, and so on. A parent that is not known stays unknown, which is
// never in the asker's favour; a note says so.
func (p *parentFinder) find(name string, object *access.ObjectType, record *access.Record) {
	for range maxParents {
		from := object.AccessFrom
		i := slices.IndexFunc(p.types, func(o *access.ObjectType) bool { return o.Name == from.Object })
		if from.Object == "" || i < 0 {
			return
		}
		ids := record.Attributes[from.Field]
		if len(ids) != 1 {
			printLine(p.notes, "note: %s takes its access from a %s, and its field %s names none: owner and department count as unknown", name, from.Object, from.Field)
			return
		}
		parent := p.book.fact(from.Object, ids[0])
		name = from.Object + "/" + ids[0]
		if parent == nil {
			printLine(p.notes, "note: %s, which decides, is not among the records: its owner and department count as unknown", name)
			return
		}
		record.Parent = parent
		object, record = p.types[i], parent
	}
}
