package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

// forgetful is a store that has so many rows to forget, a hundred at a time.
type forgetful struct {
	store.Store
	rows  int64
	asked int
	err   error
}

func (s *forgetful) Forget(context.Context, string, store.Retention) (int64, error) {
	s.asked++
	n := min(s.rows, 100)
	s.rows -= n
	return n, s.err
}

func TestTheKeeperLetsTheStoreForgetAnHourApartUntilNothingIsLeft(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	s := &forgetful{rows: 150}
	kept := &tenant{namespace: "crm", store: s}
	k := &keeper{Reconciler: &Reconciler{Clock: clock, Log: logr.Discard()}}
	k.forget(t.Context(), kept)
	if s.asked != 0 {
		t.Error("it forgets although all is to be kept")
	}
	k.Retention = store.Retention{Ended: time.Hour, Logged: time.Hour}
	for _, step := range []struct {
		passes time.Duration
		rows   int64
		err    error
		asked  int
	}{{0, 150, nil, 1}, {time.Second, 50, nil, 2}, {time.Second, 0, nil, 3}, {time.Second, 0, nil, 3}, {59 * time.Minute, 7, nil, 3}, {time.Minute, 7, errors.New("away"), 4}, {time.Minute, 7, nil, 4}, {time.Hour, 7, nil, 5}} {
		clock.Step(step.passes)
		s.rows, s.err = step.rows, step.err
		k.forget(t.Context(), kept)
		if s.asked != step.asked {
			t.Errorf("%s later: asked %d times, want %d", step.passes, s.asked, step.asked)
		}
	}
}

// keyring is a store that is asked to renew keys.
type keyring struct {
	store.Store
	asked []time.Duration
	err   error
}

func (s *keyring) RenewTokenKey(_ context.Context, _ string, age time.Duration) error {
	s.asked = append(s.asked, age)
	return s.err
}

func TestTheKeeperRenewsTheKeysOfTokensEveryHourOnceTheyAreADayOld(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	s := &keyring{}
	kept := &tenant{namespace: "crm", store: s}
	k := &keeper{Reconciler: &Reconciler{Clock: clock, Log: logr.Discard()}}
	for _, step := range []struct {
		passes time.Duration
		err    error
		asked  int
	}{{0, nil, 1}, {time.Second, nil, 1}, {59 * time.Minute, nil, 1}, {time.Minute, errors.New("away"), 2}, {time.Minute, nil, 2}, {time.Hour, nil, 3}} {
		clock.Step(step.passes)
		s.err = step.err
		k.renewKeys(t.Context(), kept)
		if len(s.asked) != step.asked || s.asked[0] != 24*time.Hour {
			t.Errorf("%s later: asked %v, want %d times", step.passes, s.asked, step.asked)
		}
	}
}
