package authzen

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/cmd/kubectl-crmaccess/command"
)

// exchange is one request of a scenario and what must come back.
type exchange struct {
	Section string          `json:"section"`
	To      string          `json:"to"`
	Ask     json.RawMessage `json:"ask"`

	Status    int              `json:"status"`
	Decision  *bool            `json:"decision"`
	Decisions []bool           `json:"decisions"`
	Results   []map[string]any `json:"results"`
}

// readExchanges reads a scenario's requests.
func readExchanges(t *testing.T, scenario string) (exchanges []exchange) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(scenario, "requests.yaml"))
	if err == nil {
		err = yaml.UnmarshalStrict(text, &exchanges)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range exchanges {
		e := &exchanges[i]
		if e.To == "" {
			e.To = "evaluation"
		}
		if e.Status == 0 {
			e.Status = http.StatusOK
		}
	}
	return exchanges
}

// pdp is a decision point as a PEP sees it.
type pdp struct{ base string }

// serve starts the command on a scenario's manifests and records, until the test ends.
func serve(t *testing.T, scenario string) pdp {
	t.Helper()
	args := []string{"serve", "--manifests", filepath.Join(scenario, "manifests"), "--listen", "127.0.0.1:0"}
	if records := filepath.Join(scenario, "records.yaml"); fileExists(records) {
		args = append(args, "--records", records)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, written := io.Pipe()
	var problems bytes.Buffer
	var running sync.WaitGroup
	running.Go(func() {
		code := command.Run(ctx, args, command.Environment{
			Now: time.Now, Getenv: func(string) string { return "" }, In: strings.NewReader(""), Out: written, Err: &problems,
		})
		if code != command.ExitOK {
			t.Errorf("serve ends with code %d and says %s", code, problems.String())
		}
		_ = written.Close()
	})
	said := make([]byte, 4096)
	n, err := out.Read(said)
	if err != nil {
		t.Fatalf("serve says nothing: %v: %s", err, problems.String())
	}
	running.Go(func() { _, _ = io.Copy(io.Discard, out) })
	t.Cleanup(func() { cancel(); running.Wait() })
	_, after, _ := strings.Cut(string(said[:n]), " at ")
	base, _, _ := strings.Cut(after, ";")
	return pdp{base}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
}

// send sends a body, whatever it is, with one header besides that the suite sends with every request.
func (p pdp) send(t *testing.T, method, path, contentType, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Request-ID", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("X-Request-ID"); got != "bfe9eb29-ab87-4ca3-be83-a1d5d8305716" {
		t.Errorf("%s %s: the request id comes back as %q", method, path, got)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// ask sends a question.
func (p pdp) ask(t *testing.T, to, body string) answer {
	t.Helper()
	return p.send(t, http.MethodPost, "/access/v1/"+to, "application/json", body)
}

// body reads an answer's body.
func body[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		t.Errorf("the answer is %s", kind)
	}
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		t.Fatalf("the answer is no JSON: %v: %s", err, a.text)
	}
	return v
}

// found is the answer to a search.
type found struct {
	Page *struct {
		NextToken *string `json:"next_token"`
	} `json:"page"`
	Results []map[string]any `json:"results"`
}
