// Package lint says what is wrong or suspicious in a tree of manifests, for people who review them: what does not load
// (package manifest), what does not compile (the engine), and what does both and still wants a second look.
//
// It is pure: it reads no file and no clock, and what it says does not depend on the order of anything.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// Severity says how much a finding weighs.
type Severity string

// The severities. An Error is refused by the API server or confers nothing; a Warning wants a second look; an Info is untidy.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Finding is one thing to look at. Kind, Name and Field are empty where it is about a file.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`
	Severity Severity `json:"severity"`
	Kind     string   `json:"kind,omitempty"`
	Name     string   `json:"name,omitempty"`
	Field    string   `json:"field,omitempty"`
	Message  string   `json:"message"`
}

// String is file:line: severity: Kind/name: field: message, without the parts that are not known.
func (f Finding) String() string {
	parts := []string{manifest.Source{File: f.File, Line: f.Line}.String(), string(f.Severity)}
	if f.Kind != "" {
		parts = append(parts, f.Kind+"/"+f.Name)
	}
	if f.Field != "" {
		parts = append(parts, f.Field)
	}
	return strings.Join(append(parts, f.Message), ": ")
}

// Report is everything found, by file and line.
type Report struct {
	Findings []Finding `json:"findings"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Infos    int       `json:"infos"`
}

// Locator says where a field of the object that stands at a place stands.
type Locator func(object manifest.Source, field string) manifest.Source

// Check looks at a tree, and at the faults that were found while it was loaded.
func Check(tree *manifest.Tree, faults []*manifest.Fault, locate Locator, options Options) Report {
	c := checker{options: options, locate: locate, report: Report{Findings: []Finding{}}}
	for _, f := range faults {
		c.add(f.Source, Error, f.Ref, f.Path, f.Message)
	}
	if tree != nil {
		for _, note := range tree.Notes {
			c.add(note.Source, Warning, access.Ref{}, "", note.Message)
		}
		for _, tenant := range tree.Tenants {
			c.tenant(tenant)
		}
	}
	c.sort()
	return c.report
}

type checker struct {
	options Options
	locate  Locator
	report  Report
}

func (c *checker) add(at manifest.Source, severity Severity, about access.Ref, field, message string) {
	c.report.Findings = append(c.report.Findings, Finding{
		File: at.File, Line: at.Line, Severity: severity, Kind: string(about.Kind), Name: about.Name, Field: field, Message: message,
	})
	switch severity {
	case Error:
		c.report.Errors++
	case Warning:
		c.report.Warnings++
	case Info:
		c.report.Infos++
	}
}

// at is the place of a field of a declaration's spec.
func (c *checker) at(tenant *manifest.Tenant, about access.Ref, field string) manifest.Source {
	return c.locate(tenant.Sources[about], field)
}

func (c *checker) sort() {
	slices.SortFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
}

func (c *checker) tenant(tenant *manifest.Tenant) {
	resolution := access.Resolve(tenant.Declarations)
	approved := access.Resolve(withoutApprovals(tenant.Declarations))
	for _, findings := range resolution.Findings {
		for _, f := range findings {
			if !f.Advises() {
				c.compiled(tenant, f, Error)
			}
		}
	}
	for _, findings := range approved.Findings {
		for _, f := range findings {
			if f.Advises() {
				c.compiled(tenant, f, Warning)
			}
		}
	}
	c.unreachableRoles(tenant, approved, c.unusedRoles(tenant))
	c.expired(tenant)
	c.privilegedRoles(tenant)
	c.selectors(tenant, resolution)
	c.waiting(tenant, resolution)
	c.approvers(tenant, approved)
	c.caps(tenant)
}

// compiled reports what the engine found.
func (c *checker) compiled(tenant *manifest.Tenant, f access.Finding, severity Severity) {
	message := f.Message
	if f.Reason == access.ReasonUnknownReference {
		if declaredWithFaults(tenant, f.Unknown) {
			return // what is wrong with it is reported where it stands
		}
		if near := tenant.Declarations.Nearest(f.Unknown); near != "" {
			message += fmt.Sprintf("; did you mean %s?", near)
		}
	}
	field := "spec." + f.Field
	c.add(c.at(tenant, f.About, field), severity, f.About, field, message)
}

// declaredWithFaults says whether the name is unknown only because its declaration did not load.
func declaredWithFaults(tenant *manifest.Tenant, name access.Name) bool {
	kind, ok := map[string]access.Kind{
		"role": access.KindRole, "user": access.KindUser, "department": access.KindDepartment, "object": access.KindObjectType,
		"binding": access.KindUserBinding, "grant": access.KindTemporaryGrant,
	}[name.What]
	if !ok {
		return false
	}
	_, stands := tenant.Sources[access.Ref{Kind: kind, Name: name.Name}]
	return stands
}

// unusedRoles reports the roles that nobody could hold by anything: no binding, temporary grant or used role names them. It
// returns the others.
func (c *checker) unusedRoles(tenant *manifest.Tenant) map[string]bool {
	roles := make(map[string]*access.Role, len(tenant.Declarations.Roles))
	for _, role := range tenant.Declarations.Roles {
		roles[role.Name] = role
	}
	used := make(map[string]bool, len(roles))
	var use func(name string)
	use = func(name string) {
		role := roles[name]
		if role == nil || used[name] {
			return
		}
		used[name] = true
		for _, entry := range role.Inherits {
			use(entry.Role)
		}
	}
	for _, b := range tenant.Declarations.UserBindings {
		for _, role := range b.Roles {
			use(role)
		}
	}
	for _, g := range tenant.Declarations.TemporaryGrants {
		for _, role := range g.Roles {
			use(role)
		}
	}
	for name := range roles {
		if !used[name] {
			ref := access.Ref{Kind: access.KindRole, Name: name}
			c.add(tenant.Sources[ref], Info, ref, "", "unused: no binding, no temporary grant and no used role names it")
		}
	}
	return used
}

// privilegedRoles reports who gives privileged roles: each is to be seen by a person. A role that inherits a privileged one
// confers the same and is reported like it.
func (c *checker) privilegedRoles(tenant *manifest.Tenant) {
	p := privileges{roles: make(map[string]*access.Role)}
	for _, role := range tenant.Declarations.Roles {
		p.roles[role.Name] = role
	}
	report := func(about access.Ref, roles []string, subjects string) {
		for i, role := range roles {
			if path := p.path(role, nil); path != nil {
				field := fmt.Sprintf("spec.roles[%d]", i)
				c.add(c.at(tenant, about, field), Warning, about, field, fmt.Sprintf("gives the privileged role %s%s", strings.Join(path, " > "), subjects))
			}
		}
	}
	for _, b := range tenant.Declarations.UserBindings {
		subjects := " to " + subjectsOf(b)
		if slices.ContainsFunc(b.Subjects, func(s access.Subject) bool { return s.User == "" }) {
			subjects += ": name its users instead, a selector takes in whoever matches tomorrow"
		}
		report(access.Ref{Kind: access.KindUserBinding, Name: b.Name}, b.Roles, subjects)
	}
	for _, g := range tenant.Declarations.TemporaryGrants {
		report(access.Ref{Kind: access.KindTemporaryGrant, Name: g.Name}, g.Roles, " to "+strings.Join(g.Users, ", ")+" until "+g.Window.NotAfter.String())
	}
}

// privileges finds privileged roles.
type privileges struct{ roles map[string]*access.Role }

// path leads from a role to the privileged one that it is or inherits; nil where there is none.
func (p privileges) path(name string, way []string) []string {
	role := p.roles[name]
	if role == nil || slices.Contains(way, name) {
		return nil
	}
	way = append(slices.Clone(way), name)
	if role.Privileged {
		return way
	}
	for _, entry := range role.Inherits {
		if found := p.path(entry.Role, way); found != nil {
			return found
		}
	}
	return nil
}

func subjectsOf(b *access.UserBinding) string {
	names := make([]string, len(b.Subjects))
	for i, s := range b.Subjects {
		names[i] = s.User
		if s.User == "" {
			names[i] = "a selector"
		}
	}
	return strings.Join(slices.Compact(names), ", ")
}

// selectors reports the bindings that nobody matches, and titles that nobody has: a misspelt title is no error to the
// engine, it matches nobody.
func (c *checker) selectors(tenant *manifest.Tenant, resolution access.Resolution) {
	titles, holds := make(map[string]bool), make(map[access.Ref]bool)
	for _, u := range tenant.Declarations.Users {
		titles[u.Title] = true
	}
	for _, h := range resolution.Facts.Holders {
		holds[h.Owner] = true
	}
	for _, b := range tenant.Declarations.UserBindings {
		ref := access.Ref{Kind: access.KindUserBinding, Name: b.Name}
		told := len(resolution.Findings[ref])+len(resolution.Admissions[ref]) > 0
		for i, s := range b.Subjects {
			title := s.Selector.Title
			if title == "" || titles[title] {
				continue
			}
			message := fmt.Sprintf("no user has the title %q: the selector matches nobody", title)
			if near := tenant.Declarations.Nearest(access.Name{What: "title", Name: title}); near != "" {
				message += fmt.Sprintf("; did you mean %s?", near)
			}
			field := fmt.Sprintf("spec.subjects[%d].selector.title", i)
			c.add(c.at(tenant, ref, field), Warning, ref, field, message)
			told = true
		}
		if !holds[ref] && !told {
			c.add(tenant.Sources[ref], Info, ref, "", "gives nobody a role now: nobody matches its subjects")
		}
	}
}
