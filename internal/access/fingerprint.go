package access

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Fingerprint is equal of policies that answer alike however they were made: of all that they know by its name, in an order
// of its own, and not of where it stands. Shares are no part of it. It takes longer than making the policy.
func (p *Policy) Fingerprint() string {
	hash := sha256.New()
	w := bufio.NewWriter(hash)
	p.describe(w)
	_ = w.Flush() // a hash takes everything
	return hex.EncodeToString(hash.Sum(nil))
}

func (p *Policy) describe(w io.Writer) {
	p.describeCatalogue(w)
	p.describeTuples(w)
	p.describePeople(w)
	_, _ = fmt.Fprintln(w, "boundaries", p.boundaries, "channels", p.channels, "devices", p.devices)
	for _, role := range slices.Sorted(maps.Keys(p.lineage)) {
		_, _ = fmt.Fprintf(w, "role %q inherits %q\n", role, p.lineage[role])
	}
	if p.revoked != nil {
		_, _ = fmt.Fprintln(w, "ended by revocations")
		p.revoked.describePeople(w)
	}
}

func (p *Policy) describeCatalogue(w io.Writer) {
	for _, department := range slices.Sorted(slices.Values(p.departments.list)) {
		id, _ := p.departments.find(department)
		_, _ = fmt.Fprintf(w, "department %q below %q\n", department, p.namesOf(p.ancestors[id]))
	}
	for _, name := range slices.Sorted(slices.Values(p.objectIDs.list)) {
		id, _ := p.objectIDs.find(name)
		o := &p.objects[id]
		storage, stored := p.storages[name]
		_, _ = fmt.Fprintf(w, "object %q %t of %d by %q, owner %q, department %q, actions %q, variants %+v, stored %t %+v\n", name, o.enabled, o.parent,
			o.parentField, o.ownerField, o.departmentField, o.actions.list, o.variants, stored, storage)
		_, _ = fmt.Fprintf(w, " fields %q of %v, fixed %v, compared %q, ceiling %x of %+v\n", o.fields.list, o.classes, o.fixed, o.compared, o.ceiling, o.ceilings)
		for action, g := range o.guards {
			for _, rule := range slices.Concat(g.forbid, g.approve) {
				text, err := json.Marshal([]any{rule.deny, rule.limit, rule.approve})
				_, _ = fmt.Fprintf(w, " guard of %d: %q %d %t %s %v\n", action, rule.name, rule.day, rule.separate, text, err)
			}
		}
	}
}

func (p *Policy) namesOf(departments []int32) []string {
	return slices.Sorted(slices.Values(p.departmentNames(departments)))
}

// describeTuples leaves bundles without tuples out: they confer nothing.
func (p *Policy) describeTuples(w io.Writer) {
	for _, b := range slices.SortedFunc(maps.Keys(p.bundles), bundle.compare) {
		for _, name := range slices.Sorted(slices.Values(p.objectIDs.list)) {
			id, _ := p.objectIDs.find(name)
			pair := int(p.bundles[b])*len(p.objects) + int(id)
			for at := p.spans[pair].start; at < p.spans[pair].end; at++ {
				t := &p.tuples[at]
				_, _ = fmt.Fprintf(w, "%q on %q: %q %x by %s, gives", b, name, p.sources[at], t.actions, p.selected(&p.objects[id], t.scopes, t.condition, t.selection))
				for _, start := range t.gains {
					_, _ = fmt.Fprintf(w, " %x", p.gainsOf(&p.objects[id], start))
				}
				_, _ = fmt.Fprintln(w)
			}
			p.describeCell(w, p.cells[pair], &p.objects[id])
		}
	}
}

func (p *Policy) describeCell(w io.Writer, c cell, o *object) {
	if c == (cell{}) {
		return
	}
	for state := range p.rows {
		for _, rows := range p.rows[state] {
			_, _ = fmt.Fprintf(w, " %x", rows[c.rows:][:o.words])
		}
	}
	for left := p.special[c.special+1:][:p.special[c.special]]; len(left) > 0; left = left[1+int(recordStates)*o.words:] {
		h := specialHeader(left[0])
		_, _ = fmt.Fprintf(w, " %s %x", p.selected(o, h.scopes(), h.condition(), h.selection()), left[1:][:int(recordStates)*o.words])
	}
	_, _ = fmt.Fprintln(w)
}

// selected says by what a tuple takes records in.
func (p *Policy) selected(o *object, scopes Scopes, condition, chosen int32) string {
	var where []WhereFact
	var s selection
	if condition != none {
		where = o.conditions[condition]
	}
	if chosen != none {
		s = p.selections[chosen]
	}
	return fmt.Sprintf("%x %q %q %q %q %q", uint8(scopes), where, s.ids, s.owners, p.namesOf(s.departments), p.namesOf(s.trees))
}

// describePeople tells a reporting line by each user's manager, and by how many are below.
func (p *Policy) describePeople(w io.Writer) {
	bundles := make([]bundle, len(p.bundles))
	for b, id := range p.bundles {
		bundles[id] = b
	}
	for _, user := range p.inOrder {
		is, manager := &p.people[user], ""
		if is.manager != none {
			manager = p.users.list[is.manager]
		}
		_, _ = fmt.Fprintf(w, "user %q %t %s %s below %q, above %d, revoked by %q, in %q\n", p.users.list[user], p.accounts[user].active, is.state, is.userType,
			manager, p.accounts[user].last-user-1, is.revokedBy, p.namesOf(p.departmentsOf(user)))
		for i, h := range p.holdingsOf(user) {
			at := int(p.accounts[user].holdings) + i
			_, _ = fmt.Fprintf(w, " holds %q by %s as %q in %v\n", bundles[h.bundle], p.owners[at], p.roles[at], p.window(h))
		}
	}
	logins := make([]string, 0, len(p.logins))
	for key, user := range p.logins {
		of := ""
		if user != none {
			of = p.users.list[user]
		}
		logins = append(logins, fmt.Sprintf("%q is %q", key, of))
	}
	slices.Sort(logins)
	_, _ = fmt.Fprintln(w, logins)
}
