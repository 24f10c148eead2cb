package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/text/unicode/norm"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

type showOptions struct {
	manifests, namespace, at, output string
}

func newShow(env *Environment) *cobra.Command {
	o := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show USER -f DIR",
		Short: "Show a user's effective access",
		Long: `Show a user's effective access: one row a grant, since grants are never merged.

FIELDS are the field rules that differ from the classes' defaults (public and internal edit, confidential masked,
restricted and secret none), cut to what the row's actions reach; @class stands for all fields of a class. Below the rows
stand what waits for approval, what is revoked, and which guardrails are about what the person holds.`,
		Example: `  kubectl crmaccess show li-ting -f config/samples/huayue
  kubectl crmaccess show li-ting -f config/samples/huayue --at 2026-12-28T09:00:00+08:00`,
		Args: arguments("USER"),
		RunE: func(cmd *cobra.Command, args []string) error { return runShow(cmd, env, o, norm.NFC.String(args[0])) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.manifests, "manifests", "f", "", "folder or file of manifests (required)")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "the tenant, where there are several")
	flags.StringVar(&o.at, "at", "", "the instant asked about (default now)")
	flags.StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

func runShow(cmd *cobra.Command, env *Environment, o *showOptions, name string) error {
	if o.manifests == "" {
		return usageError(cmd, "say with -f which manifests to read")
	}
	if err := outputFlag(o.output); err != nil {
		return usageError(cmd, "%w", err)
	}
	now, err := instantFlag(o.at, env.Now)
	if err != nil {
		return usageError(cmd, "%w", err)
	}
	tenant, err := loadTenant(o.manifests, o.namespace)
	if err != nil {
		return err
	}
	declared := tenant.Declarations
	i := slices.IndexFunc(declared.Users, func(u *access.User) bool { return u.Name == name })
	if i < 0 {
		return unknownUser(declared, name)
	}
	s := newShown(declared, access.Resolve(declared), declared.Users[i], now)
	if o.output == "json" {
		return terminal.WriteJSON(env.Out, s)
	}
	s.print(env.Out)
	return nil
}

func unknownUser(declared access.Declarations, name string) error {
	message := fmt.Sprintf("no user %q is declared", name)
	if near := declared.Nearest(access.Name{What: "user", Name: name}); near != "" {
		message += fmt.Sprintf("; did you mean %s?", near)
	}
	return errors.New(message)
}

// shown is what show prints, and its JSON output. Its members stay; new ones may come.
type shown struct {
	User        string       `json:"user"`
	DisplayName string       `json:"displayName,omitempty"`
	Type        string       `json:"type"`
	Title       string       `json:"title,omitempty"`
	State       string       `json:"state"`
	Departments []string     `json:"departments,omitempty"`
	Manager     string       `json:"manager,omitempty"`
	Successor   string       `json:"successor,omitempty"`
	At          string       `json:"at"`
	Access      []shownEntry `json:"access"`
	// Dormant counts the entries that confer nothing because the account is not Active.
	Dormant int `json:"dormant,omitempty"`
	// Waits is what would be had once it is approved, Revoked what is taken away, and Guardrails are the rules about what
	// is held.
	Waits      []shownWait       `json:"waits,omitempty"`
	Revoked    []shownRevocation `json:"revoked,omitempty"`
	Guardrails []shownRule       `json:"guardrails,omitempty"`
	// Next is when the access changes by itself, where it does.
	Next string `json:"next,omitempty"`

	names map[string]string // display names of users and departments, by Kind/name
}

// shownEntry is one grant held.
type shownEntry struct {
	Object  string   `json:"object"`
	Actions []string `json:"actions"`
	Reach   string   `json:"reach"`
	Where   []string `json:"where,omitempty"`
	Fields  []string `json:"fields,omitempty"`
	Until   string   `json:"until,omitempty"`
	From    string   `json:"from"`
	Path    string   `json:"path,omitempty"`
}

func newShown(declared access.Declarations, resolution access.Resolution, u *access.User, now schedule.Instant) *shown {
	facts := resolution.Facts
	s := &shown{
		User: u.Name, DisplayName: u.DisplayName, Type: string(u.Type), Title: u.Title, State: string(u.State),
		Departments: u.Departments, Manager: u.Manager, Successor: u.Successor,
		At: now.String(), Access: []shownEntry{}, names: displayNames(declared),
		Waits: waitsOf(resolution, u.Name, now), Revoked: revocationsOf(declared, facts, u.Name),
	}
	entitlements := facts.Entitlements(u.Name, now)
	if u.State != access.StateActive {
		s.Dormant = len(entitlements)
		return s
	}
	for _, e := range entitlements {
		s.Access = append(s.Access, newShownEntry(e))
	}
	s.Guardrails = rulesAbout(facts, entitlements)
	next := schedule.Forever
	for _, h := range facts.Holders {
		if h.User == u.Name && h.RevokedBy == "" {
			next = min(next, h.Window.Next(now))
		}
	}
	if next != schedule.Forever {
		s.Next = next.String()
	}
	return s
}

