package decisionapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// digest is what a file of credentials holds of a token.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func credentials(t *testing.T, text string) (c *Credentials, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "credentials.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadCredentials(file)
	if err != nil {
		t.Fatal(err)
	}
	return c, file
}

const anyQuestion = `{"subject":{"type":"user","id":"lina"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"owner":"lina"}}}`

func askWith(handler http.Handler, path string, authorization ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(anyQuestion))
	request.Header.Set("Content-Type", "application/json")
	for _, value := range authorization {
		request.Header.Add("Authorization", value)
	}
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	return response
}

func twoTenants() *source {
	two := oneTenant()
	two.names = []string{"acme", "umbrella"}
	return two
}

func TestAnApplicationShowsItsToken(t *testing.T) {
	c, _ := credentials(t, `
crm: {tokens: [`+digest("t0ken")+`, `+digest("next")+`], tenants: [acme]}
gateway: {tokens: [`+digest("all")+`], tenants: ["*"]}
both: {tokens: [`+digest("two")+`], tenants: [acme, elsewhere]}
`)
	handler := New(twoTenants(), Options{Credentials: c})
	for name, c := range map[string]struct {
		path          string
		authorization []string
		status        int
	}{
		"its token":                                 {"/acme/access/v1/evaluation", []string{"Bearer t0ken"}, 200},
		"the token that it changes to":              {"/acme/access/v1/evaluation", []string{"bearer next"}, 200},
		"no tenant, of one that it may ask for":     {"/access/v1/evaluation", []string{"Bearer t0ken"}, 200},
		"a tenant that is another's":                {"/umbrella/access/v1/evaluation", []string{"Bearer t0ken"}, 403},
		"a tenant that is nobody's":                 {"/nobody/access/v1/evaluation", []string{"Bearer t0ken"}, 403},
		"every tenant":                              {"/umbrella/access/v1/evaluation", []string{"Bearer all"}, 200},
		"every tenant, of those that there are":     {"/nobody/access/v1/evaluation", []string{"Bearer all"}, 404},
		"every tenant, but which":                   {"/access/v1/evaluation", []string{"Bearer all"}, 404},
		"one of its tenants, but which":             {"/access/v1/evaluation", []string{"Bearer two"}, 404},
		"nothing":                                   {"/acme/access/v1/evaluation", nil, 401},
		"nothing, of what is not served":            {"/acme/nowhere", nil, 401},
		"another token":                             {"/acme/access/v1/evaluation", []string{"Bearer guess"}, 401},
		"an empty token":                            {"/acme/access/v1/evaluation", []string{"Bearer "}, 401},
		"no scheme":                                 {"/acme/access/v1/evaluation", []string{"t0ken"}, 401},
		"another scheme":                            {"/acme/access/v1/evaluation", []string{"Basic t0ken"}, 401},
		"the digest in place of the token":          {"/acme/access/v1/evaluation", []string{"Bearer " + digest("t0ken")}, 401},
		"two headers, of which one would do":        {"/acme/access/v1/evaluation", []string{"Bearer t0ken", "Bearer guess"}, 401},
		"two headers in the other order":            {"/acme/access/v1/evaluation", []string{"Bearer guess", "Bearer t0ken"}, 401},
		"the metadata, without anything":            {"/.well-known/authzen-configuration/acme", nil, 401},
		"the metadata of a tenant that is nobody's": {"/.well-known/authzen-configuration/nobody", []string{"Bearer t0ken"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			if response := askWith(handler, c.path, c.authorization...); response.Code != c.status {
				t.Errorf("answers %d %s, want %d", response.Code, response.Body, c.status)
			}
		})
	}
}

