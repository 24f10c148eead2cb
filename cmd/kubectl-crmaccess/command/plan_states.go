package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/source"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// stdin is the name of a folder that means standard input.
const stdin = "-"

// plannedStates say which two states a plan compares.
type plannedStates struct {
	base, head       string
	baseDir, headDir string
	live             bool
	repository, path string
	clusterFlags
	storeFlags
}

// check refuses a command line that names no state, or two for one side.
func (s *plannedStates) check() error {
	switch bases := countOf(s.base != "", s.baseDir != "", s.live, s.store != ""); {
	case bases == 0:
		return errors.New("name what to compare with: --base REV, --base-dir DIR, --live or --store")
	case bases > 1:
		return errors.New("--base, --base-dir, --live and --store exclude one another: name one state to compare with")
	case s.head != "" && s.headDir != "":
		return errors.New("--head and --head-dir exclude each other: name one state with the change")
	case s.base == "" && s.head == "" && s.headDir == "":
		return errors.New("name the state with the change: --head REV or --head-dir DIR")
	case s.baseDir == stdin && s.headDir == stdin:
		return errors.New("standard input can be one of the two states, not both")
	}
	return s.storeFlags.check()
}

func countOf(given ...bool) (n int) {
	for _, is := range given {
		if is {
			n++
		}
	}
	return n
}

// openStates are both states, before they are read.
type openStates struct {
	base, head *source.Files
	// cluster is what is declared in place of base's files.
	cluster *cluster
	// store is the permission store whose access is in place of base's files, and stored the tenant row that it was read at.
	store  *storeFlags
	stored *store.Tenant
	// rules is the state that the risk rules are taken from; nil of a cluster or store.
	rules *source.Files
}

func (s *plannedStates) open(env *Environment) (*openStates, error) {
	var repository *source.Repository
	var head *source.Revision
	var err error
	if s.base != "" || s.headDir == "" {
		if repository, err = source.OpenRepository(s.repository); err != nil {
			return nil, err
		}
	}
	if s.headDir == "" {
		if head, err = repository.Resolve(cmp.Or(s.head, "HEAD")); err != nil {
			return nil, err
		}
	}
	states := &openStates{}
	baseError := s.openBase(env, repository, head, states)
	if s.headDir != "" {
		states.head, err = s.folder(env, s.headDir)
	} else {
		states.head, err = repository.Files(head, s.path)
	}
	return states, states.oneMayLackThePath(baseError, err)
}

// openBase opens what head is compared with. The risk rules are those of base as it was named, and not of where head set
// out from it: whoever proposes a change chooses the latter.
func (s *plannedStates) openBase(env *Environment, repository *source.Repository, head *source.Revision, states *openStates) (err error) {
	switch {
	case s.live:
		states.cluster, err = s.connect()
		return err
	case s.store != "":
		states.store = &s.storeFlags
		return nil
	case s.baseDir != "":
		states.base, err = s.folder(env, s.baseDir)
		states.rules = states.base
		return err
	}
	named, err := repository.Resolve(s.base)
	if err != nil {
		return err
	}
	if states.rules, err = repository.Root(named); err != nil {
		return err
	}
	fork := named
	if head != nil {
		if fork, err = repository.Fork(named, head); err != nil {
			return err
		}
	}
	states.base, err = repository.Files(fork, s.path)
	return err
}

func (s *plannedStates) folder(env *Environment, dir string) (*source.Files, error) {
	if dir == stdin {
		return source.Stream("standard input", env.In)
	}
	return source.Folder(dir, s.path)
}

// oneMayLackThePath takes a state in which nothing stands at the path as an empty one, as long as it is there in the other:
// a folder is added some day, and a misspelt one is in neither.
func (o *openStates) oneMayLackThePath(base, head error) error {
	var absent *source.AbsentError
	switch {
	case head == nil && errors.As(base, &absent):
		o.base = source.Nothing(absent.State, o.rules)
	case base == nil && o.cluster == nil && o.store == nil && errors.As(head, &absent):
		o.head = source.Nothing(absent.State, nil)
	default:
		return errors.Join(base, head)
	}
	return nil
}

// statesOf are the two states of one tenant.
type statesOf struct{ base, head plan.State }

