package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
)

func TestTheRunningOperatorAnswersFromPostgreSQL(t *testing.T) {
	start(t)
	dsn := pgtest.Shared(t).Database(t)
	kubectl(t, "create", "namespace", "huayue")
	secretFor(t, "huayue", dsn)
	o := startOperator(t, t.TempDir())
	rendered := strings.NewReplacer("driver: sqlite", "driver: postgres", "file: huayue.db", "secretRef: {name: crm-db, key: dsn}")
	apply(t, "huayue", rendered.Replace(kubectl(t, "kustomize", filepath.Join(root, "config", "samples", "huayue"))))
	waitFor(t, "huayue", "Ready", "--all", "permissionstores,objecttypes,departments,users.crmaccess.io,roles.crmaccess.io,userbindings,temporarygrants,guardrails")

	for question, want := range map[string]string{
		"li-ting read customer/cust-huaxin":                  "ALLOW",
		"li-ting read customer/cust-beichen":                 "DENY",
		"chen-mo read contract/ct-0091 --field amount":       "READ",
		"li-ting read contract/ct-0091 --field amount":       "NONE",
		"qian-sui read payment/pay-5503 --field bankAccount": "MASKED",
		"han-dong read customer/cust-huaxin":                 "DENY\naccount state Departed",
		// Of guardrails, and of what nobody has approved:
		"zheng-ke export customer --rows 20000 --used 0":                    "DENY\nguardrail no-bulk-export (20000 > 500 rows)",
		"li-ting transfer customer/cust-huaxin --target-department finance": "APPROVAL",
		"bai-he read customer/cust-huaxin":                                  "DENY",
		"deng-ning read customer/cust-huaxin":                               "DENY",
	} {
		eventually(t, 10*time.Second, func() error {
			args := append([]string{"can"}, strings.Fields(question)...)
			args = append(args, "-n", "huayue", "--server", "http://"+o.decide, "--records", filepath.Join(root, "config", "samples", "huayue", "records.yaml"))
			out, _ := exec.Command(filepath.Join(programs, "kubectl-crmaccess"), args...).CombinedOutput()
			if !strings.HasPrefix(string(out), want) {
				return fmt.Errorf("%s: %s, want %s", question, out, want)
			}
			return nil
		})
	}
}

func TestTheDecisionAPIRefusesWhenItHasNotSeenTheStore(t *testing.T) {
	start(t)
	server := pgtest.Shared(t)
	namespace := env.Namespace(t)
	secretFor(t, namespace, server.Database(t))
	apply(t, namespace, store("postgres")+"---"+organisation)
	o := startOperator(t, t.TempDir(), "--decision-max-age=2s")
	ask := func() error {
		response, err := http.Post("http://"+o.decide+"/"+namespace+"/access/v1/evaluation", "application/json", //nolint:noctx // loopback
			strings.NewReader(`{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"customer","id":"1"}}`))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		return errors.New(response.Status)
	}
	expect := func(status string) {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			if err := ask(); !strings.HasPrefix(err.Error(), status) {
				return fmt.Errorf("got %w, want %s", err, status)
			}
			return nil
		})
	}
	expect("200")
	server.Stop(t)
	expect("503")
	server.Start(t)
	expect("200")
}

func TestAReplicaThatDoesNotLeadAnswersToo(t *testing.T) {
	start(t)
	namespace := env.Namespace(t)
	secretFor(t, namespace, pgtest.Shared(t).Database(t))
	apply(t, namespace, store("postgres")+"---"+organisation+"---"+loan("loan", time.Now().Add(time.Hour)))
	leader, standby := startOperator(t, t.TempDir()), startOperator(t, t.TempDir())
	ask := func(o *operator) string {
		return fetch(http.NewRequest(http.MethodPost, "http://"+o.decide+"/"+namespace+"/access/v1/evaluation",
			strings.NewReader(`{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"customer","id":"1"}}`)))
	}
	for _, o := range []*operator{leader, standby} {
		until(t, allows, func() string { return ask(o) })
	}
	kubectl(t, "delete", "-n", namespace, "temporarygrant/loan")
	for _, o := range []*operator{leader, standby} {
		until(t, denies, func() string { return ask(o) })
	}
	leader.kill() // the other one answers on, and leads when the Lease has run out
	if got := ask(standby); got != denies {
		t.Errorf("when the leader was killed the other answers %s", got)
	}
	apply(t, namespace, loan("again", time.Now().Add(time.Hour)))
	eventually(t, 60*time.Second, func() error {
		if got := ask(standby); got != allows {
			return errors.New(got)
		}
		return nil
	})
}
