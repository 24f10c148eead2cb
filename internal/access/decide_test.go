package access_test

import (
	"slices"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// office is a small organisation that the tables below vary: hq > east > east-1, and a north beside east.
func office() Declarations {
	everything := []string{"create", "read", "update", "export", "transfer", "unmask"}
	return Declarations{
		ObjectTypes: []*ObjectType{
			{Name: "customer", OwnerField: "owner", DepartmentField: "ownerDept", Actions: everything, Fields: []Field{
				{Name: "name", Class: ClassPublic}, {Name: "owner", Class: ClassPublic}, {Name: "ownerDept", Class: ClassPublic}, {Name: "region", Class: ClassInternal},
				{Name: "phone", Class: ClassConfidential}, {Name: "limit", Class: ClassRestricted}, {Name: "pin", Class: ClassSecret},
			}},
			{Name: "contact", Actions: everything, AccessFrom: AccessFrom{Object: "customer", Field: "customer"}, Fields: []Field{{Name: "customer", Class: ClassPublic}, {Name: "mobile", Class: ClassConfidential}}},
			{Name: "lead", Disabled: true, Actions: everything},
		},
		Departments: []*Department{{Name: "hq"}, {Name: "east", Parent: "hq"}, {Name: "east-1", Parent: "east"}, {Name: "north", Parent: "hq"}},
		Users: []*User{
			{Name: "boss", Type: UserEmployee, State: StateActive, Departments: []string{"east"}},
			{Name: "ann", Type: UserEmployee, State: StateActive, Departments: []string{"east-1"}, Manager: "boss", Title: "rep"},
			{Name: "bob", Type: UserEmployee, State: StateActive, Departments: []string{"north"}, Title: "rep"},
			{Name: "gone", Type: UserEmployee, State: StateDeparted, Departments: []string{"east-1"}, Title: "rep"},
			{Name: "agency", Type: UserExternal, State: StateActive},
		},
	}
}

// holding gives a user a role with the grants.
func holding(user string, grants ...Grant) func(*Declarations) {
	return func(d *Declarations) {
		role := "role-of-" + user
		d.Roles = append(d.Roles, &Role{Name: role, Grants: grants})
		d.UserBindings = append(d.UserBindings, &UserBinding{Name: "binding-of-" + user, Subjects: []Subject{{User: user}}, Roles: []string{role}})
	}
}

// lending gives users a temporary grant from instant 100 to 200.
func lending(g Grant, users ...string) func(*Declarations) {
	return func(d *Declarations) {
		d.TemporaryGrants = append(d.TemporaryGrants, &TemporaryGrant{Name: "loan", Users: users, Grants: []Grant{g}, Window: schedule.Window{NotBefore: 100, NotAfter: 200}})
	}
}

func customers(scopes Scopes, actions ...string) Grant {
	return Grant{Object: "customer", Actions: actions, Records: Records{Scopes: scopes}}
}

func with(g Grant, rules ...FieldRule) Grant { g.Fields = rules; return g }

func level(class Class, level Level) FieldRule { return FieldRule{Class: class, Level: level} }

var (
	annsInEast1  = &Record{ID: "c1", Owner: "ann", Department: "east-1"}
	bobsInNorth  = &Record{ID: "c2", Owner: "bob", Department: "north"}
	poolInEast1  = &Record{ID: "c3", Department: "east-1"}
	nowhere      = &Record{ID: "c4", Owner: "bob", Department: "atlantis"}
	annsContact  = &Record{ID: "k1", Owner: "bob", Department: "north", Parent: annsInEast1}
	strayContact = &Record{ID: "k2", Owner: "ann", Department: "east-1"}
)

func TestDecisions(t *testing.T) {
	read, readUpdate := []string{"read"}, []string{"read", "update"}
	for name, c := range map[string]struct {
		given   func(*Declarations)
		at      schedule.Instant
		user    string
		action  string
		object  string
		record  *Record
		fields  []string
		want    Effect
		levels  []Level
		because string
	}{
		"own covers the owner's record":                          {given: holding("ann", customers(ScopeOwn, read...)), user: "ann", record: annsInEast1, want: Allow, because: "role-of-ann:read=own by UserBinding/binding-of-ann"},
		"own does not cover another's record, and says whose":    {given: holding("ann", customers(ScopeOwn, read...)), user: "ann", record: bobsInNorth, want: Deny, because: "holds read on own (role-of-ann by UserBinding/binding-of-ann); the record belongs to bob"},
		"a pool is nobody's own":                                 {given: holding("ann", customers(ScopeOwn, read...)), user: "ann", record: poolInEast1, want: Deny, because: "the record belongs to nobody"},
		"a user without name owns no pool":                       {given: holding("ann", customers(ScopeOwn, read...)), user: "", record: poolInEast1, want: Deny, because: `no account ""`},
		"involved covers participants":                           {given: holding("ann", customers(ScopeInvolved, read...)), user: "ann", record: &Record{Owner: "bob", Participants: []string{"ann"}}, want: Allow},
		"involved covers nobody else":                            {given: holding("ann", customers(ScopeInvolved, read...)), user: "ann", record: &Record{Owner: "bob", Participants: []string{"boss"}}, want: Deny},
		"subordinates covers those below in the line":            {given: holding("boss", customers(ScopeSubordinates, read...)), user: "boss", record: annsInEast1, want: Allow},
		"subordinates does not cover one's own":                  {given: holding("boss", customers(ScopeSubordinates, read...)), user: "boss", record: &Record{Owner: "boss", Department: "east"}, want: Deny},
		"subordinates does not look upwards":                     {given: holding("ann", customers(ScopeSubordinates, read...)), user: "ann", record: &Record{Owner: "boss", Department: "east"}, want: Deny},
		"department is exactly the user's, not what lies below":  {given: holding("boss", customers(ScopeDepartment, read...)), user: "boss", record: annsInEast1, want: Deny, because: "the record is in department east-1"},
		"departmentAndBelow takes in the subtree":                {given: holding("boss", customers(ScopeDepartmentAndBelow, read...)), user: "boss", record: annsInEast1, want: Allow},
		"departmentAndBelow does not look upwards":               {given: holding("ann", customers(ScopeDepartmentAndBelow, read...)), user: "ann", record: &Record{Owner: "bob", Department: "east"}, want: Deny},
		"a department that nobody declares is nobody's":          {given: holding("bob", customers(ScopeDepartment|ScopeDepartmentAndBelow, read...)), user: "bob", record: nowhere, want: Deny},
		"all takes in every record":                              {given: holding("ann", customers(ScopeAll, read...)), user: "ann", record: nowhere, want: Allow},
		"an action that is not granted is denied, and says what": {given: holding("ann", customers(ScopeAll, read...)), user: "ann", action: "transfer", record: annsInEast1, want: Deny, because: "holds read on customer, not transfer"},
		"who holds nothing is told so":                           {given: holding("ann", customers(ScopeAll, read...)), user: "bob", record: annsInEast1, want: Deny, because: "holds nothing on customer"},

		"who has departed is denied whatever he holds": {given: holding("gone", customers(ScopeAll, read...)), user: "gone", record: annsInEast1, want: Deny, because: "account state Departed"},
		"a disabled object denies everything":          {given: holding("ann", Grant{Object: "lead", Actions: read, Records: Records{Scopes: ScopeAll}}), user: "ann", object: "lead", record: annsInEast1, want: Deny, because: "object lead is disabled"},
		"an unknown object is denied":                  {given: holding("ann", customers(ScopeAll, read...)), user: "ann", object: "secrets", record: annsInEast1, want: Deny, because: `unknown object "secrets"`},
		"an unknown action is denied":                  {given: holding("ann", customers(ScopeAll, read...)), user: "ann", action: "burn", record: annsInEast1, want: Deny, because: `no action "burn"`},
		"an unknown field denies the whole":            {given: holding("ann", customers(ScopeAll, read...)), user: "ann", record: annsInEast1, fields: []string{"name", "shoeSize"}, want: Deny, because: `no field "shoeSize"`},

		"read without a record asks for the list":      {given: holding("ann", customers(ScopeOwn, read...)), user: "ann", want: Allow},
		"update without a record is denied":            {given: holding("ann", customers(ScopeAll, readUpdate...)), user: "ann", action: "update", want: Deny, because: "update needs a record"},
		"create without the proposed record is denied": {given: holding("ann", customers(ScopeAll, "create")), user: "ann", action: "create", want: Deny, because: "create needs the proposed record"},
		"create own covers a proposal for oneself":     {given: holding("ann", customers(ScopeOwn, "create")), user: "ann", action: "create", record: annsInEast1, fields: []string{"name", "owner"}, want: Allow, levels: []Level{LevelEdit, LevelEdit}},
		"create own refuses a proposal for another":    {given: holding("ann", customers(ScopeOwn, "create")), user: "ann", action: "create", record: bobsInNorth, want: Deny},

		"a child is covered through its parent":              {given: holding("ann", Grant{Object: "contact", Actions: read, Records: Records{Scopes: ScopeOwn}}), user: "ann", object: "contact", record: annsContact, want: Allow},
		"a child's own owner is not consulted":               {given: holding("bob", Grant{Object: "contact", Actions: read, Records: Records{Scopes: ScopeOwn}}), user: "bob", object: "contact", record: annsContact, want: Deny},
		"a child without a known parent is covered by none":  {given: holding("ann", Grant{Object: "contact", Actions: read, Records: Records{Scopes: ScopeOwn | ScopeDepartment}}), user: "ann", object: "contact", record: strayContact, want: Deny, because: "the customer record that decides is not known"},
		"a child without a known parent is covered by all":   {given: holding("ann", Grant{Object: "contact", Actions: read, Records: Records{Scopes: ScopeAll}}), user: "ann", object: "contact", record: strayContact, want: Allow},
		"a condition holds on one of its values":             {given: holding("ann", Grant{Object: "customer", Actions: read, Records: Records{Scopes: ScopeAll}, Where: []Condition{{Field: "region", Operator: OperatorIn, Values: []string{"west", "east"}}}}), user: "ann", record: &Record{Attributes: map[string][]string{"region": {"east"}}}, want: Allow},
		"a missing attribute makes NotIn false":              {given: holding("ann", Grant{Object: "customer", Actions: read, Records: Records{Scopes: ScopeAll}, Where: []Condition{{Field: "region", Operator: OperatorNotIn, Values: []string{"west"}}}}), user: "ann", record: annsInEast1, want: Deny, because: "the record does not meet region NotIn [west]"},
		"a condition on the owner field reads the owner":     {given: holding("ann", Grant{Object: "customer", Actions: read, Records: Records{Scopes: ScopeAll}, Where: []Condition{{Field: "owner", Operator: OperatorIn, Values: []string{"bob"}}}}), user: "ann", record: bobsInNorth, want: Allow},
		"an attribute cannot stand in for the owner's field": {given: holding("ann", Grant{Object: "customer", Actions: read, Records: Records{Scopes: ScopeAll}, Where: []Condition{{Field: "owner", Operator: OperatorIn, Values: []string{"ann"}}}}), user: "ann", record: &Record{Owner: "bob", Attributes: map[string][]string{"owner": {"ann"}}}, want: Deny},

		"nor for that of a pool": {given: holding("ann", Grant{Object: "customer", Actions: read, Records: Records{Scopes: ScopeAll}, Where: []Condition{{Field: "owner", Operator: OperatorExists}}}), user: "ann", record: &Record{Attributes: map[string][]string{"owner": {"ann"}}}, want: Deny},

		"classes have their defaults": {given: holding("ann", customers(ScopeAll, readUpdate...)), user: "ann", record: annsInEast1, fields: []string{"name", "region", "phone", "limit", "pin"}, want: Allow, levels: []Level{LevelEdit, LevelEdit, LevelMasked, LevelNone, LevelNone}},
		"read reaches no edit":        {given: holding("ann", with(customers(ScopeAll, read...), level(ClassRestricted, LevelEdit))), user: "ann", record: annsInEast1, fields: []string{"name", "limit"}, want: Allow, levels: []Level{LevelRead, LevelRead}},
		"export alone reaches no field": {given: holding("ann", customers(ScopeAll, "export")), user: "ann", action: "export", record: annsInEast1, fields: []string{"name"}, want: Allow,
			levels: []Level{LevelNone}},
		"a field rule beats a class rule": {given: holding("ann", with(customers(ScopeAll, readUpdate...), level(ClassConfidential, LevelEdit), FieldRule{Field: "phone", Level: LevelNone})), user: "ann", record: annsInEast1,
			fields: []string{"phone"}, want: Allow, levels: []Level{LevelNone}},
		"grants are not merged field by field": {given: holding("ann", with(customers(ScopeOwn, readUpdate...), level(ClassConfidential, LevelEdit)), customers(ScopeAll, read...)), user: "ann", record: bobsInNorth,
			fields: []string{"phone"}, want: Allow, levels: []Level{LevelMasked}},
		"on a record the widest of the tuples that cover it counts": {given: holding("ann", with(customers(ScopeOwn, readUpdate...), level(ClassConfidential, LevelEdit)), customers(ScopeAll, read...)), user: "ann", record: annsInEast1,
			fields: []string{"phone"}, want: Allow, levels: []Level{LevelEdit}},
		"of a list the narrowest counts, which holds on every record": {given: holding("ann", with(customers(ScopeOwn, readUpdate...), level(ClassConfidential, LevelEdit)), customers(ScopeAll, read...)), user: "ann",
			fields: []string{"phone"}, want: Allow, levels: []Level{LevelMasked}},
		"owner and department of a stored record are at most read": {given: holding("ann", customers(ScopeAll, readUpdate...)), user: "ann", record: annsInEast1, fields: []string{"owner", "ownerDept"}, want: Allow,
			levels: []Level{LevelRead, LevelRead}},
		"an update that names a field below edit is denied":    {given: holding("ann", customers(ScopeAll, readUpdate...)), user: "ann", action: "update", record: annsInEast1, fields: []string{"name", "phone"}, want: Deny, because: "field phone is masked, not edit"},
		"an update of the owner is denied: that is a transfer": {given: holding("ann", customers(ScopeAll, readUpdate...)), user: "ann", action: "update", record: annsInEast1, fields: []string{"owner"}, want: Deny, because: "field owner is read, not edit"},
		"unmask shows what is masked and not what is hidden":   {given: holding("ann", customers(ScopeAll, "read", "unmask")), user: "ann", action: "unmask", record: annsInEast1, fields: []string{"phone", "pin"}, want: Allow, levels: []Level{LevelRead, LevelNone}},

		"a grant is not live before its start":             {given: lending(customers(ScopeAll, read...), "ann"), at: 99, user: "ann", record: bobsInNorth, want: Deny, because: "TemporaryGrant/loan would cover it from 1970-01-01T00:01:40Z"},
		"a grant is live at its start":                     {given: lending(customers(ScopeAll, read...), "ann"), at: 100, user: "ann", record: bobsInNorth, want: Allow, because: "until 1970-01-01T00:03:20Z"},
		"a grant is live until just before its end":        {given: lending(customers(ScopeAll, read...), "ann"), at: 199, user: "ann", record: bobsInNorth, want: Allow},
		"a grant is not live at its end":                   {given: lending(customers(ScopeAll, read...), "ann"), at: 200, user: "ann", record: bobsInNorth, want: Deny, because: "TemporaryGrant/loan covered it and ended at 1970-01-01T00:03:20Z"},
		"a grant by ids takes in those records only":       {given: lending(Grant{Object: "customer", Actions: read, Records: Records{IDs: []string{"c2"}}}, "ann"), at: 150, user: "ann", record: annsInEast1, want: Deny, because: "the record is not among them"},
		"a grant by owners takes in their records":         {given: lending(Grant{Object: "customer", Actions: read, Records: Records{Owners: []string{"bob"}}}, "ann"), at: 150, user: "ann", record: bobsInNorth, want: Allow, because: "loan:read=owners"},
		"a grant by department tree takes in what's below": {given: lending(Grant{Object: "customer", Actions: read, Records: Records{DepartmentTrees: []string{"hq"}}}, "bob"), at: 150, user: "bob", record: annsInEast1, want: Allow},
		"onlyFields hides every other field and raises none": {given: lending(Grant{Object: "customer", Actions: read, Records: Records{Scopes: ScopeAll}, OnlyFields: []string{"name", "limit"}}, "agency"), at: 150, user: "agency", record: bobsInNorth,
			fields: []string{"name", "region", "limit"}, want: Allow, levels: []Level{LevelRead, LevelNone, LevelNone}},
		"an external gets nothing without onlyFields": {given: lending(customers(ScopeAll, read...), "agency"), at: 150, user: "agency", record: bobsInNorth, want: Deny},
		"an external holds no role":                   {given: holding("agency", customers(ScopeAll, read...)), user: "agency", record: bobsInNorth, want: Deny},
		"nor by a selector": {given: func(d *Declarations) {
			holding("agency", customers(ScopeAll, read...))(d)
			d.UserBindings[0].Subjects = []Subject{{Selector: Selector{Department: "north"}}}
			d.Users[4].Departments = []string{"north"}
		}, user: "agency", record: bobsInNorth, want: Deny},
		"nor for a while": {given: func(d *Declarations) {
			holding("ann", customers(ScopeAll, read...))(d)
			lending(Grant{}, "agency")(d)
			d.TemporaryGrants[0].Roles, d.TemporaryGrants[0].Grants = []string{"role-of-ann"}, nil
		}, at: 150, user: "agency", record: bobsInNorth, want: Deny},
	} {
		t.Run(name, func(t *testing.T) {
			d := office()
			c.given(&d)
			request := &Request{User: c.user, Action: c.action, Object: c.object, Record: c.record, Fields: c.fields}
			if request.Action == "" {
				request.Action = "read"
			}
			if request.Object == "" {
				request.Object = "customer"
			}
			policy := NewPolicy(Resolve(d).Facts)
			e := policy.Explain(c.at, request)
			if e.Effect != c.want || (c.levels != nil && !slices.Equal(e.Levels, c.levels)) {
				t.Errorf("got %s %v, want %s %v: %+v", e.Effect, e.Levels, c.want, c.levels, e)
			}
			if effect := policy.Decide(c.at, request, nil); effect != e.Effect {
				t.Errorf("Decide says %s, Explain %s", effect, e.Effect)
			}
			if words := spoken(e); !strings.Contains(words, c.because) {
				t.Errorf("says %q, not %q", words, c.because)
			}
		})
	}
}

func spoken(e Explanation) string {
	var words []string
	for _, cause := range e.Causes {
		words = append(words, cause.Text)
	}
	return strings.Join(append(words, e.NearestMiss), "; ")
}
