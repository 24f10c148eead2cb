// Command kubectl-crmaccess is the plugin `kubectl crmaccess`: for reviewers, CRM developers and auditors.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/crmaccess/crm-access-operator/cmd/kubectl-crmaccess/command"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, os.Args[1:], command.Environment{
		Version:     version,
		Now:         time.Now,
		Getenv:      os.Getenv,
		In:          os.Stdin,
		Out:         os.Stdout,
		Err:         os.Stderr,
		Interactive: term.IsTerminal(int(os.Stdin.Fd())),
	})
	stop()
	os.Exit(code)
}
