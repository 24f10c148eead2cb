package command_test

import (
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/cmd/kubectl-crmaccess/command"
)

func TestWhoCan(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
		not  []string
	}{
		"names everybody who may, with the causes":   {[]string{"read", "contract/ct-0091", "--field", "amount"}, command.ExitOK, []string{"chen-mo     READ    sales-manager:read=department", "li-ting     NONE"}, []string{"xu-nuo"}},
		"and those who may once it is approved":      {[]string{"export", "customer", "--rows", "120"}, command.ExitOK, []string{"lin-che   APPROVAL  needs permission-admin"}, []string{"deng-ning"}},
		"as JSON":                                    {[]string{"export", "customer", "--rows", "120", "-o", "json"}, command.ExitOK, []string{`"user": "lin-che"`, `"answer": "APPROVAL"`}, nil},
		"says so where nobody may":                   {[]string{"export", "customer", "--rows", "5000"}, command.ExitNo, []string{"nobody"}, nil},
		"an object that nobody declares is an error": {[]string{"read", "rocket"}, command.ExitError, []string{`unknown object "rocket"`}, nil},
		"an action that it lacks is, too":            {[]string{"fly", "customer"}, command.ExitError, []string{`object customer has no action "fly"; it has`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(append([]string{"who-can", "-f", huayue}, c.args...)...)
			if r.code != c.code {
				t.Errorf("ends with %d, want %d: %s%s", r.code, c.code, r.out, r.err)
			}
			for _, want := range c.says {
				if !strings.Contains(r.out+r.err, want) {
					t.Errorf("says %q, without %q", r.out+r.err, want)
				}
			}
			for _, unwanted := range c.not {
				if strings.Contains(r.out, unwanted) {
					t.Errorf("names %s: %s", unwanted, r.out)
				}
			}
		})
	}
}
