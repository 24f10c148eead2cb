package decisionapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

const description = "../../docs/openapi.yaml"

// openAPI is docs/openapi.yaml, and what validates against its schemas.
type openAPI struct {
	t        *testing.T
	document map[string]any
	compiler *jsonschema.Compiler
}

func readOpenAPI(t *testing.T) *openAPI {
	t.Helper()
	text, err := os.ReadFile(description)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	o := &openAPI{t, document.(map[string]any), jsonschema.NewCompiler()}
	o.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := o.compiler.AddResource("file:///openapi.json", document); err != nil {
		t.Fatal(err)
	}
	return o
}

// at follows a path of members, through references.
func (o *openAPI) at(from any, path ...string) any {
	o.t.Helper()
	for _, name := range path {
		from = o.resolved(from)
		members, _ := from.(map[string]any)
		if from = members[name]; from == nil {
			o.t.Fatalf("%s: there is no %s in %s", description, strings.Join(path, "."), name)
		}
	}
	return o.resolved(from)
}

func (o *openAPI) resolved(from any) any {
	if members, ok := from.(map[string]any); ok {
		if reference, ok := members["$ref"].(string); ok {
			return o.at(o.document, strings.Split(strings.TrimPrefix(reference, "#/"), "/")...)
		}
	}
	return from
}

// validate says how a value does not fit the schema at a pointer of the document.
func (o *openAPI) validate(pointer string, value any) error {
	schema, err := o.compiler.Compile("file:///openapi.json#" + pointer)
	if err != nil {
		o.t.Fatal(err)
	}
	return schema.Validate(value)
}

// escaped is a path as a part of a pointer.
func escaped(path string) string { return strings.ReplaceAll(path, "/", "~1") }

func (o *openAPI) operation(method, path string) map[string]any {
	o.t.Helper()
	return o.at(o.document, "paths", path, strings.ToLower(method)).(map[string]any)
}

func TestTheDescriptionNamesWhatIsServedAndNothingElse(t *testing.T) {
	o := readOpenAPI(t)
	var described, served []string
	for path, item := range o.at(o.document, "paths").(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	for _, e := range append(Served(), [2]string{http.MethodGet, MetadataPath}) {
		served = append(served, e[0]+" "+e[1])
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described are\n%s\nserved are\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
}

// Whoever asks, by operation; where there is none, the question brings its subject.
var askers = map[string]string{"askForApproval": "lina", "answerRequest": "boris", "share": "lina", "use": "lina"}

func TestTheExamplesOfTheDescriptionAreAnsweredAsItSays(t *testing.T) {
	o, b := readOpenAPI(t), openBranch(t, func(*Options) {})
	ids := map[string]string{}
	examples := 0
	for _, e := range Served() { // in their order: what is made is there for who lists it
		method, path := e[0], e[1]
		operation := o.operation(method, path)
		name := operation["operationId"].(string)
		if method != http.MethodPost {
			continue
		}
		handler := b.handler
		if name == "searchResources" {
			handler = New(archive{source: oneTenant(), customers: 5}, fixedID)
		}
		content := "/paths/" + escaped(path) + "/post/requestBody/content/application~1json"
		for example, value := range o.at(operation, "requestBody", "content", "application/json", "examples").(map[string]any) {
			examples++
			t.Run(name+" "+example, func(t *testing.T) {
				body := o.at(value, "value")
				if err := o.validate(content+"/schema", body); err != nil {
					t.Errorf("the example does not fit its schema: %v", err)
				}
				text, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				asked := strings.ReplaceAll(string(text), "2026-12-31T18:00:00+08:00", (b.now() + 3600).String())
				called := &branch{t: t, store: b.store, handler: handler}
				status, reply := called.as(askers[name], method, strings.ReplaceAll(path, "{id}", ids["request"]), asked)
				o.fits(t, path, "post", status, reply)
				if id, made := reply["id"].(string); made {
					ids[map[string]string{"askForApproval": "request", "share": "share"}[name]] = id
				}
			})
		}
	}
	if examples < 15 {
		t.Errorf("the description has %d examples", examples)
	}
	for _, get := range []struct{ method, path, query string }{
		{"GET", "/access/v1/requests", "?role=subject"}, {"GET", "/v1/shares", ""}, {"GET", "/v1/me", ""}, {"DELETE", "/v1/shares/{id}", ""},
	} {
		status, reply := b.as("lina", get.method, strings.ReplaceAll(get.path, "{id}", ids["share"])+get.query, "")
		o.fits(t, get.path, strings.ToLower(get.method), status, reply)
	}
	status, reply := b.with("", http.MethodGet, MetadataPath+"/acme", "")
	o.fits(t, MetadataPath, "get", status, reply)
}

// fits holds an answer against what the description says of the operation: it must be the 200, in its schema.
func (o *openAPI) fits(t *testing.T, path, method string, status int, reply map[string]any) {
	t.Helper()
	if status != http.StatusOK {
		t.Errorf("%s %s answers %d %v", method, path, status, reply)
		return
	}
	pointer := "/paths/" + escaped(path) + "/" + method + "/responses/200"
	if response := o.operation(method, path)["responses"].(map[string]any)["200"].(map[string]any); response["$ref"] != nil {
		pointer = strings.TrimPrefix(response["$ref"].(string), "#")
	}
	if err := o.validate(pointer+"/content/application~1json/schema", numbersOf(t, reply)); err != nil {
		t.Errorf("%s %s answers %v, which does not fit: %v", method, path, reply, err)
	}
}

// numbersOf is a reply with its numbers as the validator wants them.
func numbersOf(t *testing.T, reply map[string]any) any {
	t.Helper()
	text, err := json.Marshal(reply)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestRefusalsFitTheDescription(t *testing.T) {
	o, b := readOpenAPI(t), openBranch(t, func(*Options) {})
	for _, e := range Served() {
		method, path := e[0], e[1]
		documented := slices.Sorted(maps.Keys(o.operation(method, path)["responses"].(map[string]any)))
		for body, person := range map[string]string{`{`: "lina", `{"subject":7}`: "lina", `{}`: ""} {
			status, reply := b.as(person, method, strings.ReplaceAll(path, "{id}", "none"), body)
			if status == http.StatusOK {
				continue // a GET has no body that could be wrong
			}
			if !slices.Contains(documented, fmt.Sprint(status)) {
				t.Errorf("%s %s answers %d, which the description does not name", method, path, status)
			}
			if err := o.validate("/components/schemas/Error", numbersOf(t, reply)); err != nil {
				t.Errorf("%s %s answers %v: %v", method, path, reply, err)
			}
		}
	}
}
