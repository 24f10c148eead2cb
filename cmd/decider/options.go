package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// dsnVariable is the environment's variable with the connection string, where no file has it. A flag would show it to
// everybody who may list processes.
const dsnVariable = "CRM_ACCESS_DSN"

// options are the program's flags.
type options struct {
	dsnFile        string
	tenants        []string
	serving        decisionapi.Serving
	metricsAddress string
	healthAddress  string
	maxAge         time.Duration
	logReads       int
	drain          time.Duration
	logLevel       slog.Level
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("decider", pflag.ContinueOnError)
	flags.StringVar(&o.dsnFile, "dsn-file", "", "file with the store's connection string, read anew when it changes; default: the variable "+dsnVariable)
	flags.StringSliceVar(&o.tenants, "tenants", nil, "the only tenants to answer for; default: all that the store holds")
	o.serving.AddFlags(flags)
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "127.0.0.1:8080", "address of the Prometheus metrics; 0 turns them off")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 turns them off")
	flags.DurationVar(&o.maxAge, "decision-max-age", 10*time.Second, "how old the state of the store may be that a decision is made from; 1s to 5m")
	flags.IntVar(&o.logReads, "log-reads", 100, "log one in so many allowed reads, and every other decision; 1 logs all, 0 none at all")
	flags.DurationVar(&o.drain, "drain", 5*time.Second, "how long to answer on after being told to end, while callers are sent elsewhere; 0s to 1m")
	level := flags.String("log-level", "info", "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return o, errors.New("the flags are listed above")
		}
		return o, err
	}
	if err := o.logLevel.UnmarshalText([]byte(*level)); err != nil {
		return o, fmt.Errorf("--log-level %q: want debug, info, warn or error", *level)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument: the decider takes flags only, and the connection string by --dsn-file or %s", dsnVariable)
	case o.maxAge < time.Second || o.maxAge > 5*time.Minute:
		return o, fmt.Errorf("--decision-max-age %s: want 1s to 5m", o.maxAge)
	case o.logReads < 0:
		return o, fmt.Errorf("--log-reads %d: want 1 or more, or 0", o.logReads)
	case o.drain < 0 || o.drain > time.Minute:
		return o, fmt.Errorf("--drain %s: want 0s to 1m", o.drain)
	case o.serving.Off():
		return o, errors.New("--decision-bind-address 0: the decider does nothing but answer")
	case o.dsnFile == "" && os.Getenv(dsnVariable) == "":
		return o, fmt.Errorf("no store is named: give --dsn-file, or the connection string in %s", dsnVariable)
	}
	return o, o.serving.Check()
}

// connection reads the connection string. No error holds it.
func (o options) connection() (string, error) {
	if o.dsnFile == "" {
		return os.Getenv(dsnVariable), nil
	}
	text, err := os.ReadFile(o.dsnFile)
	if err != nil {
		return "", fmt.Errorf("read the connection string: %w", err)
	}
	dsn := strings.TrimSpace(string(text))
	if dsn == "" {
		return "", fmt.Errorf("read the connection string: %s is empty", o.dsnFile)
	}
	return dsn, nil
}