// read reads both states to their end. What is wrong with either is told together.
func (o *openStates) read(ctx context.Context, env *Environment, namespace string) (map[string]statesOf, error) {
	reader, err := manifest.NewReader()
	if err != nil {
		return nil, err
	}
	head, err := o.head.Load(reader)
	switch {
	case o.cluster == nil && o.store == nil:
	case err != nil:
		return nil, err
	case o.store != nil:
		return o.againstStore(ctx, env, head, namespace)
	default:
		return o.againstCluster(ctx, env, head)
	}
	base, baseError := o.base.Load(reader)
	if err := errors.Join(inBase(baseError, o.base.Name), err); err != nil {
		return nil, err
	}
	tellNotes(env, base, head)
	if namespace != "" {
		return o.oneTenant(base, head, namespace)
	}
	tenants := make(map[string]statesOf)
	for name, tenant := range base.Tenants {
		tenants[name] = statesOf{base: plannedState(tenant, o.base)}
	}
	for name, tenant := range head.Tenants {
		tenants[name] = statesOf{base: tenants[name].base, head: plannedState(tenant, o.head)}
	}
	if len(tenants) == 0 {
		return nil, fmt.Errorf("no manifests of crmaccess.io in %s or %s", o.base.Name, o.head.Name)
	}
	return tenants, nil
}

// inBase tells the faults of base from those of head, which may stand at the same places.
func inBase(err error, name string) error {
	for _, fault := range manifest.Faults(err) {
		fault.Message += " (in " + name + ")"
	}
	return err
}

// tellNotes says what was left out of either state and may not have been meant to be.
func tellNotes(env *Environment, base, head *manifest.Tree) {
	told := make(map[string]bool)
	for _, note := range append(head.Notes, base.Notes...) {
		if line := note.String(); !told[line] {
			told[line] = true
			printLine(env.Err, "note: %s", line)
		}
	}
}

func plannedState(tenant *manifest.Tenant, files *source.Files) plan.State {
	return plan.State{Declarations: tenant.Declarations, Sources: tenant.Sources, Locate: newLocator(files.ReadFile).locate}
}

// oneTenant compares a namespace, of which manifests that name none are a part. It may be in one of the states only.
func (o *openStates) oneTenant(base, head *manifest.Tree, namespace string) (map[string]statesOf, error) {
	before, baseError := chooseTenant(base, o.base.Name, namespace)
	after, headError := chooseTenant(head, o.head.Name, namespace)
	if before == nil && after == nil {
		return nil, errors.Join(baseError, headError)
	}
	var states statesOf
	if before != nil {
		states.base = plannedState(before, o.base)
	}
	if after != nil {
		states.head = plannedState(after, o.head)
	}
	return map[string]statesOf{namespace: states}, nil
}

// baseName is how the plan calls what head is compared with.
func (o *openStates) baseName() string {
	if o.stored != nil {
		return o.storeName()
	}
	if o.cluster != nil {
		return fmt.Sprintf("namespace %s on %s", o.cluster.namespace, o.cluster.config.Host)
	}
	return o.base.Name
}

// riskRules are the rules of a file that was named, else of base: if head's were taken, a change could switch off the rule
// that it breaks.
func (o *openStates) riskRules(env *Environment, file string) ([]plan.Rule, error) {
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read risk rules: %w", err)
		}
		return parseRules(file, data)
	}
	if o.rules == nil {
		return plan.DefaultRules(), nil
	}
	data, err := rulesIn(o.rules)
	if err != nil {
		return nil, err
	}
	if changed, err := rulesIn(o.head); err != nil || !bytes.Equal(changed, data) {
		printLine(env.Err, "note: %s differs in %s: the rules of %s judge this plan", plan.RulesFile, o.head.Name, o.rules.Name)
	}
	if data == nil {
		return plan.DefaultRules(), nil
	}
	return parseRules(plan.RulesFile+" in "+o.rules.Name, data)
}

// rulesIn is the file of risk rules of a state; nil where it has none.
func rulesIn(files *source.Files) ([]byte, error) {
	data, err := files.ReadRoot(plan.RulesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s in %s: %w", plan.RulesFile, files.Name, err)
	}
	return data, nil
}

func parseRules(file string, data []byte) ([]plan.Rule, error) {
	rules, err := plan.ParseRules(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return rules, nil
}
