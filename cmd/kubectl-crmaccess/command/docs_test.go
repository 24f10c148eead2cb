package command_test

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

var update = flag.Bool("update", false, "write what the examples of docs/cli.md come to")

// Every line "$ kubectl crmaccess …" in a console block of docs/cli.md is run; what it prints, and an exit code other than
// 0, must stand below it. go test ./cmd/kubectl-crmaccess/... -run Examples -update writes it there.
func TestTheExamplesInTheDocumentationAreTrue(t *testing.T) {
	const page = "docs/cli.md"
	server := httptest.NewServer(decisionapi.New(serveSample(t), decisionapi.Options{}))
	defer server.Close()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	inConsole, examples := false, 0
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(line, "```"):
			inConsole = strings.TrimSpace(line) == "```console"
			b.WriteString(line)
		case !inConsole:
			b.WriteString(line)
		case strings.HasPrefix(line, "$ "):
			examples++
			b.WriteString(line)
			args := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "$ kubectl crmaccess"))
			r := sitting{server: server.URL}.run(args...)
			b.WriteString(r.out + r.err)
			if r.code != 0 {
				fmt.Fprintf(&b, "[exit code %d]\n", r.code)
			}
		}
	}
	if examples < 10 {
		t.Errorf("%s has %d examples: are they found?", page, examples)
	}
	if b.String() == string(data) {
		return
	}
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s shows something else than the commands print: run this test with -update and read the difference", page)
}
