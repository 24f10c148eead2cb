package main

import (
	"bufio"
	"context"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the examples of the README come to")

// start runs the example as its README says, and returns where the CRM answers.
func start(t *testing.T) (address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, written := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, "access.yaml", "127.0.0.1:0", written)
		_ = written.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the CRM does not start: %v", <-ended)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	_, after, _ := strings.Cut(line, "http://")
	address, _, _ = strings.Cut(after, ",")
	return address
}

// Every line "$ …" of the README is run, in their order; what it prints must stand below it. go test ./examples/crm -update
// writes it there.
func TestTheReadmeTellsWhatTheCRMDoes(t *testing.T) {
	const page = "README.md"
	address := start(t)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	inConsole, commands := false, 0
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "```"):
			inConsole = strings.TrimSpace(line) == "```console"
			told.WriteString(line)
		case !inConsole:
			told.WriteString(line)
		case strings.HasPrefix(line, "$ "):
			commands++
			told.WriteString(line)
			told.WriteString(shell(t, strings.ReplaceAll(line[2:], "127.0.0.1:8090", address)))
		}
	}
	if commands < 10 {
		t.Errorf("%s has %d commands: are they found?", page, commands)
	}
	if told.String() == string(text) {
		return
	}
	if *update {
		if err := os.WriteFile(page, []byte(told.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s tells something else than what happens: run this test with -update and read the difference", page)
}

func shell(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return strings.TrimRight(string(out), "\n") + "\n"
}

func TestWithoutAnAnswerNothingIsShownAndNothingIsDone(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	site := (&crm{api: away.URL}).routes() // without a database, too: it is not to be reached
	for _, line := range []string{"GET /customers", "POST /customers/c1/approve"} {
		method, path, _ := strings.Cut(line, " ")
		response := httptest.NewRecorder()
		site.ServeHTTP(response, httptest.NewRequest(method, path+"?as=chen-mo", nil))
		if response.Code != http.StatusServiceUnavailable || !strings.Contains(response.Body.String(), "cannot decide") {
			t.Errorf("%s answers %d %s", line, response.Code, response.Body)
		}
	}
}
