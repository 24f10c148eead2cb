package enforcement_test

import (
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres/enforcement"
)

func TestAMaskedYearFollowsNoSessionsTimeZone(t *testing.T) {
	for kind, want := range map[string]string{
		"timestamptz": `THEN date_trunc('year', c."born", 'UTC') END`,
		"timestamp":   `THEN date_trunc('year', c."born") END`,
		"date":        `THEN date_trunc('year', c."born"::timestamp)::date END`,
		"int4":        `THEN NULL END`,
	} {
		plan := enforcement.Plan{
			Tenant: "huayue", Roles: []string{"crm_app"}, ViewOwner: "crm_masked", Types: map[string]string{"id": "int8", "born": kind},
			Storage: access.StorageFact{Object: "customer", Table: "crm.customer", IDColumn: "id"},
			Object:  access.ObjectFact{Object: "customer"},
			Fields:  []access.FieldFact{{Object: "customer", Field: "born", Class: access.ClassSecret.String(), Mask: access.Mask{Type: "Year"}}},
		}
		if made := strings.Join(plan.Statements(nil), ";\n"); !strings.Contains(made, want) {
			t.Errorf("of a %s the view shows no %s: %s", kind, want, made)
		}
	}
}
