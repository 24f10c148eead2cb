package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// loadTenant reads the manifests of one tenant. Manifests with a fault are no base for an answer: the API server would
// refuse them, and what they say would be missing from it.
func loadTenant(path, namespace string) (*manifest.Tenant, error) {
	tree, err := manifest.Load(path)
	if err != nil {
		return nil, err
	}
	return chooseTenant(tree, path, namespace)
}

// chooseTenant takes the tenant of a namespace, or the only one. Manifests that name no namespace belong to whichever one
// they are applied to, so they are part of a tenant that is asked for by name.
func chooseTenant(tree *manifest.Tree, path, namespace string) (*manifest.Tenant, error) {
	if len(tree.Tenants) == 0 {
		return nil, fmt.Errorf("no manifests of crmaccess.io below %s", path)
	}
	if namespace == "" {
		if len(tree.Tenants) > 1 {
			return nil, fmt.Errorf("%s declares several tenants: choose one with -n: %s", path, tenantNames(tree))
		}
		for _, tenant := range tree.Tenants {
			return tenant, nil
		}
	}
	named, unnamed := tree.Tenants[namespace], tree.Tenants[""]
	switch {
	case named == nil && unnamed == nil:
		return nil, fmt.Errorf("%s declares nothing for namespace %q; it has %s", path, namespace, tenantNames(tree))
	case named == nil:
		return unnamed, nil
	case unnamed == nil:
		return named, nil
	}
	return mergeTenants(named, unnamed)
}

func tenantNames(tree *manifest.Tree) string {
	names := slices.Sorted(maps.Keys(tree.Tenants))
	for i, name := range names {
		if name == "" {
			names[i] = "(manifests that name no namespace)"
		}
	}
	return strings.Join(names, ", ")
}

// mergeTenants is what comes of applying manifests without a namespace to one that has manifests of its own.
func mergeTenants(named, unnamed *manifest.Tenant) (*manifest.Tenant, error) {
	for _, ref := range slices.SortedFunc(maps.Keys(unnamed.Sources), compareRefs) {
		if first, twice := named.Sources[ref]; twice {
			return nil, fmt.Errorf("%s: %s stands already at %s for namespace %s: keep one of the two", unnamed.Sources[ref], ref, first, named.Namespace)
		}
	}
	a, b := named.Declarations, unnamed.Declarations
	merged := &manifest.Tenant{
		Namespace: named.Namespace,
		Declarations: access.Declarations{
			ObjectTypes:     slices.Concat(a.ObjectTypes, b.ObjectTypes),
			Departments:     slices.Concat(a.Departments, b.Departments),
			Users:           slices.Concat(a.Users, b.Users),
			Roles:           slices.Concat(a.Roles, b.Roles),
			UserBindings:    slices.Concat(a.UserBindings, b.UserBindings),
			TemporaryGrants: slices.Concat(a.TemporaryGrants, b.TemporaryGrants),
			Guardrails:      slices.Concat(a.Guardrails, b.Guardrails),
			Approvals:       slices.Concat(a.Approvals, b.Approvals),
			Revocations:     slices.Concat(a.Revocations, b.Revocations),
		},
		Objects: maps.Clone(named.Objects),
		Sources: maps.Clone(named.Sources),
	}
	maps.Copy(merged.Objects, unnamed.Objects)
	maps.Copy(merged.Sources, unnamed.Sources)
	return merged, nil
}

func compareRefs(a, b access.Ref) int {
	switch {
	case a.String() < b.String():
		return -1
	case a.String() > b.String():
		return 1
	}
	return 0
}

// instantFlag is the instant that --at names, or the clock's.
func instantFlag(at string, now func() time.Time) (schedule.Instant, error) {
	if at == "" {
		return schedule.At(now()), nil
	}
	instant, err := schedule.Parse(at)
	if err != nil {
		return 0, fmt.Errorf("--at: %w", err)
	}
	return instant, nil
}
