package witness

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Cedar is an organisation as Cedar policies and entities, in the form that Cedar recommends
// (https://docs.cedarpolicy.com/bestpractices/bp-overview.html): roles are groups of users, every record lives in a
// container (its object), the policies' scopes are populated, relationships are attributes, and compound questions are
// several requests: one about the action, and one about each field and level.
type Cedar struct {
	policies *cedar.PolicySet
	entities cedar.EntityMap
}

// NewCedar translates declarations.
func NewCedar(d access.Declarations) (*Cedar, error) {
	o := layOut(d)
	w := &cedarWriter{organisation: o, groups: make(map[string]holding)}
	c := &Cedar{entities: w.entities()}
	w.writeGrants()
	w.writeCatalogue()
	w.writeRevocations()
	for _, rule := range o.rules() {
		w.writeRule(rule)
	}
	var err error
	if c.policies, err = cedar.NewPolicySetFromBytes("organisation.cedar", []byte(w.text.String())); err != nil {
		return nil, fmt.Errorf("parse the policies of the organisation: %w", err)
	}
	return c, nil
}

// Decide answers a question about a record: whether it is allowed, and the level of each field where it is.
func (c *Cedar) Decide(now schedule.Instant, q *access.Request) (bool, []access.Level) {
	levels := make([]access.Level, len(q.Fields))
	ask := c.about(now, q)
	if !ask(q.Action) {
		return false, levels
	}
	found, stage := make([]access.Level, len(q.Fields)), "stored"
	if q.Action == access.ActionCreate {
		stage = "proposed"
	}
	for i, field := range q.Fields {
		if !ask("declare " + field) {
			return false, levels
		}
		for level := access.LevelEdit; level > access.LevelNone && found[i] == access.LevelNone; level-- {
			if ask(fieldAction(stage, field, level)) {
				found[i] = level
			}
		}
		switch {
		case (q.Action == access.ActionCreate || q.Action == access.ActionUpdate) && found[i] < access.LevelEdit:
			return false, levels
		case q.Action == access.ActionUnmask && found[i] == access.LevelMasked:
			found[i] = access.LevelRead
		}
	}
	return true, found
}

// Allows answers about the action alone.
func (c *Cedar) Allows(now schedule.Instant, q *access.Request) bool {
	return c.about(now, q)(q.Action)
}

// about prepares what is asked: the record is an entity of the request's own.
func (c *Cedar) about(now schedule.Instant, q *access.Request) func(action string) bool {
	record := cedar.NewEntityUID("Record", cedar.String(q.Record.ID))
	request := cedar.Request{Principal: userID(q.User), Resource: record, Context: contextOf(now, q.Context)}
	entities := withRecord{c.entities, cedar.Entity{UID: record, Parents: cedar.NewEntityUIDSet(objectID(q.Object)), Attributes: recordOf(q.Record)}}
	return func(action string) bool {
		request.Action = cedar.NewEntityUID("Action", cedar.String(action))
		decision, _ := cedar.Authorize(c.policies, entities, request)
		return decision == cedar.Allow
	}
}

// withRecord adds the record that is asked about to what is known.
type withRecord struct {
	cedar.EntityMap
	record cedar.Entity
}

// Get is the entity of a name.
func (w withRecord) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	if uid == w.record.UID {
		return w.record, true
	}
	return w.EntityMap.Get(uid)
}

func userID(name string) cedar.EntityUID { return cedar.NewEntityUID("User", cedar.String(name)) }

func objectID(name string) cedar.EntityUID { return cedar.NewEntityUID("Object", cedar.String(name)) }

func departmentID(name string) cedar.EntityUID {
	return cedar.NewEntityUID("Department", cedar.String(name))
}

func fieldAction(stage, field string, level access.Level) string {
	return stage + " " + field + " " + level.String()
}

