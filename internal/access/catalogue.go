package access

import "slices"

// AccessFrom says whose record decides about a record of the object; the zero value says that its own does, or that
// nobody declares the object.
func (p *Policy) AccessFrom(name string) AccessFrom {
	id, known := p.objectIDs.find(name)
	if !known || p.objects[id].parent == none {
		return AccessFrom{}
	}
	o := &p.objects[id]
	return AccessFrom{Object: p.objects[o.parent].name, Field: o.parentField}
}

// Storage says which table holds the records of the object. Of one that has a table, what the table says counts, and
// nothing that whoever asks says of a stored record.
func (p *Policy) Storage(name string) (StorageFact, bool) {
	s, has := p.storages[name]
	return s, has
}

// HasField says whether the object is declared and has the field.
func (p *Policy) HasField(name, field string) bool {
	id, known := p.objectIDs.find(name)
	if !known {
		return false
	}
	_, known = p.objects[id].fields.find(field)
	return known
}

// Compares says whether a condition of a grant asks for the field of the object: of what is known of a record, other
// attributes decide nothing.
func (p *Policy) Compares(name, field string) bool {
	id, known := p.objectIDs.find(name)
	if !known {
		return false
	}
	return slices.Contains(p.objects[id].compared, field) || (p.revoked != nil && p.revoked.Compares(name, field))
}

// Compared are the fields of the object that a condition of a grant asks for, and the one that names the record that
// decides: all else of a record's attributes decides nothing.
func (p *Policy) Compared(name string) []string {
	id, known := p.objectIDs.find(name)
	if !known {
		return nil
	}
	var fields []string
	for _, field := range p.objects[id].fields.list {
		if p.Compares(name, field) || (p.objects[id].parent != none && field == p.objects[id].parentField) {
			fields = append(fields, field)
		}
	}
	return fields
}

// Users are all accounts, in no particular order. The caller must not change the list.
func (p *Policy) Users() []string { return p.users.list }

// Actions are what can be done to the object at all; none where nobody declares it. The caller must not change the list.
func (p *Policy) Actions(name string) []string {
	id, known := p.objectIDs.find(name)
	if !known {
		return nil
	}
	return p.objects[id].actions.list
}

// FactFields are the fields of the object that hold a record's owner and department; "" where they are none, or nobody
// declares the object.
func (p *Policy) FactFields(name string) (owner, department string) {
	id, known := p.objectIDs.find(name)
	if !known {
		return "", ""
	}
	return p.objects[id].ownerField, p.objects[id].departmentField
}
