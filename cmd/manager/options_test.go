package main

import (
	"testing"
)

func TestOptionsThatWouldBeUnsafeAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--decision-bind-address=0.0.0.0:8082"}, {"--decision-bind-address=:8082"}, {"--decision-bind-address=192.168.1.1:8082"},
		{"--decision-max-age=1h"}, {"--decision-max-age=0"}, {"--log-reads=-1"}, {"--log-level=loud"}, {"surplus"},
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
