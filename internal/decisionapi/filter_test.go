package decisionapi_test

import (
	"net/http"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

func TestFilter(t *testing.T) {
	for name, c := range map[string]struct{ user, object, want string }{
		"own and involved": {"lina", "customer", `{"decision":true,"filter":{"any":[{"all":[{"any":[` +
			`{"fact":"owner","object":"customer","operator":"In","values":["lina"]},{"fact":"participants","object":"customer","operator":"In","values":["lina"]}]}]}]},` +
			`"sql":{"where":"(((\"customer\".\"owner\" = ANY($1::text[]) OR \"customer\".\"participants\" && $2::text[])))","parameters":[["lina"],["lina"]]}}`},
		"conditions stand beside": {"boris", "customer", `{"decision":true,"filter":{"any":[{"all":[{"field":"region","object":"customer","operator":"In","values":["7","café"]},` +
			`{"any":[{"fact":"department","object":"customer","operator":"In","values":["east"]}]}]}]},` +
			`"sql":{"where":"((\"customer\".\"region\" = ANY($1::text[]) AND (\"customer\".\"department\" = ANY($2::text[]))))","parameters":[["7","café"],["east"]]}}`},
		"everything":               {"cleo", "customer", `{"decision":true,"filter":{"any":[{"all":[]}]},"sql":{"where":"(TRUE)","parameters":[]}}`},
		"the record that decides":  {"lina", "note", `{"decision":true,"filter":{"any":[{"all":[{"any":[{"fact":"owner","object":"customer","operator":"In","values":["lina"]}]}]}]},"sql":{"where":"(((\"customer\".\"owner\" = ANY($1::text[]))))","parameters":[["lina"]]}}`},
		"nothing for who may not":  {"boris", "note", `{"decision":false}`},
		"nothing for who is not":   {"nobody", "customer", `{"decision":false}`},
		"nothing of what is not":   {"lina", "rocket", `{"decision":false}`},
		"nor for another's robots": {"", "customer", `{"error":"subject.id: is missing"}`},
	} {
		t.Run(name, func(t *testing.T) {
			response := post(t, New(oneTenant(), fixedID), "/acme/v1/filter", `{"subject":{"type":"user","id":"`+c.user+`"},"action":{"name":"read"},"resource":{"type":"`+c.object+`"}}`)
			if got := response.Body.String(); got != c.want+"\n" {
				t.Errorf("answers %d %s, want %s", response.Code, got, c.want)
			}
		})
	}
	if response := post(t, New(oneTenant(), fixedID), "/v1/filter/", `{}`); response.Code != http.StatusNotFound {
		t.Errorf("another path answers %d", response.Code)
	}
}
