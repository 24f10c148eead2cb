package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

type serveOptions struct{ manifests, records, listen string }

func newServe(env *Environment) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve --manifests DIR",
		Short: "Answer the decision API from manifests, without cluster or database",
		Long: `Answer the decision API (OpenID AuthZEN Authorization API 1.0) from manifests, without cluster or database: for those who
build a CRM against it, and for tests.

The manifests are read once. Several tenants are answered below /NAMESPACE. With a file of records the facts of a record are
looked up, whatever a question says of them, and resources can be searched. A question's context.time is honoured.
Shares, requests for approval, usage and the log of decisions are kept in memory; the header X-CRM-Access-Subject names the
person who makes them, without a token.
It asks for no credentials and listens on a loopback address only.`,
		Example: `  kubectl crmaccess serve --manifests config/samples/huayue
  kubectl crmaccess serve --manifests config/samples/huayue --records config/samples/huayue/records.yaml --listen 127.0.0.1:9090`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.manifests == "" {
				return usageError(cmd, "--manifests is missing: name the folder or file to answer from")
			}
			return runServe(cmd.Context(), env, o)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.manifests, "manifests", "f", "", "folder or file of manifests to answer from")
	flags.StringVar(&o.records, "records", "", "file of records (default records.yaml beside the manifests, where there is one)")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8082", "address to listen on")
	return cmd
}

func runServe(ctx context.Context, env *Environment, o *serveOptions) (err error) {
	manifests, err := newManifestSource(o, env)
	if err != nil {
		return err
	}
	source, err := newRehearsal(ctx, manifests)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close(ctx)) }()
	listener, err := decisionapi.ListenLoopback(ctx, o.listen)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	printLine(env.Out, "answering for %d tenants at %s; stop with Ctrl-C", len(source.policies), base)
	for _, tenant := range source.Tenants() {
		path := ""
		if len(source.policies) > 1 {
			path = "/" + tenant
		}
		printLine(env.Out, "  %s: POST %s%s/access/v1/evaluation", tenant, base, path)
	}
	return decisionapi.NewServer(listener, decisionapi.New(source, decisionapi.Options{
		HonourTime: true, BaseURL: base, Facts: source, BareSubject: true, Log: source.log,
	})).Start(ctx)
}

// manifestSource answers from manifests that were read once.
type manifestSource struct {
	env      *Environment
	policies map[string]*access.Policy
	accounts map[string][]access.UserFact
	records  map[string]map[string]map[string]*access.Record // by tenant, object and id
}

func newManifestSource(o *serveOptions, env *Environment) (*manifestSource, error) {
	tree, err := manifest.Load(o.manifests)
	if err != nil {
		return nil, err
	}
	if len(tree.Tenants) == 0 {
		return nil, fmt.Errorf("no manifests of crmaccess.io below %s", o.manifests)
	}
	file, err := newManifestAsker(o.manifests, env.Err).recordFile(o.records)
	if err != nil {
		return nil, err
	}
	book, err := loadRecords(file)
	if err != nil {
		return nil, err
	}
	s := &manifestSource{
		env: env, policies: make(map[string]*access.Policy), accounts: make(map[string][]access.UserFact),
		records: make(map[string]map[string]map[string]*access.Record),
	}
	for name := range tree.Tenants {
		if name == "" && len(tree.Tenants) > 1 {
			continue // part of each of the others
		}
		tenant, err := chooseTenant(tree, o.manifests, name)
		if err != nil {
			return nil, err
		}
		if name == "" {
			name = "default" // where kubectl would put them
		}
		facts := access.Resolve(tenant.Declarations).Facts
		s.policies[name], s.accounts[name] = access.NewPolicy(facts), facts.Users
		s.records[name] = book.all(tenant.Declarations.ObjectTypes, env.Err)
	}
	return s, nil
}

// all are the records of the file, each with the record that decides about it.
func (b *recordBook) all(types []*access.ObjectType, notes io.Writer) map[string]map[string]*access.Record {
	parents := parentFinder{types: types, book: b, notes: notes}
	byObject := make(map[string]map[string]*access.Record)
	for _, object := range types {
		byObject[object.Name] = make(map[string]*access.Record)
		for key := range b.records {
			if key.object == object.Name {
				record := b.fact(key.object, key.id)
				parents.find(key.object+"/"+key.id, object, record)
				byObject[object.Name][key.id] = record
			}
		}
	}
	return byObject
}

// Tenants implements decisionapi.Source.
func (s *manifestSource) Tenants() []string { return slices.Sorted(maps.Keys(s.policies)) }

// Snapshot implements decisionapi.Source. The time is this machine's: there is no store whose time it could be.
func (s *manifestSource) Snapshot(tenant string) (decisionapi.Snapshot, bool) {
	policy, known := s.policies[tenant]
	now := func() (schedule.Instant, error) { return schedule.At(s.env.Now()), nil }
	return decisionapi.Snapshot{Policy: policy, Revision: "manifests", Now: now, Records: fileRecords(s.records[tenant])}, known
}

// fileRecords are a tenant's records from a file, by object and id.
type fileRecords map[string]map[string]*access.Record

// Record implements decisionapi.Records. Of a record that the file does not have the caller's word counts.
func (r fileRecords) Record(_ context.Context, object, id string) (*access.Record, error) {
	return r[object][id], nil
}

// Page implements decisionapi.Records.
func (r fileRecords) Page(_ context.Context, object string, _ *access.Filter, after string, limit int) ([]*access.Record, error) {
	ids := slices.Sorted(maps.Keys(r[object]))
	from, found := slices.BinarySearch(ids, after)
	if found {
		from++
	}
	page := make([]*access.Record, 0, min(limit, len(ids)-from))
	for _, id := range ids[from:min(from+limit, len(ids))] {
		page = append(page, r[object][id])
	}
	return page, nil
}
