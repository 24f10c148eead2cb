package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOptionsThatWouldBeUnsafeAreRefused(t *testing.T) {
	t.Setenv(dsnVariable, "postgres://crm_decider@db/crm")
	for _, args := range [][]string{
		{"--decision-max-age=1h"}, {"--decision-max-age=0"}, {"--drain=1h"}, {"--drain=-1s"}, {"--log-level=loud"},
		{"--decision-bind-address=0"}, {"--decision-bind-address=:8443"}, {"--decision-bind-address=:8443", "--decision-credentials=apps"}, {"postgres://u:secret@db/crm"},
	} {
		if _, err := parseOptions(args); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v", args, err)
		}
	}
	o, err := parseOptions([]string{"--tenants=huayue,qingyun", "--decision-max-age=30s"})
	if err != nil || len(o.tenants) != 2 {
		t.Fatal(o, err)
	}
	if dsn, err := o.connection(); err != nil || dsn != "postgres://crm_decider@db/crm" {
		t.Errorf("the variable gives %q, %v", dsn, err)
	}
	t.Setenv(dsnVariable, "")
	if _, err := parseOptions(nil); err == nil || !strings.Contains(err.Error(), "--dsn-file") {
		t.Errorf("without a store: %v", err)
	}
}

func TestTheFileWinsOverTheVariable(t *testing.T) {
	t.Setenv(dsnVariable, "postgres://variable")
	file := filepath.Join(t.TempDir(), "dsn")
	o := options{dsnFile: file}
	if _, err := o.connection(); err == nil {
		t.Error("a file that is missing was read")
	}
	for content, want := range map[string]string{"postgres://file\n": "postgres://file", "\n": ""} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if dsn, err := o.connection(); dsn != want || (err == nil) != (want != "") {
			t.Errorf("%q gives %q, %v", content, dsn, err)
		}
	}
}
