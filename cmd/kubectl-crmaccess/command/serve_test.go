package command_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/cmd/kubectl-crmaccess/command"
)

func TestServeAnswersFromManifests(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	out, written := io.Pipe()
	var problems bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- command.Run(ctx, []string{"serve", "--manifests", huayue, "--listen", "127.0.0.1:0"}, command.Environment{
			Now: time.Now, Getenv: func(string) string { return "" }, In: strings.NewReader(""), Out: written, Err: &problems,
		})
		_ = written.Close()
	}()
	said := make([]byte, 4096)
	n, err := out.Read(said)
	if err != nil {
		t.Fatalf("it ends with %v and says %s", err, problems.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	_, after, _ := strings.Cut(string(said[:n]), " at ")
	base, _, _ := strings.Cut(after, ";")
	for question, want := range map[string]string{
		"evaluation: " + `{"subject":{"type":"user","id":"li-ting"},"action":{"name":"read"},"resource":{"type":"customer","id":"cust-huaxin","properties":{"owner":"somebody"}}}`: `{"decision":true}`,
		"evaluation: " + `{"subject":{"type":"user","id":"xu-nuo"},"action":{"name":"update"},"resource":{"type":"customer","id":"cust-huaxin","properties":{"owner":"xu-nuo"}}}`:  `{"decision":false}`,
		"search/action: " + `{"subject":{"type":"user","id":"bai-he"},"resource":{"type":"customer","id":"cust-huaxin"},"context":{"time":"2026-11-21T10:00:00+08:00"}}`:           `"results":[{"name":"read"}]`,
		"search/resource: " + `{"subject":{"type":"user","id":"bai-he"},"action":{"name":"read"},"resource":{"type":"customer"},"context":{"time":"2026-11-21T10:00:00+08:00"}}`:   `"results":[{"id":"cust-beichen","type":"customer"},{"id":"cust-huaxin","type":"customer"}]`,
	} {
		path, body, _ := strings.Cut(question, ": ")
		response, err := http.Post(base+"/access/v1/"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if !strings.Contains(string(answer), want) {
			t.Errorf("%s answers %s, want %s", question, answer, want)
		}
	}
	for _, step := range []struct{ person, method, path, body, want string }{
		{"li-ting", "POST", "/v1/shares", `{"resource":{"type":"customer","id":"cust-huaxin"},"recipient":"xu-nuo","actions":["read"],"reason":"holiday","until":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`, `"maker":"li-ting"`},
		{"", "POST", "/access/v1/evaluation", `{"subject":{"type":"user","id":"xu-nuo"},"action":{"name":"read"},"resource":{"type":"customer","id":"cust-huaxin"}}`, `{"decision":true}`},
		{"xu-nuo", "GET", "/v1/me", "", `"maker":"li-ting"`},
		{"", "GET", "/v1/me", "", `"error"`},
	} {
		if answer := asPerson(t, step.person, step.method, base+step.path, step.body); !strings.Contains(answer, step.want) {
			t.Errorf("%s %s %s: %s, want %s", step.person, step.method, step.path, answer, step.want)
		}
	}
	cancel()
	if code := <-ended; code != command.ExitOK {
		t.Errorf("ends with code %d and says %s", code, problems.String())
	}
}

// asPerson asks in somebody's name, as serve lets everybody.
func asPerson(t *testing.T, person, method, url, body string) string {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-CRM-Access-Subject", person)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}
