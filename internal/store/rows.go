package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Table names a kind of row. The drivers' tables have the same names and, besides tenant, owner_kind and owner_name,
// the columns that the body's JSON has.
type Table string

// The tables of a tenant's content.
const (
	TableSource     Table = "source"
	TableObject     Table = "object_type"
	TableField      Table = "object_field"
	TableStorage    Table = "object_storage"
	TableDepartment Table = "department"
	TableClosure    Table = "department_closure"
	TableUser       Table = "crm_user"
	TableMembership Table = "user_department"
	TableLineage    Table = "role_lineage"
	TableTuple      Table = "tuple"
	TableHolder     Table = "holder"
	TableGuardrail  Table = "guardrail_rule"
	TableApproval   Table = "approval"
)

// Tables are all of them, in an order in which they can be written.
var Tables = []Table{
	TableSource, TableObject, TableField, TableStorage, TableDepartment, TableClosure, TableUser, TableMembership, TableLineage, TableTuple,
	TableHolder, TableGuardrail, TableApproval,
}

// RowID identifies a row within its tenant. A row belongs to the object that asked for it.
type RowID struct {
	Table Table
	Owner access.Ref
	// Key tells rows of one owner and table apart; see the table's encoding.
	Key string
}

// Compare orders rows by table, owner and key: the order of Diff and of the ledger.
func (id RowID) Compare(o RowID) int {
	return cmp.Or(
		cmp.Compare(slices.Index(Tables, id.Table), slices.Index(Tables, o.Table)),
		cmp.Compare(id.Owner.Kind, o.Owner.Kind), cmp.Compare(id.Owner.Name, o.Owner.Name),
		cmp.Compare(id.Key, o.Key))
}

// Row is one row: its identity and its columns as canonical JSON, so that equal rows are equal values.
type Row struct {
	RowID
	Body string
}

// Source is the declaration an object made, as last acted on. It is what the object's other rows follow from, and what
// stands in for the object while its absence is not believed.
type Source struct {
	UID  string          `json:"uid"`
	Spec json.RawMessage `json:"spec"`
}

// SourceRow encodes a source. The spec is compacted and its keys sorted, so that equal specs are equal rows.
func SourceRow(owner access.Ref, source Source) (Row, error) {
	var spec any
	decoder := json.NewDecoder(bytes.NewReader(source.Spec))
	decoder.UseNumber()
	if err := decoder.Decode(&spec); err != nil {
		return Row{}, fmt.Errorf("spec of %s: %w", owner, err)
	}
	canonical, err := json.Marshal(spec)
	if err != nil {
		return Row{}, fmt.Errorf("spec of %s: %w", owner, err)
	}
	source.Spec = canonical
	return encode(TableSource, owner, "", source)
}

// holderBody is a holder with its window as columns: RFC 3339 in UTC and whole seconds, so that text order is time order;
// null is without bound.
type holderBody struct {
	access.HolderFact
	NotBefore *string `json:"not_before"`
	NotAfter  *string `json:"not_after"`
}

// Encode makes the rows of facts.
func Encode(facts access.Facts) ([]Row, error) {
	e := encoder{rows: make([]Row, 0, len(facts.Tuples)+len(facts.Holders)+2*len(facts.Users)+len(facts.Fields)+len(facts.Closure))}
	for _, f := range facts.Objects {
		e.add(TableObject, f.Owner, f.Object, f)
	}
	for _, f := range facts.Fields {
		e.add(TableField, f.Owner, f.Field, f)
	}
	for _, f := range facts.Storages {
		e.add(TableStorage, f.Owner, f.Object, f)
	}
	for _, f := range facts.Departments {
		e.add(TableDepartment, f.Owner, f.Department, f)
	}
	for _, f := range facts.Closure {
		e.add(TableClosure, f.Owner, f.Ancestor, f)
	}
	for _, f := range facts.Users {
		e.add(TableUser, f.Owner, f.User, f)
	}
	for _, f := range facts.Memberships {
		e.add(TableMembership, f.Owner, f.Department, f)
	}
	for _, f := range facts.Lineage {
		e.add(TableLineage, f.Owner, f.Ancestor, f)
	}
	for _, f := range facts.Tuples {
		e.add(TableTuple, f.Owner, f.Bundle+" "+f.Digest, f)
	}
	for _, f := range facts.Holders {
		e.add(TableHolder, f.Owner, f.User+" "+f.Bundle, holderBody{f, bound(f.Window.NotBefore), bound(f.Window.NotAfter)})
	}
	for _, f := range facts.Guardrails {
		e.add(TableGuardrail, f.Owner, f.Position, f)
	}
	for _, f := range facts.Approvals {
		e.add(TableApproval, f.Owner, f.Effect, f)
	}
	return e.rows, e.err
}

type encoder struct {
	rows []Row
	err  error
}

func (e *encoder) add(table Table, owner access.Ref, key string, body any) {
	row, err := encode(table, owner, key, body)
	if err != nil && e.err == nil {
		e.err = err
	}
	e.rows = append(e.rows, row)
}

