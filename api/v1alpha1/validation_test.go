package v1alpha1_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

var env *testenv.Environment

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	testenv.Main(m, &env)
}

// newClient refuses unknown fields, as kubectl does.
func newClient(t testing.TB) client.Client {
	t.Helper()
	c, err := client.New(env.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

func TestGrammarOnTheServer(t *testing.T) {
	server := newClient(t)
	namespace := env.Namespace(t)
	for _, c := range testenv.Grammar(t) {
		t.Run(c.Name, func(t *testing.T) {
			c.Object.SetNamespace(namespace)
			err := server.Create(context.Background(), c.Object, client.DryRunAll)
			switch {
			case c.Refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.Refused != "" && err == nil:
				t.Errorf("accepted, want it refused with %q", c.Refused)
			case c.Refused != "" && !strings.Contains(err.Error(), c.Refused):
				t.Errorf("refused with %v, want %q", err, c.Refused)
			}
		})
	}
}
