package decisionapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// FuzzPersons: whatever a person sends to the endpoints where something is made, the answer is one of those that the
// description names, and in JSON.
func FuzzPersons(f *testing.F) {
	for _, seed := range []string{
		`{"action":{"name":"transfer"},"resource":{"type":"customer","id":"c-1","properties":{"owner":"lina"}},"context":{"target":{"user":"boris"},"approval":["x"]},"until":"2027-01-15T08:00:00Z"}`,
		`{"resource":{"type":"customer","id":"c-1","properties":{"owner":"lina"}},"recipient":"cleo","actions":["read","share"],"level":"edit","onlyFields":["name"],"until":"2099-01-01T00:00:00Z","reason":"x"}`,
		`{"action":{"name":"export"},"resource":{"type":"customer"},"context":{"rows":9223372036854775807,"used":1}}`,
		`{"decision":true,"comment":"\u0000"}`, `{"decision":"yes"}`, `{"recipient":[],"actions":{},"until":1}`, `{"a":1,"a":2}`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	b := openBranch(f, func(o *Options) { o.BareSubject = true })
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/access/v1/requests", "/access/v1/requests/none/answers", "/v1/shares", "/v1/usage"} {
			request := httptest.NewRequest(http.MethodPost, "/acme"+path, strings.NewReader(string(body)))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set(HeaderSubject, "lina")
			response := httptest.NewRecorder()
			b.handler.ServeHTTP(response, request)
			switch response.Code {
			case http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict:
			default:
				t.Fatalf("%s answers %d %s", path, response.Code, response.Body)
			}
			if !json.Valid(response.Body.Bytes()) {
				t.Fatalf("%s answers %q", path, response.Body)
			}
		}
	})
}
