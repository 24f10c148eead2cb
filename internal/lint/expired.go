package lint

import (
	"fmt"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Options are what a check depends on besides the tree.
type Options struct {
	// At is now.
	At schedule.Instant
	// OlderThan is how long ago a grant ended that is to be taken out.
	OlderThan time.Duration
	// Base is the tree before the change; nil where nobody knows it, and then nothing is known to be new.
	Base *manifest.Tree
}

// expired reports the grants that have ended: new ones, which confer nothing and mean something else, and old ones, which
// are in the way.
func (c *checker) expired(tenant *manifest.Tenant) {
	long := schedule.At(c.options.At.Time().Add(-c.options.OlderThan))
	for _, grant := range tenant.Declarations.TemporaryGrants {
		ref := access.Ref{Kind: access.KindTemporaryGrant, Name: grant.Name}
		const field = "spec.notAfter"
		switch {
		case !grant.Window.Ended(c.options.At):
		case c.added(tenant.Namespace, ref):
			c.add(c.at(tenant, ref, field), Error, ref, field, fmt.Sprintf("is new and ended at %s: it confers nothing", grant.Window.NotAfter))
		case grant.Window.NotAfter < long:
			c.add(c.at(tenant, ref, field), Info, ref, field, fmt.Sprintf("ended at %s: take it out with kubectl crmaccess prune-expired", grant.Window.NotAfter))
		}
	}
}

// added says whether an object is known not to stand in base, whatever is wrong with it there.
func (c *checker) added(namespace string, ref access.Ref) bool {
	if c.options.Base == nil {
		return false
	}
	before := c.options.Base.Tenants[namespace]
	if before == nil {
		return true
	}
	_, stood := before.Sources[ref]
	return !stood
}

// unreachableRoles reports roles that something names and that nobody holds, now or later, nor a role that
// inherits them. What is wrong with a role is told already, and is why nobody holds it.
func (c *checker) unreachableRoles(tenant *manifest.Tenant, approved access.Resolution, used map[string]bool) {
	held := make(map[string]bool)
	for _, h := range approved.Facts.Holders {
		if !h.Window.Ended(c.options.At) {
			held[h.Role] = true
		}
	}
	for _, l := range approved.Facts.Lineage {
		if held[l.Role] {
			held[l.Ancestor] = true
		}
	}
	for _, role := range tenant.Declarations.Roles {
		ref := access.Ref{Kind: access.KindRole, Name: role.Name}
		if used[role.Name] && !held[role.Name] && len(approved.Findings[ref]) == 0 {
			c.add(tenant.Sources[ref], Info, ref, "", "unreachable: nobody holds it or a role that inherits it, now or later")
		}
	}
}
