package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

const (
	// attachAgain is how soon a store that could not be opened is tried again.
	attachAgain = 2 * time.Second
	// rereadEvery is how often the connection string is looked at: a Secret's file changes under us.
	rereadEvery = 10 * time.Second
)

// attachment keeps the follower on the store that the connection string names.
type attachment struct {
	options  options
	follower *follow.Follower
	clock    clock.WithTicker
	log      logr.Logger
	// attached is the store that is followed now; nil where there is none.
	attached atomic.Pointer[decisionapi.Facts]
}

// start follows until the context ends. What was answered from goes on counting, to its age limit, while a store cannot be
// opened or another connection string takes effect.
func (a *attachment) start(ctx context.Context) error {
	trouble := ""
	for ctx.Err() == nil {
		err := a.followOnce(ctx)
		if err == nil || ctx.Err() != nil {
			trouble = ""
			continue
		}
		if err.Error() != trouble {
			trouble = err.Error()
			a.log.Info("The store cannot be opened now", "reason", trouble)
		}
		select {
		case <-ctx.Done():
		case <-a.clock.After(attachAgain):
		}
	}
	return nil
}

// followOnce follows until the context ends or the connection string is another.
func (a *attachment) followOnce(ctx context.Context) error {
	dsn, err := a.options.connection()
	if err != nil {
		return err
	}
	s, err := postgres.Attach(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	facts := decisionapi.Facts(s)
	a.attached.Store(&facts)
	defer a.attached.Store(nil)
	within, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		a.waitForAnother(within, dsn)
		stop()
	}()
	a.follower.Run(within, s)
	return nil
}

// waitForAnother returns when the connection string is not the same any more. One that cannot be read is no other.
func (a *attachment) waitForAnother(ctx context.Context, dsn string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.clock.After(rereadEvery):
		}
		if now, err := a.options.connection(); err == nil && now != dsn {
			a.log.Info("The connection string has changed: the store is opened anew")
			return
		}
	}
}
