package access_test

import (
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
)

// bin is an order with a recycle bin: a soft delete is the action trash. Ada may trash her own and purge nothing; ben may
// delete everything, and holds no trash.
func bin() Declarations {
	d := shop()
	order := d.ObjectTypes[0]
	order.Actions = append(order.Actions, "trash", "purge")
	order.Variants = []Variant{
		{Action: "trash", Of: "delete", Property: "soft", Value: "true"},
		{Action: "purge", Of: "delete", Property: "mode", Value: "7"},
	}
	d.Roles = append(d.Roles,
		&Role{Name: "trasher", Grants: []Grant{{Object: "order", Actions: []string{"trash"}, Records: Records{Scopes: ScopeOwn}}}},
		&Role{Name: "deleter", Grants: []Grant{{Object: "order", Actions: []string{"delete"}, Records: Records{Scopes: ScopeAll}}}})
	d.UserBindings = append(d.UserBindings,
		&UserBinding{Name: "trashers", Subjects: []Subject{{User: "ada"}}, Roles: []string{"trasher"}},
		&UserBinding{Name: "deleters", Subjects: []Subject{{User: "ben"}}, Roles: []string{"deleter"}})
	return d
}

func TestAVariantIsAnActionOfItsOwn(t *testing.T) {
	policy := NewPolicy(Resolve(bin()).Facts)
	adas := &Record{ID: "o1", Owner: "ada"}
	for name, c := range map[string]struct {
		user       string
		properties map[string][]string
		want       string
		effect     Effect
	}{
		"a property that fits means the variant":                     {"ada", map[string][]string{"soft": {"true"}}, "trash", Allow},
		"one that does not fit means the action itself":              {"ada", map[string][]string{"soft": {"false"}}, "delete", Deny},
		"without properties it is the action itself":                 {"ada", nil, "delete", Deny},
		"a property that nobody declares changes nothing":            {"ada", map[string][]string{"Soft": {"true"}}, "delete", Deny},
		"a grant of the action is none of its variant":               {"ben", map[string][]string{"soft": {"true"}}, "trash", Deny},
		"and still one of the action":                                {"ben", nil, "delete", Allow},
		"a number is compared as text":                               {"ada", map[string][]string{"mode": {"7"}}, "purge", Deny},
		"of two variants that fit the first counts":                  {"ada", map[string][]string{"mode": {"7"}, "soft": {"true"}}, "trash", Allow},
		"a list fits if it holds the value":                          {"ada", map[string][]string{"soft": {"maybe", "true"}}, "trash", Allow},
		"somebody else's record is as little covered as without one": {"ben", map[string][]string{"mode": {"7"}}, "purge", Deny},
	} {
		action := policy.ActionMeant("order", "delete", func(property string) []string { return c.properties[property] })
		if action != c.want {
			t.Errorf("%s: means %s, want %s", name, action, c.want)
		}
		if got := policy.Decide(0, &Request{User: c.user, Action: action, Object: "order", Record: adas}, nil); got != c.effect {
			t.Errorf("%s: %s, want %s", name, got, c.effect)
		}
	}
	for object, action := range map[string]string{"order": "read", "line": "delete", "nothing": "delete"} {
		if got := policy.ActionMeant(object, action, func(string) []string { return []string{"true"} }); got != action {
			t.Errorf("%s of %s means %s", action, object, got)
		}
	}
}

func TestAnObjectWhoseVariantsDoNotCompileIsDenied(t *testing.T) {
	for name, c := range map[string]struct {
		variant Variant
		reason  Reason
		says    string
	}{
		"an action that is none":        {Variant{Action: "shred", Of: "delete", Property: "soft", Value: "no"}, ReasonUnknownReference, `ObjectType/order: spec.variants[2].action: unknown action "shred": every action on the object is denied`},
		"a variant of no action":        {Variant{Action: "trash", Of: "remove", Property: "soft", Value: "no"}, ReasonUnknownReference, `ObjectType/order: spec.variants[2].of: unknown action "remove": every action on the object is denied`},
		"a second one for one property": {Variant{Action: "purge", Of: "delete", Property: "soft", Value: "true"}, ReasonInvalid, `ObjectType/order: spec.variants[2]: action "delete" with soft "true" has a variant already: every action on the object is denied`},
	} {
		d := bin()
		d.ObjectTypes[0].Variants = append(d.ObjectTypes[0].Variants, c.variant)
		resolution := Resolve(d)
		found := resolution.Findings[Ref{Kind: KindObjectType, Name: "order"}]
		if len(found) != 1 || found[0].Reason != c.reason || found[0].String() != c.says {
			t.Errorf("%s: finds %v, want %s %s", name, found, c.reason, c.says)
		}
		if got := NewPolicy(resolution.Facts).Decide(0, &Request{User: "ben", Action: "delete", Object: "order", Record: &Record{ID: "o1"}}, nil); got != Deny {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestALoginNamesItsOnlyUser(t *testing.T) {
	d := shop()
	d.Users[0].Logins = []Login{{Issuer: "https://a", Subject: "17", Username: "ada@shop"}, {Issuer: "https://b", Subject: "4711"}, {Issuer: "https://a", Subject: "both"}}
	d.Users[1].Logins = []Login{{Issuer: "https://b", Subject: "17", Username: "ada"}, {Issuer: "https://a", Subject: "both", Username: "both"}}
	d.Users[2].Logins = []Login{{Issuer: "https://a", Subject: "gone-17", Username: "gone-17"}, {Issuer: "https://c", Subject: "both"}}
	policy := NewPolicy(Resolve(d).Facts)
	for named, want := range map[string]string{
		"ada":      "ada", // a name beats ben's login
		"ada@shop": "ada",
		"4711":     "ada",
		"gone-17":  "gone", // departed: named, and denied
		"17":       "17",   // ada's at one issuer, ben's at another
		"both":     "both", // stays nobody's, however many have it
		"nobody":   "nobody",
		"ADA@shop": "ADA@shop",
		"":         "",
	} {
		if got := policy.UserMeant(named); got != want {
			t.Errorf("%q means %q, want %q", named, got, want)
		}
	}
	for at, want := range map[[2]string]string{
		{"https://a", "17"}: "ada", {"https://b", "17"}: "ben", {"https://b", "ada"}: "ben", {"", "ada"}: "ben",
		{"https://a", "both"}: "", {"https://c", "both"}: "gone", {"", "both"}: "", {"", "17"}: "", {"https://c", "17"}: "", {"https://a", ""}: "", {"", ""}: "",
	} {
		if got, known := policy.UserByLogin(at[0], at[1]); got != want || known != (want != "") {
			t.Errorf("login %q at %q is %q, want %q", at[1], at[0], got, want)
		}
	}
}

func TestAnObjectThatNobodyDeclaresCanBeAskedAbout(t *testing.T) {
	m := NewPolicy(Facts{}).Module("invoice")
	if m.Enabled() || len(m.Actions())+len(m.Fields()) > 0 || m.Class("amount") != ClassUnset || m.Ceiling("amount") != LevelEdit || len(m.Decides()) > 0 {
		t.Errorf("it is there: %v, with %v and %v", m.Enabled(), m.Actions(), m.Fields())
	}
}
