package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// options are the program's flags.
type options struct {
	kubeconfig     string
	leaderElect    bool
	leaderElectNS  string
	dataDir        string
	metricsAddress string
	healthAddress  string
	decisions      decisionapi.Serving
	maxAge         time.Duration
	logReads       int
	keepEnded      time.Duration
	keepDecisions  time.Duration
	logLevel       slog.Level
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file; default: in the cluster, $KUBECONFIG, ~/.kube/config")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "write only while holding the Lease, so that several replicas may run")
	flags.StringVar(&o.leaderElectNS, "leader-elect-namespace", "", "namespace of the Lease; default: the pod's own")
	flags.StringVar(&o.dataDir, "data-dir", ".", "folder of the sqlite stores")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "127.0.0.1:8080", "address of the Prometheus metrics; 0 turns them off")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 turns them off")
	o.decisions.AddFlags(flags)
	flags.DurationVar(&o.maxAge, "decision-max-age", 10*time.Second, "how old the state of the store may be that a decision is made from; 1s to 5m")
	flags.IntVar(&o.logReads, "log-reads", 100, "log one in so many allowed reads, and every other decision; 1 logs all, 0 none at all")
	flags.DurationVar(&o.keepEnded, "keep-ended", 90*24*time.Hour, "how long the stores keep shares and requests that have ended; 31 days at least")
	flags.DurationVar(&o.keepDecisions, "keep-decisions", 400*24*time.Hour, "how long the stores keep the log of decisions; 24h at least")
	level := flags.String("log-level", "info", "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return o, errors.New("the flags are listed above")
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: the manager takes flags only", flags.Arg(0))
	}
	if err := o.logLevel.UnmarshalText([]byte(*level)); err != nil {
		return o, fmt.Errorf("--log-level %q: want debug, info, warn or error", *level)
	}
	if o.maxAge < time.Second || o.maxAge > 5*time.Minute {
		return o, fmt.Errorf("--decision-max-age %s: want 1s to 5m", o.maxAge)
	}
	if o.logReads < 0 {
		return o, fmt.Errorf("--log-reads %d: want 1 or more, or 0", o.logReads)
	}
	if o.keepEnded < 31*24*time.Hour || o.keepDecisions < 24*time.Hour {
		return o, fmt.Errorf("--keep-ended %s, --keep-decisions %s: want 744h and 24h at least", o.keepEnded, o.keepDecisions)
	}
	if err := o.decisions.Check(); err != nil {
		return o, err
	}
	return o, nil
}