func recordOf(r *access.Record) cedar.Record {
	attributes := cedar.RecordMap{"id": cedar.String(r.ID), "participants": users(r.Participants), "attributes": attributesOf(r)}
	if r.Owner != "" {
		attributes["owner"] = userID(r.Owner)
	}
	if r.Department != "" {
		attributes["department"] = departmentID(r.Department)
	}
	if r.Creator != "" {
		attributes["creator"] = userID(r.Creator)
	}
	if r.Parent != nil {
		attributes["parent"] = recordOf(r.Parent)
	}
	return cedar.NewRecord(attributes)
}

func attributesOf(r *access.Record) cedar.Record {
	attributes := make(cedar.RecordMap)
	for field, values := range r.Attributes {
		attributes[cedar.String(field)] = texts(values)
	}
	return cedar.NewRecord(attributes)
}

func users(names []string) cedar.Set {
	var list []cedar.Value
	for _, name := range names {
		list = append(list, userID(name))
	}
	return cedar.NewSet(list...)
}

func texts(values []string) cedar.Set {
	var list []cedar.Value
	for _, value := range values {
		list = append(list, cedar.String(value))
	}
	return cedar.NewSet(list...)
}

func contextOf(now schedule.Instant, c access.Context) cedar.Record {
	said := cedar.RecordMap{"now": cedar.Long(now)}
	for name, text := range map[cedar.String]string{"channel": c.Channel, "device": c.Device, "reason": c.Reason} {
		if text != "" {
			said[name] = cedar.String(text)
		}
	}
	for name, number := range map[cedar.String]*int64{"rows": c.Rows, "used": c.Used, "owned": c.Owned} {
		if number != nil {
			said[name] = cedar.Long(*number)
		}
	}
	return cedar.NewRecord(said)
}

// cedarWriter writes the policies of an organisation.
type cedarWriter struct {
	*organisation
	text   strings.Builder
	groups map[string]holding // what those in a group hold
}

// entities are departments in their tree, positions in their reporting line, and users in the groups of what they hold.
func (w *cedarWriter) entities() cedar.EntityMap {
	all := make(cedar.EntityMap)
	add := func(uid cedar.EntityUID, attributes cedar.RecordMap, parents ...cedar.EntityUID) {
		all[uid] = cedar.Entity{UID: uid, Attributes: cedar.NewRecord(attributes), Parents: cedar.NewEntityUIDSet(parents...)}
	}
	for _, d := range w.Departments {
		var parents []cedar.EntityUID
		if d.Parent != "" {
			parents = append(parents, departmentID(d.Parent))
		}
		add(departmentID(d.Name), nil, parents...)
	}
	for _, u := range w.Users {
		position := cedar.NewEntityUID("Position", cedar.String(u.Name))
		var above []cedar.EntityUID
		if u.Manager != "" {
			above = append(above, cedar.NewEntityUID("Position", cedar.String(u.Manager)))
		}
		add(position, nil, above...)
		var departments []cedar.Value
		for _, d := range u.Departments {
			departments = append(departments, departmentID(d))
		}
		var groups []cedar.EntityUID
		for _, h := range w.holdings[u.Name] {
			groups = append(groups, cedar.NewEntityUID("Group", cedar.String(w.group(h))))
		}
		add(userID(u.Name), cedar.RecordMap{"active": cedar.Boolean(u.State == access.StateActive), "departments": cedar.NewSet(departments...), "position": position}, groups...)
	}
	return all
}

// group is who holds a bundle for a window.
func (w *cedarWriter) group(h holding) string {
	name := h.bundle
	if h.window != schedule.Unbounded {
		name = fmt.Sprintf("%s from %d until %d", h.bundle, h.window.NotBefore, h.window.NotAfter)
	}
	w.groups[name] = h
	return name
}

func (w *cedarWriter) writeGrants() {
	for _, group := range slices.Sorted(maps.Keys(w.groups)) {
		held := w.groups[group]
		for _, g := range w.bundles[held.bundle] {
			object := w.object(g.Object)
			actions := slices.Clone(g.Actions)
			for stage, editing := range map[string]string{"stored": access.ActionUpdate, "proposed": access.ActionCreate} {
				for field, highest := range levels(g, object, editing) {
					for level := access.LevelMasked; level <= highest; level++ {
						actions = append(actions, fieldAction(stage, field, level))
					}
				}
			}
			if len(g.Actions) == 0 {
				continue
			}
			fmt.Fprintf(&w.text, "permit (principal in Group::%q, %s, resource in Object::%q) when { %s };\n",
				group, actionIn(actions), g.Object, strings.Join(w.conditions(object, g, held.window), " && "))
		}
	}
}

