package main

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/crmaccess/crm-access-operator/controllers"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

func TestSnapshotsAnswerAtStoreTimeWhileTheStoreWasSeenLately(t *testing.T) {
	local := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
	s := newSnapshots(local, 10*time.Second)
	revision := store.Revision{Epoch: 1, Number: 7}
	s.Publish(controllers.Snapshot{Namespace: "crm", Revision: revision, Policy: access.NewPolicy(access.Facts{})})
	now := func() (schedule.Instant, error) {
		snapshot, ok := s.Snapshot("crm")
		if !ok {
			t.Fatal("no snapshot")
		}
		return snapshot.Now()
	}
	if _, err := now(); err == nil {
		t.Error("it answers before the store's time is known")
	}
	s.Confirm("crm", store.Revision{Epoch: 1, Number: 6}, time.Unix(5000, 0), local.Now())
	if _, err := now(); err == nil {
		t.Error("another revision's confirmation counts")
	}
	s.Confirm("crm", revision, time.Unix(5000, 0), local.Now())
	local.SetTime(time.Unix(1004, 0))
	if at, err := now(); err != nil || at != 5004 {
		t.Errorf("four seconds on it is %d, %v, want the store's time 5004", at, err)
	}
	s.Confirm("crm", revision, time.Unix(5001, 0), local.Now()) // the store's clock was set back
	if at, err := now(); err != nil || at != 5004 {
		t.Errorf("time went back to %d, %v", at, err)
	}
	local.SetTime(time.Unix(1015, 0))
	if _, err := now(); err == nil {
		t.Error("it answers though the store was last seen eleven seconds ago")
	}
	local.SetTime(time.Unix(1001, 0))
	if _, err := now(); err == nil {
		t.Error("it answers though the local clock is before the last look at the store")
	}
	s.Withdraw("crm")
	if _, ok := s.Snapshot("crm"); ok || len(s.Tenants()) != 0 {
		t.Error("a withdrawn namespace is still served")
	}
}

func TestOptionsThatWouldBeUnsafeAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--decision-bind-address=0.0.0.0:8082"}, {"--decision-bind-address=:8082"}, {"--decision-bind-address=192.168.1.1:8082"},
		{"--decision-max-age=1h"}, {"--decision-max-age=0"}, {"--log-level=loud"}, {"surplus"},
	} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	if o, err := parseOptions([]string{"--leader-elect", "--decision-bind-address=[::1]:9000"}); err != nil || !o.leaderElect {
		t.Errorf("a loopback address was refused: %v", err)
	}
}

func TestASQLiteStoreStaysInItsFolder(t *testing.T) {
	d := drivers{t.TempDir()}
	for _, file := range []string{"../crm.db", "/tmp/crm.db", "..", "a/b.db", ""} {
		if s, err := d.Open(t.Context(), "sqlite", file); err == nil {
			_ = s.Close()
			t.Errorf("%q was opened", file)
		}
	}
	if _, err := d.Open(t.Context(), "oracle", "x"); err == nil {
		t.Error("an unknown driver was opened")
	}
}