func displayNames(declared access.Declarations) map[string]string {
	names := map[string]string{}
	for _, u := range declared.Users {
		names[access.Ref{Kind: access.KindUser, Name: u.Name}.String()] = u.DisplayName
	}
	for _, d := range declared.Departments {
		names[access.Ref{Kind: access.KindDepartment, Name: d.Name}.String()] = d.DisplayName
	}
	return names
}

func newShownEntry(e access.Entitlement) shownEntry {
	entry := shownEntry{Object: e.Object, Actions: e.Actions, Reach: reachOf(e.Tuple), Fields: fieldsOf(e), From: e.Owner.String()}
	if e.Owner.Kind != access.KindTemporaryGrant || e.Path != e.Owner.Name {
		entry.Path = e.Path
	}
	if e.Window.NotAfter != schedule.Forever {
		entry.Until = e.Window.NotAfter.String()
	}
	entry.Where = whereWords(e.Where)
	return entry
}

// reachOf says which records a tuple takes in.
func reachOf(t *access.Tuple) string {
	for _, selection := range []struct {
		by    string
		names []string
	}{{"ids", t.IDs}, {"owners", t.Owners}, {"departments", t.Departments}, {"departmentTrees", t.DepartmentTrees}} {
		if len(selection.names) > 0 {
			return selection.by + " " + shortList(selection.names)
		}
	}
	return strings.Join(t.Scopes, ",")
}

// shortList writes a list of names that may be long.
func shortList(names []string) string {
	const longest = 5
	if len(names) <= longest {
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:longest], ","), len(names)-longest)
}

func fieldsOf(e access.Entitlement) []string {
	var fields []string
	if e.Restricted {
		fields = append(fields, "only "+cmp.Or(strings.Join(e.OnlyFields, ","), "nothing"))
	}
	return append(fields, ruleWords(e.Beyond)...)
}

func (s *shown) print(w io.Writer) {
	about := []string{s.Type}
	if s.Title != "" {
		about = append(about, s.Title)
	}
	printLine(w, "%s, %s: %s", s.named(access.KindUser, s.User), strings.Join(about, ", "), s.State)
	departments := make([]string, len(s.Departments))
	for i, d := range s.Departments {
		departments[i] = s.named(access.KindDepartment, d)
	}
	printLine(w, "department: %s", cmp.Or(strings.Join(departments, ", "), "-"))
	printLine(w, "manager: %s", cmp.Or(s.named(access.KindUser, s.Manager), "-"))
	if s.Successor != "" {
		printLine(w, "successor: %s", s.named(access.KindUser, s.Successor))
	}
	printLine(w, "at: %s", s.At)
	switch {
	case s.Dormant > 0:
		printLine(w, "no access: the account is %s, and %d grants it holds confer nothing", s.State, s.Dormant)
	case s.State != string(access.StateActive):
		printLine(w, "no access: the account is %s", s.State)
	case len(s.Access) == 0 && len(s.Revoked) > 0:
		printLine(w, "no access: what there was is revoked")
	case len(s.Access) == 0:
		printLine(w, "no access: no binding or temporary grant gives any")
	default:
		s.printAccess(w)
	}
	s.printRules(w)
	if s.Next != "" {
		printLine(w, "changes by itself at %s", s.Next)
	}
}

// named is a name with the display name that people know.
func (s *shown) named(kind access.Kind, name string) string {
	if display := s.names[access.Ref{Kind: kind, Name: name}.String()]; display != "" {
		return fmt.Sprintf("%s (%s)", name, display)
	}
	return name
}

func (s *shown) printAccess(w io.Writer) {
	rows := make([][]string, len(s.Access))
	for i, e := range s.Access {
		reach := e.Reach
		if len(e.Where) > 0 {
			reach += " where " + strings.Join(e.Where, " and ")
		}
		by := e.From
		if e.Path != "" {
			by += " > " + e.Path
		}
		rows[i] = []string{
			e.Object, strings.Join(e.Actions, ","), reach,
			cmp.Or(strings.Join(e.Fields, "; "), "-"), cmp.Or(e.Until, "-"), by,
		}
	}
	_ = terminal.WriteTable(w, []string{"OBJECT", "ACTIONS", "REACH", "FIELDS", "UNTIL", "BY"}, rows) // as in printLine
}