func TestNothingIsLearnedFromWrongCredentials(t *testing.T) {
	c, _ := credentials(t, `crm: {tokens: [`+digest("t0ken")+`], tenants: [acme]}`)
	handler := New(twoTenants(), Options{Credentials: c})
	unknown := askWith(handler, "/acme/access/v1/evaluation")
	for name, other := range map[string]*httptest.ResponseRecorder{
		"a wrong token":           askWith(handler, "/acme/access/v1/evaluation", "Bearer wrong"),
		"of a tenant that is not": askWith(handler, "/nobody/access/v1/evaluation", "Bearer wrong"),
		"of a path that is not":   askWith(handler, "/acme/nothing", "Bearer wrong"),
		"of the metadata":         askWith(handler, "/.well-known/authzen-configuration", "Basic wrong"),
	} {
		if other.Code != unknown.Code || other.Body.String() != unknown.Body.String() || other.Header().Get("WWW-Authenticate") != unknown.Header().Get("WWW-Authenticate") {
			t.Errorf("%s: %d %s tells more than %d %s", name, other.Code, other.Body, unknown.Code, unknown.Body)
		}
	}
	if challenge := unknown.Header().Get("WWW-Authenticate"); challenge != `Bearer realm="crm-access"` {
		t.Errorf("challenges with %q", challenge)
	}
	there, not := askWith(handler, "/umbrella/access/v1/evaluation", "Bearer t0ken"), askWith(handler, "/umbrello/access/v1/evaluation", "Bearer t0ken")
	if strings.ReplaceAll(there.Body.String(), "umbrella", "umbrello") != not.Body.String() {
		t.Errorf("a tenant that there is answers %s, one that there is not %s", there.Body, not.Body)
	}
}

func TestCredentialsChangeWithTheirFile(t *testing.T) {
	c, file := credentials(t, `crm: {tokens: [`+digest("old")+`], tenants: [acme]}`)
	handler := New(oneTenant(), Options{Credentials: c})
	for _, step := range []struct {
		text            string
		changed, broken bool
		old, next       int
	}{
		{`crm: {tokens: [` + digest("old") + `], tenants: [acme]}`, false, false, 200, 401},
		{`crm: {tokens: [` + digest("old") + `, ` + digest("next") + `], tenants: [acme]}`, true, false, 200, 200},
		{`crm: {tokens: [` + digest("next") + `], tenants: [acme]}`, true, false, 401, 200},
		{`crm: {tokens: [`, false, true, 401, 200},
		{``, false, true, 401, 200},
	} {
		if err := os.WriteFile(file, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if changed, err := c.Reload(); changed != step.changed || (err != nil) != step.broken {
			t.Errorf("%s: changed %v, %v", step.text, changed, err)
		}
		old, next := askWith(handler, "/access/v1/evaluation", "Bearer old").Code, askWith(handler, "/access/v1/evaluation", "Bearer next").Code
		if old != step.old || next != step.next {
			t.Errorf("%s: the tokens get %d and %d, want %d and %d", step.text, old, next, step.old, step.next)
		}
	}
}

func TestCredentialsThatCannotBeReadAreTold(t *testing.T) {
	good := digest("secret")
	for name, c := range map[string]struct{ text, want string }{
		"nobody":                      {``, "no application is named"},
		"a list":                      {`- crm`, "want a name for each application"},
		"a member that is not known":  {`crm: {tokens: [` + good + `], tenant: acme}`, "want a name for each application"},
		"nothing to show":             {`crm: {tenants: [acme]}`, "application crm: has neither tokens nor certificates"},
		"no tenants":                  {`crm: {tokens: [` + good + `]}`, "application crm: name the tenants"},
		"an empty tenant":             {`crm: {tokens: [` + good + `], tenants: [""]}`, "application crm: name the tenants"},
		"a token itself":              {`crm: {tokens: [secret], tenants: [acme]}`, "application crm: token 1 is no SHA-256 digest"},
		"a token of two applications": {`{a: {tokens: [` + good + `], tenants: [acme]}, b: {tokens: [` + good + `], tenants: [acme]}}`, "application b: token 1 is another application's"},
		"a certificate of two":        {`{a: {certificates: [crm], tenants: [acme]}, b: {certificates: [crm], tenants: [acme]}}`, "application b: certificate crm is another application's"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "credentials.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadCredentials(file); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("says %v, want %q", err, c.want)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("tells the secret: %v", err)
			}
		})
	}
	if _, err := ReadCredentials(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is read")
	}
}