func encode(table Table, owner access.Ref, key string, body any) (Row, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return Row{}, fmt.Errorf("%s row of %s: %w", table, owner, err)
	}
	return Row{RowID{table, owner, key}, string(bytes.TrimSuffix(buffer.Bytes(), []byte("\n")))}, nil
}

// Decode reads rows back: the facts, and the sources by their object. A row that cannot be read (a hand wrote it) confers
// nothing and holds up no other: the error names all of them, and what could be read is returned beside it.
func Decode(rows []Row) (access.Facts, map[access.Ref]Source, error) {
	var facts access.Facts
	var unreadable []error
	sources := make(map[access.Ref]Source)
	for _, row := range rows {
		if err := decodeRow(row, &facts, sources); err != nil {
			unreadable = append(unreadable, fmt.Errorf("%s row %q of %s: %w", row.Table, row.Key, row.Owner, err))
		}
	}
	return facts, sources, errors.Join(unreadable...)
}

func decodeRow(row Row, facts *access.Facts, sources map[access.Ref]Source) error {
	switch row.Table {
	case TableSource:
		var source Source
		err := json.Unmarshal([]byte(row.Body), &source)
		if err == nil {
			sources[row.Owner] = source
		}
		return err
	case TableObject:
		return decodeInto(&facts.Objects, row, func(f *access.ObjectFact) { f.Owner = row.Owner })
	case TableField:
		return decodeInto(&facts.Fields, row, func(f *access.FieldFact) { f.Owner = row.Owner })
	case TableStorage:
		return decodeInto(&facts.Storages, row, func(f *access.StorageFact) { f.Owner = row.Owner })
	case TableDepartment:
		return decodeInto(&facts.Departments, row, func(f *access.DepartmentFact) { f.Owner = row.Owner })
	case TableClosure:
		return decodeInto(&facts.Closure, row, func(f *access.ClosureFact) { f.Owner = row.Owner })
	case TableUser:
		return decodeInto(&facts.Users, row, func(f *access.UserFact) { f.Owner = row.Owner })
	case TableMembership:
		return decodeInto(&facts.Memberships, row, func(f *access.MembershipFact) { f.Owner = row.Owner })
	case TableLineage:
		return decodeInto(&facts.Lineage, row, func(f *access.LineageFact) { f.Owner = row.Owner })
	case TableTuple:
		return decodeInto(&facts.Tuples, row, func(f *access.TupleFact) { f.Owner = row.Owner })
	case TableHolder:
		return decodeHolder(row, facts)
	case TableGuardrail:
		return decodeInto(&facts.Guardrails, row, func(f *access.GuardrailFact) { f.Owner = row.Owner })
	case TableApproval:
		return decodeInto(&facts.Approvals, row, func(f *access.ApprovalFact) { f.Owner = row.Owner })
	}
	return fmt.Errorf("unknown table")
}

func decodeInto[T any](list *[]T, row Row, own func(*T)) error {
	var fact T
	if err := json.Unmarshal([]byte(row.Body), &fact); err != nil {
		return err
	}
	own(&fact)
	*list = append(*list, fact)
	return nil
}

func decodeHolder(row Row, facts *access.Facts) error {
	var body holderBody
	if err := json.Unmarshal([]byte(row.Body), &body); err != nil {
		return err
	}
	notBefore, err := instant(body.NotBefore, schedule.Always)
	if err != nil {
		return err
	}
	notAfter, err := instant(body.NotAfter, schedule.Forever)
	if err != nil {
		return err
	}
	fact := body.HolderFact
	fact.Owner = row.Owner
	fact.Window = schedule.Window{NotBefore: notBefore, NotAfter: notAfter}
	facts.Holders = append(facts.Holders, fact)
	return nil
}

func bound(i schedule.Instant) *string {
	if i == schedule.Always || i == schedule.Forever {
		return nil
	}
	s := i.String()
	return &s
}

func instant(s *string, unset schedule.Instant) (schedule.Instant, error) {
	if s == nil {
		return unset, nil
	}
	return schedule.Parse(*s)
}

// Change is one row that changes. Before is empty for a new row, After for one that goes.
type Change struct {
	RowID
	Before, After string
}

// Diff is what turns the held rows into the desired ones, sorted by table, owner and key.
func Diff(held, desired map[RowID]string) []Change {
	var changes []Change
	for id, before := range held {
		if after, ok := desired[id]; !ok || after != before {
			changes = append(changes, Change{id, before, after})
		}
	}
	for id, after := range desired {
		if _, ok := held[id]; !ok {
			changes = append(changes, Change{id, "", after})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return a.Compare(b.RowID) })
	return changes
}

// Index makes a map of rows. Of two rows with one identity the later stands.
func Index(rows []Row) map[RowID]string {
	index := make(map[RowID]string, len(rows))
	for _, row := range rows {
		index[row.RowID] = row.Body
	}
	return index
}

// Apply changes an index in place.
func Apply(index map[RowID]string, changes []Change) {
	for _, c := range changes {
		if c.After == "" {
			delete(index, c.RowID)
		} else {
			index[c.RowID] = c.After
		}
	}
}