func actionIn(actions []string) string {
	list := make([]string, len(actions))
	for i, action := range actions {
		list[i] = "Action::" + strconv.Quote(action)
	}
	return "action in [" + strings.Join(list, ", ") + "]"
}

func (w *cedarWriter) conditions(o *access.ObjectType, g access.Grant, window schedule.Window) (all []string) {
	if window != schedule.Unbounded {
		all = append(all, within(window))
	}
	for _, c := range g.Where {
		all = append(all, "("+attributeMeets(o, c)+")")
	}
	return append(all, "("+strings.Join(waysOf(o, g.Records), " || ")+")")
}

func within(w schedule.Window) string {
	return fmt.Sprintf("context.now >= %d && context.now < %d", w.NotBefore, w.NotAfter)
}

func attributeMeets(o *access.ObjectType, c access.Condition) string {
	there, in := fmt.Sprintf("resource.attributes has %s", c.Field), fmt.Sprintf("resource.attributes.%s.containsAny([%s])", c.Field, quoted(c.Values))
	switch c.Field {
	case o.OwnerField:
		there, in = "resource has owner", fmt.Sprintf("[%s].contains(resource.owner)", entities("User", c.Values))
	case o.DepartmentField:
		there, in = "resource has department", fmt.Sprintf("[%s].contains(resource.department)", entities("Department", c.Values))
	}
	switch c.Operator {
	case access.OperatorIn:
		return there + " && " + in
	case access.OperatorNotIn:
		return there + " && !" + in
	}
	return there
}

// waysOf are the ways in which a grant takes a record in. Where the object takes its access from a parent, the parent's
// owner, participants and department count.
func waysOf(o *access.ObjectType, records access.Records) (ways []string) {
	decides, known := "resource", ""
	if o.AccessFrom.Object != "" {
		decides, known = "resource.parent", "resource has parent && "
	}
	add := func(is bool, format string, args ...any) {
		if is {
			ways = append(ways, "("+known+fmt.Sprintf(strings.ReplaceAll(format, "@", decides), args...)+")")
		}
	}
	add(records.Scopes.Has(access.ScopeOwn), "@ has owner && @.owner == principal")
	add(records.Scopes.Has(access.ScopeInvolved), "@.participants.contains(principal)")
	add(records.Scopes.Has(access.ScopeSubordinates), "@ has owner && @.owner != principal && @.owner has position && @.owner.position in principal.position")
	add(records.Scopes.Has(access.ScopeDepartment), "@ has department && principal.departments.contains(@.department)")
	add(records.Scopes.Has(access.ScopeDepartmentAndBelow), "@ has department && @.department in principal.departments")
	add(len(records.Owners) > 0, "@ has owner && [%s].contains(@.owner)", entities("User", records.Owners))
	add(len(records.Departments) > 0, "@ has department && [%s].contains(@.department)", entities("Department", records.Departments))
	add(len(records.DepartmentTrees) > 0, "@ has department && @.department in [%s]", entities("Department", records.DepartmentTrees))
	if records.Scopes.Has(access.ScopeAll) {
		ways = append(ways, "true")
	}
	if len(records.IDs) > 0 {
		ways = append(ways, fmt.Sprintf("[%s].contains(resource.id)", quoted(records.IDs)))
	}
	return ways
}

func quoted(values []string) string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = strconv.Quote(value)
	}
	return strings.Join(list, ", ")
}

func entities(kind string, names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = kind + "::" + strconv.Quote(name)
	}
	return strings.Join(list, ", ")
}

