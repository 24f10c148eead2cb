package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

// demonstration shows the organisation, and access that ends: with the operator, and without it.
type demonstration struct {
	cluster  *cluster
	operator *operator
	dir      string
}

func (d *demonstration) show(ctx context.Context) error {
	facts, err := d.facts(ctx)
	if err != nil {
		return err
	}
	say("%d people and their roles, as the permission store holds them:", len(facts.Users))
	printPeople(facts)
	say("Li Ting may change her own customers. Her colleague's she may not even read, and hears why:")
	if err := d.can(ctx, access.Allow, "li-ting", "update", "customer/cust-huaxin"); err != nil {
		return err
	}
	if err := d.can(ctx, access.Deny, "li-ting", "read", "customer/cust-ruifeng"); err != nil {
		return err
	}
	if err := d.grant(ctx, "demo-with-operator", 10*time.Second, false); err != nil {
		return err
	}
	return d.grant(ctx, "demo-without-operator", 10*time.Second, true)
}

// grant gives Li Ting her colleague's customers for some seconds and watches the access end.
func (d *demonstration) grant(ctx context.Context, name string, length time.Duration, kill bool) error {
	end := time.Now().Add(length).UTC().Truncate(time.Second)
	say("Granting her wang-lei's customers until %s (%.0f s): TemporaryGrant/%s", end.Format(time.TimeOnly), time.Until(end).Seconds(), name)
	manifest := fmt.Sprintf(`apiVersion: crmaccess.io/v1alpha1
kind: TemporaryGrant
metadata: {name: %s, namespace: %s}
spec:
  users: [li-ting]
  grants:
  - {object: customer, actions: [read], records: {owners: [wang-lei]}}
  notAfter: %q
  reason: quick start
  requestedBy: lin-che
`, name, namespace, end.Format(time.RFC3339))
	if err := d.cluster.apply(ctx, d.dir, name+".yaml", manifest); err != nil {
		return err
	}
	if err := d.cluster.kubectl(ctx, "wait", "--for=condition=Active", "-n", namespace, "temporarygrant/"+name, "--timeout=8s"); err != nil {
		return err
	}
	if kill {
		fmt.Println("  The operator is killed now (SIGKILL). The permission store answers by itself:")
		d.operator.kill()
	} else if err := d.can(ctx, access.Allow, "li-ting", "read", "customer/cust-ruifeng"); err != nil {
		return err
	}
	for {
		live, err := d.live(ctx, name)
		if err != nil {
			return err
		}
		fmt.Printf("  %s  rows of %s that are live in the store: %d\n", time.Now().UTC().Format(time.TimeOnly), name, live)
		if live == 0 {
			break
		}
		if time.Since(end) > 3*time.Second {
			return errors.New("the grant did not end")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(max(time.Until(end), 100*time.Millisecond), 3*time.Second)):
		}
	}
	if !kill {
		return d.can(ctx, access.Deny, "li-ting", "read", "customer/cust-ruifeng")
	}
	fmt.Println("  Access has ended though nobody was there to end it. Starting the operator again.")
	operator, err := startOperator(ctx, d.cluster, d.dir)
	if err != nil {
		return err
	}
	d.operator = operator
	return d.cluster.kubectl(ctx, "wait", "--for=condition=Active=False", "-n", namespace, "temporarygrant/"+name, "--timeout=60s")
}

// can asks the running operator and prints the answer. It fails where the answer is another than the sample says.
func (d *demonstration) can(ctx context.Context, want access.Effect, user, action, record string) error {
	records := filepath.Join("config", "samples", "huayue", "records.yaml")
	args := []string{"can", user, action, record, "-n", namespace, "--server", d.operator.server, "--records", records}
	fmt.Printf("  $ kubectl crmaccess can %s %s %s\n", user, action, record)
	for deadline := time.Now().Add(15 * time.Second); ; {
		out, err := exec.CommandContext(ctx, filepath.Join(programs, "kubectl-crmaccess"), args...).CombinedOutput()
		text := strings.TrimSpace(string(out))
		if strings.HasPrefix(text, want.String()) {
			fmt.Println("    " + strings.ReplaceAll(text, "\n", "\n    "))
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("expected %s, got %w: %s", want, err, text)
		}
		<-time.After(200 * time.Millisecond) // the operator has just started or committed
	}
}

func (d *demonstration) open(ctx context.Context) (store.Store, error) {
	return sqlite.Open(ctx, filepath.Join(d.dir, "huayue.db"))
}

// facts reads what the store holds.
func (d *demonstration) facts(ctx context.Context) (access.Facts, error) {
	s, err := d.open(ctx)
	if err != nil {
		return access.Facts{}, err
	}
	defer s.Close()
	content, err := s.Load(ctx, namespace)
	if err != nil {
		return access.Facts{}, err
	}
	facts, _, err := store.Decode(content.Rows)
	return facts, err
}

// live asks the store's own view how many rows of a grant are live.
func (d *demonstration) live(ctx context.Context, grant string) (int, error) {
	return liveRows(ctx, filepath.Join(d.dir, "huayue.db"), grant)
}

func printPeople(facts access.Facts) {
	roles := make(map[string][]string)
	for _, h := range facts.Holders {
		if role, ok := strings.CutPrefix(h.Bundle, access.RoleBundle("")); ok {
			roles[h.User] = append(roles[h.User], role)
		} else {
			roles[h.User] = append(roles[h.User], "("+h.Owner.Name+" until "+h.Window.NotAfter.String()+")")
		}
	}
	departments := make(map[string]string)
	for _, m := range facts.Memberships {
		if m.Primary {
			departments[m.User] = m.Department
		}
	}
	slices.SortFunc(facts.Users, func(a, b access.UserFact) int { return strings.Compare(a.User, b.User) })
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  USER\tDEPARTMENT\tSTATE\tHOLDS")
	for _, u := range facts.Users {
		slices.Sort(roles[u.User])
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", u.User, departments[u.User], u.State, strings.Join(slices.Compact(roles[u.User]), ", "))
	}
	_ = table.Flush()
}

// invite says what to try next.
func (d *demonstration) invite() {
	kubeconfig, records := shortened(d.cluster.kubeconfig), filepath.Join("config", "samples", "huayue", "records.yaml")
	say("It is yours. Ctrl-C ends it. Try, in another terminal:")
	fmt.Printf(`  export KUBECONFIG=$PWD/%s CRMACCESS_SERVER=%s
  %s get crmaccess -n %s
  bin/kubectl-crmaccess can chen-mo read contract/ct-0091 -n %s --records %s --field amount --why
  bin/kubectl-crmaccess show chen-mo -f config/samples/huayue
  curl -s %s/%s/access/v1/evaluation -H 'Content-Type: application/json' \
    -d '{"subject":{"type":"user","id":"li-ting"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"owner":"li-ting"}},"context":{"explain":true}}'
`, kubeconfig, d.operator.server, filepath.Join(assets(), "kubectl"), namespace, namespace, records, d.operator.server, namespace)
}
