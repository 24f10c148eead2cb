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

// demonstration shows the organisation, an approval, and access that ends: with the operator, and without it.
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
	if err := d.ask(ctx); err != nil {
		return err
	}
	say("Guardrails hold for everybody, whatever a role says. Nobody carries the customers away:")
	if err := d.can(ctx, access.Deny, "zheng-ke", "export", "customer", "--rows", "20000", "--used", "0"); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{d.approve, d.withOperator, d.withoutOperator} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// loan lends Li Ting somebody's customers for some seconds.
type loan struct {
	name, owner, requestedBy string
	end                      time.Time
}

func (d *demonstration) lend(ctx context.Context, length time.Duration, l loan) (loan, error) {
	start := time.Now().UTC().Truncate(time.Second)
	l.end = start.Add(length)
	manifest := fmt.Sprintf(`apiVersion: crmaccess.io/v1alpha1
kind: TemporaryGrant
metadata: {name: %s, namespace: %s}
spec:
  users: [li-ting]
  grants:
  - {object: customer, actions: [read], records: {owners: [%s]}}
  notBefore: %q
  notAfter: %q
  reason: quick start
  requestedBy: %s
`, l.name, namespace, l.owner, start.Format(time.RFC3339), l.end.Format(time.RFC3339), l.requestedBy)
	say("Granting her %s's customers until %s (%.0f s): TemporaryGrant/%s", l.owner, l.end.Format(time.TimeOnly), length.Seconds(), l.name)
	return l, d.cluster.apply(ctx, d.dir, l.name+".yaml", manifest)
}

// waitActive waits until the grant is in force, or is not.
func (d *demonstration) waitActive(ctx context.Context, l loan, want string) error {
	return d.cluster.kubectl(ctx, "wait", "--for=condition=Active="+want, "-n", namespace, "temporarygrant/"+l.name, "--timeout=60s")
}

// approve shows a grant that waits until a person says yes.
func (d *demonstration) approve(ctx context.Context) error {
	l, err := d.lend(ctx, 15*time.Second, loan{name: "demo-approval", owner: "wu-fan", requestedBy: "sun-jie"})
	if err != nil {
		return err
	}
	fmt.Println("  wu-fan is in another department, so that a guardrail asks for an approval. Until then:")
	if err := d.cluster.waitFor(ctx, "ApprovalPending", "temporarygrant/"+l.name); err != nil {
		return err
	}
	if err := d.can(ctx, access.Deny, "li-ting", "read", "customer/cust-bolan"); err != nil {
		return err
	}
	message, err := d.cluster.output(ctx, "get", "temporarygrant", l.name, "-n", namespace, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].message}`)
	if err != nil {
		return err
	}
	fmt.Println("  The grant's status says: " + message)
	fmt.Println("  Her manager approves, under his own login (chen-mo@huayue.example):")
	kubeconfig, err := d.cluster.logInApprover("chen-mo@huayue.example")
	if err != nil {
		return err
	}
	args := []string{"approve", "temporarygrant/" + l.name, "-n", namespace, "--comment", "until she knows them", "--yes"}
	fmt.Printf("  $ kubectl crmaccess approve temporarygrant/%s -n %s\n", l.name, namespace)
	out, err := exec.CommandContext(ctx, filepath.Join(programs, "kubectl-crmaccess"), append(args, "--kubeconfig", kubeconfig)...).CombinedOutput()
	fmt.Println(indented(string(out)))
	if err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	if err := d.waitActive(ctx, l, "True"); err != nil {
		return err
	}
	if err := d.can(ctx, access.Allow, "li-ting", "read", "customer/cust-bolan"); err != nil {
		return err
	}
	return d.ends(ctx, l, "customer/cust-bolan")
}

// withOperator shows a grant that begins and ends while the operator runs.
func (d *demonstration) withOperator(ctx context.Context) error {
	l, err := d.lend(ctx, 10*time.Second, loan{name: "demo-with-operator", owner: "wang-lei", requestedBy: "lin-che"})
	if err != nil {
		return err
	}
	if err := d.waitActive(ctx, l, "True"); err != nil {
		return err
	}
	if err := d.can(ctx, access.Allow, "li-ting", "read", "customer/cust-ruifeng"); err != nil {
		return err
	}
	return d.ends(ctx, l, "customer/cust-ruifeng")
}

// withoutOperator shows a grant that ends though the operator is dead.
func (d *demonstration) withoutOperator(ctx context.Context) error {
	l, err := d.lend(ctx, 10*time.Second, loan{name: "demo-without-operator", owner: "wang-lei", requestedBy: "lin-che"})
	if err != nil {
		return err
	}
	if err := d.waitActive(ctx, l, "True"); err != nil {
		return err
	}
	fmt.Println("  The operator is killed now (SIGKILL). The permission store answers by itself:")
	d.operator.kill()
	if err := d.watch(ctx, l); err != nil {
		return err
	}
	fmt.Println("  Access has ended though nobody was there to end it. Starting the operator again.")
	operator, err := startOperator(ctx, d.cluster, d.dir)
	if err != nil {
		return err
	}
	d.operator = operator
	return d.waitActive(ctx, l, "False")
}

// ends watches a grant's end, and asks once more afterwards.
func (d *demonstration) ends(ctx context.Context, l loan, record string) error {
	if err := d.watch(ctx, l); err != nil {
		return err
	}
	return d.can(ctx, access.Deny, "li-ting", "read", record)
}

// watch asks the store until the grant has ended.
func (d *demonstration) watch(ctx context.Context, l loan) error {
	for {
		live, err := d.live(ctx, l.name)
		if err != nil {
			return err
		}
		fmt.Printf("  %s  rows of %s that are live in the store: %d\n", time.Now().UTC().Format(time.TimeOnly), l.name, live)
		if live == 0 {
			return nil
		}
		if time.Since(l.end) > 3*time.Second {
			return errors.New("the grant did not end")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(max(time.Until(l.end), 100*time.Millisecond), 3*time.Second)):
		}
	}
}

// can asks the running operator and prints the answer. It fails where the answer is another than the sample says.
func (d *demonstration) can(ctx context.Context, want access.Effect, question ...string) error {
	records := filepath.Join("config", "samples", "huayue", "records.yaml")
	args := append(append([]string{"can"}, question...), "-n", namespace, "--server", d.operator.server, "--records", records)
	fmt.Printf("  $ kubectl crmaccess can %s\n", strings.Join(question, " "))
	for deadline := time.Now().Add(15 * time.Second); ; {
		out, err := exec.CommandContext(ctx, filepath.Join(programs, "kubectl-crmaccess"), args...).CombinedOutput()
		text := strings.TrimSpace(string(out))
		if strings.HasPrefix(text, want.String()) {
			fmt.Println(indented(text))
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("expected %s, got %w: %s", want, err, text)
		}
		<-time.After(200 * time.Millisecond) // the operator has just started or committed
	}
}

// indented sets what a command prints off from our own words.
func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
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
		if h.Role != "" {
			roles[h.User] = append(roles[h.User], h.Role)
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
  bin/kubectl-crmaccess revoke user/tang-yue -n %s --reason "laptop stolen"
  %s
`, kubeconfig, d.operator.server, filepath.Join(assets(), "kubectl"), namespace, namespace, records, namespace, d.operator.curl(first))
}