func (w *cedarWriter) writeCatalogue() {
	w.text.WriteString("forbid (principal, action, resource) unless { principal.active };\n")
	for _, o := range w.ObjectTypes {
		var declared []string
		for _, f := range o.Fields {
			declared = append(declared, "declare "+f.Name)
			var over []string
			for level := w.capped(o, f) + 1; level <= access.LevelEdit; level++ {
				over = append(over, fieldAction("stored", f.Name, level), fieldAction("proposed", f.Name, level))
			}
			if len(over) > 0 {
				fmt.Fprintf(&w.text, "forbid (principal, %s, resource in Object::%q);\n", actionIn(over), o.Name)
			}
		}
		fmt.Fprintf(&w.text, "permit (principal, %s, resource in Object::%q);\n", actionIn(declared), o.Name)
		if o.Disabled {
			fmt.Fprintf(&w.text, "forbid (principal, action, resource in Object::%q);\n", o.Name)
		}
	}
}

func (w *cedarWriter) writeRevocations() {
	for target := range w.revoked {
		if target.Kind == access.KindUser {
			fmt.Fprintf(&w.text, "forbid (principal == User::%q, action, resource);\n", target.Name)
		}
	}
}

func (w *cedarWriter) writeRule(rule access.GuardrailRule) {
	switch {
	case rule.Deny != nil:
		w.forbid(rule.Deny.Target, w.denies(rule.Deny.When))
	case rule.Limit != nil:
		for _, beyond := range exceeds(rule.Limit) {
			w.forbid(rule.Limit.Target, []string{beyond})
		}
	case rule.Separate != nil:
		for _, duty := range rule.Separate.Duties {
			if duty.Action != access.ActionCreate && slices.Contains(rule.Separate.Duties, access.Duty{Object: duty.Object, Action: access.ActionCreate}) {
				w.forbid(access.Target{Objects: []string{duty.Object}, Actions: []string{duty.Action}}, []string{"!(resource has creator) || resource.creator == principal"})
			}
		}
	}
}

func (w *cedarWriter) forbid(target access.Target, when []string) {
	objects, actions := target.Objects, "action"
	if slices.Contains(objects, access.Any) {
		objects = nil
		for _, o := range w.ObjectTypes {
			objects = append(objects, o.Name)
		}
	}
	if !slices.Contains(target.Actions, access.Any) {
		actions = actionIn(target.Actions)
	}
	for _, object := range objects {
		fmt.Fprintf(&w.text, "forbid (principal, %s, resource in Object::%q) when { (%s) };\n", actions, object, strings.Join(append(when, "true"), ") && ("))
	}
}

// known are the channels and devices that count as said.
var known = map[string][]string{"channel": {"api", "batch", "desktop", "mobile", "web"}, "device": {"managed", "unmanaged"}}

func (w *cedarWriter) denies(when access.DenyWhen) (all []string) {
	for name, named := range map[string][]string{"channel": when.Channels, "device": when.Devices} {
		if len(named) > 0 {
			all = append(all, fmt.Sprintf("!(context has %[1]s) || [%[2]s].contains(context.%[1]s) || ![%[3]s].contains(context.%[1]s)", name, quoted(named), quoted(known[name])))
		}
	}
	if when.ReasonMissing {
		all = append(all, "!(context has reason)")
	}
	var windows []string
	for _, span := range when.Windows {
		windows = append(windows, "("+within(span.Window)+")")
	}
	if len(windows) > 0 {
		all = append(all, strings.Join(windows, " || "))
	}
	return all
}

func exceeds(limit *access.LimitRule) (beyond []string) {
	if most := limit.MaxRowsPerRequest; most != nil {
		beyond = append(beyond, fmt.Sprintf("!(context has rows) || context.rows > %d", *most))
	}
	if most := limit.MaxRowsPerDay; most != nil {
		beyond = append(beyond, fmt.Sprintf("!(context has rows) || !(context has used) || context.rows + context.used > %d", *most))
	}
	if most := limit.MaxRecordsOwned; most != nil {
		beyond = append(beyond, fmt.Sprintf("!(context has owned) || context.owned >= %d", *most))
	}
	return beyond
}
