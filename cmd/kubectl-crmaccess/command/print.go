package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

// printLine prints one line.
func printLine(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintln(w, terminal.Printable(fmt.Sprintf(format, args...))) // a reader that has gone away is told nothing
}

// reportError prints an error, one line for each of several faults in manifests.
func reportError(w io.Writer, err error) {
	if faults := manifest.Faults(err); len(faults) > 0 {
		for _, fault := range faults {
			printLine(w, "error: %v", fault)
		}
		return
	}
	for i, line := range strings.Split(err.Error(), "\n") {
		if i == 0 {
			line = "error: " + line
		}
		printLine(w, "%s", strings.ReplaceAll(line, "\t", "  "))
	}
}

// outputFlag checks the value of -o.
func outputFlag(value string) error {
	if value != "text" && value != "json" {
		return fmt.Errorf("unknown output %q: want text or json", value)
	}
	return nil
}
