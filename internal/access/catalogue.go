package access

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

// Compared are the fields of the object that a condition of a grant asks for, and the one that names the record that
// decides: all else of a record's attributes decides nothing.
func (p *Policy) Compared(name string) (fields []string) {
	form := p.Form(name)
	if form.object == nil {
		return nil
	}
	for _, field := range form.object.fields.list {
		if form.Compares(field) || (form.From.Object != "" && field == form.From.Field) {
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

// Form is how a record of one object is read: what its attributes are, and which of them say what every record has. That
// of an object that nobody declares has none.
type Form struct {
	// From says whose record decides; see AccessFrom.
	From AccessFrom
	// OwnerField and DepartmentField are the fields that hold a record's owner and department; "" where none does.
	OwnerField, DepartmentField string

	object *object
}

// Form is that of an object.
func (p *Policy) Form(name string) (f Form) {
	id, known := p.objectIDs.find(name)
	if !known {
		return f
	}
	f.object = &p.objects[id]
	f.OwnerField, f.DepartmentField = f.object.ownerField, f.object.departmentField
	if parent := f.object.parent; parent != none {
		f.From = AccessFrom{Object: p.objects[parent].name, Field: f.object.parentField}
	}
	return f
}

// HasField says whether the object has the field.
func (f *Form) HasField(name string) bool {
	if f.object == nil {
		return false
	}
	_, known := f.object.fields.find(name)
	return known
}

// Compares says whether a condition of a grant asks for the field: of what is known of a record, other attributes decide
// nothing.
func (f *Form) Compares(field string) bool {
	return f.object != nil && contains(f.object.compared, field)
}
