package decisionapi

import (
	"net/http"
	"testing"
)

func TestAPathLeadsToAnEndpointOfATenant(t *testing.T) {
	answer := func(*asked) (any, error) { return nil, nil }
	r := newRoutes([]endpoint{
		{http.MethodGet, "/v1/shares", answer}, {http.MethodPost, "/v1/shares", answer}, {http.MethodDelete, "/v1/shares/{id}", answer},
		{http.MethodPost, "/v1/requests/{id}/answers", answer},
	})
	for path, want := range map[string]struct {
		tenant, id string
		methods    int
	}{
		"/v1/shares": {"", "", 2}, "/acme/v1/shares": {"acme", "", 2}, "/v1/v1/shares": {"v1", "", 2},
		"/v1/shares/s1": {"", "s1", 1}, "/acme/v1/shares/s1": {"acme", "s1", 1}, "/v1/requests/r1/answers": {"", "r1", 1},
		"/acme/v1/requests/r1/answers": {"acme", "r1", 1},
		"/v1/shares/":                  {}, "//v1/shares": {}, "/acme//v1/shares": {}, "/v1/shares/a/b": {}, "/a/b/v1/shares": {}, "": {}, "/": {}, "v1/shares": {},
		"/v1/requests//answers": {}, "/v1/requests/answers": {},
	} {
		found, ok := r.find(path)
		if ok != (want.methods > 0) || (ok && (found.tenant != want.tenant || found.id != want.id || len(found.methods) != want.methods)) {
			t.Errorf("%q leads to tenant %q, id %q, %d methods (%v)", path, found.tenant, found.id, len(found.methods), ok)
		}
	}
	refused, _ := r.find("/v1/shares")
	if got := refused.methods.refuse("PUT").Error(); got != "method PUT: ask with GET, POST" {
		t.Errorf("another method is told %q", got)
	}
}
