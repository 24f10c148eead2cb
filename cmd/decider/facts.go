package main

import (
	"context"
	"errors"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// flushTimeout is how long the end waits for the last decisions to be logged.
const flushTimeout = 10 * time.Second

// Facts implements decisionapi.FactSource: all tenants are in the store that is attached.
func (a *attachment) Facts(string) decisionapi.Facts {
	if s := a.attached.Load(); s != nil {
		return *s
	}
	return nil
}

// Changed implements decisionapi.FactSource.
func (a *attachment) Changed(tenant string) { a.follower.Look(tenant) }

// answer serves decisions, and when it is told to end has the last of them logged before the store is closed.
func answer(ctx context.Context, decisions *decisionapi.Server, log *decisionapi.DecisionLog, closeStore func()) error {
	defer closeStore()
	err := decisions.Start(ctx)
	if log == nil {
		return err
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	return errors.Join(err, log.Close(grace))
}
