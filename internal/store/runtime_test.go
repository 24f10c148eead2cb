package store_test

import (
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

func TestAnApprovalFitsJustWhatItIsAbout(t *testing.T) {
	few, some, many := int64(499), int64(500), int64(501)
	transfer := store.Operation{Subject: "li-ting", Action: "transfer", Object: "customer", Record: "c-1", TargetUser: "tang-yue", TargetDepartment: "sales-west",
		Channel: "web", Device: "managed", Reason: "moves"}
	export := store.Operation{Subject: "li-ting", Action: "export", Object: "customer", Rows: &some}
	update := store.Operation{Subject: "li-ting", Action: "update", Object: "customer", Record: "c-1", Fields: []string{"phone", "name"}}
	create := store.Operation{Subject: "li-ting", Action: "create", Object: "payment", Proposed: "sha256:0a"}
	with := func(o store.Operation, change func(*store.Operation)) store.Operation {
		change(&o)
		return o
	}
	cases := map[string]struct {
		approved, asked store.Operation
		fits            bool
	}{
		"the same":                {transfer, transfer, true},
		"another subject":         {transfer, with(transfer, func(o *store.Operation) { o.Subject = "wang-lei" }), false},
		"another action":          {transfer, with(transfer, func(o *store.Operation) { o.Action = "assign" }), false},
		"another object":          {transfer, with(transfer, func(o *store.Operation) { o.Object = "lead" }), false},
		"another record":          {transfer, with(transfer, func(o *store.Operation) { o.Record = "c-2" }), false},
		"no record":               {transfer, with(transfer, func(o *store.Operation) { o.Record = "" }), false},
		"another target":          {transfer, with(transfer, func(o *store.Operation) { o.TargetUser = "wang-lei" }), false},
		"no target":               {transfer, with(transfer, func(o *store.Operation) { o.TargetUser = "" }), false},
		"another department":      {transfer, with(transfer, func(o *store.Operation) { o.TargetDepartment = "sales-east" }), false},
		"another channel":         {transfer, with(transfer, func(o *store.Operation) { o.Channel = "mobile" }), false},
		"another device":          {transfer, with(transfer, func(o *store.Operation) { o.Device = "unmanaged" }), false},
		"another reason":          {transfer, with(transfer, func(o *store.Operation) { o.Reason = "revenge" }), false},
		"no reason":               {transfer, with(transfer, func(o *store.Operation) { o.Reason = "" }), false},
		"a reason nobody read":    {export, with(export, func(o *store.Operation) { o.Reason = "moves" }), false},
		"rows that nobody knew":   {transfer, with(transfer, func(o *store.Operation) { o.Rows = &few }), false},
		"as many rows":            {export, export, true},
		"fewer rows":              {export, with(export, func(o *store.Operation) { o.Rows = &few }), true},
		"a row more":              {export, with(export, func(o *store.Operation) { o.Rows = &many }), false},
		"rows not said":           {export, with(export, func(o *store.Operation) { o.Rows = nil }), false},
		"the fields":              {update, update, true},
		"one of the fields":       {update, with(update, func(o *store.Operation) { o.Fields = []string{"name"} }), true},
		"a field more":            {update, with(update, func(o *store.Operation) { o.Fields = []string{"name", "creditLimit"} }), false},
		"fields not said":         {update, with(update, func(o *store.Operation) { o.Fields = nil }), false},
		"fields of any":           {transfer, with(transfer, func(o *store.Operation) { o.Fields = []string{"name"} }), true},
		"the proposed record":     {create, create, true},
		"another proposed":        {create, with(create, func(o *store.Operation) { o.Proposed = "sha256:0b" }), false},
		"a record for proposed":   {create, with(create, func(o *store.Operation) { o.Proposed, o.Record = "", "p-1" }), false},
		"proposed for a record":   {transfer, with(transfer, func(o *store.Operation) { o.Proposed, o.Record = "sha256:0a", "" }), false},
		"a list and not a record": {export, with(export, func(o *store.Operation) { o.Record = "c-1" }), false},
	}
	for name, c := range cases {
		if got := c.approved.Fits(c.asked); got != c.fits {
			t.Errorf("%s: fits %t, want %t", name, got, c.fits)
		}
	}
}
