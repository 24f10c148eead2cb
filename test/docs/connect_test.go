package docs

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/cmd/kubectl-crmaccess/command"
)

var update = flag.Bool("update", false, "write what the examples come to")

const root = "../.."

// runner runs a page's examples in their order.
type runner struct {
	// address stands where the page says 127.0.0.1:8082.
	address string
	// sql runs a script as the CRM's application does.
	sql func(t *testing.T, script string) string
}

// fence is a block of a page: its language, what it says, and what stands around it.
type fence struct{ language, text string }

// run goes through a page and returns it as it ought to be: below each "$ …" of a console block stands what the command prints,
// and in the text block behind a program what that prints.
func (r *runner) run(t *testing.T, page string) (told string, examples int) {
	t.Helper()
	var out, block strings.Builder
	language, printed := "", ""
	for line := range strings.Lines(page) {
		mark, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && language == "":
			language = mark
			if language == "" {
				t.Fatalf("a block without a language: %q", line)
			}
			block.Reset()
			out.WriteString(line)
		case isFence:
			text, ran := r.block(t, fence{language, block.String()}, printed)
			if ran != nil {
				examples++
				printed = *ran
			}
			out.WriteString(text + line)
			language = ""
		case language != "":
			block.WriteString(line)
		default:
			out.WriteString(line)
		}
	}
	if language != "" {
		t.Fatalf("the last block, in %s, has no end", language)
	}
	return out.String(), examples
}

// block is a block as it ought to be, and what it printed if it is a program.
func (r *runner) block(t *testing.T, b fence, before string) (text string, printed *string) {
	t.Helper()
	switch b.language {
	case "console":
		out := r.console(t, b.text)
		return out, &out
	case "go":
		out := r.program(t, b.text, "example.go", "go", "run")
		return b.text, &out
	case "python":
		out := r.program(t, b.text, "example.py", "python3")
		return b.text, &out
	case "sql":
		out := strings.TrimRight(r.sql(t, b.text), "\n") + "\n"
		return b.text, &out
	case "text":
		return before, nil
	}
	return b.text, nil
}

func (r *runner) console(t *testing.T, block string) string {
	t.Helper()
	var out, question strings.Builder
	for line := range strings.Lines(block) {
		if question.Len() == 0 && !strings.HasPrefix(line, "$ ") {
			continue // what was printed when the page was written
		}
		question.WriteString(line)
		if !strings.HasSuffix(line, "\\\n") {
			out.WriteString(question.String() + r.execute(t, "sh", "-c", r.addressed(question.String()[2:])))
			question.Reset()
		}
	}
	return out.String()
}

func (r *runner) program(t *testing.T, text, name string, interpreter ...string) string {
	t.Helper()
	if _, err := exec.LookPath(interpreter[0]); err != nil {
		t.Skipf("there is no %s here", interpreter[0])
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(r.addressed(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	return r.execute(t, append(interpreter, file)...)
}

func (r *runner) addressed(text string) string {
	return strings.ReplaceAll(text, "127.0.0.1:8082", r.address)
}

func (r *runner) execute(t *testing.T, line ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), line[0], line[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", line, err, out)
	}
	return strings.TrimRight(string(out), "\n") + "\n"
}

// workday is a day on which the sample's temporary grants give nobody of the examples anything.
func workday() time.Time { return time.Date(2026, time.November, 21, 2, 0, 0, 0, time.UTC) }

// serve answers from the sample organisation until the test ends.
func serve(t *testing.T) (address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, written := io.Pipe()
	var problems bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- command.Run(ctx, []string{"serve", "--manifests", filepath.Join(root, "config", "samples", "huayue"), "--listen", "127.0.0.1:0"}, command.Environment{
			Now: workday, Getenv: func(string) string { return "" }, In: strings.NewReader(""), Out: written, Err: &problems,
		})
		_ = written.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != command.ExitOK {
			t.Errorf("serve ends with code %d and says %s", code, problems.String())
		}
	})
	said := make([]byte, 4096)
	n, err := out.Read(said)
	if err != nil {
		t.Fatalf("serve says nothing: %v: %s", err, problems.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	_, after, _ := strings.Cut(string(said[:n]), "http://")
	address, _, _ = strings.Cut(after, ";")
	return address
}

// The examples of "Connect your CRM" are run, and what they print must stand there. go test ./test/docs -update writes it.
func TestConnectYourCRM(t *testing.T) {
	page := filepath.Join(root, "docs", "connect.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	told, examples := (&runner{address: serve(t), sql: database(t)}).run(t, string(text))
	if examples < 6 {
		t.Errorf("%s has %d examples: are they found?", page, examples)
	}
	if told == string(text) {
		return
	}
	if *update {
		if err := os.WriteFile(page, []byte(told), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s shows something else than the examples print: run this test with -update and read the difference", page)
}
