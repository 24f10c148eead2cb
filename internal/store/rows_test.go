package store_test

import (
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

func TestARowThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	user := access.Ref{Kind: access.KindUser, Name: "li-ting"}
	rows, err := store.Encode(access.Facts{Users: []access.UserFact{{Owner: user, User: "li-ting"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range store.Tables {
		bad := store.Row{RowID: store.RowID{Table: table, Owner: access.Ref{Kind: access.KindRole, Name: "bad"}}, Body: `[1]`}
		facts, sources, err := store.Decode(append([]store.Row{bad}, rows...))
		if err == nil || !strings.Contains(err.Error(), string(table)+` row "" of Role/bad`) {
			t.Errorf("%s: got %v, want the row's name", table, err)
		}
		if len(facts.Users) != 1 || facts.Users[0].User != "li-ting" || len(sources) != 0 {
			t.Errorf("%s: read %+v and %v", table, facts, sources)
		}
	}
}
