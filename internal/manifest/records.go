package manifest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Record is one record of the CRM as a record file gives it: what offline questions are asked about.
type Record struct {
	Object       string   `json:"object"`
	ID           string   `json:"id"`
	Owner        string   `json:"owner,omitempty"`
	Department   string   `json:"department,omitempty"`
	Participants []string `json:"participants,omitempty"`
	Creator      string   `json:"creator,omitempty"`
	// Attributes are text, number, true or false, or a list of texts, as written.
	Attributes map[string]any `json:"attributes,omitempty"`

	// Source is where the record stands.
	Source Source `json:"-"`
}

// Fact is the record as the engine reads it: every attribute is a list of texts in NFC. Its parent is not looked up.
func (r *Record) Fact() *access.Record {
	out := &access.Record{
		ID:           text(r.ID),
		Owner:        text(r.Owner),
		Department:   text(r.Department),
		Creator:      text(r.Creator),
		Participants: texts(r.Participants),
		Attributes:   make(map[string][]string, len(r.Attributes)),
	}
	for name, value := range r.Attributes {
		// LoadRecords let nothing else pass.
		if values, err := AttributeValues(value); err == nil {
			out.Attributes[name] = values
		}
	}
	return out
}

// AttributeValues is an attribute as the engine compares it: texts in NFC. A number is written as JSON writes it
// (7, 7.5), true and false as words; null and an empty list are no value. It refuses objects and lists of lists.
func AttributeValues(value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []string:
		return texts(v), nil
	case []any:
		var out []string
		for _, element := range v {
			s, ok := element.(string)
			if !ok {
				return nil, fmt.Errorf("a list holds texts only, not %v", element)
			}
			out = append(out, text(s))
		}
		return out, nil
	}
	single, ok := scalar(value)
	if !ok {
		return nil, fmt.Errorf("want a text, a number, true or false, or a list of texts")
	}
	return []string{single}, nil
}

func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return text(v), true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// LoadRecords reads a file that is a list of records, in YAML or JSON. The error joins every fault, with file and
// line: unknown fields, values of the wrong type, and records given twice.
func LoadRecords(path string) ([]Record, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	data, err := readLimited(root.FS(), filepath.Base(path))
	if err != nil {
		return nil, &Fault{Source: Source{File: path}, Message: err.Error()}
	}
	return parseRecords(path, data)
}

func parseRecords(file string, data []byte) ([]Record, error) {
	documents, faults := readDocuments(file, forms[filepath.Ext(file)], data)
	r := recordReader{faults: faults, seen: map[[2]string]Source{}}
	var records []Record
	for _, d := range documents {
		list, ok := d.value.([]any)
		if !ok {
			r.fail(d.source(d.root, ""), "", "want a list of records, each with object and id")
			continue
		}
		for i, element := range list {
			path := fmt.Sprintf("[%d]", i)
			if record, ok := r.record(d, path, element); ok {
				records = append(records, record)
			}
		}
	}
	if err := joined(r.faults); err != nil {
		return nil, err
	}
	return records, nil
}

// recordReader collects the faults of a record file.
type recordReader struct {
	faults []*Fault
	seen   map[[2]string]Source
}

func (r *recordReader) fail(at Source, path, format string, args ...any) {
	r.faults = append(r.faults, &Fault{Source: at, Path: path, Message: fmt.Sprintf(format, args...)})
}

var recordFields = []string{"object", "id", "owner", "department", "participants", "creator", "attributes"}

func (r *recordReader) record(d *document, path string, value any) (Record, bool) {
	at := d.source(d.root, path)
	fields, ok := value.(map[string]any)
	if !ok {
		r.fail(at, path, "want a record: object, id, owner and so on")
		return Record{}, false
	}
	before := len(r.faults)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(recordFields, name) {
			r.fail(d.source(d.root, path+"."+name), path+"."+name, "unknown field%s", didYouMean(name, recordFields))
		}
	}
	record := Record{
		Object:       r.text(d, path, fields, "object"),
		ID:           r.text(d, path, fields, "id"),
		Owner:        r.text(d, path, fields, "owner"),
		Department:   r.text(d, path, fields, "department"),
		Creator:      r.text(d, path, fields, "creator"),
		Participants: r.participants(d, path, fields),
		Attributes:   r.attributes(d, path, fields),
		Source:       at,
	}
	if len(r.faults) == before {
		r.identify(record)
	}
	return record, len(r.faults) == before
}

// identify refuses records without a name and records of the same name.
func (r *recordReader) identify(record Record) {
	if record.Object == "" || record.ID == "" {
		r.fail(record.Source, "", "a record needs object and id")
		return
	}
	key := [2]string{record.Object, text(record.ID)}
	if first, ok := r.seen[key]; ok {
		r.fail(record.Source, "", "record %s of object %s stands already at %s", record.ID, record.Object, first)
		return
	}
	r.seen[key] = record.Source
}

func (r *recordReader) text(d *document, path string, fields map[string]any, name string) string {
	switch v := fields[name].(type) {
	case nil:
	case string:
		return v
	default:
		path += "." + name
		r.fail(d.source(d.root, path), path, "want a text, not %v: put it in quotes", v)
	}
	return ""
}

func (r *recordReader) participants(d *document, path string, fields map[string]any) []string {
	value, ok := fields["participants"]
	if !ok || value == nil {
		return nil
	}
	path += ".participants"
	if _, ok := value.([]any); !ok {
		r.fail(d.source(d.root, path), path, "want a list of user names")
		return nil
	}
	values, err := AttributeValues(value)
	if err != nil {
		r.fail(d.source(d.root, path), path, "want a list of user names: %v", err)
	}
	return values
}

func (r *recordReader) attributes(d *document, path string, fields map[string]any) map[string]any {
	value, ok := fields["attributes"]
	if !ok || value == nil {
		return nil
	}
	path += ".attributes"
	attributes, ok := value.(map[string]any)
	if !ok {
		r.fail(d.source(d.root, path), path, "want fields and their values")
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if _, err := AttributeValues(attributes[name]); err != nil {
			at := path + "." + name
			r.fail(d.source(d.root, at), at, "%v", err)
		}
	}
	return attributes
}
