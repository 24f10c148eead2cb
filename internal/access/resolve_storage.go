package access

import (
	"fmt"
	"maps"
	"slices"
)

// resolveStorage says whether the storage compiles; where not, it is none, and every action on the object is denied: what
// a caller says of a record must not count because the table that holds it is misspelt.
func (r *resolver) resolveStorage(ref Ref, o *ObjectType) bool {
	const denied = "every action on the object is denied"
	s, ok := &o.Storage, true
	for _, field := range slices.Sorted(maps.Keys(s.Columns)) {
		if !r.fields[o.Name][field] {
			r.unknown(ref, "storage.columns."+field, "field of "+o.Name, field, denied)
			ok = false
		}
	}
	fact := StorageFact{
		Owner: ref, Object: o.Name, Table: s.Table, IDColumn: s.ID, OwnerColumn: s.Owner, DepartmentColumn: s.Department,
		ParticipantsColumn: s.Participants, CreatorColumn: s.Creator, TenantColumn: s.TenantColumn, TenantValue: s.TenantValue,
		Columns: s.Columns,
	}
	if path, column, other := columnTwice(o, &fact); column != "" {
		r.find(ref, ReasonInvalid, path, "column %q is given twice, here and by %s: %s", column, other, denied)
		ok = false
	}
	if ok {
		r.facts.Storages = append(r.facts.Storages, fact)
	}
	return ok
}

// columnTwice finds a column that two facts of a record, or two fields, would have. A field may show what a fact is, so a
// fact and a field may share theirs; but the owner's and the department's are for ownerField and departmentField alone,
// because transfer and assign change them, and an update must not.
func columnTwice(o *ObjectType, s *StorageFact) (path, column, other string) {
	facts := []struct{ name, column, field string }{
		{"storage.id", s.IDColumn, ""},
		{"storage.owner", s.OwnerColumn, o.OwnerField},
		{"storage.department", s.DepartmentColumn, o.DepartmentField},
		{"storage.participants", s.ParticipantsColumn, ""},
		{"storage.creator", s.CreatorColumn, ""},
		{"storage.tenant.column", s.TenantColumn, ""},
	}
	given, guarded := make(map[string]string), make(map[string]string)
	for _, f := range facts {
		if f.column == "" {
			continue
		}
		if first := given[f.column]; first != "" {
			return f.name, f.column, "spec." + first
		}
		given[f.column] = f.name
		if f.name == "storage.owner" || f.name == "storage.department" {
			guarded[f.column] = f.field
		}
	}
	byField := make(map[string]string)
	for i, f := range o.Fields {
		path, column := fmt.Sprintf("fields[%d]", i), s.Column(f.Name)
		if first, twice := byField[column]; twice && first != f.Name {
			return path, column, "field " + first
		}
		if field, isGuarded := guarded[column]; isGuarded && field != f.Name {
			return path, column, "spec." + given[column]
		}
		byField[column] = f.Name
	}
	return "", "", ""
}
